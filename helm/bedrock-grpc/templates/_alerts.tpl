{{/*
How much counters have risen within a window, also those whose first sample is above 0, which `increase` does not see: a new series counts with its
value. A series is new if it had no sample in the hour before the window, and if its pod was scraped without it or started within the window. So neither
missed scrapes nor a Prometheus that was down make it new again.
Takes a dict of "metric", "selector", which begins with that of the pods, and "window".
*/}}
{{- define "bedrock-grpc.risen" -}}
{{- $series := printf "%s{%s}" .metric .selector -}}
{{- $window := .window -}}
{{- $pods := regexFind `^namespace="[^"]*", pod=~"[^"]*"` .selector -}}
{{- $seconds := include "bedrock-grpc.promSeconds" $window | float64 | int64 -}}
{{- /* A start time is greater than any number of scrapes. */ -}}
{{- $scrapes := printf `max by (namespace, pod) ((last_over_time(bedrock_grpc_start_time_seconds{%s}[%s]) > time() - %d) or count_over_time(bedrock_grpc_open_calls{%s}[%s]))` $pods $window $seconds $pods $window -}}
(((last_over_time({{ $series }}[{{ $window }}]) unless max_over_time({{ $series }}[1h] offset {{ $window }})) and (count_over_time({{ $series }}[{{ $window }}]) < on (namespace, pod) group_left {{ $scrapes }})) or increase({{ $series }}[{{ $window }}]))
{{- end -}}

{{/*
The alerts, as a list under "alerts". Each has an expression, how long it must hold, a severity, a summary and what to do first; docs/runbooks has the
rest. Reasons are those of docs/errors.md. `bedrock-grpc.alertsOnPods` has those on pods and their scraping.
*/}}
{{- define "bedrock-grpc.alerts" -}}
{{- $pods := include "bedrock-grpc.promSelector" . -}}
{{- $rule := .Values.metrics.prometheusRule -}}
{{- $streams := include "bedrock-grpc.maxStreams" . -}}
{{- $calls := "bedrock_grpc_calls_total" -}}
alerts:
  {{- include "bedrock-grpc.alertsOnPods" . | nindent 2 }}
  - alert: BedrockGrpcErrors
    # Failures in the gateway or in Bedrock. Throttling and full pods have their own alerts.
    expr: |-
      sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" (printf `%s, code=~"INTERNAL|UNAVAILABLE|DATA_LOSS|UNKNOWN|DEADLINE_EXCEEDED", reason!~"REPLICA_SATURATED|DRAINING"` $pods) "window" "5m") }})
        / sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" $pods "window" "5m") }}) > {{ $rule.errorRatio }}
    for: 10m
    severity: critical
    summary: {{ printf "{{ $value | humanizePercentage }} of calls fail" | quote }}
    description: The metric bedrock_grpc_calls_total has the reason and the target of each call; docs/errors.md explains each reason.
  - alert: BedrockGrpcCredentials
    expr: sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" (printf `%s, reason=~"UPSTREAM_CREDENTIALS|UPSTREAM_ACCESS_DENIED"` $pods) "window" "10m") }}) by (reason, target) > 0
    for: 5m
    severity: critical
    summary: {{ printf "Bedrock refuses the gateway's identity for {{ $labels.target }}: {{ $labels.reason }}" | quote }}
    description: The role needs bedrock:InvokeModelWithResponseStream on the inference profile and on the models behind it, in each of its Regions.
  - alert: BedrockGrpcDailyQuota
    expr: sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" (printf `%s, reason="UPSTREAM_QUOTA"` $pods) "window" "10m") }}) by (target) > 0
    for: 0m
    severity: warning
    summary: {{ printf "The daily quota of {{ $labels.target }} is used up" | quote }}
    description: Calls fail until the next day. Use another inference profile, or request a higher quota.
  - alert: BedrockGrpcThrottled
    expr: |-
      sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" (printf `%s, reason="UPSTREAM_THROTTLED"` $pods) "window" "5m") }}) by (target)
        / sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" $pods "window" "5m") }}) by (target) > {{ $rule.throttledRatio }}
    for: 10m
    severity: warning
    summary: {{ printf "Bedrock throttles {{ $value | humanizePercentage }} of the calls to {{ $labels.target }}" | quote }}
    description: Bedrock reserves quota by max_tokens. Lower max_tokens, use a cross-Region profile, or request a higher quota. More pods do not help.
  - alert: BedrockGrpcBreakerOpen
    # The alert requires that it is open most of the time: a route that stays broken is half-open
    # for a moment whenever the gateway tries it again.
    expr: max(max_over_time(bedrock_grpc_breaker_state{ {{- $pods }}, state="open"}[2m])) by (model_id, source_region) > 0
    for: 5m
    severity: warning
    summary: {{ printf "{{ $labels.model_id }} in {{ $labels.source_region }} fails, and the gateway does not call it" | quote }}
    description: Calls go to the other routes of their target, if there are any. The metric bedrock_grpc_attempts_total has the reasons; look at AWS Health for the Region.
  - alert: BedrockGrpcTruncated
    expr: sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" (printf `%s, reason=~"UPSTREAM_TRUNCATED|UPSTREAM_CORRUPT|UPSTREAM_IDLE|MODEL_STREAM_ERROR"` $pods) "window" "10m") }}) by (reason, target) > 5
    for: 10m
    severity: warning
    summary: {{ printf "Answers of {{ $labels.target }} are cut off: {{ $labels.reason }}" | quote }}
    description: Bedrock's streams end before their answers do. Callers get an error, never a short answer that looks complete.
  - alert: BedrockGrpcSlowFirstEvent
    expr: histogram_quantile(0.95, sum(rate(bedrock_grpc_time_to_first_event_seconds_bucket{ {{- $pods -}} }[10m])) by (le, target)) > {{ $rule.firstEventSeconds }}
    for: 15m
    severity: warning
    summary: {{ printf "One call in twenty to {{ $labels.target }} waits {{ $value | humanizeDuration }} or longer for its first event" | quote }}
    description: Bedrock is slow to start, or calls need several attempts. Compare targets; a profile over more Regions may help.
  - alert: BedrockGrpcSlowTokens
    expr: histogram_quantile(0.99, sum(rate(bedrock_grpc_inter_token_gap_seconds_bucket{ {{- $pods -}} }[10m])) by (le, target)) > {{ $rule.tokenGapSeconds }}
    for: 15m
    severity: warning
    summary: {{ printf "Answers of {{ $labels.target }} pause for {{ $value | humanizeDuration }} or longer" | quote }}
    description: Bedrock pauses between tokens, or clients read slowly. Compare targets and routes; limits.idle ends such answers.
  - alert: BedrockGrpcRefused
    expr: sum({{ include "bedrock-grpc.risen" (dict "metric" "bedrock_grpc_refused_total" "selector" $pods "window" "5m") }}) > 0
    for: 5m
    severity: warning
    summary: Full pods refuse calls
    description: Clients with round_robin and retries call another pod. Scale out, or raise config.limits.max_streams and the memory limit.
  {{- if ne $streams "unknown" }}
  - alert: BedrockGrpcFull
    expr: max(bedrock_grpc_open_calls{ {{- $pods -}} }) / {{ $streams }} > {{ $rule.fullRatio }}
    for: 10m
    severity: warning
    summary: {{ printf "A pod serves {{ $value | humanizePercentage }} of its maximum of open calls" | quote }}
    description: If other pods are less full, clients do not balance; use the headless Service with round_robin. Otherwise scale out.
  {{- end }}
  - alert: BedrockGrpcPanic
    expr: sum({{ include "bedrock-grpc.risen" (dict "metric" $calls "selector" (printf `%s, reason=~"PANIC|INTERNAL"` $pods) "window" "10m") }}) > 0
    for: 0m
    severity: warning
    summary: A bug in the gateway ended a call
    description: The log has the call's request ID and the location in the code. Other calls continue. Please report it.
  - alert: BedrockGrpcUnknownMembers
    expr: sum({{ include "bedrock-grpc.risen" (dict "metric" "bedrock_grpc_unknown_total" "selector" $pods "window" "1h") }}) by (kind) > 0
    for: 0m
    severity: info
    summary: {{ printf "Bedrock sends an {{ $labels.kind }} for which this version has no field" | quote }}
    description: Nothing is lost; clients get it as raw JSON. A newer version may have a field for it.
  - alert: BedrockGrpcConfigReload
    # Not for pods that stop, if kube-state-metrics is there: pods of an old version drain beside a
    # newer configuration.
    expr: |-
      sum by (pod) (1 - bedrock_grpc_config_last_reload_successful{ {{- $pods -}} }) > 0
        unless max by (pod) (kube_pod_deletion_timestamp{ {{- $pods -}} })
    for: 5m
    severity: warning
    summary: {{ printf "{{ $labels.pod }} refuses the last change of its configuration" | quote }}
    description: The previous configuration stays in use, but a pod that starts now fails. The pod's log has a line for each problem.
  - alert: BedrockGrpcModelEndOfLife
    # AWS announces the end at least six months before. Half of that is left for the move.
    expr: min by (model_id, source_region) (bedrock_grpc_model_end_of_life_timestamp_seconds{ {{- $pods -}} }) - time() < 90 * 86400
    for: 15m
    severity: warning
    summary: {{ printf "{{ $labels.model_id }} in {{ $labels.source_region }} reaches its end of life in {{ $value | humanizeDuration }}" | quote }}
    description: Bedrock then refuses all calls to the model. Move the targets with this model ID to another model.
{{- end -}}

{{/* Alerts on pods and their scraping. */}}
{{- define "bedrock-grpc.alertsOnPods" -}}
{{- $pods := include "bedrock-grpc.promSelector" . -}}
{{- $rule := .Values.metrics.prometheusRule -}}
{{- $name := include "bedrock-grpc.fullname" . -}}
{{- $namespace := include "bedrock-grpc.namespace" . -}}
{{- $deployment := printf `namespace="%s", deployment="%s"` $namespace $name -}}
{{- $least := or .Values.autoscaling.enabled .Values.keda.enabled | ternary .Values.autoscaling.minReplicas .Values.replicaCount | int64 -}}
{{- $monitor := .Values.metrics.podMonitor.enabled | ternary .Values.metrics.podMonitor (.Values.metrics.podMonitoring.enabled | ternary .Values.metrics.podMonitoring .Values.metrics.serviceMonitor) -}}
{{- /* A release that is scaled to zero has no pods. */}}
{{- if gt $least 0 }}
- alert: BedrockGrpcAbsent
  expr: absent(bedrock_grpc_open_calls{ {{- $pods -}} })
  for: 5m
  severity: critical
  summary: Prometheus has no metrics of any pod of {{ $name }}
  description: No pod runs, or Prometheus scrapes none. Look at the pods' events and logs, then at the ServiceMonitor or PodMonitor.
{{- end }}
- alert: BedrockGrpcPodsMissing
  # By the pods that Prometheus scrapes, against the number that the chart asks for; and by
  # kube-state-metrics, if it is there. A pod that two jobs scrape counts once.
  expr: |-
    {{- if gt $least 1 }}
    count(count by (pod) (bedrock_grpc_open_calls{ {{- $pods -}} })) < {{ $least }}
      or
    {{- end }}
    max(kube_deployment_status_replicas_available{ {{- $deployment -}} }) < max(kube_deployment_spec_replicas{ {{- $deployment -}} })
  for: 15m
  severity: warning
  summary: {{ printf "Only {{ $value }} pods of %s are available" $name | quote }}
  description: Pods crash, can't be scheduled, or do not become ready. Look at `kubectl get pods` and the pods' events.
- alert: BedrockGrpcRestarts
  # The gateway's own start time, and the restarts that kube-state-metrics counts, if it is there.
  expr: |-
    max by (pod) (changes(bedrock_grpc_start_time_seconds{ {{- $pods -}} }[30m])
      or (max_over_time(kube_pod_container_status_restarts_total{ {{- $pods }}, container="gateway"}[30m]) - min_over_time(kube_pod_container_status_restarts_total{ {{- $pods }}, container="gateway"}[30m]))) >= {{ int64 $rule.restarts }}
  for: 0m
  severity: warning
  summary: {{ printf "{{ $labels.pod }} restarted {{ $value }} times in 30 minutes" | quote }}
  description: Look at the last state of the container and at the log of the one before (kubectl logs --previous). OOMKilled needs a higher memory limit.
- alert: BedrockGrpcScrapesMissed
  {{- $seconds := include "bedrock-grpc.promSeconds" $monitor.interval | float64 }}
  # Scrapes that fail, and, where the chart sets the interval, pods with less than a third of
  # the expected samples.
  expr: |-
    avg_over_time(up{ {{- $pods -}} }[15m]) < 0.5
    {{- if and $monitor.enabled (gt $seconds 0.0) (le $seconds 60.0) }}
      or
    (count_over_time(bedrock_grpc_open_calls{ {{- $pods -}} }[15m]) < {{ divf 300.0 $seconds | ceil | int64 }}
      and last_over_time(bedrock_grpc_open_calls{ {{- $pods -}} }[8m])
      and max_over_time(bedrock_grpc_open_calls{ {{- $pods -}} }[30m] offset 15m))
    {{- end }}
  for: 10m
  severity: warning
  summary: {{ printf "Prometheus misses most scrapes of {{ $labels.pod }}" | quote }}
  description: The pod is overloaded or unreachable, or a network policy blocks Prometheus (networkPolicy.metricsFrom). Other alerts can't be trusted until then.
{{- if or .Values.tls.enabled (hasKey (.Values.config | default dict) "tls") }}
- alert: BedrockGrpcCertificateExpires
  expr: |-
    min by (pod) (bedrock_grpc_tls_certificate_expiry_timestamp_seconds{ {{- $pods -}} }) - time() < {{ $rule.certificateDays }} * 86400
      or min by (pod) (bedrock_grpc_tls_client_ca_expiry_timestamp_seconds{ {{- $pods -}} }) - time() < {{ $rule.certificateDays }} * 86400
  for: 15m
  severity: warning
  summary: {{ printf "The certificate of {{ $labels.pod }}, or an authority of its clients, expires in {{ $value | humanizeDuration }}" | quote }}
  description: Renew the certificate. The pods use the new one without a restart, unless they refuse the change; then the metric bedrock_grpc_config_last_reload_successful is 0.
{{- end }}
{{- $access := get (include "bedrock-grpc.writtenConfig" . | fromYaml) "access" | default dict }}
{{- if or (get $access "jwt") (get $access "kubernetes") }}
- alert: BedrockGrpcIssuerKeys
  {{- $fetches := "bedrock_grpc_issuer_key_fetches_total" }}
  expr: |-
    sum by (pod, issuer) ({{ include "bedrock-grpc.risen" (dict "metric" $fetches "selector" (printf `%s, outcome="error"` $pods) "window" "15m") }}) > 0
      unless sum by (pod, issuer) ({{ include "bedrock-grpc.risen" (dict "metric" $fetches "selector" (printf `%s, outcome="ok"` $pods) "window" "15m") }}) > 0
  for: 5m
  severity: warning
  summary: {{ printf "{{ $labels.pod }} cannot fetch the keys of {{ $labels.issuer }}" | quote }}
  description: Known keys stay valid, but tokens with new keys are refused. A pod without any key refuses all of the issuer's tokens. The log says why.
{{- end }}
{{- include "bedrock-grpc.alertsOnLimitsStore" . }}
{{- $config := include "bedrock-grpc.writtenConfig" . | fromYaml }}
{{- if or $access (get $config "callers") }}
- alert: BedrockGrpcAuthenticationFailures
  expr: sum by (reason) ({{ include "bedrock-grpc.risen" (dict "metric" "bedrock_grpc_authentication_failures_total" "selector" $pods "window" "10m") }}) > 60
  for: 5m
  severity: warning
  summary: {{ printf "Many calls have no valid credential: {{ $labels.reason }}" | quote }}
  description: A client has a wrong, expired or revoked credential, or someone is guessing keys. The audit lines in the log have the addresses.
{{- end }}
{{- if get (get $config "limits" | default dict) "store" }}
- alert: BedrockGrpcBudget
  expr: max by (scope, name, limit) (bedrock_grpc_budget_used_ratio{ {{- $pods -}} }) >= {{ $rule.budgetRatio }}
  for: 1m
  severity: warning
  summary: {{ printf "{{ $labels.scope }} {{ $labels.name }} has used {{ $value | humanizePercentage }} of {{ $labels.limit }}" | quote }}
  description: When the limit is used up, calls end with CALLER_BUDGET_EXHAUSTED until the day or the month is over (UTC).
{{- end }}
{{- end -}}

{{/*
The alerts, as a list under "alerts". Each has an expression, how long it must hold, a severity, a summary and what to do.
Reasons are those of docs/errors.md.
*/}}
{{- define "bedrock-grpc.alerts" -}}
{{- $pods := include "bedrock-grpc.promSelector" . -}}
{{- $rule := .Values.metrics.prometheusRule -}}
{{- $streams := include "bedrock-grpc.maxStreams" . -}}
alerts:
  - alert: BedrockGrpcAbsent
    expr: absent(bedrock_grpc_open_calls{ {{- $pods -}} })
    for: 5m
    severity: critical
    summary: No pod of {{ include "bedrock-grpc.fullname" . }} gives metrics
    description: No pod runs, or Prometheus reads none. Look at the pods' events and logs, then at the ServiceMonitor or PodMonitor.
  - alert: BedrockGrpcErrors
    # What the gateway or Bedrock got wrong. Throttling and full pods have alerts of their own.
    expr: |-
      sum(rate(bedrock_grpc_calls_total{ {{- $pods }}, code=~"INTERNAL|UNAVAILABLE|DATA_LOSS|UNKNOWN|DEADLINE_EXCEEDED", reason!~"REPLICA_SATURATED|DRAINING"}[5m]))
        / sum(rate(bedrock_grpc_calls_total{ {{- $pods -}} }[5m])) > {{ $rule.errorRatio }}
    for: 10m
    severity: critical
    summary: {{ printf "{{ $value | humanizePercentage }} of calls fail" | quote }}
    description: The metric bedrock_grpc_calls_total says by which reason and for which target; docs/errors.md says what each reason means.
  - alert: BedrockGrpcCredentials
    expr: sum(increase(bedrock_grpc_calls_total{ {{- $pods }}, reason=~"UPSTREAM_CREDENTIALS|UPSTREAM_ACCESS_DENIED"}[5m])) by (reason, target) > 0
    for: 5m
    severity: critical
    summary: {{ printf "Bedrock refuses the gateway's identity for {{ $labels.target }}: {{ $labels.reason }}" | quote }}
    description: The role needs bedrock:InvokeModelWithResponseStream on the inference profile and on the models behind it, in each of its Regions.
  - alert: BedrockGrpcDailyQuota
    expr: sum(increase(bedrock_grpc_calls_total{ {{- $pods }}, reason="UPSTREAM_QUOTA"}[10m])) by (target) > 0
    for: 0m
    severity: warning
    summary: {{ printf "The daily quota of {{ $labels.target }} is used up" | quote }}
    description: Calls fail until the next day. Use another inference profile, or have the quota raised.
  - alert: BedrockGrpcThrottled
    expr: |-
      sum(rate(bedrock_grpc_calls_total{ {{- $pods }}, reason="UPSTREAM_THROTTLED"}[5m])) by (target)
        / sum(rate(bedrock_grpc_calls_total{ {{- $pods -}} }[5m])) by (target) > {{ $rule.throttledRatio }}
    for: 10m
    severity: warning
    summary: {{ printf "Bedrock throttles {{ $value | humanizePercentage }} of the calls to {{ $labels.target }}" | quote }}
    description: Quotas are reserved by max_tokens; lower max_tokens, use a cross-Region profile, or have the quota raised. More pods don't help.
  - alert: BedrockGrpcBreakerOpen
    # Open for most of the time: between two looks at a route that stays broken it is half-open for a moment.
    expr: max(max_over_time(bedrock_grpc_breaker_state{ {{- $pods }}, state="open"}[2m])) by (model_id, source_region) > 0
    for: 5m
    severity: warning
    summary: {{ printf "{{ $labels.model_id }} in {{ $labels.source_region }} fails, and is left alone" | quote }}
    description: Calls go to the other routes of their target, if it has any. The metric bedrock_grpc_attempts_total says why attempts fail; look at the AWS Health of the Region.
  - alert: BedrockGrpcTruncated
    expr: sum(increase(bedrock_grpc_calls_total{ {{- $pods }}, reason=~"UPSTREAM_TRUNCATED|UPSTREAM_CORRUPT|UPSTREAM_IDLE|MODEL_STREAM_ERROR"}[10m])) by (reason, target) > 5
    for: 10m
    severity: warning
    summary: {{ printf "Answers of {{ $labels.target }} are cut: {{ $labels.reason }}" | quote }}
    description: Bedrock's streams end before their answers do. Callers see an error, never a short answer that looks whole.
  - alert: BedrockGrpcSlowFirstEvent
    expr: histogram_quantile(0.95, sum(rate(bedrock_grpc_time_to_first_event_seconds_bucket{ {{- $pods -}} }[10m])) by (le, target)) > {{ $rule.firstEventSeconds }}
    for: 15m
    severity: warning
    summary: {{ printf "One call to {{ $labels.target }} in twenty waits {{ $value | humanizeDuration }} or longer for its first event" | quote }}
    description: Bedrock is slow to begin, or attempts are repeated. Compare targets; a profile over more Regions may help.
  - alert: BedrockGrpcSlowTokens
    expr: histogram_quantile(0.99, sum(rate(bedrock_grpc_inter_token_gap_seconds_bucket{ {{- $pods -}} }[10m])) by (le, target)) > {{ $rule.tokenGapSeconds }}
    for: 15m
    severity: warning
    summary: {{ printf "Answers of {{ $labels.target }} stand still for {{ $value | humanizeDuration }} or longer" | quote }}
    description: Bedrock writes in fits and starts, or clients read so. Compare targets and routes; limits.idle says when such an answer is given up.
  - alert: BedrockGrpcRefused
    expr: sum(rate(bedrock_grpc_refused_total{ {{- $pods -}} }[5m])) > 0
    for: 5m
    severity: warning
    summary: Full pods refuse calls
    description: Clients with round_robin and retries go to another pod. Scale out, or raise config.limits.max_streams and the memory.
  {{- if ne $streams "unknown" }}
  - alert: BedrockGrpcFull
    expr: max(bedrock_grpc_open_calls{ {{- $pods -}} }) / {{ $streams }} > {{ $rule.fullRatio }}
    for: 10m
    severity: warning
    summary: {{ printf "A pod serves {{ $value | humanizePercentage }} of the calls that it may" | quote }}
    description: If other pods are not as full, clients don't balance; use the headless Service with round_robin. Otherwise scale out.
  {{- end }}
  - alert: BedrockGrpcPanic
    expr: sum(increase(bedrock_grpc_calls_total{ {{- $pods }}, reason=~"PANIC|INTERNAL"}[10m])) > 0
    for: 0m
    severity: warning
    summary: A bug in the gateway ended a call
    description: The log has the call's request ID and where it happened. Other calls go on. Please report it.
  - alert: BedrockGrpcUnknownMembers
    expr: sum(increase(bedrock_grpc_unknown_total{ {{- $pods -}} }[1h])) by (kind) > 0
    for: 0m
    severity: info
    summary: {{ printf "Bedrock sends an {{ $labels.kind }} that this version has no field for" | quote }}
    description: Nothing is lost; clients get it as raw JSON. A newer version may have a field for it.
{{- end -}}

{{/* Monitors, rules and their labels, as Prometheus and its operator check them. */}}

{{- define "bedrock-grpc.checkMetrics" -}}
{{- $m := .Values.metrics -}}
{{- if and $m.serviceMonitor.enabled $m.podMonitor.enabled -}}
  {{- fail "metrics.podMonitor.enabled: Prometheus would count everything twice; set metrics.serviceMonitor.enabled to false" -}}
{{- end -}}
{{- $rule := $m.prometheusRule -}}
{{- if $rule.enabled -}}{{- include "bedrock-grpc.checkThresholds" . -}}{{- end -}}
{{- include "bedrock-grpc.checkAlertLabels" (dict "labels" $rule.alertLabels "path" "metrics.prometheusRule.alertLabels") -}}
{{- range $key, $_ := $rule.alertLabels -}}
  {{- if has $key (list "namespace" "release" "severity") -}}
    {{- fail (printf "metrics.prometheusRule.alertLabels.%s: the chart sets this label; remove it%s" $key (eq $key "severity" | ternary ", and set metrics.prometheusRule.alerts.NAME.severity" "")) -}}
  {{- end -}}
{{- end -}}
{{- range $alert, $changes := $rule.alerts -}}
  {{- if and (has $alert ($rule.disabled | default list)) $.Values.checkUnused -}}
    {{- fail (printf "metrics.prometheusRule.alerts.%s: has no effect, because metrics.prometheusRule.disabled has this alert; remove it there or here" $alert) -}}
  {{- end -}}
  {{- include "bedrock-grpc.checkAlertLabels" (dict "labels" $changes.labels "path" (printf "metrics.prometheusRule.alerts.%s.labels" $alert)) -}}
  {{- range $key, $_ := $changes.labels -}}
    {{- if has $key (list "namespace" "release" "severity") -}}
      {{- fail (printf "metrics.prometheusRule.alerts.%s.labels.%s: the chart sets this label; remove it%s" $alert $key (eq $key "severity" | ternary (printf ", and set metrics.prometheusRule.alerts.%s.severity" $alert) "")) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $i, $extra := $rule.extraRules -}}
  {{- if eq (empty $extra.alert) (empty $extra.record) -}}
    {{- fail (printf "metrics.prometheusRule.extraRules[%d]: must have one of alert and record" $i) -}}
  {{- end -}}
  {{- $path := printf "metrics.prometheusRule.extraRules[%d]" $i -}}
  {{- if not (toString $extra.expr | trim) -}}
    {{- fail (printf "%s.expr: is empty; write a query" $path) -}}
  {{- end -}}
  {{- /* Without texts and comments. */ -}}
  {{- $query := regexReplaceAll "#[^\n]*" (regexReplaceAll "\"([^\"\\\\]|\\\\.)*\"|'([^'\\\\]|\\\\.)*'|`[^`]*`" (toString $extra.expr) "") "" -}}
  {{- range $open, $close := dict "(" ")" "{" "}" "[" "]" -}}
    {{- if ne (len (splitList $open $query)) (len (splitList $close $query)) -}}
      {{- fail (printf "%s.expr: has a %s without its %s, or the reverse, and Prometheus rejects the file; correct the query" $path $open $close) -}}
    {{- end -}}
  {{- end -}}
  {{- if $extra.record -}}
    {{- if not (regexMatch "^[a-zA-Z_:][a-zA-Z0-9_:]*$" $extra.record) -}}
      {{- fail (printf "%s.record: %q is not the name of a metric; use letters, digits, underscores and colons" $path $extra.record) -}}
    {{- end -}}
    {{- range $key := list "for" "keep_firing_for" "annotations" -}}
      {{- if get $extra $key -}}
        {{- fail (printf "%s.%s: only alerts have it, and Prometheus rejects the file; remove it" $path $key) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- include "bedrock-grpc.checkAlertLabels" (dict "labels" $extra.labels "path" (printf "%s.labels" $path) "open" true) -}}
{{- end -}}
{{- range $kind, $timeout := dict "serviceMonitor" "scrapeTimeout" "podMonitor" "scrapeTimeout" "podMonitoring" "timeout" -}}
  {{- $monitor := get $m $kind -}}
  {{- range $key := list "relabelings" "metricRelabelings" "metricRelabeling" -}}
    {{- include "bedrock-grpc.checkRelabelings" (dict "root" $ "rules" (get $monitor $key | default list) "path" (printf "metrics.%s.%s" $kind $key)) -}}
  {{- end -}}
  {{- $interval := include "bedrock-grpc.promSeconds" $monitor.interval | float64 -}}
  {{- if le $interval 0.0 -}}
    {{- fail (printf "metrics.%s.interval: must be longer than 0, such as 30s" $kind) -}}
  {{- end -}}
  {{- if and $monitor.enabled $rule.enabled (gt $interval 120.0) -}}
    {{- fail (printf "metrics.%s.interval: %s is too long for the alerts, which count within 5 minutes, and Prometheus takes series without samples for 5 minutes as gone; use at most 2m" $kind $monitor.interval) -}}
  {{- end -}}
  {{- $given := get $monitor $timeout -}}
  {{- if and $given (or (gt (include "bedrock-grpc.promSeconds" $given | float64) $interval) (le (include "bedrock-grpc.promSeconds" $given | float64) 0.0)) -}}
    {{- fail (printf "metrics.%s.%s: %s must be longer than 0 and at most metrics.%s.interval, %s; Prometheus rejects it" $kind $timeout $given $kind $monitor.interval) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of alerts and records. Takes a dict of "labels", "path", and perhaps "open": the chart sets none of them itself. */}}
{{- define "bedrock-grpc.checkAlertLabels" -}}
{{- $path := .path -}}
{{- $open := .open -}}
{{- range $key, $value := .labels -}}
  {{- if or (not (regexMatch "^[a-zA-Z_][a-zA-Z0-9_]*$" $key)) (eq $key "__name__") -}}
    {{- fail (printf "%s.%s: Prometheus rejects this name of a label; use letters, digits and underscores" $path $key) -}}
  {{- end -}}
  {{- if and (eq $key "alertname") (not $open) -}}
    {{- fail (printf "%s.alertname: Prometheus sets this label; remove it" $path) -}}
  {{- end -}}
  {{- if ne (len (splitList "{{" (toString $value))) (len (splitList "}}" (toString $value))) -}}
    {{- fail (printf "%s.%s: %q is not a template that Prometheus accepts; close each {{ with }}" $path $key (toString $value)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Rules of relabelling that the operator rejects, or that take the labels away by which alerts, the dashboard and the autoscalers find the pods. Takes a dict
of "root", "rules" and "path".
*/}}
{{- define "bedrock-grpc.checkRelabelings" -}}
{{- $metrics := .root.Values.metrics -}}
{{- $needed := or $metrics.prometheusRule.enabled $metrics.dashboard.enabled -}}
{{- range $i, $rule := .rules -}}
  {{- $path := printf "%s[%d]" $.path $i -}}
  {{- $action := lower (toString ($rule.action | default "replace")) -}}
  {{- $regex := toString ($rule.regex | default "(.*)") -}}
  {{- /* With an empty alternative, every regular expression matches, unless it is not one. */ -}}
  {{- if not (regexMatch (printf "(?s)^(?:%s)$|" $regex) "") -}}
    {{- fail (printf "%s.regex: %q is not a regular expression, and Prometheus rejects the configuration; correct it" $path $regex) -}}
  {{- end -}}
  {{- $target := toString $rule.targetLabel -}}
  {{- if and (has $action (list "replace" "hashmod" "lowercase" "uppercase" "keepequal" "dropequal")) (not $rule.targetLabel) -}}
    {{- fail (printf "%s.targetLabel: required with the action %s" $path $action) -}}
  {{- end -}}
  {{- if and $rule.targetLabel (not (regexMatch "^([a-zA-Z_]|\\$(\\{[0-9a-zA-Z_]+\\}|[0-9a-zA-Z_]+))([0-9a-zA-Z_]|\\$(\\{[0-9a-zA-Z_]+\\}|[0-9a-zA-Z_]+))*$" $target)) -}}
    {{- fail (printf "%s.targetLabel: %q is not the name of a label; use letters, digits and underscores" $path $target) -}}
  {{- end -}}
  {{- if and (eq $action "hashmod") (not $rule.modulus) -}}
    {{- fail (printf "%s.modulus: required with the action hashmod" $path) -}}
  {{- end -}}
  {{- if and (contains "podMonitoring" $path) (has $target (list "project_id" "location" "cluster" "namespace" "job" "instance" "top_level_controller" "top_level_controller_type" "__address__")) -}}
    {{- fail (printf "%s.targetLabel: Managed Service for Prometheus sets the label %s itself, and rejects the rule; use another one" $path $target) -}}
  {{- end -}}
  {{- /* What remains of the metrics. Before the scrape, targets have no name of a metric. */ -}}
  {{- $sources := $rule.sourceLabels | default list -}}
  {{- $named := and (eq (toJson $sources) "[\"__name__\"]") (not (hasSuffix ".relabelings" $.path)) -}}
  {{- if and $needed (has $action (list "drop" "keep")) (or (not $sources) $named) -}}
    {{- range $metric := list "bedrock_grpc_open_calls" "bedrock_grpc_calls_total" "bedrock_grpc_start_time_seconds" -}}
      {{- $matches := regexMatch (printf "(?s)^(?:%s)$" $regex) (empty $sources | ternary "" $metric) -}}
      {{- if eq $matches (eq $action "drop") -}}
        {{- fail (printf "%s: drops %s, which the alerts and the dashboard need; keep the metrics that begin with bedrock_grpc_" $path $metric) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if $needed -}}
    {{- range $label := list "namespace" "pod" -}}
      {{- $matches := regexMatch (printf "^(?:%s)$" $regex) $label -}}
      {{- if or (and (eq $action "labeldrop") $matches) (and (eq $action "labelkeep") (not $matches)) (and (has $action (list "replace" "lowercase" "uppercase" "hashmod")) (eq $target $label)) -}}
        {{- fail (printf "%s: changes the label %s, by which the alerts and the dashboard find the pods, so that no alert could fire; leave %s as it is" $path $label $label) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Thresholds that a value can never exceed, or that a value always exceeds. */}}
{{- define "bedrock-grpc.checkThresholds" -}}
{{- $v := .Values -}}
{{- $rule := $v.metrics.prometheusRule -}}
{{- $most := list
      (list "errorRatio" 1.0 "BedrockGrpcErrors")
      (list "throttledRatio" 1.0 "BedrockGrpcThrottled")
      (list "fullRatio" 1.0 "BedrockGrpcFull")
      (list "firstEventSeconds" 102.4 "BedrockGrpcSlowFirstEvent")
      (list "tokenGapSeconds" 30.0 "BedrockGrpcSlowTokens") -}}
{{- range $most -}}
  {{- $value := get $rule (first .) -}}
  {{- if and (ge (float64 $value) (index . 1)) (not (has (last .) ($rule.disabled | default list))) -}}
    {{- fail (printf "metrics.prometheusRule.%s: the metric is never more than %v, so the alert could not fire; use less than that, or add %s to metrics.prometheusRule.disabled" (first .) (index . 1) (last .)) -}}
  {{- end -}}
{{- end -}}
{{- $certificate := $v.tls.certificate -}}
{{- if and $v.tls.enabled $certificate.enabled (not (has "BedrockGrpcCertificateExpires" ($rule.disabled | default list))) -}}
  {{- if ge (mulf (float64 $rule.certificateDays) 86400.0) (include "bedrock-grpc.goSeconds" $certificate.renewBefore | float64) -}}
    {{- fail (printf "metrics.prometheusRule.certificateDays: %v days are not less than tls.certificate.renewBefore, %s, so the alert would fire before each renewal; use less" $rule.certificateDays $certificate.renewBefore) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

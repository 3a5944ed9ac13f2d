{{/* What the chart reads of the service's own configuration, with the service's own defaults. */}}

{{/* A value of the configuration as text. Takes a dict of "root", "path" (a list of keys) and "default". */}}
{{- define "bedrock-grpc.configValue" -}}
{{- $value := .root.Values.config -}}
{{- range .path -}}
  {{- if kindIs "map" $value -}}{{- $value = get $value . -}}{{- else -}}{{- $value = "" -}}{{- end -}}
{{- end -}}
{{- /* 0 is a value; nothing is none. */ -}}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") -}}{{ .default }}{{- else -}}{{ toString $value }}{{- end -}}
{{- end -}}

{{/* A duration in whole seconds, rounded up. Takes a dict of "text" and "key". "unknown" if only the environment knows it. */}}
{{- define "bedrock-grpc.seconds" -}}
{{- $text := .text -}}
{{- if contains "${" $text -}}unknown
{{- else if eq $text "0" -}}0
{{- else if not (regexMatch "^[0-9]+(ms|s|m|h)$" $text) -}}
  {{- fail (printf "%s: %q is not a duration; write a number with a unit, such as 250ms, 30s, 10m or 2h" .key $text) -}}
{{- else -}}
  {{- $number := regexFind "^[0-9]+" $text | int64 -}}
  {{- $unit := regexFind "[a-z]+$" $text -}}
  {{- if eq $unit "ms" -}}{{ divf $number 1000 | ceil | int64 }}
  {{- else -}}{{ mul $number (get (dict "s" 1 "m" 60 "h" 3600) $unit) }}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A duration of the configuration, likewise. */}}
{{- define "bedrock-grpc.configSeconds" -}}
{{- include "bedrock-grpc.seconds" (dict "text" (include "bedrock-grpc.configValue" .) "key" (printf "config.%s" (join "." .path))) -}}
{{- end -}}

{{- define "bedrock-grpc.lameDuckSeconds" -}}
{{- include "bedrock-grpc.configSeconds" (dict "root" . "path" (list "drain" "lame_duck") "default" "5s") -}}
{{- end -}}

{{- define "bedrock-grpc.drainSeconds" -}}
{{- include "bedrock-grpc.configSeconds" (dict "root" . "path" (list "drain" "limit") "default" "10m") -}}
{{- end -}}

{{- define "bedrock-grpc.heartbeatSeconds" -}}
{{- include "bedrock-grpc.configSeconds" (dict "root" . "path" (list "limits" "heartbeat") "default" "20s") -}}
{{- end -}}

{{- define "bedrock-grpc.headersAfterSeconds" -}}
{{- include "bedrock-grpc.configSeconds" (dict "root" . "path" (list "limits" "headers_after") "default" "20s") -}}
{{- end -}}

{{/*
Fails if a load balancer would cut streams that are silent by right: until the headers, then between heartbeats.
Takes a dict of "root", "key" and "seconds", the silence that the load balancer bears.
*/}}
{{- define "bedrock-grpc.checkSilence" -}}
{{- $silences := dict "heartbeat" (include "bedrock-grpc.heartbeatSeconds" .root) "headers_after" (include "bedrock-grpc.headersAfterSeconds" .root) -}}
{{- if eq $silences.heartbeat "0" -}}
  {{- fail (printf "config.limits.heartbeat: 0 leaves silent streams to the load balancer, which cuts them after %s; HTTP/2 pings don't count there" .key) -}}
{{- end -}}
{{- range $limit := list "heartbeat" "headers_after" -}}
  {{- $silence := get $silences $limit -}}
  {{- if and (ne $silence "unknown") (ne $.seconds "unknown") (le (int64 $.seconds) (int64 $silence)) -}}
    {{- fail (printf "%s: %s s is not more than config.limits.%s, %s s: streams would be cut while Bedrock thinks" $.key $.seconds $limit $silence) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "bedrock-grpc.maxDeadlineSeconds" -}}
{{- include "bedrock-grpc.configSeconds" (dict "root" . "path" (list "limits" "max_deadline") "default" "1h") -}}
{{- end -}}

{{- define "bedrock-grpc.maxStreams" -}}
{{- $text := include "bedrock-grpc.configValue" (dict "root" . "path" (list "limits" "max_streams") "default" "1024") -}}
{{- if contains "${" $text -}}unknown{{- else -}}{{ $text | float64 | int64 }}{{- end -}}
{{- end -}}

{{/* Lame duck and drain limit together. */}}
{{- define "bedrock-grpc.wholeDrainSeconds" -}}
{{- $parts := list (include "bedrock-grpc.lameDuckSeconds" .) (include "bedrock-grpc.drainSeconds" .) -}}
{{- if has "unknown" $parts -}}unknown{{- else -}}{{ add (first $parts) (last $parts) }}{{- end -}}
{{- end -}}

{{- define "bedrock-grpc.gracePeriodSeconds" -}}
{{- $drain := include "bedrock-grpc.wholeDrainSeconds" . -}}
{{- $set := .Values.terminationGracePeriodSeconds -}}
{{- if ne $drain "unknown" -}}
  {{- $least := add .Values.preStop.sleepSeconds (int64 $drain) 10 -}}
  {{- if and $set (lt (int64 $set) $least) -}}
    {{- fail (printf "terminationGracePeriodSeconds: %d is too short: preStop.sleepSeconds + config.drain.lame_duck + config.drain.limit + 10 are %d; streams would be killed while they drain" (int64 $set) $least) -}}
  {{- end -}}
  {{- $set | default $least | int64 -}}
{{- else if $set -}}
  {{- int64 $set -}}
{{- else -}}
  {{- fail "terminationGracePeriodSeconds: must be set, since config.drain comes from the environment and the chart can't know it" -}}
{{- end -}}
{{- end -}}

{{/* The scale-down window: at least as long as a drain, as far as Kubernetes allows. */}}
{{- define "bedrock-grpc.scaleDownWindowSeconds" -}}
{{- $drain := include "bedrock-grpc.wholeDrainSeconds" . -}}
{{- $set := .Values.autoscaling.scaleDown.stabilizationWindowSeconds -}}
{{- if ne $drain "unknown" -}}
  {{- $least := min 3600 (int64 $drain) -}}
  {{- if and (not (kindIs "invalid" $set)) (lt (int64 $set) (int64 $least)) -}}
    {{- fail (printf "autoscaling.scaleDown.stabilizationWindowSeconds: %d is shorter than config.drain.lame_duck + config.drain.limit, %d: pods that drain would be replaced by new ones that drain" (int64 $set) (int64 $least)) -}}
  {{- end -}}
  {{- if kindIs "invalid" $set -}}{{ max 300 $least }}{{- else -}}{{ int64 $set }}{{- end -}}
{{- else if kindIs "invalid" $set -}}
  {{- fail "autoscaling.scaleDown.stabilizationWindowSeconds: must be set, since config.drain comes from the environment and the chart can't know it" -}}
{{- else -}}
  {{- int64 $set -}}
{{- end -}}
{{- end -}}

{{/* A port of the configuration. Takes a dict of "root", "path" and "default". */}}
{{- define "bedrock-grpc.configPort" -}}
{{- $address := include "bedrock-grpc.configValue" . -}}
{{- $key := join "." .path -}}
{{- $port := regexFind ":[0-9]+$" $address | trimPrefix ":" -}}
{{- if not $port -}}
  {{- fail (printf "config.%s: %q does not end in a port that the chart can read, such as 0.0.0.0%s" $key $address (regexFind ":[0-9]+$" .default)) -}}
{{- end -}}
{{- if regexMatch "^(127\\.|\\[::1\\])" $address -}}
  {{- fail (printf "config.%s: %s can't be reached from outside the pod; write 0.0.0.0:%s or [::]:%s" $key $address $port $port) -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{- define "bedrock-grpc.grpcPort" -}}
{{- include "bedrock-grpc.configPort" (dict "root" . "path" (list "listen") "default" "0.0.0.0:50051") -}}
{{- end -}}

{{- define "bedrock-grpc.adminPort" -}}
{{- include "bedrock-grpc.configPort" (dict "root" . "path" (list "admin" "listen") "default" "0.0.0.0:9090") -}}
{{- end -}}

{{/* The whole configuration, with the certificate's paths if the chart mounts it. */}}
{{- define "bedrock-grpc.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.tls.enabled -}}
  {{- $_ := set $config "tls" (dict "certificate_file" "/etc/bedrock-grpc/tls/tls.crt" "key_file" "/etc/bedrock-grpc/tls/tls.key") -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Where the endpoints of Bedrock's that the configuration names lead: the key and "host:port", one on a line. Not those that only the environment knows. */}}
{{- define "bedrock-grpc.endpoints" -}}
{{- range $key := list "endpoint_url" "control_endpoint_url" -}}
  {{- $url := include "bedrock-grpc.configValue" (dict "root" $ "path" (list "bedrock" $key) "default" "") -}}
  {{- if and $url (not (contains "${" $url)) -}}
    {{- $host := (urlParse $url).host -}}
    {{- if not (regexMatch ":[0-9]+$" $host) -}}
      {{- $host = printf "%s:%s" $host (hasPrefix "https:" $url | ternary "443" "80") -}}
    {{- end -}}
    {{- printf "%s %s\n" $key $host -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* What the chart reads from the service's own configuration, with the service's own defaults. */}}

{{/* The configuration as the operator wrote it, as YAML; nothing is an empty map. */}}
{{- define "bedrock-grpc.writtenConfig" -}}
{{- $config := .Values.config | default dict | deepCopy -}}
{{- include "bedrock-grpc.dropNulls" $config -}}
{{- /* Also with checkConfig false, the chart reads keys of these sections. */ -}}
{{- range $section := list "access" "admin" "bedrock" "callers" "drain" "groups" "limits" "targets" "tls" "traces" "usage_records" -}}
  {{- $value := get $config $section -}}
  {{- if not (or (kindIs "map" $value) (empty $value)) -}}
    {{- fail (printf "config.%s: must be a section with keys, got %v" $section $value) -}}
  {{- end -}}
{{- end -}}
{{- $endpoints := get ($config.bedrock | default dict) "endpoints" -}}
{{- if not (or (kindIs "map" $endpoints) (empty $endpoints)) -}}
  {{- fail (printf "config.bedrock.endpoints: must be a section with keys, got %v" $endpoints) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Removes the keys of a map, or of the maps in a list, that are null. A values file removes keys of others in this way, and the service refuses null. */}}
{{- define "bedrock-grpc.dropNulls" -}}
{{- range $key, $value := . -}}
  {{- if and (kindIs "invalid" $value) (kindIs "map" $) -}}
    {{- $_ := unset $ $key -}}
  {{- else if or (kindIs "map" $value) (kindIs "slice" $value) -}}
    {{- include "bedrock-grpc.dropNulls" $value -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A value of the configuration as text. Takes a dict of "root", "path" (a list of keys) and "default". */}}
{{- define "bedrock-grpc.configValue" -}}
{{- $value := .root.Values.config | default dict -}}
{{- range .path -}}
  {{- if kindIs "map" $value -}}{{- $value = get $value . -}}{{- else -}}{{- $value = "" -}}{{- end -}}
{{- end -}}
{{- /* 0 is a value; null is not. */ -}}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") -}}{{ .default }}{{- else -}}{{ include "bedrock-grpc.text" $value }}{{- end -}}
{{- end -}}

{{/* A duration in whole seconds, rounded up. Takes a dict of "text" and "key". "unknown" if it comes from the environment. */}}
{{- define "bedrock-grpc.seconds" -}}
{{- $text := .text -}}
{{- if contains "${" $text -}}unknown
{{- else if eq $text "0" -}}0
{{- else if not (regexMatch "^[0-9]{1,9}(ms|s|m|h)$" $text) -}}
  {{- fail (printf "%s: %q is not a duration; write a number with a unit, such as 250ms, 30s, 10m or 2h" .key $text) -}}
{{- else -}}
  {{- /* Without leading zeros, which Go reads as octal. */ -}}
  {{- $number := regexReplaceAll "^0+([0-9])" (regexFind "^[0-9]+" $text) "${1}" | int64 -}}
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
Fails if a load balancer would cut streams that are silent as expected: until the headers, then between heartbeats.
Takes a dict of "root", "key" and "seconds", the load balancer's limit for silence.
*/}}
{{- define "bedrock-grpc.checkSilence" -}}
{{- $silences := dict "heartbeat" (include "bedrock-grpc.heartbeatSeconds" .root) "headers_after" (include "bedrock-grpc.headersAfterSeconds" .root) -}}
{{- if eq $silences.heartbeat "0" -}}
  {{- fail (printf "config.limits.heartbeat: with 0, the load balancer cuts silent streams after %s, since it ignores HTTP/2 pings; set a heartbeat" .key) -}}
{{- end -}}
{{- range $limit := list "heartbeat" "headers_after" -}}
  {{- $silence := get $silences $limit -}}
  {{- if and (ne $silence "unknown") (ne $.seconds "unknown") (le (int64 $.seconds) (int64 $silence)) -}}
    {{- fail (printf "%s: %s s is not more than config.limits.%s, %s s: the load balancer would close streams while Bedrock is silent" $.key $.seconds $limit $silence) -}}
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
  {{- $sleep := max (int64 .Values.preStop.sleepSeconds) ((((.Values.lifecycle | default dict).preStop | default dict).sleep | default dict).seconds | default 0 | int64) -}}
  {{- $least := add $sleep (int64 $drain) 10 -}}
  {{- if and $set (lt (int64 $set) $least) -}}
    {{- fail (printf "terminationGracePeriodSeconds: %d is too short: preStop.sleepSeconds + config.drain.lame_duck + config.drain.limit + 10 are %d; Kubernetes would kill the pod while streams drain" (int64 $set) $least) -}}
  {{- end -}}
  {{- $set | default $least | int64 -}}
{{- else if $set -}}
  {{- int64 $set -}}
{{- else -}}
  {{- fail "terminationGracePeriodSeconds: must be set, because config.drain comes from the environment, which the chart can't read" -}}
{{- end -}}
{{- end -}}

{{/* The scale-down window: at least as long as a drain, as far as Kubernetes allows. */}}
{{- define "bedrock-grpc.scaleDownWindowSeconds" -}}
{{- $drain := include "bedrock-grpc.wholeDrainSeconds" . -}}
{{- $set := .Values.autoscaling.scaleDown.stabilizationWindowSeconds -}}
{{- if ne $drain "unknown" -}}
  {{- $least := min 3600 (int64 $drain) -}}
  {{- if and (not (kindIs "invalid" $set)) (lt (int64 $set) (int64 $least)) -}}
    {{- fail (printf "autoscaling.scaleDown.stabilizationWindowSeconds: %d is shorter than config.drain.lame_duck + config.drain.limit, %d: load that returns would start new pods while the old ones still drain" (int64 $set) (int64 $least)) -}}
  {{- end -}}
  {{- if kindIs "invalid" $set -}}{{ max 300 $least }}{{- else -}}{{ int64 $set }}{{- end -}}
{{- else if kindIs "invalid" $set -}}
  {{- fail "autoscaling.scaleDown.stabilizationWindowSeconds: must be set, because config.drain comes from the environment, which the chart can't read" -}}
{{- else -}}
  {{- int64 $set -}}
{{- end -}}
{{- end -}}

{{/* A port of the configuration. Takes a dict of "root", "path" and "default". */}}
{{- define "bedrock-grpc.configPort" -}}
{{- $address := include "bedrock-grpc.configValue" . -}}
{{- $key := join "." .path -}}
{{- $port := regexReplaceAll "^0+([0-9])" (regexFind ":[0-9]+$" $address | trimPrefix ":") "${1}" -}}
{{- if or (not $port) (gt (int64 $port) 65535) (lt (int64 $port) 1) -}}
  {{- fail (printf "config.%s: %q does not end in a port from 1 to 65535, such as 0.0.0.0%s; the chart can't read it from the environment" $key $address (regexFind ":[0-9]+$" .default)) -}}
{{- end -}}
{{- if regexMatch "^(127\\.|\\[[0:]*:0*1\\]|\\[[0:]*:ffff:(127\\.|7f))" (lower $address) -}}
  {{- fail (printf "config.%s: %s can't be reached from outside the pod; write 0.0.0.0:%s or [::]:%s" $key $address $port $port) -}}
{{- end -}}
{{- /* A pod's own address is known only when it runs. */ -}}
{{- if not (regexMatch "^(0\\.0\\.0\\.0|\\[(0{1,4}(:0{1,4})*)?::(0{1,4}(:0{1,4})*)?\\]|\\[(0{1,4}:){7}0{1,4}\\]|\\$\\{.*\\}|):[0-9]+$" $address) -}}
  {{- fail (printf "config.%s: %q is not an address that every pod has; write 0.0.0.0:%s or [::]:%s" $key $address $port $port) -}}
{{- end -}}
{{- int64 $port -}}
{{- end -}}

{{- define "bedrock-grpc.grpcPort" -}}
{{- include "bedrock-grpc.configPort" (dict "root" . "path" (list "listen") "default" "0.0.0.0:50051") -}}
{{- end -}}

{{- define "bedrock-grpc.adminPort" -}}
{{- include "bedrock-grpc.configPort" (dict "root" . "path" (list "admin" "listen") "default" "0.0.0.0:9090") -}}
{{- end -}}

{{/* "true" if the gRPC port serves TLS: with the chart's Secret, or with files that `config.tls` names. */}}
{{- define "bedrock-grpc.servesTls" -}}
{{- if or .Values.tls.enabled (.Values.config | default dict).tls -}}true{{- end -}}
{{- end -}}

{{/* The whole configuration, with the paths of what the chart mounts. */}}
{{- define "bedrock-grpc.config" -}}
{{- $config := include "bedrock-grpc.writtenConfig" . | fromYaml -}}
{{- if .Values.tls.enabled -}}
  {{- $tls := dict "certificate_file" "/etc/bedrock-grpc/tls/tls.crt" "key_file" "/etc/bedrock-grpc/tls/tls.key" -}}
  {{- with .Values.tls.clients.caKey -}}
    {{- $_ := set $tls "client_ca_file" (printf "/etc/bedrock-grpc/tls/%s" .) -}}
    {{- $_ := set $tls "client_auth" ($.Values.tls.clients.required | ternary "required" "optional") -}}
  {{- end -}}
  {{- $_ := set $config "tls" $tls -}}
{{- end -}}
{{- if include "bedrock-grpc.hasLimitsStore" . -}}
  {{- $_ := set $config "limits" (include "bedrock-grpc.limitsWithStore" . | fromYaml) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/*
The part of the configuration that replaces the pods when it changes. With `reloadConfig`: the keys that the service can't change while it runs, which a
test compares with the service, and the names of variables, because a running pod does not see new ones. Without it: the whole configuration.
*/}}
{{- define "bedrock-grpc.configForPods" -}}
{{- if .Values.reloadConfig -}}
  {{- $config := include "bedrock-grpc.config" . | fromYaml -}}
  {{- $chosen := dict -}}
  {{- range $path := .Files.Get "files/restart-keys.json" | fromJsonArray -}}
    {{- $at := dict "value" $config "found" true -}}
    {{- range $key := splitList "." $path -}}
      {{- if and $at.found (kindIs "map" $at.value) (hasKey $at.value $key) -}}
        {{- $_ := set $at "value" (get $at.value $key) -}}
      {{- else -}}
        {{- $_ := set $at "found" false -}}
      {{- end -}}
    {{- end -}}
    {{- if $at.found -}}{{- $_ := set $chosen $path $at.value -}}{{- end -}}
  {{- end -}}
  {{- $variables := regexFindAll "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-|\\})" (toYaml $config) -1 | uniq | sortAlpha -}}
  {{- toYaml (dict "keys" $chosen "variables" $variables) -}}
{{- else -}}
  {{- include "bedrock-grpc.config" . -}}
{{- end -}}
{{- end -}}

{{/* "true" if the gateway gets the keys of service accounts from the API server, with its pod's own token. */}}
{{- define "bedrock-grpc.asksApiServer" -}}
{{- $kubernetes := get (get (include "bedrock-grpc.writtenConfig" . | fromYaml) "access" | default dict) "kubernetes" -}}
{{- $file := "/var/run/secrets/kubernetes.io/serviceaccount/token" -}}
{{- if and (kindIs "map" $kubernetes) (not (get $kubernetes "issuer")) (eq (get $kubernetes "token_file" | default $file) $file) -}}true{{- end -}}
{{- end -}}

{{/*
Where the endpoints lead that the configuration and `extraEnv` name: "PATH HOST PORT", one on a line. Not those that only a Secret or ConfigMap knows.
New keys that name an endpoint belong here: network policies open the way to each of them, or are rejected.
*/}}
{{- define "bedrock-grpc.endpoints" -}}
{{- $urls := list -}}
{{- range $path := list (list "bedrock" "endpoint_url") (list "bedrock" "control_endpoint_url") (list "traces" "otlp_endpoint") (list "usage_records" "otlp_endpoint") -}}
  {{- $urls = append $urls (list (printf "config.%s" (join "." $path)) (include "bedrock-grpc.configValue" (dict "root" $ "path" $path "default" ""))) -}}
{{- end -}}
{{- $bedrock := get (include "bedrock-grpc.writtenConfig" . | fromYaml) "bedrock" | default dict -}}
{{- range $region := keys (get $bedrock "endpoints" | default dict) | sortAlpha -}}
  {{- range $key := list "endpoint_url" "control_endpoint_url" -}}
    {{- $path := list "bedrock" "endpoints" $region $key -}}
    {{- $urls = append $urls (list (printf "config.%s" (join "." $path)) (include "bedrock-grpc.configValue" (dict "root" $ "path" $path "default" ""))) -}}
  {{- end -}}
{{- end -}}
{{- $access := get (include "bedrock-grpc.writtenConfig" . | fromYaml) "access" | default dict -}}
{{- range $key := list "issuer" "jwks_url" "api_server" -}}
  {{- $path := list "access" "kubernetes" $key -}}
  {{- $urls = append $urls (list (printf "config.%s" (join "." $path)) (include "bedrock-grpc.configValue" (dict "root" $ "path" $path "default" ""))) -}}
{{- end -}}
{{- range $i, $issuer := get $access "jwt" | default list -}}
  {{- /* With the keys in a file, nothing is fetched. */ -}}
  {{- if and (kindIs "map" $issuer) (not (get $issuer "jwks_file")) -}}
    {{- $key := empty (get $issuer "jwks_url") | ternary "issuer" "jwks_url" -}}
    {{- $urls = append $urls (list (printf "config.access.jwt[%d].%s" $i $key) (get $issuer $key | default "" | toString)) -}}
  {{- end -}}
{{- end -}}
{{- range $i, $variable := .Values.extraEnv -}}
  {{- if and (regexMatch "^(AWS_ENDPOINT_URL.*|AWS_CONTAINER_CREDENTIALS_FULL_URI|[Aa][Ll][Ll]_[Pp][Rr][Oo][Xx][Yy]|OTEL_EXPORTER_OTLP(_TRACES)?_ENDPOINT|[Hh][Tt][Tt][Pp][Ss]?_[Pp][Rr][Oo][Xx][Yy])$" $variable.name) $variable.value -}}
    {{- $urls = append $urls (list (printf "extraEnv[%d]" $i) $variable.value) -}}
  {{- end -}}
{{- end -}}
{{- range $each := $urls -}}
  {{- /* Variables have their defaults, or what `extraEnv` says. */ -}}
  {{- $url := last $each -}}
  {{- range $.Values.extraEnv -}}
    {{- if .value -}}{{- $url = regexReplaceAllLiteral (printf "\\$\\{%s(:-[^}]*)?\\}" (.name | replace "." "\\.")) $url (toString .value) -}}{{- end -}}
  {{- end -}}
  {{- $url = regexReplaceAll "\\$\\{[^}:]*:-([^}]*)\\}" $url "${1}" -}}
  {{- if and $url (not (contains "${" $url)) -}}
    {{- $authority := regexReplaceAll "^[a-zA-Z][a-zA-Z0-9+.-]*://" $url "" | regexFind "^[^/?#]*" | regexFind "[^@]*$" -}}
    {{- $port := regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (hasPrefix "https:" $url | ternary "443" "80") -}}
    {{- printf "%s %s %s\n" (first $each) (regexReplaceAll ":[0-9]+$" $authority "" | trimPrefix "[" | trimSuffix "]") $port -}}
  {{- end -}}
{{- end -}}
{{- with include "bedrock-grpc.limitsStoreEndpoint" . -}}{{- printf "%s\n" . -}}{{- end -}}
{{- end -}}

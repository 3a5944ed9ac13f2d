{{/* The store of limits that replicas share: what the chart adds to `config.limits`, and what pods and network policies need for it. */}}

{{/* "true" if the counts of limits are in a store that replicas share. */}}
{{- define "bedrock-grpc.hasLimitsStore" -}}
{{- $store := get (get (include "bedrock-grpc.writtenConfig" . | fromYaml) "limits" | default dict) "store" -}}
{{- if and $store (ne (toString $store) "memory") -}}true{{- end -}}
{{- end -}}

{{/* The store's URL as it is written, in whichever form. */}}
{{- define "bedrock-grpc.limitsStoreUrl" -}}
{{- $store := get (get (include "bedrock-grpc.writtenConfig" . | fromYaml) "limits" | default dict) "store" -}}
{{- if kindIs "map" $store -}}{{- get $store "url" | default "" -}}{{- else -}}{{- $store | default "" -}}{{- end -}}
{{- end -}}

{{/* Where the store is: "PATH HOST PORT". Nothing if only the environment knows. */}}
{{- define "bedrock-grpc.limitsStoreEndpoint" -}}
{{- $url := include "bedrock-grpc.limitsStoreUrl" . -}}
{{- if regexMatch "^(rediss?|valkeys?)://" $url -}}
  {{- /* A password can contain any character: the last @ ends it. */ -}}
  {{- $address := regexReplaceAll "^[a-z]+://(.*@)?" $url "" | regexFind "^[^/]*" -}}
  {{- if and $address (not (contains "${" $address)) -}}
    {{- $port := regexFind ":[0-9]+$" $address | trimPrefix ":" | default "6379" -}}
    {{- $host := regexReplaceAll ":[0-9]+$" $address "" | trimPrefix "[" | trimSuffix "]" -}}
    {{- if regexMatch "^[A-Za-z0-9._:-]+$" $host -}}
      {{- printf "config.limits.store %s %s" $host $port -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The most pods that run at a time, surges of updates apart. */}}
{{- define "bedrock-grpc.mostPods" -}}
{{- max 1 (or .Values.autoscaling.enabled .Values.keda.enabled | ternary .Values.autoscaling.maxReplicas .Values.replicaCount | int64) -}}
{{- end -}}

{{/* What the chart adds to `config.limits`, as YAML: the Secret's files, and by how many pods `local` divides limits. */}}
{{- define "bedrock-grpc.limitsWithStore" -}}
{{- $limits := get (include "bedrock-grpc.writtenConfig" . | fromYaml) "limits" -}}
{{- $secret := .Values.limitsStore -}}
{{- if $secret.existingSecret -}}
  {{- $store := get $limits "store" -}}
  {{- if not (kindIs "map" $store) -}}{{- $store = dict "url" $store -}}{{- end -}}
  {{- if $secret.passwordKey -}}{{- $_ := set $store "password_file" (printf "/etc/bedrock-grpc/limits-store/%s" $secret.passwordKey) -}}{{- end -}}
  {{- if $secret.caKey -}}{{- $_ := set $store "ca_file" (printf "/etc/bedrock-grpc/limits-store/%s" $secret.caKey) -}}{{- end -}}
  {{- if $secret.usernameKey -}}{{- $_ := set $store "username" "${LIMITS_STORE_USERNAME}" -}}{{- end -}}
  {{- $_ := set $limits "store" $store -}}
{{- end -}}
{{- if and (not (hasKey $limits "replicas")) (eq (get $limits "on_store_failure" | default "local" | toString) "local") -}}
  {{- $_ := set $limits "replicas" (include "bedrock-grpc.mostPods" . | int64) -}}
{{- end -}}
{{- toYaml $limits -}}
{{- end -}}

{{- define "bedrock-grpc.checkLimitsStore" -}}
{{- $v := .Values -}}
{{- $secret := $v.limitsStore -}}
{{- $store := get (get (include "bedrock-grpc.writtenConfig" . | fromYaml) "limits" | default dict) "store" -}}
{{- if $secret.existingSecret -}}
  {{- if not (include "bedrock-grpc.hasLimitsStore" .) -}}
    {{- fail "limitsStore.existingSecret: has no effect without config.limits.store; write its URL there, such as rediss://redis.example.com:6379, or remove this" -}}
  {{- end -}}
  {{- if not (or $secret.passwordKey $secret.caKey) -}}
    {{- fail "limitsStore.passwordKey: it or limitsStore.caKey must name a key of limitsStore.existingSecret" -}}
  {{- end -}}
  {{- $keys := dict "username" $secret.usernameKey "password_file" $secret.passwordKey "password" $secret.passwordKey "ca_file" $secret.caKey -}}
  {{- if kindIs "map" $store -}}
    {{- range $key, $from := $keys -}}
      {{- if and $from (hasKey $store $key) -}}
        {{- fail (printf "config.limits.store.%s: the chart takes it from limitsStore.existingSecret; remove it" $key) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $url := include "bedrock-grpc.limitsStoreUrl" . -}}
  {{- $user := regexFind "://.*@" $url -}}
  {{- if and $secret.passwordKey (contains ":" ($user | trimPrefix "://")) -}}
    {{- fail "config.limits.store: its URL has a password, and the chart takes it from limitsStore.existingSecret; remove it from the URL" -}}
  {{- end -}}
  {{- if and $secret.usernameKey $user -}}
    {{- fail "config.limits.store: its URL has a user, and the chart takes it from limitsStore.existingSecret; remove it from the URL" -}}
  {{- end -}}
  {{- if and $secret.usernameKey (eq $secret.usernameKey $secret.passwordKey) -}}
    {{- fail "limitsStore.usernameKey: is the same key as limitsStore.passwordKey; name the key that holds the user" -}}
  {{- end -}}
  {{- if and $secret.usernameKey (not $secret.passwordKey) -}}
    {{- fail "limitsStore.passwordKey: required with limitsStore.usernameKey" -}}
  {{- end -}}
  {{- if and $secret.caKey (not (regexMatch "^(rediss://|valkeys://|\\$\\{)" $url)) -}}
    {{- fail "limitsStore.caKey: needs TLS; begin the URL in config.limits.store with rediss://" -}}
  {{- end -}}
{{- else -}}
  {{- range $key := list "usernameKey" "caKey" -}}
    {{- if get $secret $key -}}
      {{- fail (printf "limitsStore.%s: has no effect while limitsStore.existingSecret is empty; set that, or remove it" $key) -}}
    {{- end -}}
  {{- end -}}
  {{- if ne $secret.passwordKey "password" -}}
    {{- fail "limitsStore.passwordKey: has no effect while limitsStore.existingSecret is empty; set that, or remove it" -}}
  {{- end -}}
{{- end -}}
{{- include "bedrock-grpc.checkPeers" (dict "path" "limitsStore.networkPolicyTo" "peers" $secret.networkPolicyTo) -}}
{{- if and $secret.networkPolicyTo (not (and $v.networkPolicy.enabled (include "bedrock-grpc.limitsStoreEndpoint" .))) -}}
  {{- fail "limitsStore.networkPolicyTo: has no effect without networkPolicy.enabled and a host in config.limits.store; set both, or remove it" -}}
{{- end -}}
{{- $where := include "bedrock-grpc.limitsStoreEndpoint" . | splitList " " -}}
{{- if and $secret.networkPolicyTo (eq (len $where) 3) -}}
  {{- if not (include "bedrock-grpc.mayReach" (list $secret.networkPolicyTo (index $where 1))) -}}
    {{- fail (printf "limitsStore.networkPolicyTo: must have the address of config.limits.store, %s; add its range, or remove this" (index $where 1)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Alerts on the store. */}}
{{- define "bedrock-grpc.alertsOnLimitsStore" -}}
{{- $pods := include "bedrock-grpc.promSelector" . -}}
{{- if include "bedrock-grpc.hasLimitsStore" . }}
- alert: BedrockGrpcLimitsStoreDown
  {{- $without := include "bedrock-grpc.risen" (dict "metric" "bedrock_grpc_limit_store_without_total" "selector" $pods "window" "5m") }}
  {{- $asked := include "bedrock-grpc.risen" (dict "metric" "bedrock_grpc_limit_store_seconds_count" "selector" (printf `%s, step="reserve"` $pods) "window" "5m") }}
  # No connection, or an open circuit breaker, most of the time; or one call in twenty is decided
  # without the store.
  expr: |-
    avg by (pod) (avg_over_time(bedrock_grpc_limit_store_available{ {{- $pods -}} }[5m])) < 0.5
      or
    sum by (pod) ({{ $without }}) / (sum by (pod) ({{ $without }}) + sum by (pod) ({{ $asked }})) > 0.05
  for: 2m
  {{- $policy := include "bedrock-grpc.configValue" (dict "root" . "path" (list "limits" "on_store_failure") "default" "local") }}
  severity: {{ eq $policy "deny" | ternary "critical" "warning" }}
  summary: {{ printf "{{ $labels.pod }} cannot use the store of limits" | quote }}
  description: {{ printf "on_store_failure is %s. Calls that are not counted now are charged when the store is back. The log and bedrock_grpc_limit_store_failures_total have the reason." $policy | quote }}
- alert: BedrockGrpcLimitsStoreEviction
  expr: max(bedrock_grpc_limit_store_evicts{ {{- $pods -}} }) > 0
  for: 5m
  severity: warning
  summary: The store of limits can evict counts
  description: Its memory is bounded and its maxmemory-policy evicts keys without a TTL, so budgets can start at zero again. Set the policy to noeviction.
{{- end }}
{{- end -}}

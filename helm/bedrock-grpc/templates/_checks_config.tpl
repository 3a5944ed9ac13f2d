{{/* The service's configuration: what its schema alone can't tell. */}}
{{- define "bedrock-grpc.checkConfig" -}}
{{- $v := .Values -}}
{{- $config := include "bedrock-grpc.writtenConfig" . | fromYaml -}}
{{- include "bedrock-grpc.checkTexts" (dict "root" . "value" $config "path" "config") -}}
{{- if $v.checkConfig -}}
  {{- include "bedrock-grpc.checkKeys" (dict "value" $config "keys" (.Files.Get "files/config-keys.json" | fromJson) "path" "config") -}}
  {{- include "bedrock-grpc.checkTargets" . -}}
  {{- include "bedrock-grpc.checkCallers" . -}}
  {{- include "bedrock-grpc.checkCredentials" . -}}
  {{- include "bedrock-grpc.checkKeysAndFences" . -}}
  {{- include "bedrock-grpc.checkIssuers" . -}}
  {{- include "bedrock-grpc.checkAllowedTargets" . -}}
  {{- include "bedrock-grpc.checkQuotas" . -}}
  {{- $limits := $config.limits | default dict -}}
  {{- if and (kindIs "map" $limits.drain_for_usage) (kindIs "invalid" $limits.on_cancel) -}}
    {{- fail "config.limits.drain_for_usage: has no effect without config.limits.on_cancel; set that to drain_for_usage, or remove this section" -}}
  {{- end -}}
{{- end -}}
{{- /* Durations are read whether or not anything here needs them. */ -}}
{{- $_ := list (include "bedrock-grpc.heartbeatSeconds" .) (include "bedrock-grpc.headersAfterSeconds" .) (include "bedrock-grpc.gracePeriodSeconds" .) -}}
{{- range splitList "," (include "bedrock-grpc.configValue" (dict "root" . "path" (list "log" "level") "default" "info")) -}}
  {{- if not (or (contains "=" .) (contains "${" .) (has (lower (trim .)) (list "off" "error" "warn" "info" "debug" "trace"))) -}}
    {{- fail (printf "config.log.level: %q is not a level, and would switch off most of the log; write error, warn, info, debug or trace, and filters as in h2=debug" (trim .)) -}}
  {{- end -}}
{{- end -}}
{{- $longest := include "bedrock-grpc.maxDeadlineSeconds" . -}}
{{- $deadline := include "bedrock-grpc.configSeconds" (dict "root" . "path" (list "limits" "default_deadline") "default" "10m") -}}
{{- if and (ne $longest "unknown") (ne $deadline "unknown") (gt (int64 $deadline) (int64 $longest)) -}}
  {{- fail (printf "config.limits.default_deadline: %s s (default 10m) is longer than config.limits.max_deadline, %s s; lower it, too" $deadline $longest) -}}
{{- end -}}
{{- $container := $v.securityContext | default dict -}}
{{- $user := hasKey $container "runAsUser" | ternary $container.runAsUser ($v.podSecurityContext | default dict).runAsUser -}}
{{- $least := 1024 -}}
{{- range ($v.podSecurityContext | default dict).sysctls -}}
  {{- if eq .name "net.ipv4.ip_unprivileged_port_start" -}}{{- $least = int64 .value -}}{{- end -}}
{{- end -}}
{{- /* NET_BIND_SERVICE is of no use: users other than root get it only with the file, and the image's file does not have it. */ -}}
{{- if not (and (not (kindIs "invalid" $user)) (eq (int64 $user) 0)) -}}
  {{- range $key, $port := dict "listen" (include "bedrock-grpc.grpcPort" .) "admin.listen" (include "bedrock-grpc.adminPort" .) -}}
    {{- if lt (int64 $port) $least -}}
      {{- fail (printf "config.%s: users other than root can't open port %s everywhere; use one from %d. Clients use service.port, which can be any port" $key $port $least) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq (include "bedrock-grpc.grpcPort" .) (include "bedrock-grpc.adminPort" .) -}}
  {{- fail "config.admin.listen: has the same port as config.listen" -}}
{{- end -}}
{{- end -}}

{{/* Targets that refer to each other, and keys that exclude each other. */}}
{{- define "bedrock-grpc.checkTargets" -}}
{{- $targets := (.Values.config | default dict).targets | default dict -}}
{{- $accounts := (.Values.config | default dict).accounts | default dict -}}
{{- range $name, $target := $targets -}}
  {{- if kindIs "map" $target -}}
    {{- $path := printf "config.targets.%s" $name -}}
    {{- $fallback := $target.fallback -}}
    {{- if and $fallback (not (contains "${" (toString $fallback))) -}}
      {{- if not (hasKey $targets (toString $fallback)) -}}
        {{- fail (printf "%s.fallback: unknown target %s; %s" $path $fallback (include "bedrock-grpc.nearest" (dict "key" (toString $fallback) "known" (without (keys $targets | sortAlpha) $name)))) -}}
      {{- end -}}
      {{- $next := dict "name" (toString $fallback) "seen" (list $name) -}}
      {{- range $_ := $targets -}}
        {{- if $next.name -}}
          {{- if has $next.name $next.seen -}}
            {{- fail (printf "%s.fallback: the fallbacks form a cycle: %s; remove one of them" $path (join " -> " (append $next.seen $next.name))) -}}
          {{- end -}}
          {{- $following := get $targets $next.name | default dict -}}
          {{- $_ := set $next "seen" (append $next.seen $next.name) -}}
          {{- $_ := set $next "name" (and (kindIs "map" $following) (hasKey $targets (toString $following.fallback)) | ternary (toString $following.fallback) "") -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- range $i, $route := prepend ($target.routes | default list) $target -}}
      {{- if kindIs "map" $route -}}
        {{- $where := printf "%s%s" $path (eq $i 0 | ternary "" (printf ".routes[%d]" (sub $i 1))) -}}
        {{- if and $route.account $route.accounts -}}
          {{- fail (printf "%s.accounts: set either account or accounts, not both" $where) -}}
        {{- end -}}
        {{- range $account := concat (empty $route.account | ternary list (list $route.account)) ($route.accounts | default list) -}}
          {{- if not (or (hasKey $accounts (toString $account)) (contains "${" (toString $account))) -}}
            {{- fail (printf "%s.%s: unknown account %v; add it to config.accounts" $where (empty $route.account | ternary "accounts" "account") $account) -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
      {{- if and (kindIs "map" $route) $route.region $route.regions -}}
        {{- fail (printf "%s%s.regions: set either region or regions, not both" $path (eq $i 0 | ternary "" (printf ".routes[%d]" (sub $i 1)))) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Callers that belong to groups which do not exist. */}}
{{- define "bedrock-grpc.checkCallers" -}}
{{- $config := .Values.config | default dict -}}
{{- $groups := $config.groups | default dict -}}
{{- range $name, $caller := $config.callers -}}
  {{- range $i, $group := ($caller | default dict).groups -}}
    {{- if not (or (hasKey $groups (toString $group)) (contains "${" (toString $group))) -}}
      {{- fail (printf "config.callers.%s.groups[%d]: unknown group %v; add it to config.groups" $name $i $group) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Keys that two callers have, and fences that name no place. */}}
{{- define "bedrock-grpc.checkKeysAndFences" -}}
{{- $config := .Values.config | default dict -}}
{{- $seen := dict -}}
{{- range $name, $caller := $config.callers -}}
  {{- range $i, $key := ($caller | default dict).keys -}}
    {{- $path := printf "config.callers.%s.keys[%d].sha256" $name $i -}}
    {{- $hash := lower (toString ($key | default dict).sha256) -}}
    {{- if hasKey $seen $hash -}}
      {{- fail (printf "%s: is at %s already; create another key with `bedrock-grpc keys new`" $path (get $seen $hash)) -}}
    {{- end -}}
    {{- $_ := set $seen $hash $path -}}
  {{- end -}}
{{- end -}}
{{- include "bedrock-grpc.checkFence" (dict "fence" $config.only "path" "config.only" "targets" ($config.targets | default dict)) -}}
{{- range $name, $target := $config.targets | default dict -}}
  {{- if kindIs "map" $target -}}
    {{- include "bedrock-grpc.checkFence" (dict "fence" $target.only "path" (printf "config.targets.%s.only" $name) "targets" (dict $name $target)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* One fence, and the targets that it is for. Takes a dict of "fence", "path" and "targets". */}}
{{- define "bedrock-grpc.checkFence" -}}
{{- $path := .path -}}
{{- $geographies := list "us" "us-gov" "eu" "apac" "jp" "au" "in" "ca" "mx" "sa" "me" "il" "af" "global" -}}
{{- $only := kindIs "slice" .fence | ternary .fence list -}}
{{- range $i, $place := $only -}}
  {{- if not (or (has $place $geographies) (regexMatch "^([a-z0-9]+-){2,}[0-9]+$|\\$\\{" (toString $place))) -}}
    {{- fail (printf "%s[%d]: %v is neither a geography (%s) nor an AWS Region such as eu-west-1" $path $i $place (join ", " $geographies)) -}}
  {{- end -}}
{{- end -}}
{{- /* Profiles of geographies that no other one contains. The service checks all the others. */ -}}
{{- $plain := $only -}}
{{- range $only -}}{{- if not (has . (without $geographies "global")) -}}{{- $plain = list -}}{{- end -}}{{- end -}}
{{- range $name, $target := empty $plain | ternary dict .targets -}}
  {{- range $i, $route := prepend ($target.routes | default list) $target -}}
    {{- $prefix := regexFind "^(us|us-gov|eu)\\." (toString $route.model_id) | trimSuffix "." -}}
    {{- if and $prefix (not (has $prefix $plain)) -}}
      {{- fail (printf "config.targets.%s%s.model_id: %s may be served in all of %s, outside of %s, %s; use another profile, or add %s there" $name (eq $i 0 | ternary "" (printf ".routes[%d]" (sub $i 1))) $route.model_id $prefix $path (join ", " $plain) $prefix) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Service accounts and certificates of callers, which need a part that vouches for them, and of which each belongs to one caller. */}}
{{- define "bedrock-grpc.checkCredentials" -}}
{{- $config := .Values.config | default dict -}}
{{- $needs := dict
      "service_accounts" (list (($config.access | default dict).kubernetes) "config.access.kubernetes, the cluster whose tokens are accepted")
      "certificates" (list (or .Values.tls.clients.caKey (($config.tls | default dict).client_ca_file)) "tls.clients.caKey, the authorities whose client certificates are accepted") -}}
{{- range $key, $need := $needs -}}
  {{- $seen := dict -}}
  {{- range $name, $caller := $config.callers -}}
    {{- range $i, $value := get ($caller | default dict) $key | default list -}}
      {{- $path := printf "config.callers.%s.%s[%d]" $name $key $i -}}
      {{- if not (first $need) -}}
        {{- fail (printf "%s: needs %s" $path (last $need)) -}}
      {{- end -}}
      {{- if hasKey $seen (toString $value) -}}
        {{- fail (printf "%s: %v is already listed at %s; remove one of them" $path $value (get $seen (toString $value))) -}}
      {{- end -}}
      {{- $_ := set $seen (toString $value) $path -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Issuers of tokens: where their keys come from. */}}
{{- define "bedrock-grpc.checkIssuers" -}}
{{- $access := (.Values.config | default dict).access | default dict -}}
{{- if and (eq (toString $access.required) "true") (not (include "bedrock-grpc.hasCredentials" .)) -}}
  {{- fail "config.access.required: no caller can have a credential, so the service would not start; add config.callers, config.access.keys_file, config.access.jwt, config.access.kubernetes or tls.clients.caKey" -}}
{{- end -}}
{{- $secure := "^https://.|^http://(localhost|127\\.[0-9.]+|\\[::1\\])([:/]|$)|\\$\\{" -}}
{{- $seen := dict -}}
{{- range $i, $issuer := $access.jwt | default list -}}
  {{- $path := printf "config.access.jwt[%d]" $i -}}
  {{- if and $issuer.jwks_file (or $issuer.jwks_url $issuer.ca_file) -}}
    {{- fail (printf "%s.jwks_file: can't be combined with jwks_url or ca_file: the keys are either in a file or fetched" $path) -}}
  {{- end -}}
  {{- if not (or $issuer.jwks_url $issuer.jwks_file (regexMatch $secure (toString $issuer.issuer))) -}}
    {{- fail (printf "%s.issuer: the keys of %v can't be discovered, because it is not an https:// URL; set jwks_url or jwks_file" $path $issuer.issuer) -}}
  {{- end -}}
  {{- if hasKey $seen (toString $issuer.issuer) -}}
    {{- fail (printf "%s.issuer: %v is listed twice; remove one of the entries" $path $issuer.issuer) -}}
  {{- end -}}
  {{- $_ := set $seen (toString $issuer.issuer) true -}}
{{- end -}}
{{- with $access.kubernetes -}}
  {{- if and .issuer (or .api_server .token_file) -}}
    {{- fail "config.access.kubernetes.issuer: can't be combined with api_server or token_file: the keys come either from the issuer or from the API server" -}}
  {{- end -}}
  {{- if and .jwks_url (not .issuer) -}}
    {{- fail "config.access.kubernetes.jwks_url: needs issuer, the value of the tokens' `iss`" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Patterns of the targets that callers and groups may use: each must match one. */}}
{{- define "bedrock-grpc.checkAllowedTargets" -}}
{{- $config := .Values.config | default dict -}}
{{- $targets := $config.targets | default dict -}}
{{- range $section := list "callers" "groups" -}}
  {{- range $name, $member := get $config $section | default dict -}}
    {{- if and ($member | default dict).allowed_model_ids (not $config.allowed_model_ids) -}}
      {{- fail (printf "config.%s.%s.allowed_model_ids[0]: this list only narrows config.allowed_model_ids, which is empty; add the pattern there, too" $section $name) -}}
    {{- end -}}
    {{- range $i, $pattern := ($member | default dict).targets -}}
      {{- $pattern = toString $pattern -}}
      {{- if not (or (eq $pattern "*") (contains "${" $pattern)) -}}
        {{- $found := dict -}}
        {{- if regexMatch "^[A-Za-z0-9_*-]+$" $pattern -}}
          {{- range $target := keys $targets -}}
            {{- if regexMatch (printf "^%s$" (replace "*" ".*" $pattern)) $target -}}{{- $_ := set $found "one" true -}}{{- end -}}
          {{- end -}}
        {{- end -}}
        {{- if not $found -}}
          {{- fail (printf "config.%s.%s.targets[%d]: %s matches no target; %s" $section $name $i $pattern (include "bedrock-grpc.nearest" (dict "key" $pattern "known" (keys $targets | sortAlpha)))) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Daily and monthly limits, which need a place for their counts, and those of money, which need prices. */}}
{{- define "bedrock-grpc.checkQuotas" -}}
{{- $config := .Values.config | default dict -}}
{{- $limits := $config.limits | default dict -}}
{{- $store := $limits.store -}}
{{- range $key := list "on_store_failure" "replicas" -}}
  {{- if and (hasKey $limits $key) (or (not $store) (eq (toString $store) "memory")) -}}
    {{- fail (printf "config.limits.%s: needs a store that replicas share, such as `store: rediss://HOST`" $key) -}}
  {{- end -}}
{{- end -}}
{{- if and (hasKey $limits "replicas") (not (has (toString ($limits.on_store_failure | default "local")) (list "local"))) (not (contains "${" (toString $limits.on_store_failure))) -}}
  {{- fail "config.limits.replicas: has no effect without `on_store_failure: local`; remove it" -}}
{{- end -}}
{{- $replicas := include "bedrock-grpc.text" ($limits.replicas | default 0) -}}
{{- if and (regexMatch "^[1-9][0-9]*$" $replicas) (lt (int64 $replicas) (include "bedrock-grpc.mostPods" . | int64)) -}}
  {{- fail (printf "config.limits.replicas: %s is less than the number of pods, %s, which would together allow more than the limits; remove it, the chart sets it" $replicas (include "bedrock-grpc.mostPods" .)) -}}
{{- end -}}
{{- range $section := list "callers" "groups" "targets" -}}
  {{- range $name, $member := get $config $section | default dict -}}
    {{- $limits := (kindIs "map" $member | ternary $member dict).limits | default dict -}}
    {{- range $key := list "tokens_per_day" "tokens_per_month" "usd_per_day" "usd_per_month" -}}
      {{- if get $limits $key -}}
        {{- $path := printf "config.%s.%s.limits.%s" $section $name $key -}}
        {{- if not $store -}}
          {{- fail (printf "%s: needs config.limits.store; memory counts for each pod separately, and loses the counts when the pod ends" $path) -}}
        {{- end -}}
        {{- if and (hasPrefix "usd" $key) (not $config.prices) -}}
          {{- fail (printf "%s: needs config.prices, because without them the cost of calls is unknown" $path) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether the service itself demands that callers prove who they are. What a newer configuration offers for that belongs here. */}}
{{- define "bedrock-grpc.hasCallers" -}}
{{- $config := .Values.config | default dict -}}
{{- $access := kindIs "map" $config.access | ternary $config.access dict -}}
{{- $required := toString $access.required -}}
{{- /* As the service decides it: by `required`, or else by any kind of credential. */ -}}
{{- if or (eq $required "true") (and (include "bedrock-grpc.hasCredentials" .) (ne $required "false") (not (contains "${" $required))) -}}true{{- end -}}
{{- end -}}

{{/* "true" if callers can have any kind of credential. */}}
{{- define "bedrock-grpc.hasCredentials" -}}
{{- $config := .Values.config | default dict -}}
{{- $access := kindIs "map" $config.access | ternary $config.access dict -}}
{{- if or $config.callers $access.keys_file $access.jwt $access.kubernetes .Values.tls.clients.caKey (($config.tls | default dict).client_ca_file) -}}true{{- end -}}
{{- end -}}

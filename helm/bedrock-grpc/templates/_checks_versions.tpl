{{/* Fields that only newer versions of Kubernetes have, and lists in which a key must not be repeated. */}}

{{/* Fields that an older API server rejects, or drops without a word: then a security setting would have no effect. */}}
{{- define "bedrock-grpc.checkNewFields" -}}
{{- $v := .Values -}}
{{- $pod := $v.podSecurityContext | default dict -}}
{{- $used := dict -}}
{{- if and (eq (toString $v.hostUsers) "false") $v.checkUnused -}}
  {{- $_ := set $used "hostUsers" "1.33" -}}
{{- end -}}
{{- range $key := list "supplementalGroupsPolicy" "seLinuxChangePolicy" -}}
  {{- if get $pod $key -}}{{- $_ := set $used (printf "podSecurityContext.%s" $key) "1.33" -}}{{- end -}}
{{- end -}}
{{- range $i, $volume := $v.extraVolumes -}}
  {{- if $volume.image -}}{{- $_ := set $used (printf "extraVolumes[%d].image" $i) "1.33" -}}{{- end -}}
{{- end -}}
{{- range $i, $mount := $v.extraVolumeMounts -}}
  {{- if $mount.recursiveReadOnly -}}{{- $_ := set $used (printf "extraVolumeMounts[%d].recursiveReadOnly" $i) "1.31" -}}{{- end -}}
{{- end -}}
{{- range $key := list "extraContainers" "initContainers" -}}
  {{- range $i, $container := get $v $key | default list -}}
    {{- range $field, $least := dict "resizePolicy" "1.33" "restartPolicyRules" "1.34" -}}
      {{- if get $container $field -}}{{- $_ := set $used (printf "%s[%d].%s" $key $i $field) $least -}}{{- end -}}
    {{- end -}}
    {{- range $j, $mount := $container.volumeMounts -}}
      {{- if $mount.recursiveReadOnly -}}{{- $_ := set $used (printf "%s[%d].volumeMounts[%d].recursiveReadOnly" $key $i $j) "1.31" -}}{{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $kind := list "podAffinity" "podAntiAffinity" -}}
  {{- $affinity := get ($v.affinity | default dict) $kind | default dict -}}
  {{- range $when := list "requiredDuringSchedulingIgnoredDuringExecution" "preferredDuringSchedulingIgnoredDuringExecution" -}}
    {{- range $i, $each := get $affinity $when | default list -}}
      {{- $term := $each.podAffinityTerm | default $each -}}
      {{- range $field := list "matchLabelKeys" "mismatchLabelKeys" -}}
        {{- if get $term $field -}}{{- $_ := set $used (printf "affinity.%s.%s[%d].%s" $kind $when $i $field) "1.31" -}}{{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $version := .Capabilities.KubeVersion.Version -}}
{{- range $path, $least := $used -}}
  {{- if semverCompare (printf "<%s-0" $least) $version -}}
    {{- fail (printf "%s: needs Kubernetes %s; %s rejects it, or drops it without a word. Remove it, or upgrade the cluster%s" $path $least $version (eq $path "hostUsers" | ternary ". If your cluster has the feature gate UserNamespacesSupport, set checkUnused to false" "")) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Members of lists that server-side apply, which Helm 4 uses, identifies by a key. */}}
{{- define "bedrock-grpc.checkUnique" -}}
{{- $lists := list
      (list "hostAliases" "ip" .Values.hostAliases "write all of its hostnames in one member")
      (list "imagePullSecrets" "name" .Values.imagePullSecrets "remove one") -}}
{{- range $key := list "extraContainers" "initContainers" -}}
  {{- range $i, $container := get $.Values $key | default list -}}
    {{- $lists = append $lists (list (printf "%s[%d].env" $key $i) "name" $container.env "remove one") -}}
  {{- end -}}
{{- end -}}
{{- range $lists -}}
  {{- $path := index . 0 -}}
  {{- $key := index . 1 -}}
  {{- $cure := index . 3 -}}
  {{- $seen := list -}}
  {{- range $i, $member := index . 2 -}}
    {{- $value := get $member $key | toString -}}
    {{- if has $value $seen -}}
      {{- fail (printf "%s[%d].%s: %s is listed twice, which Kubernetes rejects; %s" $path $i $key $value $cure) -}}
    {{- end -}}
    {{- $seen = append $seen $value -}}
  {{- end -}}
{{- end -}}
{{- end -}}

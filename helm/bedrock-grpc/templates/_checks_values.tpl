{{/* Values of any part: members of lists, labels, and parts that are off. */}}

{{/* Lists with empty members, which Kubernetes rejects or drops, and texts that look like secrets. Takes a dict of "value" and "path". */}}
{{- define "bedrock-grpc.checkMembers" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
  {{- range $key, $value := .value -}}
    {{- include "bedrock-grpc.checkMembers" (dict "value" $value "path" (printf "%s.%s" $path $key | trimPrefix ".")) -}}
  {{- end -}}
{{- else if kindIs "slice" .value -}}
  {{- range $i, $value := .value -}}
    {{- if kindIs "invalid" $value -}}
      {{- fail (printf "%s[%d]: is empty; write a value, or remove it" $path $i) -}}
    {{- end -}}
    {{- include "bedrock-grpc.checkMembers" (dict "value" $value "path" (printf "%s[%d]" $path $i)) -}}
  {{- end -}}
{{- /* "Basic" can be a word of a sentence here. */ -}}
{{- else if and (kindIs "string" .value) (include "bedrock-grpc.looksSecret" (regexReplaceAll "(?i)\\b(bearer|basic)\\s+\\S{0,15}(\\s|$)" .value "")) -}}
  {{- fail (printf "%s: looks like a secret, and would be in an object that is not a Secret; put it in a Secret, and refer to that through existingSecret, existingSecretFiles or valueFrom.secretKeyRef" $path) -}}
{{- end -}}
{{- end -}}

{{/* Numbers in labels that are no label values when they are written out. */}}
{{- define "bedrock-grpc.checkLabels" -}}
{{- $v := .Values -}}
{{- $maps := dict "commonLabels" $v.commonLabels "podLabels" $v.podLabels "nodeSelector" $v.nodeSelector -}}
{{- range $kind := list "serviceMonitor" "podMonitor" "podMonitoring" "prometheusRule" "dashboard" -}}
  {{- $_ := set $maps (printf "metrics.%s.labels" $kind) (get $v.metrics $kind).labels -}}
{{- end -}}
{{- range $path, $labels := $maps -}}
  {{- range $key, $value := $labels -}}
    {{- $text := include "bedrock-grpc.text" $value -}}
    {{- if not (regexMatch "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$" $text) -}}
      {{- fail (printf "%s.%s: the number is written as %s, which is not a label value; put it in quotes" $path $key $text) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels and annotations that the chart sets itself, so that those of the values would have no effect; and hooks, which are not part of a release. */}}
{{- define "bedrock-grpc.checkOwnKeys" -}}
{{- $v := .Values -}}
{{- $pods := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- $own := dict
      "commonLabels" (concat $pods (list "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart"))
      "podLabels" (append $pods "pod-template-hash")
      "deploymentAnnotations" (list "deployment.kubernetes.io/revision")
      "podAnnotations" (list "checksum/config" "checksum/external-secret" "kubectl.kubernetes.io/default-container") -}}
{{- range $path, $keys := $own -}}
  {{- range $key, $_ := get $v $path | default dict -}}
    {{- if has $key $keys -}}
      {{- fail (printf "%s.%s: the chart sets it itself; remove it" $path $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $path := list "podAnnotations" "commonAnnotations" -}}
  {{- range $key, $_ := get $v $path | default dict -}}
    {{- if contains "seccomp.security.alpha.kubernetes.io/" $key -}}
      {{- fail (printf "%s.%s: Kubernetes no longer reads it, and rejects pods whose podSecurityContext differs; remove it, and set podSecurityContext.seccompProfile" $path $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $kind := list "serviceMonitor" "podMonitor" "podMonitoring" "prometheusRule" "dashboard" -}}
  {{- range $key, $_ := (get $v.metrics $kind).labels -}}
    {{- if has $key $own.commonLabels -}}
      {{- fail (printf "metrics.%s.labels.%s: the chart sets it itself; remove it" $kind $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $annotations := dict
      "commonAnnotations" $v.commonAnnotations
      "deploymentAnnotations" $v.deploymentAnnotations
      "podAnnotations" $v.podAnnotations
      "serviceAccount.annotations" $v.serviceAccount.annotations
      "service.annotations" $v.service.annotations
      "headlessService.annotations" $v.headlessService.annotations
      "grpcRoute.annotations" $v.grpcRoute.annotations
      "ingress.annotations" $v.ingress.annotations
      "metrics.dashboard.annotations" $v.metrics.dashboard.annotations -}}
{{- range $suffix, $service := $v.extraServices -}}
  {{- $_ := set $annotations (printf "extraServices.%s.annotations" $suffix) ($service | default dict).annotations -}}
{{- end -}}
{{- range $path, $map := $annotations -}}
  {{- range $key, $_ := $map -}}
    {{- if hasPrefix "helm.sh/hook" $key -}}
      {{- fail (printf "%s.%s: would make objects hooks, which Helm neither upgrades nor uninstalls; remove it" $path $key) -}}
    {{- end -}}
    {{- if hasPrefix "argocd.argoproj.io/hook" $key -}}
      {{- fail (printf "%s.%s: would make objects hooks, which Argo CD does not keep in sync; remove it" $path $key) -}}
    {{- end -}}
    {{- if or (hasPrefix "meta.helm.sh/" $key) (eq $key "kubectl.kubernetes.io/last-applied-configuration") -}}
      {{- fail (printf "%s.%s: Helm and kubectl set it themselves; remove it" $path $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Values of parts that are off. files/parts.json, with the defaults, is generated from values.yaml. */}}
{{- define "bedrock-grpc.checkUnused" -}}
{{- $v := .Values -}}
{{- if $v.checkUnused -}}
  {{- range $part, $defaults := .Files.Get "files/parts.json" | fromJson -}}
    {{- $at := $v -}}
    {{- range splitList "." $part -}}{{- $at = get $at . -}}{{- end -}}
    {{- /* KEDA has the number of pods and the pace of `autoscaling`. */ -}}
    {{- if not (or $at.enabled (and (eq $part "autoscaling") $v.keda.enabled)) -}}
      {{- range $path, $default := $defaults -}}
        {{- $value := $at -}}
        {{- $missing := false -}}
        {{- range splitList "." $path -}}
          {{- if and (kindIs "map" $value) (hasKey $value .) -}}{{- $value = get $value . -}}{{- else -}}{{- $missing = true -}}{{- end -}}
        {{- end -}}
        {{- if not (or $missing (and (empty $value) (empty $default)) (eq (toJson $value) (toJson $default))) -}}
          {{- fail (printf "%s.%s: has no effect while %s.enabled is false; set that to true, or remove it. To keep values of parts that are off, set checkUnused to false" $part $path $part) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if and $v.topologySpreadConstraints (or (ne (int64 $v.topologySpread.maxSkew) 1) (ne $v.topologySpread.whenUnsatisfiable "ScheduleAnyway")) -}}
    {{- fail "topologySpread: has no effect with topologySpreadConstraints, which replaces it; remove one of them" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

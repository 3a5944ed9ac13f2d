{{/* Files and variables that `config` refers to, and that the pods do not have: the service would not start. */}}

{{/* Files that nothing mounts. Takes a dict of "root", "value" and "path". */}}
{{- define "bedrock-grpc.checkFiles" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
  {{- range $key, $value := .value -}}
    {{- $here := printf "%s.%s" $path $key -}}
    {{- $isFile := or (hasSuffix "_file" $key) (and (eq $here "config.usage_records.file") (ne (toString $value) "stdout")) -}}
    {{- if and $isFile (kindIs "string" $value) $value (not (contains "${" $value)) -}}
      {{- if not (or (include "bedrock-grpc.isMounted" (dict "root" $.root "file" $value)) (hasPrefix "/dev/" $value)) -}}
        {{- $cure := eq $key "file" | ternary "write stdout, or mount a volume by extraVolumes and extraVolumeMounts" "set existingSecretFiles, or extraVolumes and extraVolumeMounts" -}}
        {{- fail (printf "%s: %s is a file that nothing mounts; %s" $here $value $cure) -}}
      {{- end -}}
    {{- end -}}
    {{- include "bedrock-grpc.checkFiles" (dict "root" $.root "value" $value "path" $here) -}}
  {{- end -}}
{{- else if kindIs "slice" .value -}}
  {{- range $i, $value := .value -}}
    {{- include "bedrock-grpc.checkFiles" (dict "root" $.root "value" $value "path" (printf "%s[%d]" $path $i)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" if a file is in a folder that the gateway's container mounts, or that its image has. Takes a dict of "root" and "file". */}}
{{- define "bedrock-grpc.isMounted" -}}
{{- $v := .root.Values -}}
{{- /* The image's authorities, and the token of IRSA, which EKS mounts. */ -}}
{{- $folders := list "/etc/ssl/certs" "/var/run/secrets/eks.amazonaws.com" "/var/run/secrets/pods.eks.amazonaws.com" -}}
{{- if $v.existingSecretFiles -}}{{- $folders = append $folders "/etc/bedrock-grpc/secrets" -}}{{- end -}}
{{- if $v.limitsStore.existingSecret -}}{{- $folders = append $folders "/etc/bedrock-grpc/limits-store" -}}{{- end -}}
{{- if $v.tls.enabled -}}{{- $folders = append $folders "/etc/bedrock-grpc/tls" -}}{{- end -}}
{{- if include "bedrock-grpc.asksApiServer" .root -}}{{- $folders = append $folders "/var/run/secrets/kubernetes.io/serviceaccount" -}}{{- end -}}
{{- range $v.extraVolumeMounts -}}{{- $folders = append $folders (trimSuffix "/" .mountPath) -}}{{- end -}}
{{- range $folders -}}
  {{- if or (eq $.file .) (hasPrefix (printf "%s/" .) $.file) -}}true{{- end -}}
{{- end -}}
{{- /* Such as Vault's agent: a webhook mounts what it injects. */ -}}
{{- range $key, $_ := $v.podAnnotations -}}
  {{- if contains "inject" $key -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Variables that `config` reads, has no default for, and that the chart knows not to be set: one on a line. */}}
{{- define "bedrock-grpc.unsetVariables" -}}
{{- $v := .Values -}}
{{- if not (or $v.existingSecret $v.extraEnvFrom (and $v.externalSecret.enabled $v.externalSecret.dataFrom)) -}}
  {{- $set := list "HOSTNAME" -}}
  {{- range $v.extraEnv -}}{{- $set = append $set .name -}}{{- end -}}
  {{- if $v.externalSecret.enabled -}}
    {{- range $v.externalSecret.data -}}{{- $set = append $set .secretKey -}}{{- end -}}
  {{- end -}}
  {{- range $name := include "bedrock-grpc.variables" . | splitList "\n" | compact -}}
    {{- /* EKS sets these for IRSA and Pod Identity. */ -}}
    {{- if not (or (has $name $set) (hasPrefix "AWS_" $name)) -}}{{- printf "%s\n" $name -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The variables without a default that `config` reads, one on a line. */}}
{{- define "bedrock-grpc.variables" -}}
{{- $text := regexReplaceAll "\\$\\$\\{" (include "bedrock-grpc.writtenConfig" .) "" -}}
{{- range regexFindAll "\\$\\{[^}:]+\\}" $text -1 | uniq -}}
  {{- printf "%s\n" (. | trimPrefix "${" | trimSuffix "}") -}}
{{- end -}}
{{- end -}}

{{- define "bedrock-grpc.checkReferences" -}}
{{- include "bedrock-grpc.checkFiles" (dict "root" . "value" (include "bedrock-grpc.writtenConfig" . | fromYaml) "path" "config") -}}
{{- if .Values.checkConfig -}}
{{- with include "bedrock-grpc.unsetVariables" . | splitList "\n" | compact -}}
  {{- fail (printf "config: reads ${%s}, which nothing in the values sets, so the pods would not start; set it through existingSecret, externalSecret, extraEnv or extraEnvFrom. If something else in the cluster sets it, write ${%s:-}" (first .) (first .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

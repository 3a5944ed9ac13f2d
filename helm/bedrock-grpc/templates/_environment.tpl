{{/*
The environment of a container that reads the configuration, as `env` and `envFrom`: credentials, and what `${NAME}` in it refers to. Takes a dict of
"root", and perhaps "early": the container runs before the chart's ExternalSecret has its Secret; and "fetched", the variables that may then be missing.
*/}}
{{- define "bedrock-grpc.environment" -}}
{{- $v := .root.Values -}}
{{- $env := list -}}
{{- with $v.aws.region -}}
  {{- $env = append $env (dict "name" "AWS_REGION" "value" .) -}}
{{- end -}}
{{- with $v.limitsStore.usernameKey -}}
  {{- $env = append $env (dict "name" "LIMITS_STORE_USERNAME" "valueFrom" (dict "secretKeyRef" (dict "name" $v.limitsStore.existingSecret "key" .))) -}}
{{- end -}}
{{- range $v.extraEnv -}}
  {{- $variable := deepCopy . -}}
  {{- if and $.early ($variable.valueFrom | default dict).resourceFieldRef -}}
    {{- /* The pod has other containers than the gateway's. */ -}}
    {{- $_ := unset $variable.valueFrom.resourceFieldRef "containerName" -}}
  {{- end -}}
  {{- $env = append $env $variable -}}
{{- end -}}
{{- $from := list -}}
{{- with $v.existingSecret -}}
  {{- $from = append $from (dict "secretRef" (dict "name" .)) -}}
{{- end -}}
{{- if $v.externalSecret.enabled -}}
  {{- $secret := dict "name" (include "bedrock-grpc.fullname" .root) -}}
  {{- if .early -}}{{- $_ := set $secret "optional" true -}}{{- end -}}
  {{- if .fetched -}}
    {{- /* Of two sources of a variable, the later one counts. */ -}}
    {{- $from = append $from (dict "configMapRef" (dict "name" (printf "%s-check-env" (include "bedrock-grpc.fullname" .root)))) -}}
  {{- end -}}
  {{- $from = append $from (dict "secretRef" $secret) -}}
{{- end -}}
{{- $from = concat $from ($v.extraEnvFrom | default list) -}}
{{- $environment := dict -}}
{{- if $env -}}{{- $_ := set $environment "env" $env -}}{{- end -}}
{{- if $from -}}{{- $_ := set $environment "envFrom" $from -}}{{- end -}}
{{- if $environment -}}{{- toYaml $environment -}}{{- end -}}
{{- end -}}

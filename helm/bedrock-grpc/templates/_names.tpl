{{/* The chart's name, or what replaces it. */}}
{{- define "bedrock-grpc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of objects. Short enough for the longest suffix, "-headless". */}}
{{- define "bedrock-grpc.fullname" -}}
{{- $name := include "bedrock-grpc.name" . -}}
{{- $full := .Values.fullnameOverride | default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) -}}
{{- $full | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "bedrock-grpc.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "bedrock-grpc.fullname" .) "default") -}}
{{- end -}}

{{- define "bedrock-grpc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bedrock-grpc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{/* Labels of every object. Takes a dict of "root", and perhaps "component" and "labels". */}}
{{- define "bedrock-grpc.labels" -}}
{{- $root := .root -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" (include "bedrock-grpc.name" $root)
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/component" (.component | default "gateway")
  "app.kubernetes.io/version" ($root.Values.image.tag | default $root.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- toYaml (merge $labels (.labels | default dict) $root.Values.commonLabels) -}}
{{- end -}}

{{/* Labels of pods. The chart's version is not among them: a new chart that changes nothing of the pod replaces no pod. */}}
{{- define "bedrock-grpc.podLabels" -}}
{{- $fixed := include "bedrock-grpc.selectorLabels" . | fromYaml -}}
{{- toYaml (merge $fixed .Values.podLabels .Values.commonLabels) -}}
{{- end -}}

{{/* What every object begins with. Takes a dict of "root", "kind", "apiVersion", and perhaps "suffix", "component", "labels", "annotations". */}}
{{- define "bedrock-grpc.object" -}}
apiVersion: {{ .apiVersion }}
kind: {{ .kind }}
metadata:
  name: {{ include "bedrock-grpc.fullname" .root }}{{ .suffix }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "bedrock-grpc.labels" . | nindent 4 }}
  {{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "bedrock-grpc.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* The Secret with the certificate. */}}
{{- define "bedrock-grpc.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "bedrock-grpc.fullname" .)) -}}
{{- end -}}

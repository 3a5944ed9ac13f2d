{{/* The chart's name, or what replaces it. */}}
{{- define "bedrock-grpc.name" -}}
{{- regexReplaceAll "[-_.]+$" (default .Chart.Name .Values.nameOverride | trunc 63) "" -}}
{{- end -}}

{{/* The name of objects. Short enough for the longest suffix, "-dashboard". */}}
{{- define "bedrock-grpc.fullname" -}}
{{- $name := include "bedrock-grpc.name" . -}}
{{- $full := .Values.fullnameOverride | default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) -}}
{{- regexReplaceAll "-+$" ($full | lower | trunc 53) "" -}}
{{- end -}}

{{/* The namespace of objects. */}}
{{- define "bedrock-grpc.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "bedrock-grpc.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "bedrock-grpc.fullname" .) "default") -}}
{{- end -}}

{{- define "bedrock-grpc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bedrock-grpc.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: gateway
{{- end -}}

{{/* A scalar as the text that the operator wrote: Helm reads every number as a float. */}}
{{- define "bedrock-grpc.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) (lt . 1e15) (gt . -1e15) -}}{{ int64 . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/* A map of labels or annotations as YAML, with all values as strings. */}}
{{- define "bedrock-grpc.strings" -}}
{{- $strings := dict -}}
{{- range $key, $value := . -}}
  {{- $_ := set $strings $key (include "bedrock-grpc.text" $value) -}}
{{- end -}}
{{- toYaml $strings -}}
{{- end -}}

{{/* Labels of every object. Takes a dict of "root", and perhaps "component" and "labels". */}}
{{- define "bedrock-grpc.labels" -}}
{{- $root := .root -}}
{{- $edges := "^[^A-Za-z0-9]+|[^A-Za-z0-9]+$" -}}
{{- $labels := dict
  "helm.sh/chart" (regexReplaceAll $edges (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63) "")
  "app.kubernetes.io/name" (include "bedrock-grpc.name" $root)
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/component" (.component | default "gateway")
  "app.kubernetes.io/version" (regexReplaceAll $edges ($root.Values.image.tag | default $root.Chart.AppVersion | replace "+" "_" | trunc 63) "")
  "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- include "bedrock-grpc.strings" (merge $labels (.labels | default dict) ($root.Values.commonLabels | default dict)) -}}
{{- end -}}

{{/* Labels of pods. The chart's version is not among them: a new chart that changes nothing in the pod replaces no pod. */}}
{{- define "bedrock-grpc.podLabels" -}}
{{- $fixed := include "bedrock-grpc.selectorLabels" . | fromYaml -}}
{{- include "bedrock-grpc.strings" (merge $fixed (.Values.podLabels | default dict) (.Values.commonLabels | default dict)) -}}
{{- end -}}

{{/*
What every object begins with. Takes a dict of "root", "kind", "apiVersion", and perhaps "name", "suffix", "namespace", "component", "labels",
"annotations".
*/}}
{{- define "bedrock-grpc.object" -}}
apiVersion: {{ .apiVersion }}
kind: {{ .kind }}
metadata:
  {{- $own := include "bedrock-grpc.namespace" .root }}
  {{- /* In a namespace of others, releases of several namespaces can have one name. */}}
  {{- $prefix := has (.namespace | default "") (list "" $own) | ternary "" (printf "%s." $own) }}
  name: {{ .name | default (printf "%s%s%s" $prefix (include "bedrock-grpc.fullname" .root) (.suffix | default "")) | quote }}
  namespace: {{ .namespace | default (include "bedrock-grpc.namespace" .root) | quote }}
  labels:
    {{- include "bedrock-grpc.labels" . | nindent 4 }}
  {{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
  annotations:
    {{- include "bedrock-grpc.strings" . | nindent 4 }}
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

{{/*
The release's pods, as labels of Prometheus. Kubernetes names them NAME-HASH-RANDOM, and cuts NAME-HASH- to 58 characters: of a long name there is no
second hyphen. The lengths are exact, so that they do not match a release whose name begins with this one's.
*/}}
{{- define "bedrock-grpc.promSelector" -}}
namespace="{{ include "bedrock-grpc.namespace" . }}", pod=~"{{ include "bedrock-grpc.podPattern" . }}"
{{- end -}}

{{/* The names of the release's pods, as a regular expression. */}}
{{- define "bedrock-grpc.podPattern" -}}
{{- $name := include "bedrock-grpc.fullname" . -}}
{{- $left := sub 57 (len $name) | int -}}
{{- $pods := "[0-9a-z]+-[0-9a-z]{5}" -}}
{{- if le $left 10 -}}
  {{- $pods = printf "([0-9a-z]+-[0-9a-z]{5}|[0-9a-z]{%d})" (add $left 5) -}}
{{- end -}}
{{- $name }}-{{ $pods -}}
{{- end -}}

{{/* How fast pods come and go, for the autoscaler and for KEDA's. */}}
{{- define "bedrock-grpc.scalingBehavior" -}}
scaleDown:
  # At least as long as a drain: a pod that drains does no harm, a pod that comes back does no good.
  stabilizationWindowSeconds: {{ include "bedrock-grpc.scaleDownWindowSeconds" . }}
  selectPolicy: Min
  policies:
    {{- toYaml .Values.autoscaling.scaleDown.policies | nindent 4 }}
scaleUp:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleUp.stabilizationWindowSeconds }}
  selectPolicy: Max
  policies:
    {{- toYaml .Values.autoscaling.scaleUp.policies | nindent 4 }}
{{- end -}}

{{/* The release's pods, as a selector of Prometheus's. */}}
{{- define "bedrock-grpc.promSelector" -}}
namespace="{{ .Release.Namespace }}", pod=~"{{ include "bedrock-grpc.fullname" . }}-[0-9a-z]+-[0-9a-z]+"
{{- end -}}

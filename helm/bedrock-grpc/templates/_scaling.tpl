{{/* How fast pods are added and removed, for the HorizontalPodAutoscaler and for KEDA. */}}
{{- define "bedrock-grpc.scalingBehavior" -}}
scaleDown:
  # At least as long as a drain, so that pods are not replaced while they still drain.
  stabilizationWindowSeconds: {{ include "bedrock-grpc.scaleDownWindowSeconds" . }}
  selectPolicy: Min
  policies:
    {{- toYaml .Values.autoscaling.scaleDown.policies | nindent 4 }}
scaleUp:
  stabilizationWindowSeconds: {{ int64 .Values.autoscaling.scaleUp.stabilizationWindowSeconds }}
  selectPolicy: Max
  policies:
    {{- toYaml .Values.autoscaling.scaleUp.policies | nindent 4 }}
{{- end -}}

{{- define "bedrock-grpc.appProtocol" -}}
{{- .Values.service.appProtocol | default (include "bedrock-grpc.servesTls" . | empty | ternary "kubernetes.io/h2c" "https") -}}
{{- end -}}

{{/* A Service for the gRPC port. Takes a dict of "root", "suffix" and "service", which has the keys of the value `service`. */}}
{{- define "bedrock-grpc.service" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- if and (eq ($service.trafficDistribution | default "") "PreferClose") (semverCompare ">=1.34-0" $root.Capabilities.KubeVersion.Version) }}
{{- /* The API server warns of the old name. */}}
{{- $service = mergeOverwrite (deepCopy $service) (dict "trafficDistribution" "PreferSameZone") }}
{{- end }}
{{- include "bedrock-grpc.object" (dict "root" $root "apiVersion" "v1" "kind" "Service" "suffix" .suffix "annotations" $service.annotations) }}
spec:
  type: {{ $service.type | default "ClusterIP" }}
  {{- range $key := list "loadBalancerClass" "loadBalancerSourceRanges" "externalTrafficPolicy" "internalTrafficPolicy" "trafficDistribution" "ipFamilyPolicy" "ipFamilies" }}
  {{- with get $service $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  ports:
    - name: grpc
      port: {{ int64 ($service.port | default 50051) }}
      targetPort: grpc
      protocol: TCP
      appProtocol: {{ $service.appProtocol | default (include "bedrock-grpc.appProtocol" $root) | quote }}
      {{- with $service.nodePort }}
      nodePort: {{ int64 . }}
      {{- end }}
  selector:
    {{- include "bedrock-grpc.selectorLabels" $root | nindent 4 }}
{{- end -}}

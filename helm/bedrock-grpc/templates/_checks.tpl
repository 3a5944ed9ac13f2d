{{/* Values that contradict each other. Every message begins with the path of the value to change. */}}
{{- define "bedrock-grpc.checks" -}}
{{- $v := .Values -}}
{{- $kube := .Capabilities.KubeVersion.Version -}}

{{- /* Durations are read whether or not anything here needs them. */ -}}
{{- $_ := list (include "bedrock-grpc.heartbeatSeconds" .) (include "bedrock-grpc.headersAfterSeconds" .) (include "bedrock-grpc.maxDeadlineSeconds" .) -}}
{{- if eq (include "bedrock-grpc.grpcPort" .) (include "bedrock-grpc.adminPort" .) -}}
  {{- fail "config.admin.listen: has the same port as config.listen" -}}
{{- end -}}
{{- if has "IPv6" $v.service.ipFamilies -}}
  {{- range $path := list (list "listen") (list "admin" "listen") -}}
    {{- $address := include "bedrock-grpc.configValue" (dict "root" $ "path" $path "default" "0.0.0.0") -}}
    {{- if not (hasPrefix "[" $address) -}}
      {{- fail (printf "config.%s: %s takes no IPv6, which service.ipFamilies asks for; write [::] and the port" (join "." $path) $address) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- if $v.tls.enabled -}}
  {{- if hasKey $v.config "tls" -}}
    {{- fail "config.tls: is the chart's to set when tls.enabled is true; leave it out" -}}
  {{- end -}}
  {{- if not (or $v.tls.existingSecret $v.tls.certificate.enabled) -}}
    {{- fail "tls.existingSecret: required with tls.enabled, unless tls.certificate.enabled lets cert-manager make one" -}}
  {{- end -}}
{{- else -}}
  {{- if and (hasKey $v.config "tls") (not $v.extraVolumeMounts) (not $v.existingSecretFiles) -}}
    {{- fail "config.tls: names files that nothing mounts; use tls.enabled with tls.existingSecret, or extraVolumes and extraVolumeMounts" -}}
  {{- end -}}
  {{- if $v.tls.certificate.enabled -}}
    {{- fail "tls.certificate.enabled: makes a certificate that nothing uses; set tls.enabled, too" -}}
  {{- end -}}
{{- end -}}
{{- if $v.tls.certificate.enabled -}}
  {{- if not $v.tls.certificate.issuerRef.name -}}
    {{- fail "tls.certificate.issuerRef.name: required with tls.certificate.enabled" -}}
  {{- end -}}
  {{- if $v.tls.existingSecret -}}
    {{- fail "tls.existingSecret: leave it empty with tls.certificate.enabled, which makes its own Secret" -}}
  {{- end -}}
{{- end -}}

{{- if $v.aws.roleArn -}}
  {{- if $v.aws.podIdentity.enabled -}}
    {{- fail "aws.roleArn: is for IRSA; with aws.podIdentity.enabled the role belongs to the Pod Identity association. Set one of them" -}}
  {{- end -}}
  {{- if not $v.serviceAccount.create -}}
    {{- fail "aws.roleArn: annotates the chart's own ServiceAccount; with serviceAccount.create false, annotate yours with eks.amazonaws.com/role-arn instead" -}}
  {{- end -}}
{{- end -}}
{{- if $v.externalSecret.enabled -}}
  {{- if not $v.externalSecret.secretStoreRef.name -}}
    {{- fail "externalSecret.secretStoreRef.name: required with externalSecret.enabled" -}}
  {{- end -}}
  {{- if not (or $v.externalSecret.data $v.externalSecret.dataFrom) -}}
    {{- fail "externalSecret.data: it or externalSecret.dataFrom must say what to fetch" -}}
  {{- end -}}
{{- end -}}

{{- if and $v.autoscaling.enabled $v.keda.enabled -}}
  {{- fail "keda.enabled: KEDA makes an autoscaler of its own; set autoscaling.enabled to false" -}}
{{- end -}}
{{- if or $v.autoscaling.enabled $v.keda.enabled -}}
  {{- if gt (int64 $v.autoscaling.minReplicas) (int64 $v.autoscaling.maxReplicas) -}}
    {{- fail (printf "autoscaling.minReplicas: %d is more than autoscaling.maxReplicas, %d" (int64 $v.autoscaling.minReplicas) (int64 $v.autoscaling.maxReplicas)) -}}
  {{- end -}}
  {{- $streams := include "bedrock-grpc.maxStreams" . -}}
  {{- if and $v.autoscaling.targetOpenCalls (ne $streams "unknown") (ge (int64 $v.autoscaling.targetOpenCalls) (int64 $streams)) -}}
    {{- fail (printf "autoscaling.targetOpenCalls: %d is not less than config.limits.max_streams, %s: pods would refuse calls before more of them come" (int64 $v.autoscaling.targetOpenCalls) $streams) -}}
  {{- end -}}
  {{- if and $v.autoscaling.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" $v.resources)) -}}
    {{- fail "resources.requests.cpu: required with autoscaling.targetCPUUtilizationPercentage, which counts in percent of it" -}}
  {{- end -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not (or $v.autoscaling.targetOpenCalls $v.autoscaling.targetCPUUtilizationPercentage $v.autoscaling.extraMetrics)) -}}
  {{- fail "autoscaling.targetOpenCalls: an autoscaler needs a metric; set it, autoscaling.targetCPUUtilizationPercentage or autoscaling.extraMetrics" -}}
{{- end -}}
{{- if $v.keda.enabled -}}
  {{- if and $v.autoscaling.targetOpenCalls (not $v.keda.prometheus.serverAddress) -}}
    {{- fail "keda.prometheus.serverAddress: required to scale on autoscaling.targetOpenCalls" -}}
  {{- end -}}
  {{- if not (or $v.autoscaling.targetOpenCalls $v.autoscaling.targetCPUUtilizationPercentage $v.keda.extraTriggers) -}}
    {{- fail "autoscaling.targetOpenCalls: KEDA needs a trigger; set it, autoscaling.targetCPUUtilizationPercentage or keda.extraTriggers" -}}
  {{- end -}}
{{- end -}}

{{- $pdb := $v.podDisruptionBudget -}}
{{- if $pdb.enabled -}}
  {{- if not (or (kindIs "invalid" $pdb.minAvailable) (kindIs "invalid" $pdb.maxUnavailable)) -}}
    {{- fail "podDisruptionBudget.minAvailable: set it or podDisruptionBudget.maxUnavailable, not both" -}}
  {{- end -}}
  {{- $pods := or $v.autoscaling.enabled $v.keda.enabled | ternary $v.autoscaling.minReplicas $v.replicaCount | int64 -}}
  {{- if and (regexMatch "^[0-9]+$" (toString $pdb.minAvailable)) (ge (int64 $pdb.minAvailable) $pods) (gt $pods 0) -}}
    {{- fail (printf "podDisruptionBudget.minAvailable: %d of %d pods must stay: no node could ever be drained" (int64 $pdb.minAvailable) $pods) -}}
  {{- end -}}
  {{- if or (eq (toString $pdb.maxUnavailable) "0") (eq (toString $pdb.maxUnavailable) "0%") -}}
    {{- fail "podDisruptionBudget.maxUnavailable: with 0 no node could ever be drained" -}}
  {{- end -}}
{{- end -}}

{{- if and $v.service.trafficDistribution (semverCompare "<1.31-0" $kube) -}}
  {{- fail (printf "service.trafficDistribution: needs Kubernetes 1.31; this is %s" $kube) -}}
{{- end -}}
{{- if and (hasPrefix "PreferSame" $v.service.trafficDistribution) (semverCompare "<1.34-0" $kube) -}}
  {{- fail (printf "service.trafficDistribution: %s needs Kubernetes 1.34; this is %s, which knows PreferClose" $v.service.trafficDistribution $kube) -}}
{{- end -}}
{{- if eq $v.service.type "ClusterIP" -}}
  {{- range $key := list "nodePort" "loadBalancerClass" "loadBalancerSourceRanges" "externalTrafficPolicy" -}}
    {{- if get $v.service $key -}}
      {{- fail (printf "service.%s: means nothing to a Service of type ClusterIP" $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- if and $v.grpcRoute.enabled (not $v.grpcRoute.parentRefs) -}}
  {{- fail "grpcRoute.parentRefs: required with grpcRoute.enabled: the Gateways that the route belongs to" -}}
{{- end -}}
{{- if $v.backendTrafficPolicy.enabled -}}
  {{- if not $v.grpcRoute.enabled -}}
    {{- fail "backendTrafficPolicy.enabled: belongs to the GRPCRoute; set grpcRoute.enabled, too" -}}
  {{- end -}}
  {{- $silence := include "bedrock-grpc.seconds" (dict "key" "backendTrafficPolicy.streamIdleTimeout" "text" $v.backendTrafficPolicy.streamIdleTimeout) -}}
  {{- if ne $silence "0" -}}
    {{- include "bedrock-grpc.checkSilence" (dict "root" . "key" "backendTrafficPolicy.streamIdleTimeout" "seconds" $silence) -}}
  {{- end -}}
{{- end -}}
{{- if $v.ingress.enabled -}}
  {{- if not $v.ingress.hosts -}}
    {{- fail "ingress.hosts: required with ingress.enabled" -}}
  {{- end -}}
  {{- if and (eq $v.ingress.controller "nginx") (not $v.ingress.tls) -}}
    {{- fail "ingress.tls: required with ingress.controller nginx, which speaks HTTP/2, and so gRPC, over TLS only" -}}
  {{- end -}}
  {{- if eq $v.ingress.controller "alb" -}}
    {{- include "bedrock-grpc.checkSilence" (dict "root" . "key" "ingress.alb.idleTimeoutSeconds" "seconds" (toString (int64 $v.ingress.alb.idleTimeoutSeconds))) -}}
  {{- end -}}
{{- end -}}

{{- if and $v.networkPolicy.enabled $v.ciliumNetworkPolicy.enabled -}}
  {{- fail "ciliumNetworkPolicy.enabled: two policies allow what either of them allows; set networkPolicy.enabled to false" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.extraEgress) -}}
  {{- range $line := include "bedrock-grpc.endpoints" . | splitList "\n" | compact -}}
    {{- if not (hasSuffix ":443" $line) -}}
      {{- $parts := splitList " " $line -}}
      {{- fail (printf "networkPolicy.extraEgress: must let the pods reach config.bedrock.%s, %s; the policy opens port 443 alone" (first $parts) (last $parts)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled -}}
  {{- fail "metrics.podMonitor.enabled: everything would be counted twice; set metrics.serviceMonitor.enabled to false" -}}
{{- end -}}
{{- range $mount := $v.extraVolumeMounts -}}
  {{- if has $mount.name (list "config" "tls" "secrets") -}}
    {{- fail (printf "extraVolumeMounts: the volume %s is the chart's own; give yours another name" $mount.name) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

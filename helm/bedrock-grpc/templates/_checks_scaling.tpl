{{/* Autoscalers and the disruption budget. */}}
{{- define "bedrock-grpc.checkScaling" -}}
{{- $v := .Values -}}
{{- $auto := $v.autoscaling -}}
{{- if and $auto.enabled $v.keda.enabled -}}
  {{- fail "keda.enabled: KEDA creates its own autoscaler; set autoscaling.enabled to false" -}}
{{- end -}}
{{- if or $auto.enabled $v.keda.enabled -}}
  {{- if gt (int64 $auto.minReplicas) (int64 $auto.maxReplicas) -}}
    {{- fail (printf "autoscaling.minReplicas: %d is more than autoscaling.maxReplicas, %d" (int64 $auto.minReplicas) (int64 $auto.maxReplicas)) -}}
  {{- end -}}
  {{- $streams := include "bedrock-grpc.maxStreams" . -}}
  {{- if and $auto.targetOpenCalls (ne $streams "unknown") (ge (int64 $auto.targetOpenCalls) (int64 $streams)) -}}
    {{- fail (printf "autoscaling.targetOpenCalls: %d is not less than config.limits.max_streams, %s: pods would refuse calls before more of them start" (int64 $auto.targetOpenCalls) $streams) -}}
  {{- end -}}
  {{- if and $auto.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" ($v.resources | default dict))) -}}
    {{- fail "resources.requests.cpu: required with autoscaling.targetCPUUtilizationPercentage, which is in percent of it" -}}
  {{- end -}}
  {{- range $way := list "scaleDown" "scaleUp" -}}
    {{- if not (get $auto $way).policies -}}
      {{- fail (printf "autoscaling.%s.policies: must not be empty; remove the key to use the default" $way) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and $auto.enabled (not (or $auto.targetOpenCalls $auto.targetCPUUtilizationPercentage $auto.extraMetrics)) -}}
  {{- fail "autoscaling.targetOpenCalls: an autoscaler needs a metric; set it, autoscaling.targetCPUUtilizationPercentage or autoscaling.extraMetrics" -}}
{{- end -}}
{{- if $v.keda.enabled -}}
  {{- if $auto.extraMetrics -}}
    {{- fail "autoscaling.extraMetrics: has no effect with keda.enabled; write them as keda.extraTriggers" -}}
  {{- end -}}
  {{- if and $auto.targetOpenCalls (not $v.keda.prometheus.serverAddress) -}}
    {{- fail "keda.prometheus.serverAddress: required to scale on autoscaling.targetOpenCalls" -}}
  {{- end -}}
  {{- if not (or $auto.targetOpenCalls $auto.targetCPUUtilizationPercentage $v.keda.extraTriggers) -}}
    {{- fail "autoscaling.targetOpenCalls: KEDA needs a trigger; set it, autoscaling.targetCPUUtilizationPercentage or keda.extraTriggers" -}}
  {{- end -}}
{{- end -}}
{{- $vertical := $v.verticalPodAutoscaler -}}
{{- if $vertical.enabled -}}
  {{- range $resource, $least := $vertical.minAllowed -}}
    {{- $most := get ($vertical.maxAllowed | default dict) $resource -}}
    {{- if and $most (gt (include "bedrock-grpc.quantity" $least | float64) (include "bedrock-grpc.quantity" $most | float64)) -}}
      {{- fail (printf "verticalPodAutoscaler.minAllowed.%s: %v is more than verticalPodAutoscaler.maxAllowed.%s, %v; lower it" $resource $least $resource $most) -}}
    {{- end -}}
  {{- end -}}
  {{- if not $vertical.controlledResources -}}
    {{- fail "verticalPodAutoscaler.controlledResources: must name cpu, memory or both" -}}
  {{- end -}}
  {{- range $i, $resource := $vertical.controlledResources -}}
    {{- if not (has $resource (list "cpu" "memory")) -}}
      {{- fail (printf "verticalPodAutoscaler.controlledResources[%d]: %q is neither cpu nor memory" $i $resource) -}}
    {{- end -}}
  {{- end -}}
  {{- if and (has "cpu" $vertical.controlledResources) (ne $vertical.updateMode "Off") $auto.targetCPUUtilizationPercentage (or $auto.enabled $v.keda.enabled) -}}
    {{- fail "verticalPodAutoscaler.controlledResources: cpu is what autoscaling.targetCPUUtilizationPercentage scales on; leave cpu out, or set that to null" -}}
  {{- end -}}
{{- end -}}

{{- $pdb := $v.podDisruptionBudget -}}
{{- if $pdb.enabled -}}
  {{- if not (or (kindIs "invalid" $pdb.minAvailable) (kindIs "invalid" $pdb.maxUnavailable)) -}}
    {{- fail "podDisruptionBudget.minAvailable: set it or podDisruptionBudget.maxUnavailable, not both" -}}
  {{- end -}}
  {{- $pods := or $auto.enabled $v.keda.enabled | ternary $auto.minReplicas $v.replicaCount | int64 -}}
  {{- if not (kindIs "invalid" $pdb.minAvailable) -}}
    {{- $text := include "bedrock-grpc.text" $pdb.minAvailable -}}
    {{- /* Kubernetes rounds a share of the pods up. */ -}}
    {{- $stay := hasSuffix "%" $text | ternary (divf (mulf (trimSuffix "%" $text | float64) (float64 $pods)) 100.0 | ceil | int64) ($text | float64 | int64) -}}
    {{- if and (gt $pods 0) (ge $stay $pods) -}}
      {{- fail (printf "podDisruptionBudget.minAvailable: %s of %d pods must stay: no node could ever be drained; use less, or maxUnavailable" $text $pods) -}}
    {{- end -}}
    {{- if eq $text "100%" -}}
      {{- fail "podDisruptionBudget.minAvailable: 100% of the pods must stay: no node could ever be drained; use less, or maxUnavailable" -}}
    {{- end -}}
  {{- end -}}
  {{- if and (not (kindIs "invalid" $pdb.maxUnavailable)) (regexMatch "^0+%?$" (include "bedrock-grpc.text" $pdb.maxUnavailable)) -}}
    {{- fail "podDisruptionBudget.maxUnavailable: with 0 no node could ever be drained; use 1" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

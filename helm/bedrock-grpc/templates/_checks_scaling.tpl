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
  {{- include "bedrock-grpc.checkMeasured" . -}}
  {{- if and $v.checkUnused (ne (int64 $v.replicaCount) 2) (ne (int64 $v.replicaCount) (int64 $auto.minReplicas)) -}}
    {{- fail (printf "replicaCount: has no effect with %s.enabled; remove it, and set autoscaling.minReplicas. To keep it, set checkUnused to false" ($auto.enabled | ternary "autoscaling" "keda")) -}}
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
  {{- $names := empty $auto.targetOpenCalls | ternary list (list "open-calls") -}}
  {{- range $i, $trigger := $v.keda.extraTriggers -}}
    {{- if and $trigger.name (has $trigger.name $names) -}}
      {{- fail (printf "keda.extraTriggers[%d].name: another trigger is called %s, which KEDA rejects; use another name" $i $trigger.name) -}}
    {{- end -}}
    {{- $names = append $names ($trigger.name | default "") -}}
    {{- range $key := eq (toString $trigger.type) "cron" | ternary (list "timezone" "start" "end" "desiredReplicas") list -}}
      {{- if not (get ($trigger.metadata | default dict) $key) -}}
        {{- fail (printf "keda.extraTriggers[%d].metadata.%s: required in triggers of the type cron" $i $key) -}}
      {{- end -}}
    {{- end -}}
    {{- if and $trigger.useCachedMetrics (has $trigger.type (list "cpu" "memory" "cron")) -}}
      {{- fail (printf "keda.extraTriggers[%d].useCachedMetrics: KEDA rejects it in triggers of the type %s; remove it" $i $trigger.type) -}}
    {{- end -}}
  {{- end -}}
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
{{- if and $v.keda.enabled $v.keda.fallback (not $auto.targetOpenCalls) -}}
  {{- $others := list -}}
  {{- range $v.keda.extraTriggers -}}{{- if not (has .type (list "cpu" "memory")) -}}{{- $others = append $others .type -}}{{- end -}}{{- end -}}
  {{- if not $others -}}
    {{- fail "keda.fallback: KEDA rejects it with triggers for cpu and memory alone; set autoscaling.targetOpenCalls, or remove it" -}}
  {{- end -}}
{{- end -}}
{{- $vertical := $v.verticalPodAutoscaler -}}
{{- if $vertical.enabled -}}
  {{- range $key := list "minAllowed" "maxAllowed" -}}
    {{- range $resource, $_ := get $vertical $key | default dict -}}
      {{- if not (has $resource $vertical.controlledResources) -}}
        {{- fail (printf "verticalPodAutoscaler.%s.%s: has no effect, because verticalPodAutoscaler.controlledResources has no %s; add it there, or remove this" $key $resource $resource) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- with ($vertical.maxAllowed | default dict).memory -}}
    {{- if lt (include "bedrock-grpc.quantity" . | float64) 33554432.0 -}}
      {{- fail (printf "verticalPodAutoscaler.maxAllowed.memory: %v is too little to start; the gateway needs 32Mi, and more for calls" .) -}}
    {{- end -}}
  {{- end -}}
  {{- if and (has "memory" $vertical.controlledResources) (ne $vertical.updateMode "Off") $auto.enabled -}}
    {{- range $i, $metric := $auto.extraMetrics -}}
      {{- if eq (($metric.resource | default dict).name | default "") "memory" -}}
        {{- fail (printf "verticalPodAutoscaler.controlledResources: memory is what autoscaling.extraMetrics[%d] scales on; use one of the two" $i) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
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
  {{- if and (not (kindIs "invalid" $pdb.maxUnavailable)) $v.checkUnused -}}
    {{- $most := include "bedrock-grpc.mostPods" . | int64 -}}
    {{- $text := include "bedrock-grpc.text" $pdb.maxUnavailable -}}
    {{- $leave := hasSuffix "%" $text | ternary (divf (mulf (trimSuffix "%" $text | float64) (float64 $most)) 100.0 | ceil | int64) ($text | float64 | int64) -}}
    {{- if and (gt $most 1) (ge $leave $most) -}}
      {{- fail (printf "podDisruptionBudget.maxUnavailable: %s of at most %d pods: a node drain could evict all of them at once; use less, or set podDisruptionBudget.enabled to false" $text $most) -}}
    {{- end -}}
  {{- end -}}
  {{- if and (not (kindIs "invalid" $pdb.maxUnavailable)) (regexMatch "^0+%?$" (include "bedrock-grpc.text" $pdb.maxUnavailable)) -}}
    {{- fail "podDisruptionBudget.maxUnavailable: with 0 no node could ever be drained; use 1" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* What autoscalers measure in percent of requests: every container of the pod needs the request, or no metric has a value. */}}
{{- define "bedrock-grpc.checkMeasured" -}}
{{- $v := .Values -}}
{{- $auto := $v.autoscaling -}}
{{- $measured := dict -}}
{{- if $auto.targetCPUUtilizationPercentage -}}
  {{- $_ := set $measured "cpu" "autoscaling.targetCPUUtilizationPercentage" -}}
{{- end -}}
{{- $names := list "gateway" -}}
{{- range concat ($v.extraContainers | default list) ($v.initContainers | default list) -}}{{- $names = append $names .name -}}{{- end -}}
{{- range $i, $metric := $auto.extraMetrics -}}
  {{- $path := printf "autoscaling.extraMetrics[%d]" $i -}}
  {{- with $metric.resource -}}
    {{- if eq ((.target | default dict).type | toString) "Utilization" -}}{{- $_ := set $measured .name $path -}}{{- end -}}
  {{- end -}}
  {{- with $metric.containerResource -}}
    {{- if not (has .container $names) -}}
      {{- fail (printf "%s.containerResource.container: the pod has no container %s; use gateway" $path .container) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $resource, $by := $measured -}}
  {{- if not (get (($v.resources | default dict).requests | default dict) $resource) -}}
    {{- fail (printf "resources.requests.%s: required with %s, which is in percent of it" $resource $by) -}}
  {{- end -}}
  {{- range $key := list "extraContainers" "initContainers" -}}
    {{- range $i, $container := get $v $key | default list -}}
      {{- $runs := or (eq $key "extraContainers") (eq (toString $container.restartPolicy) "Always") -}}
      {{- $own := $container.resources | default dict -}}
      {{- if and $runs (not (or (get ($own.requests | default dict) $resource) (get ($own.limits | default dict) $resource))) -}}
        {{- fail (printf "%s[%d].resources.requests.%s: required with %s: the autoscaler fails if one container of a pod has no request" $key $i $resource $by) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

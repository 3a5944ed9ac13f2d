{{/* More objects (extraObjects): objects with names that the chart does not use, which do not undo what the chart sets. */}}

{{- define "bedrock-grpc.checkExtraObjects" -}}
{{- $names := include "bedrock-grpc.ownNames" . | fromYaml -}}
{{- range $i, $object := .Values.extraObjects -}}
  {{- $path := printf "extraObjects[%d]" $i -}}
  {{- range $text := regexSplit "(?m)^---" (tpl (kindIs "string" $object | ternary $object (toYaml $object)) $) -1 -}}
    {{- if regexMatch "(?m)^\\s*[^#\\s]" $text -}}
      {{- $read := fromYaml $text -}}
      {{- with get $read "Error" -}}
        {{- fail (printf "%s: is not an object in YAML: %s; correct it" $path .) -}}
      {{- end -}}
      {{- range $key := list "apiVersion" "kind" -}}
        {{- if not (get $read $key) -}}{{- fail (printf "%s.%s: required in every object" $path $key) -}}{{- end -}}
        {{- if not (kindIs "string" (get $read $key)) -}}{{- fail (printf "%s.%s: must be a text, got %v" $path $key (get $read $key)) -}}{{- end -}}
      {{- end -}}
      {{- if hasSuffix "List" $read.kind -}}
        {{- range $j, $member := $read.items -}}
          {{- if not (kindIs "map" $member) -}}{{- fail (printf "%s.items[%d]: is not an object" $path $j) -}}{{- end -}}
          {{- include "bedrock-grpc.checkExtraObject" (dict "root" $ "object" $member "names" $names "path" (printf "%s.items[%d]" $path $j)) -}}
        {{- end -}}
      {{- else -}}
        {{- include "bedrock-grpc.checkExtraObject" (dict "root" $ "object" $read "names" $names "path" $path) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* One object. Takes a dict of "root", "object", "path" and "names": those that are in use, to which this adds the object's. */}}
{{- define "bedrock-grpc.checkExtraObject" -}}
{{- $object := .object -}}
{{- if not (kindIs "map" $object.metadata) -}}
  {{- fail (printf "%s.metadata: required in every object, with a name" .path) -}}
{{- end -}}
{{- $name := $object.metadata.name -}}
{{- if not (and (kindIs "string" $name) (regexMatch "^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$" (toString $name))) -}}
  {{- fail (printf "%s.metadata.name: must be the name of an object, in lower-case letters, digits and hyphens, got %v" .path $name) -}}
{{- end -}}
{{- $path := .path -}}
{{- $texts := dict "metadata.labels" $object.metadata.labels "metadata.annotations" $object.metadata.annotations -}}
{{- if has $object.kind (list "ConfigMap" "Secret") -}}
  {{- range $field := list "data" "binaryData" "stringData" -}}
    {{- if hasKey $object $field -}}{{- $_ := set $texts $field (get $object $field) -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- range $field, $map := $texts -}}
  {{- if not (or (kindIs "invalid" $map) (kindIs "map" $map)) -}}
    {{- fail (printf "%s.%s: must be a map of texts, got %v" $path $field $map) -}}
  {{- end -}}
  {{- range $entry, $value := $map -}}
    {{- if not (kindIs "string" $value) -}}
      {{- fail (printf "%s.%s.%s: must be a text, got %v; put it in quotes" $path $field $entry $value) -}}
    {{- end -}}
    {{- if and (eq $object.kind "Secret") (eq $field "data") (not (regexMatch "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$" (regexReplaceAll "\\s" $value ""))) -}}
      {{- fail (printf "%s.data.%s: is not base64; write the text to stringData, or encode it" $path $entry) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $namespace := $object.metadata.namespace | default .root.Release.Namespace -}}
{{- $key := printf "%s %s" $object.kind $name -}}
{{- if and (eq $namespace (include "bedrock-grpc.namespace" .root)) (hasKey .names $key) -}}
  {{- fail (printf "%s.metadata.name: the chart has a %s called %s; use another name" .path $object.kind $name) -}}
{{- end -}}
{{- $full := printf "%s %s/%s %s" $object.apiVersion $object.kind $namespace $name -}}
{{- if hasKey .names $full -}}
  {{- fail (printf "%s.metadata.name: another member is a %s called %s; use another name" .path $object.kind $name) -}}
{{- end -}}
{{- $_ := set .names $full true -}}
{{- if eq $namespace (include "bedrock-grpc.namespace" .root) -}}
  {{- include "bedrock-grpc.checkUndone" . -}}
{{- end -}}
{{- end -}}

{{/* Objects that work against those of the chart. Takes a dict of "root", "object" and "path". */}}
{{- define "bedrock-grpc.checkUndone" -}}
{{- $v := .root.Values -}}
{{- $object := .object -}}
{{- $spec := kindIs "map" $object.spec | ternary $object.spec dict -}}
{{- $selector := kindIs "map" $spec.selector | ternary $spec.selector dict -}}
{{- $own := include "bedrock-grpc.podLabels" .root | fromYaml -}}
{{- $target := kindIs "map" $spec.scaleTargetRef | ternary $spec.scaleTargetRef dict -}}
{{- $scaled := and (eq (toString $target.kind) "Deployment") (eq (toString $target.name) (include "bedrock-grpc.fullname" .root)) -}}
{{- if and (eq $object.kind "PodDisruptionBudget") $v.podDisruptionBudget.enabled -}}
  {{- if and (hasKey $spec "selector") (not $selector.matchExpressions) -}}
    {{- if include "bedrock-grpc.selects" (list ($selector.matchLabels | default dict) $own) -}}
      {{- fail (printf "%s.spec.selector: selects the gateway's pods, which podDisruptionBudget selects, too: Kubernetes evicts no pod with two budgets; set podDisruptionBudget.enabled to false, or remove this object" .path) -}}
    {{- end -}}
  {{- end -}}
{{- else if and (has $object.kind (list "HorizontalPodAutoscaler" "ScaledObject")) $scaled -}}
  {{- if or $v.autoscaling.enabled $v.keda.enabled -}}
    {{- fail (printf "%s.spec.scaleTargetRef: the chart's own autoscaler scales this Deployment; remove one of them" .path) -}}
  {{- end -}}
{{- else if and (eq $object.kind "Service") (has $spec.type (list "LoadBalancer" "NodePort")) (not $v.acceptOpenAccess) -}}
  {{- if and $selector (include "bedrock-grpc.selects" (list $selector $own)) -}}
    {{- fail (printf "%s.spec.type: a Service of type %s for the gateway's pods, whose openness the chart can't check; use extraServices, or set acceptOpenAccess to true" .path $spec.type) -}}
  {{- end -}}
{{- else if has $object.kind (list "Deployment" "StatefulSet" "DaemonSet" "Job" "ReplicaSet") -}}
  {{- $labels := dig "metadata" "labels" dict (kindIs "map" $spec.template | ternary $spec.template dict) -}}
  {{- if include "bedrock-grpc.selects" (list (include "bedrock-grpc.selectorLabels" .root | fromYaml) ($labels | default dict)) -}}
    {{- fail (printf "%s.spec.template.metadata.labels: its pods would get the gateway's calls, because they have all labels of the gateway's pods; change app.kubernetes.io/component" .path) -}}
  {{- end -}}
{{- else if and (eq $object.kind "NetworkPolicy") $v.networkPolicy.enabled $v.networkPolicy.from (kindIs "slice" $spec.ingress) -}}
  {{- $pods := kindIs "map" $spec.podSelector | ternary $spec.podSelector dict -}}
  {{- if and (not $pods.matchExpressions) (include "bedrock-grpc.selects" (list ($pods.matchLabels | default dict) $own)) -}}
    {{- $path := .path -}}
    {{- range $i, $each := $spec.ingress -}}
      {{- if not (and (kindIs "map" $each) $each.from) -}}
        {{- fail (printf "%s.spec.ingress[%d]: lets everyone call the gateway, because policies add up, so networkPolicy.from would have no effect; add from, or remove one of them" $path $i) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- else if and (eq $object.kind "ConfigMap") $object.data -}}
  {{- include "bedrock-grpc.checkMembers" (dict "value" $object.data "path" (printf "%s.data" .path)) -}}
{{- end -}}
{{- end -}}

{{/* "true" if labels have all the pairs of a selector. Takes a list of the selector and the labels. */}}
{{- define "bedrock-grpc.selects" -}}
{{- $labels := last . -}}
{{- $missing := false -}}
{{- range $key, $value := first . -}}
  {{- if ne (get $labels $key | toString) (toString $value) -}}{{- $missing = true -}}{{- end -}}
{{- end -}}
{{- if not $missing -}}true{{- end -}}
{{- end -}}

{{/* The chart's own objects in its namespace: "KIND NAME" as keys of a map. */}}
{{- define "bedrock-grpc.ownNames" -}}
{{- $v := .Values -}}
{{- $full := include "bedrock-grpc.fullname" . -}}
{{- $here := dict -}}
{{- range $kind := list "serviceMonitor" "podMonitor" "prometheusRule" "dashboard" -}}
  {{- $part := get $v.metrics $kind -}}
  {{- $_ := set $here $kind (and $part.enabled (has $part.namespace (list "" (include "bedrock-grpc.namespace" $)))) -}}
{{- end -}}
{{- $objects := list
      (list "ConfigMap" "" true)
      (list "Deployment" "" true)
      (list "Service" "" true)
      (list "Service" "-headless" $v.headlessService.enabled)
      (list "Service" "-admin" $v.metrics.serviceMonitor.enabled)
      (list "PodDisruptionBudget" "" $v.podDisruptionBudget.enabled)
      (list "HorizontalPodAutoscaler" "" (or $v.autoscaling.enabled $v.keda.enabled))
      (list "ScaledObject" "" $v.keda.enabled)
      (list "VerticalPodAutoscaler" "" $v.verticalPodAutoscaler.enabled)
      (list "NetworkPolicy" "" $v.networkPolicy.enabled)
      (list "CiliumNetworkPolicy" "" $v.ciliumNetworkPolicy.enabled)
      (list "Ingress" "" $v.ingress.enabled)
      (list "GRPCRoute" "" $v.grpcRoute.enabled)
      (list "BackendTLSPolicy" "" (include "bedrock-grpc.makesBackendTLSPolicy" .))
      (list "BackendTrafficPolicy" "" $v.backendTrafficPolicy.enabled)
      (list "ExternalSecret" "" $v.externalSecret.enabled)
      (list "Secret" "" $v.externalSecret.enabled)
      (list "Certificate" "" $v.tls.certificate.enabled)
      (list "Secret" "-tls" $v.tls.certificate.enabled)
      (list "ServiceMonitor" "" $here.serviceMonitor)
      (list "PodMonitor" "" $here.podMonitor)
      (list "PodMonitoring" "" $v.metrics.podMonitoring.enabled)
      (list "PrometheusRule" "" $here.prometheusRule)
      (list "ConfigMap" "-dashboard" $here.dashboard)
      (list "ConfigMap" "-check" $v.checkJob.enabled)
      (list "ConfigMap" "-check-env" (and $v.checkJob.enabled $v.externalSecret.enabled))
      (list "Job" "-check" $v.checkJob.enabled)
      (list "Pod" "-test" $v.tests.enabled) -}}
{{- $names := dict -}}
{{- range $objects -}}
  {{- if index . 2 -}}{{- $_ := set $names (printf "%s %s%s" (first .) $full (index . 1)) true -}}{{- end -}}
{{- end -}}
{{- range $suffix, $_ := $v.extraServices -}}{{- $_ := set $names (printf "Service %s-%s" $full $suffix) true -}}{{- end -}}
{{- if $v.serviceAccount.create -}}{{- $_ := set $names (printf "ServiceAccount %s" (include "bedrock-grpc.serviceAccountName" .)) true -}}{{- end -}}
{{- toYaml $names -}}
{{- end -}}

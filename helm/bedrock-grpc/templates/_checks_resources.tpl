{{/* Amounts of resources that Kubernetes rejects, or that no one can mean. Takes a dict of "resources" and "path". */}}
{{- define "bedrock-grpc.checkResources" -}}
{{- $path := .path -}}
{{- $limits := .resources.limits | default dict -}}
{{- $requests := .resources.requests | default dict -}}
{{- range $name, $amount := merge (dict) $limits $requests -}}
  {{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?([eE][0-9]{1,2}|[mkMGTPE]|[KMGTPE]i)?$" (include "bedrock-grpc.text" $amount)) -}}
    {{- fail (printf "%s.%s.%s: %v is not a quantity; write a number with a unit, such as 500m, 256Mi or 1Gi" $path (hasKey $limits $name | ternary "limits" "requests") $name $amount) -}}
  {{- end -}}
{{- end -}}
{{- if .resources.claims -}}
  {{- fail (printf "%s.claims: refers to resourceClaims of the pod, which the chart does not set; remove it" $path) -}}
{{- end -}}
{{- range $kind, $amounts := dict "limits" $limits "requests" $requests -}}
  {{- range $name, $amount := $amounts -}}
    {{- $text := include "bedrock-grpc.text" $amount -}}
    {{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMG]i)$|^[a-z0-9.-]+/.+" $name) -}}
      {{- fail (printf "%s.%s.%s: Kubernetes has no such resource; use cpu, memory or ephemeral-storage, or the full name of an extended one, such as nvidia.com/gpu" $path $kind $name) -}}
    {{- end -}}
    {{- if and (eq $name "cpu") (regexMatch "[kKMGTPE]" $text) -}}
      {{- fail (printf "%s.%s.cpu: %s is a unit of bytes; write CPUs, such as 1 or 500m" $path $kind $text) -}}
    {{- end -}}
    {{- if and (has $name (list "memory" "ephemeral-storage")) (hasSuffix "m" $text) -}}
      {{- fail (printf "%s.%s.%s: in %s, m is a thousandth of a byte; write Mi for mebibytes" $path $kind $name $text) -}}
    {{- end -}}
    {{- if hasPrefix "requests." $name -}}
      {{- fail (printf "%s.%s.%s: Kubernetes rejects names of resources that begin with requests.; remove that prefix" $path $kind $name) -}}
    {{- end -}}
    {{- if hasPrefix "hugepages-" $name -}}
      {{- $size := include "bedrock-grpc.quantity" (trimPrefix "hugepages-" $name) | float64 | int64 -}}
      {{- if ne (mod (include "bedrock-grpc.quantity" $amount | float64 | int64) $size) 0 -}}
        {{- fail (printf "%s.%s.%s: %s is not a multiple of the page size, which Kubernetes rejects" $path $kind $name $text) -}}
      {{- end -}}
    {{- end -}}
    {{- if regexMatch "/|^hugepages-" $name -}}
      {{- if and (contains "/" $name) (not (regexMatch "^[0-9]+([kMGTPE]|[KMGTPE]i)?$" $text)) -}}
        {{- fail (printf "%s.%s.%s: %s is not a whole number, which Kubernetes requires for extended resources" $path $kind $name $text) -}}
      {{- end -}}
      {{- if and (hasKey $requests $name) (ne (include "bedrock-grpc.quantity" (get $requests $name)) (include "bedrock-grpc.quantity" (get $limits $name | default 0))) -}}
        {{- fail (printf "%s.requests.%s: must be equal to %s.limits.%s; remove it, Kubernetes takes the limit" $path $name $path $name) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $name, $limit := $limits -}}
  {{- if hasKey $requests $name -}}
    {{- $request := get $requests $name -}}
    {{- if lt (include "bedrock-grpc.quantity" $limit | float64) (include "bedrock-grpc.quantity" $request | float64) -}}
      {{- fail (printf "%s.limits.%s: %v is less than %s.requests.%s, %v, which Kubernetes rejects; raise the limit or lower the request" $path $name $limit $path $name $request) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of Kubernetes, such as 256Mi, as a number. */}}
{{- define "bedrock-grpc.quantity" -}}
{{- $text := include "bedrock-grpc.text" . -}}
{{- $number := regexFind "^[0-9.]+" $text | float64 -}}
{{- $suffix := regexReplaceAll "^[0-9.]+" $text "" -}}
{{- if regexMatch "^[eE][0-9]+$" $suffix -}}
  {{- range until (int (substr 1 -1 $suffix)) -}}{{- $number = mulf $number 10.0 -}}{{- end -}}
{{- else if $suffix -}}
  {{- $factors := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
  {{- $number = mulf $number (get $factors $suffix) -}}
{{- end -}}
{{- printf "%f" $number -}}
{{- end -}}

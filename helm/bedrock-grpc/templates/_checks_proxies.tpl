{{/* What proxies in front of the gateway do to its streams: Gateways, Ingress controllers, load balancers. */}}

{{/* Envoy Gateway's policy: its limits must not end calls that the gateway allows. */}}
{{- define "bedrock-grpc.checkTrafficPolicy" -}}
{{- $policy := .Values.backendTrafficPolicy -}}
{{- $spec := $policy.spec | default dict -}}
{{- range $key := list "targetRef" "targetRefs" "targetSelectors" -}}
  {{- if hasKey $spec $key -}}
    {{- fail (printf "backendTrafficPolicy.spec.%s: the policy is for the chart's GRPCRoute; remove it, and write policies for other targets to extraObjects" $key) -}}
  {{- end -}}
{{- end -}}
{{- $times := ($spec.timeout | default dict).http | default dict -}}
{{- if hasKey $times "requestTimeout" -}}
  {{- fail "backendTrafficPolicy.spec.timeout.http.requestTimeout: would end answers that are still being written; remove it, and limit calls by backendTrafficPolicy.maxStreamDuration" -}}
{{- end -}}
{{- range $key := list "maxStreamDuration" "streamIdleTimeout" -}}
  {{- if hasKey $times $key -}}
    {{- fail (printf "backendTrafficPolicy.spec.timeout.http.%s: the chart sets it; set backendTrafficPolicy.%s instead" $key $key) -}}
  {{- end -}}
{{- end -}}
{{- $longest := include "bedrock-grpc.maxDeadlineSeconds" . -}}
{{- $limit := include "bedrock-grpc.goSeconds" $policy.maxStreamDuration | float64 -}}
{{- if and (gt $limit 0.0) (ne $longest "unknown") (lt $limit (float64 $longest)) -}}
  {{- fail (printf "backendTrafficPolicy.maxStreamDuration: %s is shorter than config.limits.max_deadline, %s s: the Gateway would cut calls without a status; raise it, or lower config.limits.max_deadline" $policy.maxStreamDuration $longest) -}}
{{- end -}}
{{- $seconds := include "bedrock-grpc.goSeconds" $policy.streamIdleTimeout | float64 -}}
{{- if gt $seconds 0.0 -}}
  {{- include "bedrock-grpc.checkSilence" (dict "root" . "key" "backendTrafficPolicy.streamIdleTimeout" "seconds" (printf "%d" (int64 (floor $seconds)))) -}}
{{- end -}}
{{- end -}}

{{/* The rules of a GRPCRoute, as far as only the API server checks them. Takes a dict of "rule" and "path". */}}
{{- define "bedrock-grpc.checkRule" -}}
{{- $path := .path -}}
{{- range $j, $match := .rule.matches -}}
  {{- if hasKey $match "method" -}}
    {{- $method := $match.method | default dict -}}
    {{- if not (or $method.service $method.method) -}}
      {{- fail (printf "%s.matches[%d].method: must have service or method, or be left out" $path $j) -}}
    {{- end -}}
    {{- if ne (toString ($method.type | default "Exact")) "RegularExpression" -}}
      {{- if and $method.service (not (regexMatch "^(?i)\\.?[a-z_][a-z_0-9]*(\\.[a-z_][a-z_0-9]*)*$" $method.service)) -}}
        {{- fail (printf "%s.matches[%d].method.service: %q is not the full name of a service, such as bedrock.inference.v1.InferenceService" $path $j $method.service) -}}
      {{- end -}}
      {{- if and $method.method (not (regexMatch "^[A-Za-z_][A-Za-z_0-9]*$" $method.method)) -}}
        {{- fail (printf "%s.matches[%d].method.method: %q is not the name of a method, such as StreamInvoke" $path $j $method.method) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $types := list -}}
{{- range $j, $filter := .rule.filters -}}
  {{- if and (has $filter.type $types) (has $filter.type (list "RequestHeaderModifier" "ResponseHeaderModifier")) -}}
    {{- fail (printf "%s.filters[%d].type: a rule can have one %s; join them" $path $j $filter.type) -}}
  {{- end -}}
  {{- $types = append $types $filter.type -}}
{{- end -}}
{{- range $j, $match := .rule.matches -}}
  {{- $expressions := dict -}}
  {{- range $k, $header := $match.headers -}}
    {{- if eq (toString $header.type) "RegularExpression" -}}{{- $_ := set $expressions (printf "headers[%d].value" $k) $header.value -}}{{- end -}}
  {{- end -}}
  {{- if eq (toString ($match.method | default dict).type) "RegularExpression" -}}
    {{- $_ := set $expressions "method.service" $match.method.service -}}
    {{- $_ := set $expressions "method.method" $match.method.method -}}
  {{- end -}}
  {{- range $key, $text := $expressions -}}
    {{- /* With an empty alternative, every regular expression matches, unless it is not one. */ -}}
    {{- if and $text (not (regexMatch (printf "(?s)(?:%s)|" $text) "")) -}}
      {{- fail (printf "%s.matches[%d].%s: %q is not a regular expression; correct it" $path $j $key $text) -}}
    {{- end -}}
  {{- end -}}
  {{- include "bedrock-grpc.checkHeaders" (dict "headers" $match.headers "path" (printf "%s.matches[%d].headers" $path $j)) -}}
{{- end -}}
{{- range $j, $filter := .rule.filters -}}
  {{- include "bedrock-grpc.checkFilter" (dict "filter" $filter "path" (printf "%s.filters[%d]" $path $j)) -}}
{{- end -}}
{{- $weights := list -}}
{{- range $j, $backend := .rule.backendRefs -}}
  {{- $weights = append $weights (hasKey $backend "weight" | ternary (int64 $backend.weight) 1) -}}
  {{- $own := get $.ports (toString $backend.name) -}}
  {{- if and $own $backend.port (not $backend.namespace) (ne (include "bedrock-grpc.text" $backend.port) $own) -}}
    {{- fail (printf "%s.backendRefs[%d].port: the Service %s has the port %s, not %s; correct it" $path $j $backend.name $own (include "bedrock-grpc.text" $backend.port)) -}}
  {{- end -}}
  {{- range $k, $filter := $backend.filters -}}
    {{- include "bedrock-grpc.checkFilter" (dict "filter" $filter "path" (printf "%s.backendRefs[%d].filters[%d]" $path $j $k)) -}}
  {{- end -}}
  {{- if and (eq (toString ($backend.kind | default "Service")) "Service") (not $backend.group) (not $backend.port) -}}
    {{- fail (printf "%s.backendRefs[%d].port: required for a Service" $path $j) -}}
  {{- end -}}
{{- end -}}
{{- if and $weights (not (compact $weights)) -}}
  {{- fail (printf "%s.backendRefs: all have the weight 0, so the rule serves no calls; raise one of them" $path) -}}
{{- end -}}
{{- end -}}

{{/* One filter of a GRPCRoute. Takes a dict of "filter" and "path". */}}
{{- define "bedrock-grpc.checkFilter" -}}
{{- $filter := .filter -}}
{{- $path := .path -}}
{{- $field := untitle (toString $filter.type) -}}
{{- if not (hasKey $filter $field) -}}
  {{- fail (printf "%s.%s: required with the type %s" $path $field $filter.type) -}}
{{- end -}}
{{- range $other := keys (omit $filter "type" $field) -}}
  {{- fail (printf "%s.%s: does not belong to the type %s; remove it" $path $other $filter.type) -}}
{{- end -}}
{{- range $modifier := list "requestHeaderModifier" "responseHeaderModifier" -}}
  {{- range $list := list "set" "add" -}}
    {{- $headers := get (get $filter $modifier | default dict) $list | default list -}}
    {{- include "bedrock-grpc.checkHeaders" (dict "headers" $headers "path" (printf "%s.%s.%s" $path $modifier $list)) -}}
  {{- end -}}
{{- end -}}
{{- with $filter.requestMirror -}}
  {{- $backend := .backendRef | default dict -}}
  {{- if and (eq (toString ($backend.kind | default "Service")) "Service") (not $backend.group) (not $backend.port) -}}
    {{- fail (printf "%s.requestMirror.backendRef.port: required for a Service" $path) -}}
  {{- end -}}
  {{- if and .fraction (gt (int64 .fraction.numerator) (int64 (.fraction.denominator | default 100))) -}}
    {{- fail (printf "%s.requestMirror.fraction.numerator: must be at most the denominator, got %d" $path (int64 .fraction.numerator)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Headers that are listed twice, which the API server rejects. Takes a dict of "headers" and "path". */}}
{{- define "bedrock-grpc.checkHeaders" -}}
{{- $path := .path -}}
{{- $names := list -}}
{{- range $i, $header := .headers -}}
  {{- if has $header.name $names -}}
    {{- fail (printf "%s[%d].name: %s is listed twice; remove one" $path $i $header.name) -}}
  {{- end -}}
  {{- $names = append $names $header.name -}}
{{- end -}}
{{- end -}}

{{/* Paths of an Ingress that no gRPC method has, and hosts that are listed twice. */}}
{{- define "bedrock-grpc.checkIngressPaths" -}}
{{- $ingress := .Values.ingress -}}
{{- $rewrites := false -}}
{{- range $key, $_ := $ingress.annotations -}}
  {{- if regexMatch "rewrite|use-regex" $key -}}{{- $rewrites = true -}}{{- end -}}
{{- end -}}
{{- if and $ingress.className (hasKey ($ingress.annotations | default dict) "kubernetes.io/ingress.class") -}}
  {{- fail "ingress.className: Kubernetes rejects it together with the annotation kubernetes.io/ingress.class; remove the annotation" -}}
{{- end -}}
{{- $path := $ingress.path -}}
{{- if and (eq $ingress.pathType "Prefix") (not $rewrites) (not (regexMatch "^/$|^/[a-zA-Z_][a-zA-Z_0-9]*\\.[a-zA-Z_0-9.]+(/[A-Za-z_0-9]*)?$" $path)) -}}
  {{- fail (printf "ingress.path: no gRPC method has a path below %s; use /, or a service such as /bedrock.inference.v1.InferenceService" $path) -}}
{{- end -}}
{{- if and (eq $ingress.pathType "Exact") (not $rewrites) (not (regexMatch "^/[a-zA-Z_][a-zA-Z_0-9.]*/[A-Za-z_0-9]+$" $path)) -}}
  {{- fail (printf "ingress.path: no gRPC method has exactly the path %s; set ingress.pathType to Prefix" $path) -}}
{{- end -}}
{{- range $i, $host := $ingress.hosts -}}
  {{- if has $host (slice $ingress.hosts 0 $i) -}}
    {{- fail (printf "ingress.hosts[%d]: %s is listed twice; remove one" $i $host) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Proxies that have no client certificate, which the gateway demands. */}}
{{- define "bedrock-grpc.checkProxiesAreClients" -}}
{{- $v := .Values -}}
{{- if and $v.ingress.enabled $v.tls.enabled $v.tls.clients.caKey $v.tls.clients.required -}}
  {{- if eq $v.ingress.controller "alb" -}}
    {{- fail "tls.clients.required: an ALB has no client certificate for the gateway, so every call would fail; set it to false, or ingress.enabled" -}}
  {{- end -}}
  {{- if and (eq $v.ingress.controller "nginx") (not (hasKey ($v.ingress.annotations | default dict) "nginx.ingress.kubernetes.io/proxy-ssl-secret")) -}}
    {{- fail "tls.clients.required: nginx has no client certificate for the gateway, so every call would fail; name one with the annotation nginx.ingress.kubernetes.io/proxy-ssl-secret in ingress.annotations, or set this to false" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Annotations of an ALB that keep it from serving gRPC. */}}
{{- define "bedrock-grpc.checkAlbAnnotations" -}}
{{- $v := .Values -}}
{{- $annotations := $v.ingress.annotations | default dict -}}
{{- $needed := dict "backend-protocol-version" "GRPC" "backend-protocol" (include "bedrock-grpc.servesTls" . | empty | ternary "HTTP" "HTTPS") -}}
{{- range $name, $value := $needed -}}
  {{- $key := printf "alb.ingress.kubernetes.io/%s" $name -}}
  {{- if and (hasKey $annotations $key) (ne (get $annotations $key | toString) $value) -}}
    {{- fail (printf "ingress.annotations: %s must be %s, not %v; remove it, the chart sets it" $key $value (get $annotations $key)) -}}
  {{- end -}}
{{- end -}}
{{- $codes := get $annotations "alb.ingress.kubernetes.io/success-codes" | toString -}}
{{- if regexMatch "[0-9]{3}" $codes -}}
  {{- fail (printf "ingress.annotations: alb.ingress.kubernetes.io/success-codes must be gRPC codes, from 0 to 99, not %s; remove it, the chart sets 0" $codes) -}}
{{- end -}}
{{- if contains "routing.http2.enabled=false" (get $annotations "alb.ingress.kubernetes.io/load-balancer-attributes" | toString | nospace) -}}
  {{- fail "ingress.annotations: routing.http2.enabled=false in alb.ingress.kubernetes.io/load-balancer-attributes switches off HTTP/2, which gRPC needs; remove it" -}}
{{- end -}}
{{- if and (eq (get $annotations "alb.ingress.kubernetes.io/target-type" | toString) "instance") (eq $v.service.type "ClusterIP") -}}
  {{- fail "ingress.annotations: alb.ingress.kubernetes.io/target-type instance needs a Service of type NodePort; remove it, the chart sets ip" -}}
{{- end -}}
{{- end -}}

{{/* A class of another controller than the one whose annotations the chart adds. */}}
{{- define "bedrock-grpc.checkIngressClass" -}}
{{- $ingress := .Values.ingress -}}
{{- $class := $ingress.className | default (get ($ingress.annotations | default dict) "kubernetes.io/ingress.class") | toString -}}
{{- $others := dict "alb" "alb" "nginx" "nginx" "traefik" "" "haproxy" "" "kong" "" "contour" "" "gce" "" "gce-internal" "" "azure-application-gateway" "" -}}
{{- if and $ingress.controller (hasKey $others $class) (ne (get $others $class) $ingress.controller) -}}
  {{- fail (printf "ingress.controller: adds annotations for %s, which the class %s ignores; set it to %q" $ingress.controller $class (get $others $class)) -}}
{{- end -}}
{{- end -}}

{{/* Services, and who can connect to them from outside the cluster. */}}
{{- define "bedrock-grpc.checkServices" -}}
{{- $v := .Values -}}
{{- $kube := .Capabilities.KubeVersion.Version -}}
{{- include "bedrock-grpc.checkService" (dict "root" . "service" $v.service "path" "service") -}}
{{- range $suffix, $service := $v.extraServices -}}
  {{- if has $suffix (list "headless" "admin" "tls" "test" "dashboard") -}}
    {{- fail (printf "extraServices.%s: the chart uses this suffix itself; use another one" $suffix) -}}
  {{- end -}}
  {{- if gt (len (printf "%s-%s" (include "bedrock-grpc.fullname" $) $suffix)) 63 -}}
    {{- fail (printf "extraServices.%s: the Service's name would be longer than 63 characters; use a shorter suffix or fullnameOverride" $suffix) -}}
  {{- end -}}
  {{- include "bedrock-grpc.checkService" (dict "root" $ "service" ($service | default dict) "path" (printf "extraServices.%s" $suffix)) -}}
{{- end -}}
{{- if and $v.headlessService.annotations (not $v.headlessService.enabled) -}}
  {{- fail "headlessService.annotations: has no effect while headlessService.enabled is false; remove it" -}}
{{- end -}}
{{- end -}}

{{/* One Service. Takes a dict of "root", "service" and "path". */}}
{{- define "bedrock-grpc.checkService" -}}
{{- $v := .root.Values -}}
{{- $kube := .root.Capabilities.KubeVersion.Version -}}
{{- $service := .service -}}
{{- $path := .path -}}
{{- $type := $service.type | default "ClusterIP" -}}
{{- if and $service.trafficDistribution (semverCompare "<1.31-0" $kube) -}}
  {{- fail (printf "%s.trafficDistribution: needs Kubernetes 1.31; this is %s" $path $kube) -}}
{{- end -}}
{{- if and (hasPrefix "PreferSame" ($service.trafficDistribution | default "")) (semverCompare "<1.34-0" $kube) -}}
  {{- fail (printf "%s.trafficDistribution: %s needs Kubernetes 1.34; this is %s, which has PreferClose" $path $service.trafficDistribution $kube) -}}
{{- end -}}
{{- if eq $type "ClusterIP" -}}
  {{- range $key := list "nodePort" "loadBalancerClass" "loadBalancerSourceRanges" "externalTrafficPolicy" -}}
    {{- if get $service $key -}}
      {{- fail (printf "%s.%s: means nothing to a Service of type ClusterIP; remove it, or set %s.type" $path $key $path) -}}
    {{- end -}}
  {{- end -}}
{{- else if eq $type "NodePort" -}}
  {{- range $key := list "loadBalancerClass" "loadBalancerSourceRanges" -}}
    {{- if get $service $key -}}
      {{- fail (printf "%s.%s: means nothing to a Service of type NodePort; remove it, or set %s.type to LoadBalancer" $path $key $path) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $families := $service.ipFamilies | default list -}}
{{- if ne (len $families) (len (uniq $families)) -}}
  {{- fail (printf "%s.ipFamilies: a family is listed twice; remove one" $path) -}}
{{- end -}}
{{- if and (gt (len $families) 1) (has ($service.ipFamilyPolicy | default "") (list "" "SingleStack")) -}}
  {{- fail (printf "%s.ipFamilyPolicy: must be PreferDualStack or RequireDualStack with two ipFamilies" $path) -}}
{{- end -}}
{{- if ne $type "ClusterIP" -}}
  {{- include "bedrock-grpc.checkExposure" . -}}
{{- end -}}
{{- end -}}

{{/* The source ranges of a list that leave someone out. */}}
{{- define "bedrock-grpc.narrowRanges" -}}
{{- $narrow := list -}}
{{- $open := false -}}
{{- range . -}}
  {{- if hasSuffix "/0" . -}}{{- $open = true -}}{{- else -}}{{- $narrow = append $narrow . -}}{{- end -}}
{{- end -}}
{{- if not $open -}}{{ join "," $narrow }}{{- end -}}
{{- end -}}

{{/* Whether a network policy says who may call. */}}
{{- define "bedrock-grpc.policyNamesCallers" -}}
{{- $v := .Values -}}
{{- if or (and $v.networkPolicy.enabled $v.networkPolicy.from) (and $v.ciliumNetworkPolicy.enabled $v.ciliumNetworkPolicy.fromEndpoints) -}}true{{- end -}}
{{- end -}}

{{/* A Service that takes calls from outside the cluster. Takes a dict of "root", "service" and "path". */}}
{{- define "bedrock-grpc.checkExposure" -}}
{{- $v := .root.Values -}}
{{- if not $v.acceptOpenAccess -}}
  {{- $limited := or (include "bedrock-grpc.hasCallers" .root) (include "bedrock-grpc.policyNamesCallers" .root) -}}
  {{- if eq .service.type "LoadBalancer" -}}
    {{- if not (or $limited (include "bedrock-grpc.narrowRanges" .service.loadBalancerSourceRanges)) -}}
      {{- fail (printf "%s.loadBalancerSourceRanges: required with type LoadBalancer, because everyone who can connect can call Bedrock at your cost: list the addresses that may connect (not /0), or set acceptOpenAccess to true" .path) -}}
    {{- end -}}
  {{- else if not $limited -}}
    {{- fail (printf "%s.type: with NodePort, everyone who reaches a node can call Bedrock at your cost; set networkPolicy.enabled and networkPolicy.from, or acceptOpenAccess to true" .path) -}}
  {{- end -}}
  {{- $annotations := keys (.service.annotations | default dict) | join " " -}}
  {{- $ends := regexMatch "ssl-cert|tls-cert|cert-arn|certificate" $annotations -}}
  {{- if not (or $v.tls.enabled (hasKey ($v.config | default dict) "tls") $ends) -}}
    {{- fail (printf "tls.enabled: calls to %s, of type %s, would travel in plaintext; set it to true with a certificate, or acceptOpenAccess to true" .path .service.type) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* GRPCRoute and Ingress. */}}
{{- define "bedrock-grpc.checkRoutes" -}}
{{- $v := .Values -}}
{{- $route := $v.grpcRoute -}}
{{- if $route.enabled -}}
  {{- if not $route.parentRefs -}}
    {{- fail "grpcRoute.parentRefs: required with grpcRoute.enabled: the Gateways that the route belongs to" -}}
  {{- end -}}
  {{- if and $route.rules (or $route.matches $route.filters) -}}
    {{- fail "grpcRoute.rules: replaces grpcRoute.matches and grpcRoute.filters; move them into the rules" -}}
  {{- end -}}
{{- end -}}
{{- $backend := $v.backendTLSPolicy -}}
{{- if and $backend.enabled (not (and $route.enabled $v.tls.enabled)) -}}
  {{- fail "backendTLSPolicy.enabled: needs grpcRoute.enabled and tls.enabled; set both, or remove it" -}}
{{- end -}}
{{- if not (include "bedrock-grpc.makesBackendTLSPolicy" .) -}}
  {{- range $key := list "hostname" "caCertificateRefs" -}}
    {{- if get $backend $key -}}
      {{- fail (printf "backendTLSPolicy.%s: has no effect without a BackendTLSPolicy; set grpcRoute.enabled and tls.enabled, or remove it" $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if $v.backendTrafficPolicy.enabled -}}
  {{- if not $route.enabled -}}
    {{- fail "backendTrafficPolicy.enabled: belongs to the GRPCRoute; set grpcRoute.enabled as well" -}}
  {{- end -}}
  {{- $silence := $v.backendTrafficPolicy.streamIdleTimeout -}}
  {{- $seconds := include "bedrock-grpc.goSeconds" $silence | float64 -}}
  {{- if gt $seconds 0.0 -}}
    {{- include "bedrock-grpc.checkSilence" (dict "root" . "key" "backendTrafficPolicy.streamIdleTimeout" "seconds" (printf "%d" (int64 (floor $seconds)))) -}}
  {{- end -}}
{{- end -}}
{{- $ingress := $v.ingress -}}
{{- if $ingress.enabled -}}
  {{- if not $ingress.hosts -}}
    {{- fail "ingress.hosts: required with ingress.enabled" -}}
  {{- end -}}
  {{- if and (eq $ingress.controller "nginx") (not $ingress.tls) -}}
    {{- fail "ingress.tls: required with ingress.controller nginx, which speaks HTTP/2, and so gRPC, over TLS only" -}}
  {{- end -}}
  {{- if ne $ingress.controller "alb" -}}
    {{- if or $ingress.alb.certificateArn (ne $ingress.alb.scheme "internal") -}}
      {{- fail (printf "ingress.alb.%s: has no effect unless ingress.controller is alb; set that, or remove it" (empty $ingress.alb.certificateArn | ternary "scheme" "certificateArn")) -}}
    {{- end -}}
  {{- else -}}
    {{- include "bedrock-grpc.checkSilence" (dict "root" . "key" "ingress.alb.idleTimeoutSeconds" "seconds" (toString (int64 $ingress.alb.idleTimeoutSeconds))) -}}
    {{- $annotations := $ingress.annotations | default dict -}}
    {{- $scheme := get $annotations "alb.ingress.kubernetes.io/scheme" | default $ingress.alb.scheme -}}
    {{- $ranges := get $annotations "alb.ingress.kubernetes.io/inbound-cidrs" | toString | nospace | splitList "," | compact -}}
    {{- if and (eq $scheme "internet-facing") (not $v.acceptOpenAccess) (not (include "bedrock-grpc.hasCallers" .)) (not (include "bedrock-grpc.narrowRanges" $ranges)) -}}
      {{- fail "ingress.alb.scheme: internet-facing lets everyone call Bedrock at your cost; set the annotation alb.ingress.kubernetes.io/inbound-cidrs in ingress.annotations to the addresses that may connect, or acceptOpenAccess to true" -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- range $key, $value := dict "tls" $ingress.tls "hosts" $ingress.hosts "alb.certificateArn" $ingress.alb.certificateArn -}}
    {{- if $value -}}
      {{- fail (printf "ingress.%s: has no effect while ingress.enabled is false; set that to true, or remove it" $key) -}}
    {{- end -}}
  {{- end -}}
  {{- if ne $ingress.alb.scheme "internal" -}}
    {{- fail "ingress.alb.scheme: has no effect while ingress.enabled is false; set that to true, or remove it" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "bedrock-grpc.makesBackendTLSPolicy" -}}
{{- if and .Values.grpcRoute.enabled .Values.tls.enabled (ne (toString .Values.backendTLSPolicy.enabled) "false") -}}true{{- end -}}
{{- end -}}

{{/* The peers of a NetworkPolicy's rule: addresses, or pods by selectors. */}}
{{- define "bedrock-grpc.checkPeers" -}}
{{- range $index, $peer := .peers | default list -}}
  {{- $path := printf "%s[%d]" $.path $index -}}
  {{- $set := list -}}
  {{- range $key, $value := $peer -}}
    {{- if not (kindIs "invalid" $value) -}}{{- $set = append $set $key -}}{{- end -}}
  {{- end -}}
  {{- if not $set -}}
    {{- fail (printf "%s: selects nothing; set ipBlock, namespaceSelector or podSelector, or remove it" $path) -}}
  {{- end -}}
  {{- if and (has "ipBlock" $set) (gt (len $set) 1) -}}
    {{- fail (printf "%s: Kubernetes rejects ipBlock beside a selector; make them two members of the list" $path) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Network policies. */}}
{{- define "bedrock-grpc.checkPolicies" -}}
{{- $v := .Values -}}
{{- $policy := $v.networkPolicy -}}
{{- $cilium := $v.ciliumNetworkPolicy -}}
{{- if and $policy.enabled $cilium.enabled -}}
  {{- fail "ciliumNetworkPolicy.enabled: two policies allow what either of them allows; set networkPolicy.enabled to false" -}}
{{- end -}}
{{- if $policy.enabled -}}
  {{- range $key := list "from" "metricsFrom" -}}
    {{- include "bedrock-grpc.checkPeers" (dict "path" (printf "networkPolicy.%s" $key) "peers" (get $policy $key)) -}}
  {{- end -}}
  {{- range $key, $side := dict "extraIngress" "from" "extraEgress" "to" -}}
    {{- range $index, $rule := get $policy $key -}}
      {{- $path := printf "networkPolicy.%s[%d].%s" $key $index $side -}}
      {{- include "bedrock-grpc.checkPeers" (dict "path" $path "peers" (get ($rule | default dict) $side)) -}}
    {{- end -}}
  {{- end -}}
  {{- range $line := include "bedrock-grpc.endpoints" . | splitList "\n" | compact -}}
    {{- $parts := splitList " " $line -}}
    {{- $port := last $parts -}}
    {{- /* A pod's own addresses are not behind the policy. */ -}}
    {{- $loopback := regexMatch "^(127\\.|localhost$|::1$)" (index $parts 1) -}}
    {{- /* The policy opens the way to the store itself. */ -}}
    {{- $open := or $loopback (eq (first $parts) "config.limits.store") (and (eq $port "443") (not (empty $policy.httpsCIDRs))) -}}
    {{- range $rule := $policy.extraEgress -}}
      {{- if not $rule.ports -}}{{- $open = true -}}{{- end -}}
      {{- range $rule.ports -}}
        {{- $from := .port | default 0 -}}
        {{- if or (not .port) (kindIs "string" $from) -}}
          {{- $open = true -}}
        {{- else if and (ge (int64 $port) (int64 $from)) (le (int64 $port) (int64 (.endPort | default $from))) -}}
          {{- $open = true -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- if not $open -}}
      {{- fail (printf "networkPolicy.extraEgress: must let the pods reach %s, %s:%s; the policy opens port 443 alone. Add a rule with port %s, or without ports" (first $parts) (index $parts 1) $port $port) -}}
    {{- end -}}
  {{- end -}}
  {{- if not (or $policy.httpsCIDRs $policy.extraEgress) -}}
    {{- fail "networkPolicy.httpsCIDRs: empty closes the way to Bedrock; list the subnets of your interface endpoints, or add extraEgress" -}}
  {{- end -}}
{{- else -}}
  {{- range $key := list "from" "metricsFrom" "instanceMetadata" "extraIngress" "extraEgress" -}}
    {{- if get $policy $key -}}
      {{- fail (printf "networkPolicy.%s: has no effect while networkPolicy.enabled is false; set that to true, or remove it" $key) -}}
    {{- end -}}
  {{- end -}}
  {{- if ne (sortAlpha ($policy.httpsCIDRs | default list) | join " ") "0.0.0.0/0 ::/0" -}}
    {{- fail "networkPolicy.httpsCIDRs: has no effect while networkPolicy.enabled is false; set that to true, or remove it" -}}
  {{- end -}}
{{- end -}}
{{- if not $cilium.enabled -}}
  {{- range $key := list "fromEndpoints" "metricsFromEndpoints" "extraIngress" "extraEgress" -}}
    {{- if get $cilium $key -}}
      {{- fail (printf "ciliumNetworkPolicy.%s: has no effect while ciliumNetworkPolicy.enabled is false; set that to true, or remove it" $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

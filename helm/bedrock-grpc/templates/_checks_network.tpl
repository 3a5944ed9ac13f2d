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
{{- /* Two Services can't have one port of the nodes. */ -}}
{{- $ports := dict -}}
{{- range $path, $service := merge (dict "service" $v.service) (include "bedrock-grpc.extraServicesByPath" . | fromYaml) -}}
  {{- with ($service | default dict).nodePort -}}
    {{- $port := toString (int64 .) -}}
    {{- if hasKey $ports $port -}}
      {{- fail (printf "%s.nodePort: %s is already used by %s.nodePort; use another one" $path $port (get $ports $port)) -}}
    {{- end -}}
    {{- $_ := set $ports $port $path -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "bedrock-grpc.extraServicesByPath" -}}
{{- $services := dict -}}
{{- range $suffix, $service := .Values.extraServices -}}{{- $_ := set $services (printf "extraServices.%s" $suffix) $service -}}{{- end -}}
{{- toYaml $services -}}
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
      {{- fail (printf "%s.%s: has no effect on a Service of type ClusterIP; remove it, or set %s.type" $path $key $path) -}}
    {{- end -}}
  {{- end -}}
{{- else if eq $type "NodePort" -}}
  {{- range $key := list "loadBalancerClass" "loadBalancerSourceRanges" -}}
    {{- if get $service $key -}}
      {{- fail (printf "%s.%s: has no effect on a Service of type NodePort; remove it, or set %s.type to LoadBalancer" $path $key $path) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $i, $cidr := $service.loadBalancerSourceRanges -}}
  {{- include "bedrock-grpc.checkCidr" (dict "path" (printf "%s.loadBalancerSourceRanges[%d]" $path $i) "cidr" $cidr) -}}
{{- end -}}
{{- if and $service.trafficDistribution (eq ($service.internalTrafficPolicy | default "") "Local") -}}
  {{- fail (printf "%s.trafficDistribution: has no effect with internalTrafficPolicy Local, which allows only pods on the same node; remove one of them" $path) -}}
{{- end -}}
{{- if and $service.trafficDistribution (hasKey ($service.annotations | default dict) "service.kubernetes.io/topology-mode") -}}
  {{- fail (printf "%s.trafficDistribution: has no effect with the annotation service.kubernetes.io/topology-mode; remove one of them" $path) -}}
{{- end -}}
{{- if eq ($service.appProtocol | default "") "http" -}}
  {{- fail (printf "%s.appProtocol: http means HTTP/1.1 to meshes and Gateways, which can't carry gRPC; remove it, or use kubernetes.io/h2c or grpc" $path) -}}
{{- end -}}
{{- $families := $service.ipFamilies | default list -}}
{{- range $i, $cidr := $service.loadBalancerSourceRanges -}}
  {{- $family := contains ":" $cidr | ternary "IPv6" "IPv4" -}}
  {{- if and $families (not (has $family $families)) -}}
    {{- fail (printf "%s.loadBalancerSourceRanges[%d]: %s is %s, and %s.ipFamilies has only %s; add the family, or remove the range" $path $i $cidr $family $path (join ", " $families)) -}}
  {{- end -}}
{{- end -}}
{{- if ne (len $families) (len (uniq $families)) -}}
  {{- fail (printf "%s.ipFamilies: a family is listed twice; remove one" $path) -}}
{{- end -}}
{{- if and (gt (len $families) 1) (has ($service.ipFamilyPolicy | default "") (list "" "SingleStack")) -}}
  {{- fail (printf "%s.ipFamilyPolicy: must be PreferDualStack or RequireDualStack with two ipFamilies" $path) -}}
{{- end -}}
{{- $key := has "IPv6" $families | ternary "ipFamilies" (has ($service.ipFamilyPolicy | default "") (list "PreferDualStack" "RequireDualStack") | ternary "ipFamilyPolicy" "") -}}
{{- if $key -}}
  {{- range $address := list (list "listen") (list "admin" "listen") -}}
    {{- $text := include "bedrock-grpc.configValue" (dict "root" $.root "path" $address "default" "0.0.0.0") -}}
    {{- if not (or (hasPrefix "[" $text) (hasPrefix ":" $text) (contains "${" $text)) -}}
      {{- fail (printf "config.%s: %s does not accept IPv6, which %s.%s asks for; write [::] and the port" (join "." $address) $text $path $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if ne $type "ClusterIP" -}}
  {{- include "bedrock-grpc.checkLoadBalancer" . -}}
  {{- include "bedrock-grpc.checkExposure" . -}}
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
{{- range $i, $host := $route.hostnames -}}
  {{- if regexMatch "^[0-9.]+$" $host -}}
    {{- fail (printf "grpcRoute.hostnames[%d]: %s is an address, which Gateways reject; use a host name" $i $host) -}}
  {{- end -}}
{{- end -}}
{{- $parents := list -}}
{{- range $i, $ref := $route.parentRefs -}}
  {{- if not (regexMatch "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" $ref.name) -}}
    {{- fail (printf "grpcRoute.parentRefs[%d].name: %q is not the name of an object; use lower-case letters, digits and hyphens" $i $ref.name) -}}
  {{- end -}}
  {{- /* With the API's own defaults. */ -}}
  {{- $parent := toJson (merge (omit $ref "sectionName" "port") (dict "group" "gateway.networking.k8s.io" "kind" "Gateway")) -}}
  {{- $listener := printf "%s %v %v" $parent ($ref.sectionName | default "") ($ref.port | default "") -}}
  {{- /* Of several references to a Gateway, each must name a different listener. */ -}}
  {{- if or (has $listener $parents) (and (has $parent $parents) (not (or $ref.sectionName $ref.port))) (has (printf "%s  " $parent) $parents) -}}
    {{- fail (printf "grpcRoute.parentRefs[%d]: refers to the same listeners as another member; set a different sectionName in each, or remove one" $i) -}}
  {{- end -}}
  {{- $parents = append (append $parents $parent) $listener -}}
{{- end -}}
{{- $rules := $route.rules | default (list (dict "matches" $route.matches "filters" $route.filters)) -}}
{{- $full := include "bedrock-grpc.fullname" . -}}
{{- $ports := dict $full (toString (int64 $v.service.port)) (printf "%s-headless" $full) (include "bedrock-grpc.grpcPort" .) -}}
{{- range $i, $rule := $rules -}}
  {{- $path := empty $route.rules | ternary "grpcRoute" (printf "grpcRoute.rules[%d]" $i) -}}
  {{- include "bedrock-grpc.checkRule" (dict "rule" $rule "path" $path "ports" $ports) -}}
{{- end -}}
{{- $backend := $v.backendTLSPolicy -}}
{{- if and $backend.enabled (not (and $route.enabled (include "bedrock-grpc.servesTls" .))) -}}
  {{- fail "backendTLSPolicy.enabled: needs grpcRoute.enabled and tls.enabled; set both, or remove it" -}}
{{- end -}}
{{- if include "bedrock-grpc.makesBackendTLSPolicy" . -}}
  {{- if regexMatch "^[0-9.]+$" $backend.hostname -}}
    {{- fail (printf "backendTLSPolicy.hostname: %s is an address; write a name that is in the certificate" $backend.hostname) -}}
  {{- end -}}
  {{- if and $v.tls.caKey (ne $v.tls.caKey "ca.crt") (not $backend.caCertificateRefs) -}}
    {{- fail (printf "backendTLSPolicy.caCertificateRefs: required, because Gateways read the key ca.crt and tls.caKey is %s; name a Secret or ConfigMap with ca.crt, or use that key in the Secret" $v.tls.caKey) -}}
  {{- end -}}
{{- else -}}
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
  {{- include "bedrock-grpc.checkTrafficPolicy" . -}}
{{- end -}}
{{- $ingress := $v.ingress -}}
{{- if $ingress.enabled -}}
  {{- if not $ingress.hosts -}}
    {{- fail "ingress.hosts: required with ingress.enabled" -}}
  {{- end -}}
  {{- if eq $ingress.controller "nginx" -}}
    {{- include "bedrock-grpc.checkNginx" . -}}
  {{- end -}}
  {{- range $i, $host := $ingress.hosts -}}
    {{- if regexMatch "^[0-9.]+$" $host -}}
      {{- fail (printf "ingress.hosts[%d]: %s is an address, which Kubernetes rejects; use a host name" $i $host) -}}
    {{- end -}}
  {{- end -}}
  {{- if and (ne $ingress.pathType "ImplementationSpecific") (regexMatch "//|/\\.\\.?(/|$)|%2[fF]" $ingress.path) -}}
    {{- fail (printf "ingress.path: Kubernetes rejects %s; write it without //, /./, /../ and %%2f" $ingress.path) -}}
  {{- end -}}
  {{- include "bedrock-grpc.checkIngressPaths" . -}}
  {{- include "bedrock-grpc.checkIngressClass" . -}}
  {{- include "bedrock-grpc.checkAlb" . -}}
  {{- include "bedrock-grpc.checkProxiesAreClients" . -}}
  {{- if ne $ingress.controller "alb" -}}
    {{- if or $ingress.alb.certificateArn (ne $ingress.alb.scheme "internal") -}}
      {{- fail (printf "ingress.alb.%s: has no effect unless ingress.controller is alb; set that, or remove it" (empty $ingress.alb.certificateArn | ternary "scheme" "certificateArn")) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* nginx, whose annotations the operator can replace. */}}
{{- define "bedrock-grpc.checkNginx" -}}
{{- $v := .Values -}}
{{- $ingress := $v.ingress -}}
{{- if not $ingress.tls -}}
  {{- fail "ingress.tls: required with ingress.controller nginx, which speaks HTTP/2, and so gRPC, over TLS only" -}}
{{- end -}}
{{- $names := list -}}
{{- range $ingress.tls -}}
  {{- /* A certificate without host names is for all of them. */ -}}
  {{- $names = concat $names (.hosts | default (list (empty .secretName | ternary "" "*"))) -}}
{{- end -}}
{{- range $i, $host := $ingress.hosts -}}
  {{- if not (or (has "*" $names) (has $host $names) (has (regexReplaceAll "^[^.]+" $host "*") $names)) -}}
    {{- fail (printf "ingress.tls: has no certificate for ingress.hosts[%d], so nginx would serve its own, which clients reject; add %s to the hosts of a member" $i $host) -}}
  {{- end -}}
{{- end -}}
{{- $annotations := $ingress.annotations | default dict -}}
{{- $protocol := get $annotations "nginx.ingress.kubernetes.io/backend-protocol" | toString -}}
{{- $needed := include "bedrock-grpc.servesTls" . | empty | ternary "GRPC" "GRPCS" -}}
{{- if and $protocol (ne $protocol $needed) -}}
  {{- fail (printf "ingress.annotations: nginx.ingress.kubernetes.io/backend-protocol must be %s, not %s; remove it, the chart sets it" $needed $protocol) -}}
{{- end -}}
{{- range $name := list "proxy-read-timeout" "proxy-send-timeout" -}}
  {{- $key := printf "nginx.ingress.kubernetes.io/%s" $name -}}
  {{- if hasKey $annotations $key -}}
    {{- $seconds := include "bedrock-grpc.text" (get $annotations $key) -}}
    {{- if not (regexMatch "^[0-9]{1,9}s?$" $seconds) -}}
      {{- fail (printf "ingress.annotations: %s must be a number of seconds, got %q" $key $seconds) -}}
    {{- end -}}
    {{- include "bedrock-grpc.checkSilence" (dict "root" $ "key" (printf "ingress.annotations: %s" $key) "seconds" (trimSuffix "s" $seconds | float64 | int64 | toString)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* An Application Load Balancer: by `controller`, or by annotations alone. */}}
{{- define "bedrock-grpc.checkAlb" -}}
{{- $v := .Values -}}
{{- $ingress := $v.ingress -}}
{{- $annotations := $ingress.annotations | default dict -}}
{{- $isAlb := eq $ingress.controller "alb" -}}
{{- $scheme := get $annotations "alb.ingress.kubernetes.io/scheme" | default ($isAlb | ternary $ingress.alb.scheme "") | toString -}}
{{- $ranges := get $annotations "alb.ingress.kubernetes.io/inbound-cidrs" | toString | nospace | splitList "," | compact -}}
{{- if and (eq $scheme "internet-facing") (not $v.acceptOpenAccess) (not (include "bedrock-grpc.hasCallers" .)) (not (include "bedrock-grpc.narrowRanges" $ranges)) -}}
  {{- fail "ingress.alb.scheme: internet-facing lets everyone call Bedrock at your cost; set the annotation alb.ingress.kubernetes.io/inbound-cidrs in ingress.annotations to the addresses that may connect, or acceptOpenAccess to true" -}}
{{- end -}}
{{- if and $ranges (hasKey $annotations "alb.ingress.kubernetes.io/security-groups") (not $v.acceptOpenAccess) -}}
  {{- fail "ingress.annotations: alb.ingress.kubernetes.io/inbound-cidrs has no effect with alb.ingress.kubernetes.io/security-groups; remove one of them. If the groups limit who can connect, set acceptOpenAccess to true" -}}
{{- end -}}
{{- if $isAlb -}}
  {{- include "bedrock-grpc.checkAlbAnnotations" . -}}
  {{- if and $v.networkPolicy.enabled $v.networkPolicy.from (not $v.networkPolicy.extraIngress) -}}
    {{- $ranges := false -}}
    {{- range $v.networkPolicy.from -}}{{- if .ipBlock -}}{{- $ranges = true -}}{{- end -}}{{- end -}}
    {{- if not $ranges -}}
      {{- fail "networkPolicy.from: has no ipBlock, so the policy drops the calls of the ALB, which is not a pod; add the subnets of the load balancer" -}}
    {{- end -}}
  {{- end -}}
  {{- $attributes := "alb.ingress.kubernetes.io/load-balancer-attributes" -}}
  {{- if hasKey $annotations $attributes -}}
    {{- /* The operator's attributes replace the chart's; the ALB's own default is 60 s. */ -}}
    {{- $text := get $annotations $attributes | toString -}}
    {{- $seconds := regexFind "idle_timeout\\.timeout_seconds=[0-9]{1,4}" $text | trimPrefix "idle_timeout.timeout_seconds=" | default "60" -}}
    {{- include "bedrock-grpc.checkSilence" (dict "root" . "key" (printf "ingress.annotations: idle_timeout.timeout_seconds in %s" $attributes) "seconds" $seconds) -}}
  {{- else -}}
    {{- include "bedrock-grpc.checkSilence" (dict "root" . "key" "ingress.alb.idleTimeoutSeconds" "seconds" (toString (int64 $ingress.alb.idleTimeoutSeconds))) -}}
  {{- end -}}
  {{- $listeners := get $annotations "alb.ingress.kubernetes.io/listen-ports" | toString -}}
  {{- if and $listeners (or (contains "\"HTTP\"" $listeners) (not (contains "HTTPS" $listeners))) -}}
    {{- fail "ingress.annotations: alb.ingress.kubernetes.io/listen-ports must have HTTPS listeners only: an ALB serves gRPC only over HTTPS" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "bedrock-grpc.makesBackendTLSPolicy" -}}
{{- if and .Values.grpcRoute.enabled (include "bedrock-grpc.servesTls" .) (ne (toString .Values.backendTLSPolicy.enabled) "false") -}}true{{- end -}}
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
    {{- fail (printf "%s: Kubernetes rejects ipBlock together with a selector; write two members of the list" $path) -}}
  {{- end -}}
  {{- with $peer.ipBlock -}}
    {{- $cidr := .cidr -}}
    {{- include "bedrock-grpc.checkCidr" (dict "path" (printf "%s.ipBlock.cidr" $path) "cidr" $cidr) -}}
    {{- range $i, $except := .except -}}
      {{- include "bedrock-grpc.checkCidr" (dict "path" (printf "%s.ipBlock.except[%d]" $path $i) "cidr" $except) -}}
      {{- if not (include "bedrock-grpc.isWithin" (list $except $cidr)) -}}
        {{- fail (printf "%s.ipBlock.except[%d]: %s is not a part of %s, which Kubernetes rejects; remove it, or correct it" $path $i $except $cidr) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The leading bits of an address, as a text that is the same for each way to write it. Takes a list of the address and the number of bits. */}}
{{- define "bedrock-grpc.leadingBits" -}}
{{- $bits := last . | int -}}
{{- $groups := list -}}
{{- if contains ":" (first .) -}}
  {{- $halves := splitList "::" (first .) -}}
  {{- $left := first $halves | splitList ":" | compact -}}
  {{- $right := gt (len $halves) 1 | ternary (last $halves | splitList ":" | compact) list -}}
  {{- range $left -}}{{- $groups = append $groups (printf "0x%s" . | int64) -}}{{- end -}}
  {{- range until (int (sub 8 (add (len $left) (len $right)))) -}}{{- $groups = append $groups 0 -}}{{- end -}}
  {{- range $right -}}{{- $groups = append $groups (printf "0x%s" . | int64) -}}{{- end -}}
{{- else -}}
  {{- $bytes := splitList "." (first .) -}}
  {{- $groups = list (add (mul 256 (index $bytes 0 | int64)) (index $bytes 1 | int64)) (add (mul 256 (index $bytes 2 | int64)) (index $bytes 3 | int64)) -}}
{{- end -}}
{{- range $groups -}}
  {{- /* What is left of the 16 bits of a group. */ -}}
  {{- $drop := max 0 (sub 16 (max 0 $bits)) -}}
  {{- $unit := 1 -}}
  {{- range until (int $drop) -}}{{- $unit = mul $unit 2 -}}{{- end -}}
  {{- printf "%d." (mul (div . $unit) $unit) -}}
  {{- $bits = sub $bits 16 -}}
{{- end -}}
{{- end -}}

{{/* "true" if the first range of a list is a part of the second one, and not all of it. */}}
{{- define "bedrock-grpc.isWithin" -}}
{{- $inner := splitList "/" (first .) -}}
{{- $outer := splitList "/" (last .) -}}
{{- $same := eq (include "bedrock-grpc.leadingBits" (list (first $inner) (last $outer))) (include "bedrock-grpc.leadingBits" (list (first $outer) (last $outer))) -}}
{{- if and $same (gt (last $inner | int) (last $outer | int)) -}}true{{- end -}}
{{- end -}}

{{/* "true" unless an address is in none of the peers, all of which are ranges. Takes a list of the peers and a host, which may be a name. */}}
{{- define "bedrock-grpc.mayReach" -}}
{{- $host := last . -}}
{{- $may := not (or (contains ":" $host) (regexMatch "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$" $host)) -}}
{{- range $peer := $may | ternary list (first .) -}}
  {{- if not $peer.ipBlock -}}
    {{- $may = true -}}
  {{- else -}}
    {{- $parts := splitList "/" $peer.ipBlock.cidr -}}
    {{- if eq (contains ":" $host) (contains ":" (first $parts)) -}}
      {{- if eq (include "bedrock-grpc.leadingBits" (list $host (last $parts))) (include "bedrock-grpc.leadingBits" (list (first $parts) (last $parts))) -}}
        {{- $excepted := false -}}
        {{- range $peer.ipBlock.except -}}
          {{- $range := splitList "/" . -}}
          {{- if eq (include "bedrock-grpc.leadingBits" (list $host (last $range))) (include "bedrock-grpc.leadingBits" (list (first $range) (last $range))) -}}{{- $excepted = true -}}{{- end -}}
        {{- end -}}
        {{- if not $excepted -}}{{- $may = true -}}{{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if $may -}}true{{- end -}}
{{- end -}}

{{/* A range that has bits after its prefix, which newer versions of Kubernetes reject. Takes a dict of "path" and "cidr". */}}
{{- define "bedrock-grpc.checkCidr" -}}
{{- $parts := splitList "/" .cidr -}}
{{- if ne (include "bedrock-grpc.leadingBits" (list (first $parts) (last $parts))) (include "bedrock-grpc.leadingBits" (list (first $parts) 128)) -}}
  {{- fail (printf "%s: the address of %s has bits after its prefix, which Kubernetes rejects; set them to 0" .path .cidr) -}}
{{- end -}}
{{- end -}}

{{/* The ports of a NetworkPolicy's rule. */}}
{{- define "bedrock-grpc.checkPolicyPorts" -}}
{{- range $i, $port := .ports -}}
  {{- $path := printf "%s.ports[%d]" $.path $i -}}
  {{- if not (kindIs "invalid" $port.endPort) -}}
    {{- if or (kindIs "invalid" $port.port) (kindIs "string" $port.port) -}}
      {{- fail (printf "%s.endPort: needs a number as port, which begins the range" $path) -}}
    {{- else if lt (int64 $port.endPort) (int64 $port.port) -}}
      {{- fail (printf "%s.endPort: %d is less than port, %d; swap them" $path (int64 $port.endPort) (int64 $port.port)) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $.names (kindIs "string" $port.port) (not (has $port.port $.names)) -}}
    {{- fail (printf "%s.port: no port of the pod is called %s; use %s, or a number" $path $port.port (join ", " $.names)) -}}
  {{- end -}}
  {{- if and (kindIs "float64" $port.port) (or (lt (int64 $port.port) 1) (gt (int64 $port.port) 65535)) -}}
    {{- fail (printf "%s.port: must be 1 to 65535, got %d" $path (int64 $port.port)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Monitors whose scrapes a network policy would drop. */}}
{{- define "bedrock-grpc.checkScrapesPass" -}}
{{- $v := .Values -}}
{{- $admin := include "bedrock-grpc.adminPort" . -}}
{{- $monitor := $v.metrics.serviceMonitor.enabled | ternary "serviceMonitor" ($v.metrics.podMonitor.enabled | ternary "podMonitor" ($v.metrics.podMonitoring.enabled | ternary "podMonitoring" "")) -}}
{{- $monitor = empty $monitor | ternary "" (printf "metrics.%s.enabled" $monitor) -}}
{{- if eq (get ($v.podAnnotations | default dict) "prometheus.io/scrape" | toString) "true" -}}
  {{- $port := get $v.podAnnotations "prometheus.io/port" | default $admin | include "bedrock-grpc.text" -}}
  {{- if ne $port $admin -}}
    {{- fail (printf "podAnnotations.prometheus.io/port: metrics are served on port %s, not on %s; correct it" $admin $port) -}}
  {{- end -}}
  {{- $monitor = $monitor | default "podAnnotations.prometheus.io/scrape" -}}
{{- end -}}
{{- if $monitor -}}
  {{- $kinds := list (list "networkPolicy" "metricsFrom" $v.networkPolicy) (list "ciliumNetworkPolicy" "metricsFromEndpoints" $v.ciliumNetworkPolicy) -}}
  {{- range $kind := $kinds -}}
    {{- $policy := last $kind -}}
    {{- if and $policy.enabled (not (get $policy (index $kind 1))) -}}
      {{- $open := false -}}
      {{- range $rule := $policy.extraIngress -}}
        {{- $ports := $rule.ports | default list -}}
        {{- range $rule.toPorts -}}{{- $ports = concat $ports (.ports | default list) -}}{{- end -}}
        {{- if not $ports -}}{{- $open = true -}}{{- end -}}
        {{- range $ports -}}
          {{- $from := include "bedrock-grpc.text" (.port | default $admin) -}}
          {{- $within := and .endPort (le (int64 $from) (int64 $admin)) (ge (int64 .endPort) (int64 $admin)) -}}
          {{- if or (has $from (list "admin" $admin)) $within -}}{{- $open = true -}}{{- end -}}
        {{- end -}}
      {{- end -}}
      {{- if not $open -}}
        {{- fail (printf "%s.%s: required with %s, because the policy drops the scrapes of all others; list where Prometheus runs" (first $kind) (index $kind 1) $monitor) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Network policies. */}}
{{- define "bedrock-grpc.checkPolicies" -}}
{{- $v := .Values -}}
{{- $policy := $v.networkPolicy -}}
{{- $cilium := $v.ciliumNetworkPolicy -}}
{{- include "bedrock-grpc.checkScrapesPass" . -}}
{{- if and $policy.enabled $cilium.enabled -}}
  {{- fail "ciliumNetworkPolicy.enabled: two policies allow what either of them allows; set networkPolicy.enabled to false" -}}
{{- end -}}
{{- if $policy.enabled -}}
  {{- range $key := list "from" "metricsFrom" -}}
    {{- include "bedrock-grpc.checkPeers" (dict "path" (printf "networkPolicy.%s" $key) "peers" (get $policy $key)) -}}
  {{- end -}}
  {{- $names := list "grpc" "admin" -}}
  {{- range concat ($v.extraContainers | default list) ($v.initContainers | default list) -}}
    {{- range .ports -}}{{- with .name -}}{{- $names = append $names . -}}{{- end -}}{{- end -}}
  {{- end -}}
  {{- range $key, $side := dict "extraIngress" "from" "extraEgress" "to" -}}
    {{- range $index, $rule := get $policy $key | default list -}}
      {{- $path := printf "networkPolicy.%s[%d].%s" $key $index $side -}}
      {{- include "bedrock-grpc.checkPeers" (dict "path" $path "peers" (get $rule $side)) -}}
      {{- include "bedrock-grpc.checkPolicyPorts" (dict "path" (printf "networkPolicy.%s[%d]" $key $index) "ports" $rule.ports "names" (eq $key "extraIngress" | ternary $names list)) -}}
    {{- end -}}
  {{- end -}}
  {{- range $index, $cidr := $policy.httpsCIDRs -}}
    {{- include "bedrock-grpc.checkCidr" (dict "path" (printf "networkPolicy.httpsCIDRs[%d]" $index) "cidr" $cidr) -}}
  {{- end -}}
  {{- range $line := include "bedrock-grpc.endpoints" . | splitList "\n" | compact -}}
    {{- $parts := splitList " " $line -}}
    {{- $port := last $parts -}}
    {{- /* A pod's own addresses are not behind the policy. */ -}}
    {{- $loopback := regexMatch "^(127\\.|localhost$|::1$)" (index $parts 1) -}}
    {{- /* The policy opens the way to the store itself. */ -}}
    {{- $https := list -}}
    {{- range $policy.httpsCIDRs -}}{{- $https = append $https (dict "ipBlock" (dict "cidr" .)) -}}{{- end -}}
    {{- $open := or $loopback (eq (first $parts) "config.limits.store") (and (eq $port "443") $https (include "bedrock-grpc.mayReach" (list $https (index $parts 1)))) -}}
    {{- range $rule := $policy.extraEgress -}}
      {{- if or (not $rule.to) (include "bedrock-grpc.mayReach" (list $rule.to (index $parts 1))) -}}
        {{- if not $rule.ports -}}{{- $open = true -}}{{- end -}}
        {{- range $rule.ports -}}
          {{- $from := .port | default 0 -}}
          {{- if ne (toString (.protocol | default "TCP")) "TCP" -}}
          {{- else if or (not .port) (kindIs "string" $from) -}}
            {{- $open = true -}}
          {{- else if and (ge (int64 $port) (int64 $from)) (le (int64 $port) (int64 (.endPort | default $from))) -}}
            {{- $open = true -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- if and (not $open) (eq $port "443") $https -}}
      {{- fail (printf "networkPolicy.httpsCIDRs: must have the address of %s, %s; add its range, or a rule to networkPolicy.extraEgress" (first $parts) (index $parts 1)) -}}
    {{- end -}}
    {{- if not $open -}}
      {{- fail (printf "networkPolicy.extraEgress: must let the pods reach %s, %s:%s; the policy allows only port 443. Add a rule with port %s, or without ports" (first $parts) (index $parts 1) $port $port) -}}
    {{- end -}}
  {{- end -}}
  {{- if not (or $policy.httpsCIDRs $policy.extraEgress) -}}
    {{- fail "networkPolicy.httpsCIDRs: an empty list blocks all connections to Bedrock; list the subnets of your interface endpoints, or add extraEgress" -}}
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
{{- if $cilium.enabled -}}
  {{- if not (or $cilium.httpsNames $cilium.extraEgress (include "bedrock-grpc.configValue" (dict "root" . "path" (list "bedrock" "endpoint_url") "default" ""))) -}}
    {{- fail "ciliumNetworkPolicy.httpsNames: an empty list blocks all connections to Bedrock; list the names of your endpoints, or add extraEgress" -}}
  {{- end -}}
  {{- if and (not $cilium.extraEgress) (not (include "bedrock-grpc.configValue" (dict "root" . "path" (list "bedrock" "endpoint_url") "default" ""))) (not (regexMatch "bedrock|vpce|\\*" (join " " $cilium.httpsNames))) -}}
    {{- fail "ciliumNetworkPolicy.httpsNames: has no name of Bedrock; add bedrock-runtime.*.amazonaws.com and bedrock.*.amazonaws.com, or the names of your endpoints" -}}
  {{- end -}}
  {{- range $i, $name := $cilium.httpsNames -}}
    {{- if regexMatch "^[0-9.]+$" $name -}}
      {{- fail (printf "ciliumNetworkPolicy.httpsNames[%d]: %s is an address, but this list matches host names; use ciliumNetworkPolicy.extraEgress with toCIDR" $i $name) -}}
    {{- end -}}
  {{- end -}}
  {{- include "bedrock-grpc.checkCiliumRules" . -}}
  {{- $roles := or $v.aws.roleArn ($v.config | default dict).accounts -}}
  {{- if and $roles (not $cilium.extraEgress) (not (regexMatch "(^| )([^ ]*\\.)?(sts|\\*)[^ ]*" (join " " $cilium.httpsNames))) -}}
    {{- fail (printf "ciliumNetworkPolicy.httpsNames: has no host name of AWS STS, which provides the credentials of %s; add sts.*.amazonaws.com" (empty $v.aws.roleArn | ternary "config.accounts" "aws.roleArn")) -}}
  {{- end -}}
{{- else -}}
  {{- range $key := list "fromEndpoints" "metricsFromEndpoints" "extraIngress" "extraEgress" -}}
    {{- if get $cilium $key -}}
      {{- fail (printf "ciliumNetworkPolicy.%s: has no effect while ciliumNetworkPolicy.enabled is false; set that to true, or remove it" $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Rules that Cilium's agent rejects after the API server has accepted them: it would then enforce no policy at all. */}}
{{- define "bedrock-grpc.checkCiliumRules" -}}
{{- range $key, $side := dict "extraIngress" "from" "extraEgress" "to" -}}
  {{- range $i, $rule := get $.Values.ciliumNetworkPolicy $key | default list -}}
    {{- $path := printf "ciliumNetworkPolicy.%s[%d]" $key $i -}}
    {{- $peers := list -}}
    {{- range $field, $value := $rule -}}
      {{- if and (hasPrefix $side $field) (ne $field "toPorts") $value -}}{{- $peers = append $peers $field -}}{{- end -}}
    {{- end -}}
    {{- if gt (len (without $peers "fromCIDR" "fromCIDRSet" "toCIDR" "toCIDRSet")) (has (printf "%sCIDR" $side) $peers | ternary 0 1) -}}
      {{- fail (printf "%s: Cilium rejects %s in one rule; make them several rules" $path (join " and " $peers)) -}}
    {{- end -}}
    {{- range $j, $ports := $rule.toPorts -}}
      {{- range $k, $port := $ports.ports -}}
        {{- $text := toString $port.port -}}
        {{- if and (regexMatch "^[0-9]+$" $text) (gt (int64 $text) 65535) -}}
          {{- fail (printf "%s.toPorts[%d].ports[%d].port: must be 0 to 65535, got %s" $path $j $k $text) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- range $j, $icmp := $rule.icmps -}}
      {{- range $k, $field := $icmp.fields -}}
        {{- if and (kindIs "float64" $field.type) (or (lt (int64 $field.type) 0) (gt (int64 $field.type) 255)) -}}
          {{- fail (printf "%s.icmps[%d].fields[%d].type: must be 0 to 255, got %d" $path $j $k (int64 $field.type)) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

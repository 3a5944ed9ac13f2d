{{/* Who can connect from outside the cluster. */}}

{{/*
The source ranges of a list, if they leave most addresses out: nothing if one of them is wider than an IPv4 /8 or an IPv6 /16, as 0.0.0.0/1 and
2000::/3 are.
*/}}
{{- define "bedrock-grpc.narrowRanges" -}}
{{- $open := false -}}
{{- range . -}}
  {{- $bits := regexFind "[0-9]+$" . | int -}}
  {{- if lt $bits (contains ":" . | ternary 16 8) -}}{{- $open = true -}}{{- end -}}
{{- end -}}
{{- if not $open -}}{{ join "," . }}{{- end -}}
{{- end -}}

{{/*
Whether a network policy says who may call, and nothing in it lets everyone in after all. Takes a dict of "root" and "service". Ranges of addresses only
count if the Service keeps the addresses of clients: otherwise, every call comes from a node.
*/}}
{{- define "bedrock-grpc.policyNamesCallers" -}}
{{- $v := .root.Values -}}
{{- $keepsAddress := eq (.service.externalTrafficPolicy | default "") "Local" -}}
{{- $open := false -}}
{{- if and $v.networkPolicy.enabled $v.networkPolicy.from -}}
  {{- $peers := $v.networkPolicy.from -}}
  {{- range $rule := $v.networkPolicy.extraIngress -}}
    {{- $ports := dict -}}
    {{- range $rule.ports -}}{{- $_ := set $ports (empty .endPort | ternary (include "bedrock-grpc.text" (.port | default "all")) "several") true -}}{{- end -}}
    {{- $ofAdmin := and $rule.ports (not (omit $ports "admin" (include "bedrock-grpc.adminPort" $.root))) -}}
    {{- if not $ofAdmin -}}
      {{- if $rule.from -}}{{- $peers = concat $peers $rule.from -}}{{- else -}}{{- $open = true -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- range $peers -}}
    {{- if and .ipBlock (not (and $keepsAddress (include "bedrock-grpc.narrowRanges" (list .ipBlock.cidr)))) -}}{{- $open = true -}}{{- end -}}
  {{- end -}}
  {{- if not $open -}}true{{- end -}}
{{- else if and $v.ciliumNetworkPolicy.enabled $v.ciliumNetworkPolicy.fromEndpoints -}}
  {{- range $rule := $v.ciliumNetworkPolicy.extraIngress -}}
    {{- $ranges := $rule.fromCIDR | default list -}}
    {{- range $rule.fromCIDRSet -}}{{- $ranges = append $ranges (.cidr | default "0.0.0.0/0") -}}{{- end -}}
    {{- $entities := $rule.fromEntities | default list -}}
    {{- if or (has "all" $entities) (has "world" $entities) (has "world-ipv4" $entities) (has "world-ipv6" $entities) (and $ranges (not (include "bedrock-grpc.narrowRanges" $ranges))) -}}
      {{- $open = true -}}
    {{- end -}}
  {{- end -}}
  {{- if not $open -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* A Service that takes calls from outside the cluster. Takes a dict of "root", "service" and "path". */}}
{{- define "bedrock-grpc.checkExposure" -}}
{{- $v := .root.Values -}}
{{- if not $v.acceptOpenAccess -}}
  {{- $limited := or (include "bedrock-grpc.hasCallers" .root) (include "bedrock-grpc.policyNamesCallers" (dict "root" .root "service" .service)) -}}
  {{- if eq .service.type "LoadBalancer" -}}
    {{- if not (or $limited (include "bedrock-grpc.narrowRanges" .service.loadBalancerSourceRanges)) -}}
      {{- fail (printf "%s.loadBalancerSourceRanges: required with type LoadBalancer, because everyone who can connect can call Bedrock at your cost: list the addresses that may connect (no range wider than /8, or /16 of IPv6), or set acceptOpenAccess to true" .path) -}}
    {{- end -}}
  {{- else if not $limited -}}
    {{- fail (printf "%s.type: with NodePort, everyone who reaches a node can call Bedrock at your cost; set networkPolicy.enabled and networkPolicy.from (with ranges of addresses, also externalTrafficPolicy: Local), or acceptOpenAccess to true" .path) -}}
  {{- end -}}
  {{- $ends := false -}}
  {{- range $key, $value := .service.annotations -}}
    {{- if and (regexMatch "load-?balancer[^/]*[-./].*(cert|tls-secret)" $key) (ne (toString $value) "") -}}{{- $ends = true -}}{{- end -}}
  {{- end -}}
  {{- if not (or $v.tls.enabled ($v.config | default dict).tls $ends) -}}
    {{- fail (printf "tls.enabled: calls to %s, of type %s, would travel in plaintext; set it to true with a certificate, or acceptOpenAccess to true" .path .service.type) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Annotations for a Network Load Balancer that keep gRPC or the source ranges from working. Takes a dict of "root", "service" and "path". */}}
{{- define "bedrock-grpc.checkLoadBalancer" -}}
{{- $v := .root.Values -}}
{{- $path := printf "%s.annotations" .path -}}
{{- $annotations := .service.annotations | default dict -}}
{{- $aws := "service.beta.kubernetes.io/aws-load-balancer" -}}
{{- if and .service.loadBalancerSourceRanges (get $annotations (printf "%s-security-groups" $aws)) (not $v.acceptOpenAccess) -}}
  {{- fail (printf "%s.loadBalancerSourceRanges: has no effect with the annotation %s-security-groups; remove one of them. If the groups limit who can connect, set acceptOpenAccess to true" .path $aws) -}}
{{- end -}}
{{- $attributes := get $annotations (printf "%s-target-group-attributes" $aws) | toString | nospace -}}
{{- $proxy := or (hasKey $annotations (printf "%s-proxy-protocol" $aws)) (contains "proxy_protocol_v2.enabled=true" $attributes) -}}
{{- if and $proxy (not (($v.config | default dict).trusted_proxies | default dict).proxy_protocol_from) -}}
  {{- fail (printf "config.trusted_proxies.proxy_protocol_from: required with the PROXY protocol in %s, or every connection fails; list the subnets of the load balancer" $path) -}}
{{- end -}}
{{- if get $annotations (printf "%s-ssl-cert" $aws) -}}
  {{- $alpn := get $annotations (printf "%s-alpn-policy" $aws) | toString -}}
  {{- if not (has $alpn (list "HTTP2Only" "HTTP2Preferred")) -}}
    {{- fail (printf "%s: %s-ssl-cert ends TLS without ALPN, and gRPC clients refuse such connections; add %s-alpn-policy: HTTP2Preferred" $path $aws $aws) -}}
  {{- end -}}
  {{- $needed := include "bedrock-grpc.servesTls" .root | empty | ternary "tcp" "ssl" -}}
  {{- $given := get $annotations (printf "%s-backend-protocol" $aws) | default "tcp" | toString -}}
  {{- if ne $given $needed -}}
    {{- fail (printf "%s: %s-backend-protocol must be %s, not %s, because the pods serve %s" $path $aws $needed $given (eq $needed "ssl" | ternary "TLS" "plaintext")) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

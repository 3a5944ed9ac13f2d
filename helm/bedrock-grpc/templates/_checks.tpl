{{/*
Values that contradict each other, that Kubernetes would reject, that have no effect, or that open the gateway unasked. Every message begins with
the path of the value to change and says how. configmap.yaml, which is always rendered, includes it.
*/}}
{{- define "bedrock-grpc.checks" -}}
{{- include "bedrock-grpc.checkMembers" (dict "value" (omit .Values "config" "extraObjects" "global") "path" "") -}}
{{- include "bedrock-grpc.checkLabels" . -}}
{{- include "bedrock-grpc.checkOwnKeys" . -}}
{{- include "bedrock-grpc.checkExtraObjects" . -}}
{{- include "bedrock-grpc.checkNames" . -}}
{{- include "bedrock-grpc.checkConfig" . -}}
{{- include "bedrock-grpc.checkTls" . -}}
{{- include "bedrock-grpc.checkIdentity" . -}}
{{- include "bedrock-grpc.checkPod" . -}}
{{- include "bedrock-grpc.checkContainer" . -}}
{{- include "bedrock-grpc.checkScaling" . -}}
{{- include "bedrock-grpc.checkServices" . -}}
{{- include "bedrock-grpc.checkRoutes" . -}}
{{- include "bedrock-grpc.checkPolicies" . -}}
{{- include "bedrock-grpc.checkLimitsStore" . -}}
{{- include "bedrock-grpc.checkMetrics" . -}}
{{- include "bedrock-grpc.checkUnused" . -}}
{{- include "bedrock-grpc.checkReferences" . -}}
{{- end -}}

{{/* Names that Kubernetes accepts, whatever the release and the parent chart are called. */}}
{{- define "bedrock-grpc.checkNames" -}}
{{- $v := .Values -}}
{{- if eq (toString $v.enabled) "false" -}}
  {{- fail "enabled: false has an effect only as a parent chart's condition; uninstall the release instead" -}}
{{- end -}}
{{- $name := include "bedrock-grpc.name" . -}}
{{- if not (regexMatch "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$" $name) -}}
  {{- fail (printf "nameOverride: %q is not a label value; use letters, digits and hyphens" $name) -}}
{{- end -}}
{{- $full := include "bedrock-grpc.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) -}}
  {{- $key := and $v.nameOverride (not $v.fullnameOverride) | empty | ternary "fullnameOverride" "nameOverride" -}}
  {{- fail (printf "%s: objects would be called %q, which Kubernetes rejects as the name of a Service; use lower-case letters, digits and hyphens, with a letter first" $key $full) -}}
{{- end -}}
{{- if and $v.namespaceOverride (not (regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" $v.namespaceOverride)) -}}
  {{- fail (printf "namespaceOverride: %q is not the name of a namespace; use lower-case letters, digits and hyphens" $v.namespaceOverride) -}}
{{- end -}}
{{- end -}}

{{- define "bedrock-grpc.checkTls" -}}
{{- $v := .Values -}}
{{- if $v.tls.enabled -}}
  {{- if ($v.config | default dict).tls -}}
    {{- fail "config.tls: the chart sets it when tls.enabled is true; remove it" -}}
  {{- end -}}
  {{- if not (or $v.tls.existingSecret $v.tls.certificate.enabled) -}}
    {{- fail "tls.existingSecret: required with tls.enabled, unless tls.certificate.enabled lets cert-manager create one" -}}
  {{- end -}}
{{- else -}}
  {{- if and ($v.config | default dict).tls (not $v.extraVolumeMounts) (not $v.existingSecretFiles) -}}
    {{- fail "config.tls: names files that nothing mounts; use tls.enabled with tls.existingSecret, or extraVolumes and extraVolumeMounts" -}}
  {{- end -}}
  {{- if $v.tls.certificate.enabled -}}
    {{- fail "tls.certificate.enabled: creates a certificate that nothing uses; set tls.enabled as well" -}}
  {{- end -}}
  {{- if $v.tls.clients.caKey -}}
    {{- fail "tls.clients.caKey: has no effect while tls.enabled is false; set tls.enabled to true, or remove it" -}}
  {{- end -}}
  {{- range $key := list "existingSecret" "caKey" -}}
    {{- if get $v.tls $key -}}
      {{- fail (printf "tls.%s: has no effect while tls.enabled is false, and calls would travel in plaintext; set tls.enabled to true, or remove it" $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $tls := kindIs "map" ($v.config | default dict).tls | ternary ($v.config | default dict).tls dict -}}
{{- if and $tls.client_ca_file (ne (toString $tls.client_auth) "optional") $v.tests.enabled -}}
  {{- fail "tests.enabled: the test's pod has no client certificate, which config.tls.client_ca_file requires; set it to false, or config.tls.client_auth to optional" -}}
{{- end -}}
{{- if and $v.tls.clients.caKey $v.tls.clients.required $v.tests.enabled -}}
  {{- fail "tests.enabled: the test's pod has no client certificate, which tls.clients.required enforces; set one of the two to false" -}}
{{- end -}}
{{- range $path, $key := dict "tls.caKey" $v.tls.caKey "tls.clients.caKey" $v.tls.clients.caKey -}}
  {{- if eq $key "tls.key" -}}
    {{- fail (printf "%s: tls.key is the private key; name the key of the Secret that holds certificate authorities, such as ca.crt" $path) -}}
  {{- end -}}
{{- end -}}
{{- if and $v.tls.enabled $v.checkUnused (not $v.tls.clients.caKey) (not $v.tls.clients.required) -}}
  {{- fail "tls.clients.required: has no effect without tls.clients.caKey, because the gateway then requests no client certificates; set that, or remove this" -}}
{{- end -}}
{{- if $v.tls.enabled -}}
  {{- $secret := include "bedrock-grpc.tlsSecret" . -}}
  {{- $sources := dict "existingSecret" $v.existingSecret -}}
  {{- range $i, $source := $v.extraEnvFrom -}}
    {{- $_ := set $sources (printf "extraEnvFrom[%d].secretRef.name" $i) (($source.secretRef | default dict).name | default "") -}}
  {{- end -}}
  {{- range $path, $name := $sources -}}
    {{- if eq $name $secret -}}
      {{- fail (printf "%s: %s is the Secret of the certificate, whose private key would become a variable; use another Secret" $path $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $certificate := $v.tls.certificate -}}
{{- range $i, $name := $certificate.dnsNames -}}
  {{- if regexMatch "^[0-9.]+$" $name -}}
    {{- fail (printf "tls.certificate.dnsNames[%d]: %s is an address, which clients do not look up among host names; use a host name" $i $name) -}}
  {{- end -}}
{{- end -}}
{{- if $certificate.enabled -}}
  {{- if and (has $certificate.issuerRef.group (list "" "cert-manager.io")) (not (has $certificate.issuerRef.kind (list "Issuer" "ClusterIssuer"))) -}}
    {{- fail (printf "tls.certificate.issuerRef.kind: cert-manager.io has no %s; use Issuer or ClusterIssuer, or the group of another issuer" $certificate.issuerRef.kind) -}}
  {{- end -}}
  {{- if not $certificate.issuerRef.name -}}
    {{- fail "tls.certificate.issuerRef.name: required with tls.certificate.enabled" -}}
  {{- end -}}
  {{- if $v.tls.existingSecret -}}
    {{- fail "tls.existingSecret: leave it empty with tls.certificate.enabled, which creates its own Secret" -}}
  {{- end -}}
  {{- $key := $certificate.privateKey | default dict -}}
  {{- $sizes := get (dict "RSA" (list 2048 3072 4096 8192) "ECDSA" (list 256 384 521)) (toString $key.algorithm) -}}
  {{- if and $key.size $sizes (not (has (int $key.size) $sizes)) -}}
    {{- fail (printf "tls.certificate.privateKey.size: %d is not a size of %s keys; use one of %s" (int64 $key.size) $key.algorithm (join ", " $sizes)) -}}
  {{- end -}}
  {{- $duration := include "bedrock-grpc.goSeconds" $certificate.duration | float64 -}}
  {{- $renewBefore := include "bedrock-grpc.goSeconds" $certificate.renewBefore | float64 -}}
  {{- if lt $duration 3600.0 -}}
    {{- fail (printf "tls.certificate.duration: %s is shorter than 1h, which cert-manager rejects" $certificate.duration) -}}
  {{- end -}}
  {{- if or (lt $renewBefore 300.0) (ge $renewBefore $duration) -}}
    {{- fail (printf "tls.certificate.renewBefore: %s must be at least 5m and less than tls.certificate.duration, %s" $certificate.renewBefore $certificate.duration) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Seconds of a duration such as 2160h or 1h30m. */}}
{{- define "bedrock-grpc.goSeconds" -}}
{{- $sum := dict "seconds" 0.0 -}}
{{- range $part := regexFindAll "[0-9]+(\\.[0-9]+)?(ms|s|m|h)" (toString .) -1 -}}
  {{- $unit := regexFind "[a-z]+$" $part -}}
  {{- $_ := set $sum "seconds" (addf $sum.seconds (mulf (regexFind "^[0-9.]+" $part | float64) (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit))) -}}
{{- end -}}
{{- $sum.seconds -}}
{{- end -}}

{{/* Who the gateway is at AWS. */}}
{{- define "bedrock-grpc.checkIdentity" -}}
{{- $v := .Values -}}
{{- if $v.aws.roleArn -}}
  {{- if $v.aws.podIdentity.enabled -}}
    {{- fail "aws.roleArn: is for IRSA; with aws.podIdentity.enabled the role belongs to the Pod Identity association. Set one of them" -}}
  {{- end -}}
  {{- if not $v.serviceAccount.create -}}
    {{- fail "aws.roleArn: annotates the chart's own ServiceAccount; with serviceAccount.create false, annotate yours with eks.amazonaws.com/role-arn instead" -}}
  {{- end -}}
{{- end -}}
{{- if and $v.serviceAccount.create (eq $v.serviceAccount.name "default") -}}
  {{- fail "serviceAccount.name: every namespace already has a ServiceAccount called default; use another name, or set serviceAccount.create to false" -}}
{{- end -}}
{{- if and $v.serviceAccount.annotations (not $v.serviceAccount.create) -}}
  {{- fail "serviceAccount.annotations: has no effect while serviceAccount.create is false; annotate your ServiceAccount, or remove it" -}}
{{- end -}}
{{- $annotated := get ($v.serviceAccount.annotations | default dict) "eks.amazonaws.com/role-arn" -}}
{{- if and $annotated $v.aws.podIdentity.enabled -}}
  {{- fail "serviceAccount.annotations: eks.amazonaws.com/role-arn is for IRSA, which takes precedence over aws.podIdentity.enabled; remove one of them" -}}
{{- end -}}
{{- if and $annotated $v.aws.roleArn (ne (toString $annotated) $v.aws.roleArn) -}}
  {{- fail "serviceAccount.annotations: eks.amazonaws.com/role-arn differs from aws.roleArn, which sets this annotation; remove one of them" -}}
{{- end -}}
{{- $identity := list "AWS_ACCESS_KEY_ID" "AWS_BEARER_TOKEN_BEDROCK" "AWS_BEARER_TOKEN_BEDROCK_FILE" "AWS_ROLE_ARN" "AWS_WEB_IDENTITY_TOKEN_FILE" "AWS_CONTAINER_CREDENTIALS_FULL_URI" -}}
{{- if or $v.aws.roleArn $v.aws.podIdentity.enabled -}}
  {{- $given := dict -}}
  {{- range $i, $variable := $v.extraEnv -}}{{- $_ := set $given (printf "extraEnv[%d].name" $i) $variable.name -}}{{- end -}}
  {{- if $v.externalSecret.enabled -}}
    {{- range $i, $entry := $v.externalSecret.data -}}{{- $_ := set $given (printf "externalSecret.data[%d].secretKey" $i) $entry.secretKey -}}{{- end -}}
  {{- end -}}
  {{- range $path, $name := $given -}}
    {{- if has $name $identity -}}
      {{- fail (printf "%s: %s takes precedence over the role of aws.%s; remove one of them" $path $name (empty $v.aws.roleArn | ternary "podIdentity" "roleArn")) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- with $annotated -}}
  {{- if not (regexMatch "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+" (toString .)) -}}
    {{- fail (printf "serviceAccount.annotations: eks.amazonaws.com/role-arn must be the ARN of a role, such as arn:aws:iam::123456789012:role/NAME, got %v" .) -}}
  {{- end -}}
{{- end -}}
{{- $region := include "bedrock-grpc.configValue" (dict "root" . "path" (list "bedrock" "region") "default" $v.aws.region) -}}
{{- $partition := hasPrefix "us-gov-" $region | ternary "aws-us-gov" (hasPrefix "cn-" $region | ternary "aws-cn" "aws") -}}
{{- if and $v.aws.roleArn (regexMatch "^(us|eu|ap|ca|sa|me|af|il|mx|cn|us-gov)-[a-z]+-[0-9]+$" $region) (not (hasPrefix (printf "arn:%s:" $partition) $v.aws.roleArn)) -}}
  {{- fail (printf "aws.roleArn: %s is not in the partition of the Region %s, so the pods could not assume it; its ARN must begin with arn:%s:" $v.aws.roleArn $region $partition) -}}
{{- end -}}
{{- $external := $v.externalSecret -}}
{{- if $external.enabled -}}
  {{- if eq $v.existingSecret (include "bedrock-grpc.fullname" .) -}}
    {{- fail (printf "existingSecret: %s is the Secret of the externalSecret, whose keys are variables already; remove it" $v.existingSecret) -}}
  {{- end -}}
  {{- $keys := list -}}
  {{- range $i, $entry := $external.data -}}
    {{- if has $entry.secretKey $keys -}}
      {{- fail (printf "externalSecret.data[%d].secretKey: %s is fetched twice; remove one" $i $entry.secretKey) -}}
    {{- end -}}
    {{- $keys = append $keys $entry.secretKey -}}
    {{- if eq $entry.secretKey "BEDROCK_GRPC_CONFIG" -}}
      {{- fail (printf "externalSecret.data[%d].secretKey: the chart sets the path of the configuration; write settings to config" $i) -}}
    {{- end -}}
    {{- /* Unless the Secret is mounted as files as well. */ -}}
    {{- if and (not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $entry.secretKey)) (ne $v.existingSecretFiles (include "bedrock-grpc.fullname" $)) (not $v.extraVolumes) -}}
      {{- fail (printf "externalSecret.data[%d].secretKey: %s is not the name of a variable; use letters, digits and underscores" $i $entry.secretKey) -}}
    {{- end -}}
  {{- end -}}
  {{- range $i, $entry := $external.dataFrom -}}
    {{- $given := list -}}
    {{- range $key := list "extract" "find" -}}{{- if get $entry $key -}}{{- $given = append $given $key -}}{{- end -}}{{- end -}}
    {{- if ($entry.sourceRef | default dict).generatorRef -}}{{- $given = append $given "sourceRef.generatorRef" -}}{{- end -}}
    {{- if gt (len $given) 1 -}}
      {{- fail (printf "externalSecret.dataFrom[%d]: has %s, of which External Secrets accepts one; make them two members of the list" $i (join " and " $given)) -}}
    {{- end -}}
    {{- if not (or $entry.extract $entry.find $entry.sourceRef) -}}
      {{- fail (printf "externalSecret.dataFrom[%d]: must say what to fetch: extract, find or sourceRef" $i) -}}
    {{- end -}}
  {{- end -}}
  {{- if not $external.secretStoreRef.name -}}
    {{- fail "externalSecret.secretStoreRef.name: required with externalSecret.enabled" -}}
  {{- end -}}
  {{- if not (or $external.data $external.dataFrom) -}}
    {{- fail "externalSecret.data: it or externalSecret.dataFrom must say what to fetch" -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Seconds of a duration of Prometheus, such as 30s or 1d12h. */}}
{{- define "bedrock-grpc.promSeconds" -}}
{{- $sum := dict "seconds" 0.0 -}}
{{- range $part := regexFindAll "[0-9]+(ms|y|w|d|h|m|s)" (toString .) -1 -}}
  {{- $unit := regexFind "[a-z]+$" $part -}}
  {{- $factors := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 "w" 604800.0 "y" 31536000.0 -}}
  {{- $_ := set $sum "seconds" (addf $sum.seconds (mulf (regexFind "^[0-9]+" $part | float64) (get $factors $unit))) -}}
{{- end -}}
{{- $sum.seconds -}}
{{- end -}}

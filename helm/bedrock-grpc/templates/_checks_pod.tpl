{{/* The Deployment and its pod, as the API server and the kubelet check them. */}}
{{- define "bedrock-grpc.checkPod" -}}
{{- $v := .Values -}}
{{- if ge (int64 $v.minReadySeconds) (int64 $v.progressDeadlineSeconds) -}}
  {{- fail (printf "progressDeadlineSeconds: %d is not more than minReadySeconds, %d, which Kubernetes rejects; raise it" (int64 $v.progressDeadlineSeconds) (int64 $v.minReadySeconds)) -}}
{{- end -}}
{{- $strategy := $v.updateStrategy | default dict -}}
{{- $rolling := $strategy.rollingUpdate | default dict -}}
{{- if and (ne (toString $strategy.type) "Recreate") (hasKey $rolling "maxUnavailable") (hasKey $rolling "maxSurge") (regexMatch "^0+%?$" (include "bedrock-grpc.text" $rolling.maxUnavailable)) (regexMatch "^0+%?$" (include "bedrock-grpc.text" $rolling.maxSurge)) -}}
  {{- fail "updateStrategy.rollingUpdate.maxSurge: must not be 0 when maxUnavailable is 0, or no pod could ever be replaced" -}}
{{- end -}}
{{- $keys := list -}}
{{- range $i, $key := $v.topologySpread.topologyKeys -}}
  {{- if has $key $keys -}}{{- fail (printf "topologySpread.topologyKeys[%d]: %s is listed twice; remove one" $i $key) -}}{{- end -}}
  {{- $keys = append $keys $key -}}
{{- end -}}
{{- $pairs := list -}}
{{- range $i, $each := $v.topologySpreadConstraints -}}
  {{- if not (kindIs "map" $each) -}}{{- fail (printf "topologySpreadConstraints[%d]: is empty; write a constraint, or remove it" $i) -}}{{- end -}}
  {{- $pair := printf "%s %s" $each.topologyKey $each.whenUnsatisfiable -}}
  {{- if has $pair $pairs -}}{{- fail (printf "topologySpreadConstraints[%d].topologyKey: %s has two constraints with the same whenUnsatisfiable; remove one" $i $each.topologyKey) -}}{{- end -}}
  {{- $pairs = append $pairs $pair -}}
  {{- if not $each.labelSelector -}}
    {{- fail (printf "topologySpreadConstraints[%d].labelSelector: without one, the constraint counts no pods; write matchLabels with app.kubernetes.io/instance: %s" $i $.Release.Name) -}}
  {{- end -}}
{{- end -}}
{{- if and (eq $v.dnsPolicy "None") (not ($v.dnsConfig | default dict).nameservers) -}}
  {{- fail "dnsConfig.nameservers: required with dnsPolicy None" -}}
{{- end -}}
{{- range $i, $each := $v.tolerations -}}
  {{- if and (not $each.key) (ne (toString $each.operator) "Exists") -}}
    {{- fail (printf "tolerations[%d].operator: must be Exists when there is no key" $i) -}}
  {{- end -}}
  {{- if and (eq (toString $each.operator) "Exists") $each.value -}}
    {{- fail (printf "tolerations[%d].value: must be empty with the operator Exists; remove it, or use Equal" $i) -}}
  {{- end -}}
  {{- if and (not (kindIs "invalid" $each.tolerationSeconds)) (ne (toString $each.effect) "NoExecute") -}}
    {{- fail (printf "tolerations[%d].tolerationSeconds: needs the effect NoExecute" $i) -}}
  {{- end -}}
{{- end -}}
{{- $system := get ($v.nodeSelector | default dict) "kubernetes.io/os" | default "linux" | toString -}}
{{- if ne $system "linux" -}}
  {{- fail (printf "nodeSelector.kubernetes.io/os: the image is for linux, not for %s; remove it" $system) -}}
{{- end -}}
{{- $pod := $v.podSecurityContext | default dict -}}
{{- $container := $v.securityContext | default dict -}}
{{- $nonRoot := hasKey $container "runAsNonRoot" | ternary $container.runAsNonRoot $pod.runAsNonRoot -}}
{{- $key := hasKey $container "runAsUser" | ternary "securityContext" "podSecurityContext" -}}
{{- $user := hasKey $container "runAsUser" | ternary $container.runAsUser $pod.runAsUser -}}
{{- if and $nonRoot (not (kindIs "invalid" $user)) (eq (int64 $user) 0) -}}
  {{- fail (printf "%s.runAsUser: 0 is root, which runAsNonRoot forbids: the kubelet would not start the container; use 65532" $key) -}}
{{- end -}}
{{- $names := list -}}
{{- range $i, $sysctl := $pod.sysctls -}}
  {{- if has $sysctl.name $names -}}{{- fail (printf "podSecurityContext.sysctls[%d].name: %s is set twice; remove one" $i $sysctl.name) -}}{{- end -}}
  {{- $names = append $names $sysctl.name -}}
{{- end -}}
{{- include "bedrock-grpc.checkPrivileges" (dict "security" $container "pod" dict "path" "securityContext" "mounts" $v.extraVolumeMounts "mountsPath" "extraVolumeMounts") -}}
{{- include "bedrock-grpc.checkProfile" (dict "profile" $pod.seccompProfile "path" "podSecurityContext") -}}
{{- include "bedrock-grpc.checkLabelKeys" . -}}
{{- include "bedrock-grpc.checkUnique" . -}}
{{- include "bedrock-grpc.checkNewFields" . -}}
{{- range $i, $domain := ($v.dnsConfig | default dict).searches -}}
  {{- if and (contains "_" $domain) (semverCompare "<1.33-0" $.Capabilities.KubeVersion.Version) -}}
    {{- fail (printf "dnsConfig.searches[%d]: %s has an underscore, which needs Kubernetes 1.33; this is %s" $i $domain $.Capabilities.KubeVersion.Version) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The gateway's container, and what is put beside it. */}}
{{- define "bedrock-grpc.checkContainer" -}}
{{- $v := .Values -}}
{{- /* Behind a registry there are only paths, in lower case. */ -}}
{{- if and $v.image.registry (regexMatch "[:A-Z]" $v.image.repository) -}}
  {{- fail (printf "image.repository: %s begins with a registry, and image.registry is set, too; remove one of them" $v.image.repository) -}}
{{- end -}}
{{- if and $v.image.checkVersion $v.image.tag (not $v.image.digest) (regexMatch "^v?[0-9]+\\.[0-9]+\\.[0-9]+([-+].*)?$" $v.image.tag) -}}
  {{- if not (semverCompare ">=0.1.0-0" $v.image.tag) -}}
    {{- fail (printf "image.tag: %s is older than 0.1.0, the oldest version that this chart supports; use an older chart, or set image.checkVersion to false" $v.image.tag) -}}
  {{- end -}}
{{- end -}}
{{- include "bedrock-grpc.checkResources" (dict "resources" ($v.resources | default dict) "path" "resources") -}}
{{- with (($v.resources | default dict).limits | default dict).memory -}}
  {{- if lt (include "bedrock-grpc.quantity" . | float64) 33554432.0 -}}
    {{- fail (printf "resources.limits.memory: %v is too little to start; the gateway needs 32Mi, and more for calls" .) -}}
  {{- end -}}
{{- end -}}
{{- range $name := list "startup" "liveness" "readiness" -}}
  {{- $probe := get $v.probes $name | default dict -}}
  {{- if and (ne $name "readiness") (hasKey $probe "successThreshold") (ne (int64 $probe.successThreshold) 1) -}}
    {{- fail (printf "probes.%s.successThreshold: must be 1, or be left out" $name) -}}
  {{- end -}}
  {{- if and (eq $name "readiness") (hasKey $probe "terminationGracePeriodSeconds") -}}
    {{- fail "probes.readiness.terminationGracePeriodSeconds: is not for readiness probes; remove it" -}}
  {{- end -}}
{{- end -}}
{{- range $name, $hook := $v.lifecycle -}}
  {{- if eq $name "stopSignal" -}}
    {{- fail "lifecycle.stopSignal: the gateway drains at SIGTERM; remove it" -}}
  {{- else if not $hook -}}
    {{- fail (printf "lifecycle.%s: is empty; write a hook, or remove it" $name) -}}
  {{- else -}}
    {{- $command := ($hook.exec | default dict).command | default list -}}
    {{- if and $command (ne (first $command | base) "bedrock-grpc") (not $v.extraVolumeMounts) -}}
      {{- fail (printf "lifecycle.%s.exec.command[0]: the image has no %s, so the hook would fail; use sleep or httpGet as a hook, or call bedrock-grpc" $name (first $command)) -}}
    {{- end -}}
    {{- if and (hasKey $hook "sleep") (eq (int64 ($hook.sleep | default dict).seconds) 0) -}}
      {{- fail (printf "lifecycle.%s.sleep.seconds: 0 has no effect, and older versions of Kubernetes reject it; remove the hook" $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- include "bedrock-grpc.checkHandlers" (dict "root" . "container" (dict "lifecycle" $v.lifecycle "ports" (list (dict "name" "grpc") (dict "name" "admin"))) "path" "") -}}
{{- $memory := include "bedrock-grpc.configValue" (dict "root" . "path" (list "limits" "memory") "default" "") -}}
{{- $limit := (($v.resources | default dict).limits | default dict).memory -}}
{{- if and $limit (regexMatch "^[0-9]+[KMG]?i?B$" $memory) -}}
  {{- $quantity := $memory | trimSuffix "B" | replace "K" "k" | replace "ki" "Ki" -}}
  {{- if ge (include "bedrock-grpc.quantity" $quantity | float64) (include "bedrock-grpc.quantity" $limit | float64) -}}
    {{- fail (printf "config.limits.memory: %s is not less than resources.limits.memory, %v, so the kernel would end pods before they refuse requests; remove it: the default is half of the limit" $memory $limit) -}}
  {{- end -}}
{{- end -}}
{{- $size := include "bedrock-grpc.configValue" (dict "root" . "path" (list "limits" "max_request_size") "default" "") -}}
{{- if and $limit (regexMatch "^[0-9]+[KMG]?i?B$" $size) -}}
  {{- $quantity := $size | trimSuffix "B" | replace "K" "k" | replace "ki" "Ki" -}}
  {{- if ge (include "bedrock-grpc.quantity" $quantity | float64) (include "bedrock-grpc.quantity" $limit | float64) -}}
    {{- fail (printf "config.limits.max_request_size: %s is not less than resources.limits.memory, %v, so pods would refuse each request of that size; lower it, or raise the limit" $size $limit) -}}
  {{- end -}}
{{- end -}}
{{- if and $v.preStop.sleepSeconds (hasKey ($v.lifecycle | default dict) "preStop") -}}
  {{- fail "lifecycle.preStop: a container has one preStop hook; set preStop.sleepSeconds to 0" -}}
{{- end -}}

{{- /* Arguments and variables. */ -}}
{{- $previous := "" -}}
{{- $colored := false -}}
{{- range $i, $argument := $v.extraArgs -}}
  {{- $flag := regexFind "^[^=]*" $argument -}}
  {{- if or (has $flag (list "--config" "--help" "--version")) (regexMatch "^-[chV]" $flag) -}}
    {{- fail (printf "extraArgs[%d]: %s is set by the chart, or keeps the service from starting; remove it, and write settings to config" $i $argument) -}}
  {{- end -}}
  {{- if and $v.checkConfig (not (regexMatch "^--color(=(auto|always|never))?$" $argument)) (not (and (eq $previous "--color") (has $argument (list "auto" "always" "never")))) -}}
    {{- fail (printf "extraArgs[%d]: `serve` of this version has no argument %s: it has --color=WHEN. If the image is newer than the chart, set checkConfig to false" $i $argument) -}}
  {{- end -}}
  {{- if and (eq $flag "--color") $colored -}}
    {{- fail (printf "extraArgs[%d]: --color can be given once; remove one" $i) -}}
  {{- end -}}
  {{- if eq $flag "--color" -}}{{- $colored = true -}}{{- end -}}
  {{- $previous = $argument -}}
{{- end -}}
{{- if and $v.checkConfig (eq $previous "--color") -}}
  {{- fail "extraArgs: --color needs a value: auto, always or never" -}}
{{- end -}}
{{- /* Keys for an emulator in the same pod are not secrets. */ -}}
{{- $endpoint := include "bedrock-grpc.configValue" (dict "root" . "path" (list "bedrock" "endpoint_url") "default" "") -}}
{{- $emulated := regexMatch "^http://(127\\.|localhost|\\[::1\\])" $endpoint -}}
{{- $all := list "gateway" -}}
{{- range concat ($v.extraContainers | default list) ($v.initContainers | default list) -}}{{- $all = append $all .name -}}{{- end -}}
{{- $names := empty $v.aws.region | ternary list (list "AWS_REGION") -}}
{{- if $v.limitsStore.usernameKey -}}{{- $names = append $names "LIMITS_STORE_USERNAME" -}}{{- end -}}
{{- range $i, $variable := $v.extraEnv -}}
  {{- $path := printf "extraEnv[%d]" $i -}}
  {{- if eq $variable.name "BEDROCK_GRPC_CONFIG" -}}
    {{- fail (printf "%s.name: the chart sets the path of the configuration; write settings to config" $path) -}}
  {{- end -}}
  {{- if has $variable.name $names -}}
    {{- fail (printf "%s.name: %q is set twice%s; remove one" $path $variable.name (get (dict "AWS_REGION" ", here and by aws.region" "LIMITS_STORE_USERNAME" ", here and by limitsStore.usernameKey") $variable.name)) -}}
  {{- end -}}
  {{- $names = append $names $variable.name -}}
  {{- if and (regexMatch "^(AWS_CA_BUNDLE|AWS_CONFIG_FILE|AWS_.*_FILE|SSL_CERT_(FILE|DIR))$" $variable.name) (hasPrefix "/" (toString $variable.value)) (not (include "bedrock-grpc.isMounted" (dict "root" $ "file" $variable.value))) -}}
    {{- fail (printf "%s.value: %s is a file that nothing mounts; set existingSecretFiles, or extraVolumes and extraVolumeMounts" $path $variable.value) -}}
  {{- end -}}
{{- end -}}
{{- include "bedrock-grpc.checkEnvironment" (dict "container" (dict "env" $v.extraEnv "envFrom" $v.extraEnvFrom) "env" "extraEnv" "envFrom" "extraEnvFrom" "emulated" $emulated "containers" $all) -}}

{{- /* Containers and volumes. */ -}}
{{- $own := list "config" "tls" "secrets" "limits-store" "service-account" -}}
{{- $mounted := list "config" -}}
{{- if $v.tls.enabled -}}{{- $mounted = append $mounted "tls" -}}{{- end -}}
{{- if $v.existingSecretFiles -}}{{- $mounted = append $mounted "secrets" -}}{{- end -}}
{{- if $v.limitsStore.existingSecret -}}{{- $mounted = append $mounted "limits-store" -}}{{- end -}}
{{- if include "bedrock-grpc.asksApiServer" . -}}{{- $mounted = append $mounted "service-account" -}}{{- end -}}
{{- range $v.extraVolumes -}}{{- $mounted = append $mounted .name -}}{{- end -}}
{{- $blocks := list -}}
{{- range $v.extraVolumes -}}{{- if or .persistentVolumeClaim .ephemeral -}}{{- $blocks = append $blocks .name -}}{{- end -}}{{- end -}}
{{- $ports := dict (include "bedrock-grpc.grpcPort" . | printf "TCP %s") "the gateway" (include "bedrock-grpc.adminPort" . | printf "TCP %s") "the gateway" -}}
{{- $containers := list "gateway" -}}
{{- range $key := list "extraContainers" "initContainers" -}}
  {{- range $i, $container := get $v $key | default list -}}
    {{- if has $container.name $containers -}}
      {{- fail (printf "%s[%d].name: the pod has another container called %s; use another name" $key $i $container.name) -}}
    {{- end -}}
    {{- $containers = append $containers $container.name -}}
    {{- $path := printf "%s[%d]" $key $i -}}
    {{- include "bedrock-grpc.checkResources" (dict "resources" ($container.resources | default dict) "path" (printf "%s.resources" $path)) -}}
    {{- include "bedrock-grpc.checkEnvironment" (dict "container" $container "env" (printf "%s.env" $path) "envFrom" (printf "%s.envFrom" $path) "emulated" $emulated "containers" $all) -}}
    {{- include "bedrock-grpc.checkHandlers" (dict "root" $ "container" $container "path" $path) -}}
    {{- include "bedrock-grpc.checkPrivileges" (dict "security" ($container.securityContext | default dict) "pod" ($v.podSecurityContext | default dict) "path" (printf "%s.securityContext" $path) "mounts" $container.volumeMounts "mountsPath" (printf "%s.volumeMounts" $path)) -}}
    {{- if and (eq $key "initContainers") $container.restartPolicy (ne (toString $container.restartPolicy) "Always") -}}
      {{- fail (printf "%s.restartPolicy: Kubernetes accepts only Always here, which makes it a native sidecar; set that, or remove it" $path) -}}
    {{- end -}}
    {{- if and (eq $key "extraContainers") $container.restartPolicy -}}
      {{- fail (printf "%s.restartPolicy: is for initContainers; move the container there to make it a native sidecar, or remove this" $path) -}}
    {{- end -}}
    {{- $runs := or (eq $key "extraContainers") (eq (toString $container.restartPolicy) "Always") -}}
    {{- range $field := list "startupProbe" "livenessProbe" "readinessProbe" "lifecycle" -}}
      {{- $value := get $container $field | default dict -}}
      {{- if and $value (not $runs) -}}
        {{- fail (printf "%s.%s: only containers that keep running can have it; set restartPolicy to Always, or remove it" $path $field) -}}
      {{- end -}}
      {{- if and (ne $field "readinessProbe") (gt (int64 ($value.successThreshold | default 1)) 1) -}}
        {{- fail (printf "%s.%s.successThreshold: must be 1, or be left out" $path $field) -}}
      {{- end -}}
    {{- end -}}
    {{- $places := list -}}
    {{- $mounts := list -}}
    {{- range $j, $mount := $container.volumeMounts -}}
      {{- if has $mount.mountPath $places -}}
        {{- fail (printf "%s.volumeMounts[%d].mountPath: something else is mounted at %s; use another path" $path $j $mount.mountPath) -}}
      {{- end -}}
      {{- if and $mount.subPath $mount.subPathExpr -}}
        {{- fail (printf "%s.volumeMounts[%d].subPath: set either subPath or subPathExpr, not both" $path $j) -}}
      {{- end -}}
      {{- $places = append $places $mount.mountPath -}}
      {{- $mounts = append $mounts $mount.name -}}
      {{- if not (has $mount.name $mounted) -}}
        {{- fail (printf "%s.volumeMounts[%d].name: the pod has no volume %s; add it to extraVolumes" $path $j $mount.name) -}}
      {{- end -}}
    {{- end -}}
    {{- $devices := list -}}
    {{- range $j, $device := $container.volumeDevices -}}
      {{- if not (has $device.name $blocks) -}}
        {{- fail (printf "%s.volumeDevices[%d].name: no entry of extraVolumes named %s has persistentVolumeClaim or ephemeral; add it" $path $j $device.name) -}}
      {{- end -}}
      {{- if or (has $device.name $devices) (has $device.name $mounts) -}}
        {{- fail (printf "%s.volumeDevices[%d].name: the container uses the volume %s twice; remove one of them" $path $j $device.name) -}}
      {{- end -}}
      {{- if has $device.devicePath $places -}}
        {{- fail (printf "%s.volumeDevices[%d].devicePath: the container uses the path %s twice; use another path" $path $j $device.devicePath) -}}
      {{- end -}}
      {{- $devices = append $devices $device.name -}}
      {{- $places = append $places $device.devicePath -}}
    {{- end -}}
    {{- /* Init containers that end before the gateway starts are not in its way. */ -}}
    {{- if $runs -}}
      {{- $portNames := list -}}
      {{- range $j, $port := $container.ports -}}
        {{- if and $port.name (has $port.name $portNames) -}}
          {{- fail (printf "%s.ports[%d].name: another port of the container is called %s; use another name" $path $j $port.name) -}}
        {{- end -}}
        {{- $portNames = append $portNames $port.name -}}
        {{- $number := printf "%s %d" ($port.protocol | default "TCP") (int64 $port.containerPort) -}}
        {{- if hasKey $ports $number -}}
          {{- fail (printf "%s.ports[%d].containerPort: %s is a port of %s, and the containers of a pod share their ports; use another one" $path $j $number (get $ports $number)) -}}
        {{- end -}}
        {{- if has (toString $port.name) (list "grpc" "admin") -}}
          {{- fail (printf "%s.ports[%d].name: the gateway's port is called %s, and Services look for it by name; use another name" $path $j $port.name) -}}
        {{- end -}}
        {{- $_ := set $ports $number $container.name -}}
        {{- with $port.hostPort -}}
          {{- $hosted := printf "%s %s %d of the node" ($port.hostIP | default "") ($port.protocol | default "TCP") (int64 .) | trim -}}
          {{- if hasKey $ports $hosted -}}
            {{- fail (printf "%s.ports[%d].hostPort: another port uses %d of the node, too; use another one" $path $j (int64 .)) -}}
          {{- end -}}
          {{- $_ := set $ports $hosted $container.name -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $volumes := $own -}}
{{- range $i, $volume := $v.extraVolumes -}}
  {{- $files := list -}}
  {{- range $j, $source := ($volume.projected | default dict).sources -}}
    {{- range $kind, $projection := $source -}}
      {{- range concat ($projection.items | default list) (empty $projection.path | ternary list (list $projection)) -}}
        {{- if has .path $files -}}
          {{- fail (printf "extraVolumes[%d].projected.sources[%d].%s: another source has the file %s, which Kubernetes rejects; use another path" $i $j $kind .path) -}}
        {{- end -}}
        {{- $files = append $files .path -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if has $volume.name $own -}}
    {{- fail (printf "extraVolumes[%d].name: the volume %s is the chart's own; use another name" $i $volume.name) -}}
  {{- end -}}
  {{- if has $volume.name $volumes -}}
    {{- fail (printf "extraVolumes[%d].name: there are two volumes called %s; use another name" $i $volume.name) -}}
  {{- end -}}
  {{- if gt (len (keys (omit $volume "name"))) 1 -}}
    {{- fail (printf "extraVolumes[%d]: a volume has one source, this one has %s; remove all but one" $i (join ", " (keys (omit $volume "name") | sortAlpha))) -}}
  {{- end -}}
  {{- $volumes = append $volumes $volume.name -}}
{{- end -}}
{{- $paths := list "/etc/bedrock-grpc/config" -}}
{{- if $v.tls.enabled -}}{{- $paths = append $paths "/etc/bedrock-grpc/tls" -}}{{- end -}}
{{- if $v.existingSecretFiles -}}{{- $paths = append $paths "/etc/bedrock-grpc/secrets" -}}{{- end -}}
{{- if $v.limitsStore.existingSecret -}}{{- $paths = append $paths "/etc/bedrock-grpc/limits-store" -}}{{- end -}}
{{- if include "bedrock-grpc.asksApiServer" . -}}{{- $paths = append $paths "/var/run/secrets/kubernetes.io/serviceaccount" -}}{{- end -}}
{{- $ownPaths := $paths -}}
{{- range $i, $mount := $v.extraVolumeMounts -}}
  {{- if has $mount.name $own -}}
    {{- fail (printf "extraVolumeMounts[%d].name: the volume %s is the chart's own; use another name" $i $mount.name) -}}
  {{- end -}}
  {{- if not (has $mount.name $volumes) -}}
    {{- fail (printf "extraVolumeMounts[%d].name: there is no volume %s in extraVolumes; add it" $i $mount.name) -}}
  {{- end -}}
  {{- $place := clean $mount.mountPath -}}
  {{- if or (has $place $paths) (has $place (list "/" "/dev" "/etc" "/etc/bedrock-grpc" "/lib" "/lib64" "/proc" "/sys" "/usr" "/usr/bin" "/usr/bin/bedrock-grpc" "/usr/lib")) (hasPrefix "/etc/bedrock-grpc/config/" $place) -}}
    {{- fail (printf "extraVolumeMounts[%d].mountPath: something else is mounted at %s, or would be hidden by it; use another path" $i $mount.mountPath) -}}
  {{- end -}}
  {{- range $owned := $ownPaths -}}
    {{- if hasPrefix (printf "%s/" $owned) $place -}}
      {{- fail (printf "extraVolumeMounts[%d].mountPath: %s is below %s, which is read-only, so the container would not start; use another path" $i $mount.mountPath $owned) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $mount.subPath $mount.subPathExpr -}}
    {{- fail (printf "extraVolumeMounts[%d].subPath: set either subPath or subPathExpr, not both" $i) -}}
  {{- end -}}
  {{- $paths = append $paths $place -}}
{{- end -}}
{{- end -}}

{{/*
The environment of a container. Takes a dict of "container", the paths of its "env" and "envFrom", the names of all "containers", and "emulated": Bedrock is
an emulator in the same pod, whose keys are not secrets.
*/}}
{{- define "bedrock-grpc.checkEnvironment" -}}
{{- $emulated := .emulated -}}
{{- $env := .env -}}
{{- range $i, $variable := .container.env -}}
  {{- $path := printf "%s[%d]" $env $i -}}
  {{- if and $variable.value (not (and $emulated (hasPrefix "AWS_" $variable.name))) (not (contains "$(" $variable.value)) (regexMatch "(?i)(secret|passw|pass$|passphrase|token|api_?key|private_?key|credential|_headers)" $variable.name) (not (regexMatch "(?i)(_file|_uri|_url|_ttl|_id|_max_tokens)$" $variable.name)) -}}
    {{- fail (printf "%s.value: a secret must not be in the Deployment; set %s through existingSecret, externalSecret or valueFrom.secretKeyRef" $path $variable.name) -}}
  {{- end -}}
  {{- if and $variable.value $variable.valueFrom -}}
    {{- fail (printf "%s.valueFrom: set either value or valueFrom, not both" $path) -}}
  {{- end -}}
  {{- if and (kindIs "map" $variable.valueFrom) (ne (len (keys $variable.valueFrom)) 1) -}}
    {{- fail (printf "%s.valueFrom: must have one source, such as secretKeyRef" $path) -}}
  {{- end -}}
  {{- $field := toString (($variable.valueFrom | default dict).fieldRef | default dict).fieldPath -}}
  {{- $key := regexFind "'.*'" $field | trimAll "'" -}}
  {{- if and (regexMatch "^metadata\\.(labels|annotations)\\['" $field) (not (regexMatch "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" $key)) -}}
    {{- fail (printf "%s.valueFrom.fieldRef.fieldPath: %q is not the key of a label or an annotation; correct it" $path $key) -}}
  {{- end -}}
  {{- with ($variable.valueFrom | default dict).fileKeyRef -}}
    {{- fail (printf "%s.valueFrom.fileKeyRef: Kubernetes before 1.35 drops it, and the chart mounts no such volume; use secretKeyRef, or ${file:/path} in config" $path) -}}
  {{- end -}}
  {{- with (($variable.valueFrom | default dict).resourceFieldRef | default dict).containerName -}}
    {{- if not (has . $.containers) -}}
      {{- fail (printf "%s.valueFrom.resourceFieldRef.containerName: the pod has no container %s; remove it, or use gateway" $path .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $from := .envFrom -}}
{{- range $i, $source := .container.envFrom -}}
  {{- if eq (empty $source.secretRef) (empty $source.configMapRef) -}}
    {{- fail (printf "%s[%d]: must have one of secretRef and configMapRef" $from $i) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Hooks and probes of a container: their ports, and how long they sleep. Takes a dict of "root", "container" and "path". */}}
{{- define "bedrock-grpc.checkHandlers" -}}
{{- $container := .container -}}
{{- $prefix := empty .path | ternary "" (printf "%s." .path) -}}
{{- $grace := include "bedrock-grpc.gracePeriodSeconds" .root | int64 -}}
{{- $names := list -}}
{{- range $container.ports -}}{{- if .name -}}{{- $names = append $names .name -}}{{- end -}}{{- end -}}
{{- $handlers := dict -}}
{{- range $field := list "startupProbe" "livenessProbe" "readinessProbe" -}}{{- $_ := set $handlers $field (get $container $field) -}}{{- end -}}
{{- range $name, $hook := $container.lifecycle -}}
  {{- if kindIs "map" $hook -}}{{- $_ := set $handlers (printf "lifecycle.%s" $name) $hook -}}{{- end -}}
{{- end -}}
{{- range $path, $handler := $handlers -}}
  {{- range $kind := list "httpGet" "tcpSocket" -}}
    {{- with get ($handler | default dict) $kind -}}
      {{- if and (kindIs "string" .port) (not (has .port $names)) -}}
        {{- fail (printf "%s%s.%s.port: the container has no port called %s; use a number, or add the name to its ports" $prefix $path $kind .port) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $sleep := (($handler | default dict).sleep | default dict).seconds | default 0 | int64 -}}
  {{- if gt $sleep $grace -}}
    {{- fail (printf "%s%s.sleep.seconds: %d is longer than the pod's grace period, %d s, which Kubernetes rejects; lower it" $prefix $path $sleep $grace) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
A security context that contradicts itself or the pod's. Takes a dict of "security", "pod" (the pod's context, or nothing for the gateway, which has its own
checks), "path", "mounts" and "mountsPath".
*/}}
{{- define "bedrock-grpc.checkPrivileges" -}}
{{- $security := .security -}}
{{- include "bedrock-grpc.checkProfile" (dict "profile" $security.seccompProfile "path" .path) -}}
{{- $known := "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM ALL" | splitList " " -}}
{{- range $key := list "add" "drop" -}}
  {{- range $i, $name := get ($security.capabilities | default dict) $key | default list -}}
    {{- if not (or (has (upper (toString $name)) $known) (eq (toString $name) "CAP_SYS_ADMIN")) -}}
      {{- fail (printf "%s.capabilities.%s[%d]: %v is not a capability, so the container would not start; write names without CAP_, such as NET_ADMIN" $.path $key $i $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq (toString $security.allowPrivilegeEscalation) "false" -}}
  {{- if $security.privileged -}}
    {{- fail (printf "%s.allowPrivilegeEscalation: can't be false with privileged; remove privileged" .path) -}}
  {{- end -}}
  {{- if has "CAP_SYS_ADMIN" (($security.capabilities | default dict).add | default list) -}}
    {{- fail (printf "%s.capabilities.add: CAP_SYS_ADMIN contradicts allowPrivilegeEscalation: false, which Kubernetes rejects; remove one of them" .path) -}}
  {{- end -}}
{{- end -}}
{{- $nonRoot := hasKey $security "runAsNonRoot" | ternary $security.runAsNonRoot .pod.runAsNonRoot -}}
{{- if and .pod $nonRoot (hasKey $security "runAsUser") (eq (toString $security.runAsUser) "0") -}}
  {{- fail (printf "%s.runAsUser: 0 is root, which runAsNonRoot forbids: the kubelet would not start the container; use another user, or set runAsNonRoot to false here" .path) -}}
{{- end -}}
{{- range $i, $mount := .mounts -}}
  {{- if and (eq (toString $mount.mountPropagation) "Bidirectional") (not $security.privileged) -}}
    {{- fail (printf "%s[%d].mountPropagation: Bidirectional needs a privileged container; remove it" $.mountsPath $i) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A seccomp profile of the node. Takes a dict of "profile" and "path". */}}
{{- define "bedrock-grpc.checkProfile" -}}
{{- $file := toString (.profile | default dict).localhostProfile -}}
{{- if and (.profile | default dict).localhostProfile (regexMatch "^/|(^|/)\\.\\.(/|$)" $file) -}}
  {{- fail (printf "%s.seccompProfile.localhostProfile: %s must be a path below the kubelet's folder of profiles, without a leading / and without .." .path $file) -}}
{{- end -}}
{{- end -}}

{{/* Keys of labels that select pods twice, in spread constraints and affinities. */}}
{{- define "bedrock-grpc.checkLabelKeys" -}}
{{- $terms := dict -}}
{{- range $i, $each := .Values.topologySpreadConstraints -}}{{- $_ := set $terms (printf "topologySpreadConstraints[%d]" $i) $each -}}{{- end -}}
{{- range $kind := list "podAffinity" "podAntiAffinity" -}}
  {{- $affinity := get ($.Values.affinity | default dict) $kind | default dict -}}
  {{- range $i, $each := $affinity.requiredDuringSchedulingIgnoredDuringExecution -}}
    {{- $_ := set $terms (printf "affinity.%s.requiredDuringSchedulingIgnoredDuringExecution[%d]" $kind $i) $each -}}
  {{- end -}}
  {{- range $i, $each := $affinity.preferredDuringSchedulingIgnoredDuringExecution -}}
    {{- $_ := set $terms (printf "affinity.%s.preferredDuringSchedulingIgnoredDuringExecution[%d].podAffinityTerm" $kind $i) $each.podAffinityTerm -}}
  {{- end -}}
{{- end -}}
{{- range $path, $term := $terms -}}
  {{- if kindIs "map" $term -}}
    {{- $selector := $term.labelSelector | default dict -}}
    {{- $taken := keys ($selector.matchLabels | default dict) -}}
    {{- range $selector.matchExpressions -}}{{- $taken = append $taken .key -}}{{- end -}}
    {{- range $field := list "matchLabelKeys" "mismatchLabelKeys" -}}
      {{- range $i, $key := get $term $field | default list -}}
        {{- if has $key $taken -}}
          {{- fail (printf "%s.%s[%d]: %s is in the labelSelector or in another list already, which Kubernetes rejects; remove one" $path $field $i $key) -}}
        {{- end -}}
      {{- end -}}
      {{- $taken = concat $taken (get $term $field | default list) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

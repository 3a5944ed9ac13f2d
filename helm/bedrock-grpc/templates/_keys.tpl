{{/* Keys of `config` that the service does not have, with the nearest one that it has. files/config-keys.json is generated from the service's schema. */}}

{{/* How many letters must change to turn one word into the other. Takes a list of two words. */}}
{{- define "bedrock-grpc.distance" -}}
{{- $from := splitList "" (first .) -}}
{{- $to := splitList "" (last .) -}}
{{- $row := untilStep 0 (int (add (len $to) 1)) 1 -}}
{{- range $i, $letter := $from -}}
  {{- $next := list (add $i 1) -}}
  {{- range $j, $other := $to -}}
    {{- $changed := add (index $row $j) (eq $letter $other | ternary 0 1) -}}
    {{- $next = append $next (min $changed (add (index $row (int (add $j 1))) 1) (add (last $next) 1)) -}}
  {{- end -}}
  {{- $row = $next -}}
{{- end -}}
{{- last $row -}}
{{- end -}}

{{/* ` did you mean X?`, or the known keys. Takes a dict of "key" and "known". */}}
{{- define "bedrock-grpc.nearest" -}}
{{- $key := .key -}}
{{- $best := dict "key" "" "distance" (max 1 (div (len $key) 3)) -}}
{{- range $known := .known -}}
  {{- $distance := include "bedrock-grpc.distance" (list $key $known) | int -}}
  {{- if le $distance (int $best.distance) -}}{{- $best = dict "key" $known "distance" (sub $distance 1) -}}{{- end -}}
{{- end -}}
{{- if $best.key }}did you mean {{ $best.key }}?{{ else }}known keys: {{ join ", " .known }}.{{ end -}}
{{- end -}}

{{/* Fails at the first unknown key. Takes a dict of "value", "keys" (what is known here) and "path". */}}
{{- define "bedrock-grpc.checkKeys" -}}
{{- $path := .path -}}
{{- $keys := .keys -}}
{{- if and (kindIs "map" .value) $keys -}}
  {{- range $key, $value := .value -}}
    {{- $known := hasKey $keys $key | ternary (get $keys $key) (get $keys "*") -}}
    {{- if and (not (hasKey $keys $key)) (not (hasKey $keys "*")) -}}
      {{- fail (printf "%s.%s: unknown key; %s If the image is newer than the chart, set checkConfig to false" $path $key (include "bedrock-grpc.nearest" (dict "key" $key "known" (keys $keys | sortAlpha)))) -}}
    {{- end -}}
    {{- include "bedrock-grpc.checkKeys" (dict "value" $value "keys" ($known | default dict) "path" (printf "%s.%s" $path $key)) -}}
  {{- end -}}
{{- else if and (kindIs "slice" .value) (hasKey $keys "[]") -}}
  {{- range $i, $value := .value -}}
    {{- include "bedrock-grpc.checkKeys" (dict "value" $value "keys" (get $keys "[]") "path" (printf "%s[%d]" $path $i)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Fails at the first text with a broken variable, or that looks like a secret: more people can read a ConfigMap than a Secret. Takes a dict of "root", "value"
and "path".
*/}}
{{- define "bedrock-grpc.checkTexts" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
  {{- range $key, $value := .value -}}
    {{- include "bedrock-grpc.checkTexts" (dict "root" $.root "value" $value "path" (printf "%s.%s" $path $key)) -}}
  {{- end -}}
{{- else if kindIs "slice" .value -}}
  {{- range $i, $value := .value -}}
    {{- include "bedrock-grpc.checkTexts" (dict "root" $.root "value" $value "path" (printf "%s[%d]" $path $i)) -}}
  {{- end -}}
{{- else if kindIs "string" .value -}}
  {{- $variables := regexReplaceAll "\\$\\$\\{" .value "" -}}
  {{- if or (contains "${" (regexReplaceAll "\\$\\{[^}]*\\}" $variables "")) (regexMatch "\\$\\{(:-[^}]*)?\\}" $variables) -}}
    {{- fail (printf "%s: %q is not a variable; write ${NAME} or ${NAME:-default}, and $${ for a literal ${" $path .value) -}}
  {{- end -}}
  {{- range $file := regexFindAll "\\$\\{file:[^}]*\\}" $variables -1 -}}
    {{- if or (contains ":-" $file) (not (hasPrefix "${file:/" $file)) -}}
      {{- fail (printf "%s: %q is not a file; write an absolute path without a default, as in ${file:/etc/bedrock-grpc/secrets/KEY}" $path $file) -}}
    {{- end -}}
    {{- if not (include "bedrock-grpc.isMounted" (dict "root" $.root "file" ($file | trimPrefix "${file:" | trimSuffix "}"))) -}}
      {{- fail (printf "%s: %s is a file that nothing mounts; set existingSecretFiles, or extraVolumes and extraVolumeMounts" $path $file) -}}
    {{- end -}}
  {{- end -}}
  {{- /* What is left when variables are taken away; a default in a variable is a literal, too. */ -}}
  {{- $literal := regexReplaceAll "\\$\\{([A-Za-z0-9_]+(:-)?|file:[^}]*)\\}" .value "" -}}
  {{- $looks := include "bedrock-grpc.looksSecret" $literal -}}
  {{- $named := regexMatch "(?i)^config\\.(traces|usage_records)\\.headers\\..*(auth|key|token|secret|passw|cookie|credential|signature|team|license|session)|\\.(password|secret|token)$" $path -}}
  {{- if or $looks (and $named (ne $literal "") (not (regexMatch "(?i)^(bearer|basic|apikey|token)?\\s*$" $literal))) -}}
    {{- fail (printf "%s: a secret must not be in config, which becomes a ConfigMap; write ${NAME} and set the variable through existingSecret or externalSecret, or ${file:/etc/bedrock-grpc/secrets/KEY} and mount the file through existingSecretFiles" $path) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" if a text looks like a credential, whatever its key is called. */}}
{{- define "bedrock-grpc.looksSecret" -}}
{{- if regexMatch "(?i)\\b(bearer|basic)\\s+[^\\s$]|\\b(AKIA|ASIA)[0-9A-Z]{16}\\b|\\bABSK[A-Za-z0-9+/=]{16,}|://[^/@$]*:[^/@$]+@|-----BEGIN [A-Z ]*PRIVATE KEY|\\bxox[abp]-|\\bgh[pousr]_[A-Za-z0-9]{20,}|\\bglpat-[A-Za-z0-9_-]{20,}|\\bsk-[A-Za-z0-9_-]{20,}|\\bhvs\\.[A-Za-z0-9_-]{20,}|\\bAIza[A-Za-z0-9_-]{35}|\\beyJ[A-Za-z0-9_-]{10,}\\.eyJ" . -}}true{{- end -}}
{{- end -}}

{{/* The name of the objects. It is short enough that every suffix fits into 63 characters. */}}
{{- define "poolguard.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that select the pods. They never change. */}}
{{- define "poolguard.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The labels of the chart itself. */}}
{{- define "poolguard.ownLabels" -}}
{{ include "poolguard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The labels of an object, from a dict: root; labels, which are further ones and win over commonLabels. */}}
{{- define "poolguard.labels" -}}
{{ include "poolguard.ownLabels" .root }}
{{- with mergeOverwrite dict .root.Values.commonLabels (default dict .labels) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The metadata of an object, from a dict: root; suffix of its name, or its whole name; labels and annotations beside the
common ones; namespace, if it is not the release's; isClusterWide, if it has no namespace.
*/}}
{{- define "poolguard.metadata" -}}
name: {{ default (print (include "poolguard.fullname" .root) (default "" .suffix)) .name }}
{{- if not .isClusterWide }}
namespace: {{ default .root.Release.Namespace .namespace }}
{{- end }}
labels:
  {{- include "poolguard.labels" . | nindent 2 }}
{{- with mergeOverwrite dict .root.Values.commonAnnotations (default dict .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "poolguard.serviceAccountName" -}}
{{- default (include "poolguard.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The ServiceAccount as the only subject of a binding. */}}
{{- define "poolguard.subjects" -}}
- {kind: ServiceAccount, name: {{ include "poolguard.serviceAccountName" . }}, namespace: {{ .Release.Namespace }}}
{{- end -}}

{{- define "poolguard.ipFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
  ipFamilies: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "poolguard.image" -}}
{{- $image := .Values.image -}}
{{- with default $image.registry .Values.global.imageRegistry -}}
{{- trimSuffix "/" . }}/
{{- end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{/* The pull secrets of the image and of all charts of a parent. */}}
{{- define "poolguard.pullSecrets" -}}
{{- $secrets := .Values.image.pullSecrets -}}
{{- range .Values.global.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $secrets -}}
{{- uniq . | toYaml -}}
{{- end -}}
{{- end -}}

{{/* The default mode of each rule. */}}
{{- define "poolguard.defaultModes" -}}
pod-intrusion: enforce
workload-intrusion: warn
pod-placement: enforce
cluster-exclusive: audit
node-taint: enforce
node-identity: enforce
node-machine-type: warn
node-zone: warn
node-pool: warn
role-binding: enforce
{{- end -}}

{{/* The mode of each rule. `mode` is the upper limit for rules that have no mode under config.rules. */}}
{{- define "poolguard.modes" -}}
{{- $strength := dict "off" 0 "audit" 1 "warn" 2 "enforce" 3 -}}
{{- $cap := default "enforce" .Values.mode -}}
{{- $given := default dict .Values.config.rules -}}
{{- $modes := dict -}}
{{- range $rule, $default := include "poolguard.defaultModes" . | fromYaml -}}
{{- $mode := $default -}}
{{- if gt (get $strength $default) (get $strength $cap) -}}
{{- $mode = $cap -}}
{{- end -}}
{{- $_ := set $modes $rule (default $mode (default dict (get $given $rule)).mode) -}}
{{- end -}}
{{- toYaml $modes -}}
{{- end -}}

{{/* The config in the ConfigMap: the config of the values, with the modes that `mode` lowers. */}}
{{- define "poolguard.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $rules := default dict $config.rules -}}
{{- $defaults := include "poolguard.defaultModes" . | fromYaml -}}
{{- range $rule, $mode := include "poolguard.modes" . | fromYaml -}}
{{- if ne $mode (get $defaults $rule) -}}
{{- $_ := set $rules $rule (set (default dict (get $rules $rule)) "mode" $mode) -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $_ := set $config "rules" $rules -}}
{{- else -}}
{{- $_ := unset $config "rules" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The taints of all pools, and the taint by which PoolGuard discovers pools. */}}
{{- define "poolguard.taints" -}}
{{- $default := mergeOverwrite (dict "key" "dedicated" "value" "automq" "effect" "NoSchedule") (default dict .Values.config.taint) -}}
{{- $taints := list $default -}}
{{- range .Values.config.pools -}}
{{- $taints = append $taints (mergeOverwrite (deepCopy $default) (default dict .taint)) -}}
{{- end -}}
{{- dict "taints" ($taints | uniq) | toYaml -}}
{{- end -}}

{{/*
Node selector terms that no node of a declared pool matches, not even a node that has lost its taint. A node is outside a
pool if it does not meet one of the pool's conditions. Each pool with several conditions therefore multiplies the number of
terms. Above 32 terms, only the taint keeps PoolGuard off the pool.
*/}}
{{- define "poolguard.nodeSelectorTerms" -}}
{{- $opposite := dict "In" "NotIn" "NotIn" "In" "Exists" "DoesNotExist" "DoesNotExist" "Exists" -}}
{{- $terms := list list -}}
{{- range .Values.config.pools -}}
{{- $outside := list -}}
{{- range $key, $value := default dict .nodes.matchLabels -}}
{{- $outside = append $outside (dict "key" $key "operator" "NotIn" "values" (list $value)) -}}
{{- end -}}
{{- range .nodes.matchExpressions -}}
{{- $one := dict "key" .key "operator" (get $opposite .operator) -}}
{{- with .values -}}
{{- $_ := set $one "values" . -}}
{{- end -}}
{{- $outside = append $outside $one -}}
{{- end -}}
{{- if and $outside (le (mul (len $terms) (len $outside)) 32) -}}
{{- $more := list -}}
{{- range $term := $terms -}}
{{- range $one := $outside -}}
{{- $more = append $more (append $term $one) -}}
{{- end -}}
{{- end -}}
{{- $terms = $more -}}
{{- end -}}
{{- end -}}
{{- $wrapped := list -}}
{{- range $terms -}}
{{- with . -}}
{{- $wrapped = append $wrapped (dict "matchExpressions" .) -}}
{{- end -}}
{{- end -}}
{{- with $wrapped -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Whether a node can meet all of these expressions: "true" or nothing. Only the values of `In` are compared. */}}
{{- define "poolguard.isPossible" -}}
{{- $isPossible := true -}}
{{- range $one := . -}}
{{- $left := default list $one.values -}}
{{- range $other := $ -}}
{{- if eq $one.key $other.key -}}
{{- $kept := list -}}
{{- range $value := $left -}}
{{- $isIn := has $value (default list $other.values) -}}
{{- if not (or (and (eq $other.operator "In") (not $isIn)) (and (eq $other.operator "NotIn") $isIn)) -}}
{{- $kept = append $kept $value -}}
{{- end -}}
{{- end -}}
{{- $left = $kept -}}
{{- if and (eq $other.operator "DoesNotExist") (has $one.operator (list "In" "Exists")) -}}
{{- $isPossible = false -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $one.operator "In") (not $left) -}}
{{- $isPossible = false -}}
{{- end -}}
{{- end -}}
{{- if $isPossible -}}true{{- end -}}
{{- end -}}

{{/* The required node affinity: every term of the values with every term that excludes the pools. */}}
{{- define "poolguard.requiredTerms" -}}
{{- $node := default dict .Values.affinity.nodeAffinity -}}
{{- $given := dig "requiredDuringSchedulingIgnoredDuringExecution" "nodeSelectorTerms" list $node -}}
{{- $outside := include "poolguard.nodeSelectorTerms" . | fromYamlArray -}}
{{- $selected := list -}}
{{- range $key, $value := .Values.nodeSelector -}}
{{- $selected = append $selected (dict "key" $key "operator" "In" "values" (list $value)) -}}
{{- end -}}
{{- $terms := list -}}
{{- range $mine := default (list dict) $given -}}
{{- range $theirs := default (list dict) $outside -}}
{{- $expressions := concat (default list $mine.matchExpressions) (default list $theirs.matchExpressions) -}}
{{- if include "poolguard.isPossible" (concat $selected $expressions) -}}
{{- $terms = append $terms (merge (dict "matchExpressions" $expressions) $mine) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $terms -}}
{{- fail "nodeSelector and affinity.nodeAffinity leave only nodes of a dedicated pool. PoolGuard must not run on the nodes that it guards: select other nodes" -}}
{{- end -}}
{{- if or $given $outside -}}
{{- toYaml $terms -}}
{{- end -}}
{{- end -}}

{{/* The break-glass groups. */}}
{{- define "poolguard.breakGlassGroups" -}}
{{- $breakGlass := default dict .Values.config.breakGlass -}}
{{- $groups := list "poolguard:break-glass" -}}
{{- if hasKey $breakGlass "groups" -}}
{{- $groups = $breakGlass.groups -}}
{{- end -}}
{{- dict "groups" (default list $groups) | toYaml -}}
{{- end -}}

{{/* The Secret with the serving certificate, if PoolGuard does not make its own. */}}
{{- define "poolguard.certificateSecret" -}}
{{- if eq .Values.certificates.mode "cert-manager" -}}
{{- include "poolguard.fullname" . }}-tls
{{- else if eq .Values.certificates.mode "files" -}}
{{- required "certificates.files.existingSecret names the Secret with the certificate: it is needed with certificates.mode=files" .Values.certificates.files.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* Never on a node of a declared pool, if possible not two replicas on one host, and the affinity of the values. */}}
{{- define "poolguard.affinity" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- if not (hasKey $affinity "podAntiAffinity") -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "poolguard.selector" . | fromYaml)) -}}
{{- $preferred := list (dict "weight" 100 "podAffinityTerm" $term) -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $preferred) -}}
{{- end -}}
{{- with include "poolguard.requiredTerms" . | fromYamlArray -}}
{{- $node := default dict $affinity.nodeAffinity -}}
{{- $_ := set $node "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" .) -}}
{{- $_ := set $affinity "nodeAffinity" $node -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{/* Rejects values that contradict each other, and tolerations that let PoolGuard run on the nodes that it protects. */}}
{{- define "poolguard.checkValues" -}}
{{- if not .Values.enabled -}}
{{- fail "enabled=false works only with a parent chart: set `condition: poolguard.enabled` for this dependency in its Chart.yaml" -}}
{{- end -}}
{{- if eq .Values.ports.webhook .Values.ports.admin -}}
{{- fail "ports.webhook and ports.admin must differ" -}}
{{- end -}}
{{- if and .Values.existingConfigMap .Values.mode -}}
{{- fail "mode has no effect with existingConfigMap: set the modes of the rules in the config in this ConfigMap" -}}
{{- end -}}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name names your ServiceAccount: it is needed with serviceAccount.create=false" -}}
{{- end -}}
{{- $own := append (include "poolguard.ownLabels" . | fromYaml | keys) "app.kubernetes.io/component" -}}
{{- $paths := list "commonLabels" "podLabels" "metrics.monitor.labels" "metrics.rules.labels" "metrics.dashboard.labels" -}}
{{- range $where := $paths -}}
{{- $labels := $.Values -}}
{{- range splitList "." $where -}}
{{- $labels = index $labels . -}}
{{- end -}}
{{- range $own -}}
{{- if hasKey $labels . -}}
{{- fail (printf "%s has the label %s, which the chart sets itself: remove it" $where .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $volumes := list "config" "tls" "client" "audit" -}}
{{- $variables := list "POOLGUARD_IDENTITY" "TOKIO_WORKER_THREADS" -}}
{{- range $where, $taken := dict "extraVolumes" $volumes "extraEnv" $variables -}}
{{- range index $.Values $where -}}
{{- if has .name $taken -}}
{{- fail (printf "%s has the name %s, which the chart uses itself: choose another name" $where .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $taints := (include "poolguard.taints" . | fromYaml).taints -}}
{{- range $index, $toleration := .Values.tolerations -}}
{{- $exists := eq (default "Equal" $toleration.operator) "Exists" -}}
{{- range $taint := $taints -}}
{{- $effect := or (not $toleration.effect) (eq $toleration.effect $taint.effect) -}}
{{- $key := or (and $exists (not $toleration.key)) (eq (default "" $toleration.key) $taint.key) -}}
{{- $value := or $exists (eq (default "" $toleration.value) (default "" $taint.value)) -}}
{{- if and $effect $key $value -}}
{{- fail (printf "tolerations[%d] tolerates %s=%s:%s, the taint of a dedicated pool. PoolGuard must not run on the nodes that it guards: name the taints that it may tolerate, with key, value and effect" $index $taint.key (default "" $taint.value) $taint.effect) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The groups of alerts: those of the file, without the disabled ones, with the runbooks of this version. With one
     replica, an alert for one replica would fire for ever. */}}
{{- define "poolguard.alerts" -}}
{{- $options := .Values.metrics.rules -}}
{{- $ofVersion := printf "%s/blob/v%s/docs/runbooks" .Chart.Home .Chart.AppVersion -}}
{{- $runbooks := default $ofVersion $options.runbookUrl | trimSuffix "/" -}}
{{- $groups := list -}}
{{- $known := list -}}
{{- range $group := (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- $kept := list -}}
{{- range $rule := $group.rules -}}
{{- with $rule.alert -}}
{{- $known = append $known . -}}
{{- $_ := set $rule "labels" (merge $rule.labels $options.alertLabels) -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s" $runbooks (base $rule.annotations.runbook_url)) -}}
{{- end -}}
{{- $isOfTwo := and (eq (toString $rule.alert) "PoolGuardOneReplica") (eq (int $.Values.replicas) 1) -}}
{{- if not (or $isOfTwo (has $rule.alert $options.disabled)) -}}
{{- $kept = append $kept $rule -}}
{{- end -}}
{{- end -}}
{{- if $kept -}}
{{- $groups = append $groups (set $group "rules" $kept) -}}
{{- end -}}
{{- end -}}
{{- range $options.disabled -}}
{{- if not (has . $known) -}}
{{- fail (printf "metrics.rules.disabled names %s, but the chart has no such alert. It has %s" . (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{- /*
The name of the release, in labels and of the Lease, whatever its objects are called: so the operators before and after an upgrade that
renames them elect one leader. An alias, by which an umbrella chart may hold this chart twice, is added; it may be of any case and have `_`.
*/ -}}
{{- define "bertfinetune-operator.instance" -}}
{{- $names := ne .Chart.Name "bertfinetune-operator" | ternary (list .Release.Name .Chart.Name) (list .Release.Name) -}}
{{- join "-" $names | lower | replace "_" "-" | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- /* The name of the objects: the release's and the chart's, or the release's alone where it has the chart's in it. */ -}}
{{- define "bertfinetune-operator.fullname" -}}
{{- $instance := include "bertfinetune-operator.instance" . -}}
{{- $name := .Values.nameOverride | default .Chart.Name | lower | replace "_" "-" -}}
{{- $full := contains $name $instance | ternary $instance (printf "%s-%s" $instance $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- /* The name of something that is in no namespace: (list CONTEXT SUFFIX). A release of this name may be in another namespace, too. */ -}}
{{- define "bertfinetune-operator.clusterWideName" -}}
{{- include "bertfinetune-operator.fullname" (first .) }}{{ last . }}:{{ (first .).Release.Namespace }}
{{- end -}}

{{- define "bertfinetune-operator.leaderElectionName" -}}
{{- include "bertfinetune-operator.fullname" . | trunc 47 | trimSuffix "-" -}}-leader-election
{{- end -}}

{{- define "bertfinetune-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "bertfinetune-operator.fullname" .) -}}
{{- end -}}

{{- define "bertfinetune-operator.selectorLabels" -}}
app.kubernetes.io/name: bertfinetune-operator
app.kubernetes.io/instance: {{ include "bertfinetune-operator.instance" . }}
{{- end -}}

{{- define "bertfinetune-operator.ownLabels" -}}
{{ include "bertfinetune-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ include "bertfinetune-operator.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "bertfinetune-operator.chart" . }}
{{- end -}}

{{- define "bertfinetune-operator.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | include "bertfinetune-operator.labelValue" -}}
{{- end -}}

{{- /* A version may have a +, and more characters than a label. */ -}}
{{- define "bertfinetune-operator.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9]+$" (. | replace "+" "_" | trunc 63) "" -}}
{{- end -}}

{{- define "bertfinetune-operator.labels" -}}
{{- include "bertfinetune-operator.mergedLabels" (list . (include "bertfinetune-operator.ownLabels" .) dict) -}}
{{- end -}}

{{- /* The chart's labels with those of the user's for one object and those for all: (list CONTEXT OWN MORE). The earlier come first. */ -}}
{{- define "bertfinetune-operator.mergedLabels" -}}
{{- merge (index . 1 | fromYaml) (last . | default dict) ((first .).Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{- /* The same with more of the user's, by which a Prometheus or Grafana's sidecar selects: (list CONTEXT LABELS). Theirs come first. */ -}}
{{- define "bertfinetune-operator.labelsWith" -}}
{{ merge (deepCopy (last . | default dict)) (include "bertfinetune-operator.labels" (first .) | fromYaml) | toYaml }}
{{- end -}}

{{- /* The name of what belongs to one of monitoring.tensorboards. A hash keeps those apart whose claims or folders would share a name. */ -}}
{{- define "bertfinetune-operator.tensorboardName" -}}
{{- if or .subPath (not (regexMatch "^[-a-z0-9]{1,51}$" .claimName)) }}
{{- $hash := printf "%s/%s" .claimName (.subPath | default "") | sha256sum | trunc 8 }}
{{- printf "tensorboard-%s" .claimName | replace "." "-" | trunc 54 | trimSuffix "-" }}-{{ $hash }}
{{- else -}}
tensorboard-{{ .claimName }}
{{- end }}
{{- end -}}

{{- /* By which the Deployment and the Service of one TensorBoard, of this name, find its pod. */ -}}
{{- define "bertfinetune-operator.tensorboardSelector" -}}
app.kubernetes.io/name: tensorboard
app.kubernetes.io/instance: {{ . }}
{{- end -}}

{{- define "bertfinetune-operator.tensorboardOwnLabels" -}}
{{ include "bertfinetune-operator.tensorboardSelector" (last .) }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ include "bertfinetune-operator.chart" (first .) }}
{{- end -}}

{{- define "bertfinetune-operator.tensorboardLabels" -}}
{{- include "bertfinetune-operator.mergedLabels" (list (first .) (include "bertfinetune-operator.tensorboardOwnLabels" .) dict) -}}
{{- end -}}

{{- /* An image's name, in the registry for all images or else in this one: (list CONTEXT REGISTRY NAME). One that names its own stays. */ -}}
{{- define "bertfinetune-operator.image" -}}
{{- $registry := (first .).Values.global.imageRegistry | default (index . 1) -}}
{{- $name := last . -}}
{{- if and $registry $name (not (regexMatch "^(localhost|[^/]*[.:][^/]*)/" $name)) -}}{{ $registry }}/{{ end }}{{ $name -}}
{{- end -}}

{{- /* Secrets as a pod lists them, as JSON and each once: of lists of {name: NAME} or, as before, of names. */ -}}
{{- define "bertfinetune-operator.secrets" -}}
{{- $secrets := list }}
{{- range . }}
{{- range . }}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- end }}
{{- uniq $secrets | toJson }}
{{- end -}}

{{- define "bertfinetune-operator.trainerPullSecrets" -}}
{{- include "bertfinetune-operator.secrets" (list .Values.global.imagePullSecrets .Values.trainer.imagePullSecrets) -}}
{{- end -}}

{{- /* Refuses a list in which two have one name, or the like, as the API server would: (list VALUE LIST KEY). */ -}}
{{- define "bertfinetune-operator.requireDistinct" -}}
{{- $value := first . }}
{{- $key := last . }}
{{- $names := list }}
{{- range index . 1 }}
{{- $name := get . $key }}
{{- if has $name $names }}
{{- fail (printf "%s: %s is given twice: remove one of them" $value $name) }}
{{- end }}
{{- $names = append $names $name }}
{{- end }}
{{- end -}}

{{- define "bertfinetune-operator.requireVolumes" -}}
{{- $names := list }}
{{- range .Values.volumes }}
{{- $names = append $names .name }}
{{- end }}
{{- range .Values.volumeMounts }}
{{- if not (has .name $names) }}
{{- fail (printf "volumeMounts: volumes has no %s to mount at %s" .name .mountPath) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "bertfinetune-operator.seconds" -}}
{{- $duration := . }}
{{- $seconds := 0 }}
{{- range $unit, $of := dict "d" 86400 "h" 3600 "m" 60 "s" 1 }}
{{- $seconds = regexFind (print "[0-9]+" $unit) $duration | trimSuffix $unit | atoi | mul $of | add $seconds }}
{{- end }}
{{- $seconds }}
{{- end -}}

{{- /* Refuses what a Prometheus would: (list NAME VALUES). */ -}}
{{- define "bertfinetune-operator.requireTimeForScrapes" -}}
{{- with last . }}
{{- if and .scrapeTimeout (gt (include "bertfinetune-operator.seconds" .scrapeTimeout | atoi) (include "bertfinetune-operator.seconds" .interval | atoi)) }}
{{- fail (printf "monitoring.%s: scrapeTimeout %s is longer than interval %s" (first $) .scrapeTimeout .interval) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Refuses an installation without its images: nobody publishes them, and a name of our own would be a stranger's on a public registry. */ -}}
{{- define "bertfinetune-operator.requireImages" -}}
{{- $builds := dict
      "image.repository" (list .Values.image.repository "docker build operator/")
      "trainer.images.ascend910" (list .Values.trainer.images.ascend910 "docker build trainer_image/ --build-arg=BASE_IMAGE=AN_IMAGE_OF_ASCEND_HUB")
}}
{{- $missing := list }}
{{- range $value := keys $builds | sortAlpha }}
{{- $image := get $builds $value }}
{{- if not (first $image) }}
{{- $missing = append $missing (printf "%s (%s)" $value (last $image)) }}
{{- end }}
{{- end }}
{{- with $missing }}
{{- fail (printf "no registry has these images, so build them, push them, and set where they are: %s" (join "; " .)) }}
{{- end }}
{{- end -}}

{{- /* The operator's setting from one of trainer.resources, in which each part may be null. */ -}}
{{- define "bertfinetune-operator.trainerResources" -}}
{{- $resources := . | default dict }}
{{- dict "requests" ($resources.requests | default dict) "limits" ($resources.limits | default dict) | toJson }}
{{- end -}}

{{- /* What the operator's pods mount of their node, beside the folders of a run: as accelerator.py has it. */ -}}
{{- define "bertfinetune-operator.nodePaths" -}}
{{- $paths := list }}
{{- if eq .Values.ascend.driver "hostPath" }}
{{- $paths = list "/usr/local/Ascend/driver" "/usr/local/dcmi" "/usr/local/bin/npu-smi" "/var/log/npu" }}
{{- end }}
{{- if .Values.ascend.cardAddresses }}
{{- $paths = append $paths "/etc/hccn.conf" }}
{{- end }}
{{- toJson $paths }}
{{- end -}}

{{- define "bertfinetune-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "bertfinetune-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- /* What the operator may do with what it serves. Each verb is used; a reason stands over those whose use is not plain. */ -}}
{{- define "bertfinetune-operator.rules" -}}
# list at the start, watch from then on: what users ask for. Never get: a watch has told it.
- apiGroups: [bertfinetune.dev]
  resources: [bertfinetunes]
  verbs: [list, watch]
# patch: phase, progress and result. The spec belongs to the user, and there is no finalizer or annotation to write.
- apiGroups: [bertfinetune.dev]
  resources: [bertfinetunes/status]
  verbs: [patch]
# update: a Job's ownerReference blocks its owner's deletion; OwnerReferencesPermissionEnforcement asks for this right then.
- apiGroups: [bertfinetune.dev]
  resources: [bertfinetunes/finalizers]
  verbs: [update]
# list, watch: what becomes of the attempts. create: one. get: one that an earlier, interrupted pass has created.
# delete: one that is suspended, past its deadline or time to live, or to be tried again. Never update: a Job is not changed.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
# list, watch: why a pod waits, where it runs, how it ended. Pods are made and deleted by their Jobs' controller.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# get: the end of a failed trainer's log, for the status.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# list: why a Job gets no pod, which is said nowhere else. create: what kubectl describe shows.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create]
# get: why Volcano does not place a pod.
- apiGroups: [scheduling.volcano.sh]
  resources: [podgroups]
  verbs: [get]
{{- $kueueIsServed := or (.Capabilities.APIVersions.Has "kueue.x-k8s.io/v1beta2") (.Capabilities.APIVersions.Has "kueue.x-k8s.io/v1beta1") }}
{{- if kindIs "bool" .Values.rbac.kueueWorkloads | ternary .Values.rbac.kueueWorkloads $kueueIsServed }}
# list: why Kueue does not admit a Job. Asked for only where Kueue is.
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.watchNamespaces) }}
# create, patch: server-side apply of the trainers' policies, in namespaces that the chart cannot know.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  resourceNames: {{ include "bertfinetune-operator.appliedPolicies" . | fromYaml | keys | sortAlpha | toJson }}
  verbs: [create, patch]
{{- end }}
{{- end -}}

{{- define "bertfinetune-operator.name" -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "bertfinetune-operator.leaderElectionName" -}}
{{- .Release.Name | trunc 47 | trimSuffix "-" -}}-leader-election
{{- end -}}

{{- define "bertfinetune-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bertfinetune-operator.labels" -}}
{{ include "bertfinetune-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- /* The same with more of the user's, by which a Prometheus or Grafana's sidecar selects: (list CONTEXT LABELS). */ -}}
{{- define "bertfinetune-operator.labelsWith" -}}
{{ include "bertfinetune-operator.labels" (first .) }}
{{- with last . }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The name of what belongs to one of monitoring.tensorboards. */ -}}
{{- define "bertfinetune-operator.tensorboardName" -}}
{{- printf "tensorboard-%s" .claimName | replace "." "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* By which the Deployment and the Service of one TensorBoard, of this name, find its pod. */ -}}
{{- define "bertfinetune-operator.tensorboardSelector" -}}
app.kubernetes.io/name: tensorboard
app.kubernetes.io/instance: {{ . }}
{{- end -}}

{{- define "bertfinetune-operator.tensorboardLabels" -}}
{{ include "bertfinetune-operator.tensorboardSelector" (last .) }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ (first .).Chart.Name }}-{{ (first .).Chart.Version }}
{{- end -}}

{{- define "bertfinetune-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "bertfinetune-operator.name" . }}
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
{{- if and .Values.networkPolicy.enabled (not .Values.watchNamespaces) }}
# create, patch: server-side apply of the trainers' policies, in namespaces that the chart cannot know.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  resourceNames: {{ include "bertfinetune-operator.appliedPolicies" . | fromYaml | keys | sortAlpha | toJson }}
  verbs: [create, patch]
{{- end }}
{{- end -}}

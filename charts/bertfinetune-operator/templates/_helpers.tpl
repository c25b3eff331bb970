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

{{- /* What the operator may do with what it serves. */ -}}
{{- define "bertfinetune-operator.rules" -}}
- apiGroups: [bertfinetune.dev]
  resources: [bertfinetunes]
  verbs: [list, watch]
- apiGroups: [bertfinetune.dev]
  resources: [bertfinetunes/status]
  verbs: [patch]
# A Job's ownerReference blocks its owner's deletion; OwnerReferencesPermissionEnforcement asks for this right then.
- apiGroups: [bertfinetune.dev]
  resources: [bertfinetunes/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create]
- apiGroups: [scheduling.volcano.sh]
  resources: [podgroups]
  verbs: [get]
{{- end -}}

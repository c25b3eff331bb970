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

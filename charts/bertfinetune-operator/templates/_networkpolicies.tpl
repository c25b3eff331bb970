{{- /* By which a policy finds trainers: what the operator's Jobs give their pods. */ -}}
{{- define "bertfinetune-operator.trainerLabels" -}}
app.kubernetes.io/name: bert-trainer
app.kubernetes.io/managed-by: bertfinetune-operator
{{- end -}}

{{- /* Ports of name servers, whose addresses no chart knows: a service's, a node's, a link-local one of a cache. */ -}}
{{- define "bertfinetune-operator.dnsPorts" -}}
{{- range .Values.networkPolicy.dnsPorts }}
- protocol: UDP
  port: {{ . }}
- protocol: TCP
  port: {{ . }}
{{- end }}
{{- end -}}

{{- /*
The policies that each namespace with trainers needs, by name: a map of specs. The chart puts them into watchNamespaces;
without these the operator applies them where there are runs.
*/ -}}
{{- define "bertfinetune-operator.trainerPolicies" -}}
trainer:
  podSelector:
    matchLabels:
      {{- include "bertfinetune-operator.trainerLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  # /progress and /metrics are served on one port.
  ingress:
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ .Release.Namespace }}
          podSelector:
            matchLabels:
              {{- include "bertfinetune-operator.selectorLabels" . | nindent 14 }}
        {{- with .Values.networkPolicy.scrapers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - port: 8080
  # A trainer reads and writes volumes, which its node mounts: it connects to nobody.
  egress: []
downloads:
  podSelector:
    matchLabels:
      {{- include "bertfinetune-operator.trainerLabels" . | nindent 6 }}
      bertfinetune.dev/downloads: "true"
  policyTypes: [Egress]
  egress:
    - ports:
        {{- include "bertfinetune-operator.dnsPorts" . | nindent 8 }}
    {{- with .Values.networkPolicy.downloads }}
    - to:
        {{- toYaml . | nindent 8 }}
      ports:
        - protocol: TCP
    {{- end }}
{{- end -}}

{{- /* Those that the operator applies, under the names that it may apply. */ -}}
{{- define "bertfinetune-operator.appliedPolicies" -}}
{{- range $name, $spec := include "bertfinetune-operator.trainerPolicies" . | fromYaml }}
bert-{{ $name }}:
  {{- toYaml $spec | nindent 2 }}
{{- end }}
{{- end -}}

{{- /*
The groups of files/rules, with what the values change of their alerts. A threshold is a word of the alert's expression,
and of its description where people should read it; in the place of that word the value is put.
*/ -}}
{{- define "bertfinetune-operator.ruleGroups" -}}
{{- $values := .Values.monitoring }}
{{- $words := dict
      "BertFinetuneStalled" "30m"
      "BertFinetunePendingTooLong" "1h"
      "BertFinetuneStepTimeRegressed" "1.5"
      "BertFinetuneRetryBudgetNearlySpent" "0.66"
      "BertFinetuneFailureRatioHigh" "0.5"
      "BertFinetuneErrorRatioHigh" "0.1"
}}
{{- range $group := (.Files.Get "files/rules/bertfinetune.yaml" | fromYaml).groups }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- if not $rule.alert }}
{{- $rules = append $rules $rule }}
{{- else if not (get ($values.rules.disabled | default dict) $rule.alert) }}
{{- $word := get $words $rule.alert }}
{{- with get $values.rules.thresholds $rule.alert }}
{{- $_ := set $rule "expr" (replace $word (toString .) $rule.expr) }}
{{- $_ := set $rule.annotations "description" (replace $word (toString .) $rule.annotations.description) }}
{{- end }}
{{- with $values.prometheusRule.runbookUrl }}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s" . $rule.alert) }}
{{- end }}
{{- $_ := set $rule "labels" (merge (deepCopy ($values.rules.labels | default dict)) $rule.labels) }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- with $rules }}
- name: {{ $group.name }}
  rules:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "inferscope.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "inferscope.selector" -}}
app.kubernetes.io/name: inferscope
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "inferscope.labels" -}}
{{ include "inferscope.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "inferscope.metadata" -}}
name: {{ include "inferscope.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "inferscope.labels" . | nindent 2 }}
{{- end -}}

{{- define "inferscope.files" -}}
agent.yaml: |
  {{- $kubelet := ternary (dict "kubelet" (dict "url" "https://${NODE_IP}:10250")) dict .Values.kubelet.enabled }}
  {{- mergeOverwrite (dict "listen" (printf ":%d" (int .Values.metricsPort))) $kubelet (omit .Values.config "listen") | toYaml | nindent 2 }}
rules.yaml: |
  {{- .Values.rules | nindent 2 }}
{{- end -}}

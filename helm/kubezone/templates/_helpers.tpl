{{/* Names and labels, as `helm create` has them. */}}

{{- define "kubezone.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The full name. 55 octets: Services have up to eight more behind it. */}}
{{- define "kubezone.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 55 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 55 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kubezone.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kubezone.labels" -}}
helm.sh/chart: {{ include "kubezone.chart" . }}
{{ include "kubezone.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "kubezone.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kubezone.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kubezone.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "kubezone.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "kubezone.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The port that DNS is answered on in the container: an unprivileged one, which Services lead to. */}}
{{- define "kubezone.port" -}}
{{- ternary 53 5353 .Values.hostNetwork }}
{{- end }}

{{- define "kubezone.podIPFamily" -}}
{{- default (first .Values.ipFamilies) .Values.podIPFamily }}
{{- end }}

{{/* The job that Prometheus has the Pods under: the name of the Service that the ServiceMonitor selects. */}}
{{- define "kubezone.job" -}}
{{- include "kubezone.fullname" . }}-metrics
{{- end }}

{{/*
The name servers of a zone of the configuration, as a JSON list in `items`: each with its absolute `name`, its `addresses`,
whether it is in the zone (`inZone`), and whether it is called as a Service there would be (`isService`).
*/}}
{{- define "kubezone.nameservers" -}}
{{- $zone := printf "%s." (lower (trimSuffix "." .name)) }}
{{- $items := list }}
{{- range .nameservers }}
{{- $name := lower (ternary .name (printf "%s.%s" .name $zone) (hasSuffix "." .name)) }}
{{- $items = append $items (dict
      "name" $name
      "addresses" (default list .addresses)
      "inZone" (or (eq $name $zone) (hasSuffix (printf ".%s" $zone) $name))
      "isService" (regexMatch "^[^.]+[.][^.]+[.]svc$" (trimSuffix (printf ".%s" $zone) $name))) }}
{{- end }}
{{- toJson (dict "items" $items) }}
{{- end }}

{{/* The Services for DNS, as a JSON list in `items`: each with its `name` and its `settings`, as in `service`. */}}
{{- define "kubezone.services" -}}
{{- $name := include "kubezone.fullname" . }}
{{- $items := list (dict "name" $name "settings" .Values.service) }}
{{- range .Values.extraServices }}
{{- $settings := omit $.Values.service "clusterIP" "annotations" "labels" }}
{{- $_ := include "kubezone.overlay" (dict "on" $settings "with" .) }}
{{- $items = append $items (dict "name" (printf "%s-%s" $name .suffix) "settings" $settings) }}
{{- end }}
{{- toJson (dict "items" $items) }}
{{- end }}

{{/*
Lays the mapping `with` over the mapping `on`, which is changed. Unlike `merge`, it also takes what is empty: 0, "" and
false are values.
*/}}
{{- define "kubezone.overlay" -}}
{{- $on := .on }}
{{- range $key, $value := .with }}
{{- if and (kindIs "map" $value) (kindIs "map" (get $on $key)) }}
{{- include "kubezone.overlay" (dict "on" (get $on $key) "with" $value) }}
{{- else }}
{{- $_ := set $on $key $value }}
{{- end }}
{{- end }}
{{- end }}

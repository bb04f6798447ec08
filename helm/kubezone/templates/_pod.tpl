{{/* The Pod of the Deployment and the DaemonSet. */}}
{{- define "kubezone.pod" -}}
{{- $_ := include "kubezone.validate" . -}}
metadata:
  labels:
    {{- include "kubezone.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- /* No checksum of the ConfigMap: kubezone takes a changed one over while it answers, which a new Pod cannot. */}}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "kubezone.serviceAccountName" . }}
  {{- /* Nobody's token where no zone is made from this cluster. */}}
  automountServiceAccountToken: {{ (include "kubezone.needs" . | fromJson).uses }}
  {{- /* Variables such as KUBEZONE_PORT, named after Services, would look like settings. */}}
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  dnsPolicy: {{ default (ternary "ClusterFirstWithHostNet" "ClusterFirst" .Values.hostNetwork) .Values.dnsPolicy }}
  terminationGracePeriodSeconds: {{ add .Values.gracePeriodSeconds 15 }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: kubezone
      image: {{ include "kubezone.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/kubezone/kubezone.yaml]
      {{- with .Values.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: dns-udp
          containerPort: {{ include "kubezone.port" . }}
          protocol: UDP
        - name: dns-tcp
          containerPort: {{ include "kubezone.port" . }}
          protocol: TCP
        - name: metrics
          containerPort: 9153
          protocol: TCP
      startupProbe:
        httpGet: { path: /livez, port: metrics }
        {{- toYaml .Values.startupProbe | nindent 8 }}
      livenessProbe:
        httpGet: { path: /livez, port: metrics }
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      readinessProbe:
        httpGet: { path: /readyz, port: metrics }
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- $context := dict }}
        {{- if .Values.hostNetwork }}
        {{- /* The kernel gives a capability to nobody but root, unless the program's file has it. */}}
        {{- $context = dict
              "runAsUser" 0
              "runAsNonRoot" false
              "capabilities" (dict "add" (list "NET_BIND_SERVICE")) }}
        {{- end }}
        {{- $_ := include "kubezone.overlay" (dict "on" $context "with" .Values.securityContext) }}
        {{- toYaml $context | nindent 8 }}
      volumeMounts:
        {{- /* A folder, not single files of it: those would stay as they were when the Pod began. */}}
        - name: config
          mountPath: /etc/kubezone
          readOnly: true
  volumes:
    - name: config
      projected:
        defaultMode: {{ 0o440 }}
        sources:
          - configMap:
              name: {{ include "kubezone.fullname" . }}
          {{- range .Values.remoteClusters }}
          - secret:
              name: {{ .kubeconfigSecret.name }}
              {{- /* One that is missing keeps one cluster's zones back, not the Pod. */}}
              optional: true
              items:
                - key: {{ default "kubeconfig" .kubeconfigSecret.key }}
                  path: {{ include "kubezone.kubeconfig" .name }}
          {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if eq .Values.kind "Deployment" }}
  topologySpreadConstraints:
    - topologyKey: kubernetes.io/hostname
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "kubezone.selectorLabels" . | nindent 10 }}
      {{- /* An update's new Pods are spread among themselves. */}}
      matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{/* What this cluster is called in the configuration. */}}
{{- define "kubezone.clusterName" -}}
{{- default (first (splitList "." .Values.zone)) .Values.cluster.name }}
{{- end }}

{{/*
kubezone.yaml: what the values ask for, with `config` laid over it. Paths in it are relative: whatever it names is in the
same volume.
*/}}
{{- define "kubezone.config" -}}
{{- $port := include "kubezone.port" . }}
{{- $any := dict "IPv6" "[::]" "IPv4" "0.0.0.0" }}
{{- $dns := list }}
{{- range .Values.ipFamilies }}
{{- $dns = append $dns (printf "%s:%s" (get $any .) $port) }}
{{- end }}
{{- $listen := dict
    "dns" $dns
    "metrics" (printf "%s:9153" (get $any (include "kubezone.podIPFamily" .))) }}
{{- /* The default is the same on [::1], and none where that cannot be had. */}}
{{- if not (has "IPv6" .Values.ipFamilies) }}
{{- $_ := set $listen "admin" "127.0.0.1:9154" }}
{{- end }}

{{- $own := dict "name" (include "kubezone.clusterName" .) "inCluster" true }}
{{- with .Values.cluster.maxStaleness }}
{{- $_ := set $own "maxStaleness" . }}
{{- end }}
{{- $clusters := list $own }}
{{- range $remote := .Values.remoteClusters }}
{{- $cluster := dict "name" .name "kubeconfig" (include "kubezone.kubeconfig" .name) }}
{{- range $key := list "context" "namespaces" "maxStaleness" }}
{{- with get $remote $key }}
{{- $_ := set $cluster $key . }}
{{- end }}
{{- end }}
{{- $clusters = append $clusters $cluster }}
{{- end }}

{{- $zone := dict
    "name" .Values.zone
    "cluster" $own.name
    "nameservers" .Values.nameservers }}
{{- with .Values.publish }}
{{- $_ := set $zone "publish" . }}
{{- end }}
{{- $_ := include "kubezone.overlay" (dict "on" $zone "with" .Values.zoneConfig) }}
{{- $zones := list $zone }}
{{- range $file, $_ := .Values.zoneFiles }}
{{- $zones = append $zones (dict "name" (trimSuffix ".zone" $file) "file" $file) }}
{{- end }}
{{- $zones = concat $zones .Values.extraZones }}
{{- if not .Values.rbac.clusterWide }}
{{- $_ := set $own "namespaces" (include "kubezone.namespaces" (dict "cluster" $own.name "zones" $zones) | fromJsonArray) }}
{{- end }}

{{- $config := dict
    "apiVersion" "k8s.ooo/v1alpha1"
    "kind" "KubezoneConfig"
    "listen" $listen
    "gracePeriod" (printf "%ds" (int .Values.gracePeriodSeconds))
    "clusters" $clusters
    "zones" $zones }}
{{- $_ := include "kubezone.overlay" (dict "on" $config "with" .Values.config) }}
{{- toYaml $config }}
{{- end }}

{{/* Where the kubeconfig of a remote cluster is, beside the configuration. */}}
{{- define "kubezone.kubeconfig" -}}
clusters/{{ . }}.kubeconfig
{{- end }}

{{/*
The namespaces that have to be read for the `zones` of `cluster`, as a JSON list: those that are published, and those of
Services that are name servers.
*/}}
{{- define "kubezone.namespaces" -}}
{{- $namespaces := list }}
{{- range .zones }}
{{- if eq (default "" .cluster) $.cluster }}
{{- $namespaces = concat $namespaces (default list (default dict .publish).namespaces) }}
{{- range (include "kubezone.nameservers" . | fromJson).items }}
{{- if and .isService (not .addresses) }}
{{- $namespaces = append $namespaces (index (splitList "." .name) 1) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson ($namespaces | uniq | sortAlpha) }}
{{- end }}

{{/*
What the Pod's own cluster has to allow, as JSON: `uses` (whether a zone is made from it at all), `pods`, and `namespaces`,
the only ones that are read unless it is `clusterWide`.
*/}}
{{- define "kubezone.needs" -}}
{{- $config := include "kubezone.config" . | fromYaml }}
{{- $needs := dict "uses" false "pods" false "clusterWide" false "namespaces" list }}
{{- $own := list }}
{{- range $config.clusters }}
{{- if .inCluster }}
{{- $own = append $own .name }}
{{- $_ := set $needs "namespaces" (concat $needs.namespaces (default list .namespaces) | uniq) }}
{{- if not .namespaces }}
{{- $_ := set $needs "clusterWide" true }}
{{- end }}
{{- end }}
{{- end }}
{{- range $config.zones }}
{{- if has (default "" .cluster) $own }}
{{- $_ := set $needs "uses" true }}
{{- if (default dict .publish).pods }}
{{- $_ := set $needs "pods" true }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $needs }}
{{- end }}

{{/* What is wrong with the name servers of a zone of the configuration. */}}
{{- define "kubezone.validateNameservers" -}}
{{- $zone := .name }}
{{- $reverse := .reverseOf }}
{{- $known := list }}
{{- range (include "kubezone.nameservers" . | fromJson).items }}
{{- if has .name $known }}
{{- fail (printf "nameservers: %s is there twice, for %s" .name $zone) }}
{{- end }}
{{- $known = append $known .name }}
{{- if and $reverse .inZone }}
{{- fail (printf "nameservers: %s lies in the reverse zone %s, where addresses have no names; a final dot makes it absolute" .name $zone) }}
{{- end }}
{{- if and .inZone (not .addresses) (not .isService) }}
{{- fail (printf "nameservers: %s needs its addresses, as it lies in %s and is no Service (name.namespace.svc); elsewhere, it has a final dot" .name $zone) }}
{{- end }}
{{- if and .addresses (not .inZone) }}
{{- fail (printf "nameservers: %s lies outside of %s: its addresses belong there" .name $zone) }}
{{- end }}
{{- end }}
{{- end }}

{{/* What is wrong with the values and the schema cannot say; it is said before anything is made. */}}
{{- define "kubezone.validate" -}}
{{- if not .Values.zone }}
{{- fail "zone: missing. It is the name below which this cluster's Services are published and which the parent zone delegates, such as --set zone=c2.k8s.ooo" }}
{{- end }}
{{- if not .Values.nameservers }}
{{- fail (printf "nameservers: missing. They are what the parent zone delegates %s to. With the Service of this chart: --set 'nameservers[0].name=%s.%s.svc', and its fixed address as --set 'nameservers[0].addresses={2001:db8::53}' where it has one" .Values.zone (include "kubezone.fullname" .) .Release.Namespace) }}
{{- end }}
{{- if .Values.config.gracePeriod }}
{{- fail "config.gracePeriod: set gracePeriodSeconds, which the kubelet's patience follows" }}
{{- end }}
{{- if and .Values.hostNetwork (ne .Values.kind "DaemonSet") }}
{{- fail "hostNetwork: goes with kind: DaemonSet, as there is one port 53 on a node" }}
{{- end }}
{{- if and .Values.hostNetwork .Values.networkPolicy.enabled }}
{{- fail "networkPolicy.enabled: no NetworkPolicy holds for Pods in the host's network (hostNetwork)" }}
{{- end }}
{{- range (include "kubezone.services" . | fromJson).items }}
{{- if and .settings.separateProtocols (ne .settings.type "LoadBalancer") }}
{{- fail (printf "service.separateProtocols: of %s; only load balancers give two Services one address, and a ClusterIP has both protocols" .name) }}
{{- end }}
{{- end }}
{{- $suffixes := list "tcp" "metrics" "test" }}
{{- range .Values.extraServices }}
{{- if has .suffix $suffixes }}
{{- fail (printf "extraServices: the suffix %s is taken" .suffix) }}
{{- end }}
{{- $suffixes = append $suffixes .suffix }}
{{- end }}
{{- range $file, $_ := .Values.files }}
{{- if or (eq $file "kubezone.yaml") (hasKey $.Values.zoneFiles $file) }}
{{- fail (printf "files: there is another %s" $file) }}
{{- end }}
{{- end }}

{{- $config := include "kubezone.config" . | fromYaml }}
{{- $names := list }}
{{- range $config.clusters }}
{{- if has .name $names }}
{{- fail (printf "remoteClusters: there is another cluster called %s; cluster.name says what this one is called" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $zones := list }}
{{- $used := list }}
{{- $files := concat (keys .Values.files) (keys .Values.zoneFiles) }}
{{- range $config.zones }}
{{- range list .extra .file }}
{{- if and . (not (has . $files)) }}
{{- fail (printf "files: there is no %s, which a zone names" .) }}
{{- end }}
{{- end }}
{{- include "kubezone.validateNameservers" . }}
{{- $name := trimSuffix "." (lower .name) }}
{{- if has $name $zones }}
{{- fail (printf "extraZones: there is another zone %s" .name) }}
{{- end }}
{{- $zones = append $zones $name }}
{{- with .cluster }}
{{- if not (has . $names) }}
{{- fail (printf "extraZones: the zone %s is made from the cluster %s; known are %s" $name . (join ", " $names)) }}
{{- end }}
{{- $used = append $used . }}
{{- end }}
{{- end }}
{{- range $config.zones }}
{{- $name := .name }}
{{- range .reverseOf }}
{{- if not (has (trimSuffix "." (lower .)) $zones) }}
{{- fail (printf "extraZones: %s is the reverse of %s, which is none of the zones" $name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $names }}
{{- if not (has . $used) }}
{{- fail (printf "remoteClusters: no zone is made from %s; extraZones has to have one with cluster: %s" . .) }}
{{- end }}
{{- end }}

{{- if not .Values.rbac.clusterWide }}
{{- range $config.zones }}
{{- if eq (default "" .cluster) (include "kubezone.clusterName" $) }}
{{- $publish := default dict .publish }}
{{- if not $publish.namespaces }}
{{- fail (printf "rbac.clusterWide: false takes publish.namespaces, also of %s: kubezone is allowed to see nothing else" .name) }}
{{- end }}
{{- if $publish.namespaceSelector }}
{{- fail (printf "publish.namespaceSelector: of %s; the labels of Namespaces are not read with rbac.clusterWide: false" .name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if (include "kubezone.needs" . | fromJson).clusterWide }}
{{- fail "rbac.clusterWide: false takes `namespaces` of the inCluster one in config.clusters" }}
{{- end }}
{{- end }}
{{- end }}

//! The Helm chart: what it makes is valid and accepted, and kubezone serves with exactly that.
//!
//! Helm is the real one, and so are the API server that takes the objects, the Pod Security admission that looks at the Pods,
//! and the kubezone that runs as a container of such a Pod would: with the user, capabilities, arguments and files
//! of its template, and the token of its ServiceAccount. What is missing is a kubelet: nothing pulls an image, and no probe is sent.
//!
//! `tests/chart/build` builds the tools.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, Pod, PodSpec, PodTemplateSpec, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use support::control_plane::{self, ControlPlane, Scene, address, https};
use support::documents::shown;
use support::kubezone::{KUBEZONE, Kubezone};
use support::mounted::Mounted;
use support::process::Folder;
use support::{eventually, skip};

const CHART: &str = "helm/kubezone";
/// As in tests/chart/build, which puts them into folders that are called so.
const HELM: &str = "helm-v4.3.1/helm";
const HELM_DOCS: &str = "helm-docs-v1.14.2/helm-docs";
const VALIDATE: &str = "kubernetes-validate-1.37.0/bin/kubernetes-validate";
/// The versions of Kubernetes that the chart is for: from its `kubeVersion` to the newest that the validator knows.
const MINORS: std::ops::RangeInclusive<u8> = 27..=37;
/// The release's name wherever there is one.
const RELEASE: &str = "kubezone";
/// A zone that is there from an upgrade on.
const ADDED: &str = "@ 60 SOA ns hostmaster 1 4h 1h 2w 5m\n@ 60 NS ns\nns 60 AAAA 2001:db8::53\n";

/// The values that the chart is tested with.
const SCENARIOS: [&str; 5] = [LOAD_BALANCER, ROUTED, HOST_NETWORK, DUAL_STACK, FLEET];
const LOAD_BALANCER: &str = "helm/kubezone/ci/ipv6-loadbalancer-values.yaml";
const ROUTED: &str = "helm/kubezone/ci/routed-clusterip-values.yaml";
const HOST_NETWORK: &str = "helm/kubezone/ci/host-network-values.yaml";
const DUAL_STACK: &str = "helm/kubezone/ci/dual-stack-values.yaml";
const FLEET: &str = "helm/kubezone/ci/fleet-values.yaml";

/// A tool that tests/chart/build makes; `None` where it is missing, which then has been said.
fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let path = control_plane::cache()?.join(name);
    if !path.exists() {
        skip(test, &format!("{} is missing; tests/chart/build makes it", path.display()));
        return None;
    }
    Some(path)
}

/// Helm, and nothing of what its user has configured.
struct Helm {
    program: PathBuf,
    folder: Folder,
}

impl Helm {
    fn new(test: &str) -> Option<Self> {
        Some(Self { program: tool(test, HELM)?, folder: Folder::new().expect("a temporary folder") })
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, self.folder.join(name));
        }
        command.args(args).output().expect("helm runs")
    }

    /// What it says when all goes well.
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The objects of a release in the namespace `dns`, as YAML.
    fn template(&self, values: &str, more: &[&str]) -> String {
        let release = ["template", RELEASE, CHART, "--namespace", "dns", "--values", values];
        self.says(&[&release, more].concat())
    }

    /// Those in `templates/NAME`.
    fn objects(&self, values: &str, name: &str, more: &[&str]) -> Vec<Value> {
        let only = format!("--show-only=templates/{name}");
        serde_saphyr::from_multiple(&self.template(values, &[&[&*only], more].concat())).expect("YAML")
    }
}

/// All that a program said.
fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn the_chart_passes_lint() {
    let Some(helm) = Helm::new("the_chart_passes_lint") else { return };
    helm.says(&["lint", "--strict", CHART]);
    for values in SCENARIOS {
        helm.says(&["lint", "--strict", CHART, "--values", values]);
    }
}

#[test]
fn the_chart_is_of_this_version() {
    let chart = fs::read_to_string(Path::new(CHART).join("Chart.yaml")).expect("a chart");
    let chart: Value = serde_saphyr::from_str(&chart).expect("YAML");
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["kubeVersion"], format!(">=1.{}.0-0", MINORS.start()));
}

#[test]
fn the_readme_is_made_from_the_values() {
    let Some(docs) = tool("the_readme_is_made", HELM_DOCS) else { return };
    let args = ["--dry-run", "--sort-values-order=file", "--log-level=warning"];
    let output = Command::new(docs).args(args).args(["--chart-search-root", CHART]).output().expect("helm-docs runs");
    assert!(output.status.success(), "{}", text(&output));
    let made = String::from_utf8(output.stdout).expect("UTF-8");
    let readme = fs::read_to_string(Path::new(CHART).join("README.md")).expect("a README");
    assert!(!made.contains("|  |\n"), "every value has a comment: {made}");
    assert_eq!(readme.trim(), made.trim(), "`make chart` writes it");
}

#[test]
fn scenarios_are_valid_for_every_version_of_kubernetes() {
    const TEST: &str = "scenarios_are_valid";
    let (Some(helm), Some(validate)) = (Helm::new(TEST), tool(TEST, VALIDATE)) else { return };
    let validate = |minor: u8, files: &[PathBuf]| {
        let version = format!("1.{minor}");
        let args = ["--kubernetes-version", &*version, "--strict", "--no-warn"];
        Command::new(&validate).args(args).args(files).output().expect("kubernetes-validate runs")
    };
    let render = |values: &str| {
        let name = values.rsplit('/').next().expect("a name");
        helm.folder.write(name, &helm.template(values, &[])).expect("written")
    };
    let files = SCENARIOS.map(render);
    for minor in MINORS {
        let output = validate(minor, &files);
        let said = text(&output);
        assert!(output.status.success(), "1.{minor}: {said}");
        assert!(said.contains(&format!("deployment/{RELEASE} against version 1.{minor}")), "{said}");
    }
    let wrong = fs::read_to_string(&files[0]).expect("a file").replace("containerPort", "containerport");
    let wrong = helm.folder.write("wrong.yaml", &wrong).expect("written");
    assert!(!validate(*MINORS.end(), &[wrong]).status.success(), "a validator that finds nothing");
}

#[test]
fn a_wrong_value_is_refused_by_its_name() {
    let Some(helm) = Helm::new("a_wrong_value_is_refused") else { return };
    // What is set beside a zone and a name server, and what is said of it.
    for (set, expected) in [
        ("zone=", "zone: missing. It is the name below which this cluster's Services are published"),
        ("nameservers=null", "nameservers: missing. They are what the parent zone delegates c2.k8s.ooo to."),
        ("zone=c2..ooo", "at '/zone'"),
        ("zone=*.k8s.ooo", "at '/zone'"),
        ("nameservers[0].address=2001:db8::53", "at '/nameservers/0': additional properties 'address' not allowed"),
        ("nameservers[0].addresses={2001:db8::g}", "at '/nameservers/0/addresses/0'"),
        ("nameservers[0].name=ns 1", "at '/nameservers/0/name'"),
        ("nameservers[1].name=ns2", "nameservers: ns2.c2.k8s.ooo. needs its addresses, as it lies in c2.k8s.ooo"),
        ("nameservers[1].name=NS.c2.k8s.ooo.", "nameservers: ns.c2.k8s.ooo. is there twice, for c2.k8s.ooo"),
        (
            "nameservers[0].name=ns.example.",
            "nameservers: ns.example. lies outside of c2.k8s.ooo: its addresses belong",
        ),
        ("nameserver=ns", "additional properties 'nameserver' not allowed"),
        ("replicas=two", "at '/replicas'"),
        ("kind=StatefulSet", "at '/kind'"),
        ("service.type=NodePort", "at '/service/type'"),
        ("service.clusterIP=here", "at '/service/clusterIP'"),
        ("service.loadBalancerIP=2001:db8::53", "at '/service': additional properties 'loadBalancerIP' not allowed"),
        ("service.externalTrafficPolicy=local", "at '/service/externalTrafficPolicy'"),
        ("ipFamilies={IPv5}", "at '/ipFamilies/0'"),
        ("ipFamilies={IPv6,IPv6}", "at '/ipFamilies'"),
        ("podIPFamily=IPv5", "at '/podIPFamily'"),
        ("extraServices[0].type=LoadBalancer", "at '/extraServices/0': missing property 'suffix'"),
        ("extraServices[0].suffix=tcp", "extraServices: the suffix tcp is taken"),
        ("service.type=ClusterIP,service.separateProtocols=true", "service.separateProtocols: of kubezone; only load"),
        (
            "extraServices[0].suffix=ns2,extraServices[0].type=ClusterIP,service.separateProtocols=true",
            "service.separateProtocols: of kubezone-ns2; only load balancers",
        ),
        ("publish.mode=Some", "at '/publish/mode'"),
        ("publish.namespaces={a.b}", "at '/publish/namespaces/0'"),
        ("publish.addresses.from={NodePort}", "at '/publish/addresses/from/0'"),
        ("publish.namespaces={Shop}", "at '/publish/namespaces/0'"),
        ("publish.wildcards=true", "at '/publish': missing property 'hostnames'"),
        ("publish.addresses.allow={everywhere}", "at '/publish/addresses/allow/0'"),
        ("zoneConfig.hostmaster=me@example.com", "at '/zoneConfig/hostmaster'"),
        ("zoneConfig.extra=c2.extra", "files: there is no c2.extra, which a zone names"),
        (
            "zoneConfig.ipv4.nat64[0].from=192.0.2.1,zoneConfig.ipv4.nat64[0].to=192.0.2.1",
            "at '/zoneConfig/ipv4/nat64/0/from'",
        ),
        ("zoneConfig.ipv4.proxies={2001:db8::1}", "at '/zoneConfig/ipv4/proxies/0'"),
        ("zoneConfig.ttl=60s", "at '/zoneConfig/ttl'"),
        ("zoneConfig.publish.pods=true", "at '/zoneConfig': additional properties 'publish' not allowed"),
        ("zoneConfig.ipv4.nat64[0].from=2001:db8::53", "at '/zoneConfig/ipv4/nat64/0': missing property 'to'"),
        ("zoneFiles.k8s=text", "at '/zoneFiles': additional properties 'k8s' not allowed"),
        ("files.kubezone\\.yaml=text", "files: there is another kubezone.yaml"),
        ("remoteClusters[0].name=c3", "at '/remoteClusters/0': missing property 'kubeconfigSecret'"),
        (
            "remoteClusters[0].name=c3,remoteClusters[0].kubeconfigSecret.name=c3",
            "remoteClusters: no zone is made from c3; extraZones has to have one with cluster: c3",
        ),
        (
            "remoteClusters[0].name=c2,remoteClusters[0].kubeconfigSecret.name=c2",
            "remoteClusters: there is another cluster called c2; cluster.name says what this one is called",
        ),
        ("extraZones[0].name=c3.k8s.ooo", "at '/extraZones/0'"),
        (
            "extraZones[0].name=c3.k8s.ooo,extraZones[0].cluster=c3,extraZones[0].nameservers[0].name=a.b.svc",
            "extraZones: the zone c3.k8s.ooo is made from the cluster c3; known are c2",
        ),
        (
            "extraZones[0].name=8.b.d.0.1.0.0.2.ip6.arpa,extraZones[0].reverseOf={c3.k8s.ooo},\
             extraZones[0].nameservers[0].name=ns.example.",
            "extraZones: 8.b.d.0.1.0.0.2.ip6.arpa is the reverse of c3.k8s.ooo, which is none of the zones",
        ),
        (
            "extraZones[0].name=8.b.d.0.1.0.0.2.ip6.arpa,extraZones[0].reverseOf={c2.k8s.ooo},\
             extraZones[0].nameservers[0].name=ns",
            "nameservers: ns.8.b.d.0.1.0.0.2.ip6.arpa. lies in the reverse zone 8.b.d.0.1.0.0.2.ip6.arpa",
        ),
        (
            "extraZones[0].name=C2.k8s.ooo.,extraZones[0].cluster=c2,extraZones[0].nameservers[0].name=a.b.svc",
            "extraZones: there is another zone C2.k8s.ooo.",
        ),
        ("cluster.maxStaleness=soon", "at '/cluster/maxStaleness'"),
        ("config.identty=a", "at '/config': additional properties 'identty' not allowed"),
        ("config.listen.udp={}", "at '/config/listen': additional properties 'udp' not allowed"),
        ("config.gracePeriod=5s", "config.gracePeriod: set gracePeriodSeconds"),
        ("config.readyTimeout=never", "at '/config/readyTimeout'"),
        ("gracePeriodSeconds=15s", "at '/gracePeriodSeconds'"),
        ("hostNetwork=true", "hostNetwork: goes with kind: DaemonSet"),
        (
            "hostNetwork=true,kind=DaemonSet,networkPolicy.enabled=true",
            "networkPolicy.enabled: no NetworkPolicy holds for Pods in the host's network",
        ),
        ("rbac.clusterWide=false", "rbac.clusterWide: false takes publish.namespaces"),
        (
            "rbac.clusterWide=false,publish.namespaces={shop},config.clusters[0].name=c2,config.clusters[0].inCluster=true",
            "rbac.clusterWide: false takes `namespaces` of the inCluster one in config.clusters",
        ),
        (
            "rbac.clusterWide=false,publish.namespaces={shop},publish.namespaceSelector=a",
            "publish.namespaceSelector: of c2.k8s.ooo; the labels of Namespaces are not read",
        ),
        ("image.digest=latest", "at '/image/digest'"),
        ("podDisruptionBudget.maxUnavailable=half", "at '/podDisruptionBudget/maxUnavailable'"),
        ("networkPolicy.apiPorts={https}", "at '/networkPolicy/apiPorts/0'"),
        ("metrics.serviceMonitor.enabled=yes", "at '/metrics/serviceMonitor/enabled'"),
    ] {
        let good = "zone=c2.k8s.ooo,nameservers[0].name=ns,nameservers[0].addresses={2001:db8::53}";
        let output = helm.run(&["install", RELEASE, CHART, "--dry-run=client", "--set", good, "--set", set]);
        let said = text(&output);
        assert!(!output.status.success() && said.contains(expected), "{set}: {expected}\n{said}");
    }
}

#[test]
fn rights_are_those_of_the_zones() {
    let Some(helm) = Helm::new("rights_are_those") else { return };
    let rules = |values: &str, set: &str| -> Vec<String> {
        let roles = helm.objects(values, "rbac.yaml", &["--set", set]);
        let roles = roles.iter().filter(|object| object["kind"].as_str().expect("a kind").ends_with("Role"));
        roles
            .map(|role| {
                let namespace = role["metadata"]["namespace"].as_str().unwrap_or("*");
                let rules = role["rules"].as_array().expect("rules");
                format!("{namespace} {}", rules.iter().map(|rule| rule["resources"].to_string()).collect::<String>())
            })
            .collect()
    };
    let own = r#"["services"]["endpointslices"]"#;
    let all = r#"* ["services","namespaces"]["endpointslices"]"#;
    assert_eq!(rules(LOAD_BALANCER, "replicas=2"), [all]);
    assert_eq!(rules(LOAD_BALANCER, "publish.pods=true"), [r#"* ["services","namespaces","pods"]["endpointslices"]"#]);
    let fenced = "rbac.clusterWide=false,publish.namespaces={shop,mail}";
    assert_eq!(rules(LOAD_BALANCER, fenced), [format!("mail {own}"), format!("shop {own}")]);
    // A name server whose addresses are its Service's.
    let served =
        "rbac.clusterWide=false,publish.namespaces={shop},nameservers[0]=null,nameservers[0].name=kubezone.dns.svc";
    assert_eq!(rules(LOAD_BALANCER, served), [format!("dns {own}"), format!("shop {own}")]);
    // Those of a remote cluster are granted there.
    assert_eq!(rules(FLEET, "publish.pods=false,extraZones[0].publish.pods=true"), [all]);
    assert!(helm.template(LOAD_BALANCER, &[]).contains("kind: ClusterRole"));
    assert!(!helm.template(LOAD_BALANCER, &["--set", "rbac.create=false"]).contains("Role"));
}

#[test]
fn addresses_are_of_the_families_asked_for() {
    let Some(helm) = Helm::new("addresses_are_of_the_families") else { return };
    let (v6, v4) = (("[::]:5353", "[::]:9153", Value::Null), ("0.0.0.0:5353", "0.0.0.0:9153", json!("127.0.0.1:9154")));
    for (set, dns, metrics, admin, policy) in [
        ("ipFamilies={IPv6}", json!([v6.0]), v6.1, &v6.2, "SingleStack"),
        ("ipFamilies={IPv4}", json!([v4.0]), v4.1, &v4.2, "SingleStack"),
        ("ipFamilies={IPv6,IPv4}", json!([v6.0, v4.0]), v6.1, &v6.2, "RequireDualStack"),
        ("ipFamilies={IPv4,IPv6}", json!([v4.0, v6.0]), v4.1, &v6.2, "RequireDualStack"),
        ("podIPFamily=IPv4", json!([v6.0]), v4.1, &v6.2, "SingleStack"),
    ] {
        let map = &helm.objects(LOAD_BALANCER, "configmap.yaml", &["--set", set])[0];
        let configuration: Value =
            serde_saphyr::from_str(map["data"]["kubezone.yaml"].as_str().expect("a configuration")).expect("YAML");
        let listen = &configuration["listen"];
        assert_eq!((&listen["dns"], &listen["metrics"], &listen["admin"]), (&dns, &json!(metrics), admin), "{set}");
        let service = &helm.objects(LOAD_BALANCER, "service.yaml", &["--set", set])[0];
        assert_eq!(service["spec"]["ipFamilyPolicy"], policy, "{set}");
    }
}

#[test]
fn what_is_configured_goes_before_what_is_made() {
    let Some(helm) = Helm::new("what_is_configured_goes_before") else { return };
    let set =
        "config.listen.admin=,config.listen.workers=0,config.readyTimeout=5s,zoneConfig.ttl=0,gracePeriodSeconds=0";
    let map = &helm.objects(ROUTED, "configmap.yaml", &["--set", set])[0];
    let folder = Folder::new().expect("a temporary folder");
    let configuration = map["data"]["kubezone.yaml"].as_str().expect("a configuration");
    let configuration = folder.write("kubezone.yaml", configuration).expect("written");
    let configuration = kubezone::config::load(&configuration).expect("a configuration");
    assert_eq!(configuration.admin, kubezone::config::Admin::Off);
    assert_eq!(configuration.metrics, Some("[::]:9153".parse().expect("an address")));
    assert_eq!((configuration.ready_timeout.as_secs(), configuration.grace_period.as_secs()), (5, 0));
    assert_eq!(configuration.clusters[0].zones[0].ttl, 0);
}

/// A key that the configuration learns is one that the chart has to learn.
#[test]
fn values_have_every_key_of_the_configuration() {
    fn keys(object: &Value) -> BTreeSet<&str> {
        object.as_object().expect("a mapping").keys().map(String::as_str).collect()
    }
    let page = fs::read_to_string("docs/configuration.md").expect("a page");
    let all = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("all keys");
    let all: Value = serde_saphyr::from_str(all).expect("YAML");
    let schema = fs::read_to_string(Path::new(CHART).join("values.schema.json")).expect("a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let (values, types) = (&schema["properties"], &schema["definitions"]);

    assert_eq!(keys(&all), keys(&values["config"]["properties"]));
    for key in ["listen", "verify"] {
        assert_eq!(keys(&all[key]), keys(&values["config"]["properties"][key]["properties"]));
    }
    let cluster = keys(&all["clusters"][0]);
    let remote = keys(&values["remoteClusters"]["items"]["properties"]);
    assert_eq!(&cluster | &BTreeSet::from(["kubeconfigSecret"]), remote);
    let zone = &all["zones"][1];
    let extra = keys(&values["extraZones"]["items"]["properties"]);
    assert_eq!(&keys(zone) | &BTreeSet::from(["file", "reverseOf"]), extra);
    let own = BTreeSet::from(["name", "cluster", "nameservers", "publish"]);
    assert_eq!(&keys(zone) - &own, keys(&values["zoneConfig"]["properties"]));
    assert_eq!(keys(&zone["publish"]), keys(&types["publish"]["properties"]));
    assert_eq!(keys(&zone["publish"]["addresses"]), keys(&types["publish"]["properties"]["addresses"]["properties"]));
    assert_eq!(keys(&zone["ipv4"]), keys(&types["ipv4"]["properties"]));
}

#[test]
fn notes_have_the_delegation() {
    let Some(helm) = Helm::new("notes_have_the_delegation") else { return };
    let notes = |set: &str| {
        let release = ["install", RELEASE, CHART, "--dry-run=client", "--namespace", "dns", "--values", ROUTED];
        let said = helm.says(&[&release[..], &["--set", set]].concat());
        said.split_once("NOTES:").expect("notes").1.to_owned()
    };
    let told = notes("replicas=2");
    let records: Vec<_> = told.lines().map(str::trim).filter(|line| line.contains(" IN ")).collect();
    let expected = [
        "c2.k8s.ooo. 3600 IN NS kubezone.dns.svc.c2.k8s.ooo.",
        "kubezone.dns.svc.c2.k8s.ooo. 3600 IN AAAA 2a0a:e5c0:10:3::a",
        "kubezone.dns.svc.c2.k8s.ooo. 3600 IN A 147.78.194.9",
    ];
    assert_eq!(records, expected);
    assert!(told.contains("dig @2a0a:e5c0:10:3::a +norecurse c2.k8s.ooo SOA\n"), "{told}");
    let unknown = notes("nameservers[1].name=ns2.dns.svc");
    assert!(unknown.contains("ns2.dns.svc.c2.k8s.ooo. 3600 IN AAAA ADDRESS   ; glue"), "{unknown}");
}

#[test]
fn values_that_documents_show_make_a_configuration() {
    let Some(helm) = Helm::new("values_that_documents_show") else { return };
    for (document, text) in shown("yaml values") {
        let values = helm.folder.write("values.yaml", &text).expect("written");
        let map = &helm.objects(&values.display().to_string(), "configmap.yaml", &[])[0];
        let configuration = map["data"]["kubezone.yaml"].as_str().expect("a configuration");
        kubezone::config::parse(configuration, &document).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn commands_of_helm_that_documents_show_are_understood() {
    let Some(helm) = Helm::new("commands_of_helm_that_documents_show") else { return };
    let mut count = 0;
    for (document, text) in shown("sh") {
        let text = text.replace("\\\n", " ");
        for command in text.lines().filter(|line| line.starts_with("helm ")) {
            // The first values of a document are those that its commands name.
            let values = shown("yaml values").into_iter().find(|(of, _)| *of == document);
            let values =
                helm.folder.write("values.yaml", &values.map_or(String::new(), |(_, text)| text)).expect("written");
            let command = command.replace(" values.yaml", &format!(" {}", values.display()));
            let flags = ["install", "upgrade", "template"]
                .iter()
                .find_map(|verb| command.strip_prefix("helm ")?.strip_prefix(verb));
            let flags = flags.unwrap_or_else(|| panic!("{}: {command}", document.display()));
            // What would be installed, without a cluster; the shell takes the quotes away.
            let output =
                Command::new("sh").args(["-c", &format!("\"$0\" template {flags}")]).arg(&helm.program).output();
            let output = output.expect("a shell");
            assert!(output.status.success(), "{}: {command}\n{}", document.display(), self::text(&output));
            count += 1;
        }
    }
    assert!(count > 2, "{count}");
}

#[test]
fn objects_that_documents_show_are_valid() {
    const TEST: &str = "objects_that_documents_show";
    let (Some(validate), folder) = (tool(TEST, VALIDATE), Folder::new().expect("a temporary folder")) else { return };
    let mut files = Vec::new();
    for (document, text) in shown("yaml objects") {
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(!objects.is_empty(), "{}", document.display());
        // The validator knows no custom resources.
        for object in objects.iter().filter(|object| object["apiVersion"] != "projectcalico.org/v3") {
            files.push(folder.write(&format!("{}.yaml", files.len()), &object.to_string()).expect("written"));
        }
    }
    assert!(files.len() > 2, "{}", files.len());
    let version = format!("1.{}", MINORS.end());
    let output = Command::new(&validate).args(["--kubernetes-version", &version, "--strict"]).args(&files).output();
    let output = output.expect("kubernetes-validate runs");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn alerts_fire_when_they_are_to() {
    const TEST: &str = "alerts_fire";
    let Some(helm) = Helm::new(TEST) else { return };
    if let Err(error) = Command::new("promtool").arg("--version").output() {
        return skip(TEST, &format!("promtool: {error}"));
    }
    let promtool = |args: &[&str]| {
        let output = Command::new("promtool").args(args).output().expect("promtool runs");
        assert!(output.status.success(), "{}", text(&output));
    };
    let rule = &helm.objects(LOAD_BALANCER, "prometheusrule.yaml", &["--set", "fullnameOverride=kubezone"])[0];
    let rules = helm.folder.write("rules.yaml", &rule["spec"].to_string()).expect("written");
    promtool(&["check", "rules", &rules.display().to_string()]);

    let tests = fs::read_to_string("tests/chart/alerts.yaml").expect("tests");
    let alerts = rule["spec"]["groups"][0]["rules"].as_array().expect("rules");
    assert!(alerts.len() >= 10);
    for alert in alerts {
        let name = alert["alert"].as_str().expect("a name");
        assert!(tests.contains(&format!(r#"alertname="{name}""#)) || tests.contains(&format!("alertname: {name}\n")));
        let description = alert["annotations"]["description"].as_str().expect("a description");
        assert!(description.contains("`kubectl "), "{name} says what to type");
    }
    let tests = helm.folder.write("tests.yaml", &tests).expect("written");
    promtool(&["test", "rules", &tests.display().to_string()]);

    // The dashboard's queries are ones, as far as that can be told without data.
    let dashboard = &helm.objects(LOAD_BALANCER, "dashboard.yaml", &[])[0];
    let queries = queries(dashboard["data"]["kubezone.json"].as_str().expect("a dashboard"));
    let queries = queries.iter().map(|query| {
        let query = query.replace("$__rate_interval", "5m").replace("$__range", "1h");
        json!({ "record": "dashboard", "expr": query })
    });
    let rules = json!({ "groups": [{ "name": "dashboard", "rules": queries.collect::<Vec<_>>() }] });
    let rules = helm.folder.write("dashboard.yaml", &rules.to_string()).expect("written");
    promtool(&["check", "rules", "--lint=none", &rules.display().to_string()]);
}

/// The queries of a dashboard.
fn queries(dashboard: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect();
    assert!(queries.len() >= 16);
    queries
}

/// The metrics of kubezone that a query names, without what is behind the name of a histogram.
fn metrics(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let names = words.filter(|word| word.starts_with("kubezone_"));
    names.map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned()).collect()
}

/// The control plane of all scenarios: both families, the kinds of the Prometheus operator, and a Service to be found.
async fn plane(test: &str) -> Option<&'static ControlPlane> {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    let start = async || {
        let plane = control_plane::dual_stack(test).await.ok_or(())?;
        let client = plane.client().await;
        for (kind, plural) in [("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")] {
            let definition = json!({
                "metadata": { "name": format!("{plural}.monitoring.coreos.com") },
                "spec": {
                    "group": "monitoring.coreos.com",
                    "scope": "Namespaced",
                    "names": { "kind": kind, "plural": plural },
                    "versions": [{
                        "name": "v1", "served": true, "storage": true,
                        "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                    }],
                },
            });
            let definition = serde_json::from_value(definition).expect("a definition");
            let definitions = Api::<CustomResourceDefinition>::all(client.clone());
            definitions.create(&PostParams::default(), &definition).await.expect("created");
            let name = format!("{plural}.monitoring.coreos.com");
            eventually("the kind is served", async || {
                let status = definitions.get(&name).await.map_err(|error| error.to_string())?.status;
                let mut conditions = status.and_then(|status| status.conditions).unwrap_or_default().into_iter();
                let is_it = conditions.any(|condition| condition.type_ == "Established" && condition.status == "True");
                if is_it { Ok(()) } else { Err("not established".to_owned()) }
            })
            .await;
        }
        plane.namespace("shop").await.create_service("web", https()).await;
        Ok::<_, ()>(plane)
    };
    PLANE.get_or_try_init(start).await.ok()
}

/// A release of the chart, in a namespace of its own.
struct Release {
    test: &'static str,
    plane: &'static ControlPlane,
    helm: Helm,
    scene: Scene,
    values: &'static str,
}

impl Release {
    /// Installs a scenario; `None` where that cannot be, which then has been said.
    async fn install(test: &'static str, values: &'static str, namespace: &str, security: &str) -> Option<Self> {
        let (helm, plane) = (Helm::new(test)?, plane(test).await?);
        let scene = plane.namespace(namespace).await;
        scene.change_namespace(json!({ "labels": { "pod-security.kubernetes.io/enforce": security } })).await;
        let release = Self { test, plane, helm, scene, values };
        release.helm("install", &[]);
        Some(release)
    }

    /// Installs or upgrades it; with `more` values.
    fn helm(&self, what: &str, more: &[&str]) {
        let kubeconfig = self.plane.admin_kubeconfig().display().to_string();
        let release = [RELEASE, CHART, "--namespace", &self.scene.namespace, "--kubeconfig", &kubeconfig];
        self.helm.says(&[&[what, "--values", self.values], &release[..], more].concat());
    }

    /// The Pods' template, as the API has it, and the generation of what it is in.
    async fn template(&self) -> (PodTemplateSpec, Option<i64>) {
        if let Some(deployment) = self.scene.api::<Deployment>().get_opt(RELEASE).await.expect("asked") {
            return (deployment.spec.template, deployment.metadata.generation);
        }
        let daemon_set = self.scene.api::<DaemonSet>().get(RELEASE).await.expect("one of the two");
        (daemon_set.spec.template, daemon_set.metadata.generation)
    }

    /// What admission says to a Pod of the template in a namespace that enforces `security`.
    async fn admitted(&self, security: &str) -> Result<(), String> {
        let name = format!("{}-{security}", self.scene.namespace);
        let namespaces = Api::<Namespace>::all(self.scene.client.clone());
        let labels = json!({ "pod-security.kubernetes.io/enforce": security });
        let namespace = json!({ "metadata": { "name": name, "labels": labels } });
        let namespace = serde_json::from_value(namespace).expect("a namespace");
        namespaces.create(&PostParams::default(), &namespace).await.expect("created");
        let spec = self.template().await.0.spec;
        let mut pod = Pod { spec, ..Pod::default() };
        pod.metadata.name = Some("one".to_owned());
        let pods = Api::<Pod>::namespaced(self.scene.client.clone(), &name);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        pods.create(&dry, &pod).await.map(drop).map_err(|error| error.to_string())
    }

    /// Has a Pod of the template, which is ready at an address: as a controller, the scheduler and a kubelet would.
    async fn create_pod(&self, address: &str) {
        let template = self.template().await.0;
        let mut pod = Pod { metadata: template.metadata.expect("labels"), spec: template.spec, ..Pod::default() };
        pod.metadata.name = Some("one".to_owned());
        pod.spec.as_mut().expect("a spec").node_name = Some(control_plane::NODE.to_owned());
        self.scene.api::<Pod>().create(&PostParams::default(), &pod).await.expect("created");
        self.scene.set_pod("one", &[address], true).await;
    }

    /// Waits until a Service leads to these ports of that Pod, as `protocol port`.
    async fn leads_to(&self, service: &str, expected: &[&str]) {
        let slices = self.scene.api::<EndpointSlice>();
        let of = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
        eventually(&format!("{service} leads to {expected:?}"), async || {
            let slices = slices.list(&of).await.map_err(|error| error.to_string())?.items;
            let ready = slices.iter().filter(|slice| slice.endpoints.iter().flatten().count() > 0);
            let ports = ready.flat_map(|slice| slice.ports.iter().flatten());
            let port = |protocol: Option<&str>, port| format!("{} {}", protocol.unwrap_or("none"), port);
            let ports = ports.map(|of| port(of.protocol.as_deref(), of.port.unwrap_or_default()));
            let ports: BTreeSet<_> = ports.collect();
            if ports.iter().eq(expected) { Ok(()) } else { Err(format!("{ports:?}")) }
        })
        .await;
    }

    /// A token of the Pods' ServiceAccount.
    async fn token(&self) -> String {
        let account =
            self.template().await.0.spec.and_then(|spec| spec.service_account_name).expect("a ServiceAccount");
        let accounts = self.scene.api::<ServiceAccount>();
        let request = accounts.create_token_request(&account, &PostParams::default(), &TokenRequest::default()).await;
        request.expect("created").status.and_then(|status| status.token).expect("a token")
    }

    /// What the Pods may do in the whole cluster, or in a namespace, of all that one might want to, as `verb resource`.
    async fn rights(&self, namespace: Option<&str>) -> BTreeSet<String> {
        let client = self.plane.client_with(&self.token().await).await;
        let reviews = Api::<SelfSubjectAccessReview>::all(client);
        let resources = [
            ("", "services"),
            ("", "namespaces"),
            ("discovery.k8s.io", "endpointslices"),
            ("", "pods"),
            ("", "secrets"),
            ("", "configmaps"),
            ("", "nodes"),
            ("", "serviceaccounts/token"),
            ("rbac.authorization.k8s.io", "clusterroles"),
        ];
        let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
        let all = resources.iter().flat_map(|resource| verbs.map(|verb| (verb, *resource)));
        let allowed = stream::iter(all).map(async |(verb, (group, resource))| {
            let attributes = json!({ "verb": verb, "group": group, "resource": resource, "namespace": namespace });
            let review = json!({ "spec": { "resourceAttributes": attributes } });
            let review = serde_json::from_value(review).expect("a review");
            let review = reviews.create(&PostParams::default(), &review).await.expect("asked");
            review.status.expect("an answer").allowed.then(|| format!("{verb} {resource}"))
        });
        allowed.buffer_unordered(8).filter_map(async |allowed| allowed).collect().await
    }

    /// The files of the container, as the kubelet would mount them.
    async fn files(&self) -> BTreeMap<String, String> {
        let spec = self.template().await.0.spec.expect("a spec");
        let volume = spec.volumes.expect("volumes").into_iter().find(|volume| volume.name == "config");
        let mut files = BTreeMap::new();
        for source in volume.expect("a volume").projected.expect("projected").sources.expect("sources") {
            if let Some(map) = source.config_map {
                files.extend(self.scene.api::<ConfigMap>().get(&map.name).await.expect("there").data.expect("data"));
            }
            let Some(secret) = source.secret else { continue };
            let found = self.scene.api::<Secret>().get_opt(&secret.name).await.expect("asked");
            let Some(found) = found else {
                assert_eq!(secret.optional, Some(true), "the Pod would not start");
                continue;
            };
            for item in secret.items.expect("items") {
                let bytes = found.data.as_ref().expect("data")[&item.key].0.clone();
                files.insert(item.path, String::from_utf8(bytes).expect("UTF-8"));
            }
        }
        files
    }

    /// Runs kubezone as the container of a Pod; `None` where that is not permitted, which then has been said.
    async fn run(&self) -> Option<Running> {
        // Whoever is not root can read neither where this was built nor our temporary folders.
        const MOUNT: &str = r#"
            mkdir /run/etc && mount --bind "$1" /run/etc && touch /run/kubezone && mount --bind "$2" /run/kubezone &&
            shift 2 && exec "$@"
        "#;
        let pod = self.plane.pod_of(self.test, &self.token().await)?;
        let spec = self.template().await.0.spec.expect("a spec");
        let folder = Folder::new().expect("a temporary folder");
        let mounted = mounted(folder.join("mounted"), &spec);
        mounted.write(&self.files().await);
        let args = spec.containers[0].args.as_deref().expect("arguments");
        let args = args.iter().map(|arg| arg.replace("/etc/kubezone", "/run/etc"));
        let mount = ["sh", "-c", MOUNT, "sh", &mounted.folder.display().to_string(), &KUBEZONE].map(str::to_owned);
        // Not the ports of the Pod, which may be somebody's here.
        let start = ["env", "KUBEZONE_LISTEN_DNS=[::1]:0", "KUBEZONE_LISTEN_METRICS=[::1]:0", "/run/kubezone"];
        let start = privileges(&spec).into_iter().chain(start.map(str::to_owned)).chain(args);
        let command: Vec<_> = pod.into_iter().chain(mount).chain(start).collect();
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        Some(Running { kubezone: Kubezone::start("c2.k8s.ooo", &command, folder).await, mounted })
    }

    /// The address of the Service that every scenario publishes.
    async fn web(&self) -> String {
        let services = Api::<Service>::namespaced(self.scene.client.clone(), "shop");
        address(&services.get("web").await.expect("a Service"))
    }

    /// An upgrade that only brings another zone starts no new Pod, and the running one takes it over.
    async fn takes_over(&self, running: &Running) {
        let before = self.template().await;
        let added = serde_json::to_string(ADDED).expect("a string");
        self.helm("upgrade", &["--set-json", &format!(r#"zoneFiles.added\.example\.zone={added}"#)]);
        assert_eq!(self.template().await, before);
        running.kubezone.answers("ns.added.example. AAAA", "REFUSED").await;
        running.mounted.write(&self.files().await);
        running.kubezone.answers("ns.added.example. AAAA", "2001:db8::53").await;
    }
}

/// A kubezone, and its files.
struct Running {
    kubezone: Kubezone,
    mounted: Mounted,
}

/// The words before a command that run it as whom, and with what, a Pod's container is.
fn privileges(spec: &PodSpec) -> Vec<String> {
    let (pod, container) = (spec.security_context.as_ref(), spec.containers[0].security_context.as_ref());
    let (pod, container) = (pod.expect("a context"), container.expect("a context"));
    let user = container.run_as_user.or(pod.run_as_user).expect("a user");
    let group = container.run_as_group.or(pod.run_as_group).expect("a group");
    let capabilities = container.capabilities.clone().expect("capabilities");
    assert_eq!(capabilities.drop.as_deref(), Some(&["ALL".to_owned()][..]));
    let added = capabilities.add.unwrap_or_default().into_iter().map(|name| format!(",+{}", name.to_lowercase()));
    let mut words = vec![
        "setpriv".to_owned(),
        format!("--reuid={user}"),
        format!("--regid={group}"),
        format!("--groups={}", pod.fs_group.expect("a group")),
        "--inh-caps=-all".to_owned(),
        format!("--bounding-set=-all{}", added.collect::<String>()),
    ];
    if container.allow_privilege_escalation == Some(false) {
        words.push("--no-new-privs".to_owned());
    }
    words
}

/// The Pod's configuration, mounted in `folder`.
fn mounted(folder: PathBuf, spec: &PodSpec) -> Mounted {
    let volume = spec.volumes.iter().flatten().find_map(|volume| volume.projected.as_ref()).expect("a volume");
    let mode = volume.default_mode.and_then(|mode| u32::try_from(mode).ok()).expect("a mode");
    let group = spec.security_context.as_ref().and_then(|context| context.fs_group);
    Mounted::new(folder, mode, group.and_then(|group| u32::try_from(group).ok()))
}

/// What kubezone may do with nothing but names of Services.
fn list_and_watch(resources: &[&str]) -> BTreeSet<String> {
    resources.iter().flat_map(|resource| ["list", "watch"].map(|verb| format!("{verb} {resource}"))).collect()
}

#[tokio::test]
async fn ipv6_with_a_load_balancer() {
    const TEST: &str = "ipv6_with_a_load_balancer";
    let Some(release) = Release::install(TEST, LOAD_BALANCER, "balanced", "restricted").await else { return };
    release.admitted("restricted").await.expect("admitted");
    assert_eq!(release.rights(None).await, list_and_watch(&["services", "namespaces", "endpointslices"]));
    let services = release.scene.api::<Service>();
    for name in ["kubezone", "kubezone-ns2"] {
        let spec = services.get(name).await.expect("there").spec.expect("a spec");
        assert_eq!(
            (spec.type_.as_deref(), spec.ip_family_policy.as_deref()),
            (Some("LoadBalancer"), Some("SingleStack"))
        );
        assert_eq!(spec.external_traffic_policy.as_deref(), Some("Local"));
    }
    release.create_pod("2a0a:e5c0:10:2::53").await;
    release.leads_to("kubezone", &["TCP 5353", "UDP 5353"]).await;
    release.leads_to("kubezone-ns2", &["TCP 5353", "UDP 5353"]).await;
    release.leads_to("kubezone-metrics", &["TCP 9153"]).await;

    let Some(running) = release.run().await else { return };
    let kubezone = &running.kubezone;
    kubezone.answers("web.shop.svc AAAA", &release.web().await).await;
    kubezone.answers("ns2 AAAA", "2001:db8:2::53").await;
    kubezone.answers("kubezone.balanced.svc AAAA", &address(&services.get("kubezone").await.expect("there"))).await;
    kubezone.answers("kubezone-metrics.balanced.svc AAAA", "NXDOMAIN c2.k8s.ooo.").await;
    release.takes_over(&running).await;

    // All that is looked at is there.
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PrometheusRule"));
    let rules = Api::<DynamicObject>::namespaced_with(release.scene.client.clone(), "balanced", &kind);
    let rule = rules.get(RELEASE).await.expect("there");
    let alerts = rule.data["spec"]["groups"][0]["rules"].as_array().expect("rules").clone();
    let dashboard = release.scene.api::<ConfigMap>().get("kubezone-dashboard").await.expect("there");
    assert_eq!(dashboard.metadata.labels.expect("labels")["grafana_dashboard"], "1");
    let alerts = alerts.iter().map(|alert| alert["expr"].as_str().expect("a query").to_owned());
    let queries = alerts.chain(queries(&dashboard.data.expect("data")["kubezone.json"]));
    let mut asked: BTreeSet<_> = queries.flat_map(|query| metrics(&query)).collect();
    // Of delegations that are verified; here, nobody asked for that.
    assert!(asked.remove("kubezone_delegation_ok"));
    let text = kubezone.http("/metrics").await;
    let told: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let missing: Vec<_> = asked.iter().filter(|name| !told.contains(name.as_str())).collect();
    assert!(missing.is_empty() && asked.len() > 10, "{missing:?} of {asked:?}");
}

#[tokio::test]
async fn a_routed_cluster_ip() {
    const TEST: &str = "a_routed_cluster_ip";
    let Some(release) = Release::install(TEST, ROUTED, "dns", "restricted").await else { return };
    release.admitted("restricted").await.expect("admitted");
    let service = release.scene.api::<Service>().get(RELEASE).await.expect("there");
    assert_eq!(address(&service), "2a0a:e5c0:10:3::a");

    let Some(running) = release.run().await else { return };
    let kubezone = &running.kubezone;
    kubezone.answers("web.shop.svc AAAA", &release.web().await).await;
    kubezone.answers("kubezone.dns.svc AAAA", "2a0a:e5c0:10:3::a").await;
    kubezone.answers("kubezone.dns.svc A", "147.78.194.9").await;
    release.takes_over(&running).await;
    asks_as_helm_test_does(&release, kubezone).await;
}

/// The script of `helm test` finds that a zone is served, and that another is not; the Pod may be where kubezone's are.
async fn asks_as_helm_test_does(release: &Release, kubezone: &Kubezone) {
    let pod = &release.helm.objects(release.values, "tests/dns.yaml", &[])[0];
    let container = &pod["spec"]["containers"][0];
    let folder = Folder::new().expect("a temporary folder");
    let dig = format!("#!/bin/sh\nexec dig -p {} \"$@\"\n", kubezone.dns().port());
    let dig = folder.write("to-port", &dig).expect("written");
    let command: Vec<_> =
        container["command"].as_array().expect("a command").iter().map(|word| word.as_str()).collect();
    let [Some(shell), Some(flags), Some(script)] = command[..] else { panic!("{command:?}") };
    let script = script.replace("$(dig", &format!("$(sh {}", dig.display()));
    let ask = |zone: &str| {
        let mut command = Command::new(shell);
        command.args([flags, &script]).env("ZONE", zone).env("UDP_SERVER", "::1").env("TCP_SERVER", "::1");
        command.output().expect("a shell")
    };
    if let Err(error) = Command::new("dig").arg("-v").output() {
        return skip(release.test, &format!("dig: {error}"));
    }
    let good = ask("c2.k8s.ooo.");
    assert!(good.status.success() && text(&good).matches("status: NOERROR").count() == 2, "{}", text(&good));
    assert!(!ask("c9.k8s.ooo.").status.success());

    let pod: Pod = serde_json::from_value(pod.clone()).expect("a Pod");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    release.scene.api::<Pod>().create(&dry, &pod).await.expect("admitted where `restricted` is enforced");
}

#[tokio::test]
async fn the_hosts_network() {
    const TEST: &str = "the_hosts_network";
    let Some(release) = Release::install(TEST, HOST_NETWORK, "hosts", "privileged").await else { return };
    for security in ["baseline", "restricted"] {
        let refused = release.admitted(security).await.expect_err("it is the host's network");
        assert!(refused.contains("hostNetwork=true"), "{refused}");
    }
    release.admitted("privileged").await.expect("admitted");
    let spec = release.template().await.0.spec.expect("a spec");
    let words = privileges(&spec).join(" ");
    assert!(words.contains("--reuid=0 ") && words.contains("--bounding-set=-all,+net_bind_service "), "{words}");

    let Some(running) = release.run().await else { return };
    running.kubezone.answers("web.shop.svc AAAA", &release.web().await).await;
    release.takes_over(&running).await;
}

#[tokio::test]
async fn both_families_and_the_parent() {
    const TEST: &str = "both_families_and_the_parent";
    let Some(release) = Release::install(TEST, DUAL_STACK, "both", "restricted").await else { return };
    release.admitted("restricted").await.expect("admitted");
    assert_eq!(release.rights(None).await, BTreeSet::new());
    assert_eq!(release.rights(Some("shop")).await, list_and_watch(&["services", "endpointslices"]));
    let services = release.scene.api::<Service>();
    for (name, protocol) in [("kubezone", "UDP"), ("kubezone-tcp", "TCP")] {
        let spec = services.get(name).await.expect("there").spec.expect("a spec");
        assert_eq!(spec.ip_families.expect("families"), ["IPv6", "IPv4"]);
        let ports: Vec<_> = spec.ports.expect("ports").into_iter().map(|port| (port.protocol, port.port)).collect();
        assert_eq!(ports, [(Some(protocol.to_owned()), 53)]);
    }
    release.create_pod("2a0a:e5c0:10:2::54").await;
    release.leads_to("kubezone", &["UDP 5353"]).await;
    release.leads_to("kubezone-tcp", &["TCP 5353"]).await;

    let Some(running) = release.run().await else { return };
    let kubezone = &running.kubezone;
    kubezone.answers("web.shop.svc AAAA", &release.web().await).await;
    kubezone.answers("@ CAA", "0 issue \"letsencrypt.org\"").await;
    kubezone.answers("ns1.k8s.ooo. AAAA", "2001:db8:1::53").await;
    kubezone.answers("kubezone.both.svc AAAA", "NXDOMAIN c2.k8s.ooo.").await;
    release.takes_over(&running).await;
}

#[tokio::test]
async fn a_fleet_whose_second_secret_is_missing() {
    const TEST: &str = "a_fleet_whose_second_secret_is_missing";
    let Some(release) = Release::install(TEST, FLEET, "fleet", "restricted").await else { return };
    release.admitted("restricted").await.expect("admitted");
    assert_eq!(release.rights(None).await, list_and_watch(&["services", "namespaces", "endpointslices", "pods"]));

    let Some(running) = release.run().await else { return };
    let kubezone = &running.kubezone;
    let web = release.web().await;
    kubezone.answers("web.shop.svc AAAA", &web).await;
    kubezone.answers("web.shop.svc.c3.k8s.ooo. AAAA", "SERVFAIL").await;
    kubezone.counts_error(r#"cluster="c3",reason="configuration""#).await;
    let readiness = kubezone.http("/readyz").await;
    assert!(readiness.ends_with("not loaded: c3.k8s.ooo. 0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.\n"), "{readiness}");
    let status = || {
        let server = format!("http://{}", kubezone.admin());
        Command::new(KUBEZONE.as_str()).args(["status", "--server", &server]).output().expect("kubezone runs")
    };
    let told = status();
    assert_eq!(told.status.code(), Some(1));
    let told = text(&told);
    assert!(told.contains("\ncluster c3 (") && told.contains("clusters/c3.kubeconfig"), "{told}");
    assert_eq!(kubezone.metric("kubezone_cluster_synced", r#"cluster="c3""#).await, 0.0);
    assert_eq!(kubezone.metric("kubezone_cluster_synced", r#"cluster="c2""#).await, 1.0);
    release.takes_over(&running).await;

    let kubeconfig = fs::read_to_string(release.plane.kubeconfig()).expect("a kubeconfig");
    let secret = json!({ "metadata": { "name": "kubezone-c3" }, "stringData": { "kubeconfig": kubeconfig } });
    let secret = serde_json::from_value(secret).expect("a Secret");
    release.scene.api::<Secret>().create(&PostParams::default(), &secret).await.expect("created");
    running.mounted.write(&release.files().await);
    kubezone.answers("web.shop.svc.c3.k8s.ooo. AAAA", &web).await;
    eventually("nothing is missing any more", async || match kubezone.http("/readyz").await {
        answer if answer.ends_with("\r\nready\n") => Ok(()),
        answer => Err(answer),
    })
    .await;
    eventually("all is well", async || match status() {
        told if told.status.success() => Ok(()),
        told => Err(text(&told)),
    })
    .await;
}

//! kubezone with a real control plane: what the API says is what the DNS says, soon, and nothing that happens to the API
//! takes it away.
//!
//! The zone is read as anybody would read it, over sockets. Addresses and EndpointSlices are those that the API server and
//! its controllers make, but for the slices of one test that is about those which others make. kubezone has no rights but to list and watch the three kinds it follows.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use hickory_proto::rr::Name;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::core::WatchEvent;
use kubezone::cluster::Labels;
use kubezone::schema::Selector;
use serde_json::{Value, json};

use support::control_plane::{self, ControlPlane, SERVICE_RANGE, Scene, address, addresses, https, ports};
use support::kubezone::{KUBEZONE, Kubezone};
use support::process::Folder;
use support::{eventually, skip, tell};

/// The zone of almost every test.
const ZONE: &str = "c2.k8s.ooo";
/// What is said of a name that does not exist.
const ABSENT: &str = "NXDOMAIN c2.k8s.ooo.";

#[tokio::test]
async fn a_service_is_answered_from_its_creation_to_its_deletion() {
    let Some(plane) = control_plane::shared("a_service_is_answered").await else { return };
    let scene = plane.namespace("life").await;
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    kubezone.answers("web.life.svc AAAA", ABSENT).await;

    let web = scene.create_service("web", https()).await;
    kubezone.answers("web.life.svc AAAA", &address(&web)).await;
    kubezone.answers("web.life.svc A", "NODATA c2.k8s.ooo.").await;
    kubezone.answers("_https._tcp.web.life.svc SRV", "0 100 443 web.life.svc.c2.k8s.ooo.").await;
    kubezone.answers("life.svc AAAA", "NODATA c2.k8s.ooo.").await;

    let created = kubezone.serial().await;
    scene.change_service("web", json!({ "ports": ports(&[("http", 8080)]) })).await;
    kubezone.answers("_http._tcp.web.life.svc SRV", "0 100 8080 web.life.svc.c2.k8s.ooo.").await;
    kubezone.answers("_https._tcp.web.life.svc SRV", ABSENT).await;
    kubezone.answers("web.life.svc AAAA", &address(&web)).await;

    let changed = kubezone.serial().await;
    scene.delete_service("web").await;
    kubezone.answers("web.life.svc AAAA", ABSENT).await;
    kubezone.answers("_http._tcp.web.life.svc SRV", ABSENT).await;
    kubezone.answers("life.svc AAAA", ABSENT).await;

    let deleted = kubezone.serial().await;
    assert!(created < changed && changed < deleted, "serials rise: {created}, {changed}, {deleted}");
}

/// There is no kubelet that a port could be forwarded by: what can be seen is how far the real API lets it come.
#[tokio::test]
async fn a_pod_is_found_by_its_label_and_asked_through_the_api() {
    let Some(plane) = control_plane::shared("a_pod_is_found").await else { return };
    let scene = plane.namespace("found").await;
    let kubeconfig = plane.admin_kubeconfig().display().to_string();
    let status = || {
        let output =
            Command::new(KUBEZONE.as_str()).args(["status", "-n", "found", "--kubeconfig", &kubeconfig]).output();
        let output = output.expect("kubezone started");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let absent = "there is no Pod with the label app.kubernetes.io/name=kubezone in namespace found: install kubezone";
    let (code, said) = status();
    assert!(code == Some(3) && said.starts_with(absent), "{said}");

    scene.create_pod("other", "dns", json!({ "app.kubernetes.io/name": "other" }), json!([])).await;
    assert!(status().1.starts_with(absent));
    scene.create_pod("dns-0", "dns", json!({ "app.kubernetes.io/name": "kubezone" }), json!([])).await;
    let (code, said) = status();
    assert!(code == Some(3) && said.starts_with("Pod found/dns-0 is Pending, and no other Pod"), "{said}");
    scene.set_pod("dns-0", &["2a0a:e5c0:10:2::53"], true).await;
    let (code, said) = status();
    let expected =
        "could not forward a port of Pod found/dns-0: its node's kubelet has to be reached by the API server: ";
    assert!(code == Some(3) && said.starts_with(expected) && said.contains("no preferred addresses found"), "{said}");
    scene.delete().await;
}

#[tokio::test]
async fn a_server_tells_of_a_zone_that_comes_from_an_api() {
    const TEST: &str = "a_server_tells";
    let Some(plane) = control_plane::shared(TEST).await else { return };
    let scene = plane.namespace("told").await;
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    let web = scene.create_service("web", https()).await;
    kubezone.answers("web.told.svc AAAA", &address(&web)).await;

    let server = format!("http://{}", kubezone.admin());
    let say = |args: &[&str]| {
        let output = Command::new(KUBEZONE.as_str()).args(args).args(["--server", &server]).output();
        let output = output.expect("kubezone started");
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let explained = say(&["explain", "svc/web", "-n", "told"]);
    assert!(explained.contains("published as web.told.svc.c2.k8s.ooo."), "{explained}");
    assert!(explained.contains(&address(&web)), "{explained}");
    let dumped = say(&["zone", "dump", ZONE]);
    assert!(dumped.contains(&format!(" AAAA  {}\n", address(&web))), "{dumped}");
    let folder = Folder::new().expect("a temporary folder");
    let file = folder.write("c2.zone", &dumped).expect("written");
    match Command::new("named-checkzone").arg(ZONE).arg(file).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => skip(TEST, &error),
    }
}

#[tokio::test]
async fn in_a_pod_it_follows_its_own_cluster() {
    const TEST: &str = "in_a_pod";
    let Some(plane) = control_plane::shared(TEST).await else { return };
    let Some(pod) = plane.pod(TEST) else { return };
    let scene = plane.namespace("pod").await;
    let nameserver = "ns=2a0a:e5c0:13:e2::a";
    let serve = [&**KUBEZONE, "serve", "--zone", ZONE, "--nameserver", nameserver];
    let listen = ["--listen-dns", "[::1]:0", "--listen-metrics", "[::1]:0"];
    let command: Vec<_> = pod.iter().map(String::as_str).chain(serve).chain(listen).collect();
    let kubezone = Kubezone::start(ZONE, &command, Folder::new().expect("a temporary folder")).await.ready().await;

    let web = scene.create_service("web", https()).await;
    kubezone.answers("web.pod.svc AAAA", &address(&web)).await;
    kubezone.answers("ns AAAA", "2a0a:e5c0:13:e2::a").await;
}

#[tokio::test]
async fn a_deleted_namespace_takes_its_services_along() {
    let Some(plane) = control_plane::shared("a_deleted_namespace").await else { return };
    let (doomed, kept) = (plane.namespace("doomed").await, plane.namespace("kept").await);
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    let first = doomed.create_service("a", https()).await;
    let second = doomed.create_service("b", https()).await;
    let neighbour = kept.create_service("a", https()).await;
    kubezone.answers("a.doomed.svc AAAA", &address(&first)).await;
    kubezone.answers("b.doomed.svc AAAA", &address(&second)).await;

    doomed.delete().await;

    kubezone.answers("a.doomed.svc AAAA", ABSENT).await;
    kubezone.answers("b.doomed.svc AAAA", ABSENT).await;
    kubezone.answers("doomed.svc AAAA", ABSENT).await;
    kubezone.answers("a.kept.svc AAAA", &address(&neighbour)).await;
}

#[tokio::test]
async fn what_is_outside_of_the_cluster_is_answered_as_the_api_has_it() {
    let Some(plane) = control_plane::shared("what_is_outside").await else { return };
    let scene = plane.namespace("outside").await;
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;

    let web = scene.create_service("web", json!({ "type": "LoadBalancer", "ports": ports(&[("http", 80)]) })).await;
    kubezone.answers("web.outside.svc AAAA", &address(&web)).await;
    kubezone.answers("web.outside.svc A", "NODATA c2.k8s.ooo.").await;
    // As a cloud's controller would.
    let ingress = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "147.78.194.9" }] } } });
    let services: Api<Service> = scene.api();
    services.patch_status("web", &PatchParams::default(), &Patch::Merge(ingress)).await.expect("patched");
    kubezone.answers("web.outside.svc A", "147.78.194.9").await;
    scene.change_service("web", json!({ "externalIPs": ["147.78.194.10"], "type": "ClusterIP" })).await;
    kubezone.answers("web.outside.svc A", "147.78.194.10").await;
    kubezone.answers("web.outside.svc AAAA", &address(&web)).await;

    let external = |name: &str| json!({ "type": "ExternalName", "externalName": name });
    scene.create_service("mail", external("mail.example.net")).await;
    kubezone.answers("mail.outside.svc CNAME", "mail.example.net.").await;
    scene.change_service("mail", external("192.0.2.1")).await;
    kubezone.answers("mail.outside.svc CNAME", ABSENT).await;
    scene.change_service("mail", external("mail.example.org")).await;
    kubezone.answers("mail.outside.svc CNAME", "mail.example.org.").await;
}

#[tokio::test]
async fn labels_decide_what_is_published_and_annotations_within() {
    let Some(plane) = control_plane::shared("labels_decide").await else { return };
    let scene = plane.namespace("labelled").await;
    let (web, db) = (scene.create_service("web", https()).await, scene.create_service("db", https()).await);
    let publish = json!({
        "namespaceSelector": "public,kubernetes.io/metadata.name=labelled",
        "serviceSelector": "!hidden",
    });
    let kubezone = publishing(plane, publish).await;
    kubezone.answers("web.labelled.svc AAAA", ABSENT).await;

    scene.change_namespace(json!({ "labels": { "public": "" } })).await;
    kubezone.answers("web.labelled.svc AAAA", &address(&web)).await;
    kubezone.answers("db.labelled.svc AAAA", &address(&db)).await;

    let patch = json!({ "metadata": { "labels": { "hidden": "" }, "annotations": { "k8s.ooo/publish": "true" } } });
    let services: Api<Service> = scene.api();
    services.patch("db", &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    kubezone.answers("db.labelled.svc AAAA", ABSENT).await;
    scene.change_namespace(json!({ "labels": { "public": null } })).await;
    kubezone.answers("web.labelled.svc AAAA", ABSENT).await;
    kubezone.answers("labelled.svc AAAA", ABSENT).await;
}

#[tokio::test]
async fn a_namespace_shows_and_hides_all_of_its_services_in_one_version() {
    const SERVICES: usize = 60;
    let Some(plane) = control_plane::shared("a_namespace_shows_and_hides").await else { return };
    let scene = plane.namespace("flip").await;
    let create = |number| scene.create_service(format!("web-{number}"), https());
    let services: Vec<Service> = stream::iter(0..SERVICES).map(create).buffer_unordered(16).collect().await;
    // What other tests do is in no version of this zone.
    let kubezone = publishing(plane, json!({ "namespaces": ["flip"], "namespaceSelector": "!closed" })).await;

    let mut serial = 0;
    for (version, (what, metadata, are_shown)) in [
        ("as they were created", json!({}), true),
        ("its annotation", json!({ "annotations": { "k8s.ooo/publish": "false" } }), false),
        ("no annotation", json!({ "annotations": { "k8s.ooo/publish": null } }), true),
        ("its label", json!({ "labels": { "closed": "" } }), false),
        ("no label", json!({ "labels": { "closed": null } }), true),
    ]
    .into_iter()
    .enumerate()
    {
        scene.change_namespace(metadata).await;
        for service in &services {
            let name = service.metadata.name.as_deref().expect("a name");
            let expected = if are_shown { address(service) } else { ABSENT.to_owned() };
            kubezone.answers(&format!("{name}.flip.svc AAAA"), &expected).await;
        }
        published(&kubezone, 1 + version).await;
        let before = std::mem::replace(&mut serial, kubezone.serial().await);
        assert!(before < serial, "{what}: {before}, then {serial}");
    }
}

#[tokio::test]
async fn a_service_has_the_families_that_it_asks_for() {
    let Some(plane) = control_plane::dual_stack("a_service_has_the_families").await else { return };
    let scene = plane.namespace("both").await;
    let public = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    let allow = json!(["2a0a:e5c0::/32", "10.96.0.0/16", "147.78.194.0/24"]);
    let all = publishing(&plane, json!({ "addresses": { "allow": allow } })).await;
    let nodata = "NODATA c2.k8s.ooo.";

    // The order of the families is that of `clusterIPs`, and makes no other records.
    for (name, policy, families) in [
        ("single", "SingleStack", vec!["IPv6"]),
        ("prefer", "PreferDualStack", vec!["IPv6", "IPv4"]),
        ("require", "RequireDualStack", vec!["IPv6", "IPv4"]),
        ("turned", "RequireDualStack", vec!["IPv4", "IPv6"]),
        ("old", "SingleStack", vec!["IPv4"]),
    ] {
        let spec = json!({ "ipFamilyPolicy": policy, "ipFamilies": families, "ports": ports(&[("https", 443)]) });
        let service = scene.create_service(name, spec).await;
        let address =
            |of: &str| families.iter().position(|family| *family == of).map(|at| addresses(&service)[at].clone());
        let (v6, v4) = (address("IPv6"), address("IPv4"));
        let question = |qtype: &str| format!("{name}.both.svc {qtype}");
        let srv = format!("_https._tcp.{name}.both.svc SRV");
        let target = format!("0 100 443 {name}.both.svc.c2.k8s.ooo.");

        all.answers(&question("AAAA"), v6.as_deref().unwrap_or(nodata)).await;
        all.answers(&question("A"), v4.as_deref().unwrap_or(nodata)).await;
        all.answers(&srv, &target).await;
        // Its addresses of IPv4 are private: without the others, the Service is not there.
        public.answers(&question("AAAA"), v6.as_deref().unwrap_or(ABSENT)).await;
        public.answers(&question("A"), v6.as_ref().map_or(ABSENT, |_| nodata)).await;
        public.answers(&srv, v6.as_ref().map_or(ABSENT, |_| &target)).await;
    }

    let edited = scene.change_service("single", json!({ "ipFamilyPolicy": "PreferDualStack" })).await;
    let [v6, v4] = &addresses(&edited)[..] else { panic!("two addresses: {edited:?}") };
    all.answers("single.both.svc A", v4).await;
    all.answers("single.both.svc AAAA", v6).await;
    scene.change_service("single", json!({ "ipFamilyPolicy": "SingleStack" })).await;
    all.answers("single.both.svc A", nodata).await;
    all.answers("single.both.svc AAAA", v6).await;

    // Of a headless Service, each endpoint has the addresses of its Pod.
    let labels = json!({ "app": "db" });
    let spec = json!({ "clusterIP": "None", "ipFamilyPolicy": "RequireDualStack", "selector": labels.clone() });
    scene.create_service("db", spec).await;
    for (pod, addresses) in [
        ("db-0", &["2a0a:e5c0:10:2::10", "147.78.194.10"][..]),
        ("db-1", &["2a0a:e5c0:10:2::11"]),
        ("db-2", &["147.78.194.12"]),
    ] {
        scene.create_pod(pod, "db", labels.clone(), json!([])).await;
        scene.set_pod(pod, addresses, true).await;
    }
    for kubezone in [&all, &public] {
        kubezone.answers("db.both.svc AAAA", "2a0a:e5c0:10:2::10, 2a0a:e5c0:10:2::11").await;
        kubezone.answers("db.both.svc A", "147.78.194.10, 147.78.194.12").await;
        kubezone.answers("db-0.db.both.svc A", "147.78.194.10").await;
        kubezone.answers("db-1.db.both.svc A", nodata).await;
        kubezone.answers("db-2.db.both.svc AAAA", nodata).await;
    }
    scene.delete_pod("db-2").await;
    scene.set_pod("db-0", &["2a0a:e5c0:10:2::10", "147.78.194.10"], false).await;
    all.answers("db.both.svc A", nodata).await;
    all.answers("db.both.svc AAAA", "2a0a:e5c0:10:2::11").await;
}

/// What an audit says is to be typed is typed into a shell, and the API takes it.
#[tokio::test]
async fn what_an_audit_tells_to_do_makes_a_service_ready() {
    let Some(plane) = control_plane::dual_stack("what_an_audit_tells").await else { return };
    let scene = plane.namespace("shop").await;
    let labels = json!({ "app": "web" });
    scene.create_pod("web-0", "web", labels.clone(), json!([])).await;
    scene.set_pod("web-0", &["2a0a:e5c0:10:2::10", "10.244.0.10"], true).await;
    let v4 = |more: Value| {
        let mut spec =
            json!({ "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"], "ports": ports(&[("http", 80)]) });
        spec.as_object_mut().expect("a spec").extend(more.as_object().expect("fields").clone());
        spec
    };
    // The controller makes endpoints of a Service's families only; somebody's own controller may make others.
    scene.create_service("selected", v4(json!({ "selector": labels.clone() }))).await;
    scene.create_service("headless", v4(json!({ "selector": labels, "clusterIP": "None" }))).await;
    scene.create_service("by-hand", v4(json!({}))).await;
    let endpoints = json!([{ "addresses": ["2a0a:e5c0:10:2::11"] }]);
    scene.create_slice("by-hand-6", "by-hand", "IPv6", endpoints, ports(&[("http", 80)])).await;

    audit(&plane, "by-hand", "change", "IPv6EndpointsUnused").await;
    // Without the right to list Pods nobody sees what these have.
    audit(&plane, "selected", "blocked", "NoIPv6Family").await;
    plane.let_watch_pods().await;
    audit(&plane, "selected", "change", "IPv6EndpointsUnused").await;
    audit(&plane, "headless", "change", "IPv6EndpointsUnused").await;
    scene.create_pod("old-0", "old", json!({ "app": "old" }), json!([])).await;
    scene.set_pod("old-0", &["10.244.0.11"], true).await;
    scene.create_service("old", v4(json!({ "selector": { "app": "old" } }))).await;
    audit(&plane, "old", "blocked", "NoIPv6Family").await;
    for name in ["by-hand", "selected", "headless"] {
        let command = audited(&plane, name).await["command"].as_str().expect("a command").to_owned();
        let script = format!("kubectl() {{ printf '%s\\n' \"$@\"; }}; {command}");
        let typed = Command::new("sh").args(["-c", &script]).output().expect("sh");
        let typed = String::from_utf8(typed.stdout).expect("UTF-8");
        let args: Vec<_> = typed.lines().collect();
        let &["patch", "svc", of, "-n", "shop", "--type=merge", "-p", patch] = &args[..] else { panic!("{typed}") };
        assert_eq!(of, name);
        let patch: Value = serde_json::from_str(patch).expect("JSON");
        let services: Api<Service> = scene.api();
        services.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("the API takes it");
        // All of IPv6 is well; what stands is that IPv4 goes first.
        audit(&plane, name, "ready", "IPv4Primary").await;
    }
}

/// Waits until an audit of the cluster has this verdict on the Service, and finds this first.
async fn audit(plane: &ControlPlane, name: &str, verdict: &str, finding: &str) {
    eventually(&format!("{name} is {verdict}: {finding}"), async || {
        let audited = audited(plane, name).await;
        let is_so = audited["verdict"] == verdict && audited["reasons"][0]["name"] == finding;
        if is_so { Ok(()) } else { Err(audited.to_string()) }
    })
    .await;
}

/// What `kubezone audit` says of one Service in the namespace shop.
async fn audited(plane: &ControlPlane, name: &str) -> Value {
    let mut command = tokio::process::Command::new(KUBEZONE.as_str());
    command.args(["audit", "-n", "shop", "-o", "json", "--zone", ZONE, "--kubeconfig"]).arg(plane.kubeconfig());
    let output = command.output().await.expect("kubezone started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let one = all.as_array().expect("a list").iter().find(|it| it["name"] == name);
    one.unwrap_or_else(|| panic!("there is no {name}: {all}")).clone()
}

/// Who may not list is told what it lacks.
#[tokio::test]
async fn a_cluster_that_may_not_be_read_is_told_of() {
    let Some(plane) = control_plane::own("a_cluster_that_may_not_be_read").await else { return };
    let bindings: Api<ClusterRoleBinding> = Api::all(plane.client().await);
    bindings.delete("kubezone", &DeleteParams::default()).await.expect("deleted");
    let line = eventually("the rights are gone", async || {
        let mut command = tokio::process::Command::new(KUBEZONE.as_str());
        command.args(["explain", "svc/web", "--zone", ZONE, "--kubeconfig"]).arg(plane.kubeconfig());
        let output = command.output().await.expect("kubezone started");
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        if output.status.code() == Some(3) { Ok(line) } else { Err(format!("{:?}: {line}", output.status)) }
    })
    .await;
    assert!(
        line.starts_with("namespaces could not be listed (see `kubectl auth can-i list namespaces -A`: "),
        "{line}"
    );
    assert!(line.contains("the API answered 403 Forbidden: namespaces is forbidden: User"), "{line}");
}

/// Every request for anything else would be forbidden, and counted.
#[tokio::test]
async fn a_cluster_is_read_in_the_namespaces_that_may_be_read() {
    let Some(plane) = control_plane::shared("a_cluster_is_read_in_the_namespaces").await else { return };
    let [a, b, c] = [plane.namespace("own-a").await, plane.namespace("own-b").await, plane.namespace("own-c").await];
    for scene in [&a, &b] {
        scene.let_read().await;
    }
    let [of_a, of_c] = [a.create_service("web", https()).await, c.create_service("web", https()).await];
    let folder = Folder::new().expect("a temporary folder");
    let path = folder.join("kubezone.yaml");
    let configuration = |namespaces: &[&str]| {
        let configuration = json!({
            "listen": { "dns": ["[::1]:0"], "metrics": "[::1]:0" },
            "clusters": [{ "name": "c2", "kubeconfig": plane.kubeconfig_of_tenant(), "namespaces": namespaces }],
            "zones": [{
                "name": ZONE,
                "cluster": "c2",
                "nameservers": [{ "name": "ns", "addresses": ["2a0a:e5c0:13:e2::a"] }],
            }],
        });
        configuration.to_string()
    };
    let kubezone = Kubezone::configured(ZONE, folder, &configuration(&["own-a", "own-b"])).await.ready().await;

    kubezone.answers("web.own-a.svc AAAA", &address(&of_a)).await;
    b.create_service("db", json!({ "clusterIP": "None", "ports": ports(&[("pg", 5432)]) })).await;
    let endpoints = json!([{ "addresses": ["2a0a:e5c0:10:2::10"], "hostname": "db-0" }]);
    b.create_slice("db-a", "db", "IPv6", endpoints, ports(&[("pg", 5432)])).await;
    kubezone.answers("db-0.db.own-b.svc AAAA", "2a0a:e5c0:10:2::10").await;
    b.delete_service("db").await;
    kubezone.answers("db-0.db.own-b.svc AAAA", ABSENT).await;
    kubezone.answers("web.own-c.svc AAAA", ABSENT).await;
    // Nobody reads what it says.
    a.change_namespace(json!({ "annotations": { "k8s.ooo/publish": "false" } })).await;
    let late = a.create_service("late", https()).await;
    kubezone.answers("late.own-a.svc AAAA", &address(&late)).await;

    let config = path.display().to_string();
    let server = format!("http://{}", kubezone.admin());
    for from in [["--config", &config], ["--server", &server]] {
        let say = |args: &[&str], status: i32| {
            let output = Command::new(KUBEZONE.as_str()).args(args).args(from).output().expect("kubezone started");
            assert_eq!(output.status.code(), Some(status), "{args:?} {from:?}: {output:?}");
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        assert!(say(&["explain", "svc/web", "-n", "own-a"], 0).contains(&address(&of_a)));
        for what in [&["explain", "svc/web", "-n", "own-c"][..], &["explain", "web.own-c.svc.c2.k8s.ooo"]] {
            let explained = say(what, 1);
            assert!(explained.contains("Service own-c/web in c2.k8s.ooo.: its namespace is not read"), "{explained}");
            assert!(explained.contains("KZ0118 NamespaceNotRead"), "{explained}");
        }
        let audited = say(&["audit"], 0);
        assert!(audited.contains("own-a") && !audited.contains("own-c"), "{audited}");
    }

    c.let_read().await;
    let reload = |namespaces: &[&str]| {
        let new = path.with_extension("new");
        std::fs::write(&new, configuration(namespaces)).expect("written");
        std::fs::rename(new, &path).expect("renamed");
    };
    let serial = kubezone.serial().await;
    reload(&["own-a", "own-b", "own-c"]);
    eventually("the third namespace is served", async || {
        assert_eq!(kubezone.ask("web.own-a.svc AAAA").await, address(&of_a), "without a gap");
        match kubezone.ask("web.own-c.svc AAAA").await {
            said if said == address(&of_c) => Ok(()),
            said => Err(said),
        }
    })
    .await;
    assert!(kubezone.serial().await > serial);
    reload(&["own-b", "own-c"]);
    kubezone.answers("web.own-a.svc AAAA", ABSENT).await;
    kubezone.answers("web.own-c.svc AAAA", &address(&of_c)).await;
    assert_eq!(kubezone.metric("kubezone_cluster_errors_total", "").await, 0.0, "{:?}", kubezone.log());

    // One that may not be read holds up what is new, and nothing else goes.
    plane.namespace("own-d").await;
    reload(&["own-b", "own-c", "own-d"]);
    kubezone.counts_error("reason=\"forbidden\"").await;
    let is_told = |line: &Value| line["fields"]["namespace"] == "own-d" && line["fields"]["kind"] == "Service";
    eventually("it is told which", async || match kubezone.log() {
        log if log.iter().any(is_told) => Ok(()),
        log => Err(format!("{log:?}")),
    })
    .await;
    kubezone.answers("web.own-c.svc AAAA", &address(&of_c)).await;
    assert_eq!(kubezone.metric("kubezone_cluster_synced", "").await, 0.0);
}

/// What a check before there is a server says of the cluster that a kubeconfig leads to: its exit status, and `level code: message`
/// of each thing.
async fn checked(folder: &Folder, kubeconfig: &Path, of_cluster: Value, publish: Value) -> (Option<i32>, Vec<String>) {
    let mut cluster = json!({ "name": "c2", "kubeconfig": kubeconfig });
    cluster.as_object_mut().expect("keys").extend(of_cluster.as_object().expect("keys").clone());
    let configuration = json!({
        "listen": { "dns": ["[::1]:0"], "metrics": "[::1]:0", "admin": "" },
        "clusters": [cluster],
        "zones": [{ "name": ZONE, "cluster": "c2", "nameservers": [{ "name": "ns.example." }], "publish": publish }],
    });
    let path = folder.write("check.yaml", &configuration.to_string()).expect("written");
    let mut command = tokio::process::Command::new(KUBEZONE.as_str());
    let output = command.args(["check", "--pre", "-o", "json", "--config"]).arg(path).output().await.expect("it runs");
    let checks: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let of_cluster = checks.as_array().expect("a list").iter().filter(|it| it["check"] == "cluster");
    let text = |it: &Value, field: &str| it[field].as_str().expect("text").to_owned();
    let lines = of_cluster.map(|it| format!("{} {}: {}", text(it, "level"), text(it, "code"), text(it, "message")));
    (output.status.code(), lines.collect())
}

/// The API says what may be done there, and whoever may look says where addresses come from.
#[tokio::test]
async fn a_check_tells_what_a_cluster_permits_and_has() {
    const TEST: &str = "a_check_tells_what_a_cluster";
    let Some(plane) = control_plane::shared(TEST).await else { return };
    let version = control_plane::version(TEST).expect("there are programs");
    let folder = Folder::new().expect("a temporary folder");
    let [a, b] = [plane.namespace("check-a").await, plane.namespace("check-b").await];
    a.let_read().await;
    let permissions = |resources: &[&str], place: &str, level: &str| -> Vec<String> {
        let may = if level == "good" { "may" } else { "may not" };
        let of = |resource: &&str| {
            ["list", "watch"]
                .map(|verb| format!("{level} permission-{verb}-{resource}: {may} {verb} {resource} in {place}"))
        };
        resources.iter().flat_map(of).collect()
    };
    let check = async |kubeconfig: &Path, of_cluster: Value, publish: Value, status: i32, expected: &[String]| {
        let (found, lines) = checked(&folder, kubeconfig, of_cluster, publish).await;
        assert_eq!(found, Some(status), "{lines:#?}");
        let answers =
            [format!("good api-reachable: {} answers", kubeconfig.display()), format!("good api-version: {version}")];
        assert_eq!(lines, [&answers, expected].concat());
    };
    let all = ["services", "endpointslices", "namespaces"];
    let unknown = ["service-range: cannot be told from ServiceCIDR objects", "pod-range: cannot be told from Nodes"]
        .map(|code| format!("odd {code}: kubezone may not list them, and need not"));
    let none =
        "odd address-at-hand: no range of Services is known that is published, and no address of a load balancer";
    let none = vec![none.to_owned()];

    // As README's ClusterRole permits it.
    let expected = [permissions(&all, "all namespaces", "good"), unknown.to_vec(), none.clone()].concat();
    check(&plane.kubeconfig(), json!({}), json!({}), 0, &expected).await;

    // Two namespaces, a Role in one of them.
    let of_some = json!({ "namespaces": ["check-a", "check-b"] });
    let permitted = |resource: &str| {
        let of = |namespace: &str, level: &str| permissions(&[resource], &format!("namespace {namespace}"), level);
        [of("check-a", "good"), of("check-b", "bad")].concat()
    };
    let expected = [permitted("services"), permitted("endpointslices"), unknown.to_vec(), none.clone()].concat();
    check(&plane.kubeconfig_of_tenant(), of_some.clone(), json!({}), 1, &expected).await;
    let (status, lines) = checked(&folder, &plane.kubeconfig_of_tenant(), json!({}), json!({})).await;
    assert_eq!(status, Some(1));
    assert!(permissions(&all, "all namespaces", "bad").iter().all(|line| lines.contains(line)), "{lines:#?}");
    b.let_read().await;
    // A load balancer's address will do; that of a Namespace that is not read is not looked at.
    let web = json!({ "type": "LoadBalancer", "ports": ports(&[("http", 80)]) });
    b.create_service("web", web).await;
    let ingress = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "147.78.194.9" }] } } });
    let services: Api<Service> = b.api();
    services.patch_status("web", &PatchParams::default(), &Patch::Merge(ingress)).await.expect("patched");
    let (status, lines) = checked(&folder, &plane.kubeconfig_of_tenant(), of_some, json!({ "pods": true })).await;
    assert_eq!(status, Some(1), "{lines:#?}");
    for line in [
        "good permission-watch-services: may watch services in namespace check-b",
        "bad permission-list-pods: may not list pods in namespace check-a",
        "good address-at-hand: load balancers give addresses such as 147.78.194.9",
    ] {
        assert!(lines.iter().any(|said| said == line), "{line}: {lines:#?}");
    }

    // Who may see all of it sees the ranges, too.
    let (status, lines) = checked(&folder, &plane.admin_kubeconfig(), json!({}), json!({})).await;
    assert_eq!(status, Some(0), "{lines:#?}");
    for line in [
        format!("good service-range: {SERVICE_RANGE}: published"),
        "odd pod-range: Nodes say no range".to_owned(),
        format!("good address-at-hand: Services have addresses of {SERVICE_RANGE}"),
    ] {
        assert!(lines.contains(&line), "{line}: {lines:#?}");
    }
    let private = json!({ "addresses": { "allow": ["fd00::/8"] } });
    let (_, lines) = checked(&folder, &plane.admin_kubeconfig(), json!({}), private).await;
    let not = format!("odd service-range: {SERVICE_RANGE}: none that the world can reach, and so not published");
    assert!(lines.contains(&not), "{lines:#?}");
    let ranges = json!({ "spec": { "podCIDR": "2a0a:e5c0:10:2::/112", "podCIDRs": ["2a0a:e5c0:10:2::/112"] } });
    let nodes: Api<Node> = Api::all(plane.client().await);
    nodes.patch("node", &PatchParams::default(), &Patch::Merge(ranges)).await.expect("patched");
    let (_, lines) = checked(&folder, &plane.admin_kubeconfig(), json!({}), json!({})).await;
    assert!(lines.contains(&"good pod-range: 2a0a:e5c0:10:2::/112: published".to_owned()), "{lines:#?}");

    // Nobody that the API knows, and no API.
    let known = std::fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
    let stranger = folder.write("stranger", &known.replace("kubezone-token", "no-token")).expect("written");
    let (status, lines) = checked(&folder, &stranger, json!({}), json!({})).await;
    assert_eq!((status, lines.len()), (Some(1), 1), "{lines:#?}");
    assert!(lines[0].contains("bad api-reachable") && lines[0].contains("401 Unauthorized"), "{lines:#?}");
    let nowhere = folder.write("nowhere", &known.replace("https://[::1]:", "https://[::1]:1/")).expect("written");
    let (status, lines) = checked(&folder, &nowhere, json!({}), json!({})).await;
    assert_eq!((status, lines.len()), (Some(1), 1), "{lines:#?}");
    assert!(lines[0].contains("bad api-reachable") && lines[0].contains("refused"), "{lines:#?}");
}

/// A secondary that is told of a new serial transfers the zone, and should find that something is new.
#[tokio::test]
async fn only_what_changes_a_record_moves_the_serial() {
    let Some(plane) = control_plane::shared("only_what_changes_a_record").await else { return };
    let scene = plane.namespace("serial").await;
    let services: Api<Service> = scene.api();
    let change = async |patch: Value| {
        services.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    };
    let web = scene.create_service("web", https()).await;
    // What other tests do is in no version of this zone.
    let kubezone = publishing(plane, json!({ "namespaces": ["serial"] })).await;
    kubezone.answers("web.serial.svc AAAA", &address(&web)).await;
    published(&kubezone, 1).await;
    let first = kubezone.serial().await;

    change(json!({ "metadata": { "labels": { "team": "shop" }, "annotations": { "example.org/note": "none" } } }))
        .await;
    change(json!({ "spec": { "selector": { "app": "web" }, "sessionAffinity": "ClientIP" } })).await;
    change(json!({ "spec": { "ports": [{ "name": "https", "port": 443, "targetPort": 8443 }] } })).await;
    change(json!({ "spec": { "type": "NodePort" } })).await;
    change(json!({ "spec": { "type": "LoadBalancer" } })).await;
    scene.create_service("none", json!({ "clusterIP": "None" })).await;
    scene.create_slice("web-a", "web", "IPv6", json!([{ "addresses": ["2a0a:e5c0:10:2::20"] }]), json!([])).await;
    scene.change_namespace(json!({ "labels": { "team": "shop" } })).await;
    // Services are heard of in order, so that what comes last tells that all of it was. The slice and the Namespace may be
    // late, and make no version then.
    let last = scene.create_service("last", https()).await;
    kubezone.answers("last.serial.svc AAAA", &address(&last)).await;
    published(&kubezone, 2).await;

    let mut serials = vec![first, kubezone.serial().await];
    let numbered = |port: u16| json!({ "spec": { "ports": [{ "name": "web", "port": port }] } });
    for (patch, question, answer) in [
        (numbered(443), "_web._tcp.web.serial.svc SRV", "0 100 443 web.serial.svc.c2.k8s.ooo."),
        (numbered(444), "_web._tcp.web.serial.svc SRV", "0 100 444 web.serial.svc.c2.k8s.ooo."),
        (json!({ "spec": { "externalIPs": ["147.78.194.9"] } }), "web.serial.svc A", "147.78.194.9"),
        (json!({ "spec": { "externalIPs": ["147.78.194.10"] } }), "web.serial.svc A", "147.78.194.10"),
        (json!({ "metadata": { "annotations": { "k8s.ooo/publish": "false" } } }), "web.serial.svc A", ABSENT),
    ] {
        change(patch).await;
        kubezone.answers(question, answer).await;
        serials.push(kubezone.serial().await);
    }
    assert!(serials.is_sorted_by(|one, next| one < next), "{serials:?}");
    published(&kubezone, serials.len()).await;

    // Hidden, nothing of it counts.
    change(json!({ "metadata": { "annotations": { "k8s.ooo/ttl": "60" } } })).await;
    change(numbered(445)).await;
    scene.delete_service("web").await;
    scene.delete_service("last").await;
    kubezone.answers("last.serial.svc AAAA", ABSENT).await;
    published(&kubezone, serials.len() + 1).await;
}

/// Services without selectors: no controller makes slices for them, and none repairs what it finds.
#[tokio::test]
async fn endpoint_slices_made_by_hand_count_as_they_are() {
    let Some(plane) = control_plane::shared("endpoint_slices_made_by_hand").await else { return };
    let scene = plane.namespace("by-hand").await;
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    let slices: Api<EndpointSlice> = scene.api();
    let change = async |name: &str, patch: Value| {
        slices.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    };
    for name in ["db", "other"] {
        scene.create_service(name, json!({ "clusterIP": "None", "ports": ports(&[("pg", 5432)]) })).await;
    }
    // Where there is a cluster IP, endpoints have no names. (Events of a kind come in order: this was seen before the next.)
    let whole = scene.create_service("whole", https()).await;
    let behind = json!([{ "addresses": ["2a0a:e5c0:10:2::20"], "hostname": "db-0" }]);
    scene.create_slice("whole-a", "whole", "IPv6", behind, ports(&[("https", 8443)])).await;

    // As the controller writes it, too: ready, or unknown, which counts as ready.
    let first = json!([
        { "addresses": ["2a0a:e5c0:10:2::10"], "hostname": "db-0", "conditions": { "ready": true } },
        { "addresses": ["2a0a:e5c0:10:2::11"], "hostname": "db-1" },
        { "addresses": ["2a0a:e5c0:10:2::12"], "hostname": "db-2", "conditions": { "ready": false, "serving": true } },
    ]);
    scene.create_slice("db-a", "db", "IPv6", first, ports(&[("pg", 5432)])).await;
    kubezone.answers("db.by-hand.svc AAAA", "2a0a:e5c0:10:2::10, 2a0a:e5c0:10:2::11").await;
    kubezone.answers("db-2.db.by-hand.svc AAAA", ABSENT).await;
    kubezone.answers("db-0.whole.by-hand.svc AAAA", ABSENT).await;
    kubezone.answers("whole.by-hand.svc AAAA", &address(&whole)).await;

    // A second slice says something again, and a third is of the other family.
    let second = json!([
        { "addresses": ["2a0a:e5c0:10:2::10"], "hostname": "db-0" },
        { "addresses": ["2a0a:e5c0:10:2::13"], "hostname": "db-3" },
    ]);
    scene.create_slice("db-b", "db", "IPv6", second, ports(&[("pg", 5433)])).await;
    let third = json!([{ "addresses": ["147.78.194.10"], "hostname": "db-0" }]);
    scene.create_slice("db-c", "db", "IPv4", third, ports(&[("pg", 5432)])).await;
    kubezone.answers("db.by-hand.svc AAAA", "2a0a:e5c0:10:2::10, 2a0a:e5c0:10:2::11, 2a0a:e5c0:10:2::13").await;
    kubezone.answers("db-0.db.by-hand.svc A", "147.78.194.10").await;
    let target = |port: u16, name: &str| format!("0 100 {port} {name}.by-hand.svc.c2.k8s.ooo.");
    let all = [target(5432, "db-0.db"), target(5432, "db-1.db"), target(5433, "db-0.db"), target(5433, "db-3.db")];
    kubezone.answers("_pg._tcp.db.by-hand.svc SRV", &all.join(", ")).await;

    // Its label says whose a slice is.
    change("db-b", json!({ "metadata": { "labels": { "kubernetes.io/service-name": "other" } } })).await;
    kubezone.answers("db.by-hand.svc AAAA", "2a0a:e5c0:10:2::10, 2a0a:e5c0:10:2::11").await;
    kubezone.answers("db-3.db.by-hand.svc AAAA", ABSENT).await;
    kubezone.answers("db-3.other.by-hand.svc AAAA", "2a0a:e5c0:10:2::13").await;
    kubezone
        .answers(
            "_pg._tcp.other.by-hand.svc SRV",
            &[&target(5433, "db-0.other"), &*target(5433, "db-3.other")].join(", "),
        )
        .await;
    change("db-b", json!({ "metadata": { "labels": { "kubernetes.io/service-name": null } } })).await;
    kubezone.answers("other.by-hand.svc AAAA", ABSENT).await;

    let now_ready =
        json!([{ "addresses": ["2a0a:e5c0:10:2::12"], "hostname": "db-2", "conditions": { "ready": true } }]);
    change("db-a", json!({ "endpoints": now_ready })).await;
    kubezone.answers("db.by-hand.svc AAAA", "2a0a:e5c0:10:2::12").await;
    slices.delete("db-a", &DeleteParams::default()).await.expect("deleted");
    kubezone.answers("db.by-hand.svc AAAA", "NODATA c2.k8s.ooo.").await;
    kubezone.answers("db.by-hand.svc A", "147.78.194.10").await;
    slices.delete("db-c", &DeleteParams::default()).await.expect("deleted");
    kubezone.answers("db.by-hand.svc A", ABSENT).await;

    // Behind a cluster IP endpoints were only counted. Nobody tells of them again when the Service becomes headless: they are
    // asked for.
    scene.delete_service("whole").await;
    scene.create_service("whole", json!({ "clusterIP": "None", "ports": ports(&[("https", 443)]) })).await;
    kubezone.answers("whole.by-hand.svc AAAA", "2a0a:e5c0:10:2::20").await;
    kubezone.answers("db-0.whole.by-hand.svc AAAA", "2a0a:e5c0:10:2::20").await;
}

#[tokio::test]
async fn addresses_have_names_while_they_are_published() {
    let Some(plane) = control_plane::shared("addresses_have_names").await else { return };
    let scene = plane.namespace("reverse").await;
    let apex = "0.0.0.0.3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa";
    let configuration = json!({
        "listen": { "dns": ["[::1]:0"], "metrics": "[::1]:0" },
        "clusters": [{ "name": "c2", "kubeconfig": plane.kubeconfig() }],
        "zones": [
            { "name": ZONE, "cluster": "c2", "nameservers": [{ "name": "ns", "addresses": ["2a0a:e5c0:13:e2::a"] }] },
            { "name": apex, "reverseOf": [ZONE], "nameservers": [{ "name": format!("ns.{ZONE}.") }] },
        ],
    });
    let folder = Folder::new().expect("a temporary folder");
    let kubezone = Kubezone::configured(ZONE, folder, &configuration.to_string()).await.ready().await;

    let web = scene.create_service("web", https()).await;
    let ptr = format!("{} PTR", Name::from(address(&web).parse::<IpAddr>().expect("an address")));
    let absent = format!("NXDOMAIN {apex}.");
    kubezone.answers(&ptr, "web.reverse.svc.c2.k8s.ooo.").await;
    scene.change_namespace(json!({ "annotations": { "k8s.ooo/publish": "false" } })).await;
    kubezone.answers(&ptr, &absent).await;
    scene.change_namespace(json!({ "annotations": null })).await;
    kubezone.answers(&ptr, "web.reverse.svc.c2.k8s.ooo.").await;

    // Whoever has the address as its cluster IP goes before whoever merely says so.
    scene.create_service("thief", json!({ "clusterIP": "None", "ports": ports(&[("https", 443)]) })).await;
    let stolen = json!([{ "addresses": [address(&web)], "hostname": "www" }]);
    scene.create_slice("thief-a", "thief", "IPv6", stolen, ports(&[("https", 443)])).await;
    kubezone.answers("www.thief.reverse.svc AAAA", &address(&web)).await;
    kubezone.answers(&ptr, "web.reverse.svc.c2.k8s.ooo.").await;
    scene.delete_service("web").await;
    kubezone.answers(&ptr, "www.thief.reverse.svc.c2.k8s.ooo.").await;
    scene.delete_service("thief").await;
    kubezone.answers(&ptr, &absent).await;
}

/// Waits until kubezone has counted so many versions, which it does once it answers from them; fails if there are more.
async fn published(kubezone: &Kubezone, versions: usize) {
    eventually(&format!("{versions} versions of the zone"), async || {
        let counted = kubezone.metric("kubezone_publish_duration_seconds_count", "").await;
        assert!(counted <= versions as f64, "{counted} versions of the zone, where {versions} would do");
        if counted == versions as f64 { Ok(()) } else { Err(format!("{counted}")) }
    })
    .await;
}

/// A kubezone that publishes as this says.
async fn publishing(plane: &ControlPlane, publish: Value) -> Kubezone {
    let configuration = json!({
        "listen": { "dns": ["[::1]:0"], "metrics": "[::1]:0" },
        "clusters": [{ "name": "c2", "kubeconfig": plane.kubeconfig() }],
        "zones": [{
            "name": ZONE,
            "cluster": "c2",
            "nameservers": [{ "name": "ns", "addresses": ["2a0a:e5c0:13:e2::a"] }],
            "publish": publish,
        }],
    });
    let folder = Folder::new().expect("a temporary folder");
    Kubezone::configured(ZONE, folder, &configuration.to_string()).await.ready().await
}

/// Our reading of label selectors, put to the API server, which lists the same Services or refuses the selector, too.
#[tokio::test]
async fn selectors_select_what_the_api_server_selects() {
    let Some(plane) = control_plane::shared("selectors_select").await else { return };
    let scene = plane.namespace("selected").await;
    let services: Api<Service> = scene.api();
    let labels = [
        json!({}),
        json!({ "team": "shop" }),
        json!({ "team": "mail", "tier": "web", "rank": "3" }),
        json!({ "team": "", "in": "out", "example.org/Odd_Key": "x", "rank": "7" }),
    ];
    let all: BTreeMap<String, Labels> = stream::iter(labels.iter().enumerate())
        .then(async |(number, labels)| {
            let name = format!("s{number}");
            let service = json!({ "metadata": { "name": name, "labels": labels }, "spec": https() });
            let service = serde_json::from_value(service).expect("a Service");
            services.create(&PostParams::default(), &service).await.expect("created");
            let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).expect("labels");
            (name, labels.into_iter().collect())
        })
        .collect()
        .await;
    let selectors = [
        "",
        " ",
        "team",
        "!team",
        "! team",
        "team=shop",
        "team == shop",
        "team=",
        "team!=shop",
        "team in (shop)",
        "team in(shop,mail)",
        "team in (,shop)",
        "team in ()",
        "team in (shop,)",
        "team notin ( shop , mail )",
        "team,tier=web",
        "team,!tier,team!=shop",
        "rank>2",
        "rank > 3",
        "rank<4",
        "rank<-1",
        "rank>-4",
        "team>1",
        "in in (out)",
        "in",
        "notin",
        "notin notin (a)",
        "example.org/Odd_Key=x",
        "Example.org=x",
        "team=in",
        "team=notin",
        "team in (in)",
        ",",
        "team,",
        ",team",
        "!",
        "!team=shop",
        "team shop",
        "team=a=b",
        "team=a b",
        "team in shop",
        "team in",
        "team in (shop",
        "team in (a b)",
        "team in (a,(b))",
        "rank>many",
        "rank>",
        "-team",
        "a/b/c",
        "Example.org/a",
        "/a",
        "a/",
        "team=-a",
        "team=\u{e9}",
        "team=(a)",
        "(team)",
        "team in (-a)",
        "team!",
        "team!shop",
        "team=!shop",
        "team==",
        "=a",
        "team=a,,team",
        "rank>2.5",
        "rank>+2",
        "rank>99999999999999999999",
    ];
    let mut disagreements = Vec::new();
    for selector in selectors {
        let ours = selector.parse::<Selector>().ok().map(|selector| {
            let selected = all.iter().filter(|(_, labels)| selector.matches(labels));
            selected.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>()
        });
        let theirs = services.list(&ListParams::default().labels(selector)).await.ok().map(|list| {
            let names = list.items.into_iter().filter_map(|service| service.metadata.name);
            names.collect::<BTreeSet<_>>()
        });
        if ours != theirs {
            disagreements.push(format!("{selector}: {ours:?}, the API server {theirs:?}"));
        }
    }
    assert!(disagreements.is_empty(), "{disagreements:#?}");
}

/// The time from the API's reply to the first right answer; printed, as it depends on the machine and on what else runs.
///
/// Once for changes that come alone, and once for each as soon as the one before is answered: such follow so closely that
/// some are settled.
#[tokio::test]
async fn services_are_answered_as_soon_as_the_api_has_them() {
    const SERVICES: usize = 100;
    let Some(plane) = control_plane::shared("services_are_answered_soon").await else { return };
    let scene = plane.namespace("soon").await;
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;

    for (how, pause) in [("alone", Duration::from_millis(25)), ("back to back", Duration::from_nanos(1))] {
        let mut pace = tokio::time::interval(pause);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut times = Vec::with_capacity(SERVICES);
        for number in 0..SERVICES {
            pace.tick().await;
            let name = format!("{}-{number}", how.replace(' ', "-"));
            times.push(answered(&kubezone, &scene, &name).await);
        }
        times.sort_unstable();
        let at = |percent: usize| times[(SERVICES * percent).div_ceil(100) - 1];
        let (median, p99, worst) = (at(50), at(99), at(100));
        tell(&format!(
            "API reply to first right answer, {SERVICES} Services {how}: median {median:?}, p99 {p99:?}, worst {worst:?}"
        ));
    }
}

/// Creates a Service, and gives the time from the API's reply to the first right answer.
async fn answered(kubezone: &Kubezone, scene: &Scene, name: &str) -> Duration {
    let question = format!("{name}.{}.svc AAAA", scene.namespace);
    let service = scene.create_service(name, https()).await;
    let replied = Instant::now();
    let expected = address(&service);
    // Nothing waits between two questions here: that would be measured, too.
    loop {
        let said = kubezone.ask(&question).await;
        let took = replied.elapsed();
        if said == expected {
            return took;
        }
        assert_eq!(said, ABSENT, "{question}, after {took:?}");
        assert!(took < support::BOUND, "{question} is not answered");
    }
}

#[tokio::test]
async fn a_burst_of_services_makes_few_versions() {
    const SERVICES: usize = 500;
    // Versions are counted: other tests' Services would be among them.
    let Some(plane) = control_plane::own("a_burst_of_services").await else { return };
    let scene = plane.namespace("burst").await;
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    let versions = async || kubezone.metric("kubezone_publish_duration_seconds_count", "").await;
    let create_all = async |prefix: &str| -> Vec<Service> {
        let create = |number| scene.create_service(format!("{prefix}-{number}"), https());
        stream::iter(0..SERVICES).map(create).buffer_unordered(50).collect().await
    };
    let all_answered = async |services: &[Service]| {
        for service in services {
            let name = service.metadata.name.as_deref().expect("a name");
            kubezone.answers(&format!("{name}.burst.svc AAAA"), &address(service)).await;
        }
    };

    // As fast as the API server creates them, which leaves some of them alone for longer than kubezone gathers.
    let (began, before) = (Instant::now(), versions().await);
    let services = create_all("web").await;
    let took = began.elapsed();
    all_answered(&services).await;
    tell(&format!("{SERVICES} Services created in {took:?}: {} versions of the zone", versions().await - before));

    // All at once for kubezone, which was not there when they were created.
    let before = versions().await;
    kubezone.freeze(true);
    let services = create_all("late").await;
    kubezone.freeze(false);
    all_answered(&services).await;
    let versions = versions().await - before;
    tell(&format!("{SERVICES} Services learned at once: {versions} versions of the zone"));
    assert!((1.0..=50.0).contains(&versions), "{versions} versions");
}

#[tokio::test]
async fn a_headless_service_is_its_ready_endpoints() {
    let Some(plane) = control_plane::shared("a_headless_service").await else { return };
    let scene = plane.namespace("headless").await;
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    let (first, second) = ("2a0a:e5c0:10:2::10", "2a0a:e5c0:10:2::11");

    let labels = json!({ "app": "db" });
    let named =
        json!([{ "name": "postgres", "port": 5432 }, { "name": "metrics", "port": 9187, "targetPort": "scrape" }]);
    let spec = json!({ "clusterIP": "None", "selector": labels.clone(), "ports": named });
    scene.create_service("db", spec).await;
    // A port by name is whatever number each Pod gives to it: only the EndpointSlices know.
    for (pod, number) in [("db-0", 9187), ("db-1", 9188)] {
        let ports = json!([{ "name": "scrape", "containerPort": number }]);
        scene.create_pod(pod, "db", labels.clone(), ports).await;
    }
    kubezone.answers("db.headless.svc AAAA", ABSENT).await;

    scene.set_pod("db-0", &[first], true).await;
    kubezone.answers("db.headless.svc AAAA", first).await;
    kubezone.answers("db-0.db.headless.svc AAAA", first).await;
    let postgres = "0 100 5432 db-0.db.headless.svc.c2.k8s.ooo.";
    kubezone.answers("_postgres._tcp.db.headless.svc SRV", postgres).await;
    kubezone.answers("_metrics._tcp.db.headless.svc SRV", "0 100 9187 db-0.db.headless.svc.c2.k8s.ooo.").await;
    kubezone.answers("db-1.db.headless.svc AAAA", ABSENT).await;

    scene.set_pod("db-1", &[second], true).await;
    kubezone.answers("db.headless.svc AAAA", &format!("{first}, {second}")).await;
    kubezone.answers("db-1.db.headless.svc AAAA", second).await;
    let metrics = "0 100 9187 db-0.db.headless.svc.c2.k8s.ooo., 0 100 9188 db-1.db.headless.svc.c2.k8s.ooo.";
    kubezone.answers("_metrics._tcp.db.headless.svc SRV", metrics).await;

    scene.set_pod("db-0", &[first], false).await;
    kubezone.answers("db.headless.svc AAAA", second).await;
    kubezone.answers("db-0.db.headless.svc AAAA", ABSENT).await;
    let postgres = "0 100 5432 db-1.db.headless.svc.c2.k8s.ooo.";
    kubezone.answers("_postgres._tcp.db.headless.svc SRV", postgres).await;

    scene.change_service("db", json!({ "publishNotReadyAddresses": true })).await;
    kubezone.answers("db.headless.svc AAAA", &format!("{first}, {second}")).await;
    scene.change_service("db", json!({ "publishNotReadyAddresses": false })).await;
    kubezone.answers("db.headless.svc AAAA", second).await;

    scene.delete_pod("db-1").await;
    kubezone.answers("db.headless.svc AAAA", ABSENT).await;
    scene.delete_pod("db-0").await;
}

/// Pods are watched only where a zone has names for them, and who may not watch them has no such zone; every other has what
/// it had.
#[tokio::test]
async fn pods_have_names_while_they_have_addresses_and_where_that_is_wanted() {
    // The right to watch Pods is given here: nobody else should have it.
    let Some(plane) = control_plane::own("pods_have_names").await else { return };
    let scene = plane.namespace("shop").await;
    let configuration = |pods: bool| {
        let zone = |name: &str, pods: bool| {
            let nameservers = json!([{ "name": "ns", "addresses": ["2a0a:e5c0:13:e2::a"] }]);
            json!({ "name": name, "cluster": "c2", "nameservers": nameservers, "publish": { "pods": pods } })
        };
        let configuration = json!({
            "listen": { "dns": ["[::1]:0"], "metrics": "[::1]:0" },
            "clusters": [{ "name": "c2", "kubeconfig": plane.kubeconfig() }],
            "zones": [zone("c2.k8s.ooo", false), zone("pods.k8s.ooo", pods)],
        });
        configuration.to_string()
    };
    let folder = Folder::new().expect("a temporary folder");
    let path = folder.join("kubezone.yaml");
    let reconfigure = |pods: bool| {
        std::fs::write(path.with_extension("new"), configuration(pods)).expect("written");
        std::fs::rename(path.with_extension("new"), &path).expect("renamed");
    };
    let kubezone = Kubezone::configured("k8s.ooo", folder, &configuration(false)).await.ready().await;
    let service = async |name: &str, zones: &[&str]| {
        let created = address(&scene.create_service(name, https()).await);
        for zone in zones {
            kubezone.answers(&format!("{name}.shop.svc.{zone} AAAA"), &created).await;
        }
        created
    };
    scene.create_pod("web-0", "web", json!({}), json!([])).await;
    scene.set_pod("web-0", &["2a0a:e5c0:10:2::10"], false).await;
    let before = service("before", &["c2", "pods"]).await;
    assert_eq!(kubezone.metric("kubezone_cluster_errors_total", r#"reason="forbidden""#).await, 0.0);
    kubezone.answers("2a0a-e5c0-10-2--10.shop.pod.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;

    reconfigure(true);
    kubezone.counts_error(r#"reason="forbidden""#).await;
    service("meanwhile", &["c2"]).await;
    let told: Vec<_> = kubezone.log().into_iter().map(|line| line["fields"].clone()).collect();
    let has =
        |field: &str, text: &str| told.iter().any(|fact| fact[field].as_str().is_some_and(|said| said.contains(text)));
    assert!(has("error", "pods is forbidden") && has("message", "waits for a list of the cluster's Pods"), "{told:?}");
    kubezone.answers("before.shop.svc.pods AAAA", &before).await;
    kubezone.answers("meanwhile.shop.svc.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;
    assert_eq!(kubezone.metric("kubezone_cluster_synced", "").await, 0.0);

    plane.let_watch_pods().await;
    kubezone.answers("2a0a-e5c0-10-2--10.shop.pod.pods AAAA", "2a0a:e5c0:10:2::10").await;
    kubezone.answers("2a0a-e5c0-10-2--10.shop.pod.c2 AAAA", ABSENT).await;
    service("after", &["c2", "pods"]).await;
    assert_eq!(kubezone.metric("kubezone_cluster_synced", "").await, 1.0);

    scene.set_pod("web-0", &["2a0a:e5c0:10:2::"], true).await;
    kubezone.answers("2a0a-e5c0-10-2--0.shop.pod.pods AAAA", "2a0a:e5c0:10:2::").await;
    kubezone.answers("2a0a-e5c0-10-2--10.shop.pod.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;
    let pods: Api<Pod> = scene.api();
    let ended = Patch::Merge(json!({ "status": { "phase": "Succeeded" } }));
    pods.patch_status("web-0", &PatchParams::default(), &ended).await.expect("patched");
    kubezone.answers("2a0a-e5c0-10-2--0.shop.pod.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;

    for (name, ip) in [("web-1", "2a0a:e5c0:10:2::1"), ("web-2", "2a0a:e5c0:10:2::2")] {
        scene.create_pod(name, "web", json!({}), json!([])).await;
        scene.set_pod(name, &[ip], true).await;
    }
    kubezone.answers("2a0a-e5c0-10-2--1.shop.pod.pods AAAA", "2a0a:e5c0:10:2::1").await;
    kubezone.answers("2a0a-e5c0-10-2--2.shop.pod.pods AAAA", "2a0a:e5c0:10:2::2").await;
    let hidden = Patch::Merge(json!({ "metadata": { "annotations": { "k8s.ooo/publish": "false" } } }));
    pods.patch("web-1", &PatchParams::default(), &hidden).await.expect("patched");
    kubezone.answers("2a0a-e5c0-10-2--1.shop.pod.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;
    scene.delete_pod("web-2").await;
    kubezone.answers("2a0a-e5c0-10-2--2.shop.pod.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;
    kubezone.answers("shop.pod.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;

    pods.patch("web-1", &PatchParams::default(), &Patch::Merge(json!({ "metadata": { "annotations": null } })))
        .await
        .expect("patched");
    kubezone.answers("2a0a-e5c0-10-2--1.shop.pod.pods AAAA", "2a0a:e5c0:10:2::1").await;
    reconfigure(false);
    kubezone.answers("2a0a-e5c0-10-2--1.shop.pod.pods AAAA", "NXDOMAIN pods.k8s.ooo.").await;
    kubezone.answers("before.shop.svc.pods AAAA", &before).await;
}

/// The API allows 63 octets for each of a Service's name, its namespace's and its port's. A zone's name can be so long that
/// they do not fit below it, and an underscore more does not fit into a label.
#[tokio::test]
async fn a_service_that_makes_no_valid_name_hurts_nobody() {
    let Some(plane) = control_plane::shared("a_service_that_makes_no_valid_name").await else { return };
    let long = "l".repeat(63);
    let scene = plane.namespace(&"n".repeat(63)).await;
    let namespace = &scene.namespace;
    let zone = format!("{long}.{long}.k8s.ooo");
    let kubezone = Kubezone::serve(&zone, &plane.kubeconfig()).await.ready().await;

    scene.create_service(&long, https()).await;
    let web = scene.create_service("a", json!({ "ports": ports(&[(&long, 80), ("s", 443)]) })).await;

    kubezone.answers(&format!("a.{namespace}.svc AAAA"), &address(&web)).await;
    kubezone.answers(&format!("_s._tcp.a.{namespace}.svc SRV"), &format!("0 100 443 a.{namespace}.svc.{zone}.")).await;
}

#[tokio::test]
async fn an_api_server_that_is_away_takes_nothing_with_it() {
    let Some(mut plane) = control_plane::own("an_api_server_that_is_away").await else { return };
    let scene = plane.namespace("shop").await;
    let web = address(&scene.create_service("web", https()).await);
    let kubeconfig = plane.kubeconfig();
    let kubezone = Kubezone::serve(ZONE, &kubeconfig).await.ready().await;
    kubezone.answers("web.shop.svc AAAA", &web).await;
    let serial = kubezone.serial().await;

    let outage = async {
        plane.stop_api_server();
        kubezone.counts_error(r#"reason="connection""#).await;
        // One that starts now knows nothing, and says so: an NXDOMAIN would be a lie.
        let newcomer = Kubezone::serve(ZONE, &kubeconfig).await;
        newcomer.counts_error(r#"reason="connection""#).await;
        newcomer.answers("web.shop.svc AAAA", "SERVFAIL").await;
        assert!(newcomer.http("/readyz").await.starts_with("HTTP/1.1 503"));
        assert!(newcomer.http("/livez").await.starts_with("HTTP/1.1 200"));
        assert!(kubezone.http("/readyz").await.starts_with("HTTP/1.1 200"));
        plane.start_api_server().await;
        let newcomer = newcomer.ready().await;
        newcomer.answers("web.shop.svc AAAA", &web).await;
        newcomer
    };
    let newcomer = unshaken(&kubezone, &web, outage).await;
    assert_eq!(kubezone.serial().await, serial, "nothing has changed");

    let late = address(&scene.create_service("late", https()).await);
    for kubezone in [&kubezone, &newcomer] {
        kubezone.answers("late.shop.svc AAAA", &late).await;
        kubezone.answers("web.shop.svc AAAA", &web).await;
    }
    assert!(kubezone.serial().await > serial);
}

#[tokio::test]
async fn rights_that_are_taken_away_take_no_record_away() {
    let Some(mut plane) = control_plane::own("rights_that_are_taken_away").await else { return };
    let scene = plane.namespace("shop").await;
    let web = address(&scene.create_service("web", https()).await);
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    kubezone.answers("web.shop.svc AAAA", &web).await;

    let revocation = async {
        let bindings = Api::<ClusterRoleBinding>::all(plane.client().await);
        let binding = bindings.get("kubezone").await.expect("the binding");
        bindings.delete("kubezone", &DeleteParams::default()).await.expect("deleted");
        // Watches that were allowed go on: only new ones are refused.
        plane.stop_api_server();
        plane.start_api_server().await;
        kubezone.counts_error(r#"reason="forbidden""#).await;
        control_plane::restore(&bindings, binding).await;
    };
    unshaken(&kubezone, &web, revocation).await;

    let late = address(&scene.create_service("late", https()).await);
    kubezone.answers("late.shop.svc AAAA", &late).await;
}

#[tokio::test]
async fn a_watch_that_is_too_old_is_followed_by_a_list() {
    let Some(mut plane) = control_plane::own("a_watch_that_is_too_old").await else { return };
    let scene = plane.namespace("shop").await;
    let web = address(&scene.create_service("web", https()).await);
    let gone = address(&scene.create_service("gone", https()).await);
    let kubezone = Kubezone::serve(ZONE, &plane.kubeconfig()).await.ready().await;
    kubezone.answers("web.shop.svc AAAA", &web).await;
    kubezone.answers("gone.shop.svc AAAA", &gone).await;

    let old = scene.api::<Service>().list(&ListParams::default()).await.expect("a list").metadata.resource_version;

    // Its connections are gone before anything changes: events that wait in a socket would tell it without a list.
    plane.stop_api_server();
    kubezone.counts_error(r#"reason="connection""#).await;
    kubezone.freeze(true);
    plane.start_api_server().await;
    scene.delete_service("gone").await;
    let new = address(&scene.create_service("new", https()).await);
    plane.compact().await;
    // The API server remembers a while by itself; one that has just started does not.
    plane.stop_api_server();
    plane.start_api_server().await;
    assert_expired(&scene, &old.expect("a resourceVersion")).await;
    kubezone.freeze(false);

    kubezone.answers("new.shop.svc AAAA", &new).await;
    kubezone.answers("gone.shop.svc AAAA", ABSENT).await;
    kubezone.answers("web.shop.svc AAAA", &web).await;
    kubezone.counts_error(r#"reason="expired""#).await;
}

/// Asks for `web.shop.svc` and for a name that does not exist while `trouble` lasts, and wants the same answers all along.
async fn unshaken<T>(kubezone: &Kubezone, web: &str, trouble: impl Future<Output = T>) -> T {
    let mut asked = 0;
    let shaken = async {
        loop {
            let said = kubezone.ask("web.shop.svc AAAA").await;
            assert_eq!(said, web, "answer {asked}");
            assert_eq!(kubezone.ask("none.shop.svc AAAA").await, ABSENT, "answer {asked}");
            asked += 1;
            // Other work on this thread gets its turn.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let outcome = tokio::select! {
        () = shaken => unreachable!("it asks for ever"),
        outcome = trouble => outcome,
    };
    assert!(asked > 0, "nothing was asked meanwhile");
    outcome
}

/// Sees to it that the API really refuses to watch from `version`: without that, nothing has been tested.
async fn assert_expired(scene: &Scene, version: &str) {
    let services = scene.api::<Service>();
    let refused = match services.watch(&WatchParams::default(), version).await {
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(other) => panic!("{other}"),
        Ok(events) => match events.boxed().next().await {
            Some(Ok(WatchEvent::Error(status))) => Some(status.code),
            _ => None,
        },
    };
    assert_eq!(refused, Some(410), "the watch from {version}");
}

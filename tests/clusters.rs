//! kubezone with API servers that lie, hang and are away: what a cluster has said stays until the cluster takes it back, and
//! no cluster waits for another.
//!
//! The control plane is real, and so is what it says; a proxy stands before it and spoils some of it on the way.

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, future, stream};
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::api::Api;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use support::control_plane::{self, ControlPlane, address, https};
use support::kubezone::{KUBEZONE, Kubezone};
use support::process::Folder;
use support::proxy::{Fault, Proxy, RESOURCES, Verb};
use support::{BOUND, eventually, tell};

/// The zone of tests that need only one.
const ZONE: &str = "c2.k8s.ooo";
/// What is said there of a name that does not exist.
const ABSENT: &str = "NXDOMAIN c2.k8s.ooo.";
/// How many zones each cluster has where there are several.
const ZONES: usize = 20;
/// The serial of their parent, which comes from a file.
const SERIAL: u32 = 2026;
/// The Extended DNS Error of a zone that has not been loaded: Not Ready (RFC 8914 §4.15).
const NOT_READY: u16 = 14;
/// The Services that all tests share, and none changes: more than twice as many as may go without doubt.
const SERVICES: usize = 60;

/// The control plane with the Services `web-00` to `web-59` in the namespace `shop`; `None` where there is none.
async fn shop(test: &str) -> Option<(&'static ControlPlane, &'static [Service])> {
    static SHOP: OnceCell<Vec<Service>> = OnceCell::const_new();
    let plane = control_plane::shared(test).await?;
    let services = SHOP.get_or_init(|| async {
        let scene = plane.namespace("shop").await;
        let create = |number| scene.create_service(format!("web-{number:02}"), https());
        stream::iter(0..SERVICES).map(create).buffered(10).collect().await
    });
    Some((plane, services.await))
}

/// A kubezone that follows the shared control plane, or another, through a proxy of its own.
async fn behind_a_proxy(plane: &ControlPlane) -> (Proxy, Kubezone) {
    let proxy = Proxy::start(plane).await;
    let kubezone = Kubezone::serve(ZONE, &proxy.kubeconfig()).await.ready().await;
    (proxy, kubezone)
}

/// Sees to it that every one of these Services is answered now.
async fn all_answered(kubezone: &Kubezone, services: &[Service]) {
    for service in services {
        let question = question(service);
        assert_eq!(kubezone.ask(&question).await, address(service), "{question}");
    }
}

/// Waits until none of these Services is answered any more.
async fn all_denied(kubezone: &Kubezone, services: &[Service]) {
    for service in services {
        kubezone.answers(&question(service), ABSENT).await;
    }
}

/// How many versions of its zones a kubezone has made.
async fn versions(kubezone: &Kubezone) -> f64 {
    kubezone.metric("kubezone_publish_duration_seconds_count", "").await
}

/// What asks for the address of a Service.
fn question(service: &Service) -> String {
    let name = |name: &Option<String>| name.clone().expect("a name");
    format!("{}.{}.svc AAAA", name(&service.metadata.name), name(&service.metadata.namespace))
}

#[tokio::test]
async fn a_list_that_lacks_most_takes_nothing_away_before_a_second_one_does() {
    let Some((plane, services)) = shop("a_list_that_lacks_most").await else { return };
    let emptied = Fault::lacks(|_| true);
    // Fewer than half are left.
    let truncated = Fault::lacks(|name| name > "web-25");
    let lie = async |what: &str, fault: Fault| {
        let (proxy, kubezone) = behind_a_proxy(plane).await;
        all_answered(&kubezone, services).await;
        let lists = proxy.asked(Verb::List, "services");
        let asked = || proxy.asked(Verb::List, "services") - lists;

        proxy.set(Verb::List, "services", fault);
        proxy.expire("services");
        kubezone.counts_error(r#"reason="held_list""#).await;
        let log = kubezone.log();
        let warning = log.iter().map(|line| &line["fields"]).find(|fields| !fields["held"].is_null());
        assert_eq!(warning.expect("a warning")["cluster"], "c2", "{log:#?}");
        assert_eq!(asked(), 1, "{what}");
        let held = Instant::now();
        for service in services.iter().cycle() {
            let said = kubezone.ask(&question(service)).await;
            if asked() == 2 {
                break;
            }
            assert_eq!(said, address(service), "{what}");
            assert!(held.elapsed() < BOUND, "{what}: no second list");
        }
        tell(&format!("a list that was {what}: a second one is asked for after {:?}", held.elapsed()));

        kubezone.answers("web-59.shop.svc AAAA", ABSENT).await;
        kubezone.answers("web-26.shop.svc AAAA", ABSENT).await;
        let first = if what == "emptied" { ABSENT } else { &address(&services[0]) };
        kubezone.answers("web-00.shop.svc AAAA", first).await;

        proxy.set(Verb::List, "services", Fault::None);
        proxy.expire("services");
        kubezone.answers("web-59.shop.svc AAAA", &address(&services[59])).await;
        all_answered(&kubezone, services).await;
    };
    future::join(lie("emptied", emptied), lie("truncated", truncated)).await;
}

#[tokio::test]
async fn while_a_list_is_in_doubt_events_count_and_a_good_list_clears_it() {
    let Some((plane, services)) = shop("while_a_list_is_in_doubt").await else { return };
    let scene = plane.namespace("doubt").await;
    let (proxy, kubezone) = behind_a_proxy(plane).await;
    let doomed = scene.create_service("doomed", https()).await;
    kubezone.answers("doomed.doubt.svc AAAA", &address(&doomed)).await;

    for time in 1..=2 {
        let lists = proxy.asked(Verb::List, "services");
        let asked = || proxy.asked(Verb::List, "services") - lists;
        proxy.set(Verb::List, "services", Fault::lacks(|_| true));
        proxy.expire("services");
        eventually("the list is held", async || {
            let held = kubezone.metric("kubezone_cluster_errors_total", r#"reason="held_list""#).await;
            if held == f64::from(time) { Ok(()) } else { Err(format!("{held} lists")) }
        })
        .await;
        proxy.set(Verb::List, "services", Fault::None);

        let new = scene.create_service("new", https()).await;
        kubezone.answers("new.doubt.svc AAAA", &address(&new)).await;
        // What it does not list, it tells of all the same.
        if time == 1 {
            scene.delete_service("doomed").await;
            kubezone.answers("doomed.doubt.svc AAAA", ABSENT).await;
        }
        assert_eq!(asked(), 1, "events take effect before a second list is asked for");
        scene.delete_service("new").await;
        kubezone.answers("new.doubt.svc AAAA", ABSENT).await;
        all_answered(&kubezone, services).await;

        if time == 1 {
            let watches = proxy.asked(Verb::Watch, "services");
            eventually("a second list is complete", async || match proxy.asked(Verb::Watch, "services") - watches {
                0 => Err("no watch after it".to_owned()),
                _ => Ok(()),
            })
            .await;
            assert_eq!(asked(), 2);
            all_answered(&kubezone, services).await;
        }
    }
}

#[tokio::test]
async fn what_a_list_lacks_goes_at_once_if_it_is_few_or_less_than_half() {
    let Some((plane, services)) = shop("what_a_list_lacks_goes_at_once").await else { return };
    let (proxy, kubezone) = behind_a_proxy(plane).await;
    all_answered(&kubezone, services).await;
    let lists = proxy.asked(Verb::List, "services");

    // Of 60, and a few of other tests: 25 are less than half, the last 20 are more, but few.
    for (number, first) in [(1, 35), (2, 20), (3, 0)] {
        proxy.set(Verb::List, "services", Fault::lacks(move |name| *name >= *format!("web-{first:02}")));
        proxy.expire("services");
        all_denied(&kubezone, &services[first..]).await;
        all_answered(&kubezone, &services[..first]).await;
        assert_eq!(proxy.asked(Verb::List, "services") - lists, number);
    }
    assert_eq!(kubezone.metric("kubezone_cluster_errors_total", r#"reason="held_list""#).await, 0.0);
}

#[tokio::test]
async fn nothing_that_becomes_of_a_request_takes_a_record_away() {
    let Some((plane, services)) = shop("nothing_that_becomes_of_a_request").await else { return };
    let scene = plane.namespace("trouble").await;
    let trouble = async |number: usize, reason: &str, fault: Fault| {
        let (proxy, kubezone) = behind_a_proxy(plane).await;
        proxy.set_all(&fault);
        for resource in RESOURCES {
            proxy.expire(resource);
        }
        eventually(&format!("lists and watches of each kind fail: {reason}"), async || {
            let errors = kubezone.metric("kubezone_cluster_errors_total", &format!("reason=\"{reason}\"")).await;
            if errors < 6.0 { Err(format!("{errors} errors")) } else { Ok(()) }
        })
        .await;
        all_answered(&kubezone, services).await;

        proxy.set_all(&Fault::None);
        let late = scene.create_service(format!("late-{number}"), https()).await;
        kubezone.answers(&question(&late), &address(&late)).await;
        all_answered(&kubezone, services).await;
    };
    let troubles = [
        ("connection", Fault::CutOff),
        ("status", Fault::Garbage),
        ("status", Fault::Status(500)),
        ("status", Fault::Status(429)),
        ("forbidden", Fault::Status(401)),
        ("forbidden", Fault::Status(403)),
        ("expired", Fault::Status(410)),
    ];
    let troubles = troubles.into_iter().enumerate();
    future::join_all(troubles.map(|(number, (reason, fault))| trouble(number, reason, fault))).await;
}

#[tokio::test]
async fn a_list_without_namespaces_takes_no_services_away() {
    let Some((plane, services)) = shop("a_list_without_namespaces").await else { return };
    let (proxy, kubezone) = behind_a_proxy(plane).await;
    all_answered(&kubezone, services).await;

    proxy.set(Verb::List, "namespaces", Fault::lacks(|_| true));
    proxy.expire("namespaces");
    kubezone.counts_error(r#"reason="held_list""#).await;
    proxy.set(Verb::List, "namespaces", Fault::None);
    all_answered(&kubezone, services).await;
}

#[tokio::test]
async fn what_happened_while_the_api_was_away_and_was_forgotten_since_is_learned_from_a_list() {
    let Some(mut plane) = control_plane::own("what_happened_while_the_api_was_away").await else { return };
    let scene = plane.namespace("shop").await;
    let services: Vec<Service> = stream::iter(0..SERVICES)
        .map(|number| scene.create_service(format!("web-{number:02}"), https()))
        .buffered(10)
        .collect()
        .await;
    let (mut proxy, kubezone) = behind_a_proxy(&plane).await;
    all_answered(&kubezone, &services).await;
    let (gone, kept) = services.split_at(10);

    proxy.close();
    kubezone.counts_error(r#"reason="connection""#).await;
    for service in gone {
        scene.delete_service(service.metadata.name.as_deref().expect("a name")).await;
    }
    let new = scene.create_service("new", https()).await;
    plane.compact().await;
    // An API server remembers a while by itself; one that has just started does not.
    plane.stop_api_server();
    plane.start_api_server().await;
    all_answered(&kubezone, &services).await;
    proxy.open();

    kubezone.answers(&question(&new), &address(&new)).await;
    all_denied(&kubezone, gone).await;
    all_answered(&kubezone, kept).await;
    kubezone.counts_error(r#"reason="expired""#).await;
    assert_eq!(kubezone.metric("kubezone_cluster_errors_total", r#"reason="held_list""#).await, 0.0);
}

#[tokio::test]
async fn a_namespace_of_thousands_of_services_goes_at_once_when_it_is_deleted() {
    const SERVICES: usize = 5000;
    // Versions are counted: other tests' Services would be among them.
    let Some(plane) = control_plane::own("a_namespace_of_thousands").await else { return };
    let (doomed, kept) = (plane.namespace("doomed").await, plane.namespace("kept").await);
    let (proxy, kubezone) = behind_a_proxy(&plane).await;
    let neighbour = kept.create_service("web", https()).await;
    let began = Instant::now();
    let services: Vec<Service> = stream::iter(0..SERVICES)
        .map(|number| doomed.create_service(format!("web-{number}"), https()))
        .buffer_unordered(32)
        .collect()
        .await;
    tell(&format!("{SERVICES} Services created in {:?}", began.elapsed()));
    eventually("the Services are published", async || {
        let published = kubezone.metric("kubezone_services", r#"published="true""#).await;
        if published > 5000.0 { Ok(()) } else { Err(format!("{published}")) }
    })
    .await;
    all_answered(&kubezone, &services).await;

    // The first page says that it is the last.
    let watches = proxy.asked(Verb::Watch, "services");
    proxy.set(Verb::List, "services", Fault::LastPage);
    proxy.expire("services");
    kubezone.counts_error(r#"reason="held_list""#).await;
    proxy.set(Verb::List, "services", Fault::None);
    all_answered(&kubezone, &services[..500]).await;
    eventually("another list has cleared it", async || match proxy.asked(Verb::Watch, "services") - watches {
        0..2 => Err("no watch after it".to_owned()),
        _ => Ok(()),
    })
    .await;
    all_answered(&kubezone, &services).await;

    // One hears of each deletion as it happens, another of all at once.
    let (late_proxy, late) = behind_a_proxy(&plane).await;
    for resource in RESOURCES {
        late_proxy.set(Verb::Watch, resource, Fault::Late);
    }
    let namespaces = Api::<Namespace>::all(plane.client().await);
    let lists = proxy.asked(Verb::List, "services");
    let (before, began) = (versions(&kubezone).await, Instant::now());
    doomed.delete().await;
    eventually("the namespace is gone", async || match namespaces.get_opt("doomed").await.expect("an answer") {
        Some(_) => Err("it is there".to_owned()),
        None => Ok(()),
    })
    .await;
    let took = began.elapsed();
    all_denied(&kubezone, &services).await;
    let versions_made = versions(&kubezone).await - before;
    tell(&format!("{SERVICES} Services deleted in {took:?}: {versions_made} versions of the zone"));

    let before = versions(&late).await;
    late_proxy.set(Verb::Watch, "services", Fault::None);
    all_denied(&late, &services).await;
    let versions_made = versions(&late).await - before;
    tell(&format!("{SERVICES} Services whose deletion is learned at once: {versions_made} versions of the zone"));
    assert!((1.0..=50.0).contains(&versions_made), "{versions_made} versions");
    // A list that lacks all of them would have been held.
    assert_eq!(late.metric("kubezone_cluster_errors_total", r#"reason="held_list""#).await, 0.0);

    kubezone.answers("web.kept.svc AAAA", &address(&neighbour)).await;
    assert_eq!(proxy.asked(Verb::List, "services"), lists, "no list has helped");
    assert_eq!(kubezone.metric("kubezone_cluster_errors_total", r#"reason="held_list""#).await, 1.0);
}

/// The configuration of these clusters, each with its kubeconfig and so many zones, and of a zone from a file.
fn configuration(clusters: &[(&str, PathBuf)], ready_timeout: &str) -> Value {
    let nameservers = &json!([{ "name": "ns", "addresses": ["2a0a:e5c0:13:e2::a"] }]);
    let zones = clusters.iter().flat_map(|(cluster, _)| {
        let names = (0..ZONES).map(move |zone| format!("z{zone}.{cluster}.k8s.ooo"));
        names.map(move |name| json!({ "name": name, "cluster": cluster, "nameservers": nameservers }))
    });
    let parent = json!({ "name": "k8s.ooo", "file": "k8s.ooo.zone" });
    let clusters = clusters.iter().map(|(name, kubeconfig)| json!({ "name": name, "kubeconfig": kubeconfig }));
    json!({
        "apiVersion": "k8s.ooo/v1alpha1",
        "kind": "KubezoneConfig",
        "listen": { "dns": ["[::1]:0"], "metrics": "[::1]:0" },
        "readyTimeout": ready_timeout,
        "clusters": clusters.collect::<Vec<_>>(),
        "zones": zones.chain([parent]).collect::<Vec<_>>(),
    })
}

/// A kubezone with this configuration; questions are relative to k8s.ooo.
async fn configured(configuration: &Value) -> Kubezone {
    let folder = Folder::new().expect("a temporary folder");
    let path = configure(&folder, configuration);
    Kubezone::start("k8s.ooo", &[KUBEZONE.as_str(), "serve", "--config", &path], folder).await
}

/// Writes a configuration, and the zone that it takes from a file; where it is.
fn configure(folder: &Folder, configuration: &Value) -> String {
    let parent = format!("@ 3600 SOA ns hostmaster {SERIAL} 14400 3600 1209600 30\n@ NS ns\nns AAAA 2001:db8::53\n");
    folder.write("k8s.ooo.zone", &parent).expect("zone written");
    let path = folder.write("kubezone.yaml", &configuration.to_string()).expect("configuration written");
    path.display().to_string()
}

/// Waits until every zone of a cluster says this of a Service.
async fn zones_answer(kubezone: &Kubezone, cluster: &str, service: &Service, expected: &str) {
    for zone in 0..ZONES {
        kubezone.answers(&in_zone(service, zone, cluster), expected).await;
    }
}

/// Sees to it that no zone of a cluster has heard of a Service.
async fn zones_deny(kubezone: &Kubezone, cluster: &str, service: &Service) {
    for zone in 0..ZONES {
        let denied = format!("NXDOMAIN z{zone}.{cluster}.k8s.ooo.");
        assert_eq!(kubezone.ask(&in_zone(service, zone, cluster)).await, denied);
    }
}

/// Whether the metrics say that all of a cluster has been listed once.
async fn synced(kubezone: &Kubezone, cluster: &str) -> bool {
    kubezone.metric("kubezone_cluster_synced", &format!("cluster=\"{cluster}\"")).await != 0.0
}

/// What asks for the address of a Service in one of a cluster's zones.
fn in_zone(service: &Service, zone: usize, cluster: &str) -> String {
    question(service).replace(" AAAA", &format!(".z{zone}.{cluster} AAAA"))
}

#[tokio::test]
async fn ten_clusters_and_two_hundred_zones_do_not_wait_for_each_other() {
    const CLUSTERS: [&str; 10] = ["away", "hung", "slow", "garbled", "barred", "c5", "c6", "c7", "c8", "c9"];
    let Some((plane, services)) = shop("ten_clusters_and_two_hundred_zones").await else { return };
    let scene = plane.namespace("ten").await;
    let web = &services[0];
    let mut proxies: Vec<Proxy> = stream::iter(CLUSTERS).then(|_| Proxy::start(plane)).collect().await;
    let clusters: Vec<_> = CLUSTERS.into_iter().zip(proxies.iter().map(Proxy::kubeconfig)).collect();
    let (patient, hasty) = (configuration(&clusters, "1h"), configuration(&clusters, "1s"));
    let kubezone = configured(&patient).await.ready().await;
    for cluster in CLUSTERS {
        zones_answer(&kubezone, cluster, web, &address(web)).await;
        assert!(synced(&kubezone, cluster).await, "{cluster}");
    }
    let (threads, descriptors) = (kubezone.count("task"), kubezone.count("fd"));
    tell(&format!("ten clusters, two hundred zones: {threads} threads, {descriptors} descriptors"));

    // A watch that has said nothing would be followed by a list, which fails as well: all have said something.
    let early = scene.create_service("early", https()).await;
    for cluster in CLUSTERS {
        zones_answer(&kubezone, cluster, &early, &address(&early)).await;
    }
    let (broken, healthy) = CLUSTERS.split_at(5);
    proxies[0].close();
    let faults = [Fault::Hangs, Fault::Slow(Duration::from_secs(1)), Fault::Garbage, Fault::Status(403)];
    for (proxy, fault) in proxies[1..].iter().zip(&faults) {
        proxy.set_all(fault);
    }
    for (cluster, reason) in [("away", "connection"), ("garbled", "status"), ("barred", "forbidden")] {
        kubezone.counts_error(&format!(r#"cluster="{cluster}",reason="{reason}""#)).await;
    }
    eventually("a watch for each fault", async || {
        let asked: Vec<usize> = proxies[1..5].iter().map(|proxy| proxy.asked(Verb::Watch, "services")).collect();
        if asked.iter().all(|&watches| watches > 1) { Ok(()) } else { Err(format!("{asked:?}")) }
    })
    .await;

    // What changes meanwhile is known wherever it can be.
    let late = scene.create_service("late", https()).await;
    for cluster in healthy {
        zones_answer(&kubezone, cluster, &late, &address(&late)).await;
    }
    for cluster in broken {
        zones_deny(&kubezone, cluster, &late).await;
        zones_answer(&kubezone, cluster, web, &address(web)).await;
        assert!(synced(&kubezone, cluster).await, "{cluster}");
    }
    for cluster in healthy {
        assert_eq!(kubezone.metric("kubezone_cluster_errors_total", &format!("cluster=\"{cluster}\"")).await, 0.0);
    }
    assert!(kubezone.http("/readyz").await.starts_with("HTTP/1.1 200"));

    // Those that start now know half of the clusters: one waits for the others, one does not for long.
    let (patient, hasty) = (configured(&patient).await, configured(&hasty).await.ready().await);
    for newcomer in [&patient, &hasty] {
        assert_eq!(newcomer.serial().await, SERIAL);
        for cluster in healthy {
            zones_answer(newcomer, cluster, &late, &address(&late)).await;
        }
        let readyz = newcomer.http("/readyz").await;
        for cluster in broken {
            assert!(!synced(newcomer, cluster).await, "{cluster}");
            for zone in 0..ZONES {
                let question = in_zone(web, zone, cluster);
                assert_eq!(newcomer.ask(&question).await, "SERVFAIL", "{question}");
                assert_eq!(newcomer.ede(&question).await, Some(NOT_READY), "{question}");
                assert!(readyz.contains(&format!("z{zone}.{cluster}.k8s.ooo.")), "{readyz}");
            }
        }
        assert!(healthy.iter().all(|cluster| !readyz.contains(cluster)), "{readyz}");
    }
    assert!(patient.http("/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(hasty.http("/readyz").await.starts_with("HTTP/1.1 200"));

    // They come back, and so does all that happened meanwhile.
    proxies[0].open();
    for proxy in &proxies {
        proxy.set_all(&Fault::None);
    }
    let patient = patient.ready().await;
    for kubezone in [&kubezone, &patient, &hasty] {
        for cluster in CLUSTERS {
            zones_answer(kubezone, cluster, &late, &address(&late)).await;
            zones_answer(kubezone, cluster, web, &address(web)).await;
            assert!(synced(kubezone, cluster).await, "{cluster}");
        }
        let (threads, descriptors) = (kubezone.count("task"), kubezone.count("fd"));
        tell(&format!("ten clusters after all of that: {threads} threads, {descriptors} descriptors"));
        assert!(threads < 100 && descriptors < 200, "{threads} threads, {descriptors} descriptors");
    }
}

#[tokio::test]
async fn one_cluster_may_go_under_two_names() {
    let Some((plane, services)) = shop("one_cluster_may_go_under_two_names").await else { return };
    let scene = plane.namespace("twins").await;
    let twins = ["twin", "other"];
    let clusters = twins.map(|cluster| (cluster, plane.kubeconfig()));
    let kubezone = configured(&configuration(&clusters, "1h")).await.ready().await;
    let late = scene.create_service("late", https()).await;
    for cluster in twins {
        zones_answer(&kubezone, cluster, &services[0], &address(&services[0])).await;
        zones_answer(&kubezone, cluster, &late, &address(&late)).await;
        assert!(synced(&kubezone, cluster).await, "{cluster}");
    }
}

#[tokio::test]
async fn an_api_server_that_falls_silent_is_given_up_after_a_minute() {
    let Some((plane, services)) = shop("an_api_server_that_falls_silent").await else { return };
    let scene = plane.namespace("silence").await;
    let (mute, hung) = (Proxy::start(plane).await, Proxy::start(plane).await);
    let clusters = [("mute", mute.kubeconfig()), ("hung", hung.kubeconfig()), ("fine", plane.kubeconfig())];
    let kubezone = configured(&configuration(&clusters, "1h")).await.ready().await;
    let watches = [&mute, &hung].map(|proxy| proxy.asked(Verb::Watch, "services"));
    mute.set(Verb::Watch, "services", Fault::Mute);
    hung.set(Verb::Watch, "services", Fault::Hangs);
    eventually("the watches fall silent", async || {
        let now = [&mute, &hung].map(|proxy| proxy.asked(Verb::Watch, "services"));
        if now[0] > watches[0] && now[1] > watches[1] { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    let silence = Instant::now();
    let late = scene.create_service("late", https()).await;
    zones_answer(&kubezone, "fine", &late, &address(&late)).await;

    for cluster in ["mute", "hung"] {
        kubezone.counts_error(&format!(r#"cluster="{cluster}",reason="idle""#)).await;
        tell(&format!("an API server that is {cluster}: given up after {:?}", silence.elapsed()));
        zones_deny(&kubezone, cluster, &late).await;
        zones_answer(&kubezone, cluster, &services[0], &address(&services[0])).await;
    }
    mute.set(Verb::Watch, "services", Fault::None);
    hung.set(Verb::Watch, "services", Fault::None);
    for cluster in ["mute", "hung"] {
        zones_answer(&kubezone, cluster, &late, &address(&late)).await;
    }
}

#[tokio::test]
async fn zones_of_a_cluster_come_and_go_and_its_access_changes_without_a_gap() {
    let Some((plane, services)) = shop("zones_of_a_cluster_come_and_go").await else { return };
    let scene = plane.namespace("reload").await;
    let web = &services[0];
    let (proxy, other) = (Proxy::start(plane).await, Proxy::start(plane).await);
    let folder = Folder::new().expect("a temporary folder");
    let mut wanted = configuration(&[("c", proxy.kubeconfig())], "1h");
    let path = configure(&folder, &wanted);
    let command = [KUBEZONE.as_str(), "serve", "--config", &path];
    let kubezone = Kubezone::start("k8s.ooo", &command, Folder::new().expect("a temporary folder")).await.ready().await;
    let lists = proxy.asked(Verb::List, "services");
    // Waits until the answer is `to`; until then it is `from`, and never anything else.
    let turns = async |service: &Service, zone: &str, from: &str, to: &str| {
        let question = question(service).replace(" AAAA", &format!(".{zone} AAAA"));
        eventually(&format!("{question} is answered with {to}"), async || {
            let (said, neighbour) = (kubezone.ask(&question).await, kubezone.ask(&in_zone(web, 0, "c")).await);
            assert_eq!(neighbour, address(web));
            assert!(said == from || said == to, "{question}: {said}");
            if said == to { Ok(()) } else { Err(said) }
        })
        .await;
    };
    let parents = "NXDOMAIN k8s.ooo.";

    wanted["zones"][19]["name"] = json!("renamed.k8s.ooo");
    configure(&folder, &wanted);
    turns(web, "renamed", parents, &address(web)).await;
    turns(web, "z19.c", &address(web), parents).await;
    let mut added = wanted["zones"][0].clone();
    added["name"] = json!("added.k8s.ooo");
    wanted["zones"].as_array_mut().expect("zones").push(added);
    configure(&folder, &wanted);
    turns(web, "added", parents, &address(web)).await;
    wanted["zones"].as_array_mut().expect("zones").pop();
    configure(&folder, &wanted);
    turns(web, "added", &address(web), parents).await;
    assert_eq!(proxy.asked(Verb::List, "services"), lists, "the cluster is known already");

    other.set_all(&Fault::Hangs);
    wanted["clusters"][0]["kubeconfig"] = json!(other.kubeconfig());
    configure(&folder, &wanted);
    eventually("the other kubeconfig is used", async || match other.asked(Verb::List, "services") {
        0 => Err("nothing was asked for".to_owned()),
        _ => Ok(()),
    })
    .await;
    let late = scene.create_service("late", https()).await;
    turns(&late, "renamed", "NXDOMAIN renamed.k8s.ooo.", "NXDOMAIN renamed.k8s.ooo.").await;
    turns(web, "renamed", &address(web), &address(web)).await;
    other.set_all(&Fault::None);
    turns(&late, "renamed", "NXDOMAIN renamed.k8s.ooo.", &address(&late)).await;
}

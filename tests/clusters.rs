//! kubezone with API servers that lie, hang and are away: what a cluster has said stays until the cluster takes it back, and
//! no cluster waits for another.
//!
//! The control plane is real, and so is what it says; a proxy stands before it and spoils some of it on the way.

mod support;

use std::time::Instant;

use futures::{StreamExt as _, future, stream};
use k8s_openapi::api::core::v1::Service;
use tokio::sync::OnceCell;

use support::control_plane::{self, ControlPlane, address, https};
use support::kubezone::Kubezone;
use support::proxy::{Fault, Proxy, Verb};
use support::{BOUND, eventually, tell};

/// The zone of tests that need only one.
const ZONE: &str = "c2.k8s.ooo";
/// What is said there of a name that does not exist.
const ABSENT: &str = "NXDOMAIN c2.k8s.ooo.";
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
        assert!(kubezone.said().contains("a complete list lacks most objects"), "{}", kubezone.said());
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
        scene.delete_service("new").await;
        kubezone.answers("new.doubt.svc AAAA", ABSENT).await;
        all_answered(&kubezone, services).await;
        assert_eq!(asked(), 1, "events take effect before a second list is asked for");

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

//! What is resident.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::server::Server;
use crate::support::control_plane::ControlPlane;
use crate::support::eventually;
use crate::support::proxy::{Proxy, RESOURCES, Verb};

/// How often everything is listed again.
const RELISTS: usize = 10;
/// What an allocator or a garbage collector gives back, it has given back by then.
const REST: Duration = Duration::from_secs(3);

/// Prints what the servers keep of the control plane's Services.
pub(crate) async fn after_sync(plane: &ControlPlane, binary: &Path, coredns: Option<&Path>) {
    println!("| after the sync | RSS MiB | own MiB | peak MiB |\n|---|--:|--:|--:|");
    let kubezone = Server::kubezone(binary, &plane.kubeconfig(), false).await;
    row(kubezone, "kubezone").await;
    row(Server::kubezone(binary, &plane.kubeconfig(), true).await, "kubezone, with a reverse zone").await;
    if let Some(coredns) = coredns {
        row(Server::coredns(coredns, &plane.kubeconfig()).await, "CoreDNS").await;
    }
    println!();
}

/// Prints what kubezone keeps of the control plane's Services when it has listed them again and again.
pub(crate) async fn after_relists(plane: &ControlPlane, binary: &Path) {
    println!("| 100,000 endpoints with names | RSS MiB | own MiB | peak MiB |\n|---|--:|--:|--:|");
    for (is_reversed, with) in [(false, ""), (true, ", with a reverse zone")] {
        let proxy = Proxy::start(plane).await;
        let kubezone = Server::kubezone(binary, &proxy.kubeconfig(), is_reversed).await;
        sleep(REST).await;
        print(&kubezone, &format!("after the sync{with}"));
        for _ in 0..RELISTS {
            let watches = RESOURCES.map(|resource| proxy.asked(Verb::Watch, resource));
            touch(&proxy.kubeconfig());
            // A watch follows when the list is complete.
            eventually("everything is listed again", async || {
                let all =
                    RESOURCES.iter().zip(watches).all(|(resource, before)| proxy.asked(Verb::Watch, resource) > before);
                if all { Ok(()) } else { Err("not yet".to_owned()) }
            })
            .await;
        }
        row(kubezone, &format!("after {RELISTS} more lists{with}")).await;
    }
    println!();
}

/// Makes a kubeconfig another one that leads to the same place: for what may be another API, everything is listed anew.
fn touch(kubeconfig: &Path) {
    let text = fs::read_to_string(kubeconfig).expect("a kubeconfig");
    let mut object: Value = serde_json::from_str(&text).expect("as the proxy has written it");
    let contexts = object["contexts"].as_array_mut().expect("contexts");
    let mut context = contexts[0].clone();
    context["name"] = json!(format!("unused-{}", contexts.len()));
    contexts.push(context);
    fs::write(kubeconfig, object.to_string()).expect("kubeconfig written");
}

async fn row(server: Server, what: &str) {
    sleep(REST).await;
    print(&server, what);
}

fn print(server: &Server, what: &str) {
    let [rss, own, peak] = ["VmRSS", "RssAnon", "VmHWM"].map(|line| server.memory(line));
    println!("| {what} | {rss:.1} | {own:.1} | {peak:.1} |");
}

//! From the start of the process until it serves, beside a bare list.

use std::path::Path;
use std::time::Instant;

use futures::future::join_all;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::core::params::ListParams;

use super::server::{kubezone, quartiles};
use crate::support::control_plane::ControlPlane;

/// What kubezone lists.
const LISTED: [&str; 3] = ["/api/v1/namespaces", "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"];
/// How many objects it asks for at a time.
const PAGE: u32 = 500;

/// Prints how long both take, in so many rounds.
pub(crate) async fn measure(plane: &ControlPlane, binary: &Path, rounds: usize) {
    let (mut lists, mut syncs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut octets = 0;
    // The first warms up what keeps lists, in the API server.
    for round in 0..=rounds {
        let list = async || {
            let started = Instant::now();
            let octets = join_all(LISTED.map(|path| list(plane, path))).await.into_iter().sum::<usize>();
            (octets, started.elapsed().as_secs_f64())
        };
        let sync = async || {
            let started = Instant::now();
            kubezone(binary, &plane.kubeconfig(), false).await.ready().await;
            started.elapsed().as_secs_f64()
        };
        // Who comes second may find a machine that is warmer, or more tired.
        let (listed, synced);
        if round % 2 == 0 {
            listed = list().await;
            synced = sync().await;
        } else {
            synced = sync().await;
            listed = list().await;
        }
        if round > 0 {
            octets = listed.0;
            lists.push(listed.1);
            syncs.push(synced);
            ratios.push(synced / listed.1);
        }
    }
    println!("| sync, {rounds} rounds | 25 % | median | 75 % |\n|---|--:|--:|--:|");
    let what = format!("a bare list of {:.1} MB, s", octets as f64 / 1e6);
    for (what, figures) in
        [(&*what, &mut lists), ("kubezone, start to /readyz, s", &mut syncs), ("kubezone ÷ list", &mut ratios)]
    {
        let [low, middle, high] = quartiles(figures);
        println!("| {what} | {low:.2} | {middle:.2} | {high:.2} |");
    }
    println!();
}

/// Lists what is at `path`, with a client of its own and the rights of a kubezone; how many octets that were.
async fn list(plane: &ControlPlane, path: &str) -> usize {
    let kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let client = Client::try_from(config.expect("a configuration")).expect("a client");
    let (mut params, mut octets) = (ListParams::default().limit(PAGE), 0);
    loop {
        let request = Request::new(path);
        // Of Namespaces, kubezone wants the metadata only.
        let is_partial = path.ends_with("namespaces");
        let request = if is_partial { request.list_metadata(&params) } else { request.list(&params) };
        let page = client.request_text(request.expect("a request")).await.expect("a page");
        octets += page.len();
        params.continue_token = token(&page).map(str::to_owned);
        if params.continue_token.is_none() {
            return octets;
        }
    }
}

/// Where the next page begins: the list's metadata stands before its items.
fn token(page: &str) -> Option<&str> {
    let (metadata, _) = page.split_once("\"items\":").expect("a list");
    let (_, token) = metadata.split_once("\"continue\":\"")?;
    token.split_once('"').map(|(token, _)| token)
}

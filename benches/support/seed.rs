//! A real control plane with the Services of a large cluster in it.
//!
//! Making them takes the API server minutes. So they are made once, through the
//! API and by its rules, and what etcd has stored then is kept in the user's
//! cache folder: each bench has a control plane of its own, over a copy of that.
//! No controller runs there: what is in it stays as it is, until a bench changes
//! it.

use std::io::{self, Write as _};
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::http::{Request, header};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::control_plane::{ControlPlane, cache, stored, version};

/// What is made, other than the numbers in [`Seed`]: to be raised when it changes.
const GENERATOR: u32 = 2;
/// What a busy namespace holds.
const SERVICES_PER_NAMESPACE: usize = 100;
/// Requests that are under way at a time.
const AT_ONCE: usize = 32;

/// What is in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed {
    /// Services, each with one EndpointSlice.
    pub(crate) services: usize,
    /// Those among them, the first, that are headless; the others have a ClusterIP and one or two endpoints.
    pub(crate) headless: usize,
    /// Endpoints of a headless Service, 100 at most: every other one's have hostnames, as those of a `StatefulSet` have.
    pub(crate) endpoints: usize,
}

impl Seed {
    /// So many Services with a ClusterIP.
    pub(crate) fn plain(services: usize) -> Self {
        Self { services, headless: 0, endpoints: 0 }
    }

    /// A control plane with this in it; `None` where there is nothing to run, which then has been said about `bench`.
    pub(crate) async fn control_plane(self, bench: &str) -> Option<ControlPlane> {
        let store = cache()?.join(self.key(&version(bench)?));
        if !store.exists() {
            let plane = stored(bench, None).await?;
            self.sow(&plane).await;
            plane.keep(&store).await;
        }
        stored(bench, Some(&store)).await
    }

    /// The name of the folder that this is kept in.
    fn key(self, version: &str) -> PathBuf {
        let Self { services, headless, endpoints } = self;
        format!("seed-{version}-{GENERATOR}-{services}-{headless}x{endpoints}").into()
    }

    /// Makes everything.
    async fn sow(self, plane: &ControlPlane) {
        let client = plane.client().await;
        let total = self.services.div_ceil(SERVICES_PER_NAMESPACE) + 2 * self.services;
        let (done, started) = (AtomicUsize::new(0), Instant::now());
        let post = async |(path, object): (String, Value)| {
            let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
            let request = request.body(object.to_string().into_bytes()).expect("a request");
            let made = client.request_text(request).await;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(1000) || done == total {
                let _ = writeln!(io::stderr(), "seed: {done} of {total} objects in {:.0?}", started.elapsed());
            }
            made.map(drop)
        };
        let namespaces = (0..self.services).step_by(SERVICES_PER_NAMESPACE).map(|index| {
            let name = namespace(index);
            let labels = json!({ "kubernetes.io/metadata.name": name, "team": format!("team-{}", index % 7) });
            let object = json!({ "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
            ("/api/v1/namespaces".to_owned(), object)
        });
        let objects = (0..self.services).flat_map(|index| {
            let namespace = namespace(index);
            [
                (format!("/api/v1/namespaces/{namespace}/services"), self.service(index)),
                (format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"), self.slice(index)),
            ]
        });
        // Namespaces first: nothing can be made in one that is not there.
        for result in [
            stream::iter(namespaces).map(&post).buffer_unordered(AT_ONCE).try_collect::<()>().await,
            stream::iter(objects).map(&post).buffer_unordered(AT_ONCE).try_collect::<()>().await,
        ] {
            result.expect("created");
        }
    }

    fn is_headless(self, index: usize) -> bool {
        index < self.headless
    }

    /// A Service as a chart makes it.
    fn service(self, index: usize) -> Value {
        let name = name(index);
        let address = if self.is_headless(index) { "None".to_owned() } else { address(index).to_string() };
        json!({
            "kind": "Service",
            "metadata": { "name": name, "labels": labels(&name) },
            "spec": {
                "clusterIP": address,
                "ipFamilyPolicy": "SingleStack",
                "ipFamilies": ["IPv6"],
                "selector": { "app.kubernetes.io/name": name },
                "ports": [{ "name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP" }],
            },
        })
    }

    /// Its EndpointSlice as the controller makes it.
    fn slice(self, index: usize) -> Value {
        let service = name(index);
        let mut labels = labels(&service);
        labels["kubernetes.io/service-name"] = json!(service);
        labels["endpointslice.kubernetes.io/managed-by"] = json!("endpointslice-controller.k8s.io");
        let count = if self.is_headless(index) { self.endpoints } else { 1 + index % 2 };
        let endpoints = (0..count).map(|number| {
            let mut endpoint = json!({
                "addresses": [endpoint(index, number)],
                "conditions": { "ready": true, "serving": true, "terminating": false },
                "nodeName": format!("node-{}", number % 16),
                "zone": format!("zone-{}", number % 3),
                "targetRef": {
                    "kind": "Pod",
                    "namespace": namespace(index),
                    "name": format!("{service}-{number}"),
                    "uid": format!("00000000-0000-4000-8000-{index:06x}{number:06x}"),
                },
            });
            if self.is_headless(index) && index.is_multiple_of(2) {
                endpoint["hostname"] = json!(format!("{service}-{number}"));
            }
            endpoint
        });
        json!({
            "kind": "EndpointSlice",
            "metadata": { "name": slice_name(index), "labels": labels },
            "addressType": "IPv6",
            "endpoints": endpoints.collect::<Vec<_>>(),
            "ports": [{ "name": "https", "port": 8443, "protocol": "TCP" }],
        })
    }
}

fn labels(name: &str) -> Value {
    json!({
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": format!("{name}-production"),
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": "service-1.42.0",
    })
}

/// The namespace of a Service.
pub(crate) fn namespace(index: usize) -> String {
    format!("namespace-{:03}", index / SERVICES_PER_NAMESPACE)
}

/// The name of a Service.
pub(crate) fn name(index: usize) -> String {
    format!("service-{index:05}")
}

/// The name of its EndpointSlice.
pub(crate) fn slice_name(index: usize) -> String {
    format!("{}-7hx2k", name(index))
}

/// The `ClusterIP` of a Service, if it is not headless: of `SERVICE_RANGE`, behind those for Services that ask for none.
pub(crate) fn address(index: usize) -> Ipv6Addr {
    numbered(3, index + 0x2000)
}

/// The address of an endpoint of a Service.
pub(crate) fn endpoint(index: usize, number: usize) -> Ipv6Addr {
    numbered(4, 0x1_0000 + index * 0x100 + number)
}

/// The address at `number` in one of the cluster's networks: 3 is `SERVICE_RANGE`, in 4 are the endpoints.
pub(crate) fn numbered(network: u16, number: usize) -> Ipv6Addr {
    let network = u128::from(Ipv6Addr::new(0x2a0a, 0xe5c0, 0x10, network, 0, 0, 0, 0));
    Ipv6Addr::from(network + number as u128)
}

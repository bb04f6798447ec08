//! From the API server's reply to a change until the first answer that knows of it.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::{Method, Request, header};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use kube::Client;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::seed::numbered;
use super::server::{Server, ZONE, quantile};
use crate::support::BOUND;
use crate::support::control_plane::ControlPlane;

/// The namespace where things change.
const NAMESPACE: &str = "fresh";
/// Between two changes: each is to be a lone one, for the API server and its other watchers, too.
const PAUSE: Duration = Duration::from_millis(25);
/// After this long, a question or its answer is lost.
const LOST: Duration = Duration::from_millis(200);

/// Prints how late the servers are.
pub(crate) async fn measure(plane: &ControlPlane, binary: &Path, coredns: Option<&Path>, changes: usize) {
    let mut servers = vec![Server::kubezone(binary, &plane.kubeconfig(), false).await];
    if let Some(coredns) = coredns {
        servers.push(Server::coredns(coredns, &plane.kubeconfig()).await);
    }
    let scene = Scene::new(plane.client().await, NAMESPACE).await;
    scene.create_headless("moving").await;

    println!("| change, {changes} each | server | median ms | 95 % | 99 % | most |\n|---|---|--:|--:|--:|--:|");
    for (what, is_creation) in [("a Service is created", true), ("an endpoint is another", false)] {
        let mut delays = vec![Vec::new(); servers.len()];
        let published = servers[0].published().await;
        for number in 0..changes * servers.len() {
            let turn = number % servers.len();
            let server = servers[turn].dns;
            let delay = if is_creation {
                scene.created(server, number).await
            } else {
                scene.moved(server, "moving", number, Duration::ZERO).await
            };
            delays[turn].push(delay);
            sleep(PAUSE).await;
        }
        for (server, delays) in servers.iter().zip(&mut delays) {
            let [middle, most, nearly_all, all] = [0.5, 0.95, 0.99, 1.0].map(|part| quantile(delays, part));
            println!("| {what} | {} | {middle:.2} | {most:.2} | {nearly_all:.2} | {all:.2} |", server.name);
        }
        if let Some(([count, sum], [before, spent])) = servers[0].published().await.zip(published) {
            let mean = (sum - spent) / (count - before) * 1e6;
            println!("| of it, from the event at kubezone's writer to the swap, mean | {mean:.0} µs | | | | |");
        }
    }
    println!();
}

/// A namespace where things change.
#[derive(Clone)]
pub(crate) struct Scene {
    client: Client,
    namespace: &'static str,
}

impl Scene {
    /// A new one.
    pub(crate) async fn new(client: Client, namespace: &'static str) -> Self {
        let scene = Self { client, namespace };
        let object = json!({ "kind": "Namespace", "metadata": { "name": namespace } });
        scene.send(Method::POST, "/api/v1/namespaces", &object).await;
        scene
    }

    /// Creates a headless Service with one endpoint.
    pub(crate) async fn create_headless(&self, name: &str) {
        self.create_service(name, "None").await;
        let slice = json!({
            "kind": "EndpointSlice",
            "metadata": { "name": name, "labels": { "kubernetes.io/service-name": name } },
            "addressType": "IPv6",
            "endpoints": [{ "addresses": [numbered(4, 0)], "conditions": { "ready": true } }],
            "ports": [{ "name": "https", "port": 8443, "protocol": "TCP" }],
        });
        self.send(Method::POST, &self.slices(), &slice).await;
    }

    /// Gives a headless Service's endpoint another address.
    pub(crate) async fn replace(&self, name: &str, address: Ipv6Addr) {
        let patch = json!({ "endpoints": [{ "addresses": [address], "conditions": { "ready": true } }] });
        self.send(Method::PATCH, &format!("{}/{name}", self.slices()), &patch).await;
    }

    /// How many milliseconds after a Service was created `server` says so.
    async fn created(&self, server: SocketAddr, number: usize) -> f64 {
        let (name, address) = (format!("new-{number}"), numbered(3, 0x8_0000 + number));
        let right = self.first_right(server, &name, address, Duration::ZERO);
        delay(self.create_service(&name, &address.to_string()), right).await
    }

    /// How many milliseconds after a headless Service's endpoint was replaced `server` says so; it rests between questions.
    pub(crate) async fn moved(&self, server: SocketAddr, name: &str, number: usize, rest: Duration) -> f64 {
        let address = numbered(5, number);
        let right = self.first_right(server, name, address, rest);
        delay(self.replace(name, address), right).await
    }

    async fn create_service(&self, name: &str, cluster_ip: &str) {
        let ports = json!([{ "name": "https", "port": 443, "protocol": "TCP" }]);
        let spec = json!({ "clusterIP": cluster_ip, "ports": ports });
        let service = json!({ "kind": "Service", "metadata": { "name": name }, "spec": spec });
        self.send(Method::POST, &format!("/api/v1/namespaces/{}/services", self.namespace), &service).await;
    }

    fn slices(&self) -> String {
        format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.namespace)
    }

    async fn send(&self, method: Method, path: &str, object: &Value) {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, kind);
        let request = request.body(object.to_string().into_bytes()).expect("a request");
        self.client.request_text(request).await.expect("changed");
    }

    /// Asks `server` for a Service's addresses, from now on, until one of them is this; when it was told so.
    fn first_right(
        &self,
        server: SocketAddr,
        service: &str,
        address: Ipv6Addr,
        rest: Duration,
    ) -> impl Future<Output = Instant> + use<> {
        let name = format!("{service}.{}.svc.{ZONE}.", self.namespace);
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::AAAA));
        let question = message.to_vec().expect("encoded");
        let asking = spawn_blocking(move || ask_until(server, &question, address, rest));
        async { asking.await.expect("no panic") }
    }
}

/// How many milliseconds after the end of `change` it was `right`: fewer than none, if the watch was faster than the reply.
async fn delay(change: impl Future<Output = ()>, right: impl Future<Output = Instant>) -> f64 {
    let changed = async {
        change.await;
        Instant::now()
    };
    let (changed, right) = futures::join!(changed, right);
    let late = right.saturating_duration_since(changed).as_secs_f64();
    (late - changed.saturating_duration_since(right).as_secs_f64()) * 1e3
}

/// Asks the same question until an answer has the address in it.
fn ask_until(server: SocketAddr, question: &[u8], address: Ipv6Addr, rest: Duration) -> Instant {
    let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(server).expect("connected");
    socket.set_read_timeout(Some(LOST)).expect("a time");
    let started = Instant::now();
    let mut buffer = [0; 4096];
    while started.elapsed() < BOUND {
        socket.send(question).expect("sent");
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let received = Instant::now();
        if buffer[..length].windows(16).any(|octets| octets == address.octets()) {
            return received;
        }
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }
    panic!("{server} does not say {address}")
}

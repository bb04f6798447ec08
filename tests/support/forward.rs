//! An API server with one Pod, which a port can be forwarded from: there is no kubelet here that would do so.
//!
//! It speaks as kube-apiserver and the kubelet do (`v4.channel.k8s.io`: a channel for data and one for errors, the port's
//! number first on each), and leads to a real address. What it may be asked is what kubectl asks, too.

use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use futures::{SinkExt as _, StreamExt as _};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::AbortOnDropHandle;

use super::process::Folder;

/// What the API server does.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// Its Pods.
    pub(crate) pods: Value,
    /// What is forbidden: `pods`, `portforward`.
    pub(crate) forbidden: &'static str,
    /// Where the port leads, whatever its number.
    pub(crate) leads_to: SocketAddr,
    /// What was asked for, without what is the same each time.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

/// The API server at work, and the kubeconfig that leads to it.
pub(crate) struct Forwarding {
    pub(crate) kubeconfig: PathBuf,
    _serving: AbortOnDropHandle<()>,
    _folder: Folder,
}

/// A Pod of kubezone's.
pub(crate) fn pod(namespace: &str, name: &str, phase: &str, port: u16) -> Value {
    json!({
        "metadata": { "namespace": namespace, "name": name, "labels": { "app.kubernetes.io/name": "kubezone" } },
        "spec": { "containers": [{ "name": "kubezone", "ports": [{ "name": "admin", "containerPort": port }] }] },
        "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": if phase == "Running" { "True" } else { "False" } }] },
    })
}

impl Forwarding {
    pub(crate) async fn start(cluster: Cluster) -> Self {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let folder = Folder::new().expect("a temporary folder");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c2",
            "clusters": [{ "name": "c2", "cluster": { "server": format!("http://{address}") } }],
            "users": [{ "name": "c2", "user": {} }],
            "contexts": [{ "name": "c2", "context": { "cluster": "c2", "user": "c2" } }],
        });
        let kubeconfig = folder.write("kubeconfig", &kubeconfig.to_string()).expect("written");
        let serving = async move {
            loop {
                let (connection, _) = listener.accept().await.expect("a connection");
                let cluster = cluster.clone();
                let service = service_fn(move |request| {
                    let cluster = cluster.clone();
                    async move { Ok::<_, Infallible>(answer(&cluster, request)) }
                });
                let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service).with_upgrades();
                tokio::spawn(serving);
            }
        };
        Self { kubeconfig, _serving: AbortOnDropHandle::new(tokio::spawn(serving)), _folder: folder }
    }
}

fn answer(cluster: &Cluster, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    cluster.asked.lock().expect("not poisoned").push(request.uri().to_string());
    let what = path.rsplit('/').next().unwrap_or_default();
    if cluster.forbidden == what {
        let message = format!("{what} is forbidden: User \"nobody\" cannot do that");
        let status =
            json!({ "kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": message });
        return respond(StatusCode::FORBIDDEN, &status);
    }
    match what {
        "pods" => {
            let list = json!({ "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": cluster.pods });
            respond(StatusCode::OK, &list)
        }
        "portforward" => switch(cluster, request),
        _ => respond(StatusCode::NOT_FOUND, &json!({ "kind": "Status", "code": 404, "message": path })),
    }
}

fn respond(status: StatusCode, object: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(object.to_string())).expect("a response")
}

/// Becomes a WebSocket, and forwards the port.
fn switch(cluster: &Cluster, mut request: Request<Incoming>) -> Response<Body> {
    let port = request.uri().query().and_then(|query| query.rsplit("ports=").next()).and_then(|port| port.parse().ok());
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (port, accept, leads_to) = (port.expect("one port"), key.expect("a WebSocket is asked for"), cluster.leads_to);
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.expect("upgraded");
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        forward(socket, port, leads_to).await;
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "websocket");
    let response = response.header(header::SEC_WEBSOCKET_ACCEPT, accept);
    response.header(header::SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io").body(Body::empty()).expect("a response")
}

async fn forward(socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, port: u16, leads_to: SocketAddr) {
    let (mut to_client, mut from_client) = socket.split();
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        to_client.send(Message::binary(vec![channel, low, high])).await.expect("the port's number");
    }
    let connection = match TcpStream::connect(leads_to).await {
        Ok(connection) => connection,
        Err(error) => {
            let sentence = format!("\u{1}error forwarding port {port} to pod 0123, uid : {error}");
            let _ = to_client.send(Message::binary(sentence.into_bytes())).await;
            // To close with something unread may take the sentence away from who has not read it yet.
            while let Some(Ok(_)) = from_client.next().await {}
            return;
        }
    };
    let (mut from_pod, mut to_pod) = connection.into_split();
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            let is_over = match message {
                Message::Binary(octets) if octets.first() == Some(&0) => to_pod.write_all(&octets[1..]).await.is_err(),
                other => other.is_close(),
            };
            if is_over {
                return;
            }
        }
    };
    let down = async {
        let mut octets = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from_pod.read(&mut octets).await {
            let framed = [&[0], &octets[..length]].concat();
            if to_client.send(Message::binary(framed)).await.is_err() {
                return;
            }
        }
        let _ = to_client.send(Message::Close(None)).await;
    };
    tokio::join!(up, down);
}

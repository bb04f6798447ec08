//! A real API server with something in the way: a proxy that passes on what one kubezone asks, except where a test says
//! otherwise.
//!
//! kubezone reaches it over plain HTTP and without a name; it reaches the API server with the rights of a kubezone. Lists
//! and watches of each resource have a [`Fault`] of their own, which can be changed at any time.

use std::error::Error;
use std::future::ready;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response, header};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::control_plane::{ControlPlane, Port};
use super::process::Folder;

/// What a kubezone follows.
pub(crate) const RESOURCES: [&str; 3] = ["namespaces", "services", "endpointslices"];

/// A proxy in front of a control plane's API server, for one kubezone.
pub(crate) struct Proxy {
    port: Port,
    folder: Folder,
    road: Arc<Road>,
    serving: Option<AbortOnDropHandle<()>>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    List,
    Watch,
}

/// What becomes of the requests for one verb and resource.
#[derive(Clone)]
pub(crate) enum Fault {
    /// They are passed on, and so are the answers.
    None,
    /// Lists come without the objects of which this is true, and are well-formed.
    Lacks(Arc<dyn Fn(&Value) -> bool + Send + Sync>),
    /// Each page of a list says that it is the last.
    LastPage,
    /// The answer breaks off in the middle of its first part.
    CutOff,
    /// They are answered with an error, as the API writes it.
    Status(u16),
    /// They are never answered.
    Hangs,
    /// Of the answer there is only the head.
    Mute,
    /// Each byte of the answer takes so long.
    Slow(Duration),
    /// What a watch says comes all at once, when the fault is changed.
    Late,
    /// The answer is text, and not JSON.
    Garbage,
}

/// The way to the API server.
struct Road {
    client: Client,
    rules: Vec<Rule>,
}

struct Rule {
    verb: Verb,
    resource: &'static str,
    /// A change also ends what goes on under the fault before it.
    fault: watch::Sender<Fault>,
    /// The watch is told that its resourceVersion is too old.
    expire: Notify,
    asked: AtomicUsize,
}

impl Proxy {
    /// One that passes everything on.
    pub(crate) async fn start(plane: &ControlPlane) -> Self {
        let kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("a configuration")).expect("a client");
        let rules = RESOURCES.into_iter().flat_map(|resource| {
            [Verb::List, Verb::Watch].map(|verb| Rule {
                verb,
                resource,
                fault: watch::Sender::new(Fault::None),
                expire: Notify::new(),
                asked: AtomicUsize::new(0),
            })
        });
        let road = Arc::new(Road { client, rules: rules.collect() });
        let port = Port::reserve().expect("a port on [::1]");
        let folder = Folder::new().expect("a temporary folder");
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": { "server": format!("http://{}", port.address) } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "" } }],
            "current-context": "test",
        });
        folder.write("kubeconfig", &kubeconfig.to_string()).expect("kubeconfig written");
        let mut proxy = Self { port, folder, road, serving: None };
        proxy.open();
        proxy
    }

    /// The kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// From now on, this becomes of such requests. Those that go on, and open watches, end.
    pub(crate) fn set(&self, verb: Verb, resource: &str, fault: Fault) {
        self.road.rule(verb, resource).fault.send_replace(fault);
    }

    /// From now on, this becomes of all requests.
    pub(crate) fn set_all(&self, fault: &Fault) {
        for rule in &self.road.rules {
            rule.fault.send_replace(fault.clone());
        }
    }

    /// Tells the watch of a resource, the one that is open or else the next, that its resourceVersion is too old.
    pub(crate) fn expire(&self, resource: &str) {
        self.road.rule(Verb::Watch, resource).expire.notify_one();
    }

    /// How often this has been asked for.
    pub(crate) fn asked(&self, verb: Verb, resource: &str) -> usize {
        self.road.rule(verb, resource).asked.load(Ordering::SeqCst)
    }

    /// Breaks all connections and refuses new ones, at the same address.
    pub(crate) fn close(&mut self) {
        self.serving = None;
    }

    /// Takes connections again.
    pub(crate) fn open(&mut self) {
        let listener = self.port.listen().expect("our own port");
        self.serving = Some(AbortOnDropHandle::new(tokio::spawn(serve(listener, Arc::clone(&self.road)))));
    }
}

impl Fault {
    /// A list without the objects of which `predicate` is true, as read from their names.
    pub(crate) fn lacks(predicate: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::Lacks(Arc::new(move |object| predicate(object["metadata"]["name"].as_str().expect("a name"))))
    }
}

/// Serves until the future is dropped; its connections end with it.
async fn serve(listener: TcpListener, road: Arc<Road>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let road = Arc::clone(&road);
        let service = service_fn(move |request| {
            let road = Arc::clone(&road);
            async move { road.pass(request).await }
        });
        // What breaks there was meant to, or is seen by who asks.
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

impl Road {
    fn rule(&self, verb: Verb, resource: &str) -> &Rule {
        let rule = self.rules.iter().find(|rule| (rule.verb, rule.resource) == (verb, resource));
        rule.unwrap_or_else(|| panic!("a kubezone does not ask for {resource}"))
    }

    /// Answers a request; an error breaks the connection.
    async fn pass(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let verb = if is_watch { Verb::Watch } else { Verb::List };
        let resource = request.uri().path().rsplit('/').next().expect("the last part").to_owned();
        let rule = self.rule(verb, &resource);
        rule.asked.fetch_add(1, Ordering::SeqCst);
        let mut changes = rule.fault.subscribe();
        let fault = changes.borrow_and_update().clone();
        let changed = async move {
            let _ = changes.changed().await;
        };
        match &fault {
            Fault::Status(code) => return Ok(status(*code)),
            Fault::Hangs => {
                changed.await;
                return Err("hung until the fault was changed".into());
            }
            Fault::Mute => {
                let over = stream::once(changed).map(|()| Err::<Bytes, _>(broken()));
                return Ok(Response::new(Body::from_stream(over)));
            }
            Fault::Garbage => return Ok(Response::new(Body::from("<html>Sign in to use this network</html>\n"))),
            _ => {}
        }
        let answer = self.client.send(upstream(&request)).await?;
        let (head, body) = answer.into_parts();
        let said = spoiled(Body::new(body), &fault).await?.into_data_stream().take_until(changed);
        let body = match (verb, fault) {
            (Verb::List, _) => Body::from_stream(said),
            (Verb::Watch, Fault::Late) => {
                Body::from_stream(stream::once(said.collect::<Vec<_>>()).flat_map(stream::iter))
            }
            (Verb::Watch, _) => {
                let expired = async move {
                    self.rule(verb, &resource).expire.notified().await;
                    Some(Ok(Bytes::from_static(EXPIRED)))
                };
                let expired = stream::once(expired).chain(stream::iter([None]));
                let said = said.map(Some).chain(stream::iter([None]));
                // Whichever ends first ends the watch.
                Body::from_stream(stream::select(said, expired).scan((), |(), said| ready(said)))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        Ok(response)
    }
}

/// What an API server says in a watch whose resourceVersion it has forgotten.
const EXPIRED: &[u8] = br#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}
"#;

/// The same request, for the API server.
fn upstream(request: &Request<Incoming>) -> Request<kube::client::Body> {
    let uri = request.uri().path_and_query().expect("a path").as_str();
    let mut upstream = Request::get(uri).body(kube::client::Body::empty()).expect("a request");
    // Of Namespaces it wants the metadata only.
    if let Some(accept) = request.headers().get(header::ACCEPT) {
        upstream.headers_mut().insert(header::ACCEPT, accept.clone());
    }
    upstream
}

/// An error as the API writes it.
fn status(code: u16) -> Response<Body> {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the test says so",
        "reason": "Test",
        "code": code,
    });
    let response = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(status.to_string())).expect("a response")
}

fn broken() -> io::Error {
    io::Error::other("broken by the test")
}

/// What becomes of an answer's body.
async fn spoiled(body: Body, fault: &Fault) -> Result<Body, Box<dyn Error + Send + Sync>> {
    Ok(match fault {
        Fault::Lacks(is_lacking) => {
            let lack = |list: &mut Value| {
                list["items"].as_array_mut().expect("items").retain(|item| !is_lacking(item));
            };
            edited(body, lack).await?
        }
        Fault::LastPage => edited(body, |list| list["metadata"]["continue"] = json!("")).await?,
        Fault::CutOff => {
            let half = body.into_data_stream().take(1).map_ok(|chunk| chunk.slice(..chunk.len() / 2));
            // Without a pause the half would be thrown away with the connection.
            let end = stream::once(sleep(Duration::from_millis(10))).map(|()| Err(broken()));
            Body::from_stream(half.map_err(io::Error::other).chain(end))
        }
        Fault::Slow(pause) => Body::from_stream(slow(body, *pause)),
        _ => body,
    })
}

/// A list that has been changed.
async fn edited(body: Body, edit: impl FnOnce(&mut Value)) -> Result<Body, Box<dyn Error + Send + Sync>> {
    let bytes = to_bytes(body, usize::MAX).await?;
    let mut list = serde_json::from_slice(&bytes)?;
    edit(&mut list);
    Ok(Body::from(list.to_string()))
}

/// The same bytes, each after a pause.
fn slow(body: Body, pause: Duration) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let bytes = body
        .into_data_stream()
        .map_ok(|chunk| stream::iter(chunk.into_iter().map(|byte| Ok(Bytes::copy_from_slice(&[byte])))));
    bytes.try_flatten().and_then(move |byte| async move {
        sleep(pause).await;
        Ok(byte)
    })
}

//! A follower against an API server that answers what the test says, faults included.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::future::join_all;
use futures::stream;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::metrics::Metrics;
use crate::nameserver::Served;
use crate::published::Published;
use crate::source::log::Log;
use crate::source::writer::Relist;

/// Within it, what is waited for happens.
const BOUND: Duration = Duration::from_secs(30);

/// A watch outlasts any test; failures are waited out at once.
const PACE: Pace = Pace {
    watch: Duration::from_secs(60),
    slack: Duration::from_secs(60),
    shortest: Duration::from_millis(1),
    longest: Duration::from_millis(10),
};

/// An API server that hands every request to the test.
struct Api {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<Asked>,
    server: JoinHandle<()>,
}

/// A request, to be answered.
struct Asked {
    uri: String,
    accept: String,
    reply: oneshot::Sender<Response>,
}

/// A watch that was answered, and lasts until it is dropped.
struct Watch(mpsc::UnboundedSender<io::Result<String>>);

impl Api {
    async fn start() -> Self {
        Self::on(TcpListener::bind("[::1]:0").await.unwrap())
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        let app = axum::Router::new().fallback(ask).with_state(sender);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, asked, server }
    }

    async fn next(&mut self) -> Asked {
        timeout(BOUND, self.asked.recv()).await.expect("a request within the bound").unwrap()
    }

    /// The next request, a list.
    async fn list(&mut self) -> Asked {
        let asked = self.next().await;
        assert!(!asked.is_watch(), "a list, not {}", asked.uri);
        asked
    }

    /// The next request, a watch from `position` on.
    async fn watch(&mut self, position: &str) -> Asked {
        let asked = self.next().await;
        assert!(asked.is_watch(), "a watch, not {}", asked.uri);
        assert_eq!(asked.parameter("resourceVersion"), Some(position), "{}", asked.uri);
        assert_eq!(asked.parameter("allowWatchBookmarks"), Some("true"), "{}", asked.uri);
        asked
    }

    /// Takes no new connections; those that are open end with their requests.
    async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
    }
}

async fn ask(State(asked): State<mpsc::UnboundedSender<Asked>>, request: Request) -> Response {
    let (reply, answer) = oneshot::channel();
    let accept = request.headers().get("accept").map_or("", |value| value.to_str().unwrap());
    let _ = asked.send(Asked { uri: request.uri().to_string(), accept: accept.to_owned(), reply });
    answer.await.unwrap_or_else(|_| Response::builder().status(503).body(Body::empty()).unwrap())
}

impl Asked {
    fn is_watch(&self) -> bool {
        self.parameter("watch") == Some("true")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.uri.split_once('?')?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    fn answer(self, code: u16, body: impl Into<Body>) {
        let _ = self.reply.send(Response::builder().status(code).body(body.into()).unwrap());
    }

    /// Answers with the last page of a list.
    fn page(self, resource_version: &str, items: &[String]) {
        self.answer(200, page(resource_version, "", items));
    }

    /// Answers with an error as the API writes it.
    fn status(self, code: u16) {
        self.answer(code, status(code));
    }

    /// Answers with a watch that goes on.
    fn stream(self) -> Watch {
        let (sender, mut lines) = mpsc::unbounded_channel();
        self.answer(200, Body::from_stream(stream::poll_fn(move |context| lines.poll_recv(context))));
        Watch(sender)
    }
}

impl Watch {
    fn says(&self, r#type: &str, object: &str) {
        self.0.send(Ok(format!("{{\"type\":\"{type}\",\"object\":{object}}}\n"))).unwrap();
    }

    fn bookmark(&self, resource_version: &str) {
        self.says("BOOKMARK", &format!(r#"{{"metadata":{{"resourceVersion":"{resource_version}"}}}}"#));
    }

    fn breaks(self) {
        self.0.send(Err(io::Error::other("broken by the test"))).unwrap();
    }
}

fn page(resource_version: &str, token: &str, items: &[String]) -> String {
    let items = items.join(",");
    let metadata = format!(r#"{{"resourceVersion":"{resource_version}","continue":"{token}"}}"#);
    format!(r#"{{"kind":"ServiceList","metadata":{metadata},"items":[{items}]}}"#)
}

fn status(code: u16) -> String {
    format!(r#"{{"kind":"Status","status":"Failure","code":{code},"reason":"Test","message":"as the test says"}}"#)
}

/// A Service in the namespace `shop`.
fn service(name: &str, address: &str, resource_version: &str) -> String {
    object(name, resource_version, &format!(r#""{address}""#))
}

/// A Service that cannot be decoded.
fn broken(name: &str, resource_version: &str) -> String {
    object(name, resource_version, "{}")
}

fn object(name: &str, resource_version: &str, address: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"shop","resourceVersion":"{resource_version}"}},
             "spec":{{"clusterIP":{address}}}}}"#
    )
    .replace('\n', "")
}

/// A follower at work, and what it tells.
struct Following {
    folder: TempDir,
    events: mpsc::Receiver<Event>,
    relist: Arc<Notify>,
    metrics: Arc<Metrics>,
    task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    fn services(address: SocketAddr) -> Self {
        Self::start(Kind::Service, address, PACE)
    }

    fn start(of: impl Into<Collection>, address: SocketAddr, pace: Pace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_kubeconfig(folder.path(), address);
        Self::with(of, folder, pace)
    }

    fn with(of: impl Into<Collection>, folder: TempDir, pace: Pace) -> Self {
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let access = Access::Kubeconfig { path: Some(folder.path().join("kubeconfig")), context: Some("c2".into()) };
        let (sender, events) = mpsc::channel(100);
        let relist = Arc::new(Notify::new());
        let metrics = Metrics::new(Arc::new(Published::new(Served::default())));
        let told = metrics.cluster("c2");
        let follower = Follower::new("c2".into(), of.into(), access, sender, Arc::clone(&relist), told, pace);
        Self { folder, events, relist, metrics, task: tokio::spawn(follower.run()) }
    }

    /// The follower tells this next: one line an event.
    async fn tells(&mut self, expected: &str) {
        for expected in expected.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let event = timeout(BOUND, self.events.recv()).await.unwrap_or_else(|_| panic!("never told: {expected}"));
            assert_eq!(event.unwrap().text(), expected);
        }
    }

    /// The follower has told nothing else, and counted these errors.
    fn is_done(&mut self, errors: &str) {
        assert_eq!(self.events.try_recv().ok().as_ref().map(Event::text), None);
        assert_eq!(self.errors(), errors);
    }

    /// The errors counted: `reason number`, in the order of their names.
    fn errors(&self) -> String {
        let text = self.metrics.text();
        let counted =
            text.lines().filter_map(|line| line.strip_prefix("kubezone_cluster_errors_total{")?.split_once("} "));
        let error = |(labels, count): (&str, &str)| {
            let reason = labels.split_once("reason=\"").unwrap().1.split('"').next().unwrap();
            (count != "0").then(|| format!("{reason} {count}"))
        };
        counted.filter_map(error).collect::<Vec<_>>().join(", ")
    }

    /// Waits until an error of this kind was counted.
    async fn counts(&self, reason: &str) {
        let counted = async {
            while !self.errors().contains(reason) {
                tokio::task::yield_now().await;
            }
        };
        timeout(BOUND, counted).await.unwrap_or_else(|_| panic!("never counted: {reason}; but {}", self.errors()));
    }
}

fn write_kubeconfig(folder: &Path, address: SocketAddr) {
    write_kubeconfig_of(folder, address, "token: secret");
}

/// A kubeconfig whose user has these `credentials`.
fn write_kubeconfig_of(folder: &Path, address: SocketAddr, credentials: &str) {
    let kubeconfig = format!(
        "
        apiVersion: v1
        kind: Config
        current-context: other
        clusters: [{{name: c2, cluster: {{server: 'http://{address}'}}}}]
        users: [{{name: kubezone, user: {{{credentials}}}}}]
        contexts:
          - {{name: other, context: {{cluster: other, user: kubezone}}}}
          - {{name: c2, context: {{cluster: c2, user: kubezone}}}}
        "
    );
    // As a rotation does: no half a file is ever seen.
    std::fs::write(folder.join("new"), kubeconfig).unwrap();
    std::fs::rename(folder.join("new"), folder.join("kubeconfig")).unwrap();
}

#[tokio::test]
async fn a_list_and_a_watch_tell_what_happens() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    let asked = api.list().await;
    assert!(asked.uri.starts_with("/api/v1/services?"), "{}", asked.uri);
    assert_eq!(asked.parameter("resourceVersion"), None, "the newest, not what some cache has");
    asked.page("20", &[service("web", "2a0a:e5c0:10:3::1", "11"), service("db", "None", "12")]);
    following
        .tells(
            "listing Service \n apply shop/web [2a0a:e5c0:10:3::1] @11 \n apply shop/db [] @12 \n listed Service @20",
        )
        .await;

    let watch = api.watch("20").await.stream();
    watch.says("ADDED", &service("new", "2a0a:e5c0:10:3::2", "21"));
    following.tells("apply shop/new [2a0a:e5c0:10:3::2] @21").await;
    watch.says("MODIFIED", &service("new", "2a0a:e5c0:10:3::3", "22"));
    following.tells("apply shop/new [2a0a:e5c0:10:3::3] @22").await;
    watch.says("DELETED", &service("new", "2a0a:e5c0:10:3::3", "23"));
    following.tells("delete shop/new @23").await;
    following.is_done("");
}

#[tokio::test]
async fn each_kind_is_asked_for_where_it_is() {
    let running = Some("status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed");
    for (kind, path, accept, fields) in [
        (Kind::EndpointSlice, "/apis/discovery.k8s.io/v1/endpointslices?", "", None),
        (Kind::Namespace, "/api/v1/namespaces?", "as=PartialObjectMetadata", None),
        (Kind::Pod, "/api/v1/pods?", "", running),
    ] {
        let mut api = Api::start().await;
        let mut following = Following::start(kind, api.address, PACE);
        let asked = api.list().await;
        assert!(asked.uri.starts_with(path) && asked.accept.contains(accept), "{} {}", asked.uri, asked.accept);
        assert_eq!(asked.parameter("fieldSelector"), fields);
        asked.page("20", &[]);
        following.tells(&format!("listing {kind:?} \n listed {kind:?} @20")).await;
        let asked = api.watch("20").await;
        assert!(asked.uri.starts_with(path) && asked.accept.contains(accept), "{} {}", asked.uri, asked.accept);
        assert_eq!(asked.parameter("fieldSelector"), fields);
    }
}

#[tokio::test]
async fn a_namespace_is_asked_for_by_itself() {
    for (kind, path) in [
        (Kind::Service, "/api/v1/namespaces/shop/services?"),
        (Kind::EndpointSlice, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?"),
        (Kind::Pod, "/api/v1/namespaces/shop/pods?"),
    ] {
        let mut api = Api::start().await;
        let mut following = Following::start(Collection { kind, namespace: Some("shop".into()) }, api.address, PACE);
        let asked = api.list().await;
        assert!(asked.uri.starts_with(path), "{}", asked.uri);
        asked.page("20", &[]);
        following.tells(&format!("listing {kind:?} in shop \n listed {kind:?} in shop @20")).await;
        let asked = api.watch("20").await;
        assert!(asked.uri.starts_with(path), "{}", asked.uri);
        let watch = asked.stream();
        watch.bookmark("21");
        following.tells(&format!("bookmark {kind:?} in shop @21")).await;
        // Whether the API's store is older is asked of the same place.
        drop(watch);
        let _watch = api.watch("21").await;
    }
}

#[tokio::test]
async fn pages_are_about_as_large_as_they_may_be() {
    let mut api = Api::start().await;
    let following = Following::start(Kind::EndpointSlice, api.address, PACE);
    let asked = api.list().await;
    assert_eq!(asked.parameter("limit"), Some("100"), "nobody knows how large they are");
    let large = format!(r#"{{"metadata":{{"name":"{}","namespace":"shop"}}}}"#, "a".repeat(PAGE_OCTETS / 20));
    asked.answer(200, page("20", "more", &[large.clone(), large]));
    let asked = api.list().await;
    assert_eq!((asked.parameter("limit"), asked.parameter("continue")), (Some("19"), Some("more")));
    asked.answer(200, page("20", "rest", &["{}".to_owned()]));
    assert_eq!(api.list().await.parameter("limit"), Some("500"), "small ones");
    following.counts("undecodable 1").await;
}

#[tokio::test]
async fn a_pod_is_told_of_while_it_has_an_address() {
    let pod = |phase: &str, address: &str, resource_version: &str| {
        format!(r#"{{"metadata":{{"name":"web-0","namespace":"shop","resourceVersion":"{resource_version}"}},"#)
            + &format!(r#""status":{{"phase":"{phase}","podIP":"{address}"}}}}"#)
    };
    let mut api = Api::start().await;
    let mut following = Following::start(Kind::Pod, api.address, PACE);
    api.list().await.page("20", &[pod("Pending", "", "11")]);
    following.tells("listing Pod \n delete shop/web-0 @11 \n listed Pod @20").await;
    let watch = api.watch("20").await.stream();
    watch.says("MODIFIED", &pod("Running", "2a0a::1", "21"));
    following.tells("apply pod shop/web-0 [2a0a::1] @21").await;
    watch.says("MODIFIED", &pod("Failed", "2a0a::1", "22"));
    following.tells("delete shop/web-0 @22").await;
    following.is_done("");
}

#[tokio::test]
async fn a_list_goes_on_over_its_pages() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    let asked = api.list().await;
    assert_eq!(asked.parameter("limit"), Some("500"));
    asked.answer(200, page("20", "more", &[service("a", "2a0a::1", "11")]));
    let asked = api.list().await;
    assert_eq!(asked.parameter("continue"), Some("more"));
    asked.page("20", &[service("b", "2a0a::2", "12")]);
    following
        .tells("listing Service \n apply shop/a [2a0a::1] @11 \n apply shop/b [2a0a::2] @12 \n listed Service @20")
        .await;
    api.watch("20").await;
    following.is_done("");
}

#[tokio::test]
async fn an_empty_list_may_be_null() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.answer(200, r#"{"kind":"ServiceList","metadata":{"resourceVersion":"20"},"items":null}"#);
    following.tells("listing Service \n listed Service @20").await;
}

#[tokio::test]
async fn a_page_that_is_gone_begins_the_list_anew() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.answer(200, page("20", "more", &[service("a", "2a0a::1", "11")]));
    api.list().await.status(410);
    let asked = api.list().await;
    assert_eq!(asked.parameter("continue"), None);
    asked.page("30", &[service("a", "2a0a::1", "11")]);
    following.tells("listing Service \n apply shop/a [2a0a::1] @11").await;
    following.tells("listing Service \n apply shop/a [2a0a::1] @11 \n listed Service @30").await;
    api.watch("30").await;
    following.is_done("expired 1");
}

#[tokio::test]
async fn the_next_watch_goes_on_where_the_last_ended() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.page("20", &[]);
    let watch = api.watch("20").await.stream();
    watch.says("ADDED", &service("web", "2a0a::1", "21"));
    drop(watch);
    following.tells("listing Service \n listed Service @20 \n apply shop/web [2a0a::1] @21").await;
    let watch = api.watch("21").await.stream();
    watch.bookmark("25");
    following.tells("bookmark Service @25").await;
    watch.breaks();
    let watch = api.watch("25").await.stream();
    // The end of the connection within a line is no event.
    watch.0.send(Ok(r#"{"type":"DELETED","obj"#.into())).unwrap();
    drop(watch);
    api.list().await.page("25", &[]);
    api.watch("25").await;
    following.is_done("connection 1");
}

#[tokio::test]
async fn a_lost_position_is_listed_again() {
    for (lost, counted) in [(400, "status 1"), (410, "expired 1"), (422, "status 1")] {
        let mut api = Api::start().await;
        let mut following = Following::services(api.address);
        api.list().await.page("20", &[service("a", "2a0a::1", "11"), service("b", "2a0a::2", "12")]);
        api.watch("20").await.status(lost);
        api.list().await.page("30", &[service("b", "2a0a::2", "12")]);
        api.watch("30").await;
        following.tells("listing Service \n apply shop/a [2a0a::1] @11 \n apply shop/b [2a0a::2] @12").await;
        following
            .tells("listed Service @20 \n listing Service \n apply shop/b [2a0a::2] @12 \n listed Service @30")
            .await;
        following.is_done(counted);
    }
}

#[tokio::test]
async fn an_api_whose_store_was_restored_is_listed_again() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.page("20", &[service("a", "2a0a::1", "11")]);
    following.tells("listing Service \n apply shop/a [2a0a::1] @11 \n listed Service @20").await;

    // A quiet API is not behind, and nothing is listed again.
    drop(api.watch("20").await.stream());
    let asked = api.list().await;
    assert_eq!((asked.parameter("limit"), asked.parameter("resourceVersion")), (Some("1"), None));
    asked.page("20", &[service("a", "2a0a::1", "11")]);
    drop(api.watch("20").await.stream());
    api.list().await.page("opaque", &[]);

    // What it has now is below where the watch goes on from: it would be silent until it gets there.
    drop(api.watch("20").await.stream());
    api.list().await.page("7", &[service("b", "2a0a::2", "5")]);
    let asked = api.list().await;
    assert_eq!(asked.parameter("limit"), Some("500"));
    asked.page("7", &[service("b", "2a0a::2", "5")]);
    api.watch("7").await;
    following.tells("listing Service \n apply shop/b [2a0a::2] @5 \n listed Service @7").await;
    following.is_done("");
}

#[tokio::test]
async fn an_error_within_a_watch_is_listed_past() {
    for (code, counted) in [(410, "expired 1"), (500, "status 1")] {
        let mut api = Api::start().await;
        let mut following = Following::services(api.address);
        api.list().await.page("20", &[]);
        let watch = api.watch("20").await.stream();
        watch.says("ERROR", &status(code));
        api.list().await.page("30", &[]);
        api.watch("30").await;
        following.tells("listing Service \n listed Service @20 \n listing Service \n listed Service @30").await;
        following.is_done(counted);
    }
}

#[tokio::test]
async fn an_undecodable_object_hurts_nobody() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    let nameless = r#"{"metadata":[]}"#.to_owned();
    api.list().await.page("20", &[broken("bad", "11"), nameless.clone(), service("good", "2a0a::1", "12")]);
    following.tells("listing Service \n skipped shop/bad \n apply shop/good [2a0a::1] @12 \n listed Service @20").await;

    let watch = api.watch("20").await.stream();
    watch.says("MODIFIED", &broken("good", "21"));
    watch.says("MODIFIED", &nameless);
    watch.says("ADDED", &service("other", "2a0a::2", "22"));
    watch.says("MODIFIED", &broken("good", "23"));
    following.tells("skipped shop/good \n apply shop/other [2a0a::2] @22 \n skipped shop/good").await;
    drop(watch);
    // It does not come again.
    api.watch("23").await.stream().says("DELETED", &broken("bad", "24"));
    following.tells("delete shop/bad @24").await;
    following.is_done("undecodable 5");
}

#[tokio::test]
async fn a_slice_that_lost_its_service_is_gone() {
    let slice = |labels: &str, version: u32| {
        format!(
            r#"{{"metadata":{{"name":"web-1","namespace":"shop","resourceVersion":"{version}","labels":{labels}}},
                 "addressType":"IPv6","endpoints":[]}}"#
        )
        .replace('\n', "")
    };
    let mut api = Api::start().await;
    let mut following = Following::start(Kind::EndpointSlice, api.address, PACE);
    api.list().await.page("20", &[slice(r#"{"kubernetes.io/service-name":"web"}"#, 11)]);
    api.watch("20").await.stream().says("MODIFIED", &slice("{}", 21));
    following.tells("listing EndpointSlice \n apply slice web-1 @11 \n listed EndpointSlice @20").await;
    following.tells("delete shop/web-1 @21").await;
}

#[tokio::test]
async fn errors_are_waited_out_and_take_nothing_away() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.page("20", &[service("web", "2a0a::1", "11")]);
    following.tells("listing Service \n apply shop/web [2a0a::1] @11 \n listed Service @20").await;
    for code in [401, 403, 404, 429, 500, 503] {
        api.watch("20").await.status(code);
    }
    api.watch("20").await.stream().breaks();
    // An answer that is not the API's.
    api.watch("20").await.answer(200, "<html>\n");
    for code in [401, 403, 404, 410, 429, 500, 503] {
        api.list().await.status(code);
    }
    // What is no list, above all not an empty one.
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"kind":"Status","metadata":{}}"#,
        r#"{"kind":"ServiceList","metadata":{},"items":[]}"#,
        r#"{"kind":"ServiceList","metadata":{"resourceVersion":""},"items":[]}"#,
        r#"{"kind":"ServiceList","metadata":{"resourceVersion":"30"}}"#,
        r#"{"kind":"Service","metadata":{"resourceVersion":"30"},"items":[]}"#,
        r#"{"metadata":{"resourceVersion":"30"},"items":[]}"#,
    ] {
        api.list().await.answer(200, body);
    }
    api.list().await.page("30", &[service("web", "2a0a::1", "11")]);
    api.watch("30").await;
    following.tells("listing Service \n apply shop/web [2a0a::1] @11 \n listed Service @30").await;
    following.is_done("connection 1, expired 1, forbidden 4, status 18");
}

#[tokio::test]
async fn an_api_server_that_restarts_is_watched_from_the_same_position() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.page("20", &[]);
    let watch = api.watch("20").await.stream();
    let address = api.address;
    api.stop().await;
    watch.breaks();
    // Nobody listens: the requests after the one that broke are refused.
    following.counts("connection 2").await;
    // Connections are taken and closed.
    let listener = TcpListener::bind(address).await.unwrap();
    for _ in 0..2 {
        drop(timeout(BOUND, listener.accept()).await.expect("another attempt").unwrap());
    }
    let mut api = Api::on(listener);
    api.watch("20").await.stream().says("ADDED", &service("web", "2a0a::1", "21"));
    following.tells("listing Service \n listed Service @20 \n apply shop/web [2a0a::1] @21").await;
}

#[tokio::test]
async fn a_silent_watch_is_given_up() {
    let mut api = Api::start().await;
    let pace = Pace { watch: Duration::from_millis(300), slack: Duration::ZERO, ..PACE };
    let following = Following::start(Kind::Service, api.address, pace);
    let mut silent = None;
    loop {
        let asked = api.next().await;
        if !asked.is_watch() {
            // More than one, should the test be slower than the follower is patient.
            asked.page("20", &[]);
        } else if silent.is_none() {
            silent = Some(asked.stream());
        } else {
            assert_eq!(asked.parameter("resourceVersion"), Some("20"));
            assert!(following.errors().starts_with("idle "), "{}", following.errors());
            break;
        }
    }
}

#[tokio::test]
async fn the_writer_gets_another_list_when_it_asks_for_one() {
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.page("20", &[]);
    let _watch = api.watch("20").await.stream();
    following.relist.notify_one();
    api.list().await.page("30", &[]);
    api.watch("30").await;
    following.tells("listing Service \n listed Service @20 \n listing Service \n listed Service @30").await;
    following.is_done("");
}

#[tokio::test]
async fn a_kubeconfig_that_is_wrong_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kubeconfig"), "contexts: [{name: other}").unwrap();
    let mut following = Following::with(Kind::Service, folder, PACE);
    following.counts("configuration 2").await;
    let mut api = Api::start().await;
    write_kubeconfig(following.folder.path(), api.address);
    api.list().await.page("20", &[]);
    following.tells("listing Service \n listed Service @20").await;

    // A client that works is kept when the file breaks.
    let watch = api.watch("20").await.stream();
    std::fs::write(following.folder.path().join("kubeconfig"), "{").unwrap();
    watch.bookmark("20");
    drop(watch);
    let watch = api.watch("20").await.stream();

    // Another API has other resourceVersions.
    let mut other = Api::start().await;
    write_kubeconfig(following.folder.path(), other.address);
    watch.bookmark("20");
    drop(watch);
    following.tells("bookmark Service @20 \n bookmark Service @20").await;
    other.list().await.page("7", &[]);
    other.watch("7").await;
    following.tells("listing Service \n listed Service @7").await;
}

#[tokio::test]
async fn a_kubeconfig_that_changes_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let access = Access::Kubeconfig { path: Some(path), context: None };
    let relist: Relist =
        [Kind::Service, Kind::EndpointSlice, Kind::Namespace].map(Collection::from).into_iter().collect();
    let watch = crate::source::Watch::new(access.files());
    let _watching = AbortOnDropHandle::new(tokio::spawn(watch_configuration(access, watch, relist.clone())));
    let kinds = join_all(relist.iter().map(|(_, asked)| asked.notified()));
    let changes = async {
        // The first that it sees may be what it began with.
        for port in 1.. {
            write_kubeconfig(folder.path(), SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port));
            sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        _ = kinds => {}
        () = changes => {}
        () = sleep(BOUND) => panic!("no list was asked for"),
    }
}

#[tokio::test]
async fn a_program_for_credentials_that_hangs_is_reported_and_not_started_again() {
    let mut api = Api::start().await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("hangs"), "").unwrap();
    let program = format!(
        r#"
        cd '{}' && echo run >> runs
        while [ -e hangs ]; do sleep 0.05; done
        echo '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "x"}}}}'
        "#,
        folder.path().display()
    );
    std::fs::write(at("program"), program).unwrap();
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: ";
    write_kubeconfig_of(folder.path(), api.address, &format!("{exec}['{}']}}", at("program").display()));

    let pace = Pace { watch: Duration::from_millis(300), slack: Duration::ZERO, ..PACE };
    let following = Following::with(Kind::Service, folder, pace);
    following.counts("configuration 3").await;
    let at = |name: &str| following.folder.path().join(name);
    assert_eq!(std::fs::read_to_string(at("runs")).unwrap(), "run\n");
    std::fs::remove_file(at("hangs")).unwrap();
    api.list().await;
}

#[tokio::test]
async fn a_broken_kubeconfig_beside_a_client_that_works_is_said_once() {
    let (log, _guard) = Log::start();
    let mut api = Api::start().await;
    let mut following = Following::services(api.address);
    api.list().await.page("20", &[]);
    let mut watch = api.watch("20").await.stream();
    std::fs::write(following.folder.path().join("kubeconfig"), "{").unwrap();
    for _ in 0..3 {
        watch.bookmark("20");
        drop(watch);
        watch = api.watch("20").await.stream();
    }
    write_kubeconfig(following.folder.path(), api.address);
    watch.bookmark("20");
    drop(watch);
    api.watch("20").await;
    let counts = ["followed with the one before it", "can be used again", "not followed for now", "followed again"];
    assert_eq!(counts.map(|text| log.count(text)), [1, 1, 0, 0]);
    following.tells("listing Service \n listed Service @20").await;
    assert_eq!(following.errors(), "configuration 3");
}

#[test]
fn a_watch_is_silent_for_no_more_than_a_minute() {
    let pace = Pace::default();
    let lengths: Vec<_> = (0..100).map(|_| pace.watch()).collect();
    assert!(lengths.iter().all(|length| *length + pace.slack <= Duration::from_secs(60)), "{lengths:?}");
    assert!(lengths.iter().any(|length| *length != lengths[0]), "no jitter");
}

#[test]
fn failures_are_waited_out_longer_and_longer_but_not_for_ever() {
    let delays: Vec<_> = Pace::default().delays().take(50).collect();
    assert!(delays[0] >= Duration::from_millis(500) && delays[0] <= Duration::from_secs(1), "{delays:?}");
    assert!(delays[49] >= Duration::from_secs(15) && delays[49] <= Duration::from_secs(30), "{delays:?}");
}

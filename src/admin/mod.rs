//! Tells operators how it is, over HTTP: [`probes`] and metrics on one address, the [JSON API](api) on another.
//!
//! Probes and metrics name no Service and no error of an API, so that they are
//! safe to expose; they read what is published and know nothing of where it comes
//! from. The API says everything, which is why it is another address.
//! A stranger who finds a port can hold neither many descriptors nor one for
//! long, and cannot keep probes out.

pub mod api;
pub mod live;
mod openapi;
mod page;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::Metrics;
use crate::published::Published;
use crate::zone::State;

/// The most connections at a time on an address: probes and a few Prometheus servers need one each, for a moment.
const MAX_CONNECTIONS: usize = 32;

/// How long a connection for probes or metrics may take, from its first byte to the last: Prometheus, by default, waits as
/// long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Whether clients should be sent here.
///
/// Not before every zone is loaded, or `timeout` has passed and one is; from
/// then on always, until the server is told to stop. It is never taken back
/// because a source went away or a zone was added: a fleet that withdraws itself
/// when its backbone is gone is the outage.
#[derive(Debug)]
pub struct Readiness {
    published: Arc<Published>,
    started: Instant,
    timeout: Mutex<Duration>,
    reached: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// For a server that starts now and answers from `published`.
    #[must_use]
    pub fn new(published: Arc<Published>, timeout: Duration) -> Self {
        let (started, timeout) = (Instant::now(), Mutex::new(timeout));
        Self { published, started, timeout, reached: AtomicBool::new(false), draining: AtomicBool::new(false) }
    }

    /// Another time-out, counted from the start all the same.
    pub fn set_timeout(&self, timeout: Duration) {
        *self.timeout.lock().unwrap_or_else(PoisonError::into_inner) = timeout;
    }

    /// The server is going to stop: clients should go elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether clients should be sent here, and what there is to say about it.
    #[must_use]
    pub fn check(&self) -> (bool, String) {
        let served = self.published.load();
        let is_missing = |state: &State| matches!(state, State::Pending);
        let missing = served.zones.iter().filter(|(_, _, state)| is_missing(state));
        let missing: Vec<_> = missing.map(|(_, apex, _)| apex.to_string()).collect();
        let some_loaded = missing.len() < served.zones.iter().count();
        let timeout = *self.timeout.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.is_empty() || (some_loaded && self.started.elapsed() >= timeout) {
            self.reached.store(true, Ordering::Relaxed);
        }
        if self.draining.load(Ordering::Relaxed) {
            return (false, "stopping\n".to_owned());
        }
        let ready = self.reached.load(Ordering::Relaxed);
        let state = if ready { "ready" } else { "not ready" };
        if missing.is_empty() {
            return (ready, format!("{state}\n"));
        }
        (ready, format!("{state}; zones not loaded: {}\n", missing.join(" ")))
    }
}

/// Has `router` answer what comes to `listener`, until the future is dropped; a connection may take as long as `patience`.
///
/// A connection is good for one request. Where there are `MAX_CONNECTIONS`, the
/// oldest makes place for a newcomer: were newcomers to wait, whoever opens
/// connections and says nothing would have the kubelet restart us.
pub async fn serve(mut listener: TcpListener, router: Router, patience: Duration) {
    let service = TowerToHyperService::new(router);
    let mut connections = VecDeque::with_capacity(MAX_CONNECTIONS);
    loop {
        // axum's: it rests when the system has no descriptor for us.
        let (stream, _) = Listener::accept(&mut listener).await;
        connections.retain(|connection: &AbortOnDropHandle<()>| !connection.is_finished());
        if connections.len() == MAX_CONNECTIONS {
            connections.pop_front();
        }
        let connection =
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service.clone());
        connections.push_back(AbortOnDropHandle::new(tokio::spawn(async move {
            // What goes wrong with a connection ends that one and concerns nobody else.
            let _ = timeout(patience, connection).await;
        })));
    }
}

/// What `listen.metrics` answers: `/livez`, `/readyz`, `/metrics` and nothing else.
pub fn probes(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
    let readyz = |Shared(readiness): Shared<Arc<Readiness>>| async move {
        let (ready, text) = readiness.check();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, text)
    };
    let numbers = |Shared(metrics): Shared<Arc<Metrics>>| async move {
        ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], metrics.text()).into_response()
    };
    let live = || async { "alive\n" };
    Router::new()
        .route("/livez", get(live))
        .merge(Router::new().route("/readyz", get(readyz)).with_state(readiness))
        .merge(Router::new().route("/metrics", get(numbers)).with_state(metrics))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddr};

    use hickory_proto::rr::Name;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::advance;

    use super::*;
    use crate::nameserver::Served;
    use crate::zone::{Record, Zone, Zones};

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn apex(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    /// A server of `apexes`, none of them loaded.
    fn server(apexes: &[&str]) -> (Arc<Published>, Readiness) {
        let zones = Zones::pending(apexes.iter().map(|text| apex(text)));
        let published = Arc::new(Published::new(Served { zones, ..Served::default() }));
        (Arc::clone(&published), Readiness::new(published, TIMEOUT))
    }

    fn load(published: &Published, text: &str) {
        use hickory_proto::rr::RData;
        use hickory_proto::rr::rdata::{NS, SOA};

        let apex = apex(text);
        let soa = RData::SOA(SOA::new(apex.clone(), apex.clone(), 1, 14400, 3600, 1_209_600, 30));
        let ns = RData::NS(NS(Name::from_ascii("ns.example.").expect("a name")));
        let records = [soa, ns].map(|rdata| Record::new(apex.clone(), 3600, &rdata));
        let (zone, _) = Zone::build(&apex, records.to_vec()).expect("a zone");
        published.replace([(apex, State::Loaded(Arc::new(zone)))]);
    }

    fn check(readiness: &Readiness, ready: bool, text: &str) {
        assert_eq!(readiness.check(), (ready, format!("{text}\n")));
    }

    #[tokio::test(start_paused = true)]
    async fn ready_is_when_every_zone_is_loaded() {
        let (published, readiness) = server(&["k8s.ooo.", "c2.k8s.ooo."]);
        check(&readiness, false, "not ready; zones not loaded: k8s.ooo. c2.k8s.ooo.");
        load(&published, "c2.k8s.ooo.");
        check(&readiness, false, "not ready; zones not loaded: k8s.ooo.");
        load(&published, "k8s.ooo.");
        check(&readiness, true, "ready");
    }

    #[tokio::test(start_paused = true)]
    async fn zones_that_do_not_load_hold_up_the_others_for_a_time() {
        let (published, readiness) = server(&["k8s.ooo.", "c2.k8s.ooo."]);
        load(&published, "k8s.ooo.");
        advance(TIMEOUT - Duration::from_millis(1)).await;
        check(&readiness, false, "not ready; zones not loaded: c2.k8s.ooo.");
        advance(Duration::from_millis(1)).await;
        check(&readiness, true, "ready; zones not loaded: c2.k8s.ooo.");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_loaded_is_never_ready() {
        let (published, readiness) = server(&["k8s.ooo.", "c2.k8s.ooo."]);
        advance(TIMEOUT * 10).await;
        check(&readiness, false, "not ready; zones not loaded: k8s.ooo. c2.k8s.ooo.");
        load(&published, "c2.k8s.ooo.");
        check(&readiness, true, "ready; zones not loaded: k8s.ooo.");
    }

    #[tokio::test(start_paused = true)]
    async fn ready_is_not_taken_back_until_the_end() {
        let (published, readiness) = server(&["k8s.ooo."]);
        load(&published, "k8s.ooo.");
        check(&readiness, true, "ready");
        published.replace([(apex("c3.k8s.ooo."), State::Pending)]);
        check(&readiness, true, "ready; zones not loaded: c3.k8s.ooo.");
        readiness.drain();
        check(&readiness, false, "stopping");
    }

    /// Probes and metrics of a server without zones.
    async fn serving() -> (SocketAddr, AbortOnDropHandle<()>) {
        let (published, readiness) = server(&[]);
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let serving = serve(listener, probes(Arc::new(readiness), Metrics::new(published)), PATIENCE);
        (address, AbortOnDropHandle::new(tokio::spawn(serving)))
    }

    /// All that comes from `connection` until it is closed, in whichever way.
    async fn rest(mut connection: TcpStream) -> String {
        let mut received = Vec::new();
        let _ = connection.read_to_end(&mut received).await;
        String::from_utf8(received).expect("UTF-8")
    }

    #[tokio::test]
    async fn connections_that_say_nothing_keep_no_probe_out() {
        let (address, _serving) = serving().await;
        let mut silent = VecDeque::new();
        for _ in 0..=MAX_CONNECTIONS {
            silent.push_back(TcpStream::connect(address).await.expect("a connection"));
        }
        assert_eq!(rest(silent.pop_front().expect("the first")).await, "", "the oldest makes place");

        let mut probe = TcpStream::connect(address).await.expect("a connection");
        probe.write_all(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("sent");
        let answer = rest(probe).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("alive\n"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_becomes_whole_is_not_waited_for() {
        let (address, _serving) = serving().await;
        let mut slow = TcpStream::connect(address).await.expect("a connection");
        slow.write_all(b"GET /livez HTTP/1.1\r\nHost").await.expect("sent");
        let started = Instant::now();
        assert_eq!(rest(slow).await, "");
        assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
    }
}

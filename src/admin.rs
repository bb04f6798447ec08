//! Tells operators how it is: probes and metrics over HTTP.
//!
//! What is here names no Service and no error of an API, so that it is safe to
//! expose. It reads what is published and knows nothing of where it comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::published::Published;
use crate::zone::State;

/// Whether clients should be sent here.
///
/// Not before every zone is loaded, or `timeout` has passed and one is; from
/// then on always, until the server is told to stop. It is never taken back
/// because a source went away or a zone was added: a fleet that withdraws itself
/// when its backbone is gone is the outage.
#[derive(Debug)]
pub struct Readiness {
    published: Arc<Published>,
    deadline: Instant,
    reached: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// For a server that starts now and answers from `published`.
    #[must_use]
    pub fn new(published: Arc<Published>, timeout: Duration) -> Self {
        let deadline = Instant::now() + timeout;
        Self { published, deadline, reached: AtomicBool::new(false), draining: AtomicBool::new(false) }
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
        if missing.is_empty() || (some_loaded && Instant::now() >= self.deadline) {
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

/// Answers probes and scrapes that come to `listener`, until the future is dropped.
pub async fn serve(listener: TcpListener, readiness: Arc<Readiness>, metrics: Arc<Metrics>) {
    // It has no errors to give: what goes wrong with a connection ends that one.
    let _ = axum::serve(listener, router(readiness, metrics)).await;
}

/// What `listen.metrics` answers: `/livez`, `/readyz`, `/metrics` and nothing else.
fn router(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
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

//! Starts everything that a configuration asks for, and stops it.
//!
//! A [`Server`] is one kubezone: its sockets, its zones and their sources, its
//! numbers. Several live in one process side by side; nothing is shared
//! between them. When to stop is not decided here.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;

use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use crate::admin::{self, Readiness};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::nameserver::Served;
use crate::published::Published;
use crate::server::{self, ListenError, Listeners, ServeError};
use crate::source;
use crate::zone::Zones;

/// A running server. Dropped, it ends at once; [`Server::stop`] lets it finish what it has begun.
#[derive(Debug)]
pub struct Server {
    dns: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
    published: Arc<Published>,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
    answering: AbortOnDropHandle<()>,
    /// What has nothing to finish: sources, probes.
    rest: JoinSet<()>,
}

/// A server that could not be started; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// DNS cannot be answered at one of the addresses.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// DNS cannot be answered at all.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Probes and metrics cannot be answered.
    #[error("could not listen on {address} for metrics")]
    Metrics {
        /// Where they should be.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Server {
    /// Starts what `config` asks for.
    ///
    /// All sockets are open when this returns, and every zone is answered
    /// for: with SERVFAIL, until its source has been read.
    ///
    /// # Errors
    ///
    /// When a socket or a thread cannot be had. What is wrong with a source keeps its zones from being loaded, nothing else.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listeners = Listeners::bind(&config.dns)?;
        let dns = listeners.addresses().to_vec();
        let admin = match config.metrics {
            Some(address) => Some(listen(address)?),
            None => None,
        };
        let metrics_address = admin.as_ref().map(|(_, address)| *address);

        let zones = Zones::pending(config.apexes().cloned());
        let identity = config.identity.clone().into_bytes().into();
        let published = Arc::new(Published::new(Served { zones, identity }));
        let metrics = Metrics::new(Arc::clone(&published));
        let readiness = Arc::new(Readiness::new(Arc::clone(&published), config.ready_timeout));
        let stop = CancellationToken::new();
        let answering = listeners.serve(Arc::clone(&published), &metrics, stop.clone())?;

        let mut rest = follow_sources(config, &published, &metrics);
        if let Some((listener, _)) = admin {
            let serving = admin::serve(listener, Arc::clone(&readiness), metrics);
            rest.spawn(async { drop(guarded("probes and metrics", serving).await) });
        }
        for address in &dns {
            info!(%address, transport = "udp", "listening");
            info!(%address, transport = "tcp", "listening");
        }
        if let Some(address) = metrics_address {
            info!(%address, transport = "metrics", "listening");
        }
        let answering = AbortOnDropHandle::new(tokio::spawn(answering));
        Ok(Self { dns, metrics: metrics_address, published, readiness, stop, answering, rest })
    }

    /// Where DNS is answered, UDP and TCP, in the order configured.
    #[must_use]
    pub fn dns(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// Where probes and metrics are answered.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// What is being served.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// Says that clients should go elsewhere, and goes on answering those that come.
    pub fn drain(&self) {
        self.readiness.drain();
    }

    /// Answers what has come in, then ends.
    pub async fn stop(mut self) {
        self.drain();
        self.stop.cancel();
        // A panic in there has been printed; what matters here is that it is over.
        let _ = (&mut self.answering).await;
        self.rest.shutdown().await;
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Metrics { address, source };
    let listener = server::bind_tcp(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Starts a follower for each cluster, and one for the zones from files.
fn follow_sources(config: Config, published: &Arc<Published>, metrics: &Arc<Metrics>) -> JoinSet<()> {
    let mut sources = JoinSet::new();
    for cluster in config.clusters {
        let part = format!("cluster {}", cluster.name);
        let numbers = metrics.cluster(&cluster.name);
        let following = source::follow(cluster, Arc::clone(published), numbers.clone());
        sources.spawn(async move {
            if guarded(&part, following).await.is_err() {
                numbers.set_synced(false);
            }
        });
    }
    if !config.files.is_empty() {
        let following = source::files::follow(config.files, Arc::clone(published), Arc::clone(metrics));
        sources.spawn(async { drop(guarded("zone files", following).await) });
    }
    sources
}

/// Runs one part of the server. Its panic ends it alone and is told of: the rest is none the worse for it, and its own
/// zones are as good as they were.
async fn guarded(part: &str, running: impl Future<Output = ()>) -> thread::Result<()> {
    let ended = AssertUnwindSafe(running).catch_unwind().await;
    if ended.is_err() {
        error!(part, "a part of the server has ended: a bug in kubezone; what is published stays as it is");
    }
    ended
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::path::Path;
    use std::time::Duration;

    use hickory_proto::op::{Message, Query, ResponseCode};
    use hickory_proto::rr::{Name, RecordType};
    use tokio::net::{TcpStream, UdpSocket};
    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::config::FileZone;

    const BOUND: Duration = Duration::from_secs(30);

    /// A server of one zone, from a file in `folder`, on ports of its own choice.
    async fn server(folder: &Path, apex: &str) -> Server {
        let path = folder.join(apex);
        std::fs::write(&path, "@ 60 IN SOA ns hostmaster 1 14400 3600 1209600 30\n@ NS ns\nns AAAA 2001:db8::53\n")
            .expect("a zone file");
        let apex = Name::from_ascii(apex).expect("a name");
        let dns = vec![(Ipv6Addr::LOCALHOST, 0).into()];
        let files = vec![FileZone { apex, path }];
        Server::start(Config { dns, metrics: None, files, ..Config::default() }).await.expect("it starts")
    }

    /// The RCODE that `server` answers with, once it has loaded its zone.
    async fn ask(server: &Server, qname: &str) -> ResponseCode {
        let deadline = Instant::now() + BOUND;
        while !server.readiness.check().0 {
            assert!(Instant::now() < deadline, "it is never ready");
            sleep(Duration::from_millis(5)).await;
        }
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_ascii(qname).expect("a name"), RecordType::SOA));
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.expect("a socket");
        let bytes = question.to_vec().expect("encoded");
        socket.send_to(&bytes, server.dns()[0]).await.expect("sent");
        let mut buffer = [0; 512];
        let length = timeout(BOUND, socket.recv(&mut buffer)).await.expect("an answer").expect("received");
        Message::from_vec(&buffer[..length]).expect("well-formed").metadata.response_code
    }

    #[tokio::test]
    async fn a_part_that_panics_takes_nothing_with_it() {
        assert!(guarded("a part", async { panic!("a bug") }).await.is_err());
        assert!(guarded("a part", async {}).await.is_ok());
    }

    #[tokio::test]
    async fn the_socket_for_probes_leaves_ipv4_to_another() {
        let (_listener, address) = listen((Ipv6Addr::UNSPECIFIED, 0).into()).expect("a socket");
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await.expect_err("V6ONLY");
        TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).await.expect("a connection");
    }

    #[tokio::test]
    async fn several_servers_live_in_one_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let a = server(folder.path(), "a.example.").await;
        let b = server(folder.path(), "b.example.").await;
        assert_ne!(a.dns(), b.dns());
        assert_eq!(ask(&a, "a.example.").await, ResponseCode::NoError);
        assert_eq!(ask(&a, "b.example.").await, ResponseCode::Refused);
        assert_eq!(ask(&b, "b.example.").await, ResponseCode::NoError);

        let address = a.dns()[0];
        a.stop().await;
        assert_eq!(ask(&b, "b.example.").await, ResponseCode::NoError);
        Listeners::bind(&[address]).expect("a server that has stopped leaves its address");
    }
}

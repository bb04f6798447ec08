//! Starts everything that a configuration asks for, changes it while it runs, and stops it.
//!
//! A [`Server`] is one kubezone: its sockets, its zones and their sources, its
//! numbers. Several live in one process side by side; nothing is shared
//! between them. When to stop is not decided here, nor when to reload.
//!
//! A reload looks at everything first: what cannot be had changes nothing at
//! all. Then what is served changes in one swap, and what is configured as it
//! was does not notice: its sockets, its connections, what is known of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use futures::FutureExt;
use futures::future::try_join_all;
use hickory_proto::rr::Name;
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::admin::api::{self, Api};
use crate::admin::{self, Readiness};
use crate::config::{Admin, Changes, Cluster, Config, FileZone, Verify};
use crate::delegation::{self, Delegation, Look, World};
use crate::error::chain;
use crate::metrics::Metrics;
use crate::nameserver::Served;
use crate::published::Published;
use crate::schema::ClusterZone;
use crate::server::{self, Answerer, Claim, ListenError, Listener, ServeError, Words};
use crate::source::{self, AccessError, AddressBook, PrepareError, Prepared, Proposal, Requests, Rescans};
use crate::zone::{State, Zones};

/// How long a source rests after it has panicked.
const PAUSE: Duration = Duration::from_secs(10);

/// A running server. Dropped, it ends at once; [`Server::stop`] lets it finish what it has begun.
#[derive(Debug)]
pub struct Server {
    config: Config,
    dns: Vec<Listening>,
    probes: Option<Http>,
    admin: Option<Http>,
    answerer: Answerer,
    published: Arc<Published>,
    /// All that clusters publish goes through it.
    book: Arc<AddressBook>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    api: Arc<Api>,
    rescans: Rescans,
    files: Source<FileZone>,
    verifying: Verifying,
    /// By their names.
    clusters: BTreeMap<String, FollowedCluster>,
    /// Ends everything, when it has answered what it has received.
    stop: CancellationToken,
    /// Addresses that are not configured any more: they finish what they have begun.
    leaving: JoinSet<()>,
    /// Said by those among them whose sockets are closed.
    left: Vec<CancellationToken>,
}

/// DNS on one address.
#[derive(Debug)]
struct Listening {
    /// As configured: port 0 has become another.
    asked: SocketAddr,
    address: SocketAddr,
    /// How many threads answer UDP, as configured.
    workers: Option<NonZero<usize>>,
    claim: Claim,
    words: Words,
    answering: AbortOnDropHandle<()>,
}

/// Something for operators, on one address: probes and metrics, or the JSON API.
#[derive(Debug)]
struct Http {
    address: SocketAddr,
    claim: Claim,
    serving: AbortOnDropHandle<()>,
}

/// What zones are made from, at work.
#[derive(Debug)]
struct Source<Z> {
    proposals: mpsc::Sender<Proposal<Z>>,
    following: AbortOnDropHandle<()>,
}

/// The watch of delegations, at work.
#[derive(Debug)]
struct Verifying {
    wanted: watch::Sender<Option<Verify>>,
    running: AbortOnDropHandle<()>,
}

/// A cluster at work, and how to ask about it.
#[derive(Debug)]
struct FollowedCluster {
    source: Source<ClusterZone>,
    insight: api::Insight,
}

/// What cannot be had of what a configuration asks for; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// DNS cannot be answered at one of the addresses.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// DNS cannot be answered at all.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// What operators ask cannot be answered.
    #[error("could not listen on {address} for {what}")]
    Http {
        /// What would have been answered: `metrics`, `admin`.
        what: &'static str,
        /// Where it should be.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// More zones than a process can have had.
    #[error("there is no room for so many zones: a process serves at most {} in its life", Zones::PLACES)]
    TooManyZones,
}

/// Why a server goes on as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A cluster that is new, or reached in another way, could not be followed.
    #[error("cluster {name}")]
    Cluster {
        /// The cluster.
        name: String,
        /// What is missing.
        source: AccessError,
    },
    /// A zone could not be served.
    #[error(transparent)]
    Zone(#[from] PrepareError),
    /// Anything that would have kept the server from starting.
    #[error(transparent)]
    Start(#[from] StartError),
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
        let published = Arc::new(Published::new(Served::default()));
        let metrics = Metrics::new(Arc::clone(&published));
        let readiness = Arc::new(Readiness::new(Arc::clone(&published), config.ready_timeout));
        let rescans = Rescans::default();
        let api = Arc::new(Api::new(Arc::clone(&published), Arc::clone(&metrics), Arc::clone(&readiness)));
        let mut server = Self {
            config: Config { dns: Vec::new(), metrics: None, admin: Admin::Off, ..Config::default() },
            dns: Vec::new(),
            probes: None,
            admin: None,
            verifying: verify(&published, &metrics, &api),
            api,
            answerer: Answerer::new(Arc::clone(&published), Arc::clone(&metrics)),
            readiness,
            files: follow_files(config.files.clone(), &published, &metrics, &rescans),
            clusters: BTreeMap::new(),
            stop: CancellationToken::new(),
            leaving: JoinSet::new(),
            left: Vec::new(),
            book: Arc::new(AddressBook::new(Arc::clone(&published))),
            published,
            metrics,
            rescans,
        };
        server.take_over(config, Vec::new())?;
        Ok(server)
    }

    /// Does what `config` asks for from now on, and tells what that changes.
    ///
    /// What is configured as before goes on undisturbed. A zone that is new
    /// and can be made at once is: it is never pending. One whose source has
    /// become another is served as it was until that has been read.
    ///
    /// The future may be dropped: then, too, everything is as before, or changed as a whole.
    ///
    /// # Errors
    ///
    /// When anything in it cannot be had; everything is as before then.
    pub async fn reload(&mut self, config: Config) -> Result<Changes, ReloadError> {
        let changes = Changes::between(&self.config, &config);
        if changes.is_empty() {
            return Ok(changes);
        }
        for cluster in config.clusters.iter().filter(|cluster| followed_as(cluster, &self.config).is_none()) {
            let failed = |source| ReloadError::Cluster { name: cluster.name.clone(), source };
            source::check(&cluster.access).await.map_err(failed)?;
        }
        // An address that has just been given up may be wanted again.
        for left in self.left.drain(..) {
            left.cancelled().await;
        }
        let prepared = self.prepare(&config).await?;
        // Who is ready now stays it, also if nobody has asked yet.
        let _ = self.readiness.check();
        self.take_over(config, prepared)?;
        Ok(changes)
    }

    /// Reads every file again that zones come from, whether or not there is a sign that it has changed.
    pub fn rescan(&self) {
        self.rescans.ask();
    }

    /// What it is told to do.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where DNS is answered, UDP and TCP, in the order configured.
    #[must_use]
    pub fn dns(&self) -> Vec<SocketAddr> {
        self.dns.iter().map(|listening| listening.address).collect()
    }

    /// Where probes and metrics are answered.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.probes.as_ref().map(|probes| probes.address)
    }

    /// Where the JSON API is answered.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// What is being served.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// Counts a configuration that was not taken over, and remembers why until one is.
    pub fn reload_failed(&self, error: String) {
        self.metrics.reload_failed();
        self.metrics.troubles().set_configuration(Some(error));
    }

    /// The configuration is good, or good again.
    pub fn reload_succeeded(&self) {
        self.metrics.troubles().set_configuration(None);
    }

    /// Says that clients should go elsewhere, and goes on answering those that come.
    pub fn drain(&self) {
        self.readiness.drain();
    }

    /// Answers what has come in, then ends.
    pub async fn stop(mut self) {
        self.drain();
        self.stop.cancel();
        while let Some(listening) = self.dns.pop() {
            self.leave(listening);
        }
        while self.leaving.join_next().await.is_some() {}
        let sources = self.clusters.into_values().map(|cluster| cluster.source.following);
        let http = self.probes.into_iter().chain(self.admin).map(|http| http.serving);
        for part in sources.chain([self.files.following, self.verifying.running]).chain(http) {
            part.abort();
            // A panic in there has been told of; what matters here is that it is over.
            let _ = part.await;
        }
    }

    /// Has every source that runs prepare for what `config` makes of its zones.
    async fn prepare(&self, config: &Config) -> Result<Vec<Prepared>, PrepareError> {
        let mut prepared = Vec::new();
        // Files first: they may be large, and clusters that have prepared would wait for them.
        if config.files != self.config.files {
            prepared.extend(source::propose(&self.files.proposals, config.files.clone()).await?);
        }
        let of_clusters = self.config.clusters.iter().filter_map(|cluster| {
            let source = &self.clusters.get(&cluster.name)?.source;
            let zones = followed_as(cluster, config).map_or(&[][..], |cluster| &cluster.zones);
            (zones != cluster.zones).then(|| source::propose(&source.proposals, zones.to_vec()))
        });
        prepared.extend(try_join_all(of_clusters).await?.into_iter().flatten());
        Ok(prepared)
    }

    /// Opens what is new, then changes everything; nothing is changed when something cannot be had.
    fn take_over(&mut self, config: Config, prepared: Vec<Prepared>) -> Result<(), StartError> {
        if !self.published.load().zones.has_room_for(config.apexes()) {
            return Err(StartError::TooManyZones);
        }
        let kept = self.kept(&config);
        let leaves = |(place, listening)| (!kept.contains(&Some(place))).then_some(listening);
        let leaving = self.dns.iter().enumerate().filter_map(leaves).map(|listening: &Listening| &listening.claim);
        let (probes_move, admin_moves) = (config.metrics != self.config.metrics, config.admin != self.config.admin);
        let leaving_http = self.probes.iter().filter(|_| probes_move).chain(self.admin.iter().filter(|_| admin_moves));
        let leaving: Vec<_> = leaving.chain(leaving_http.map(|http| &http.claim)).collect();
        let new = config.dns.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let opened =
            new.map(|(address, _)| self.listen(*address, config.workers, &leaving)).collect::<Result<Vec<_>, _>>()?;
        let probes = match config.metrics.filter(|_| probes_move) {
            Some(address) => Some(self.listen_for_probes(address, &leaving)?),
            None => None,
        };
        let admin = if admin_moves { self.listen_for_admin(config.admin, &leaving)? } else { None };

        // From here on nothing can fail.
        self.publish(&config, prepared);
        self.follow(&config);
        let new: Vec<_> = opened.iter().map(|listening| listening.address).collect();
        let mut before: Vec<_> = self.dns.drain(..).map(Some).collect();
        let mut opened = opened.into_iter();
        for (asked, kept) in config.dns.iter().zip(kept) {
            let listening = kept.map_or_else(|| opened.next(), |place| before[place].take());
            self.dns.extend(listening.map(|listening| Listening { asked: *asked, ..listening }));
        }
        let insights = self.clusters.iter().map(|(name, cluster)| (name.clone(), cluster.insight.clone()));
        self.api.set(config.clone(), insights.collect(), self.dns());
        for address in new {
            info!(%address, transport = "udp", "listening");
            info!(%address, transport = "tcp", "listening");
        }
        for (http, transport) in [(&admin, "admin"), (&probes, "metrics")] {
            if let Some(Http { address, .. }) = http {
                info!(%address, transport, "listening");
            }
        }
        while self.leaving.try_join_next().is_some() {}
        for gone in before.into_iter().flatten() {
            info!(address = %gone.address, "listening no more");
            self.leave(gone);
        }
        if probes_move {
            self.probes = probes;
        }
        if admin_moves {
            self.admin = admin;
        }
        self.readiness.set_timeout(config.ready_timeout);
        if config.verify != self.config.verify {
            self.verifying.wanted.send_replace(config.verify.clone());
        }
        self.config = config;
        Ok(())
    }

    /// For each address that `wanted` has the place in `dns` of what answers there already, as it is to.
    fn kept(&self, wanted: &Config) -> Vec<Option<usize>> {
        let mut kept = Vec::with_capacity(wanted.dns.len());
        for address in &wanted.dns {
            let is_it = |(place, listening): (usize, &Listening)| {
                let same = listening.asked == *address || listening.address == *address;
                (same && listening.workers == wanted.workers && !kept.contains(&Some(place))).then_some(place)
            };
            let place = self.dns.iter().enumerate().find_map(is_it);
            kept.push(place);
        }
        kept
    }

    /// Opens `address` for DNS, and answers there.
    fn listen(
        &self,
        address: SocketAddr,
        workers: Option<NonZero<usize>>,
        leaving: &[&Claim],
    ) -> Result<Listening, StartError> {
        let listener = Listener::bind(address, workers.unwrap_or_else(server::usable_cores), leaving)?;
        let claim = listener.claim().map_err(|source| ListenError { address, transport: "tcp", source })?;
        let (asked, address, words) = (address, listener.address(), Words::until(&self.stop));
        let answering = AbortOnDropHandle::new(tokio::spawn(listener.serve(&self.answerer, words.clone())?));
        Ok(Listening { asked, address, workers, claim, words, answering })
    }

    /// Lets an address answer what has come in, then end.
    fn leave(&mut self, listening: Listening) {
        let Listening { words, claim, answering, .. } = listening;
        drop(claim);
        words.leave.cancel();
        self.left.push(words.left);
        self.leaving.spawn(async { drop(answering.await) });
    }

    fn listen_for_probes(&self, address: SocketAddr, leaving: &[&Claim]) -> Result<Http, StartError> {
        let probes = admin::probes(Arc::clone(&self.readiness), Arc::clone(&self.metrics));
        Http::listen("metrics", address, leaving, probes, admin::PATIENCE)
    }

    /// None where there is nothing to answer, or not enough to insist on it.
    fn listen_for_admin(&self, admin: Admin, leaving: &[&Claim]) -> Result<Option<Http>, StartError> {
        let listen = |address| Http::listen("admin", address, leaving, api::router(&self.api), api::PATIENCE);
        match admin {
            Admin::Off => Ok(None),
            Admin::At(address) => listen(address).map(Some),
            Admin::Unsaid => match listen(Admin::USUAL) {
                Ok(http) => Ok(Some(http)),
                Err(error) => {
                    let error = chain(&error);
                    warn!(error, "no JSON API: listen.admin is not set, and the usual address cannot be had");
                    Ok(None)
                }
            },
        }
    }

    /// Changes what is served: all of it in one swap.
    fn publish(&self, config: &Config, mut prepared: Vec<Prepared>) {
        let wanted: BTreeSet<_> = config.apexes().collect();
        let gone = self.config.apexes().filter(|apex| !wanted.contains(apex));
        let told = prepared.iter_mut().flat_map(|prepared| mem::take(&mut prepared.told)).collect();
        self.book.change(&config.reverses, told, |reverses| {
            self.published.change(|served| {
                gone.for_each(|apex| served.zones.remove(apex));
                for (apex, state) in prepared.iter().flat_map(|prepared| &prepared.versions).chain(&reverses) {
                    served.zones.set(apex, state.clone());
                }
                for apex in config.apexes() {
                    if served.zones.get(apex).is_none() {
                        served.zones.set(apex, State::Pending);
                    }
                }
                served.identity = config.identity.clone().into_bytes().into();
            });
        });
        prepared.into_iter().for_each(Prepared::agree);
    }

    /// Ends the sources that are not configured any more, and starts those that are new.
    ///
    /// A cluster that is reached in another way is both.
    fn follow(&mut self, config: &Config) {
        for gone in self.config.clusters.iter().filter(|cluster| followed_as(cluster, config).is_none()) {
            self.clusters.remove(&gone.name);
            self.metrics.forget_cluster(&gone.name);
        }
        for cluster in &config.clusters {
            if !self.clusters.contains_key(&cluster.name) {
                let followed = follow_cluster(cluster.clone(), &self.book, &self.metrics, &self.rescans);
                self.clusters.insert(cluster.name.clone(), followed);
            }
        }
    }
}

impl Http {
    /// Opens `address`, and has `router` answer there; `what` is said of it when something is wrong.
    fn listen(
        what: &'static str,
        address: SocketAddr,
        leaving: &[&Claim],
        router: Router,
        patience: Duration,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Http { what, address, source };
        let listener = server::bind_tcp(address, leaving).map_err(failed)?;
        let claim = Claim::of(&listener).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let serving = admin::serve(listener, router, patience);
        let serving = tokio::spawn(async move { drop(guarded(what, serving).await) });
        Ok(Self { address, claim, serving: AbortOnDropHandle::new(serving) })
    }
}

/// The cluster in `config` that has the name of `cluster`, is reached in the same way, and asked for the same.
fn followed_as<'c>(cluster: &Cluster, config: &'c Config) -> Option<&'c Cluster> {
    let is_it = |other: &&Cluster| {
        other.name == cluster.name
            && other.access == cluster.access
            && other.namespaces == cluster.namespaces
            && other.max_staleness == cluster.max_staleness
            && other.watches_pods() == cluster.watches_pods()
    };
    config.clusters.iter().find(is_it)
}

/// Starts to follow the files of `zones`; again and again, should a mistake of ours end it.
fn follow_files(
    mut zones: Vec<FileZone>,
    published: &Arc<Published>,
    metrics: &Arc<Metrics>,
    rescans: &Rescans,
) -> Source<FileZone> {
    let (published, metrics, rescans) = (Arc::clone(published), Arc::clone(metrics), rescans.clone());
    let (proposals, mut proposed) = mpsc::channel(1);
    let following = tokio::spawn(async move {
        loop {
            let (published, metrics) = (Arc::clone(&published), Arc::clone(&metrics));
            let following = source::files::follow(&mut zones, &mut proposed, published, metrics, &rescans);
            if guarded("zone files", following).await.is_ok() {
                return;
            }
            sleep(PAUSE).await;
        }
    });
    Source { proposals, following: AbortOnDropHandle::new(following) }
}

/// Starts to follow `cluster`; again and again, should a mistake of ours end it.
fn follow_cluster(
    mut cluster: Cluster,
    book: &Arc<AddressBook>,
    metrics: &Metrics,
    rescans: &Rescans,
) -> FollowedCluster {
    let part = format!("cluster {}", cluster.name);
    let numbers = metrics.cluster(&cluster.name);
    let (book, rescans) = (Arc::clone(book), rescans.clone());
    let (proposals, proposed) = mpsc::channel(1);
    let (inspector, looks) = source::inspector();
    let insight = api::Insight { inspector, numbers: numbers.clone() };
    let mut requests = Requests { proposals: proposed, looks };
    let following = tokio::spawn(async move {
        loop {
            let (book, numbers) = (Arc::clone(&book), numbers.clone());
            numbers.set_synced(false);
            let following = source::follow(&mut cluster, &mut requests, book, numbers, &rescans);
            if guarded(&part, following).await.is_ok() {
                return;
            }
            sleep(PAUSE).await;
        }
    });
    let source = Source { proposals, following: AbortOnDropHandle::new(following) };
    FollowedCluster { source, insight }
}

/// Starts the watch of delegations, which looks at nothing before that is wanted.
///
/// What is wanted anew looks at all zones anew; what was seen before holds meanwhile.
fn verify(published: &Arc<Published>, metrics: &Arc<Metrics>, api: &Arc<Api>) -> Verifying {
    let (published, metrics, api) = (Arc::clone(published), Arc::clone(metrics), Arc::clone(api));
    let (wanted, mut changes) = watch::channel(None::<Verify>);
    let running = tokio::spawn(async move {
        loop {
            let wanted = changes.borrow_and_update().clone();
            let Some(Verify { interval, roots }) = wanted else {
                metrics.forget_delegations();
                api.forget_verified();
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let expected = || delegations(&published);
            let tell = |look: Look| tell_of(&look, &metrics, &api);
            let watching = delegation::watch(World::beginning_at(&roots), interval, expected, tell);
            select! {
                changed = changes.changed() => if changed.is_err() { return },
                _ = guarded("the watch of delegations", watching) => sleep(PAUSE).await,
            }
        }
    });
    Verifying { wanted, running: AbortOnDropHandle::new(running) }
}

/// What the parents of the zones that are loaded should say. The root has none.
fn delegations(published: &Published) -> Vec<Delegation> {
    let served = published.load();
    let of = |(_, apex, state): (_, &Name, &State)| match state {
        State::Loaded(zone) if !apex.is_root() => Some(Delegation::of(zone)),
        _ => None,
    };
    served.zones.iter().filter_map(of).collect()
}

/// Tells operators what was seen; in the log what is news.
fn tell_of(look: &Look, metrics: &Metrics, api: &Api) {
    let zone = &look.zone;
    let worst = look.findings.first();
    api.set_verified(zone, look.into());
    if !metrics.set_delegation(zone, worst.map(|finding| finding.code)) {
        return;
    }
    match worst {
        None => info!(%zone, "resolvers find the zone: its delegation is right"),
        Some(finding) => {
            let (reason, message, fix) = (finding.code, &finding.message, &finding.fix);
            warn!(%zone, %reason, error = message, fix, "the delegation of the zone is not right");
        }
    }
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
        Server::start(Config { dns, metrics: None, admin: Admin::Off, files, ..Config::default() })
            .await
            .expect("it starts")
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
        let listener = server::bind_tcp((Ipv6Addr::UNSPECIFIED, 0).into(), &[]).expect("a socket");
        let address = listener.local_addr().expect("its address");
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
        Listener::bind(address, server::usable_cores(), &[]).expect("a server that has stopped leaves its address");
    }
}

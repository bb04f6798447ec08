//! The JSON API: what the server serves and what it knows of its clusters (docs/api.md says it field by field).
//!
//! It names Services that are hidden from the world and says why they are, so
//! it is for operators: on loopback, unless they say otherwise. It only reads.
//! A web page that somebody on this machine looks at learns nothing from it:
//! other origins may not read answers, and a name that was made to lead here is
//! refused.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State as Shared};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::stream;
use hickory_proto::rr::Name;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::live::{self, Live, Rates};
use super::openapi::{self, Answer, Kind, Operation, Parameter, Presence};
use super::{Readiness, page};
use crate::cluster::ServiceKey;
use crate::config::{Access, Cluster, Config};
use crate::delegation::{Delegation, Finding, Look, svg};
use crate::metrics::{ClusterError, ClusterMetrics, Metrics, Trouble};
use crate::published::{Published, Version};
use crate::report::{
    AddressReport, AddressSearch, NameReport, Page, RecordText, Report, ServiceFilter, ServiceSearch, View,
};
use crate::source::{InspectError, Inspector};
use crate::zone::{Difference, HashedName, State, Zone, dump, name_to_text};

/// How long a connection may take, from its first byte to the last: as long as the largest zone over a slow tunnel.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Zones that are written out at a time: each is in memory as text and records besides.
const DUMPS: usize = 2;

/// Zones that are searched for a name at a time: each takes a core.
const SEARCHES: usize = 1;

/// The octets of a zone that are on their way at a time.
const CHUNK: usize = 64 * 1024;

/// The most Services that are told of in one answer, and how many are if nobody says it: to tell of them takes the
/// cluster's writer milliseconds, while changes wait.
const MOST: usize = 1000;
const MANY: usize = 100;

/// What every answer says: it is no page, for nobody else's pages, and true only now.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What the API tells of.
#[derive(Debug)]
pub struct Api {
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    started: Instant,
    running: ArcSwap<Running>,
    dumps: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    pub(super) live: Live,
    /// By the zones.
    verified: ArcSwap<BTreeMap<Name, Arc<Verified>>>,
}

/// What is configured, and whom to ask about it.
#[derive(Debug, Default)]
struct Running {
    config: Config,
    /// By the clusters' names.
    clusters: BTreeMap<String, Insight>,
    /// Where DNS is answered: port 0 of the configuration has become another.
    dns: Vec<SocketAddr>,
}

/// Whom to ask about a cluster.
#[derive(Debug, Clone)]
pub struct Insight {
    /// What its writer knows.
    pub inspector: Inspector,
    /// How it is followed.
    pub numbers: ClusterMetrics,
}

/// The server as a whole.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServerStatus {
    /// Its version.
    pub version: String,
    /// Whole seconds since it was started.
    pub uptime: u64,
    /// Whether clients should be sent there: what `/readyz` says.
    pub ready: bool,
    /// The same in words, with the zones that are not loaded.
    pub readiness: String,
    /// Where DNS is answered, over UDP and TCP.
    #[serde(default)]
    pub dns: Vec<SocketAddr>,
    /// Why the configuration was not taken over that there is now; none: it is the one in force.
    pub error: Option<String>,
    /// How many responses it has made, by their RCODEs.
    pub responses: BTreeMap<String, u64>,
}

/// A zone.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ZoneStatus {
    /// Its name, absolute, as master files have it.
    pub zone: String,
    /// What it comes from: `file`, `cluster` or `reverse`.
    pub kind: String,
    /// The master file, the cluster's name, or the zones that it is the reverse of.
    pub source: String,
    /// `pending`, `loaded` or `expired`; only a loaded one is answered for.
    pub state: String,
    /// Its serial; none while it is pending.
    pub serial: Option<u32>,
    /// How many records it has, glue included; none while it is pending.
    pub records: Option<usize>,
    /// Seconds since its cluster's last sign of life, or that of the oldest of several; none for zones from files, and
    /// where there was none.
    pub age: Option<u64>,
    /// Why its master file was not taken over as it is now; none for other zones, and where nothing is wrong with it.
    #[serde(default)]
    pub error: Option<String>,
}

/// A version of a zone that was published.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ZoneChange {
    /// When (RFC 3339).
    pub time: String,
    /// Its serial.
    pub serial: u32,
    /// How many records it has that the version before it had not, the SOA record aside.
    pub added: usize,
    /// How many it has not that the version before it had.
    pub removed: usize,
    /// Names that own other records than before: some of them, where there are many. None for the first version.
    pub names: Vec<String>,
    /// How many further names own other records than before.
    pub more: usize,
}

/// What the parent of a zone should say of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DelegationStatus {
    /// The zone.
    pub zone: String,
    /// The records that belong into its parent, by what the zone says of itself: NS, glue, DS. Nothing while it is pending.
    pub records: Vec<RecordText>,
    /// What came of looking at it from the root down; none: nobody has.
    pub verified: Option<Verified>,
}

/// What came of looking at a zone's delegation from the root down.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// When (RFC 3339).
    pub time: String,
    /// Whether resolvers find their way.
    pub ok: bool,
    /// What is not as it should be, the most urgent first.
    pub findings: Vec<VerifiedFinding>,
    /// The chain from the root to the zone, as SVG with presentation attributes only, in which others' words are escaped.
    #[serde(skip)]
    pub picture: Option<String>,
}

/// Something about a delegation that is not as it should be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedFinding {
    /// What it is, from a closed set.
    pub code: String,
    /// Whose it is to mend.
    pub side: String,
    /// It in a sentence.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// A cluster.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClusterStatus {
    /// Its name in the configuration.
    pub cluster: String,
    /// Where its objects are read.
    #[serde(default)]
    pub source: String,
    /// Whether all of it has been read since the server began to follow it.
    pub synced: bool,
    /// When it gave its last sign of life (RFC 3339): an event, a bookmark or a complete list; none: not yet.
    pub last_event: Option<String>,
    /// Seconds since then.
    #[serde(default)]
    pub age: Option<u64>,
    /// How many of its Services are published in its first zone; none: that is not known yet.
    #[serde(default)]
    pub published: Option<usize>,
    /// How many are not, by the reason that decides.
    #[serde(default)]
    pub withheld: BTreeMap<String, usize>,
    /// What is wrong with following it now.
    #[serde(default)]
    pub errors: Vec<ClusterProblem>,
}

/// What is wrong with following a cluster.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClusterProblem {
    /// The kinds of objects that it concerns, or where these are read: `configuration`, `manifests`.
    pub parts: Vec<String>,
    /// What it is.
    pub error: String,
    /// What to do about it.
    pub fix: String,
}

/// Why there is no answer: the status, and a sentence for whoever asked.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

/// What a refusal looks like.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A sentence: what is wrong, and what would be right.
    pub error: String,
}

impl Api {
    /// One that tells of what is `published`; of no configuration yet.
    #[must_use]
    pub fn new(published: Arc<Published>, metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> Self {
        let [dumps, searches] = [DUMPS, SEARCHES].map(|many| Arc::new(Semaphore::new(many)));
        let (started, running) = (Instant::now(), ArcSwap::default());
        Self {
            published,
            metrics,
            readiness,
            started,
            running,
            dumps,
            searches,
            live: Live::default(),
            verified: ArcSwap::default(),
        }
    }

    /// The server as a whole.
    pub(super) fn server(&self) -> ServerStatus {
        let (ready, readiness) = self.readiness.check();
        ServerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.started.elapsed().as_secs(),
            ready,
            readiness: readiness.trim_end().to_owned(),
            dns: self.running.load().dns.clone(),
            error: self.metrics.troubles().configuration(),
            responses: self.metrics.responses().into_iter().map(|(rcode, count)| (rcode.to_owned(), count)).collect(),
        }
    }

    /// How often anything was published.
    pub(super) fn changes(&self) -> u64 {
        self.published.history().changes()
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The versions of the zone at `apex` that were published last.
    pub(super) fn versions(&self, apex: &Name) -> Result<Vec<ZoneChange>, Refusal> {
        match self.version(apex) {
            Err(refusal @ Refusal(StatusCode::NOT_FOUND, _)) => Err(refusal),
            _ => Ok(self.published.history().of(apex).iter().map(ZoneChange::from).collect()),
        }
    }

    /// The last version of the zone at `apex` that was published.
    pub(super) fn last_version(&self, apex: &Name) -> Option<ZoneChange> {
        self.published.history().of(apex).first().map(ZoneChange::from)
    }

    /// The zones made from clusters, each with the cluster's name, in the configuration's order.
    pub(super) fn cluster_zones(&self) -> Vec<(Name, String)> {
        let running = self.running.load();
        let zones = |cluster: &Cluster| {
            let name = cluster.name.clone();
            cluster.zones.iter().map(move |zone| (zone.origin.clone(), name.clone())).collect::<Vec<_>>()
        };
        running.config.clusters.iter().flat_map(zones).collect()
    }

    /// Takes in what came of looking at the delegation of `zone` last.
    pub fn set_verified(&self, zone: &Name, verified: Verified) {
        let verified = Arc::new(verified);
        self.verified.rcu(|before| {
            let mut after = BTreeMap::clone(before);
            after.retain(|zone, _| self.published.load().zones.get(zone).is_some());
            after.insert(zone.clone(), Arc::clone(&verified));
            after
        });
    }

    /// Delegations are not looked at any more.
    pub fn forget_verified(&self) {
        self.verified.store(Arc::default());
    }

    /// What came of looking at the delegation of `zone` last.
    pub(super) fn verified(&self, zone: &Name) -> Option<Arc<Verified>> {
        self.verified.load().get(zone).cloned()
    }

    /// What the parent of each zone that has been loaded should say of it, in the order of places.
    pub(super) fn delegations(&self) -> Vec<DelegationStatus> {
        let served = self.published.load();
        let status = |(_, apex, state): (_, &Name, &State)| DelegationStatus {
            zone: name_to_text(apex),
            records: match state {
                State::Loaded(zone) | State::Expired(zone) => in_parent(&Delegation::of(zone)),
                State::Pending => Vec::new(),
            },
            verified: self.verified(apex).map(|verified| Verified::clone(&verified)),
        };
        served.zones.iter().map(status).collect()
    }

    /// The first zone that is made from a cluster.
    pub(super) fn zone_of(&self, cluster: &str) -> Option<String> {
        self.cluster_zones().into_iter().find(|(_, of)| of == cluster).map(|(origin, _)| name_to_text(&origin))
    }

    /// The zone that `name` is in, of those that are served.
    pub(super) fn zone_above(&self, name: &Name) -> Option<Name> {
        let served = self.published.load();
        let above = served.zones.iter().map(|(_, apex, _)| apex).filter(|apex| apex.zone_of(name));
        above.max_by_key(|apex| apex.num_labels()).cloned()
    }

    /// This is what the server does from now on.
    pub fn set(&self, config: Config, clusters: BTreeMap<String, Insight>, dns: Vec<SocketAddr>) {
        self.running.store(Arc::new(Running { config, clusters, dns }));
    }

    /// Every zone configured, in the configuration's order.
    pub(super) fn zones(&self) -> Vec<ZoneStatus> {
        let (running, served) = (self.running.load(), self.published.load());
        let status = |apex: &Name, kind: &str, source: String, age| {
            let (state, zone) = match served.zones.get(apex) {
                Some(State::Loaded(zone)) => ("loaded", Some(zone)),
                Some(State::Expired(zone)) => ("expired", Some(zone)),
                Some(State::Pending) | None => ("pending", None),
            };
            ZoneStatus {
                zone: name_to_text(apex),
                kind: kind.to_owned(),
                source,
                state: state.to_owned(),
                serial: zone.map(|zone| zone.serial().0),
                records: zone.map(|zone| zone.census().iter().map(|(_, count)| count).sum()),
                age,
                error: self.metrics.troubles().file(apex).filter(|_| kind == "file"),
            }
        };
        let files = running.config.files.iter();
        let mut zones: Vec<_> =
            files.map(|file| status(&file.apex, "file", file.path.display().to_string(), None)).collect();
        for cluster in &running.config.clusters {
            let age = running.clusters.get(&cluster.name).and_then(|insight| age(&insight.numbers));
            let of_cluster =
                cluster.zones.iter().map(|zone| status(&zone.origin, "cluster", cluster.name.clone(), age));
            zones.extend(of_cluster);
        }
        for reverse in &running.config.reverses {
            let of: Vec<_> = reverse.of.iter().map(name_to_text).collect();
            // As old as the oldest of what it is made from.
            let ages = zones.iter().filter(|zone| of.contains(&zone.zone)).map(|zone| zone.age);
            let age = ages.collect::<Option<Vec<_>>>().and_then(|ages| ages.into_iter().max());
            zones.push(status(&reverse.origin, "reverse", of.join(", "), age));
        }
        zones
    }

    pub(super) fn clusters(&self) -> Vec<ClusterStatus> {
        let running = self.running.load();
        let status = |cluster: &Cluster| {
            let numbers = &running.clusters.get(&cluster.name)?.numbers;
            let mut withheld = numbers.services();
            let published = withheld.remove("");
            withheld.retain(|_, count| *count > 0);
            Some(ClusterStatus {
                cluster: cluster.name.clone(),
                source: cluster.access.to_string(),
                synced: numbers.is_synced(),
                last_event: numbers.last_event().and_then(timestamp),
                age: age(numbers),
                published,
                withheld: withheld.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
                errors: problems(&numbers.troubles(), &cluster.access),
            })
        };
        let mut clusters: Vec<_> = running.config.clusters.iter().filter_map(status).collect();
        clusters.sort_by(|one, other| one.cluster.cmp(&other.cluster));
        clusters
    }

    /// The zone at `apex` as it is answered for.
    pub(super) fn loaded(&self, apex: &Name) -> Result<Arc<Zone>, Refusal> {
        let (zone, is_expired) = self.version(apex)?;
        if is_expired {
            let sentence = "is not answered for: its cluster has been silent for longer than maxStaleness";
            return Err(not_now(apex, sentence));
        }
        Ok(zone)
    }

    /// The last version of the zone at `apex`, and whether it is too old to be answered with.
    pub(super) fn version(&self, apex: &Name) -> Result<(Arc<Zone>, bool), Refusal> {
        let served = self.published.load();
        match served.zones.get(apex) {
            Some(State::Loaded(zone)) => Ok((Arc::clone(zone), false)),
            Some(State::Expired(zone)) => Ok((Arc::clone(zone), true)),
            Some(State::Pending) => Err(not_now(apex, "is not loaded yet: the server's log says what it waits for")),
            None => {
                let known: Vec<_> = served.zones.iter().map(|(_, apex, _)| name_to_text(apex)).collect();
                let (zone, known) = (name_to_text(apex), known.join(", "));
                Err(Refusal(StatusCode::NOT_FOUND, format!("there is no zone {zone}: there is {known}")))
            }
        }
    }

    /// What `question` makes of what is known about the zone at `apex`.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        apex: Name,
        question: impl FnOnce(View<'_>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let running = self.running.load_full();
        let is_it = |cluster: &&Cluster| cluster.zones.iter().any(|zone| zone.origin == apex);
        let cluster = running.config.clusters.iter().find(is_it);
        let Some((name, insight)) = cluster.and_then(|cluster| running.clusters.get_key_value(&cluster.name)) else {
            let (zone, of_clusters) = (name_to_text(&apex), running.config.clusters.iter());
            let known: Vec<_> =
                of_clusters.flat_map(|cluster| &cluster.zones).map(|zone| name_to_text(&zone.origin)).collect();
            let known = known.join(", ");
            let sentence = format!("there is no zone {zone} that is made from a cluster: there is {known}");
            return Err(Refusal(StatusCode::NOT_FOUND, sentence));
        };
        let asked = insight.inspector.ask(move |known| {
            let (zone, register) = known.zone(&apex)?;
            Some(question(View { zone, cluster: known.cluster, register }))
        });
        match asked.await.and_then(|answer| answer.ok_or(InspectError::Busy)) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("cluster {name}: {error}"))),
        }
    }

    /// At most `limit` Services of the zone's cluster behind `after`, of those that `filter` lets through.
    pub(super) async fn services(
        &self,
        apex: Name,
        filter: ServiceFilter,
        after: Option<ServiceKey>,
        limit: usize,
    ) -> Result<Page<Report>, Refusal> {
        let namespace = filter.namespace.clone().unwrap_or_default();
        let mut search = ServiceSearch::new(filter, after, limit);
        loop {
            // Changes come between.
            let (is_done, so_far) = self.ask(apex.clone(), move |view| (search.look(&view, MOST), search)).await?;
            search = so_far;
            if is_done {
                let sentence = format!("nothing is known of a Namespace {namespace}, nor of a Service in it");
                return search.page().ok_or(Refusal(StatusCode::NOT_FOUND, sentence));
            }
        }
    }

    /// `name`, in the zone at `apex`.
    pub(super) async fn name(&self, name: Name, apex: Name) -> Result<NameReport, Refusal> {
        if !apex.zone_of(&name) {
            return Err(bad(format!("{} is not in zone {}", name_to_text(&name), name_to_text(&apex))));
        }
        let (zone, _) = self.version(&apex)?;
        let at = zone.at(&HashedName::from(&name));
        let told = self.ask(apex, move |view| view.name(&name, at)).await?;
        if !told.is_lost() {
            return Ok(told);
        }
        // Every name of the zone is looked at: the writer does not wait for that.
        let permit = permit(&self.searches).await;
        let told = spawn_blocking(move || {
            let _permit = permit;
            told.among(zone.owners())
        });
        told.await.map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the server's log says why".to_owned()))
    }
}

/// What `listen.admin` answers: everything below `/api/v1`, and the pages that show it.
pub fn router(api: &Arc<Api>) -> Router {
    let router = operations().into_iter().fold(Router::new(), |router, it| router.route(it.path, it.method));
    router.merge(page::routes()).fallback(nothing).layer(middleware::from_fn(guard)).with_state(Arc::clone(api))
}

const ZONE: Parameter = Parameter {
    name: "zone",
    description: "The zone that it is about; the final dot is optional.",
    presence: Presence::Required,
    value: Kind::Text,
};
const ZONE_IN_PATH: Parameter = Parameter { presence: Presence::InPath, ..ZONE };

/// All that may be asked for.
fn operations() -> Vec<Operation> {
    let operation = |path, method, summary, parameters, answer| Operation { path, method, summary, parameters, answer };
    vec![
        operation("/api/v1/server", get(server), "The server as a whole.", &[], Answer::json::<ServerStatus>()),
        operation("/api/v1/rates", get(rates), "What is answered in the next second.", &[], Answer::json::<Rates>()),
        operation("/api/v1/zones", get(zones), "Every zone configured.", &[], Answer::json::<Page<ZoneStatus>>()),
        operation(
            "/api/v1/zones/{zone}",
            get(zone),
            "A zone as a master file (RFC 4027).",
            &[ZONE_IN_PATH],
            Answer::Text("text/dns"),
        ),
        operation(
            "/api/v1/zones/{zone}/changes",
            get(changes),
            "What changed in a zone of late: its versions, the newest first.",
            &[ZONE_IN_PATH],
            Answer::json::<Page<ZoneChange>>(),
        ),
        operation(
            "/api/v1/delegations",
            get(delegations),
            "What the parent of each zone should say of it.",
            &[],
            Answer::json::<Page<DelegationStatus>>(),
        ),
        operation(
            "/api/v1/clusters",
            get(clusters),
            "Every cluster configured, and how it is followed.",
            &[],
            Answer::json::<Page<ClusterStatus>>(),
        ),
        operation(
            "/api/v1/services",
            get(services),
            "The Services of a zone's cluster, published or not, and why.",
            SERVICES,
            Answer::json::<Page<Report>>(),
        ),
        operation(
            "/api/v1/names/{name}",
            get(name),
            "A name in a zone that is made from a cluster.",
            &[Parameter { name: "name", description: "The name; the final dot is optional.", ..ZONE_IN_PATH }, ZONE],
            Answer::json::<NameReport>(),
        ),
        operation(
            "/api/v1/addresses/{address}",
            get(address),
            "An address in a zone that is made from a cluster.",
            &[Parameter { name: "address", description: "The address, IPv6 or IPv4.", ..ZONE_IN_PATH }, ZONE],
            Answer::json::<AddressReport>(),
        ),
        operation("/api/v1/openapi.json", get(described), "What the API is.", &[], Answer::Document),
    ]
}

/// What Services may be asked for by.
const SERVICES: &[Parameter] = {
    const TEXT: Parameter = Parameter { name: "", description: "", presence: Presence::Optional, value: Kind::Text };
    &[
        ZONE,
        Parameter { name: "namespace", description: "Only those of this Namespace.", ..TEXT },
        Parameter { name: "name", description: "This one alone; needs `namespace`.", ..TEXT },
        Parameter {
            name: "search",
            description: "Only those whose NAMESPACE/NAME, or a name that they are reached by, contains this, or that have this \
                          address.",
            ..TEXT
        },
        Parameter {
            name: "published",
            description: "Only those that are published, or are not.",
            value: Kind::Boolean,
            ..TEXT
        },
        Parameter {
            name: "reason",
            description: "Only those for which this reason holds: its name or its code.",
            ..TEXT
        },
        Parameter {
            name: "limit",
            description: "At most so many; 100 if nobody says it.",
            value: Kind::UpTo(MOST),
            ..TEXT
        },
        Parameter { name: "after", description: "Those behind this one: `next` of the page before.", ..TEXT },
    ]
};

async fn described() -> Json<Value> {
    Json(openapi::document(&operations()))
}

async fn server(Shared(api): Shared<Arc<Api>>) -> Json<ServerStatus> {
    Json(api.server())
}

async fn zones(Shared(api): Shared<Arc<Api>>) -> Json<Page<ZoneStatus>> {
    Json(api.zones().into())
}

async fn clusters(Shared(api): Shared<Arc<Api>>) -> Json<Page<ClusterStatus>> {
    Json(api.clusters().into())
}

/// A zone as a master file, written while it is read.
async fn zone(Shared(api): Shared<Arc<Api>>, name: Result<Path<String>, PathRejection>) -> Result<Response, Refusal> {
    let zone = api.loaded(&absolute(name.as_deref().map_or("", String::as_str))?)?;
    let permit = permit(&api.dumps).await;
    let (chunks, mut written) = mpsc::channel(1);
    spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK, Chunks(chunks));
        // It fails when the reader has gone, who is not waiting for the rest.
        let _ = write!(out, "{}", dump(&zone)).and_then(|()| out.flush());
        drop(permit);
    });
    let body = Body::from_stream(stream::poll_fn(move |context| written.poll_recv(context)));
    // RFC 4027
    Ok(([(header::CONTENT_TYPE, "text/dns")], body).into_response())
}

/// What changed in a zone of late.
async fn changes(
    Shared(api): Shared<Arc<Api>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Page<ZoneChange>>, Refusal> {
    api.versions(&absolute(name.as_deref().map_or("", String::as_str))?).map(|versions| Json(versions.into()))
}

/// What the parent of each zone should say of it.
async fn delegations(Shared(api): Shared<Arc<Api>>) -> Json<Page<DelegationStatus>> {
    Json(api.delegations().into())
}

async fn rates(Shared(api): Shared<Arc<Api>>) -> Json<Rates> {
    Json(live::rates(&api).await)
}

/// The Services of a zone's cluster, a page of them or a single one.
async fn services(Shared(api): Shared<Arc<Api>>, uri: Uri) -> Result<Json<Page<Report>>, Refusal> {
    let known = ["zone", "namespace", "name", "search", "published", "reason", "after", "limit"];
    let mut wanted = Parameters::of(&uri, &known)?;
    let apex = absolute(&wanted.required("zone")?)?;
    let name = wanted.take("name");
    let (filter, after, limit) = (wanted.filter()?, wanted.after()?, wanted.limit()?);
    let Some(name) = name else { return api.services(apex, filter, after, limit).await.map(Json) };
    match filter {
        ServiceFilter { namespace: Some(namespace), text: None, published: None, reason: None } => {
            let key = ServiceKey { namespace: namespace.into(), name: name.into() };
            Ok(Json(vec![api.ask(apex, move |view| view.service(&key)).await?].into()))
        }
        ServiceFilter { namespace: None, .. } => {
            Err(bad("a Service's name means something in a namespace: give that, too"))
        }
        _ => Err(bad("`name` is one Service: there is nothing to filter")),
    }
}

/// A name, in one zone.
async fn name(
    Shared(api): Shared<Arc<Api>>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<NameReport>, Refusal> {
    let name = absolute(name.as_deref().map_or("", String::as_str))?;
    let apex = absolute(&Parameters::of(&uri, &["zone"])?.required("zone")?)?;
    api.name(name, apex).await.map(Json)
}

/// An address, in one zone.
async fn address(
    Shared(api): Shared<Arc<Api>>,
    address: Result<Path<IpAddr>, PathRejection>,
    uri: Uri,
) -> Result<Json<AddressReport>, Refusal> {
    let Path(address) = address.map_err(|_| bad("that is no address: write one such as 2001:db8::1"))?;
    let apex = absolute(&Parameters::of(&uri, &["zone"])?.required("zone")?)?;
    let mut search = AddressSearch::new(address);
    loop {
        let found = api.ask(apex.clone(), move |view| {
            let is_done = search.look(&view, MOST);
            if is_done { Ok(search.report(view.zone)) } else { Err(search) }
        });
        match found.await? {
            Ok(report) => return Ok(Json(report)),
            Err(unfinished) => search = unfinished,
        }
    }
}

async fn nothing() -> Refusal {
    let sentence = "there is nothing here: see / for pages, and /api/v1/openapi.json for what else there is";
    Refusal(StatusCode::NOT_FOUND, sentence.to_owned())
}

/// What stands behind the question mark.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Those of `uri`, all of them `known` and given once at most.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        Self::of_pairs(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()), known)
    }

    /// As [`Parameters::of`], of what has been read.
    pub(super) fn of_pairs<K: AsRef<str>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
        known: &[&str],
    ) -> Result<Self, Refusal> {
        let mut parameters = BTreeMap::new();
        for (key, value) in pairs {
            let key = key.as_ref();
            if !known.contains(&key) {
                return Err(bad(format!("there is no parameter `{key}` here, only {}", known.join(", "))));
            }
            if parameters.insert(key.to_owned(), value.into()).is_some() {
                return Err(bad(format!("`{key}` is given twice")));
            }
        }
        Ok(Self(parameters))
    }

    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    pub(super) fn required(&mut self, key: &str) -> Result<String, Refusal> {
        self.take(key).ok_or_else(|| bad(format!("`{key}` is missing")))
    }

    /// Which Services are looked for.
    pub(super) fn filter(&mut self) -> Result<ServiceFilter, Refusal> {
        let published = match self.take("published").as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(bad("`published` is true or false")),
        };
        let [namespace, text, reason] = ["namespace", "search", "reason"].map(|key| self.take(key));
        Ok(ServiceFilter { namespace, text, published, reason })
    }

    /// Behind which Service the page begins.
    pub(super) fn after(&mut self) -> Result<Option<ServiceKey>, Refusal> {
        let Some(after) = self.take("after") else { return Ok(None) };
        let Some((namespace, name)) = after.split_once('/') else {
            return Err(bad("`after` is a page's `next`: NAMESPACE/NAME"));
        };
        Ok(Some(ServiceKey { namespace: namespace.into(), name: name.into() }))
    }

    pub(super) fn limit(&mut self) -> Result<usize, Refusal> {
        let Some(limit) = self.take("limit") else { return Ok(MANY) };
        let limit = limit.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| bad(format!("`limit` is a number from 1 to {MOST}")))
    }
}

/// A request that means nothing.
pub(super) fn bad(sentence: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, sentence.into())
}

async fn permit(of: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(of).acquire_owned().await.expect("never closed")
}

/// The zone at `apex` is there, and cannot be told of.
fn not_now(apex: &Name, why: &str) -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("zone {} {why}", name_to_text(apex)))
}

/// Lets through what may be asked, and has every answer say what it is.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        // A page says for itself what it is made of.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn refusal(request: &Request) -> Option<Refusal> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(Refusal(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here: GET only".to_owned()));
    }
    if !is_asked_by_address(request) {
        let sentence =
            "ask by localhost or an IP address: another name may be a stranger's web page that was made to lead here";
        return Some(Refusal(StatusCode::MISDIRECTED_REQUEST, sentence.to_owned()));
    }
    None
}

/// Whether the client knows this server by its address, or as `localhost`.
///
/// A web page can have its own name lead to loopback (DNS rebinding); the
/// browser then takes us for a part of that page, and says the name.
fn is_asked_by_address(request: &Request) -> bool {
    // An absolute target goes before the field (RFC 9112 §3.2.2).
    let mut hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| Authority::try_from(host).ok()),
    };
    authority.is_some_and(|authority| {
        let host = authority.host();
        // What stands behind a bracket is not looked at by everybody.
        let rest = authority.as_str().strip_prefix(host);
        let is_whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        is_whole && (host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok())
    })
}

/// A name, its final dot optional.
pub(super) fn absolute(text: &str) -> Result<Name, Refusal> {
    match Name::from_ascii(text) {
        // Nothing at all would be the root.
        Ok(mut apex) if !text.is_empty() => {
            apex.set_fqdn(true);
            Ok(apex)
        }
        _ => Err(bad("that is no name: write one such as c2.k8s.ooo")),
    }
}

/// What is wrong with following the cluster at `access`: what concerns several kinds of objects is one thing.
fn problems(troubles: &[Trouble], access: &Access) -> Vec<ClusterProblem> {
    let mut problems: Vec<ClusterProblem> = Vec::new();
    for Trouble { part, error, sentence } in troubles {
        match problems.iter_mut().find(|problem| problem.error == *sentence) {
            Some(problem) => problem.parts.push(part.clone()),
            None => problems.push(ClusterProblem {
                parts: vec![part.clone()],
                error: sentence.clone(),
                fix: fix(*error, access),
            }),
        }
    }
    problems
}

/// What to do about an error of a cluster at `access`.
fn fix(error: ClusterError, access: &Access) -> String {
    let again = "kubezone tries again by itself";
    match (error, access) {
        (ClusterError::Configuration, Access::Manifests(folder)) => {
            format!("Have {} be a folder of manifests that kubezone may read; {again}.", folder.display())
        }
        (ClusterError::Configuration, Access::InCluster) => {
            format!("Run kubezone in a Pod with a ServiceAccount whose token is mounted; {again}.")
        }
        (ClusterError::Configuration, Access::Kubeconfig { path, context }) => {
            let file = path.as_ref().map_or("kubectl's kubeconfig".to_owned(), |path| path.display().to_string());
            let context = context.as_ref().map(|context| format!(" with the context `{context}`")).unwrap_or_default();
            format!("Have {file} be a kubeconfig{context} that kubezone may read; {again}.")
        }
        (ClusterError::Forbidden, _) => format!(
            "Allow whoever kubezone is there to list and watch services, namespaces and endpointslices.discovery.k8s.io, \
             and pods where their names are published; {again}."
        ),
        (ClusterError::Connection | ClusterError::Idle, _) => {
            format!("See whether the API server runs and can be reached from kubezone's machine; {again}.")
        }
        (ClusterError::Manifest, _) => "Mend the file: `kubezone zone records` tells of all that are odd.".to_owned(),
        _ => format!("See whether that is a Kubernetes API server, and what its log says; {again}."),
    }
}

/// What belongs into a parent: NS, glue, DS.
pub(super) fn in_parent(delegation: &Delegation) -> Vec<RecordText> {
    let text = |owner: &Name, ttl, rtype: &str, rdata| RecordText {
        owner: name_to_text(owner),
        ttl,
        rtype: rtype.to_owned(),
        rdata,
    };
    let servers = || delegation.servers.iter();
    let ns = servers().map(|server| text(&delegation.zone, delegation.ttl, "NS", name_to_text(&server.name)));
    let glue = servers().flat_map(|server| server.addresses.iter().map(move |address| (&server.name, address)));
    let glue = glue.map(|(name, address)| {
        text(name, delegation.glue_ttl, if address.is_ipv6() { "AAAA" } else { "A" }, address.to_string())
    });
    ns.chain(glue).chain(delegation.ds.iter().map(RecordText::from)).collect()
}

/// Whole seconds since the cluster's last sign of life.
fn age(numbers: &ClusterMetrics) -> Option<u64> {
    let last_event = Duration::try_from_secs_f64(numbers.last_event()?).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(now.saturating_sub(last_event).as_secs())
}

/// Unix seconds as RFC 3339 has them.
pub(super) fn timestamp(seconds: f64) -> Option<String> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    let timestamp = Timestamp::from_millisecond(i64::try_from(since.as_millis()).ok()?).ok()?;
    Some(timestamp.to_string())
}

/// What was seen just now.
impl From<&Look> for Verified {
    fn from(look: &Look) -> Self {
        let finding = |finding: &Finding| VerifiedFinding {
            code: finding.code.to_string(),
            side: finding.side.to_string(),
            message: finding.message.clone(),
            fix: finding.fix.clone(),
        };
        Self {
            time: Timestamp::now().to_string(),
            ok: look.findings.is_empty(),
            findings: look.findings.iter().map(finding).collect(),
            picture: Some(svg(&look.trace)),
        }
    }
}

impl From<&Version> for ZoneChange {
    fn from(version: &Version) -> Self {
        let Difference { added, removed, names, more } = &version.difference;
        Self {
            time: Timestamp::try_from(version.at).map(|at| at.to_string()).unwrap_or_default(),
            serial: version.serial.0,
            added: *added,
            removed: *removed,
            names: names.iter().map(name_to_text).collect(),
            more: *more,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(Problem { error: self.1 })).into_response()
    }
}

/// Sends what is written into it.
struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(octets)));
        sent.map(|()| octets.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a request with this target and these Host fields is answered, and if not, with which status.
    fn check(method: Method, target: &str, hosts: &[&str], expected: Result<(), StatusCode>) {
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let request = request.body(Body::empty()).unwrap();
        let answered = refusal(&request).map_or(Ok(()), |Refusal(status, _)| Err(status));
        assert_eq!(answered, expected, "{target} {hosts:?}");
    }

    #[test]
    fn only_who_knows_the_address_is_answered() {
        let hosts =
            ["localhost", "LocalHost:9154", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:9154", "[2001:db8::1]:80"];
        for host in hosts {
            check(Method::GET, "/api/v1/zones", &[host], Ok(()));
            check(Method::HEAD, &format!("http://{host}/api/v1/zones"), &["evil.example"], Ok(()));
        }
        let misdirected = Err(StatusCode::MISDIRECTED_REQUEST);
        let strangers = [
            "evil.example",
            "evil.example:9154",
            "localhost.evil.example",
            "[::1].evil.example",
            "",
            " ",
            "::1",
            "[::1",
            "a b",
            "localhost@",
        ];
        for host in strangers {
            check(Method::GET, "/api/v1/zones", &[host], misdirected);
        }
        check(Method::GET, "/api/v1/zones", &[], misdirected);
        check(Method::GET, "/api/v1/zones", &["localhost", "evil.example"], misdirected);
        check(Method::GET, "/api/v1/zones", &["localhost", "localhost"], misdirected);
        check(Method::GET, "http://evil.example/api/v1/zones", &["localhost"], misdirected);
    }

    #[test]
    fn nothing_can_be_changed() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE] {
            check(method, "/api/v1/zones", &["localhost"], Err(StatusCode::METHOD_NOT_ALLOWED));
        }
    }

    #[test]
    fn times_are_told_as_kubernetes_tells_them() {
        assert_eq!(timestamp(1_763_748_000.25).as_deref(), Some("2025-11-21T18:00:00.25Z"));
        assert_eq!(timestamp(f64::MAX), None);
    }
}

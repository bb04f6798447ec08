//! The only writer of one cluster's zones.
//!
//! Events come from the cluster's followers through one channel, in the order
//! they were learned; versions of all zones of the cluster go out, in one swap.
//! Before everything has been listed in full nothing is published: half a
//! cluster must not deny the other half.
//!
//! A lone change is published at once. What follows closely is settled: it is
//! gathered until it is quiet for a moment, and never longer than a bound.
//!
//! What becomes of an object is not decided here: `cluster` says which Services
//! it touched, `schema` which records they own, `zone` whether that is a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use std::{future, iter, mem};

use hickory_proto::rr::Name;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, info, warn};

use super::inspect::{Look, View};
use super::{AddressBook, Event, Preparation, PrepareError, Proposal, Requests, Told, aside};
use crate::cluster::{Cluster, Collection, Kind, Subject};
use crate::config;
use crate::metrics::{ClusterError, ClusterMetrics};
use crate::published::Published;
use crate::schema::{ClusterZone, Reason, Register, Update};
use crate::zone::{Part, Serial, State, Warning, Zone, ZoneError};

/// A change that comes no sooner than this after a version is published at once;
/// after this long without a further one, those that were gathered are.
const QUIET: Duration = Duration::from_millis(5);
/// The longest that a change waits for others.
const BOUND: Duration = Duration::from_millis(50);
/// How long after a list that was not believed another one is asked for:
/// what made an API server forget has mostly passed by then.
const DOUBT: Duration = Duration::from_secs(10);
/// Events taken from the channel in one go.
const MANY: usize = 1024;
/// From so many Services on, the work is done on a thread that may block: it
/// takes longer than a task of the runtime should.
const LARGE: usize = 64;

/// Asks the followers of one cluster to list their collections again.
#[derive(Debug, Clone, Default)]
pub(super) struct Relist(BTreeMap<Collection, Arc<Notify>>);

impl FromIterator<Collection> for Relist {
    fn from_iter<I: IntoIterator<Item = Collection>>(collections: I) -> Self {
        Self(collections.into_iter().map(|collection| (collection, Arc::default())).collect())
    }
}

impl Relist {
    /// Each collection, and what its follower waits for; if it is busy when asked, it finds that later.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Collection, &Arc<Notify>)> {
        self.0.iter()
    }

    /// Asks for those that are wanted.
    fn ask(&self, is_wanted: impl Fn(&Collection) -> bool) {
        self.iter().filter(|(collection, _)| is_wanted(collection)).for_each(|(_, asked)| asked.notify_one());
    }

    /// Asks for every collection.
    pub(super) fn all(&self) {
        self.ask(|_| true);
    }
}

/// Writes the zones of `config` from what `events` make of `cluster`, empty as yet, until the last of its followers is
/// gone, or it is agreed that there are no zones any more; those of `config` are always those agreed.
///
/// There must be no other writer of these zones. What has been published stays when this ends.
pub(super) async fn write(
    cluster: Cluster,
    config: &mut config::Cluster,
    requests: &mut Requests,
    mut events: mpsc::Receiver<Event>,
    relist: Relist,
    book: Arc<AddressBook>,
    metrics: ClusterMetrics,
) {
    let mut writer = Writer::new(cluster, config, book, metrics);
    let mut batch = Vec::new();
    loop {
        let received = tokio::select! {
            received = events.recv_many(&mut batch, MANY) => received,
            Some(look) = requests.looks.recv() => {
                writer = writer.show(look).await;
                continue;
            }
            Some(proposal) = requests.proposals.recv() => {
                let agreed;
                (writer, agreed) = writer.consider(proposal).await;
                if let Some(agreed) = agreed {
                    config.zones = agreed;
                }
                if config.zones.is_empty() {
                    return;
                }
                continue;
            }
            () = writer.stale() => {
                writer.expire(true);
                continue;
            }
            () = writer.doubts.ripe() => {
                writer.doubts.ask(&relist);
                continue;
            }
            () = writer.lacking() => {
                writer.lacking_since = None;
                relist.ask(|collection| collection.kind == Kind::EndpointSlice);
                continue;
            }
        };
        if received == 0 {
            return;
        }
        let arrived = Instant::now();
        writer.apply(batch.drain(..));
        if writer.is_expired {
            writer.expire(false);
        }
        if !writer.has_news() {
            continue;
        }
        if writer.published_at.is_some_and(|at| arrived < at + QUIET) {
            settle(&mut writer, &mut events, arrived + BOUND).await;
        }
        writer = writer.publish_aside(arrived).await;
    }
}

/// Gathers events until it is quiet, or until `bound`.
async fn settle(writer: &mut Writer, events: &mut mpsc::Receiver<Event>, bound: Instant) {
    let mut batch = Vec::new();
    loop {
        let now = Instant::now();
        // A channel that is never empty would never let the time-out have its turn.
        if now >= bound {
            return;
        }
        match timeout_at(bound.min(now + QUIET), events.recv_many(&mut batch, MANY)).await {
            Ok(received) if received > 0 => writer.apply(batch.drain(..)),
            _ => return,
        }
    }
}

/// What one cluster says, and what is published of it.
struct Writer {
    cluster: Cluster,
    zones: Vec<WrittenZone>,
    /// Nothing has been published yet.
    is_first: bool,
    /// When the cluster gave its last sign of life, and how long that is good for.
    alive: Instant,
    max_staleness: Option<Duration>,
    /// Whether it was silent for longer: its zones are not answered for.
    is_expired: bool,
    /// When the last version was: what touched a Service and changed nothing is no reason to wait.
    published_at: Option<Instant>,
    /// The subjects that may own other records than those published.
    touched: BTreeSet<Subject>,
    /// The newest resourceVersion seen in objects, deletions and lists. Not that of bookmarks:
    /// their time is each API server's own, and replicas of this server would not agree on serials.
    newest: Option<u64>,
    doubts: Doubts,
    /// Since when the cluster lacks endpoints that it was told of; since they were listed for that, if they were.
    lacking_since: Option<Instant>,
    book: Arc<AddressBook>,
    metrics: ClusterMetrics,
    /// How the Services fared when that was told last: mostly as before.
    counted: Option<Counts>,
}

/// How many Services there are, how many of them are not published, and for how many a reason holds.
#[derive(PartialEq, Eq)]
struct Counts {
    services: usize,
    withheld: BTreeMap<Reason, usize>,
    noted: BTreeMap<Reason, usize>,
}

/// A zone as configured and as published.
struct WrittenZone {
    config: ClusterZone,
    /// None where there never was one.
    zone: Option<Arc<Zone>>,
    /// Whether `zone` was made from this configuration and this cluster, so that the next can be derived from it. Until
    /// then it is what another source or configuration left, to be served on.
    is_own: bool,
    /// What was decided about the cluster's objects.
    register: Register,
}

impl Writer {
    fn new(cluster: Cluster, config: &config::Cluster, book: Arc<AddressBook>, metrics: ClusterMetrics) -> Self {
        let zones = config.zones.iter().map(|config| WrittenZone::new(config.clone(), book.published())).collect();
        Self {
            cluster,
            zones,
            is_first: true,
            alive: Instant::now(),
            max_staleness: config.max_staleness,
            is_expired: false,
            published_at: None,
            touched: BTreeSet::new(),
            newest: None,
            doubts: Doubts::default(),
            lacking_since: None,
            book,
            metrics,
            counted: None,
        }
    }

    fn apply(&mut self, events: impl Iterator<Item = Event>) {
        for event in events {
            self.apply_one(event);
        }
        self.alive = Instant::now();
        self.lacking_since = self.cluster.lacks_endpoints().then(|| self.lacking_since.unwrap_or(self.alive));
        self.metrics.set_objects(|kind| self.cluster.count(kind));
        self.metrics.event();
    }

    /// Waits until endpoints that the cluster lacks have to be listed: for so long nobody has told of them again.
    async fn lacking(&self) {
        match self.lacking_since {
            Some(since) => sleep_until(since + DOUBT).await,
            None => future::pending().await,
        }
    }

    /// Waits until the cluster has been silent for longer than it may; for ever if it may, or has been.
    async fn stale(&self) {
        match self.max_staleness {
            Some(staleness) if !self.is_expired => sleep_until(self.alive + staleness).await,
            _ => future::pending().await,
        }
    }

    /// What is known is too old to be answered with, or is not any more.
    fn expire(&mut self, is_expired: bool) {
        self.is_expired = is_expired;
        let cluster = self.metrics.cluster();
        if is_expired {
            warn!(cluster, max_staleness = ?self.max_staleness, "the cluster is silent: its zones are answered with SERVFAIL");
        } else {
            info!(cluster, "the cluster is heard again: its zones are answered for");
        }
        let versions = self.zones.iter().filter_map(|written| written.version(is_expired)).collect();
        let reversed = self.zones.iter().filter(|written| written.config.is_reversed);
        let told = reversed.map(|written| Told::some(&written.config, Vec::new()));
        self.book.publish(versions, self.told(told));
    }

    fn apply_one(&mut self, event: Event) {
        match event {
            Event::Listing(collection) => {
                let confirms = self.doubts.is_asked(&collection);
                self.cluster.listing(collection, confirms);
            }
            Event::Apply { object, version } => {
                self.touched.extend(self.cluster.apply(object));
                self.newest = self.newest.max(version);
            }
            Event::Skipped(key) => self.cluster.mark(&key),
            Event::Delete { key, version } => {
                self.touched.extend(self.cluster.delete(&key));
                self.newest = self.newest.max(version);
            }
            Event::Listed { of, version } => {
                let swept = self.cluster.listed(of.clone());
                self.touched.extend(swept.touched);
                self.newest = self.newest.max(version);
                if swept.held > 0 {
                    warn!(
                        cluster = self.metrics.cluster(),
                        kind = ?of.kind,
                        namespace = of.namespace.as_deref(),
                        held = swept.held,
                        "a complete list lacks most objects: kept until a second one says so"
                    );
                    self.metrics.error(ClusterError::HeldList);
                }
                self.doubts.listed(of, swept.held > 0);
            }
            Event::Bookmark { .. } => {}
        }
    }

    /// Whether there is anything to publish.
    fn has_news(&self) -> bool {
        self.cluster.synced() && (self.is_first || !self.touched.is_empty() || self.is_zone_due())
    }

    /// Whether a zone waits for no more than to be made.
    fn is_zone_due(&self) -> bool {
        self.zones.iter().any(|written| !written.is_own && written.is_known(&self.cluster))
    }

    /// Prepares for other zones, and takes them on if that is agreed; nothing is published until then.
    async fn consider(self, proposal: Proposal<ClusterZone>) -> (Self, Option<Vec<ClusterZone>>) {
        let (mut writer, proposal, prepared) = aside(move || {
            let prepared = self.prepare(&proposal.zones);
            (self, proposal, prepared)
        })
        .await;
        let (fresh, answer) = match prepared {
            Ok((fresh, told)) => {
                let versions = fresh
                    .iter()
                    .filter(|written| written.is_own)
                    .filter_map(|written| written.version(writer.is_expired))
                    .collect();
                (fresh, Ok(Preparation { versions, told: writer.told(told) }))
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        let agreed = proposal.decided(answer).await;
        if let Some(zones) = &agreed {
            writer.take_on(zones, fresh);
        }
        (writer, agreed)
    }

    /// The zones of `configs` that are new or otherwise configured; made already if there is something to make them from.
    fn prepare(&self, configs: &[ClusterZone]) -> Result<(Vec<WrittenZone>, Vec<Told>), PrepareError> {
        let is_new = |config: &&ClusterZone| self.zones.iter().all(|written| written.config != **config);
        let (mut fresh, mut told) = (Vec::new(), Vec::new());
        for config in configs.iter().filter(is_new) {
            let mut written = WrittenZone::new(config.clone(), self.book.published());
            if let Some(before) = self.zones.iter().find(|before| before.config.origin == config.origin) {
                written.register = before.register.successor();
            }
            if !self.is_first && written.is_known(&self.cluster) {
                let rebuilt = written.rebuild(&self.cluster, self.newest.map(serial_of));
                let failed = |error| PrepareError::Zone { zone: config.origin.clone(), error: Box::new(error) };
                told.extend(rebuilt.map_err(failed)?);
            }
            fresh.push(written);
        }
        Ok((fresh, told))
    }

    /// What is told of zones, with what is known of their cluster.
    fn told(&self, told: impl IntoIterator<Item = Told>) -> Vec<Told> {
        told.into_iter().map(|told| told.of_cluster(self.newest.map(serial_of), self.is_expired)).collect()
    }

    /// Writes the zones of `configs` from now on: those that it has, and `fresh` ones.
    fn take_on(&mut self, configs: &[ClusterZone], fresh: Vec<WrittenZone>) {
        let mut known: Vec<_> = mem::take(&mut self.zones).into_iter().chain(fresh).collect();
        for config in configs {
            if let Some(place) = known.iter().position(|written| written.config == *config) {
                self.zones.push(known.swap_remove(place));
            }
        }
        if !self.is_first {
            self.count_services();
        }
    }

    /// Tells what is known; nothing, as long as nothing is published of it.
    async fn show(self, look: Look) -> Self {
        aside(move || {
            let zones = self.zones.iter().map(|written| (&written.config, &written.register)).collect();
            let view = View { cluster: &self.cluster, zones };
            look(Some(&view).filter(|_| !self.is_first));
            self
        })
        .await
    }

    /// Publishes, away from the runtime's threads if it is much.
    async fn publish_aside(mut self, arrived: Instant) -> Self {
        if self.touched.len() < LARGE && !self.is_zone_due() {
            self.publish(arrived);
            return self;
        }
        aside(move || {
            self.publish(arrived);
            self
        })
        .await
    }

    /// Makes a version of each zone that the Services touched have changed, and swaps all of them in.
    fn publish(&mut self, arrived: Instant) {
        let started = Instant::now();
        let touched = mem::take(&mut self.touched);
        let hint = self.newest.map(serial_of);
        let (mut versions, mut told) = (Vec::new(), Vec::new());
        for written in &mut self.zones {
            let (zone, news) = written.next(&self.cluster, &touched, hint);
            told.extend(news);
            if let Some(zone) = zone {
                debug!(zone = %zone.apex(), serial = %zone.serial(), touched = touched.len(), "zone published");
                versions.push((zone.apex().clone(), State::Loaded(zone)));
            }
        }
        let is_published = self.book.publish(versions, self.told(told));
        // What is told of it can wait until it is served.
        let (took, age) = (started.elapsed(), arrived.elapsed());
        let waiting = || self.zones.iter().filter(|written| !written.is_known(&self.cluster));
        if self.is_first {
            for written in waiting() {
                info!(zone = %written.config.origin, "waits for a list of the cluster's Pods: `publish.pods` is on");
            }
        }
        self.metrics.set_synced(waiting().next().is_none());
        self.is_first = false;
        self.count_services();
        if is_published {
            self.published_at = Some(Instant::now());
            self.metrics.published(took);
            self.metrics.programmed(age);
        }
    }

    /// A cluster mostly has one zone; of several, the first tells how its Services fare.
    fn count_services(&mut self) {
        let Some(first) = self.zones.first().filter(|first| first.is_own) else { return };
        let (services, withheld, noted) =
            (self.cluster.service_count(), first.register.withheld(), first.register.noted());
        let is_known =
            |counted: &Counts| counted.services == services && counted.withheld == *withheld && counted.noted == *noted;
        if self.counted.as_ref().is_some_and(is_known) {
            return;
        }
        let published = services - withheld.values().sum::<usize>();
        let by_reason = withheld.iter().map(|(reason, count)| (reason.name(), *count));
        self.metrics.set_services(&iter::once(("", published)).chain(by_reason).collect::<Vec<_>>());
        let holds = |reason: Reason| (reason.name(), noted.get(&reason).copied().unwrap_or_default());
        self.metrics.set_service_reasons(Reason::ALL.map(holds));
        self.counted = Some(Counts { services, withheld: withheld.clone(), noted: noted.clone() });
    }
}

impl WrittenZone {
    /// A zone that continues what is published at its name, if that is anything.
    fn new(config: ClusterZone, published: &Published) -> Self {
        let zone = match published.load().zones.get(&config.origin) {
            Some(State::Loaded(zone) | State::Expired(zone)) => Some(Arc::clone(zone)),
            Some(State::Pending) | None => None,
        };
        Self { config, zone, is_own: false, register: Register::default() }
    }

    /// Whether all kinds that it is made from have been listed in full once, in a cluster that is synced.
    fn is_known(&self, cluster: &Cluster) -> bool {
        !self.config.pods || cluster.knows_pods()
    }

    /// What there is to publish, if anything: too old to be answered with, or not.
    fn version(&self, is_expired: bool) -> Option<(Name, State)> {
        let zone = self.zone.as_ref()?;
        let state = if is_expired { State::Expired } else { State::Loaded };
        Some((zone.apex().clone(), state(Arc::clone(zone))))
    }

    /// The version that follows, if it would be another than the one before or is the first of this source, and what there is to
    /// tell of reverse zones.
    fn next(
        &mut self,
        cluster: &Cluster,
        touched: &BTreeSet<Subject>,
        hint: Option<Serial>,
    ) -> (Option<Arc<Zone>>, Option<Told>) {
        if !self.is_known(cluster) {
            return (None, None);
        }
        let (next, told) = match self.zone.clone().filter(|_| self.is_own) {
            None => {
                let told = self.rebuild(cluster, hint).unwrap_or_else(|error| {
                    error!(zone = %self.config.origin, %error, "zone not built");
                    None
                });
                // Also where it says what another source left: that may be too old to be answered with.
                return (self.zone.clone().filter(|_| self.is_own), told);
            }
            Some(zone) => {
                let update = self.register.update(&self.config, cluster, touched.iter().cloned());
                self.say(&update);
                let derived = zone.derive(update.parts, zone.serial().next(hint));
                for (root, error) in derived.refused {
                    error!(zone = %zone.apex(), %root, %error, "what is at and below the name stays as it was");
                }
                warn_of(&zone, &derived.warnings);
                let told = self.config.is_reversed.then(|| Told::some(&self.config, update.addresses));
                (derived.zone.map(Arc::new), told)
            }
        };
        self.zone = next.clone().or(self.zone.take());
        (next, told)
    }

    /// Makes the zone from all that is known; with the same records as the one before, it is that one. What there is to tell
    /// of reverse zones is all of it.
    fn rebuild(&mut self, cluster: &Cluster, hint: Option<Serial>) -> Result<Option<Told>, ZoneError> {
        let started = Instant::now();
        let serial = self.zone.as_ref().map_or(hint.unwrap_or(Serial(1)), |before| before.serial());
        let mut records = self.config.apex(serial);
        let subjects: Vec<Subject> = self.config.subjects(cluster).collect();
        // What an attempt that failed remembers is of subjects that may be gone.
        self.register = self.register.successor();
        let (update, branches) = self.register.begin(&self.config, cluster, subjects);
        self.say(&update);
        records.extend(update.parts.into_iter().flat_map(Part::into_records));
        let (mut zone, warnings) = Zone::build_with(&self.config.origin, records, branches?)?;
        let told = self.config.is_reversed.then(|| Told::all(&self.config, update.addresses));
        self.is_own = true;
        match &self.zone {
            Some(before) if before.says_the_same(&zone) => return Ok(told),
            Some(before) => zone = zone.with_serial(before.serial().next(hint)),
            None => {}
        }
        warn_of(&zone, &warnings);
        let records: usize = zone.census().iter().map(|(_, records)| records).sum();
        info!(zone = %zone.apex(), serial = %zone.serial(), records, took = ?started.elapsed(), "zone built");
        self.zone = Some(Arc::new(zone));
        Ok(told)
    }

    /// Tells operators what there is to say about the subjects touched.
    fn say(&self, update: &Update) {
        for (subject, reason) in &update.reasons {
            debug!(zone = %self.config.origin, %subject, %reason, "decided");
            if *reason == Reason::NameServerWithoutAddress {
                warn!(
                    zone = %self.config.origin, %subject,
                    "the Service that a name server is called after has no address: the last ones stay"
                );
            }
        }
    }
}

/// The lists of a cluster that were not believed, by what was listed.
#[derive(Debug, Default)]
struct Doubts(BTreeMap<Collection, Doubt>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Another list is asked for then.
    Waiting(Instant),
    /// It has been asked for: the one that begins next decides.
    Asked,
}

impl Doubts {
    fn is_asked(&self, collection: &Collection) -> bool {
        self.0.get(collection) == Some(&Doubt::Asked)
    }

    /// A list of `collection` is complete; `held`: it is in doubt.
    fn listed(&mut self, collection: Collection, held: bool) {
        match self.0.get(&collection) {
            _ if !held => {
                self.0.remove(&collection);
            }
            Some(Doubt::Waiting(_)) => {}
            _ => {
                self.0.insert(collection, Doubt::Waiting(Instant::now() + DOUBT));
            }
        }
    }

    /// Waits until a list has to be asked for; for ever if none is in doubt.
    async fn ripe(&self) {
        let waiting = self.0.values().filter_map(|doubt| match doubt {
            Doubt::Waiting(until) => Some(*until),
            Doubt::Asked => None,
        });
        match waiting.min() {
            Some(until) => sleep_until(until).await,
            None => future::pending().await,
        }
    }

    fn ask(&mut self, relist: &Relist) {
        let now = Instant::now();
        for (collection, doubt) in &mut self.0 {
            if matches!(doubt, Doubt::Waiting(until) if *until <= now) {
                *doubt = Doubt::Asked;
                relist.ask(|asked| asked == collection);
            }
        }
    }
}

/// Says what is odd about a zone's records.
fn warn_of(zone: &Zone, warnings: &[Warning]) {
    for warning in warnings {
        warn!(zone = %zone.apex(), "{warning}");
    }
}

/// The low 32 bits of a resourceVersion: a serial has no more, and goes around (RFC 1982).
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is asked for")]
fn serial_of(version: u64) -> Serial {
    Serial(version as u32)
}

#[cfg(test)]
mod tests;

//! Reverse zones: made of what the writers of several clusters publish, and published with it.
//!
//! The [`AddressBook`] stands between the writers and what is served. A writer
//! tells it who publishes which address now, and hands over the versions of its
//! own zones; the versions of reverse zones that follow go out in the same swap,
//! so that no PTR record leads to a name that is not there (yet, or any more).
//!
//! A reverse zone begins when each of its zones has been published once: what
//! half a fleet says would deny the other half. Which of several claims to an
//! address counts is not decided here but in `schema`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use hickory_proto::rr::Name;
use tracing::{debug, error, info};

use super::Versions;
use crate::cluster::Subject;
use crate::published::Published;
use crate::schema::{AddressClaims, Age, ClusterZone, PublishedAddress, ReverseZone};
use crate::zone::{Serial, State, Zone, ZoneError, Zones};

/// Who publishes which address, of all zones that reverse zones are made of.
#[derive(Debug)]
pub struct AddressBook {
    published: Arc<Published>,
    /// Held from when it is learned what changes until that is published: versions go out in the order they were made in.
    pages: Mutex<Pages>,
}

/// What a zone's writer tells about it.
#[derive(Debug)]
pub struct Told {
    zone: Name,
    /// The newest resourceVersion of its cluster.
    newest: Option<Serial>,
    /// Its cluster has been silent for longer than it may.
    is_expired: bool,
    news: News,
}

/// What is published in a zone.
#[derive(Debug)]
enum News {
    /// This and nothing else.
    All(AddressClaims),
    /// As before, but for these subjects.
    Some(Vec<(Subject, Age, Vec<PublishedAddress>)>),
}

impl Told {
    /// What the subjects in `addresses`, all that there are, and the configuration publish in `zone`.
    pub(super) fn all(zone: &ClusterZone, addresses: Vec<(Subject, Age, Vec<PublishedAddress>)>) -> Self {
        Self::news(zone, News::All(AddressClaims::all(zone, addresses)))
    }

    /// What the subjects in `addresses` publish in `zone` now.
    pub(super) fn some(zone: &ClusterZone, addresses: Vec<(Subject, Age, Vec<PublishedAddress>)>) -> Self {
        Self::news(zone, News::Some(addresses))
    }

    fn news(zone: &ClusterZone, news: News) -> Self {
        Self { zone: zone.origin.clone(), newest: None, is_expired: false, news }
    }

    /// As it is told of a cluster that is in this state.
    pub(super) fn of_cluster(self, newest: Option<Serial>, is_expired: bool) -> Self {
        Self { newest, is_expired, ..self }
    }
}

impl AddressBook {
    /// One without reverse zones, in which everything goes to `published` as it comes.
    #[must_use]
    pub fn new(published: Arc<Published>) -> Self {
        Self { published, pages: Mutex::default() }
    }

    /// What is being served.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// Publishes `versions` of cluster zones, and those of reverse zones that follow from what is told, in one swap; whether
    /// there was anything to publish.
    pub(super) fn publish(&self, mut versions: Versions, told: Vec<Told>) -> bool {
        let mut pages = self.pages();
        let changed = pages.take_in(told);
        versions.extend(pages.next(&changed));
        if versions.is_empty() {
            return false;
        }
        self.published.replace(versions);
        true
    }

    /// From now on `reverses` are the reverse zones; `publish` publishes the versions of them that there are now, together
    /// with whatever else changes.
    pub fn change(&self, reverses: &[ReverseZone], told: Vec<Told>, publish: impl FnOnce(Versions)) {
        let mut pages = self.pages();
        pages.configure(reverses, &self.published.load().zones);
        let changed = pages.take_in(told);
        publish(pages.next(&changed));
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(|poisoned| {
            self.pages.clear_poison();
            let mut pages = poisoned.into_inner();
            // Whoever panicked may have taken in what was not made a version of.
            pages.zones.iter_mut().for_each(Reversed::distrust);
            pages
        })
    }
}

#[derive(Debug, Default)]
struct Pages {
    /// The zones that reverse zones are made of, by their apexes.
    forwards: BTreeMap<Name, Forward>,
    zones: Vec<Reversed>,
}

/// A zone that a reverse zone is made of.
#[derive(Debug, Default)]
struct Forward {
    claims: AddressClaims,
    /// Whether it was ever told of.
    is_known: bool,
    is_expired: bool,
    newest: Option<Serial>,
}

/// A reverse zone as configured and as published.
#[derive(Debug)]
struct Reversed {
    config: ReverseZone,
    /// None where there never was one.
    zone: Option<Arc<Zone>>,
    made: Made,
    is_expired: bool,
}

/// What a version of a reverse zone was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// From what is configured now: the next can be derived from it.
    Now,
    /// From what was configured before, and is to be made anew: as long as that cannot be, what changes is derived.
    Before,
    /// By another source, and is served on as it is until it can be made anew.
    Elsewhere,
}

impl Pages {
    /// Remembers what is told of zones that reverse zones are made of; the addresses that it is about.
    fn take_in(&mut self, told: Vec<Told>) -> BTreeSet<IpAddr> {
        let mut changed = BTreeSet::new();
        for Told { zone, newest, is_expired, news } in told {
            let Some(forward) = self.forwards.get_mut(&zone) else { continue };
            forward.newest = newest.or(forward.newest);
            forward.is_expired = is_expired;
            match news {
                News::All(claims) => {
                    changed.extend(forward.claims.replace(claims));
                    forward.is_known = true;
                }
                News::Some(subjects) => {
                    for (subject, age, addresses) in subjects {
                        changed.extend(forward.claims.set(Some(subject), age, addresses));
                    }
                }
            }
        }
        changed
    }

    /// The reverse zones that become others by what is known now; `changed` are the addresses that may have other names.
    fn next(&mut self, changed: &BTreeSet<IpAddr>) -> Versions {
        let Self { forwards, zones } = self;
        let versions = zones.iter_mut().filter_map(|zone| {
            let of: Vec<_> = zone.config.of.iter().filter_map(|apex| forwards.get(apex)).collect();
            zone.next(&of, changed)
        });
        versions.collect()
    }

    /// Has these reverse zones from now on; what is published at the name of a new one is continued.
    fn configure(&mut self, configs: &[ReverseZone], published: &Zones) {
        let named: BTreeSet<_> = configs.iter().flat_map(|config| &config.of).collect();
        self.forwards.retain(|apex, _| named.contains(apex));
        for apex in named {
            self.forwards.entry(apex.clone()).or_default();
        }
        let mut before = std::mem::take(&mut self.zones);
        let zones =
            configs.iter().map(|config| match before.iter().position(|zone| zone.config.origin == config.origin) {
                Some(place) => {
                    let mut zone = before.swap_remove(place);
                    if zone.config != *config {
                        zone.config = config.clone();
                        zone.distrust();
                    }
                    zone
                }
                None => Reversed::new(config.clone(), published),
            });
        self.zones = zones.collect();
    }
}

impl Reversed {
    fn new(config: ReverseZone, published: &Zones) -> Self {
        let (zone, is_expired) = match published.get(&config.origin) {
            Some(State::Loaded(zone)) => (Some(Arc::clone(zone)), false),
            Some(State::Expired(zone)) => (Some(Arc::clone(zone)), true),
            Some(State::Pending) | None => (None, false),
        };
        Self { config, zone, made: Made::Elsewhere, is_expired }
    }

    /// What was made is not what it should have been made from.
    fn distrust(&mut self) {
        if self.made == Made::Now {
            self.made = Made::Before;
        }
    }

    /// The version that follows and how it is served, where one of them is another than before. `of` are the zones that it is
    /// made of.
    fn next(&mut self, of: &[&Forward], changed: &BTreeSet<IpAddr>) -> Option<(Name, State)> {
        let is_expired = of.iter().any(|forward| forward.is_expired);
        let before = self.zone.clone();
        let is_whole = of.iter().all(|forward| forward.is_known);
        let is_due = is_whole && self.made != Made::Now;
        // What stands at an apex cannot be derived.
        if is_due || (self.config.is_single() && self.made != Made::Elsewhere) {
            match self.rebuild(of) {
                Ok(()) if is_whole => self.made = Made::Now,
                Ok(()) => {}
                Err(error) => error!(zone = %self.config.origin, %error, "zone not built"),
            }
        } else if self.made != Made::Elsewhere {
            self.derive(of, changed);
        } else {
            return None;
        }
        let zone = self.zone.clone()?;
        let is_same = before.is_some_and(|before| Arc::ptr_eq(&before, &zone));
        if is_same && is_expired == self.is_expired {
            return None;
        }
        self.is_expired = is_expired;
        let state = if is_expired { State::Expired(zone) } else { State::Loaded(zone) };
        Some((self.config.origin.clone(), state))
    }

    fn derive(&mut self, of: &[&Forward], changed: &BTreeSet<IpAddr>) {
        let Some(zone) = &self.zone else { return };
        let claims = claims(of);
        let held = changed.iter().filter(|address| self.config.holds(**address));
        let parts: Vec<_> = held.map(|address| self.config.part(*address, &claims)).collect();
        let derived = zone.derive(parts, zone.serial().next(hint(of)));
        for (owner, error) in derived.refused {
            error!(zone = %zone.apex(), %owner, %error, "what is at the name stays as it was");
        }
        if let Some(next) = derived.zone {
            debug!(zone = %next.apex(), serial = %next.serial(), "zone published");
            self.zone = Some(Arc::new(next));
        }
    }

    /// Makes the zone from all that is known; with the same records as the one before, it is that one.
    fn rebuild(&mut self, of: &[&Forward]) -> Result<(), ZoneError> {
        let started = Instant::now();
        let hint = hint(of);
        let serial = self.zone.as_ref().map_or(hint.unwrap_or(Serial(1)), |before| before.serial());
        let records = self.config.records(serial, &claims(of));
        let count = records.len();
        let (mut zone, _) = Zone::build(&self.config.origin, records)?;
        match &self.zone {
            Some(before) if before.says_the_same(&zone) => return Ok(()),
            Some(before) => zone = zone.with_serial(before.serial().next(hint)),
            None => {}
        }
        info!(zone = %zone.apex(), serial = %zone.serial(), records = count, took = ?started.elapsed(), "zone built");
        self.zone = Some(Arc::new(zone));
        Ok(())
    }
}

fn claims<'f>(of: &[&'f Forward]) -> Vec<&'f AddressClaims> {
    of.iter().map(|forward| &forward.claims).collect()
}

/// Where a serial should be: servers that know the same of each cluster agree on the sum, in whatever order they learned it.
fn hint(of: &[&Forward]) -> Option<Serial> {
    let newest = of.iter().filter_map(|forward| forward.newest);
    newest.reduce(|sum, next| Serial(sum.0.wrapping_add(next.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ServiceKey;
    use crate::nameserver::Served;
    use crate::schema::{AddressOrigin, NameServer};
    use crate::zone::Record;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn reverse(origin: &str, of: &[&str]) -> ReverseZone {
        let nameservers = vec![NameServer { name: name("ns.example."), addresses: Vec::new() }];
        let of = of.iter().map(|zone| name(zone)).collect();
        ReverseZone { of, nameservers, ..ReverseZone::at(name(origin)).unwrap() }
    }

    /// What one Service publishes, `NAME ADDRESS`, or no more: `NAME`.
    fn published(text: &str) -> Vec<(Subject, Age, Vec<PublishedAddress>)> {
        let (service, address) = text.split_once(' ').unwrap_or((text, ""));
        let key = ServiceKey { namespace: "shop".into(), name: service.into() };
        let owner = name(&format!("{service}."));
        let published = address
            .parse()
            .map(|address| vec![PublishedAddress { address, origin: AddressOrigin::ClusterIp, owner, ttl: 30 }]);
        vec![(Subject::Service(key), Age::default(), published.unwrap_or_default())]
    }

    /// A book with these reverse zones, of which nothing is known.
    fn book(reverses: &[ReverseZone]) -> AddressBook {
        let book = AddressBook::new(Arc::new(Published::new(Served::default())));
        configure(&book, reverses, Vec::new());
        book
    }

    /// As a server does it that starts or reloads.
    fn configure(book: &AddressBook, reverses: &[ReverseZone], told: Vec<Told>) {
        book.change(reverses, told, |versions| {
            let is_new = |zone: &&ReverseZone| book.published().load().zones.get(&zone.origin).is_none();
            let pending = reverses.iter().filter(is_new).map(|zone| (zone.origin.clone(), State::Pending));
            book.published().replace(pending.chain(versions).collect::<Vec<_>>());
        });
    }

    fn all(zone: &str, text: &str, newest: u32) -> Told {
        Told::all(&ClusterZone::at(name(zone)), published(text)).of_cluster(Some(Serial(newest)), false)
    }

    fn some(zone: &str, text: &str, newest: u32) -> Told {
        Told::some(&ClusterZone::at(name(zone)), published(text)).of_cluster(Some(Serial(newest)), false)
    }

    /// That `origin` is in this state: `SERIAL STATE PTR…`, the PTR records' targets in the order of their owners.
    fn check(book: &AddressBook, origin: &str, expected: &str) {
        let served = book.published().load();
        let text = |zone: &Zone, state: &str| {
            let records = zone.records();
            let pointers = records.iter().filter(|record| record.rtype == hickory_proto::rr::RecordType::PTR);
            let targets = pointers.map(Record::rdata_to_text);
            [vec![zone.serial().to_string(), state.to_owned()], targets.collect()].concat().join(" ")
        };
        let found = match served.zones.get(&name(origin)) {
            None => "none".to_owned(),
            Some(State::Pending) => "pending".to_owned(),
            Some(State::Loaded(zone)) => text(zone, "loaded"),
            Some(State::Expired(zone)) => text(zone, "expired"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_zone_of_several_clusters_begins_when_all_are_known() {
        let book = book(&[reverse("2.ip6.arpa.", &["c2.", "c3."])]);
        check(&book, "2.ip6.arpa.", "pending");

        assert!(!book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 100)]));
        assert!(!book.publish(Vec::new(), vec![some("c2.", "db 2a0a::2", 101)]));
        check(&book, "2.ip6.arpa.", "pending");
        assert!(book.publish(Vec::new(), vec![all("c3.", "mail 2a0a::3", 1000)]));
        check(&book, "2.ip6.arpa.", "1101 loaded web. db. mail.");
    }

    #[test]
    fn the_serial_is_the_sum_of_the_clusters_or_the_one_after() {
        let book = book(&[reverse("2.ip6.arpa.", &["c2.", "c3."])]);
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 100)]);
        book.publish(Vec::new(), vec![all("c3.", "mail 2a0a::3", 1000)]);
        check(&book, "2.ip6.arpa.", "1100 loaded web. mail.");

        assert!(!book.publish(Vec::new(), vec![some("c2.", "web 2a0a::1", 105)]), "nothing is new");
        assert!(!book.publish(Vec::new(), vec![some("c2.", "far 147.78.194.9", 105)]), "it is nobody's");
        check(&book, "2.ip6.arpa.", "1100 loaded web. mail.");
        book.publish(Vec::new(), vec![some("c3.", "mail 2a0a::4", 1001)]);
        check(&book, "2.ip6.arpa.", "1106 loaded web. mail.");
        book.publish(Vec::new(), vec![some("c3.", "mail", 1001)]);
        check(&book, "2.ip6.arpa.", "1107 loaded web.");
        // Low bits that went around.
        book.publish(Vec::new(), vec![some("c3.", "mail 2a0a::3", u32::MAX - 90)]);
        check(&book, "2.ip6.arpa.", "1108 loaded web. mail.");
    }

    #[test]
    fn a_zone_is_expired_while_one_of_its_clusters_is_silent() {
        let book = book(&[reverse("2.ip6.arpa.", &["c2.", "c3."]), reverse("in-addr.arpa.", &["c3."])]);
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 100)]);
        book.publish(Vec::new(), vec![all("c3.", "mail 147.78.194.9", 1000)]);
        let heard = |is_expired| {
            let told = Told::some(&ClusterZone::at(name("c2.")), Vec::new());
            assert!(book.publish(Vec::new(), vec![told.of_cluster(Some(Serial(100)), is_expired)]));
        };

        heard(true);
        check(&book, "2.ip6.arpa.", "1100 expired web.");
        check(&book, "in-addr.arpa.", "1000 loaded mail.");
        // What others say meanwhile is known afterwards.
        book.publish(Vec::new(), vec![some("c3.", "more 2a0a::2", 1001)]);
        check(&book, "2.ip6.arpa.", "1101 expired web. more.");
        heard(false);
        check(&book, "2.ip6.arpa.", "1101 loaded web. more.");
    }

    #[test]
    fn a_writer_that_begins_again_takes_back_what_it_does_not_know() {
        let book = book(&[reverse("2.ip6.arpa.", &["c2."])]);
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 100)]);
        book.publish(Vec::new(), vec![some("c2.", "db 2a0a::2", 101)]);
        check(&book, "2.ip6.arpa.", "101 loaded web. db.");

        book.publish(Vec::new(), vec![all("c2.", "db 2a0a::2", 102)]);
        check(&book, "2.ip6.arpa.", "102 loaded db.");
    }

    #[test]
    fn other_reverse_zones_are_made_from_what_is_known() {
        let outer = reverse("2.ip6.arpa.", &["c2."]);
        let inner = reverse("1.0.0.0.a.0.a.2.ip6.arpa.", &["c2."]);
        let book = book(std::slice::from_ref(&outer));
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a:1::1", 100)]);
        check(&book, "2.ip6.arpa.", "100 loaded web.");
        check(&book, "1.0.0.0.a.0.a.2.ip6.arpa.", "none");

        let less = ReverseZone { except: vec![inner.prefix], ..outer.clone() };
        configure(&book, &[less, inner], Vec::new());
        check(&book, "2.ip6.arpa.", "101 loaded");
        check(&book, "1.0.0.0.a.0.a.2.ip6.arpa.", "100 loaded web.");

        // Nothing is known of what nobody asks for.
        configure(&book, &[], Vec::new());
        assert!(!book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 101)]));
        configure(&book, std::slice::from_ref(&outer), vec![all("c2.", "web 2a0a::1", 101)]);
        check(&book, "2.ip6.arpa.", "102 loaded web.");
    }

    #[test]
    fn a_cluster_that_joins_is_waited_for_and_others_go_on() {
        let book = book(&[reverse("2.ip6.arpa.", &["c2."])]);
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 100)]);

        configure(&book, &[reverse("2.ip6.arpa.", &["c2.", "c3."])], Vec::new());
        check(&book, "2.ip6.arpa.", "100 loaded web.");
        book.publish(Vec::new(), vec![some("c2.", "db 2a0a::2", 101)]);
        check(&book, "2.ip6.arpa.", "101 loaded web. db.");
        book.publish(Vec::new(), vec![all("c3.", "mail 2a0a::3", 1000)]);
        check(&book, "2.ip6.arpa.", "1101 loaded web. db. mail.");
    }

    #[test]
    fn what_another_source_left_is_served_until_all_are_known() {
        let book = book(&[reverse("2.ip6.arpa.", &["c2."])]);
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 7)]);
        let left = match book.published().load().zones.get(&name("2.ip6.arpa.")) {
            Some(State::Loaded(zone)) => Zone::clone(zone).with_serial(Serial(50)),
            other => panic!("{other:?}"),
        };

        let book = AddressBook::new(Arc::new(Published::new(Served::default())));
        book.published().replace([(name("2.ip6.arpa."), State::Loaded(Arc::new(left)))]);
        configure(&book, &[reverse("2.ip6.arpa.", &["c2.", "c3."])], vec![all("c2.", "other 2a0a::1", 7)]);
        check(&book, "2.ip6.arpa.", "50 loaded web.");
        book.publish(Vec::new(), vec![all("c3.", "mail 2a0a::3", 1)]);
        check(&book, "2.ip6.arpa.", "51 loaded other. mail.");
    }

    #[test]
    fn what_another_source_left_too_old_is_answered_for_once_all_are_known() {
        let before = book(&[reverse("2.ip6.arpa.", &["c2."])]);
        before.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 7)]);
        let left = match before.published().load().zones.get(&name("2.ip6.arpa.")) {
            Some(State::Loaded(zone)) => Arc::clone(zone),
            other => panic!("{other:?}"),
        };

        let book = AddressBook::new(Arc::new(Published::new(Served::default())));
        book.published().replace([(name("2.ip6.arpa."), State::Expired(left))]);
        configure(&book, &[reverse("2.ip6.arpa.", &["c2."])], Vec::new());
        check(&book, "2.ip6.arpa.", "7 expired web.");
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 7)]);
        check(&book, "2.ip6.arpa.", "7 loaded web.");
    }

    #[test]
    fn a_zone_of_one_address_has_its_name_at_the_apex() {
        let book = book(&[reverse("9.194.78.147.in-addr.arpa.", &["c2."])]);
        book.publish(Vec::new(), vec![all("c2.", "web 147.78.194.9", 100)]);
        check(&book, "9.194.78.147.in-addr.arpa.", "100 loaded web.");
        book.publish(Vec::new(), vec![some("c2.", "web", 101)]);
        check(&book, "9.194.78.147.in-addr.arpa.", "101 loaded");

        // Another zone joins, and is waited for.
        configure(&book, &[reverse("9.194.78.147.in-addr.arpa.", &["c2.", "c3."])], Vec::new());
        book.publish(Vec::new(), vec![some("c2.", "db 147.78.194.9", 102)]);
        check(&book, "9.194.78.147.in-addr.arpa.", "102 loaded db.");
        book.publish(Vec::new(), vec![all("c3.", "mail 147.78.194.8", 1000)]);
        book.publish(Vec::new(), vec![some("c2.", "db", 103)]);
        check(&book, "9.194.78.147.in-addr.arpa.", "1103 loaded");
    }

    #[test]
    fn a_panic_while_it_is_written_leaves_nothing_half_known() {
        let book = book(&[reverse("2.ip6.arpa.", &["c2."])]);
        book.publish(Vec::new(), vec![all("c2.", "web 2a0a::1", 100)]);
        let panics = std::panic::AssertUnwindSafe(|| {
            let mut pages = book.pages();
            pages.take_in(vec![some("c2.", "db 2a0a::2", 101)]);
            panic!("a bug");
        });
        std::panic::catch_unwind(panics).unwrap_err();

        assert!(book.publish(Vec::new(), Vec::new()));
        check(&book, "2.ip6.arpa.", "101 loaded web. db.");
    }
}

//! What became of a zone's decisions: who has the names that several may claim,
//! and what was said of each subject.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use hickory_proto::rr::Name;

use super::{Age, ClusterZone, Decision, NameRank, PublishedAddress, Reason};
use crate::cluster::{Cluster, Subject};
use crate::zone::{Branches, Part, Record, Subtree, ZoneError};

/// So many subjects are decided about before any of it is remembered: decisions of a whole cluster would take much memory.
const BATCH: usize = 8192;
/// So many are worth a thread.
const SHARE: usize = 1024;

/// What a zone's writer remembers between two versions of it.
///
/// It is told which subjects were touched, and tells what changes in the zone
/// for that. Of several claims to a name the first in order counts: a name of
/// the schema before one that an annotation asks for, then the oldest object,
/// then by the subjects' order. The order that changes came in leaves no trace.
#[derive(Debug, Default)]
pub struct Register {
    claims: BTreeMap<Name, BTreeMap<Claimant, Vec<Record>>>,
    /// The names that a subject claims.
    claimed: HashMap<Subject, Vec<Name>>,
    /// The last addresses of name servers that take those of the Service they are called after.
    last: HashMap<Subject, Vec<IpAddr>>,
    /// Of those that there are, if there is anything to say.
    said: HashMap<Subject, Said>,
    /// How many Services are not published, by the first of their reasons.
    withheld: BTreeMap<Reason, usize>,
    /// For how many Services a reason holds.
    noted: BTreeMap<Reason, usize>,
}

/// Who claims a name, the best claim first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claimant {
    rank: NameRank,
    age: Age,
    subject: Subject,
}

/// What was said of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// Whether there is such a subject: what a name server lacks is said of one that is not, too.
    exists: bool,
    is_published: bool,
    /// Without what others' claims do to it.
    reasons: Box<[Reason]>,
    /// Whether another one has a name that it claims.
    loses: bool,
}

impl Said {
    /// All that holds, in order.
    fn reasons(&self) -> Vec<Reason> {
        let conflict = self.loses.then_some(Reason::NameConflict);
        let all: BTreeSet<Reason> = self.reasons.iter().copied().chain(conflict).collect();
        all.into_iter().collect()
    }
}

/// What changes in a zone.
#[derive(Debug, Default)]
pub struct Update {
    /// To be derived.
    pub parts: Vec<Part>,
    /// What each subject publishes now, where a reverse zone is made of the zone.
    pub addresses: Vec<(Subject, Age, Vec<PublishedAddress>)>,
    /// What there is to say about the subjects that were touched.
    pub reasons: Vec<(Subject, Reason)>,
}

/// What was decided about one subject, but for its subtree.
struct Decided {
    decision: Decision,
    /// Whether there is such a subject.
    exists: bool,
    /// Of a name server that is called after it: the addresses that it has now.
    last: Option<Vec<IpAddr>>,
}

/// What `work` makes of `subjects`, in their order: many are shared out among the processors.
fn shared_out<T: Send>(subjects: &[Subject], work: impl Fn(&[Subject]) -> T + Sync) -> Vec<T> {
    if subjects.len() <= SHARE {
        return vec![work(subjects)];
    }
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let share = subjects.len().div_ceil(processors).max(SHARE);
    thread::scope(|scope| {
        let work = &work;
        let shares: Vec<_> = subjects.chunks(share).map(|share| scope.spawn(move || work(share))).collect();
        shares.into_iter().map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

impl Register {
    /// One for a zone of the same name that is configured otherwise: nothing is decided, and a name server's last addresses
    /// are not forgotten.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self { last: self.last.clone(), ..Self::default() }
    }

    /// Decides about `subjects`, each named once, anew, and tells what that changes in `zone`, always the same one.
    pub fn update(
        &mut self,
        zone: &ClusterZone,
        cluster: &Cluster,
        subjects: impl IntoIterator<Item = Subject>,
    ) -> Update {
        let (mut update, subtrees) = self.decide(zone, cluster, subjects, Vec::new, Vec::push);
        let subtrees = subtrees.into_iter().flatten().map(Part::from);
        update.parts = subtrees.chain(update.parts).collect();
        update
    }

    /// As [`Register::update`] for all subjects that there are, where nothing has been decided before: what is at and below
    /// their own names comes as branches of the zone, not as parts.
    pub fn begin(
        &mut self,
        zone: &ClusterZone,
        cluster: &Cluster,
        subjects: impl IntoIterator<Item = Subject>,
    ) -> (Update, Result<Vec<Branches>, ZoneError>) {
        let none = || Ok(Branches::new(&zone.origin));
        let add = |branches: &mut Result<Branches, ZoneError>, subtree: Subtree| {
            if let Ok(known) = branches
                && let Err(error) = known.add(&subtree)
            {
                *branches = Err(error);
            }
        };
        let (update, branches) = self.decide(zone, cluster, subjects, none, add);
        (update, branches.into_iter().collect())
    }

    /// Decides about `subjects`, and remembers it. As none waits for another's decision, many are shared out among the
    /// processors; each thread puts the subtrees that it decides on, in the order of subjects, into a heap of its own.
    fn decide<T: Send>(
        &mut self,
        zone: &ClusterZone,
        cluster: &Cluster,
        subjects: impl IntoIterator<Item = Subject>,
        heap: impl Fn() -> T + Sync,
        put: impl Fn(&mut T, Subtree) + Sync,
    ) -> (Update, Vec<T>) {
        let (mut update, mut heaps) = (Update::default(), Vec::new());
        let mut contested = BTreeSet::new();
        let mut subjects = subjects.into_iter().peekable();
        while subjects.peek().is_some() {
            let batch: Vec<Subject> = subjects.by_ref().take(BATCH).collect();
            let decide = |share: &[Subject]| {
                let mut heap = heap();
                let decided = share.iter().map(|subject| self.decided(zone, cluster, subject, |it| put(&mut heap, it)));
                (decided.collect::<Vec<_>>(), heap)
            };
            let (decided, made): (Vec<_>, Vec<_>) = shared_out(&batch, decide).into_iter().unzip();
            heaps.extend(made);
            for (subject, decided) in batch.into_iter().zip(decided.into_iter().flatten()) {
                let Decided { mut decision, exists, last } = decided;
                update.reasons.extend(decision.reasons.iter().map(|reason| (subject.clone(), *reason)));
                self.claim(&subject, &mut decision, &mut contested);
                if let Some(last) = last {
                    self.last.insert(subject.clone(), last);
                }
                let Decision { is_published, reasons, .. } = decision;
                self.say(&subject, Said { exists, is_published, reasons: reasons.into(), loses: false });
                if zone.is_reversed {
                    update.addresses.push((subject, decision.age, decision.addresses));
                }
            }
        }
        for owner in contested {
            let claims = self.claims.get(&owner);
            let records = claims.and_then(|claims| claims.values().next()).cloned().unwrap_or_default();
            let claimants: Vec<_> = claims.into_iter().flat_map(BTreeMap::keys).map(|it| it.subject.clone()).collect();
            claimants.iter().for_each(|claimant| self.tell_loser(claimant));
            update.parts.push(Part::Alone { owner, records });
        }
        (update, heaps)
    }

    /// What is decided about `subject`, and what else is to be known then; its subtree is for `take`.
    fn decided(&self, zone: &ClusterZone, cluster: &Cluster, subject: &Subject, take: impl FnOnce(Subtree)) -> Decided {
        let mut decision = self.decision(zone, cluster, subject);
        let mut last = None;
        if let Some(subtree) = decision.subtree.take() {
            if zone.nameservers.iter().any(|nameserver| nameserver.name == subtree.root) {
                let at_root = subtree.records.iter().filter(|record| record.owner == subtree.root);
                let mut addresses: Vec<IpAddr> = at_root.filter_map(Record::address).collect();
                // What is translated then may be others, and owns no PTR record.
                let translated: Vec<IpAddr> = addresses.iter().filter_map(|ip| zone.ipv4.nat64.ipv4_of(*ip)).collect();
                addresses.retain(|address| !translated.contains(address));
                last = Some(addresses);
            }
            take(subtree);
        }
        Decided { exists: cluster.has(subject), decision, last }
    }

    /// What was decided about `subject`, if nothing in `zone` and `cluster` has changed since [`Register::update`].
    #[must_use]
    pub fn decision(&self, zone: &ClusterZone, cluster: &Cluster, subject: &Subject) -> Decision {
        zone.decide(cluster, subject, self.last.get(subject).map_or(&[][..], Vec::as_slice))
    }

    /// All reasons that hold for a subject, in their order.
    #[must_use]
    pub fn reasons(&self, subject: &Subject) -> Vec<Reason> {
        self.said.get(subject).map(Said::reasons).unwrap_or_default()
    }

    /// Whether `subject`, which there is, owns records.
    #[must_use]
    pub fn is_published(&self, subject: &Subject) -> bool {
        // Of one that is as it should be there is nothing to say.
        self.said.get(subject).is_none_or(|said| said.is_published)
    }

    /// Who has the name `owner`, of those that claim it.
    #[must_use]
    pub fn holder(&self, owner: &Name) -> Option<&Subject> {
        self.claims.get(owner)?.keys().next().map(|claimant| &claimant.subject)
    }

    /// How many Services own no records, by the first of their reasons.
    #[must_use]
    pub fn withheld(&self) -> &BTreeMap<Reason, usize> {
        &self.withheld
    }

    /// For how many Services a reason holds, be it the first or beside records.
    #[must_use]
    pub fn noted(&self) -> &BTreeMap<Reason, usize> {
        &self.noted
    }

    /// Puts a subject's claims in the place of those it had; names where that makes a difference are `contested`.
    fn claim(&mut self, subject: &Subject, decision: &mut Decision, contested: &mut BTreeSet<Name>) {
        for owner in self.claimed.remove(subject).unwrap_or_default() {
            let Some(claims) = self.claims.get_mut(&owner) else { continue };
            claims.retain(|claimant, _| claimant.subject != *subject);
            if claims.is_empty() {
                self.claims.remove(&owner);
            }
            contested.insert(owner);
        }
        let claimed = decision.names.drain(..).map(|claim| {
            let claimant = Claimant { rank: claim.rank, age: decision.age, subject: subject.clone() };
            self.claims.entry(claim.owner.clone()).or_default().insert(claimant, claim.records);
            claim.owner
        });
        let claimed: Vec<Name> = claimed.collect();
        if !claimed.is_empty() {
            contested.extend(claimed.iter().cloned());
            self.claimed.insert(subject.clone(), claimed);
        }
    }

    /// Notes whether another one has a name that `subject` claims.
    fn tell_loser(&mut self, subject: &Subject) {
        let claimed = self.claimed.get(subject).into_iter().flatten();
        let loses = claimed.into_iter().any(|owner| self.holder(owner) != Some(subject));
        let said = match self.said.get(subject) {
            Some(said) => Said { loses, ..said.clone() },
            // Who claims a name is published.
            None => Said { exists: true, is_published: true, reasons: [].into(), loses },
        };
        self.say(subject, said);
    }

    /// Puts what is said of a subject in the place of what was.
    fn say(&mut self, subject: &Subject, said: Said) {
        if let Some(before) = self.said.remove(subject) {
            self.count(subject, &before, |count| *count -= 1);
        }
        let is_withheld = said.exists && !said.is_published;
        if is_withheld || said.loses || !said.reasons.is_empty() {
            self.count(subject, &said, |count| *count += 1);
            self.said.insert(subject.clone(), said);
        }
    }

    /// Services are counted: of Pods there are many, and of their addresses mostly one is not public.
    fn count(&mut self, subject: &Subject, said: &Said, change: impl Fn(&mut usize)) {
        if !matches!(subject, Subject::Service(_)) {
            return;
        }
        let reasons = said.reasons();
        reasons.iter().for_each(|reason| change(self.noted.entry(*reason).or_default()));
        if let Some(first) = reasons.first().filter(|_| said.exists && !said.is_published) {
            change(self.withheld.entry(*first).or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Annotations, Kind, Object, ObjectKey, Pod, Service, ServiceKey};

    /// Has `namespace/name` ask for `hostname`, or not be there any more, and tells what owns something in the zone for that.
    fn change(register: &mut Register, cluster: &mut Cluster, text: &str, hostname: Option<&str>) -> Vec<String> {
        let zone = ClusterZone {
            short_names: true,
            hostnames: true,
            ..ClusterZone::at(Name::from_ascii("c2.k8s.ooo.").unwrap())
        };
        let (namespace, name) = text.split_once('/').unwrap();
        let key = ServiceKey { namespace: namespace.into(), name: name.into() };
        let touched = match hostname {
            Some(hostname) => cluster.apply(Object::Service(Service {
                cluster_ips: vec!["2a0a::1".parse().unwrap()],
                annotations: Annotations::from([("external-dns.kubernetes.io/hostname".into(), hostname.into())]),
                ..Service::bare(key)
            })),
            None => cluster.delete(&ObjectKey { kind: Kind::Service, namespace: key.namespace, name: key.name }),
        };
        let parts = register.update(&zone, cluster, touched).parts;
        parts.iter().filter(|part| !part.records().is_empty()).map(|part| part.root().to_string()).collect()
    }

    #[test]
    fn nothing_is_remembered_of_what_is_gone() {
        let (mut register, mut cluster) = (Register::default(), Cluster::default());
        let names = |names: &[&str]| names.iter().map(|name| format!("{name}.c2.k8s.ooo.")).collect::<Vec<_>>();
        let mut check = |service: &str, hostname: Option<&str>, expected: &[&str]| {
            assert_eq!(change(&mut register, &mut cluster, service, hostname), names(expected), "{service}");
        };

        check("shop/web", Some("www.c2.k8s.ooo"), &["web.shop.svc", "web.shop", "www"]);
        check("shop/db", Some("www.c2.k8s.ooo,_.c2.k8s.ooo"), &["db.shop.svc", "db.shop", "www"]);
        check("shop/web", Some("app.c2.k8s.ooo"), &["web.shop.svc", "app", "web.shop", "www"]);
        check("shop/web", None, &[]);
        check("shop/db", None, &[]);
        // Pods come and go all the time, mostly with private addresses.
        let zone = ClusterZone { pods: true, ..ClusterZone::at(Name::from_ascii("c2.k8s.ooo.").unwrap()) };
        let pod = Pod {
            namespace: "shop".into(),
            name: "web-0".into(),
            created: None,
            addresses: vec!["10.0.0.1".parse().unwrap()],
            annotations: Annotations::new(),
        };
        let key = ObjectKey { kind: Kind::Pod, namespace: pod.namespace.clone(), name: pod.name.clone() };
        let touched = cluster.apply(Object::Pod(pod));
        register.update(&zone, &cluster, touched.clone());
        assert_eq!(register.reasons(&touched[0]), [Reason::AddressNotPublic]);
        let touched = cluster.delete(&key);
        register.update(&zone, &cluster, touched);

        let Register { claims, claimed, last, said, withheld, noted } = &register;
        assert!(claims.is_empty() && claimed.is_empty() && last.is_empty() && said.is_empty(), "{register:?}");
        assert!(withheld.values().chain(noted.values()).all(|count| *count == 0), "{register:?}");
    }
}

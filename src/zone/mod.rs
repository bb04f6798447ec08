//! The zone: what this server says about one apex, frozen at one moment.
//!
//! A [`Zone`] is a value. [`Zone::build`] makes it from records and nothing
//! changes it afterwards: when the cluster changes, a zone [derived](Zone::derive)
//! from it takes its place as a whole. A query that holds a zone can answer from
//! it without a lock and cannot see half of an update.
//!
//! All the thinking happens while building: empty non-terminals are filled in,
//! contradictions refused, and every RRset, referral and denial is encoded as a
//! [`Block`] that a response only copies. What is left for [`Zone::lookup`] is
//! one probe for a name that exists, and a search for the closest encloser for
//! the rest.
//!
//! Words are used as RFC 9499 defines them. Nothing here does I/O, and nothing
//! here has heard of Kubernetes.

mod block;
mod branches;
mod build;
mod diff;
pub mod master;
mod name;
mod node;
mod record;
mod serial;
mod shards;
mod text;
mod types;
mod zones;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};

pub use block::{Block, Frame, QNAME_AT, read_name_at};
pub use branches::Branches;
pub use build::{Warning, ZoneError};
pub use diff::{Change, Difference, diff};
pub use name::{HashedName, MAX_NAME, MalformedName, Suffix, wire as name_to_wire};
pub use node::{Referral, RrSet};
pub use record::{Rdata, Record, target_in};
pub use serial::Serial;
pub use text::{Lines, dump, name_to_text};
pub use types::to_text as rtype_to_text;
pub use zones::{Found, State, ZoneSlot, Zones};

use block::OwnedBlock;
use branches::Nodes;
use node::Node;
use shards::{Grain, Shards};

/// The contents of one zone.
///
/// # Invariants
///
/// [`Zone::build`] establishes these, [`Zone::derive`] keeps them, and
/// [`Zone::lookup`] leans on them by name.
///
/// - `one-soa`: the apex owns an SOA record and no other name does.
/// - `no-gaps`: if a name is a node, so is every name from it up to the apex.
///   A name that is not a node therefore does not exist.
/// - `no-leftovers`: a node owns something, or one below it does.
/// - `nothing-below`: no node lies below a zone cut or a DNAME; glue belongs to
///   the cut. An exact hit is therefore final.
/// - `cname-alone`: a node with a CNAME record holds nothing else but RRSIG and NSEC.
/// - `in-zone`: every node is at or below the apex.
/// - `self-contained`: a node's blocks come from its own records, at a cut from those below it, too. What a
///   change elsewhere in the zone does to it is nothing; addresses of its targets are looked up when asked for.
#[derive(Clone)]
pub struct Zone {
    apex: Name,
    /// The apex, ready to be probed with.
    origin: Arc<HashedName>,
    serial: Serial,
    /// The nodes by the hash of the whole owner name.
    nodes: Shards,
    /// The SOA record for AUTHORITY of every negative answer, with the TTL of RFC 2308 §3.
    denial: OwnedBlock,
    /// No owner has more labels than this.
    deepest: u8,
    /// How many records of each type there are.
    census: BTreeMap<RecordType, usize>,
}

/// What a zone says to a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer<'z> {
    /// The name owns records of the type asked for.
    Records(RrSet<'z>),
    /// The name is an alias: its CNAME, to be followed.
    Alias(RrSet<'z>),
    /// The name is below a DNAME: to be renamed and followed (RFC 6672).
    Redirect(RrSet<'z>),
    /// The name exists and owns no records of that type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// The name is at or below a zone cut: the child's NS records and glue.
    Referral(&'z Referral),
}

/// A name and everything at or below it: the unit of change of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtree {
    /// The name that everything in `records` is at or below; itself below the apex.
    pub root: Name,
    /// All records at or below `root`; none: the subtree goes.
    pub records: Vec<Record>,
}

/// What changes as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A name and everything below it.
    Subtree(Subtree),
    /// A name by itself: what is below it is another's.
    Alone {
        /// The name, below the apex.
        owner: Name,
        /// All of its records; none: it goes. Neither NS nor DNAME, which speak for what is below them, too.
        records: Vec<Record>,
    },
}

impl Part {
    /// The name that it changes, and maybe everything below.
    #[must_use]
    pub fn root(&self) -> &Name {
        match self {
            Self::Subtree(subtree) => &subtree.root,
            Self::Alone { owner, .. } => owner,
        }
    }

    /// What it will own, for itself.
    #[must_use]
    pub fn into_records(self) -> Vec<Record> {
        match self {
            Self::Subtree(subtree) => subtree.records,
            Self::Alone { records, .. } => records,
        }
    }

    /// What it will own.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        match self {
            Self::Subtree(subtree) => &subtree.records,
            Self::Alone { records, .. } => records,
        }
    }
}

impl From<Subtree> for Part {
    fn from(subtree: Subtree) -> Self {
        Self::Subtree(subtree)
    }
}

/// What [`Zone::derive`] made of some parts.
#[derive(Debug)]
pub struct Derived {
    /// The next version; `None` where nothing would change.
    pub zone: Option<Zone>,
    /// The parts that contradict themselves, or are hidden, each for one reason: what was there before stays.
    pub refused: Vec<(Name, ZoneError)>,
    /// What is odd about the others.
    pub warnings: Vec<Warning>,
}

/// Where a name is in a zone.
enum Place<'z> {
    /// It is this node.
    Node(&'z Node),
    /// It does not exist; this wildcard is the source of synthesis (RFC 4592 §3.3.1).
    Wildcard(&'z Node),
    /// It is below this cut.
    Cut(&'z Referral),
    /// It is below this DNAME.
    Dname(RrSet<'z>),
    /// It does not exist.
    Nowhere,
}

/// How many labels names have below which everything changes together, in the zone at `origin`.
///
/// Three more than the apex: `SERVICE.NAMESPACE.svc`. Below ip6.arpa and in-addr.arpa, where most names have the first nibbles
/// in common, those of 256 addresses lie together, a /120 or a /24: addresses that change together are mostly neighbours, and
/// the names above an address come and go with it.
fn grain(origin: &HashedName) -> Grain {
    const REVERSE: [(&[u8], u8); 2] = [(b"\x03ip6\x04arpa\0", 2 + 30), (b"\x07in-addr\x04arpa\0", 2 + 3)];
    let reverse = REVERSE.iter().find(|(tree, _)| origin.is_within(tree));
    Grain(reverse.map_or(origin.labels().saturating_add(3), |(_, grain)| (*grain).max(origin.labels())))
}

impl Zone {
    /// Builds the zone at `apex` from all of its records, and says what is odd about them.
    ///
    /// The records of an RRset keep their order. Records outside of the zone are left out. Nothing is kept of what the
    /// records come in: references will do.
    ///
    /// # Errors
    ///
    /// When the records contradict each other or lack what makes a zone.
    pub fn build<R>(apex: &Name, records: impl IntoIterator<Item = R>) -> Result<(Self, Vec<Warning>), ZoneError>
    where
        R: AsRef<Record>,
    {
        Self::build_with(apex, records, Vec::new())
    }

    /// As [`Zone::build`], with `branches` beside these records: no record is at or below one of their roots, each root is
    /// there once, and none is below another.
    ///
    /// # Errors
    ///
    /// As [`Zone::build`], or when a root is hidden.
    pub fn build_with<R>(
        apex: &Name,
        records: impl IntoIterator<Item = R>,
        branches: Vec<Branches>,
    ) -> Result<(Self, Vec<Warning>), ZoneError>
    where
        R: AsRef<Record>,
    {
        let records: Vec<_> = records.into_iter().collect();
        let origin = Arc::new(HashedName::from(apex));
        let mut warnings = Vec::new();
        let sorted = build::Sorted::new(&origin, &records, &mut warnings);
        let owners = sorted.owners(&mut warnings);
        let start = build::start_of_authority(apex, &origin, &owners)?;
        let mut nameservers = build::nameservers(&origin, &owners);
        let mut nodes = build::assemble(&origin, &origin, owners, &mut warnings)?.into_iter();
        let at_apex = nodes.next().expect("its SOA was found");

        let mut zone = Self {
            apex: apex.clone(),
            serial: start.serial,
            nodes: Shards::new(at_apex, origin.labels(), grain(&origin)),
            denial: start.denial,
            deepest: origin.labels(),
            census: BTreeMap::new(),
            origin,
        };
        count(&mut zone.census, zone.nodes.apex(), usize::wrapping_add);
        let mut own = Nodes::new(grain(&zone.origin));
        own.add(&zone.origin, nodes);
        zone.take_in(own);
        for (first, count) in branches.iter().flat_map(|branches| &branches.siblings) {
            zone.bear(&HashedName::read(first).expect("a name"), *count)?;
        }
        for branches in branches {
            warnings.extend(branches.warnings);
            nameservers.extend(branches.nameservers);
            zone.take_in(branches.nodes);
        }
        zone.nodes.shrink();
        zone.warn_of_missing_addresses(&nameservers, &mut warnings);
        Ok((zone, warnings))
    }

    /// The zone with `parts` in the place of what is at their roots (and below, for subtrees), and `serial` in its SOA record.
    ///
    /// What does not change is shared with this zone, and a part that says
    /// what it said before changes nothing. Roots are below the apex, and none
    /// is below that of a subtree. What a cut or a DNAME hides is part of that
    /// name and changes with it: such roots are refused.
    #[must_use]
    pub fn derive<P: Into<Part>>(&self, parts: impl IntoIterator<Item = P>, serial: Serial) -> Derived {
        let mut next = self.clone();
        let mut moved = false;
        let mut refused = Vec::new();
        let mut warnings = Vec::new();
        for part in parts {
            let part = part.into();
            match next.change(&part, &mut warnings) {
                Ok(changed) => moved |= changed,
                Err(error) => refused.push((part.root().clone(), error)),
            }
        }
        Derived { zone: moved.then(|| next.with_serial(serial)), refused, warnings }
    }

    /// Makes `part` say what it says; whether it did not before.
    fn change(&mut self, part: &Part, warnings: &mut Vec<Warning>) -> Result<bool, ZoneError> {
        let root = HashedName::from(part.root());
        if !self.contains(&root) || root.labels() == self.origin.labels() {
            return Err(ZoneError::NotBelowApex { owner: part.root().clone(), apex: self.apex.clone() });
        }
        if let Some(hidden_by) = self.hidden_by(&root) {
            return Err(ZoneError::Hidden { owner: part.root().clone(), hidden_by });
        }
        let sorted = build::Sorted::new(&root, part.records(), warnings);
        let mut nodes = build::assemble(&self.origin, &root, sorted.owners(warnings), warnings)?;
        match part {
            Part::Subtree(_) => Ok(self.graft(&root, nodes)),
            Part::Alone { owner, .. } => {
                let node = nodes.pop();
                let was = self.nodes.get(&root, root.labels());
                if !nodes.is_empty() || [node.as_ref(), was].into_iter().flatten().any(Node::hides) {
                    return Err(ZoneError::NotAlone { owner: owner.clone() });
                }
                Ok(self.set(&root, node))
            }
        }
    }

    /// Answers a question from this zone: RFC 1034 §4.3.2, step 3.
    ///
    /// There is no error to return. A name that does not exist is an answer,
    /// too.
    ///
    /// # Panics
    ///
    /// When `qname` is not at or below the apex; [`Zones::find`] sees to that.
    #[must_use]
    pub fn lookup(&self, qname: &HashedName, qtype: RecordType) -> Answer<'_> {
        match self.place(qname) {
            Place::Node(node) | Place::Wildcard(node) => node.answer(qtype),
            Place::Cut(referral) => Answer::Referral(referral),
            Place::Dname(dname) => Answer::Redirect(dname),
            Place::Nowhere => Answer::NxDomain,
        }
    }

    /// The addresses that ADDITIONAL may carry for `target`, IPv6 first; none for a name out of the zone.
    ///
    /// With `glue`, those too that the zone knows only to reach the name
    /// servers of another zone (RFC 9471 §2.2, "sibling glue").
    pub fn addresses(&self, target: &HashedName, glue: bool) -> impl Iterator<Item = RrSet<'_>> {
        let node = match self.contains(target).then(|| self.place(target)) {
            Some(Place::Node(node)) if glue && let Some(referral) = &node.referral => referral.hidden(target.wire()),
            Some(Place::Cut(referral)) if glue => referral.hidden(target.wire()),
            Some(Place::Node(node) | Place::Wildcard(node)) => Some(node),
            _ => None,
        };
        [RecordType::AAAA, RecordType::A].into_iter().filter_map(move |rtype| node?.rrset(rtype))
    }

    /// Whether this zone delegates `name` itself.
    #[must_use]
    pub fn has_cut_at(&self, name: &HashedName) -> bool {
        self.contains(name) && matches!(self.place(name), Place::Node(node) if node.referral.is_some())
    }

    /// Whether `name` is at or below the apex.
    #[must_use]
    pub fn contains(&self, name: &HashedName) -> bool {
        name.is_within(self.origin.wire())
    }

    /// Whether `name` is at or below a zone cut: another zone's, as far as this one knows.
    #[must_use]
    pub fn delegates(&self, name: &HashedName) -> bool {
        self.contains(name) && matches!(self.lookup(name, RecordType::NS), Answer::Referral(_))
    }

    /// The SOA record for AUTHORITY of a negative answer, its TTL the smaller of its own and MINIMUM (RFC 2308 §3).
    #[must_use]
    pub fn denial(&self) -> Block<'_> {
        self.denial.as_block().literal()
    }

    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The serial of the SOA record.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// How many records there are of each type, glue included, ascending by type.
    #[must_use]
    pub fn census(&self) -> Vec<(RecordType, usize)> {
        self.census.iter().map(|(&rtype, &count)| (rtype, count)).collect()
    }

    /// How much memory it takes, in octets, without what the allocator adds; most of it is shared with the version before.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of::<Self>() + size_of::<HashedName>() + self.nodes.octets() + self.denial.octets()
    }

    /// Every record, glue included: the SOA first, then by owner in canonical order (RFC 4034 §6.1), then by type.
    ///
    /// Owners are in lower case.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        nodes.sort_by_cached_key(|node| build::canonical_key(node.owner()));
        let mut records: Vec<_> = nodes.into_iter().flat_map(Node::records).collect();
        if let Some(soa) = records.iter().position(|record| record.rtype == RecordType::SOA) {
            records[..=soa].rotate_right(1);
        }
        records
    }

    /// Whether `name`, at or below the apex, exists, and the records that speak for it: its own, or else those of the
    /// wildcard, the delegation or the DNAME that stands in for it. Glue counts.
    #[must_use]
    pub fn at(&self, name: &HashedName) -> (bool, Vec<Record>) {
        let of = |node: &Node, is_meant: &dyn Fn(RecordType) -> bool| {
            let mut records = node.records();
            let owner = name::name(node.owner());
            records.retain(|record| record.owner == owner && is_meant(record.rtype));
            records
        };
        match self.place(name) {
            Place::Node(node) => (true, of(node, &|_| true)),
            Place::Wildcard(node) => (false, of(node, &|_| true)),
            Place::Cut(referral) => match referral.hidden(name.wire()) {
                Some(node) => (true, of(node, &|_| true)),
                None => (false, of(self.closest_encloser(name).0, &|rtype| rtype == RecordType::NS)),
            },
            Place::Dname(_) => (false, of(self.closest_encloser(name).0, &|rtype| rtype == RecordType::DNAME)),
            Place::Nowhere => (false, Vec::new()),
        }
    }

    /// The names that own records, glue aside, in no order.
    pub fn owners(&self) -> impl Iterator<Item = Name> {
        let owns = |node: &&Node| node.referral.is_some() || node.rrsets().next().is_some();
        self.nodes.iter().filter(owns).map(|node| name::name(node.owner()))
    }

    /// Whether both hold the same records, RRset by RRset in the same order: two versions of one zone, with the same serial.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.apex == other.apex && self.census == other.census && self.nodes.say_the_same(&other.nodes)
    }

    /// Where `name`, at or below the apex, is in the zone.
    fn place(&self, name: &HashedName) -> Place<'_> {
        // `nothing-below`: what is found here is not hidden by a cut above it.
        if let Some(node) = self.nodes.get(name, name.labels()) {
            return Place::Node(node);
        }
        let (encloser, labels) = self.closest_encloser(name);
        if let Some(referral) = &encloser.referral {
            return Place::Cut(referral);
        }
        if let Some(dname) = encloser.rrset(RecordType::DNAME) {
            return Place::Dname(dname.literal());
        }
        // Its parent is the closest encloser: the only place where RFC 4592
        // §3.3.1 lets a wildcard be found. One higher up does not reach past a
        // name that exists.
        self.nodes.wildcard_below(name, labels).map_or(Place::Nowhere, Place::Wildcard)
    }

    /// The longest ancestor of `name` that exists, and how many labels it has (RFC 4592 §3.3.1).
    fn closest_encloser(&self, name: &HashedName) -> (&Node, u8) {
        let (mut encloser, mut exists) = (self.nodes.apex(), self.origin.labels());
        // `no-gaps`: names exist down to the closest encloser and not below it, so halving finds it.
        let mut missing = name.labels().min(self.deepest.saturating_add(1));
        while missing > exists + 1 {
            let middle = exists + (missing - exists) / 2;
            match self.nodes.get(name, middle) {
                Some(node) => (encloser, exists) = (node, middle),
                None => missing = middle,
            }
        }
        (encloser, exists)
    }

    /// Takes in nodes of names that are not there yet, counting their records.
    fn take_in(&mut self, nodes: Nodes) {
        self.deepest = self.deepest.max(nodes.deepest);
        for (rtype, records) in &nodes.census {
            *self.census.entry(*rtype).or_default() += records;
        }
        self.nodes.extend(nodes);
    }

    /// Has the parent of `root` know of so many more children, making it where it does not exist: `no-gaps`.
    fn bear(&mut self, root: &HashedName, children: u32) -> Result<(), ZoneError> {
        if let Some(hidden_by) = self.hidden_by(root) {
            return Err(ZoneError::Hidden { owner: name::name(root.wire()), hidden_by });
        }
        self.attach(root);
        // One of them it knows by that.
        self.nodes.update(root, root.labels() - 1, |parent| parent.set_children(parent.children + children - 1));
        Ok(())
    }

    /// Puts nodes in that are at or below `root`, below the apex and in canonical order, counting their records.
    fn put(&mut self, root: &HashedName, nodes: impl IntoIterator<Item = Node>) {
        let mut group = self.nodes.group(root, root.labels());
        for node in nodes {
            let labels = node.labels();
            self.deepest = self.deepest.max(labels);
            count(&mut self.census, &node, usize::wrapping_add);
            group = self.nodes.grain().group_after(group, &node, labels);
            self.nodes.insert(group, node);
        }
    }

    /// Replaces what is at and below `root` with `nodes`, `root` first; says whether that changed anything.
    fn graft(&mut self, root: &HashedName, nodes: Vec<Node>) -> bool {
        let old = self.nodes.within(root);
        let is_there = |node: &Node| {
            let found = self.nodes.like(self.nodes.group_within(root, node), node);
            found.is_some_and(|found| found.says_the_same(node))
        };
        if old.len() == nodes.len() && nodes.iter().all(is_there) {
            return false;
        }
        let (was, is) = (!old.is_empty(), !nodes.is_empty());
        for node in &old {
            count(&mut self.census, node, usize::wrapping_sub);
            self.nodes.remove(self.nodes.group_within(root, node), node.suffix());
        }
        self.put(root, nodes);
        match (was, is) {
            (false, true) => self.attach(root),
            (true, false) => self.detach(root),
            _ => {}
        }
        true
    }

    /// Replaces what `name` owns, and nothing below it, by what `node` does; says whether that changed anything.
    fn set(&mut self, name: &HashedName, node: Option<Node>) -> bool {
        let labels = name.labels();
        let was = self.nodes.get(name, labels);
        let children = was.map_or(0, |was| was.children);
        let owned_something = was.is_some_and(|was| was.rrsets().next().is_some());
        let is_same = match (was, &node) {
            (Some(was), Some(node)) => was.says_the_same(node),
            _ => !owned_something && node.is_none(),
        };
        if is_same {
            return false;
        }
        let existed = was.is_some();
        if let Some(was) = was {
            count(&mut self.census, was, usize::wrapping_sub);
        }
        let mut node = node.unwrap_or_else(|| Node::empty(name.whole()));
        node.set_children(children);
        let is_void = node.is_void();
        if is_void {
            self.nodes.remove(self.nodes.group(name, labels), name.whole());
        } else {
            self.put(name, [node]);
        }
        match (existed, is_void) {
            (false, false) => self.attach(name),
            (true, true) => self.detach(name),
            _ => {}
        }
        true
    }

    /// Tells the parent of `root` of its new child, making it where it does not exist: `no-gaps`.
    fn attach(&mut self, root: &HashedName) {
        for labels in (self.origin.labels()..root.labels()).rev() {
            let existed = self.nodes.get(root, labels).is_some();
            if !existed {
                self.nodes.insert(self.nodes.group(root, labels), Node::empty(root.suffix(labels)));
            }
            self.nodes.update(root, labels, |parent| parent.set_children(parent.children + 1));
            if existed {
                return;
            }
        }
    }

    /// Tells the parent of `root` that its child is gone; empty non-terminals go with it: `no-leftovers`.
    fn detach(&mut self, root: &HashedName) {
        for labels in (self.origin.labels()..root.labels()).rev() {
            self.nodes.update(root, labels, |parent| parent.set_children(parent.children - 1));
            let void = self.nodes.get(root, labels).is_some_and(Node::is_void);
            if !void {
                return;
            }
            self.nodes.remove(self.nodes.group(root, labels), root.suffix(labels));
        }
    }

    /// The cut or DNAME above `name` that hides it: `nothing-below`.
    fn hidden_by(&self, name: &HashedName) -> Option<Name> {
        let mut above = (self.origin.labels()..name.labels()).filter_map(|labels| self.nodes.get(name, labels));
        above.find(|node| node.hides()).map(|node| name::name(node.owner()))
    }

    /// The zone with another serial in its SOA record, wherever that is.
    #[must_use]
    pub fn with_serial(mut self, serial: Serial) -> Self {
        self.serial = serial;
        self.denial.set_serial(serial.0);
        self.nodes.update(&self.origin, self.origin.labels(), |apex| apex.set_serial(serial.0));
        self
    }

    /// Names the name servers, each behind the owner of its NS record, that have no address: nobody could ask them.
    fn warn_of_missing_addresses(&self, nameservers: &[(Vec<u8>, Vec<u8>)], warnings: &mut Vec<Warning>) {
        for (owner, target) in nameservers {
            let (Ok(owner), Ok(target)) = (HashedName::read(owner), HashedName::read(target)) else { continue };
            let at_apex = owner.wire() == self.origin.wire();
            // What a cut hides has been warned about.
            if !at_apex && !self.has_cut_at(&owner) {
                continue;
            }
            let (cut, nameserver) = (name::name(owner.wire()), name::name(target.wire()));
            match self.lookup(&target, RecordType::A) {
                Answer::Alias(_) | Answer::Redirect(_) => {
                    warnings.push(Warning::NameserverIsAlias { cut, nameserver });
                }
                // In another delegation its address is known there; who asks for the apex is not yet that far.
                Answer::Referral(_) if !at_apex => {}
                _ if self.addresses(&target, true).next().is_none() => {
                    warnings.push(Warning::MissingGlue { cut, nameserver });
                }
                _ => {}
            }
        }
    }
}

/// Adds a node's records to a census, or takes them out.
fn count(census: &mut BTreeMap<RecordType, usize>, node: &Node, change: fn(usize, usize) -> usize) {
    let mut tally = |rtype, records: u16| {
        let total = census.entry(rtype).or_default();
        *total = change(*total, records.into());
        if *total == 0 {
            census.remove(&rtype);
        }
    };
    for rrset in node.rrsets() {
        tally(rrset.rtype(), rrset.block().records());
    }
    let Some(referral) = &node.referral else { return };
    tally(RecordType::NS, referral.nameservers);
    for hidden in &referral.below {
        count(census, hidden, change);
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({} serial {})", self.apex, self.serial)
    }
}

#[cfg(test)]
mod tests;

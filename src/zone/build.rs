//! Building: from records to nodes.
//!
//! Records are brought into canonical order, in which a name stands right
//! before everything below it. One pass then sees each cut and DNAME before
//! what they hide, and each name before its children.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::{Name, RecordType};
use smallvec::SmallVec;

use super::block::{Encoder, OwnedBlock};
use super::name::{self, HashedName, Suffix};
use super::node::{Encoded, Node, Referral};
use super::record::names_in;
use super::text::name_to_text;
use super::types::{self, Field};
use super::{Rdata, Record, Serial};

/// Records that do not make a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The apex owns no SOA record.
    #[error("{} has no SOA record: a zone begins with one", name_to_text(apex))]
    NoSoa {
        /// The zone's apex.
        apex: Name,
    },
    /// The apex owns several SOA records.
    #[error("{} has several SOA records: keep one", name_to_text(apex))]
    SeveralSoas {
        /// The zone's apex.
        apex: Name,
    },
    /// A name other than the apex owns an SOA record.
    #[error("{} has an SOA record: only the apex may", name_to_text(owner))]
    SoaBelowApex {
        /// The owner.
        owner: Name,
    },
    /// The apex owns no NS record.
    #[error("{} has no NS records: name the zone's own name servers", name_to_text(apex))]
    NoNameservers {
        /// The zone's apex.
        apex: Name,
    },
    /// RFC 2181 §10.1: an alias has no other data.
    #[error("{} owns a CNAME record and other data ({}): keep one of them", name_to_text(owner), types::to_text(*other))]
    CnameNotAlone {
        /// The owner.
        owner: Name,
        /// A type that stands beside the CNAME.
        other: RecordType,
    },
    /// RFC 2181 §10.1, RFC 6672 §2.4: of CNAME and DNAME there is one at a name.
    #[error("{} owns several {} records: keep one", name_to_text(owner), types::to_text(*rtype))]
    NotSingle {
        /// The owner.
        owner: Name,
        /// CNAME or DNAME.
        rtype: RecordType,
    },
    /// RFC 6672 §2.3: a DNAME beside NS makes sense only at an apex.
    #[error("{} owns a DNAME record and NS records: one name cannot both redirect and delegate", name_to_text(owner))]
    DnameAtCut {
        /// The owner.
        owner: Name,
    },
    /// RFC 6672 §2.4: what is below a DNAME cannot be reached.
    #[error(
        "{} is below {}, which has a DNAME record that hides it: remove one of them",
        name_to_text(owner),
        name_to_text(dname)
    )]
    BelowDname {
        /// The owner that is hidden.
        owner: Name,
        /// The DNAME's owner.
        dname: Name,
    },
    /// More records than a section's count can tell.
    #[error("{} owns more than 65535 {} records: no response can hold them", name_to_text(owner), types::to_text(*rtype))]
    TooManyRecords {
        /// The owner.
        owner: Name,
        /// The RRset's type.
        rtype: RecordType,
    },
    /// RDATA that is none of its type.
    #[error("the RDATA of a {} record of {} is malformed", types::to_text(*rtype), name_to_text(owner))]
    MalformedRdata {
        /// The owner.
        owner: Name,
        /// The record's type.
        rtype: RecordType,
    },
    /// A subtree that a cut or a DNAME hides: what lies there is part of that name, and built with it.
    #[error("{} is below {}, which delegates or redirects it", name_to_text(owner), name_to_text(hidden_by))]
    Hidden {
        /// The subtree's root.
        owner: Name,
        /// The cut, or the DNAME's owner.
        hidden_by: Name,
    },
    /// A name that cannot be replaced without what is below it: it delegates or redirects that, or owns more than itself.
    #[error("{} delegates or redirects what is below it: both change together", name_to_text(owner))]
    NotAlone {
        /// The name.
        owner: Name,
    },
    /// A subtree that cannot be replaced on its own.
    #[error("{} is not below {}", name_to_text(owner), name_to_text(apex))]
    NotBelowApex {
        /// The subtree's root.
        owner: Name,
        /// The zone's apex.
        apex: Name,
    },
}

impl ZoneError {
    /// The owner of the record that it is about; none: it is about no record.
    #[must_use]
    pub fn owner(&self) -> Option<&Name> {
        match self {
            Self::NoSoa { .. } => None,
            Self::NoNameservers { apex: owner }
            | Self::SeveralSoas { apex: owner }
            | Self::SoaBelowApex { owner }
            | Self::CnameNotAlone { owner, .. }
            | Self::NotSingle { owner, .. }
            | Self::DnameAtCut { owner }
            | Self::BelowDname { owner, .. }
            | Self::TooManyRecords { owner, .. }
            | Self::MalformedRdata { owner, .. }
            | Self::Hidden { owner, .. }
            | Self::NotAlone { owner }
            | Self::NotBelowApex { owner, .. } => Some(owner),
        }
    }
}

/// Something odd about a zone's records that does not keep it from being served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The record was left out.
    #[error("{} {} is not in the zone: left out", name_to_text(owner), types::to_text(*rtype))]
    OutOfZone {
        /// The owner.
        owner: Name,
        /// The record's type.
        rtype: RecordType,
    },
    /// The record stands there more than once; it is served once (RFC 2181 §5).
    #[error("{} {} has a record more than once", name_to_text(owner), types::to_text(*rtype))]
    Duplicate {
        /// The owner.
        owner: Name,
        /// The record's type.
        rtype: RecordType,
    },
    /// RFC 2181 §5.2: an RRset has one TTL; the lowest is served.
    #[error("{} {} has records with different TTLs: {ttl} is served for all of them", name_to_text(owner), types::to_text(*rtype))]
    DifferingTtls {
        /// The owner.
        owner: Name,
        /// The RRset's type.
        rtype: RecordType,
        /// The TTL that is served.
        ttl: u32,
    },
    /// A delegation within a delegation: only the child can say that.
    #[error("{} NS is below the zone cut at {}, which hides it", name_to_text(owner), name_to_text(cut))]
    NsBelowNs {
        /// The owner.
        owner: Name,
        /// The cut above it.
        cut: Name,
    },
    /// A name server in the zone has no address in it, so nobody can ask it.
    #[error("{} NS {} has no address: resolvers cannot reach it", name_to_text(cut), name_to_text(nameserver))]
    MissingGlue {
        /// The delegated name, or the apex.
        cut: Name,
        /// The name server.
        nameserver: Name,
    },
    /// RFC 2181 §10.3: a name server's name is no alias.
    #[error("name server {} is an alias: resolvers do not follow it", name_to_text(nameserver))]
    NameserverIsAlias {
        /// The delegated name, or the apex.
        cut: Name,
        /// The name server.
        nameserver: Name,
    },
    /// RFC 4592 §4.2 and §4.4 leave undefined what names that the wildcard stands in for do.
    #[error("{} {}: names that a wildcard stands in for are neither delegated nor redirected", name_to_text(owner), types::to_text(*rtype))]
    AtWildcard {
        /// The owner.
        owner: Name,
        /// NS or DNAME.
        rtype: RecordType,
    },
    /// DNSSEC records are served as they are, without the proofs that validators want.
    #[error("the zone has {} records, but answers carry no DNSSEC proofs", types::to_text(*rtype))]
    WithoutProofs {
        /// A type of DNSSEC found.
        rtype: RecordType,
    },
}

/// The records of one type and owner, as they came.
#[derive(Debug)]
struct RawSet<'r> {
    rtype: RecordType,
    /// The lowest of the records'.
    ttl: u32,
    /// They had different ones.
    differing: bool,
    rdata: SmallVec<[&'r Rdata; 2]>,
}

/// One name's records, ascending by type: mostly one, kept in place.
#[derive(Debug)]
pub(super) struct Owner<'r> {
    key: &'r [u8],
    wire: &'r [u8],
    sets: SmallVec<[RawSet<'r>; 1]>,
}

impl<'r> Owner<'r> {
    fn name(&self) -> Name {
        name::name(self.wire)
    }

    fn has(&self, rtype: RecordType) -> bool {
        self.set(rtype).is_some()
    }

    fn set(&self, rtype: RecordType) -> Option<&RawSet<'r>> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }
}

/// A key that sorts as RFC 4034 §6.1 sorts names, and that begins with the keys of all ancestors.
///
/// Labels from the root down, each ended by a zero; within a label, zeros and
/// ones are escaped by a one, which keeps their order.
pub(super) fn canonical_key(wire: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(wire.len());
    push_key(wire, &mut key);
    key
}

fn push_key(wire: &[u8], key: &mut Vec<u8>) {
    let labels: SmallVec<[_; 8]> = name::labels(wire).collect();
    for label in labels.into_iter().rev() {
        if label.iter().all(|octet| *octet > 1) {
            key.extend_from_slice(label);
        } else {
            for &octet in label {
                match octet {
                    0 | 1 => key.extend([1, octet + 1]),
                    _ => key.push(octet),
                }
            }
        }
        key.push(0);
    }
}

/// How much of a key is that of the ancestor with `labels` labels.
fn ancestor_key(key: &[u8], labels: u8) -> usize {
    let ends = key.iter().enumerate().filter(|(_, octet)| **octet == 0).map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).nth(labels.into()).expect("an ancestor has no more labels")
}

/// Records of a branch, in canonical order of their owners.
pub(super) struct Sorted<'r> {
    /// The owners in lower-case wire form, each with its canonical key behind it: all in one piece of memory.
    names: Vec<u8>,
    records: Vec<Keyed<'r>>,
}

struct Keyed<'r> {
    /// The key's first octets behind that of the branch's root: most comparisons need no more.
    first: u64,
    /// Where in `names` the owner is, and how long it and its key are.
    at: usize,
    wire: u16,
    key: u16,
    record: &'r Record,
}

impl<'r> Sorted<'r> {
    /// Sorts the records at and below `root`; the others are left out.
    pub(super) fn new(root: &HashedName, records: &'r [impl AsRef<Record>], warnings: &mut Vec<Warning>) -> Self {
        let root_key = canonical_key(root.wire()).len();
        let (mut names, mut wire) = (Vec::new(), Vec::new());
        let mut sorted: Vec<Keyed> = Vec::with_capacity(records.len());
        for record in records {
            let record = record.as_ref();
            let at = names.len();
            name::push_wire(&record.owner, &mut names);
            names[at..].make_ascii_lowercase();
            // Records of one owner mostly stand together.
            if let Some(last) = sorted.last()
                && names[last.at..last.at + usize::from(last.wire)] == names[at..]
            {
                names.truncate(at);
                sorted.push(Keyed { record, ..*last });
                continue;
            }
            if !name::is_within(&names[at..], root.wire()) {
                names.truncate(at);
                warnings.push(Warning::OutOfZone { owner: record.owner.clone(), rtype: record.rtype });
                continue;
            }
            let key_at = names.len();
            wire.clear();
            wire.extend_from_slice(&names[at..]);
            push_key(&wire, &mut names);
            let mut first = [0; 8];
            let rest = &names[key_at + root_key..];
            let len = rest.len().min(8);
            first[..len].copy_from_slice(&rest[..len]);
            let [wire, key] =
                [key_at - at, names.len() - key_at].map(|len| u16::try_from(len).expect("a name's length"));
            sorted.push(Keyed { first: u64::from_be_bytes(first), at, wire, key, record });
        }
        let key = |keyed: &Keyed| {
            let at = keyed.at + usize::from(keyed.wire);
            &names[at..at + usize::from(keyed.key)]
        };
        // Stable: within an RRset, records keep the order they came in.
        sorted.sort_by(|one, other| one.first.cmp(&other.first).then_with(|| key(one).cmp(key(other))));
        Self { names, records: sorted }
    }

    /// Gathers the records by owner.
    pub(super) fn owners(&self, warnings: &mut Vec<Warning>) -> Vec<Owner<'_>> {
        let mut owners: Vec<Owner> = Vec::with_capacity(self.records.len());
        for keyed in &self.records {
            let (wire, rest) = self.names[keyed.at..].split_at(keyed.wire.into());
            let key = &rest[..keyed.key.into()];
            if owners.last().is_none_or(|last| last.key != key) {
                owners.push(Owner { key, wire, sets: SmallVec::new() });
            }
            add(owners.last_mut().expect("one was just pushed"), keyed.record);
        }
        let mut unproven = BTreeSet::new();
        for owner in &mut owners {
            for set in &mut owner.sets {
                tidy(owner.wire, set, warnings);
                if DNSSEC.contains(&set.rtype) {
                    unproven.insert(set.rtype);
                }
            }
        }
        warnings.extend(unproven.into_iter().map(|rtype| Warning::WithoutProofs { rtype }));
        owners
    }
}

/// The types whose records say that a zone is signed.
const DNSSEC: [RecordType; 4] = [RecordType::RRSIG, RecordType::DNSKEY, RecordType::NSEC, RecordType::NSEC3];

/// Adds a record to its owner's.
fn add<'r>(owner: &mut Owner<'r>, record: &'r Record) {
    let &Record { ttl, rtype, ref rdata, .. } = record;
    let place = owner.sets.partition_point(|set| set.rtype < rtype);
    if owner.sets.get(place).is_none_or(|set| set.rtype != rtype) {
        owner.sets.insert(place, RawSet { rtype, ttl, differing: false, rdata: SmallVec::new() });
    }
    let set = &mut owner.sets[place];
    set.differing |= set.ttl != ttl;
    set.ttl = set.ttl.min(ttl);
    set.rdata.push(rdata);
}

/// Makes an RRset of what came for one owner and type: each record once, one TTL (RFC 2181 §5, §5.2).
fn tidy(owner: &[u8], set: &mut RawSet, warnings: &mut Vec<Warning>) {
    // As most are: there is nothing to compare.
    if set.rdata.len() == 1 {
        return;
    }
    let rtype = set.rtype;
    let mut sorted: SmallVec<[_; 4]> =
        set.rdata.iter().map(|rdata| canonical_rdata(rtype, rdata)).zip(0_usize..).collect();
    sorted.sort_unstable();
    let mut repeated: Vec<_> = sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).collect();
    if !repeated.is_empty() {
        repeated.sort_unstable();
        let mut index = 0..;
        set.rdata.retain(|_| repeated.binary_search(&index.next().expect("no end")).is_err());
        warnings.push(Warning::Duplicate { owner: name::name(owner), rtype });
    }
    // RRSIGs have the TTLs of what they cover (RFC 4034 §3); the lowest is right for all of them, if not exact.
    if set.differing && rtype != RecordType::RRSIG {
        warnings.push(Warning::DifferingTtls { owner: name::name(owner), rtype, ttl: set.ttl });
    }
}

/// RDATA with the names in it in lower case: two that are equal then are one record (RFC 4034 §6.2).
pub(super) fn canonical_rdata(rtype: RecordType, rdata: &Rdata) -> Cow<'_, [u8]> {
    let mut wire = Cow::from(rdata.wire());
    let mut at = 0;
    for &field in types::fields(rtype) {
        // Malformed RDATA is refused when it is encoded.
        let Some(len) = wire.get(at..).and_then(|rest| field.len(rest)) else { break };
        let octets = at..at + len;
        if field == Field::Name && wire[octets.clone()].iter().any(u8::is_ascii_uppercase) {
            wire.to_mut()[octets].make_ascii_lowercase();
        }
        at += len;
    }
    wire
}

/// What the SOA record makes of a zone.
pub(super) struct StartOfAuthority {
    pub(super) serial: Serial,
    /// The SOA record for AUTHORITY of negative answers.
    pub(super) denial: OwnedBlock,
}

/// Reads the apex's SOA record; `owners` are those of the whole zone.
pub(super) fn start_of_authority(
    apex: &Name,
    origin: &HashedName,
    owners: &[Owner<'_>],
) -> Result<StartOfAuthority, ZoneError> {
    // The apex sorts before everything below it.
    let at_apex = owners.first().filter(|owner| *owner.wire == *origin.wire());
    let Some(soa) = at_apex.and_then(|owner| owner.set(RecordType::SOA)) else {
        return Err(ZoneError::NoSoa { apex: apex.clone() });
    };
    let [rdata] = &soa.rdata[..] else {
        return Err(ZoneError::SeveralSoas { apex: apex.clone() });
    };
    let owner = at_apex.expect("its SOA was found");
    if !owner.has(RecordType::NS) {
        return Err(ZoneError::NoNameservers { apex: apex.clone() });
    }
    if !is_well_formed(RecordType::SOA, rdata) {
        return Err(ZoneError::MalformedRdata { owner: apex.clone(), rtype: RecordType::SOA });
    }
    // SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM: the last twenty octets (RFC 1035 §3.3.13).
    let number = |from_end: usize| {
        let at = rdata.wire().len() - from_end;
        u32::from_be_bytes(rdata.wire()[at..at + 4].try_into().expect("four octets"))
    };
    let mut denial = Encoder::new(owner.wire);
    denial.record(RecordType::SOA, soa.ttl.min(number(4)), rdata);
    Ok(StartOfAuthority { serial: Serial(number(20)), denial: denial.finish() })
}

/// Each owner of NS records and each name server of it whose address is the zone's to say, but not in its referral: lower
/// case, in wire form.
pub(super) fn nameservers(apex: &HashedName, owners: &[Owner]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for owner in owners {
        for rdata in owner.set(RecordType::NS).into_iter().flat_map(|set| &set.rdata) {
            let target = rdata.wire().to_ascii_lowercase();
            let in_referral = *owner.wire != *apex.wire() && name::is_within(&target, owner.wire);
            if name::is_within(&target, apex.wire()) && !in_referral {
                found.push((owner.wire.to_vec(), target));
            }
        }
    }
    found
}

/// A cut whose hidden names are still being gathered.
struct OpenCut<'r> {
    owner: Owner<'r>,
    below: Vec<Owner<'r>>,
}

/// A node on the way from the root of the branch to the last one.
struct Ancestor {
    /// How much of the last owner's key is this one's.
    key: usize,
    labels: u8,
    /// Its index in the nodes.
    node: usize,
}

/// Nodes of one branch, in canonical order.
struct Assembly<'r> {
    nodes: Vec<Node>,
    path: Vec<Ancestor>,
    /// The canonical key of the last node's owner.
    last: &'r [u8],
}

/// Makes the nodes of the branch at `root` from the `owners` in it, in canonical order, empty non-terminals included.
pub(super) fn assemble(
    apex: &HashedName,
    root: &HashedName,
    owners: Vec<Owner>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Node>, ZoneError> {
    let nodes = Vec::with_capacity(owners.len());
    let mut assembly = Assembly { nodes, path: Vec::new(), last: &[] };
    let mut cut: Option<OpenCut> = None;
    let mut dname: Option<(&[u8], Name)> = None;
    for owner in owners {
        if let Some(open) = cut.take_if(|open| !owner.key.starts_with(open.owner.key)) {
            assembly.close(open, root, warnings)?;
        }
        check(apex, &owner, warnings)?;
        if let Some(open) = &mut cut {
            if owner.has(RecordType::NS) {
                warnings.push(Warning::NsBelowNs { owner: owner.name(), cut: open.owner.name() });
            }
            open.below.push(owner);
            continue;
        }
        if let Some((key, above)) = &dname
            && owner.key.starts_with(key)
        {
            return Err(ZoneError::BelowDname { owner: owner.name(), dname: above.clone() });
        }
        if owner.has(RecordType::NS) && *owner.wire != *apex.wire() && !name::is_wildcard(owner.wire) {
            cut = Some(OpenCut { owner, below: Vec::new() });
            continue;
        }
        if owner.has(RecordType::DNAME) {
            dname = Some((owner.key, owner.name()));
        }
        assembly.push(root, &owner, None)?;
    }
    if let Some(open) = cut {
        assembly.close(open, root, warnings)?;
    }
    Ok(assembly.nodes)
}

impl<'r> Assembly<'r> {
    /// Appends the node of `owner`, and before it those that are missing between it and `root`.
    fn push(&mut self, root: &HashedName, owner: &Owner<'r>, referral: Option<Box<Referral>>) -> Result<(), ZoneError> {
        while self.path.last().is_some_and(|above| !owner.key.starts_with(&self.last[..above.key])) {
            self.path.pop();
        }
        self.last = owner.key;
        let labels: SmallVec<[&[u8]; 8]> = name::labels(owner.wire).collect();
        let first = self.path.last().map_or(root.labels(), |above| above.labels + 1);
        // The path has the hashes of all names above: one more label is all that is to be hashed for a node.
        let suffix = |before: usize, parent: Option<u64>| {
            let at: usize = labels[..before].iter().map(|label| 1 + label.len()).sum();
            let hash = parent.map_or(root.whole().hash, |parent| name::hash_below(parent, labels[before]));
            Suffix { hash, wire: &owner.wire[at..] }
        };
        for before in (1..=labels.len() - usize::from(first)).rev() {
            let depth = u8::try_from(labels.len() - before).expect("a name has at most 127 labels");
            let node = Node::empty(suffix(before, self.parent()));
            self.append(node, depth, ancestor_key(owner.key, depth));
        }
        let depth = u8::try_from(labels.len()).expect("a name has at most 127 labels");
        let node = Node::new(suffix(0, self.parent()), &encode(owner)?, referral);
        self.append(node, depth, owner.key.len());
        Ok(())
    }

    /// The hash of the name that the next node is directly below; none: it is the root of the branch.
    fn parent(&self) -> Option<u64> {
        self.path.last().map(|above| self.nodes[above.node].hash)
    }

    /// Appends a node whose parent ends the path, unless it is the root of the branch.
    fn append(&mut self, node: Node, labels: u8, key: usize) {
        if let Some(parent) = self.path.last() {
            let parent = &mut self.nodes[parent.node];
            parent.set_children(parent.children + 1);
        }
        self.path.push(Ancestor { key, labels, node: self.nodes.len() });
        self.nodes.push(node);
    }

    /// Appends the node of a cut whose hidden names are all known.
    fn close(&mut self, cut: OpenCut<'r>, root: &HashedName, warnings: &mut Vec<Warning>) -> Result<(), ZoneError> {
        let OpenCut { mut owner, mut below } = cut;
        let place = owner.sets.iter().position(|set| set.rtype == RecordType::NS).expect("a cut has NS records");
        let nameservers = owner.sets.remove(place);
        // RFC 4035 §2.2–2.4: of the cut itself the parent owns DS, and what proves it.
        let parents = [RecordType::DS, RecordType::NSEC, RecordType::RRSIG];
        let (own, hidden) = std::mem::take(&mut owner.sets).into_iter().partition(|set| parents.contains(&set.rtype));
        owner.sets = own;
        let hidden = Owner { sets: hidden, ..owner };
        if !hidden.sets.is_empty() {
            below.insert(0, hidden);
        }
        let referral = refer(&owner, &nameservers, &below, warnings)?;
        self.push(root, &owner, Some(Box::new(referral)))
    }
}

/// Encodes a referral: the NS records of `cut` and the addresses that `below` has for them.
fn refer(
    cut: &Owner,
    nameservers: &RawSet,
    below: &[Owner],
    warnings: &mut Vec<Warning>,
) -> Result<Referral, ZoneError> {
    let too_many = || ZoneError::TooManyRecords { owner: cut.name(), rtype: RecordType::NS };
    if nameservers.rdata.len() > usize::from(u16::MAX) {
        return Err(too_many());
    }
    let mut block = Encoder::new(cut.wire);
    let mut targets = BTreeMap::new();
    let mut has_others = false;
    for rdata in &nameservers.rdata {
        if !is_well_formed(RecordType::NS, rdata) {
            return Err(ZoneError::MalformedRdata { owner: cut.name(), rtype: RecordType::NS });
        }
        // Behind the owner's pointer, TYPE, CLASS, TTL and RDLENGTH.
        let at = block.len() + 2 + 10;
        block.record(RecordType::NS, nameservers.ttl, rdata);
        let target = rdata.wire().to_ascii_lowercase();
        if name::is_within(&target, cut.wire) {
            targets.entry(canonical_key(&target)).or_insert((at, target));
        } else {
            has_others = true;
        }
    }
    let count = block.records();
    for (key, (at, target)) in targets {
        let glue = below.binary_search_by(|owner| owner.key.cmp(key.as_slice())).ok().map(|found| &below[found]);
        let addresses = [RecordType::AAAA, RecordType::A].into_iter();
        let sets: Vec<_> = addresses.filter_map(|rtype| Some((rtype, glue?.set(rtype)?))).collect();
        if sets.is_empty() {
            warnings.push(Warning::MissingGlue { cut: cut.name(), nameserver: name::name(&target) });
        }
        for (rtype, set) in sets {
            if usize::from(block.records()) + set.rdata.len() > usize::from(u16::MAX) {
                return Err(too_many());
            }
            set.rdata.iter().for_each(|rdata| block.record_of(at, &target, rtype, set.ttl, rdata));
        }
    }
    let below = below.iter().map(|owner| {
        let name = HashedName::read(owner.wire).expect("an owner is a name");
        Ok(Node::new(name.whole(), &encode(owner)?, None))
    });
    let mut below = below.collect::<Result<Box<[Node]>, _>>()?;
    below.sort_unstable_by(|one, other| one.owner().cmp(other.owner()));
    Ok(Referral { below, block: block.finish(), nameservers: count, has_others })
}

/// Refuses what one name cannot own together.
fn check(apex: &HashedName, owner: &Owner, warnings: &mut Vec<Warning>) -> Result<(), ZoneError> {
    let at_apex = *owner.wire == *apex.wire();
    if owner.has(RecordType::SOA) && !at_apex {
        return Err(ZoneError::SoaBelowApex { owner: owner.name() });
    }
    for rtype in [RecordType::CNAME, RecordType::DNAME] {
        if owner.set(rtype).is_some_and(|set| set.rdata.len() > 1) {
            return Err(ZoneError::NotSingle { owner: owner.name(), rtype });
        }
    }
    if owner.has(RecordType::CNAME) {
        let allowed = [RecordType::CNAME, RecordType::RRSIG, RecordType::NSEC];
        if let Some(other) = owner.sets.iter().map(|set| set.rtype).find(|rtype| !allowed.contains(rtype)) {
            return Err(ZoneError::CnameNotAlone { owner: owner.name(), other });
        }
    }
    if owner.has(RecordType::DNAME) && owner.has(RecordType::NS) && !at_apex {
        return Err(ZoneError::DnameAtCut { owner: owner.name() });
    }
    for rtype in [RecordType::NS, RecordType::DNAME] {
        if name::is_wildcard(owner.wire) && owner.has(rtype) {
            warnings.push(Warning::AtWildcard { owner: owner.name(), rtype });
        }
    }
    Ok(())
}

/// Encodes a name's RRsets, ascending by type.
fn encode<'r>(owner: &Owner<'r>) -> Result<SmallVec<[Encoded<'r>; 1]>, ZoneError> {
    owner.sets.iter().map(|set| Ok((set.rtype, set.ttl, encode_set(owner, set)?))).collect()
}

fn encode_set<'r>(owner: &Owner<'r>, set: &RawSet) -> Result<Encoder<'r>, ZoneError> {
    let rtype = set.rtype;
    if set.rdata.len() > usize::from(u16::MAX) {
        return Err(ZoneError::TooManyRecords { owner: owner.name(), rtype });
    }
    let mut block = Encoder::new(owner.wire);
    for rdata in &set.rdata {
        if !is_well_formed(rtype, rdata) {
            return Err(ZoneError::MalformedRdata { owner: owner.name(), rtype });
        }
        block.record(rtype, set.ttl, rdata);
    }
    Ok(block)
}

/// Whether RDATA is short enough, and the names that it begins with are there, and what must follow them.
fn is_well_formed(rtype: RecordType, rdata: &Rdata) -> bool {
    if rdata.wire().len() > usize::from(u16::MAX) {
        return false;
    }
    let layout = names_in(rtype);
    let Some(mut rest) = rdata.wire().get(layout.prefix..) else {
        return layout.names == 0;
    };
    for _ in 0..layout.names {
        let Some(len) = name::len(rest) else { return false };
        rest = &rest[len..];
    }
    match rtype {
        RecordType::SOA => rest.len() == 20,
        RecordType::SVCB | RecordType::HTTPS => true,
        RecordType::A => rest.len() == 4,
        RecordType::AAAA => rest.len() == 16,
        _ => layout.names == 0 || rest.is_empty(),
    }
}

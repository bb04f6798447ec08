//! Zones in which everything that interacts in an answer does so: small, and full of it.
//!
//! A [`Family`] is a zone and those that are served below it. Names come from a few labels, so that what is made at
//! random meets: wildcards, cuts, DNAMEs and aliases above, beside and behind each other. Only what Knot, NSD and
//! kubezone all load is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fastrand::Rng;

use crate::support::dns::{name_to_text, name_to_wire};

/// How many families a server is given at once.
const FAMILIES: usize = 128;

/// A name in wire form, in the case that it was given.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name(Vec<u8>);

impl Name {
    /// From an absolute name's text.
    pub(crate) fn new(text: &str) -> Self {
        Self(name_to_wire(text))
    }

    /// The name one label below; none when that is too long.
    pub(crate) fn child(&self, label: &[u8]) -> Option<Self> {
        let length = u8::try_from(label.len()).expect("at most 63");
        let wire = [&[length], label, &self.0].concat();
        (wire.len() <= 255).then_some(Self(wire))
    }

    /// The first label.
    pub(crate) fn label(&self) -> &[u8] {
        &self.0[1..=usize::from(self.0[0])]
    }

    /// The name without its first label; none of the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        (self.0[0] != 0).then(|| Self(self.0[1 + usize::from(self.0[0])..].to_vec()))
    }

    /// The name, its parent, and so on to the root.
    pub(crate) fn ancestry(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// Whether this name is at or below `other`, whatever the case.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let mut rest = &self.0[..];
        while rest.len() > other.0.len() {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        rest.eq_ignore_ascii_case(&other.0)
    }

    /// The name below `to` that this one is below `from`; none when that is too long, or it is not below `from`.
    pub(crate) fn rebased(&self, from: &Self, to: &Self) -> Option<Self> {
        if !self.is_within(from) {
            return None;
        }
        let wire = [&self.0[..self.0.len() - from.0.len()], &to.0].concat();
        (wire.len() <= 255).then_some(Self(wire))
    }

    /// The name in lower case: what names are told apart by.
    pub(crate) fn key(&self) -> Self {
        Self(self.0.to_ascii_lowercase())
    }

    /// The name with some letters in upper case.
    pub(crate) fn shouted(&self, random: &mut Rng) -> Self {
        Self(self.0.iter().map(|octet| if random.bool() { octet.to_ascii_uppercase() } else { *octet }).collect())
    }

    /// The wire form.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Octets in wire form.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The name as a master file has it: whatever else might mean something there as `\DDD`.
    fn in_master(&self) -> String {
        let labels = self.ancestry().filter(|name| name.0[0] != 0);
        let text: String =
            labels.map(|name| name.label().iter().map(|&octet| in_master(octet)).collect::<String>() + ".").collect();
        if text.is_empty() { ".".to_owned() } else { text }
    }

    /// Whether nothing in it needs an escape anywhere, and no wildcard is.
    fn is_plain(&self) -> bool {
        self.ancestry().all(|name| name.0[0] == 0 || name.label().iter().all(u8::is_ascii_alphanumeric))
    }
}

fn in_master(octet: u8) -> String {
    match octet {
        b'*' | b'-' | b'_' => char::from(octet).to_string(),
        _ if octet.is_ascii_alphanumeric() => char::from(octet).to_string(),
        _ => format!("\\{octet:03}"),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name_to_text(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A field of RDATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Word(String),
    Name(Name),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) owner: Name,
    pub(crate) ttl: u32,
    pub(crate) rtype: &'static str,
    pub(crate) rdata: Vec<Field>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.owner.in_master(), self.ttl, self.rtype, self.rdata_text())
    }
}

impl Record {
    /// RDATA as a master file has it.
    pub(crate) fn rdata_text(&self) -> String {
        let fields = self.rdata.iter().map(|field| match field {
            Field::Word(word) => word.clone(),
            Field::Name(name) => name.in_master(),
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    /// The name that RDATA leads to.
    pub(crate) fn target(&self) -> Option<&Name> {
        self.rdata.iter().find_map(|field| match field {
            Field::Name(name) => Some(name),
            Field::Word(_) => None,
        })
    }
}

/// A zone.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) apex: Name,
    pub(crate) records: Vec<Record>,
}

impl Zone {
    /// The zone as a master file.
    pub(crate) fn master_file(&self) -> String {
        self.records.iter().map(|record| format!("{record}\n")).collect()
    }

    /// Whether the apex owns this record.
    pub(crate) fn is_at_apex(&self, record: &Record) -> bool {
        record.owner.key() == self.apex.key()
    }
}

/// Zones at and below one name.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) base: Name,
    pub(crate) zones: Vec<Zone>,
}

impl Family {
    /// The same below another name.
    pub(crate) fn renamed(&self, to: &Name) -> Self {
        let rename = |name: &Name| name.rebased(&self.base, to).unwrap_or_else(|| name.clone());
        let record = |record: &Record| {
            let rdata = record.rdata.iter().map(|field| match field {
                Field::Name(name) => Field::Name(rename(name)),
                Field::Word(word) => Field::Word(word.clone()),
            });
            Record { owner: rename(&record.owner), rdata: rdata.collect(), ..record.clone() }
        };
        let zone = |zone: &Zone| Zone { apex: rename(&zone.apex), records: zone.records.iter().map(record).collect() };
        Self { base: to.clone(), zones: self.zones.iter().map(zone).collect() }
    }
}

/// As many families as one start of the servers is worth.
pub(crate) fn families(random: &mut Rng) -> Vec<Family> {
    (0..FAMILIES).map(|number| family(random, base(number), &base((number + 1) % FAMILIES))).collect()
}

/// The name of the family of this number: all of one length, so that one can stand in for another.
pub(crate) fn base(number: usize) -> Name {
    Name::new(&format!("f{number:04}.test."))
}

/// A zone at `base`, and now and then one or two below it.
fn family(random: &mut Rng, base: Name, stranger: &Name) -> Family {
    let mut zones = vec![zone(random, base.clone(), stranger)];
    let cuts = |zone: &Zone| -> Vec<Name> {
        let below = |record: &&Record| record.rtype == "NS" && !zone.is_at_apex(record) && record.owner.is_plain();
        let owners: BTreeSet<_> = zone.records.iter().filter(below).map(|record| record.owner.key()).collect();
        owners.into_iter().collect()
    };
    // The child of some cut is served here, too; or that of none.
    while zones.len() < 3 && random.f32() < 0.8 {
        let parent = &zones[zones.len() - 1];
        let undelegated = random.f32() < 0.1;
        let apex = if undelegated { parent.apex.child(b"undelegated") } else { random.choice(cuts(parent)) };
        let Some(apex) = apex.filter(|apex| apex.len() < 160 && apex.is_plain()) else { break };
        let child = zone(random, apex, stranger);
        zones.push(child);
    }
    // Below a DNAME there is nothing; NSD takes the zones of a server together there.
    let of_type = zones.iter().flat_map(|zone| &zone.records).filter(|record| record.rtype == "DNAME");
    let dnames: Vec<Name> = of_type.map(|record| record.owner.key()).collect();
    for zone in &mut zones {
        let apex = zone.apex.key();
        zone.records.retain(|record| {
            let owner = record.owner.key();
            owner == apex || !dnames.iter().any(|dname| *dname != owner && owner.is_within(dname))
        });
    }
    zones.retain(|zone| !dnames.iter().any(|dname| *dname != zone.apex.key() && zone.apex.is_within(dname)));
    Family { base, zones }
}

/// A zone while it is made.
struct Draft<'r> {
    random: &'r mut Rng,
    apex: Name,
    stranger: Name,
    labels: Vec<Vec<u8>>,
    /// Owners in lower case.
    owners: Vec<Name>,
    records: Vec<Record>,
    /// One for each RRset.
    ttls: BTreeMap<(Name, &'static str), u32>,
}

/// TTLs, and the SOA's minimum.
const TTLS: [u32; 6] = [0, 30, 60, 300, 3600, 86400];

/// A zone at `apex`; some of its targets are below `stranger`, the name of another family.
fn zone(random: &mut Rng, apex: Name, stranger: &Name) -> Zone {
    let labels = labels(random);
    let mut draft = Draft {
        apex: apex.clone(),
        stranger: stranger.clone(),
        labels,
        owners: Vec::new(),
        records: Vec::new(),
        ttls: BTreeMap::new(),
        random,
    };
    draft.draw();
    let mut records = draft.records;
    // The master file's first record is the SOA; of the others, each stands there once.
    let mut seen = BTreeSet::new();
    records.retain(|record| seen.insert(record.to_string().to_ascii_lowercase()));
    Zone { apex, records: loadable(records) }
}

/// A few labels: ordinary ones that differ little, and some of those that are special.
fn labels(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut labels: Vec<Vec<u8>> = [&b"a"[..], b"b", b"ns", b"*", b"*"].map(<[u8]>::to_vec).into();
    let mut special: Vec<Vec<u8>> = [
        &b"aa"[..],
        b"ab",
        b"a-",
        b"_tcp",
        b"*a",
        b"**",
        b"a.b",
        b"\\",
        b" ",
        b"\0",
        b"\x01",
        b"\xff",
        b"A",
        b"\"",
        b"(",
        b"@",
        b"$",
        b"xn--a",
        b"[",
        b"{",
    ]
    .map(<[u8]>::to_vec)
    .into();
    special.push(vec![b'l'; 63]);
    special.push([&[b'l'; 62][..], b"m"].concat());
    random.shuffle(&mut special);
    labels.extend(special.into_iter().take(random.usize(1..4)));
    labels
}

impl Draft<'_> {
    fn draw(&mut self) {
        let apex = self.apex.clone();
        let minimum = *self.random.choice(&TTLS).expect("some");
        let mname = self.target();
        let rname = apex.child(b"hostmaster").expect("short");
        self.add(
            &apex,
            "SOA",
            vec![Field::Name(mname), Field::Name(rname), Field::Word(format!("1 14400 3600 1209600 {minimum}"))],
        );
        let nodes = self.random.usize(6..22);
        for _ in 0..nodes {
            let owner = self.owner();
            self.owners.push(owner.key());
        }
        for _ in 0..self.random.usize(1..3) {
            let target = self.nameserver(&apex);
            self.add(&apex, "NS", vec![Field::Name(target)]);
        }
        if self.random.f32() < 0.05 {
            let target = self.target();
            self.add(&apex, "DNAME", vec![Field::Name(target)]);
        }
        for owner in self.owners.clone() {
            self.populate(&owner);
        }
        if self.random.f32() < 0.5 {
            let kinds = self.random.usize(1..4);
            for _ in 0..kinds {
                self.data(&apex);
            }
        }
        if self.random.f32() < 0.3 {
            self.chain();
        }
    }

    /// A name of the zone.
    fn owner(&mut self) -> Name {
        loop {
            let from = match self.owners.len() {
                0 => self.apex.clone(),
                // Mostly below or beside what is there already.
                _ if self.random.f32() < 0.6 => self.random.choice(&self.owners).expect("some").clone(),
                _ => self.apex.clone(),
            };
            let depth = *self.random.choice([1, 1, 1, 2, 2, 3]).as_ref().expect("some");
            let mut owner = Some(from);
            for _ in 0..depth {
                let label = self.random.choice(&self.labels).expect("some").clone();
                owner = owner.and_then(|owner| owner.child(&label));
            }
            if let Some(owner) = owner.filter(|owner| owner.len() < 250) {
                return owner;
            }
        }
    }

    fn populate(&mut self, owner: &Name) {
        let wildcard = owner.label() == b"*";
        match self.random.u32(..100) {
            0..=39 => {
                for _ in 0..self.random.usize(1..4) {
                    self.data(owner);
                }
            }
            40..=59 => {
                let target = self.target();
                self.add(owner, "CNAME", vec![Field::Name(target)]);
            }
            60..=71 if !wildcard => {
                let target = self.target();
                self.add(owner, "DNAME", vec![Field::Name(target)]);
                if self.random.f32() < 0.3 {
                    self.data(owner);
                }
            }
            72..=91 if !wildcard => self.cut(owner),
            85..=97 => self.many(owner),
            _ => self.data(owner),
        }
    }

    /// An RRset of one of the ordinary types.
    fn data(&mut self, owner: &Name) {
        match self.random.u32(..100) {
            0..=24 => {
                for _ in 0..self.random.usize(1..3) {
                    self.address(owner, "A");
                }
            }
            25..=49 => {
                for _ in 0..self.random.usize(1..3) {
                    self.address(owner, "AAAA");
                }
            }
            50..=59 => self.add(owner, "TXT", vec![Field::Word("\"here\"".to_owned())]),
            60..=69 => {
                for _ in 0..self.random.usize(1..3) {
                    let fields = vec![Field::Word("10".to_owned()), Field::Name(self.target())];
                    self.add(owner, "MX", fields);
                }
            }
            70..=81 => {
                for _ in 0..self.random.usize(1..4) {
                    let fields = vec![Field::Word("0 100 443".to_owned()), Field::Name(self.target())];
                    self.add(owner, "SRV", fields);
                }
            }
            82..=86 => {
                let fields = vec![Field::Word("1".to_owned()), Field::Name(self.target())];
                self.add(owner, "HTTPS", fields);
            }
            87..=91 => {
                let target = self.target();
                self.add(owner, "PTR", vec![Field::Name(target)]);
            }
            92..=95 => self.add(owner, "TYPE65534", vec![Field::Word("\\# 2 abcd".to_owned())]),
            _ => self.add(owner, "CAA", vec![Field::Word("0 issue \";\"".to_owned())]),
        }
    }

    fn address(&mut self, owner: &Name, rtype: &'static str) {
        let number = self.random.u32(1..250);
        let address = if rtype == "A" { format!("192.0.2.{number}") } else { format!("2001:db8::{number:x}") };
        self.add(owner, rtype, vec![Field::Word(address)]);
    }

    /// An RRset that is too large for some datagrams, or for all.
    fn many(&mut self, owner: &Name) {
        let records = self.random.usize(8..80);
        // Knot 3.2 never ends with many targets of a wildcard that are themselves below wildcards.
        let kinds = if owner.label() == b"*" { 2 } else { 3 };
        match self.random.u32(..kinds) {
            0 => (0..records).for_each(|_| self.address(owner, "AAAA")),
            1 => {
                for number in 0..records.min(30) {
                    let text = format!("\"{number:02} {}\"", "x".repeat(self.random.usize(10..60)));
                    self.add(owner, "TXT", vec![Field::Word(text)]);
                }
            }
            _ => {
                for number in 0..records.min(20) {
                    let fields = vec![Field::Word(format!("{number} 0 443")), Field::Name(self.target())];
                    self.add(owner, "SRV", fields);
                }
            }
        }
    }

    /// A delegation.
    fn cut(&mut self, cut: &Name) {
        let nameservers = *self.random.choice([1, 1, 2, 2, 3, 12, 12]).as_ref().expect("some");
        for number in 0..nameservers {
            let in_domain = match self.random.u32(..100) {
                0..=39 => cut.child(if number == 0 { b"ns" } else { b"a" }),
                40..=44 => Some(cut.clone()),
                45..=54 => cut.child(b"b").and_then(|name| name.child(b"a")),
                55..=69 if nameservers == 12 => cut.child(format!("ns{number}").as_bytes()),
                _ => None,
            };
            let target = match in_domain {
                Some(target) => {
                    for _ in 0..self.random.usize(0..4) {
                        let rtype = if self.random.bool() { "A" } else { "AAAA" };
                        self.address(&target, rtype);
                    }
                    target
                }
                None => self.nameserver(cut),
            };
            self.add(cut, "NS", vec![Field::Name(target)]);
        }
        if self.random.bool() {
            self.add(cut, "DS", vec![Field::Word(format!("1 13 2 {}", "ab".repeat(32)))]);
        }
        // What the cut hides.
        if self.random.f32() < 0.2 {
            self.data(cut);
        }
    }

    /// Where a name server may be that is not below its cut.
    fn nameserver(&mut self, cut: &Name) -> Name {
        match self.random.u32(..10) {
            0..=2 => {
                let name = self.apex.child(b"ns").expect("short");
                let rtype = *self.random.choice(["A", "AAAA"]).as_ref().expect("some");
                self.address(&name, rtype);
                name
            }
            // Perhaps below another cut: sibling glue.
            3..=6 => {
                let beside = self.random.choice(&self.owners).unwrap_or(cut).clone();
                let name = beside.child(b"ns").unwrap_or(beside);
                if self.random.bool() {
                    self.address(&name.clone(), "AAAA");
                }
                name
            }
            _ => self.target(),
        }
    }

    /// A name that something leads to.
    fn target(&mut self) -> Name {
        let of_zone = self.random.choice(&self.owners).unwrap_or(&self.apex).clone();
        let label = self.random.choice(&self.labels).expect("some").clone();
        match self.random.u32(..100) {
            0..=49 => of_zone,
            50..=64 => of_zone.child(&label).unwrap_or(of_zone),
            65..=69 => of_zone.child(b"q").unwrap_or(of_zone),
            70..=74 => self.apex.child(&label).expect("short"),
            75..=77 => self.apex.clone(),
            78..=79 => of_zone.parent().expect("below the apex"),
            80..=84 => self.apex.parent().and_then(|parent| parent.child(&label)).expect("short"),
            85..=89 => self.stranger.child(&label).expect("short"),
            90..=91 => self.stranger.clone(),
            92..=93 => Name::new("."),
            94..=95 => of_zone.shouted(self.random),
            _ => Name::new("www.example."),
        }
    }

    /// Aliases one after the other, few or too many.
    fn chain(&mut self) {
        let links = self.random.usize(2..24);
        let mut target = self.target();
        for link in 0..links {
            let owner = self.apex.child(format!("link{link}").as_bytes()).expect("short");
            self.add(&owner, "CNAME", vec![Field::Name(target)]);
            self.owners.push(owner.clone());
            target = owner;
        }
    }

    fn add(&mut self, owner: &Name, rtype: &'static str, rdata: Vec<Field>) {
        let ttl = *self.random.choice(&TTLS).expect("some");
        let ttl = *self.ttls.entry((owner.key(), rtype)).or_insert(ttl);
        let shouted = self.random.f32() < 0.1;
        let owner = if shouted { owner.shouted(self.random) } else { owner.clone() };
        self.records.push(Record { owner, ttl, rtype, rdata });
    }
}

/// The records without those that keep a server from loading the zone.
fn loadable(records: Vec<Record>) -> Vec<Record> {
    let apex = records[0].owner.key();
    let mut kept: Vec<Record> = Vec::new();
    for record in records {
        let owner = record.owner.key();
        let types = kept.iter().filter(|other| other.owner.key() == owner).map(|other| other.rtype);
        let types: BTreeSet<_> = types.collect();
        let single = matches!(record.rtype, "CNAME" | "DNAME") && types.contains(record.rtype);
        let beside = if record.rtype == "CNAME" { !types.is_empty() } else { types.contains("CNAME") };
        let both = |one, other| record.rtype == one && types.contains(other);
        let redirects = owner != apex && (both("DNAME", "NS") || both("NS", "DNAME"));
        let no_wildcard = matches!(record.rtype, "NS" | "DNAME" | "DS") && record.owner.label() == b"*";
        if !single && !beside && !redirects && !no_wildcard {
            kept.push(record);
        }
    }
    kept
}

//! Static records of a cluster zone: CAA, TXT, MX and whatever else no object says.
//!
//! They are the operator's word, and no object overrides them: at a name that
//! both speak for, an object's RRset gives way to a static one of its type, and
//! all that it owns gives way to a static alias or delegation.

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};

use super::{ClusterZone, below};
use crate::zone::{Record, Serial, Zone, ZoneError};

/// The static records of one zone.
///
/// # Invariants
///
/// [`ClusterZone::with_extra`] establishes these.
///
/// - `in-zone`: every owner is at or below the apex.
/// - `nothing-of-ours`: none is what the configuration or the schema says of the apex, of `svc`, `pod`, `dns-version` and
///   of name servers.
/// - `a-zone`: with the zone's own records they make one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extra {
    /// By owner, in canonical order (RFC 4034 §6.1): a name stands right before what is below it.
    by_owner: Arc<BTreeMap<Name, Vec<Record>>>,
}

/// A static record that a zone cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraError {
    /// Its owner is elsewhere.
    #[error("{owner} is not in the zone: write names relative to {apex}")]
    OutOfZone {
        /// The owner.
        owner: Name,
        /// The zone's.
        apex: Name,
    },
    /// The configuration or the schema says it.
    #[error("{owner} {rtype} is not for a file to say: {by}")]
    Taken {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RecordType,
        /// Where it comes from.
        by: &'static str,
    },
    /// With the zone's own records it makes none.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

impl ExtraError {
    /// The owner of the record that it is about.
    #[must_use]
    pub fn owner(&self) -> Option<&Name> {
        match self {
            Self::OutOfZone { owner, .. } | Self::Taken { owner, .. } => Some(owner),
            Self::Zone(error) => error.owner(),
        }
    }
}

impl ClusterZone {
    /// The zone with these static records.
    ///
    /// # Errors
    ///
    /// The first that it cannot have.
    pub fn with_extra(mut self, records: Vec<Record>) -> Result<Self, ExtraError> {
        let mut by_owner: BTreeMap<Name, Vec<Record>> = BTreeMap::new();
        for record in records {
            if !self.origin.zone_of(&record.owner) {
                return Err(ExtraError::OutOfZone { owner: record.owner, apex: self.origin });
            }
            if let Some(by) = self.says(&record) {
                return Err(ExtraError::Taken { owner: record.owner, rtype: record.rtype, by });
            }
            by_owner.entry(record.owner.to_lowercase()).or_default().push(record);
        }
        self.extra = Extra { by_owner: Arc::new(by_owner) };
        let all = self.apex(Serial(1)).into_iter().chain(self.extra.records().cloned());
        Zone::build(&self.origin, all)?;
        Ok(self)
    }

    /// Who says what `record` does, if a file may not.
    fn says(&self, record: &Record) -> Option<&'static str> {
        use RecordType::{A, AAAA, CNAME, DNAME, NS, SOA, TXT};
        let (owner, rtype) = (&record.owner, record.rtype);
        let is_at = |label| below(&self.origin, label).is_some_and(|name| name == *owner);
        let hides = |name: &Name| matches!(rtype, NS | DNAME) && *owner != self.origin && owner.zone_of(name);
        let of_nameserver = |name: &Name| matches!(rtype, A | AAAA | CNAME) && name == owner || hides(name);
        if *owner == self.origin && matches!(rtype, SOA | NS | CNAME | DNAME) {
            return Some("the configuration says it of the zone");
        }
        if self.nameservers.iter().any(|nameserver| of_nameserver(&nameserver.name)) {
            return Some("a name server's addresses are those that are configured");
        }
        if is_at("dns-version") && matches!(rtype, TXT | CNAME | NS | DNAME) {
            return Some("it is the version of the Kubernetes DNS specification");
        }
        if below(&self.origin, "pod").is_some_and(|pod| pod.zone_of(owner)) {
            return Some("names at and below `pod` are those of Pods");
        }
        (is_at("svc") && matches!(rtype, NS | DNAME)).then_some("it would hide every Service")
    }
}

impl Extra {
    /// All of them, in canonical order of their owners.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.by_owner.values().flatten()
    }

    /// Those at and below `root`.
    pub(super) fn within<'a>(&'a self, root: &'a Name) -> impl Iterator<Item = &'a Record> {
        let from_root = (!self.by_owner.is_empty()).then(|| self.by_owner.range(root.to_lowercase()..));
        from_root.into_iter().flatten().take_while(|(owner, _)| root.zone_of(owner)).flat_map(|(_, records)| records)
    }

    /// Whether `name` is theirs: it owns one of them, or is below a delegation or a DNAME.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.by_owner.contains_key(name) || self.hides(name)
    }

    /// Whether `name` is below a delegation or a DNAME.
    pub(super) fn hides(&self, name: &Name) -> bool {
        !self.by_owner.is_empty() && self.is_cut_above(name.base_name())
    }

    fn is_cut_above(&self, mut name: Name) -> bool {
        while !name.is_root() {
            if self.owns(&name, |rtype| matches!(rtype, RecordType::NS | RecordType::DNAME)) {
                return true;
            }
            name = name.base_name();
        }
        false
    }

    /// Whether an object's `record` gives way.
    pub(super) fn overrides(&self, record: &Record) -> bool {
        let is_alias = record.rtype == RecordType::CNAME;
        let speaks = |rtype| is_alias || rtype == record.rtype || rtype == RecordType::CNAME;
        !self.by_owner.is_empty() && (self.owns(&record.owner, speaks) || self.is_cut_above(record.owner.clone()))
    }

    fn owns(&self, owner: &Name, is_meant: impl Fn(RecordType) -> bool) -> bool {
        self.by_owner.get(owner).is_some_and(|records| records.iter().any(|record| is_meant(record.rtype)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::NameServer;
    use crate::zone::master;

    /// What is wrong with `line` as a static record of c2.k8s.ooo, whose name servers are `ns.infra` and `kube-dns.kube-system.svc`.
    fn check(line: &str, expected: Option<&str>) {
        let origin = Name::from_ascii("c2.k8s.ooo.").unwrap();
        let nameserver = |name: &str| NameServer {
            name: Name::from_ascii(name).unwrap(),
            addresses: vec!["2001:db8::53".parse().unwrap()],
        };
        let nameservers = ["ns.infra.c2.k8s.ooo.", "kube-dns.kube-system.svc.c2.k8s.ooo."].map(nameserver).to_vec();
        let records = master::parse(format!("$TTL 5\n{line}").as_bytes(), &origin, None).unwrap();
        let made = ClusterZone { nameservers, ..ClusterZone::at(origin) }.with_extra(records);
        assert_eq!(made.err().map(|error| error.to_string()).as_deref(), expected, "{line}");
    }

    #[test]
    fn a_file_says_what_nobody_else_does() {
        check("@ CAA 0 issue \"ca.example\"", None);
        check("@ MX 10 mail.example.net.", None);
        check("@ TXT v=spf1", None);
        check("www CNAME web.shop.svc", None);
        check("_acme-challenge.web.shop.svc CNAME c2.acme.example.", None);
        check("lab NS ns.lab\nns.lab AAAA 2001:db8::1", None);
        check("shop.svc NS ns.example.", None);
        check("svc TXT here", None);
        check("dns-version MX 0 .", None);
        check("ns.infra TXT here", None);
        check("infra TXT here", None);
    }

    #[test]
    fn a_file_does_not_say_what_others_do() {
        let zone = Some("the configuration says it of the zone");
        let nameserver = Some("a name server's addresses are those that are configured");
        for (line, by) in [
            ("@ SOA ns h 1 2 3 4 5", zone),
            ("@ NS ns.example.", zone),
            ("@ DNAME example.", zone),
            ("@ CNAME example.", zone),
            ("ns.infra A 192.0.2.1", nameserver),
            ("NS.infra AAAA 2001:db8::1", nameserver),
            ("ns.infra CNAME x", nameserver),
            ("infra NS ns.example.", nameserver),
            ("infra DNAME example.", nameserver),
            ("kube-system.svc NS ns.example.", nameserver),
            ("dns-version TXT 2", Some("it is the version of the Kubernetes DNS specification")),
            ("2a0a--1.shop.pod TXT here", Some("names at and below `pod` are those of Pods")),
            ("pod NS ns.example.", Some("names at and below `pod` are those of Pods")),
        ] {
            let fields: Vec<&str> = line.split(' ').collect();
            let owner = if fields[0] == "@" { String::new() } else { format!("{}.", fields[0]) };
            let expected = by.map(|by| format!("{owner}c2.k8s.ooo. {} is not for a file to say: {by}", fields[1]));
            check(line, expected.as_deref());
        }
        check("www.example. A 192.0.2.1", Some("www.example. is not in the zone: write names relative to c2.k8s.ooo."));
        check(
            "www A 192.0.2.1\nwww CNAME x",
            Some("www.c2.k8s.ooo. owns a CNAME record and other data (A): keep one of them"),
        );
        check(
            "www DNAME example.\na.www A 192.0.2.1",
            Some(
                "a.www.c2.k8s.ooo. is below www.c2.k8s.ooo., which has a DNAME record that hides it: remove one of them",
            ),
        );
    }
}

//! A zone as a cluster implies it, and questions that bring each kind of answer about.

use std::net::Ipv6Addr;

use hickory_proto::rr::rdata::{AAAA, CNAME, NS, SOA, SRV};
use hickory_proto::rr::{Name, RData, RecordType};
use kubezone::nameserver::Served;
use kubezone::zone::{Record, Serial, State, Subtree, Zone, Zones};

pub(crate) const APEX: &str = "c2.k8s.ooo.";

/// What a busy namespace holds. Each namespace has a delegation, a wildcard and an alias beside it.
pub(crate) const SERVICES_PER_NAMESPACE: usize = 100;

/// A kind of question.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Hit,
    Srv,
    NoData,
    NxDomain,
    Referral,
    Wildcard,
    Alias,
}

impl Kind {
    /// The name that is asked for, about the Service `index`.
    pub(crate) fn qname(self, index: usize) -> Name {
        let (service, namespace) = (service(index), index / SERVICES_PER_NAMESPACE);
        name(&match self {
            Self::Hit | Self::NoData => service,
            Self::Srv => format!("_https._tcp.{service}"),
            Self::NxDomain => format!("absent.{service}"),
            Self::Referral => format!("host-{index}.child-{namespace}.{APEX}"),
            Self::Wildcard => format!("host-{index}.any-{namespace}.{APEX}"),
            Self::Alias => format!("alias-{namespace}.{APEX}"),
        })
    }

    pub(crate) fn qtype(self) -> RecordType {
        match self {
            Self::Srv => RecordType::SRV,
            Self::NoData => RecordType::A,
            _ => RecordType::AAAA,
        }
    }

    /// The question about the Service `index`, with EDNS, as resolvers ask.
    pub(crate) fn question(self, index: usize) -> Vec<u8> {
        let mut message = vec![0x4b, 0x5a, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        message.extend(wire(&self.qname(index)));
        message.extend_from_slice(&u16::from(self.qtype()).to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        message
    }

    /// Whether `response` is of this kind: its RCODE, and how many records ANSWER and AUTHORITY have.
    pub(crate) fn is_answered_by(self, response: &[u8]) -> bool {
        let expected = match self {
            Self::Hit | Self::Srv | Self::Wildcard => [0, 1, 0],
            Self::NoData => [0, 0, 1],
            Self::NxDomain => [3, 0, 1],
            Self::Referral => [0, 0, 2],
            Self::Alias => [0, 2, 0],
        };
        [response[3] & 15, response[7], response[9]] == expected
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

pub(crate) fn wire(name: &Name) -> Vec<u8> {
    let labels = name.iter().flat_map(|label| [&[u8::try_from(label.len()).expect("a label")], label].concat());
    labels.chain([0]).collect()
}

fn service(index: usize) -> String {
    format!("web-{index}.team-{}.svc.{APEX}", index / SERVICES_PER_NAMESPACE)
}

/// The Service `index`: an AAAA and one SRV, so three names.
pub(crate) fn subtree(index: usize, address: u128) -> Subtree {
    let root = name(&service(index));
    let srv = RData::SRV(SRV::new(0, 100, 443, root.clone()));
    let port = Kind::Srv.qname(index);
    Subtree { records: vec![Record::new(root.clone(), 30, &aaaa(address)), Record::new(port, 30, &srv)], root }
}

fn aaaa(address: u128) -> RData {
    let range = u128::from_be_bytes([0x2a, 0x0a, 0xe5, 0xc0, 0, 0x10, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
    RData::AAAA(AAAA(Ipv6Addr::from(range + address)))
}

/// All records of a zone with so many Services.
pub(crate) fn records(services: usize) -> Vec<Record> {
    let [nameserver, hostmaster] = ["ns", "hostmaster"].map(|label| name(&format!("{label}.{APEX}")));
    let soa = SOA::new(nameserver.clone(), hostmaster, 1, 14_400, 3600, 1_209_600, 30);
    let mut records = vec![
        Record::new(name(APEX), 3600, &RData::SOA(soa)),
        Record::new(name(APEX), 3600, &RData::NS(NS(nameserver.clone()))),
        Record::new(nameserver, 3600, &aaaa(0)),
    ];
    for namespace in 0..services.div_ceil(SERVICES_PER_NAMESPACE) {
        let child = name(&format!("child-{namespace}.{APEX}"));
        for server in 1..=2 {
            let server_name = name(&format!("ns{server}.child-{namespace}.{APEX}"));
            records.push(Record::new(child.clone(), 3600, &RData::NS(NS(server_name.clone()))));
            records.push(Record::new(server_name, 3600, &aaaa(server)));
        }
        records.push(Record::new(name(&format!("*.any-{namespace}.{APEX}")), 30, &aaaa(3)));
        let target = name(&service(namespace * SERVICES_PER_NAMESPACE));
        records.push(Record::new(name(&format!("alias-{namespace}.{APEX}")), 30, &RData::CNAME(CNAME(target))));
    }
    records.extend((0..services).flat_map(|index| subtree(index, index as u128).records));
    records
}

pub(crate) fn zone(services: usize) -> Zone {
    Zone::build(&name(APEX), records(services)).expect("a zone").0
}

/// A server of nothing but `zone`.
pub(crate) fn served(zone: Zone) -> Served {
    let mut zones = Zones::pending([zone.apex().clone()]);
    zones.set(&name(APEX), State::Loaded(zone.into()));
    Served { zones, ..Served::default() }
}

/// `zone` with another address for one of its Services.
pub(crate) fn derive(zone: &Zone, index: usize, serial: u32) -> Zone {
    let changed = subtree(index, u128::from(serial) + 1_000_000);
    zone.derive([changed], Serial(serial)).zone.expect("a change")
}

/// As many Services out of `services`, in a random order that is the same in each run: caches see what a server's would.
pub(crate) fn some(count: usize, services: usize) -> impl Iterator<Item = usize> {
    let mut dice = fastrand::Rng::with_seed(42);
    (0..count).map(move |_| dice.usize(..services))
}

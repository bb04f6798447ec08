//! Reverse zones: from an address to the one name that it has, RFC 1035 §3.5 and RFC 3596 §2.5.
//!
//! What cluster zones publish is looked at the other way. Many may publish one
//! address, and anybody who may write a Service can claim somebody else's
//! (`spec.externalIPs`), so that the one PTR record of an address goes to the
//! best claim. Nothing else is in a reverse zone: an address that nobody
//! publishes has no name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::BinDecodable;
use ipnet::IpNet;
use smallvec::SmallVec;

use super::apex::Apex;
use super::{AddressOrigin, Age, ClusterZone, NameServer, PublishedAddress, below};
use crate::cluster::Subject;
use crate::zone::{Part, Rdata, Record, Serial, name_to_wire};

/// A zone of PTR records for what some cluster zones publish, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReverseZone {
    /// The apex, fully qualified: the name of `prefix`.
    pub origin: Name,
    /// The addresses whose names are in the zone.
    pub prefix: IpNet,
    /// Those that other reverse zones are for, of longer prefixes: their names are not in this one.
    pub except: Vec<IpNet>,
    /// The apexes of the cluster zones whose addresses have names here. Of claims that are otherwise equal the first one's counts.
    pub of: Vec<Name>,
    /// The name servers, all of them elsewhere, the first of them the SOA's MNAME.
    pub nameservers: Vec<NameServer>,
    /// The SOA's RNAME, fully qualified.
    pub hostmaster: Name,
    /// Seconds that the absence of a record may be kept: the SOA's MINIMUM (RFC 2308 §4).
    pub negative_ttl: u32,
    /// The TTL of SOA and NS.
    pub nameserver_ttl: u32,
}

impl ReverseZone {
    /// The zone at `origin` with what is usual for everything else, name servers and cluster zones are not; none for a name
    /// that is not that of a prefix.
    #[must_use]
    pub fn at(origin: Name) -> Option<Self> {
        Some(Self {
            prefix: prefix_of(&origin)?,
            except: Vec::new(),
            of: Vec::new(),
            nameservers: Vec::new(),
            hostmaster: below(&origin, "hostmaster").unwrap_or_else(|| origin.clone()),
            origin,
            negative_ttl: 30,
            nameserver_ttl: 3600,
        })
    }

    /// Whether the name of `address` is in this zone.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.prefix.contains(&address) && !self.except.iter().any(|inner| inner.contains(&address))
    }

    /// Whether the zone is that of one address: its PTR record is at the apex.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.prefix.prefix_len() == self.prefix.max_prefix_len()
    }

    /// All of its records; `claims` are those of the zones that it is made of, in their order.
    #[must_use]
    pub fn records(&self, serial: Serial, claims: &[&AddressClaims]) -> Vec<Record> {
        let mut records = Apex {
            origin: &self.origin,
            nameservers: &self.nameservers,
            hostmaster: &self.hostmaster,
            negative_ttl: self.negative_ttl,
            nameserver_ttl: self.nameserver_ttl,
        }
        .records(serial);
        let addresses: BTreeSet<_> = claims.iter().flat_map(|claims| claims.within(self.prefix)).collect();
        records.extend(addresses.into_iter().filter(|ip| self.holds(*ip)).filter_map(|ip| ptr(ip, claims)));
        records
    }

    /// What the name of `address`, which this zone holds, owns; not for a zone of [one address](Self::is_single).
    #[must_use]
    pub fn part(&self, address: IpAddr, claims: &[&AddressClaims]) -> Part {
        Part::Alone { owner: Name::from(address), records: ptr(address, claims).into_iter().collect() }
    }
}

/// The prefix that `name` is the name of: whole octets of IPv4, or nibbles of IPv6, in the form that DNS has them.
fn prefix_of(name: &Name) -> Option<IpNet> {
    let prefix = name.parse_arpa_name().ok()?;
    let labels = match prefix {
        IpNet::V4(prefix) => prefix.prefix_len() / 8,
        IpNet::V6(prefix) => prefix.prefix_len() / 4,
    };
    // Not with leading zeros and the like: nobody would ask for that.
    (Name::from(prefix.addr()).trim_to(usize::from(labels) + 2) == *name).then_some(prefix)
}

fn ptr(address: IpAddr, claims: &[&AddressClaims]) -> Option<Record> {
    let target = elect(address, claims)?;
    let rdata = Rdata::from_wire(target.owner.clone());
    Some(Record { owner: Name::from(address), ttl: target.ttl, rtype: RecordType::PTR, rdata })
}

/// What the name of `address` leads to: the best claim of any zone, among equals that of the first.
fn elect<'c>(address: IpAddr, claims: &[&'c AddressClaims]) -> Option<&'c Target> {
    let best = claims.iter().filter_map(|claims| claims.best(address));
    best.min_by_key(|claim| &claim.rank).map(|claim| &claim.target)
}

/// Who publishes which address in one cluster zone.
///
/// There may be a hundred thousand claims: they are kept in little room, and a claimant once.
#[derive(Debug, Clone, Default)]
pub struct AddressClaims {
    /// To each address those that there are, the best first; mostly one.
    claims: BTreeMap<IpAddr, SmallVec<[Claim; 1]>>,
    /// The addresses that each claimant claims.
    claimed: HashMap<Claimant, Box<[IpAddr]>>,
}

/// None: the zone itself, by its configuration.
type Claimant = Option<Arc<Subject>>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    rank: Rank,
    target: Target,
}

/// How much a claim to an address counts, the best first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    origin: AddressOrigin,
    age: Age,
    claimant: Claimant,
}

/// What the name of an address leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    /// In wire form: half as large.
    owner: Box<[u8]>,
    ttl: u32,
}

impl Target {
    fn new(owner: &Name, ttl: u32) -> Self {
        Self { owner: name_to_wire(owner).into(), ttl }
    }

    fn owner(&self) -> Name {
        Name::from_bytes(&self.owner).expect("it was a name")
    }
}

impl AddressClaims {
    /// What the configuration of `zone` and the subjects in `addresses` publish there.
    #[must_use]
    pub fn all(zone: &ClusterZone, addresses: Vec<(Subject, Age, Vec<PublishedAddress>)>) -> Self {
        let mut claims = Self::default();
        claims.set(None, Age::default(), zone.addresses_at_apex());
        for (subject, age, published) in addresses {
            claims.set(Some(subject), age, published);
        }
        claims
    }

    /// Puts what a subject publishes, or with none the zone itself, in the place of what it did; the addresses where that
    /// may make a difference.
    pub fn set(&mut self, claimant: Option<Subject>, age: Age, published: Vec<PublishedAddress>) -> BTreeSet<IpAddr> {
        let claimant = claimant.map(Arc::new);
        let before = self.claimed.remove(&claimant).unwrap_or_default();
        for address in &before {
            let Some(claims) = self.claims.get_mut(address) else { continue };
            claims.retain(|claim| claim.rank.claimant != claimant);
            if claims.is_empty() {
                self.claims.remove(address);
            }
        }
        // Of the names that one subject has for an address, the first counts.
        let mut best: BTreeMap<IpAddr, (AddressOrigin, Name, u32)> = BTreeMap::new();
        let published = published.into_iter().filter(|published| published.origin.owns_ptr());
        for PublishedAddress { address, origin, owner, ttl } in published {
            let is_better = |(known, other, _): &(AddressOrigin, Name, u32)| (origin, &owner) < (*known, other);
            if best.get(&address).is_none_or(is_better) {
                best.insert(address, (origin, owner, ttl));
            }
        }
        let claimed: Box<[IpAddr]> = best.keys().copied().collect();
        for (address, (origin, owner, ttl)) in best {
            let rank = Rank { origin, age, claimant: claimant.clone() };
            let claims = self.claims.entry(address).or_default();
            let place = claims.partition_point(|other| other.rank < rank);
            claims.insert(place, Claim { rank, target: Target::new(&owner, ttl) });
        }
        let touched = before.iter().chain(&claimed).copied().collect();
        if !claimed.is_empty() {
            self.claimed.insert(claimant, claimed);
        }
        touched
    }

    /// Takes `others` for its own; the addresses whose best claim is another one now.
    pub fn replace(&mut self, others: Self) -> BTreeSet<IpAddr> {
        let addresses: BTreeSet<_> = [&*self, &others].iter().flat_map(|claims| claims.addresses()).collect();
        let differing = addresses.into_iter().filter(|address| self.best(*address) != others.best(*address)).collect();
        *self = others;
        differing
    }

    /// Who claims `address`, the best first: the subject, none being the zone itself, and what it publishes.
    pub fn claimants(&self, address: IpAddr) -> impl Iterator<Item = (Option<&Subject>, PublishedAddress)> {
        self.claims.get(&address).into_iter().flatten().map(move |Claim { rank, target }| {
            let published = PublishedAddress { address, origin: rank.origin, owner: target.owner(), ttl: target.ttl };
            (rank.claimant.as_deref(), published)
        })
    }

    fn best(&self, address: IpAddr) -> Option<&Claim> {
        self.claims.get(&address)?.first()
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.claims.keys().copied()
    }

    fn within(&self, prefix: IpNet) -> impl Iterator<Item = IpAddr> {
        let from = self.claims.range(prefix.network()..);
        from.map(|(address, _)| *address).take_while(move |address| prefix.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ServiceKey;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn zone(origin: &str) -> ReverseZone {
        ReverseZone::at(name(origin)).unwrap()
    }

    #[test]
    fn a_zone_has_the_name_of_its_prefix() {
        let check = |origin: &str, prefix: Option<&str>| {
            let found = ReverseZone::at(name(origin)).map(|zone| zone.prefix);
            assert_eq!(found, prefix.map(|prefix| prefix.parse().unwrap()), "{origin}");
        };

        check("0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.", Some("2a0a:e5c0:10:3::/108"));
        check("2.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.", Some("2a0a:e5c0:10:2::/64"));
        check("0.c.5.e.a.0.a.2.ip6.arpa.", Some("2a0a:e5c0::/32"));
        check("0.C.5.E.A.0.A.2.IP6.arpa.", Some("2a0a:e5c0::/32"));
        check("2.ip6.arpa.", Some("2000::/4"));
        check("ip6.arpa.", Some("::/0"));
        check("194.78.147.in-addr.arpa.", Some("147.78.194.0/24"));
        check("78.147.in-addr.arpa.", Some("147.78.0.0/16"));
        check("9.194.78.147.in-addr.arpa.", Some("147.78.194.9/32"));
        check("in-addr.arpa.", Some("0.0.0.0/0"));

        check("arpa.", None);
        check(".", None);
        check("c2.k8s.ooo.", None);
        check("078.147.in-addr.arpa.", None);
        check("256.in-addr.arpa.", None);
        check("0.9.194.78.147.in-addr.arpa.", None);
        check("20.ip6.arpa.", None);
        check("g.ip6.arpa.", None);
        check("*.ip6.arpa.", None);
        check(&format!("{}ip6.arpa.", "0.".repeat(32)), Some("::/128"));
        check(&format!("{}ip6.arpa.", "0.".repeat(33)), None);
    }

    #[test]
    fn of_zones_in_each_other_the_longest_prefix_holds_an_address() {
        let inner = zone("1.0.0.0.0.c.5.e.a.0.a.2.ip6.arpa.");
        let outer = ReverseZone { except: vec![inner.prefix], ..zone("0.c.5.e.a.0.a.2.ip6.arpa.") };
        let check = |address: &str, holder: [bool; 2]| {
            let address = address.parse().unwrap();
            assert_eq!([outer.holds(address), inner.holds(address)], holder, "{address}");
        };

        check("2a0a:e5c0:1::1", [false, true]);
        check("2a0a:e5c0:2::1", [true, false]);
        check("2a0a:e5c1::1", [false, false]);
        check("147.78.194.9", [false, false]);
    }

    /// What `claims`, a line each, make of 2a0a::1: `ZONE CLAIMANT AGE ORIGIN OWNER`, with `-` for none.
    fn check(claims: &str, expected: &str) {
        let address = "2a0a::1".parse().unwrap();
        let mut zones: Vec<(&str, AddressClaims)> = Vec::new();
        for line in claims.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let [zone, claimant, age, origin, owner] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let origin = match origin {
                "nameserver" => AddressOrigin::NameServer,
                "cluster" => AddressOrigin::ClusterIp,
                "balancer" => AddressOrigin::LoadBalancer,
                "endpoint" => AddressOrigin::Endpoint,
                "pod" => AddressOrigin::Pod,
                "external" => AddressOrigin::ExternalIp,
                _ => panic!("{line}"),
            };
            let claimant = claimant.split_once('/').map(|(namespace, name)| {
                Subject::Service(ServiceKey { namespace: namespace.into(), name: name.into() })
            });
            let place = zones.iter().position(|(known, _)| *known == zone).unwrap_or(zones.len());
            if place == zones.len() {
                zones.push((zone, AddressClaims::default()));
            }
            let published = vec![PublishedAddress { address, origin, owner: name(owner), ttl: 7 }];
            zones[place].1.set(claimant, Age(age.parse().ok()), published);
        }
        // The order that they came in is nobody's.
        let owner = |claims: &[&AddressClaims]| elect(address, claims).map(|target| target.owner().to_string());
        let found = owner(&zones.iter().map(|(_, claims)| claims).collect::<Vec<_>>());
        assert_eq!(found.as_deref().unwrap_or("nobody"), expected, "{claims}");
    }

    #[test]
    fn an_address_has_the_name_of_the_best_claim() {
        check("", "nobody");
        check("c2 shop/web 1 external web.", "web.");
        // Where it comes from, before everything else.
        check("c2 a/a 1 external thief.\n c2 z/z 9 pod z.", "z.");
        check("c2 a/a 1 pod a.\n c2 z/z 9 endpoint z.", "z.");
        check("c2 a/a 1 endpoint a.\n c2 z/z 9 balancer z.", "z.");
        check("c2 a/a 1 balancer a.\n c2 z/z 9 cluster z.", "z.");
        check("c2 a/a 1 cluster a.\n c2 - - nameserver ns.", "ns.");
        // Then the oldest, and last what has no age.
        check("c2 a/a 9 cluster a.\n c2 z/z 1 cluster z.", "z.");
        check("c2 a/a - cluster a.\n c2 z/z 9 cluster z.", "z.");
        // Then namespace and name.
        check("c2 b/a 1 cluster ba.\n c2 a/z 1 cluster az.", "az.");
        check("c2 a/z 1 cluster az.\n c2 a/b 1 cluster ab.", "ab.");
        // All of that over all clusters, and then the first zone.
        check("c2 a/a 9 cluster c2.\n c3 z/z 1 cluster c3.", "c3.");
        check("c2 b/b 1 cluster c2.\n c3 a/a 1 cluster c3.", "c3.");
        check("c3 a/a 1 cluster c3.\n c2 a/a 1 cluster c2.", "c3.");
    }

    #[test]
    fn of_one_subjects_names_the_best_source_counts_and_then_the_first() {
        let mut claims = AddressClaims::default();
        let address = "2a0a::1".parse().unwrap();
        let published = |origin, owner| PublishedAddress { address, origin, owner: name(owner), ttl: 7 };
        let several = vec![
            published(AddressOrigin::ExternalIp, "a."),
            published(AddressOrigin::Endpoint, "c."),
            published(AddressOrigin::Endpoint, "b."),
        ];

        assert_eq!(claims.set(None, Age::default(), several), BTreeSet::from([address]));
        assert_eq!(elect(address, &[&claims]), Some(&Target::new(&name("b."), 7)));
        assert_eq!(claims.set(None, Age::default(), Vec::new()), BTreeSet::from([address]));
        assert_eq!(elect(address, &[&claims]), None);
        assert!(claims.claims.is_empty() && claims.claimed.is_empty(), "nothing is left of it");
    }

    #[test]
    fn who_takes_the_place_of_other_claims_tells_what_changes() {
        let claims = |addresses: &[(&str, &str)]| {
            let mut claims = AddressClaims::default();
            let published = addresses.iter().map(|(address, owner)| {
                let (address, origin) = (address.parse().unwrap(), AddressOrigin::ClusterIp);
                PublishedAddress { address, origin, owner: name(owner), ttl: 7 }
            });
            claims.set(None, Age::default(), published.collect());
            claims
        };
        let mut known = claims(&[("2a0a::1", "same."), ("2a0a::2", "before."), ("2a0a::3", "gone.")]);

        let changed = known.replace(claims(&[("2a0a::1", "same."), ("2a0a::2", "after."), ("10.0.0.1", "new.")]));
        let expected = ["10.0.0.1", "2a0a::2", "2a0a::3"].map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(Vec::from_iter(changed), expected);
    }
}

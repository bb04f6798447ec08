//! What the parent of a zone should say of it.

use std::net::IpAddr;

use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::zone::{HashedName, Record, Zone};

/// A CDS record that asks for the DS records to be taken away (RFC 8078 §4): that is how none looks.
const DELETE: [u8; 5] = [0, 0, 0, 0, 0];

/// A name server, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Its name, fully qualified, in lower case.
    pub name: Name,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// What a parent zone should say of a child: its NS RRset, the glue that leads to those name servers, and its DS RRset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The child zone.
    pub zone: Name,
    /// Its name servers. Those within the zone have all their addresses, which become glue; others have none: whoever looks
    /// for them finds them without this delegation (RFC 9471 §2).
    pub servers: Vec<NameServer>,
    /// Seconds that resolvers may remember the NS RRset for.
    pub ttl: u32,
    /// The same of the glue.
    pub glue_ttl: u32,
    /// DS records; none where the child is not signed.
    pub ds: Vec<Record>,
}

impl Delegation {
    /// What the parent of `zone` should say of it, going by what the zone says of itself: its NS RRset, the addresses of those
    /// name servers that are in it, and, where it says so, its DS records (CDS, RFC 7344).
    #[must_use]
    pub fn of(zone: &Zone) -> Self {
        let apex = zone.apex();
        let of_apex =
            |rtype| zone.at(&HashedName::from(apex)).1.into_iter().filter(move |record: &Record| record.rtype == rtype);
        let ns: Vec<_> = of_apex(RecordType::NS).collect();
        let mut glue_ttl = None;
        let mut servers: Vec<_> = ns
            .iter()
            .filter_map(Record::target)
            .map(|name| {
                let name = name.to_lowercase();
                let own = if apex.zone_of(&name) { zone.at(&HashedName::from(&name)).1 } else { Vec::new() };
                let glue = own.iter().filter(|record| record.address().is_some());
                glue_ttl = glue.clone().map(|record| record.ttl).chain(glue_ttl).min();
                let mut addresses: Vec<_> = glue.filter_map(Record::address).collect();
                addresses.sort_by_key(|address| (address.is_ipv4(), *address));
                NameServer { name, addresses }
            })
            .collect();
        servers.sort_by(|one, other| one.name.cmp(&other.name));
        let ttl = ns.first().map_or(0, |record| record.ttl);
        let is_key = |record: &Record| record.rdata.wire() != DELETE;
        let ds = of_apex(RecordType::CDS).filter(is_key).map(|cds| Record { rtype: RecordType::DS, ..cds }).collect();
        Self { zone: apex.clone(), servers, ttl, glue_ttl: glue_ttl.unwrap_or(ttl), ds }
    }

    /// The records that the parent should have: NS, DS, and glue.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let ns = self
            .servers
            .iter()
            .map(|server| Record::new(self.zone.clone(), self.ttl, &RData::NS(NS(server.name.clone()))));
        let glue = self.servers.iter().flat_map(|server| {
            server.addresses.iter().map(|ip| Record::new(server.name.clone(), self.glue_ttl, &RData::from(*ip)))
        });
        ns.chain(self.ds.iter().cloned()).chain(glue).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::master;

    /// `text` of c2.k8s.ooo, and what belongs into its parent: as master files have it.
    fn check(text: &str, expected: &str) {
        let apex = Name::from_ascii("c2.k8s.ooo.").expect("a name");
        let soa = "@ 3600 SOA ns hostmaster 1 4h 1h 2w 30\n";
        let records = master::parse(format!("{soa}{text}").as_bytes(), &apex, None).expect("a master file");
        let (zone, _) = Zone::build(&apex, records).expect("a zone");
        let Delegation { servers, ttl, glue_ttl, ds, .. } = Delegation::of(&zone);
        let mut said = String::new();
        for NameServer { name, addresses } in servers {
            said += &format!("{ttl} {name} {glue_ttl} {addresses:?}\n");
        }
        for key in ds {
            said += &format!("{} {} {}\n", key.ttl, key.rtype_to_text(), key.rdata_to_text());
        }
        assert_eq!(said, expected);
    }

    #[test]
    fn a_name_server_within_the_zone_needs_all_its_addresses() {
        check(
            "@ 3600 NS Kube-DNS\nkube-dns 60 A 192.0.2.1\nkube-dns 90 AAAA 2001:db8::1",
            "3600 kube-dns.c2.k8s.ooo. 60 [2001:db8::1, 192.0.2.1]\n",
        );
    }

    #[test]
    fn others_need_none() {
        check("@ 300 NS ns1.k8s.ooo.\n@ 300 NS ns.example.", "300 ns.example. 300 []\n300 ns1.k8s.ooo. 300 []\n");
    }

    #[test]
    fn what_the_zone_wants_for_ds_is_its_cds() {
        check("@ 60 NS ns.example.\n@ 60 CDS 1 13 2 abcdef", "60 ns.example. 60 []\n60 DS 1 13 2 ABCDEF\n");
        check("@ 60 NS ns.example.\n@ 60 CDS 0 0 0 00", "60 ns.example. 60 []\n");
    }
}

//! Where name servers are: the Internet, or a small world that stands in for it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hickory_proto::rr::{Name, RecordType};

use super::NameServer;
use crate::zone::master;

/// The root's name servers, from IANA.
const HINTS: &str = include_str!("root.hints");

/// Where a walk begins, and where on this machine the addresses lead that it comes upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// The root's name servers: where every walk begins.
    pub roots: Vec<NameServer>,
    /// The port that name servers listen on.
    pub port: u16,
    /// Addresses that are somewhere else than on that port of themselves: a world within one machine.
    pub places: BTreeMap<IpAddr, SocketAddr>,
    /// Which addresses are asked.
    pub families: Families,
}

/// A root server: its address, and its port where that is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

/// What is no root server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a root server is ADDR, ADDR:PORT or [ADDR]:PORT, with an address and no name")]
pub struct NoRoot;

impl FromStr for Root {
    type Err = NoRoot;

    fn from_str(text: &str) -> Result<Self, NoRoot> {
        if let Ok(address) = text.parse() {
            return Ok(Self { address, port: None });
        }
        let server: SocketAddr = text.parse().map_err(|_| NoRoot)?;
        Ok(Self { address: server.ip(), port: Some(server.port()) })
    }
}

/// As it is read.
impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            Some(place) => place.fmt(f),
            None => self.address.fmt(f),
        }
    }
}

impl Root {
    /// Where it is, if that is not where all others would be.
    #[must_use]
    pub fn place(&self) -> Option<SocketAddr> {
        self.port.map(|port| SocketAddr::new(self.address, port))
    }
}

/// Over what name servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// At all of their addresses.
    Both,
    /// At those of IPv4.
    Ipv4,
    /// At those of IPv6.
    Ipv6,
}

impl World {
    /// The Internet.
    #[must_use]
    pub fn internet() -> Self {
        let records = master::parse(HINTS.as_bytes(), &Name::root(), None).expect("built in, and tested");
        let (servers, addresses): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.rtype == RecordType::NS);
        let roots = servers.iter().filter_map(|record| record.target()).map(|name| {
            let own = addresses.iter().filter(|record| record.owner == name);
            NameServer { addresses: own.filter_map(|record| record.address()).collect(), name }
        });
        let roots = roots.collect();
        Self { roots, port: 53, places: BTreeMap::new(), families: Families::Both }
    }

    /// One whose only root servers are at `roots`, which nobody has told a name of.
    #[must_use]
    pub fn rooted(roots: Vec<IpAddr>) -> Self {
        Self { roots: vec![NameServer { name: Name::root(), addresses: roots }], ..Self::internet() }
    }

    /// The one that begins at `roots`, each address among which is at one place; the Internet, where there are none.
    #[must_use]
    pub fn beginning_at(roots: &[Root]) -> Self {
        if roots.is_empty() {
            return Self::internet();
        }
        let places = roots.iter().filter_map(|root| Some((root.address, root.place()?))).collect();
        let mut addresses: Vec<_> = roots.iter().map(|root| root.address).collect();
        addresses.dedup();
        Self { places, ..Self::rooted(addresses) }
    }

    /// Whether `server` is asked at all.
    #[must_use]
    pub fn asks(&self, server: IpAddr) -> bool {
        match self.families {
            Families::Both => true,
            Families::Ipv4 => server.is_ipv4(),
            Families::Ipv6 => server.is_ipv6(),
        }
    }

    /// Where to send what is meant for `server`.
    #[must_use]
    pub fn place(&self, server: IpAddr) -> SocketAddr {
        self.places.get(&server).copied().unwrap_or(SocketAddr::new(server, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_thirteen_servers_with_an_address_of_each_family() {
        let world = World::internet();
        assert_eq!(world.roots.len(), 13);
        for server in &world.roots {
            let families: Vec<_> = server.addresses.iter().map(IpAddr::is_ipv6).collect();
            assert_eq!(families, [false, true], "{}", server.name);
        }
    }
}

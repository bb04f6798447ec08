//! How IPv4 clients reach what has IPv6 addresses only: a translator in front of the cluster, or its HTTP(S) proxy.
//!
//! Nothing is translated here. The operator says what the translator does, and
//! which addresses the proxy has; this says which A records follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::annotation::PROXY;
use super::host::Host;
use super::{AddressOrigin, Reason};
use crate::cluster::{Port, Protocol, Service};

/// The ways that IPv4 has into a zone's cluster. Where a Service has an IPv4 address to publish, none of them is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ipv4Paths {
    /// What is translated: of every IPv6 address that is published, also those of endpoints and name servers.
    pub nat64: Nat64,
    /// The addresses of the HTTP(S) proxy, for Services that nothing is translated for.
    pub proxies: BTreeSet<Ipv4Addr>,
}

impl Ipv4Paths {
    /// Adds the IPv4 addresses of a Service that consists of `hosts`: its own are all, else what the translator gives
    /// them, else, if it `is_proxied`, the proxies at the Service's name.
    pub(super) fn complete(&self, hosts: &mut Vec<Host>, is_proxied: bool) {
        let has_ipv4 = |hosts: &[Host]| hosts.iter().flat_map(|host| host.addresses.keys()).any(IpAddr::is_ipv4);
        if has_ipv4(hosts) {
            return;
        }
        for host in &mut *hosts {
            self.nat64.complete(&mut host.addresses);
        }
        if is_proxied && !self.proxies.is_empty() && !hosts.is_empty() && !has_ipv4(hosts) {
            let addresses = self.proxies.iter().map(|address| (IpAddr::V4(*address), AddressOrigin::Proxy)).collect();
            hosts.push(Host { addresses, ..Host::default() });
        }
    }
}

/// Whether a Service is one for the HTTP(S) proxy: it says so itself, or else has a port for it.
pub(super) fn is_proxied(service: &Service, reasons: &mut Vec<Reason>) -> bool {
    match service.annotations.get(PROXY).map(|value| &**value) {
        None => service.ports.iter().any(is_http),
        Some("true") => true,
        Some(other) => {
            if other != "false" {
                reasons.push(Reason::BadAnnotation);
            }
            false
        }
    }
}

/// Whether the port is HTTP's or HTTPS', by its number, its name or what is spoken there.
fn is_http(port: &Port) -> bool {
    let is_usual = port.protocol == Protocol::Tcp && [80, 443].contains(&port.number);
    // Names of ports are in lower case, those of protocols are not (RFC 6335 §5.1).
    is_usual || port.name.starts_with("http") || port.app_protocol.to_ascii_lowercase().starts_with("http")
}

/// Explicit address mappings (RFC 7757 §3) of a translator between IPv6 and IPv4.
///
/// # Invariants
///
/// [`Nat64::map`] establishes these.
///
/// - `one-to-one`: no prefix of either family stands in two mappings.
/// - `same-size`: the two prefixes of a mapping have equally many host bits.
/// - `whole`: no prefix has host bits that are set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nat64 {
    to: BTreeMap<Ipv6Net, Ipv4Net>,
    /// All that addresses are mapped to.
    taken: BTreeSet<Ipv4Net>,
}

impl Nat64 {
    /// Maps the addresses inside of `from` to those inside of `to`, by their host bits.
    ///
    /// # Errors
    ///
    /// What the invariants forbid; nothing is mapped then.
    pub fn map(&mut self, from: Ipv6Net, to: Ipv4Net) -> Result<(), MappingError> {
        let (from, to) = (from.trunc(), to.trunc());
        if from.max_prefix_len() - from.prefix_len() != to.max_prefix_len() - to.prefix_len() {
            return Err(MappingError::OtherSize { from, to });
        }
        if self.to.contains_key(&from) {
            return Err(MappingError::FromTwice(from));
        }
        if !self.taken.insert(to) {
            return Err(MappingError::ToTwice(to));
        }
        self.to.insert(from, to);
        Ok(())
    }

    /// What is mapped to what.
    pub fn mappings(&self) -> impl Iterator<Item = (Ipv6Net, Ipv4Net)> {
        self.to.iter().map(|(from, to)| (*from, *to))
    }

    /// The IPv4 address at which IPv4 clients reach an IPv6 address.
    ///
    /// In both directions the longest prefix counts (RFC 7757 §3.3): where mappings overlap, an IPv4 address may lead
    /// elsewhere than to where it came from, and is none then.
    #[must_use]
    pub fn ipv4_of(&self, address: IpAddr) -> Option<IpAddr> {
        let IpAddr::V6(address) = address else { return None };
        let prefix = |length| Ipv6Net::new_assert(address, length).trunc();
        // `same-size`: shorter ones than /96 match no IPv4 prefix.
        let to = (96..=128).rev().find_map(|length| self.to.get(&prefix(length)))?;
        let [.., a, b, c, d] = address.octets();
        let host_bits = Ipv4Addr::new(a, b, c, d) & to.hostmask();
        let address = to.network() | host_bits;
        let prefix = |length| Ipv4Net::new_assert(address, length).trunc();
        let back = (0..=32).rev().map(prefix).find(|prefix| self.taken.contains(prefix));
        (back.as_ref() == Some(to)).then_some(address.into())
    }

    /// Adds what `addresses` are translated to, unless there is an IPv4 address among them.
    pub(super) fn complete(&self, addresses: &mut BTreeMap<IpAddr, AddressOrigin>) {
        if self.to.is_empty() || addresses.keys().any(IpAddr::is_ipv4) {
            return;
        }
        let translated: Vec<_> = addresses.keys().filter_map(|address| self.ipv4_of(*address)).collect();
        addresses.extend(translated.into_iter().map(|address| (address, AddressOrigin::Nat64)));
    }
}

/// Two prefixes that addresses cannot be mapped between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// They are not of the same size.
    #[error(
        "`{to}` has {} host bits and `{from}` {}: each address of one is mapped to one of the other",
        to.max_prefix_len() - to.prefix_len(),
        from.max_prefix_len() - from.prefix_len()
    )]
    OtherSize {
        /// The IPv6 prefix.
        from: Ipv6Net,
        /// The IPv4 prefix.
        to: Ipv4Net,
    },
    /// The IPv6 prefix is mapped already.
    #[error("a mapping from `{0}` is configured twice")]
    FromTwice(Ipv6Net),
    /// Something is mapped to the IPv4 prefix already.
    #[error("a mapping to `{0}` is configured twice: IPv4 clients reach one IPv6 address there")]
    ToTwice(Ipv4Net),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nat64(mappings: &[(&str, &str)]) -> Nat64 {
        let mut nat64 = Nat64::default();
        for (from, to) in mappings {
            nat64.map(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        }
        nat64
    }

    fn check(nat64: &Nat64, address: &str, expected: Option<&str>) {
        let found = nat64.ipv4_of(address.parse().unwrap());
        assert_eq!(found, expected.map(|address| address.parse().unwrap()), "{address}");
    }

    #[test]
    fn an_address_keeps_its_host_bits() {
        let nat64 = nat64(&[
            ("2a0a::a/128", "147.78.194.9/32"),
            ("2a0a:1::/120", "147.78.195.0/24"),
            ("2a0a:2::f0/125", "147.78.194.16/29"),
            ("64:ff9b::/96", "0.0.0.0/0"),
        ]);

        check(&nat64, "2a0a::a", Some("147.78.194.9"));
        check(&nat64, "2a0a::b", None);
        check(&nat64, "147.78.194.9", None);
        check(&nat64, "2a0a:1::", Some("147.78.195.0"));
        check(&nat64, "2a0a:1::7f", Some("147.78.195.127"));
        check(&nat64, "2a0a:1::ff", Some("147.78.195.255"));
        check(&nat64, "2a0a:1::100", None);
        check(&nat64, "2a0a:2::f7", Some("147.78.194.23"));
        check(&nat64, "2a0a:2::f8", None);
        check(&nat64, "64:ff9b::8.8.8.8", Some("8.8.8.8"));
        check(&nat64, "64:ff9b:0:1::8.8.8.8", None);
    }

    #[test]
    fn the_longest_prefix_counts_in_both_directions() {
        let nat64 = nat64(&[
            ("2a0a::/120", "147.78.195.0/24"),
            ("2a0a::10/124", "147.78.194.0/28"),
            ("2a0a::11/128", "147.78.195.77/32"),
            ("64:ff9b::/96", "0.0.0.0/0"),
        ]);

        check(&nat64, "2a0a::1", Some("147.78.195.1"));
        check(&nat64, "2a0a::10", Some("147.78.194.0"));
        check(&nat64, "2a0a::11", Some("147.78.195.77"));
        check(&nat64, "2a0a::20", Some("147.78.195.32"));
        // 147.78.195.77 leads to ::11, and what the others are mapped to leads to them.
        check(&nat64, "2a0a::4d", None);
        check(&nat64, "64:ff9b::147.78.195.77", None);
        check(&nat64, "64:ff9b::147.78.195.78", None);
        check(&nat64, "64:ff9b::147.78.194.16", Some("147.78.194.16"));
    }

    #[test]
    fn what_is_refused_maps_nothing() {
        let mut nat64 = nat64(&[("2a0a::/120", "147.78.195.0/24")]);
        let before = nat64.clone();
        let mut check = |from: &str, to: &str, expected: MappingError| {
            assert_eq!(nat64.map(from.parse().unwrap(), to.parse().unwrap()), Err(expected));
            assert_eq!(nat64, before);
        };

        let [from, other]: [Ipv6Net; 2] = ["2a0a::/120", "2a0a::/121"].map(|net| net.parse().unwrap());
        let [to, free]: [Ipv4Net; 2] = ["147.78.195.0/24", "147.78.194.0/24"].map(|net| net.parse().unwrap());
        check("2a0a::/121", "147.78.194.0/24", MappingError::OtherSize { from: other, to: free });
        check("2a0a::1/120", "147.78.194.0/24", MappingError::FromTwice(from));
        check("2a0a:1::/120", "147.78.195.1/24", MappingError::ToTwice(to));
    }

    #[test]
    fn http_is_known_by_number_or_by_name() {
        let is = |name: &str, app_protocol: &str, protocol, number| {
            is_http(&Port { name: name.into(), protocol, number, app_protocol: app_protocol.into() })
        };
        let check = |name: &str, protocol, number, expected| {
            assert_eq!(is(name, "", protocol, number), expected, "{name} {number}");
            assert_eq!(is("", name, protocol, number), expected, "{name} {number}");
        };

        check("", Protocol::Tcp, 80, true);
        check("", Protocol::Tcp, 443, true);
        check("", Protocol::Tcp, 8080, false);
        check("web", Protocol::Tcp, 8443, false);
        check("http", Protocol::Tcp, 8080, true);
        check("https-admin", Protocol::Tcp, 8443, true);
        check("http3", Protocol::Udp, 443, true);
        check("my-http", Protocol::Tcp, 8080, false);
        check("kubernetes.io/h2c", Protocol::Tcp, 8080, false);
        // A tunnel, mostly: no proxy takes it.
        check("", Protocol::Udp, 443, false);
        assert!(is("web", "HTTPS", Protocol::Tcp, 8443));
    }
}

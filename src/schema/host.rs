//! What a Service's addresses and SRV records are made from: hosts.
//!
//! A Service with addresses of its own is one host, the Service's name. A headless one has
//! a host for each hostname of its endpoints, the Service's name being all of
//! them together. The rest of the schema does not tell the two apart.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{AddressFilter, AddressOrigin, AddressSource, Reason};
use crate::cluster::{EndpointSlice, Port, Protocol, Service, ServiceType, is_label};

/// A name with addresses, and the ports that can be reached there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// The label below the Service's name; none: the Service's name itself.
    pub(super) label: Option<String>,
    /// Those that may be published and where they come from, never empty.
    pub(super) addresses: BTreeMap<IpAddr, AddressOrigin>,
    /// Those with a name that makes a label.
    pub(super) ports: BTreeSet<(SrvPrefix, u16)>,
}

/// The two labels that an SRV record has before the Service's name, `_https._tcp` (RFC 2782).
pub(super) type SrvPrefix = (Arc<str>, Protocol);

/// The host of a Service with addresses of its own, or why there is none.
///
/// For each family the first of `sources` that has an address to publish gives all of them.
pub(super) fn of_service(
    service: &Service,
    sources: &[AddressSource],
    filter: &AddressFilter,
    reasons: &mut Vec<Reason>,
) -> Vec<Host> {
    let of = |source: &AddressSource| match source {
        AddressSource::ClusterIp => &service.cluster_ips,
        AddressSource::LoadBalancer => &service.ingress_ips,
        AddressSource::ExternalIp => &service.external_ips,
    };
    let published: Vec<_> = sources.iter().map(|source| published(of(source), filter)).collect();
    let mut addresses = BTreeMap::new();
    for is_of_family in [IpAddr::is_ipv6, IpAddr::is_ipv4] {
        let mut found = sources.iter().zip(&published).filter(|(_, found)| found.iter().any(is_of_family));
        if let Some((source, found)) = found.next() {
            let origin = AddressOrigin::from(*source);
            addresses.extend(found.iter().copied().filter(is_of_family).map(|address| (address, origin)));
        }
    }
    if addresses.is_empty() {
        let awaits_ingress = service.service_type == ServiceType::LoadBalancer
            && sources.contains(&AddressSource::LoadBalancer)
            && service.ingress_ips.is_empty();
        let all: Vec<_> = sources.iter().flat_map(of).copied().collect();
        if awaits_ingress || all.is_empty() {
            reasons.push(Reason::AddressPending);
        }
        if !all.is_empty() {
            withhold(all.into_iter(), reasons);
        }
        return Vec::new();
    }
    vec![Host { label: None, addresses, ports: named(&service.ports, reasons) }]
}

/// The hosts of a headless Service, or why there are none.
///
/// Endpoints with one hostname are one host, in whichever slices they are.
pub(super) fn of_endpoints<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
    filter: &AddressFilter,
    reasons: &mut Vec<Reason>,
) -> Vec<Host> {
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    for slice in slices.clone() {
        let ports = named(&slice.ports, reasons);
        for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
            let hostname = endpoint.hostname.as_deref().filter(|hostname| {
                let valid = is_label(hostname);
                if !valid {
                    reasons.push(Reason::InvalidHostname);
                }
                valid
            });
            for address in published(&endpoint.addresses, filter) {
                let label = hostname.map_or_else(|| dashed(address), str::to_owned);
                let host = match hosts.entry(label) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        let label = Some(entry.key().clone());
                        entry.insert(Host { label, ..Host::default() })
                    }
                };
                host.addresses.insert(address, AddressOrigin::Endpoint);
                host.ports.extend(ports.iter().cloned());
            }
        }
    }
    if hosts.is_empty() {
        let endpoints = slices.flat_map(|slice| &slice.endpoints).filter(|endpoint| endpoint.ready);
        withhold(endpoints.flat_map(|endpoint| endpoint.addresses.iter().copied()), reasons);
    }
    hosts.into_values().collect()
}

/// Keeps the first of each host's addresses and ports, as many as RRsets of its own may hold.
pub(super) fn shorten(hosts: &mut [Host], limit: usize, reasons: &mut Vec<Reason>) {
    for host in hosts.iter_mut().filter(|host| host.addresses.len() > limit || host.ports.len() > limit) {
        let before = (host.addresses.len(), host.ports.len());
        let (mut v6, mut v4) = (0, 0);
        host.addresses.retain(|address, _| {
            let count = if address.is_ipv6() { &mut v6 } else { &mut v4 };
            *count += 1;
            *count <= limit
        });
        let mut numbers: BTreeMap<SrvPrefix, usize> = BTreeMap::new();
        host.ports.retain(|(prefix, _)| {
            let count = numbers.entry(prefix.clone()).or_default();
            *count += 1;
            *count <= limit
        });
        if before != (host.addresses.len(), host.ports.len()) {
            reasons.push(Reason::TooManyRecords);
        }
    }
}

/// Leaves out what would make an RRset larger than `limit`, the same hosts in A, AAAA and SRV.
///
/// They stay in the order of their labels, but are taken in turns, one with an IPv6 address and one with
/// IPv4 only: a family must not lose all of its addresses because the other one has filled the SRV records.
pub(super) fn limit(mut hosts: Vec<Host>, limit: usize, reasons: &mut Vec<Reason>) -> Vec<Host> {
    shorten(&mut hosts, limit, reasons);
    // It has all of the room.
    if hosts.len() == 1 {
        return hosts;
    }
    let (v6, v4): (Vec<Host>, Vec<Host>) =
        hosts.into_iter().partition(|host| host.addresses.keys().any(IpAddr::is_ipv6));
    let mut turns: Vec<(usize, Host)> = v6.into_iter().enumerate().chain(v4.into_iter().enumerate()).collect();
    turns.sort_by_key(|(turn, _)| *turn); // stable: IPv6 goes first

    let mut room = Room { limit, addresses: BTreeSet::new(), targets: BTreeMap::new() };
    let mut taken = Vec::with_capacity(turns.len());
    for (_, host) in turns {
        if room.take(&host) {
            taken.push(host);
        } else {
            reasons.push(Reason::TooManyRecords);
        }
    }
    taken.sort_by(|one, other| one.label.cmp(&other.label));
    taken
}

/// What the RRsets at and below a Service's name hold so far.
struct Room {
    limit: usize,
    /// At the Service's name.
    addresses: BTreeSet<IpAddr>,
    /// The number of SRV records.
    targets: BTreeMap<SrvPrefix, usize>,
}

impl Room {
    /// Takes the host in, if all of it fits.
    fn take(&mut self, host: &Host) -> bool {
        let has_room = |is_of_family: fn(&IpAddr) -> bool| {
            let new = host.addresses.keys().filter(|address| !self.addresses.contains(*address));
            self.addresses.iter().chain(new).filter(|address| is_of_family(address)).count() <= self.limit
        };
        let mut targets: BTreeMap<&SrvPrefix, usize> = BTreeMap::new();
        for (prefix, _) in &host.ports {
            let before = self.targets.get(prefix).copied().unwrap_or(0);
            *targets.entry(prefix).or_insert(before) += 1;
        }
        if targets.values().any(|count| *count > self.limit) || !has_room(IpAddr::is_ipv6) || !has_room(IpAddr::is_ipv4)
        {
            return false;
        }
        self.addresses.extend(host.addresses.keys());
        self.targets.extend(targets.into_iter().map(|(prefix, count)| (prefix.clone(), count)));
        true
    }
}

fn published(addresses: &[IpAddr], filter: &AddressFilter) -> BTreeSet<IpAddr> {
    addresses.iter().copied().filter(|address| filter.passes(*address)).collect()
}

/// Says why none of `addresses` is published.
fn withhold(mut addresses: impl Iterator<Item = IpAddr>, reasons: &mut Vec<Reason>) {
    let Some(first) = addresses.next() else {
        reasons.push(Reason::NoReadyEndpoints);
        return;
    };
    if !first.is_ipv6() && !addresses.any(|address| address.is_ipv6()) {
        reasons.push(Reason::Ipv4Only);
    }
    reasons.push(Reason::AddressNotPublic);
}

/// The ports that own SRV records: those with a name.
fn named(ports: &[Port], reasons: &mut Vec<Reason>) -> BTreeSet<(SrvPrefix, u16)> {
    let mut named = BTreeSet::new();
    for port in ports.iter().filter(|port| !port.name.is_empty()) {
        // With `_` before it, the name has to fit into a label of 63 bytes.
        if is_label(&port.name) && port.name.len() < 63 {
            named.insert(((port.name.clone(), port.protocol), port.number));
        } else {
            reasons.push(Reason::InvalidPortName);
        }
    }
    named
}

/// The label of an endpoint without a hostname, or of a Pod: its address in RFC 5952 text
/// with `-` for `:` and `.`, and a `0` where it would begin or end with `-`.
pub(super) fn dashed(address: IpAddr) -> String {
    let mut label = address.to_string().replace([':', '.'], "-");
    if label.starts_with('-') {
        label.insert(0, '0');
    }
    if label.ends_with('-') {
        label.push('0');
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_makes_a_label() {
        let check = |address: &str, label: &str| assert_eq!(dashed(address.parse().unwrap()), label);

        check("2a0a:e5c0:10:2::11", "2a0a-e5c0-10-2--11");
        check("2A0A:E5C0:0010:0002:0:0:0:0011", "2a0a-e5c0-10-2--11");
        check("::1", "0--1");
        check("2a0a::", "2a0a--0");
        check("::", "0--0");
        check("::ffff:192.0.2.1", "0--ffff-192-0-2-1");
        check("147.78.194.9", "147-78-194-9");
        check("2a0a:0:0:1:0:0:0:1", "2a0a-0-0-1--1");
    }

    /// Hosts numbered `numbers`, with an address each and the port `_a._tcp`.
    fn hosts(prefix: &str, numbers: std::ops::Range<u16>) -> Vec<Host> {
        let host = |number: u16| Host {
            label: Some(format!("{prefix}{number:04}")),
            addresses: BTreeMap::from([(format!("{prefix}{number}").parse().unwrap(), AddressOrigin::Endpoint)]),
            ports: BTreeSet::from([(("a".into(), Protocol::Tcp), 1)]),
        };
        numbers.map(host).collect()
    }

    #[test]
    fn as_many_hosts_as_the_limit_are_all_taken() {
        let mut reasons = Vec::new();

        assert_eq!(limit(hosts("2a0a::", 0..100), 100, &mut reasons).len(), 100);
        assert_eq!(reasons, []);
    }

    #[test]
    fn the_first_hosts_are_taken() {
        let mut reasons = Vec::new();

        assert_eq!(limit(hosts("2a0a::", 0..103), 100, &mut reasons), hosts("2a0a::", 0..100));
        assert_eq!(reasons, [Reason::TooManyRecords; 3]);
    }

    #[test]
    fn one_family_leaves_room_for_the_other() {
        let mut both = hosts("2a0a::", 0..200);
        both.extend(hosts("147.78.194.", 0..200));

        let taken = limit(both, 100, &mut Vec::new());
        let v6 = taken.iter().filter(|host| host.addresses.keys().any(IpAddr::is_ipv6)).count();
        assert_eq!((v6, taken.len() - v6), (50, 50));
    }

    #[test]
    fn a_host_with_too_many_addresses_keeps_the_first() {
        let mut host = hosts("2a0a::", 0..1).remove(0);
        let address = |number: u16| format!("2a0a::{number:x}").parse().unwrap();
        host.addresses = (0..300).map(|number| (address(number), AddressOrigin::Endpoint)).collect();
        let mut reasons = Vec::new();

        let taken = limit(vec![host], 100, &mut reasons);
        assert_eq!(taken[0].addresses.len(), 100);
        assert_eq!(reasons, [Reason::TooManyRecords]);
    }
}

//! Which addresses may be published: those that the world can reach, or those
//! that the operator names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Which addresses may stand in a zone.
///
/// By default those that the world can reach: IPv6 inside 2000::/3 and IPv4
/// unicast, less what IANA's special-purpose registries call not globally
/// reachable. A private address in a public zone leads nowhere at best, and at
/// worst to a stranger's machine in the network of whoever asks.
///
/// CIDRs that the operator allows replace that rule; nothing else passes then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressFilter {
    allow: Vec<IpNet>,
}

impl AddressFilter {
    /// Passes the addresses inside any of `allow`; without any, those that the world can reach.
    #[must_use]
    pub fn allowing(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// The CIDRs that the operator allows; none: what the world can reach passes.
    #[must_use]
    pub fn allowed(&self) -> &[IpNet] {
        &self.allow
    }

    /// Whether `address` may be published.
    #[must_use]
    pub fn passes(&self, address: IpAddr) -> bool {
        if self.allow.is_empty() {
            return is_global(address);
        }
        self.allow.iter().any(|net| net.contains(&address))
    }
}

/// A field of a Service that has addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSource {
    /// `spec.clusterIPs`
    ClusterIp,
    /// `status.loadBalancer.ingress`
    LoadBalancer,
    /// `spec.externalIPs`
    ExternalIp,
}

impl AddressSource {
    /// All of them, in the order that is usual: what the cluster itself gives goes first, and last what anybody may write.
    pub const ALL: [Self; 3] = [Self::ClusterIp, Self::LoadBalancer, Self::ExternalIp];
}

/// Whether the most specific registration that covers `address` says that the world can reach it.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(address) => {
            let blocks = IPV6.iter().filter(|(net, _)| net.contains(&address));
            blocks.max_by_key(|(net, _)| net.prefix_len()).is_some_and(|(_, reachable)| *reachable)
        }
        IpAddr::V4(address) => !IPV4_REFUSED.iter().any(|net| net.contains(&address)),
    }
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// IANA's unicast space, and its special-purpose registrations inside of it
/// with their "Globally Reachable" column; those outside of it (loopback,
/// fc00::/7, fe80::/10, 64:ff9b::/96, 100::/64, 5f00::/16 …) match no row.
///
/// "N/A" counts as false: the registry says it of Teredo and 6to4, whose
/// addresses depend on relays that are gone (RFC 7526), and of the first ORCHIDs.
const IPV6: [(Ipv6Net, bool); 16] = [
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), true),   // global unicast, RFC 4291
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), false), // IETF protocol assignments, RFC 2928
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), false), // Teredo, RFC 4380
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128), true), // PCP anycast, RFC 7723
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128), true), // TURN anycast, RFC 8155
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128), true), // DNS-SD SRP anycast, RFC 9665
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), false), // benchmarking, RFC 5180
    (v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), true),  // AMT, RFC 7450
    (v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), true), // AS112, RFC 7535
    (v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), false), // ORCHID, RFC 4843
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), true), // ORCHIDv2, RFC 7343
    (v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), true), // drone remote ID, RFC 9374
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), false), // documentation, RFC 3849
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), false), // 6to4, RFC 3056
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), true), // AS112 direct delegation, RFC 7534
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), false), // documentation, RFC 9637
];

/// IANA's special-purpose registrations of IPv4 that the world cannot reach, and multicast.
///
/// 192.0.0.0/24 is refused whole: the two addresses in it that are reachable
/// (192.0.0.9 and .10) are anycast addresses of protocols, never a Service's.
const IPV4_REFUSED: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),          // "this network", RFC 791
    v4([10, 0, 0, 0], 8),         // private use, RFC 1918
    v4([100, 64, 0, 0], 10),      // shared address space (CGNAT), RFC 6598
    v4([127, 0, 0, 0], 8),        // loopback, RFC 1122
    v4([169, 254, 0, 0], 16),     // link-local, RFC 3927
    v4([172, 16, 0, 0], 12),      // private use, RFC 1918
    v4([192, 0, 0, 0], 24),       // IETF protocol assignments, RFC 6890
    v4([192, 0, 2, 0], 24),       // documentation, RFC 5737
    v4([192, 88, 99, 0], 24),     // 6to4 relay anycast (N/A), RFC 7526
    v4([192, 168, 0, 0], 16),     // private use, RFC 1918
    v4([198, 18, 0, 0], 15),      // benchmarking, RFC 2544
    v4([198, 51, 100, 0], 24),    // documentation, RFC 5737
    v4([203, 0, 113, 0], 24),     // documentation, RFC 5737
    v4([224, 0, 0, 0], 4),        // multicast, RFC 5771
    v4([240, 0, 0, 0], 4),        // reserved, RFC 1112
    v4([255, 255, 255, 255], 32), // limited broadcast, RFC 8190
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &AddressFilter, address: &str, passes: bool) {
        assert_eq!(filter.passes(address.parse().unwrap()), passes, "{address}");
    }

    /// A block, whether its first and last address may be published, and whether the address before it and the one after it
    /// may. Nothing comes before the first address of all, or after the last.
    fn check_blocks(rows: &[(&str, bool, bool, bool)]) {
        for (block, inside, before, after) in rows {
            let (first, last) = match block.parse().unwrap() {
                IpNet::V4(net) => (net.network().into(), net.broadcast().into()),
                IpNet::V6(net) => (net.network().into(), net.broadcast().into()),
            };
            let filter = AddressFilter::default();
            assert_eq!((filter.passes(first), filter.passes(last)), (*inside, *inside), "{block}");
            if let Some(neighbour) = beside(first, -1) {
                assert_eq!(filter.passes(neighbour), *before, "{neighbour}, before {block}");
            }
            if let Some(neighbour) = beside(last, 1) {
                assert_eq!(filter.passes(neighbour), *after, "{neighbour}, after {block}");
            }
        }
    }

    /// The address so many steps further, if there is one.
    fn beside(address: IpAddr, step: i8) -> Option<IpAddr> {
        match address {
            IpAddr::V4(address) => {
                address.to_bits().checked_add_signed(step.into()).map(|bits| Ipv4Addr::from(bits).into())
            }
            IpAddr::V6(address) => {
                address.to_bits().checked_add_signed(step.into()).map(|bits| Ipv6Addr::from(bits).into())
            }
        }
    }

    /// Every entry of IANA's IPv6 Special-Purpose Address Registry, the unicast space, and what else is outside of it.
    #[test]
    fn only_reachable_ipv6_is_public() {
        check_blocks(&[
            ("2000::/3", true, false, false),
            ("2001::/23", false, true, true),
            ("2001::/32", false, true, false),
            ("2001:1::1/128", true, false, true),
            ("2001:1::2/128", true, true, true),
            ("2001:1::3/128", true, true, false),
            ("2001:2::/48", false, false, false),
            ("2001:3::/32", true, false, false),
            ("2001:4:112::/48", true, false, false),
            ("2001:10::/28", false, false, true),
            ("2001:20::/28", true, false, true),
            ("2001:30::/28", true, true, false),
            ("2001:db8::/32", false, true, true),
            ("2002::/16", false, true, true),
            ("2620:4f:8000::/48", true, true, true),
            ("3fff::/20", false, true, true),
            ("2a0a:e5c0::/32", true, true, true), // nobody's special purpose
            ("::/128", false, false, false),
            ("::1/128", false, false, false),
            ("::ffff:0:0/96", false, false, false),
            ("64:ff9b::/96", false, false, false),
            ("64:ff9b:1::/48", false, false, false),
            ("100::/64", false, false, false),
            ("100:0:0:1::/64", false, false, false),
            ("5f00::/16", false, false, false),
            ("fc00::/7", false, false, false),
            ("fe80::/10", false, false, false),
            ("fec0::/10", false, false, false), // site-local, deprecated by RFC 3879
            ("ff00::/8", false, false, false),  // multicast, RFC 4291
        ]);
        check(&AddressFilter::default(), "::ffff:8.8.8.8", false);
        check(&AddressFilter::default(), "64:ff9b::808:808", false);
    }

    /// Every entry of IANA's IPv4 Special-Purpose Address Registry, and multicast.
    #[test]
    fn only_reachable_ipv4_is_public() {
        check_blocks(&[
            ("0.0.0.0/8", false, false, true),
            ("0.0.0.0/32", false, false, false),
            ("10.0.0.0/8", false, true, true),
            ("100.64.0.0/10", false, true, true),
            ("127.0.0.0/8", false, true, true),
            ("169.254.0.0/16", false, true, true),
            ("172.16.0.0/12", false, true, true),
            ("192.0.0.0/24", false, true, true),
            ("192.0.0.0/29", false, true, false),
            ("192.0.0.8/32", false, false, false),
            ("192.0.0.9/32", false, false, false),
            ("192.0.0.10/32", false, false, false),
            ("192.0.0.170/32", false, false, false),
            ("192.0.0.171/32", false, false, false),
            ("192.0.2.0/24", false, true, true),
            ("192.31.196.0/24", true, true, true),
            ("192.52.193.0/24", true, true, true),
            ("192.88.99.0/24", false, true, true),
            ("192.88.99.2/32", false, false, false),
            ("192.168.0.0/16", false, true, true),
            ("192.175.48.0/24", true, true, true),
            ("198.18.0.0/15", false, true, true),
            ("198.51.100.0/24", false, true, true),
            ("203.0.113.0/24", false, true, true),
            ("224.0.0.0/4", false, true, false),
            ("240.0.0.0/4", false, false, false),
            ("255.255.255.255/32", false, false, false),
            ("147.78.194.0/24", true, true, true), // nobody's special purpose
        ]);
    }

    #[test]
    fn what_the_operator_allows_replaces_the_rule() {
        let lab = AddressFilter::allowing(vec!["fd00::/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);

        check(&lab, "fd00::1", true);
        check(&lab, "10.1.2.3", true);
        check(&lab, "2a0a:e5c0:10:3::11", false);
        check(&lab, "147.78.194.9", false);
        check(&lab, "192.168.0.1", false);
    }
}

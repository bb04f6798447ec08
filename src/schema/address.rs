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

    fn check_public(rows: &[(&str, bool)]) {
        for (address, passes) in rows {
            check(&AddressFilter::default(), address, *passes);
        }
    }

    /// A row for the first and the last address of every block, and their neighbours outside where those differ.
    #[test]
    fn only_reachable_ipv6_is_public() {
        check_public(&[
            ("2a0a:e5c0:10:3::11", true),
            ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2000::", true),
            ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("4000::", false),
            // 2001::/23, and what is registered inside of it
            ("2001::", false),
            ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:1::", false),
            ("2001:1::1", true),
            ("2001:1::2", true),
            ("2001:1::3", true),
            ("2001:1::4", false),
            ("2001:2::", false),
            ("2001:2:0:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:3::", true),
            ("2001:3:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:4::", false),
            ("2001:4:112::", true),
            ("2001:4:112:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:4:113::", false),
            ("2001:10::", false),
            ("2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:20::", true),
            ("2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:30::", true),
            ("2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:40::", false),
            ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:200::", true),
            ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db8::", false),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:db9::", true),
            ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2002::", false),
            ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2003::", true),
            ("2620:4f:8000::1", true),
            ("3fff::", false),
            ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("3fff:1000::", true),
        ]);
    }

    #[test]
    fn ipv6_outside_of_global_unicast_is_not_public() {
        check_public(&[
            ("::", false),
            ("::1", false),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::808:808", false),
            ("64:ff9b:1::1", false),
            ("100::1", false),
            ("100:0:0:1::1", false),
            ("5f00::1", false),
            ("fc00::1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ]);
    }

    #[test]
    fn only_reachable_ipv4_is_public() {
        check_public(&[
            ("147.78.194.9", true),
            ("0.0.0.0", false),
            ("0.255.255.255", false),
            ("1.0.0.0", true),
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("10.255.255.255", false),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("100.127.255.255", false),
            ("100.128.0.0", true),
            ("126.255.255.255", true),
            ("127.0.0.1", false),
            ("127.255.255.255", false),
            ("128.0.0.0", true),
            ("169.253.255.255", true),
            ("169.254.0.0", false),
            ("169.254.255.255", false),
            ("169.255.0.0", true),
            ("172.15.255.255", true),
            ("172.16.0.0", false),
            ("172.31.255.255", false),
            ("172.32.0.0", true),
            ("191.255.255.255", true),
            ("192.0.0.0", false),
            ("192.0.0.9", false),
            ("192.0.0.170", false),
            ("192.0.0.255", false),
            ("192.0.1.0", true),
            ("192.0.2.0", false),
            ("192.0.2.255", false),
            ("192.0.3.0", true),
            ("192.31.196.1", true),
            ("192.52.193.1", true),
            ("192.88.98.255", true),
            ("192.88.99.0", false),
            ("192.88.99.255", false),
            ("192.88.100.0", true),
            ("192.167.255.255", true),
            ("192.168.0.0", false),
            ("192.168.255.255", false),
            ("192.169.0.0", true),
            ("192.175.48.1", true),
            ("198.17.255.255", true),
            ("198.18.0.0", false),
            ("198.19.255.255", false),
            ("198.20.0.0", true),
            ("198.51.99.255", true),
            ("198.51.100.0", false),
            ("198.51.100.255", false),
            ("198.51.101.0", true),
            ("203.0.112.255", true),
            ("203.0.113.0", false),
            ("203.0.113.255", false),
            ("203.0.114.0", true),
            ("223.255.255.255", true),
            ("224.0.0.0", false),
            ("239.255.255.255", false),
            ("240.0.0.0", false),
            ("255.255.255.255", false),
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

//! Who has a port of this machine, as /proc tells it: of programs of others only as much as we may see.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket, and the program that it belongs to, if that may be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) address: SocketAddr,
    pub(super) program: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.program.as_deref().unwrap_or("somebody"), self.address)
    }
}

/// The number of a listening TCP socket's state.
const LISTENING: &str = "0A";

/// Who keeps us from `address`: sockets of its port and family, on the same address, or where one of both means all.
pub(super) fn of(address: SocketAddr) -> Vec<Holder> {
    let tables = [("tcp", Some(LISTENING)), ("tcp6", Some(LISTENING)), ("udp", None), ("udp6", None)];
    let read = |(name, state)| Some((fs::read_to_string(format!("/proc/net/{name}")).ok()?, state));
    let sockets: BTreeMap<u64, SocketAddr> = tables
        .into_iter()
        .filter_map(read)
        .flat_map(|(table, state)| sockets(&table, state).collect::<Vec<_>>())
        .filter(|(_, other)| is_in_the_way(*other, address))
        .collect();
    let programs = programs(&sockets);
    let holder = |(inode, address)| Holder { address, program: programs.get(&inode).cloned() };
    sockets.into_iter().map(holder).collect()
}

/// Whether a socket on one address keeps one from being opened on the other.
pub(super) fn is_in_the_way(other: SocketAddr, of: SocketAddr) -> bool {
    let overlap = other.ip() == of.ip() || other.ip().is_unspecified() || of.ip().is_unspecified();
    // An IPv6 socket that is not V6ONLY has IPv4, too.
    let family = other.is_ipv6() == of.is_ipv6() || other.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    other.port() == of.port() && overlap && family
}

/// The sockets of a table such as /proc/net/udp6, by their inodes; those in `state`, if one is given.
fn sockets(table: &str, state: Option<&str>) -> impl Iterator<Item = (u64, SocketAddr)> {
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (ip, port) = fields.get(1)?.split_once(':')?;
        let address = SocketAddr::new(ip_address(ip)?, u16::from_str_radix(port, 16).ok()?);
        let is_meant = state.is_none_or(|state| fields.get(3) == Some(&state));
        Some((fields.get(9)?.parse().ok()?, address)).filter(|_| is_meant)
    })
}

/// Words of 32 bits in hexadecimal, each as the machine has it in memory.
fn ip_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// The names of the programs that have `sockets`, by the sockets' inodes, as far as we may look.
fn programs(sockets: &BTreeMap<u64, SocketAddr>) -> BTreeMap<u64, String> {
    let mut programs = BTreeMap::new();
    if sockets.is_empty() {
        return programs;
    }
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        for file in open.flatten() {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let inode =
                target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|inode| sockets.contains_key(inode))
                && let Ok(name) = fs::read_to_string(process.path().join("comm"))
            {
                programs.insert(inode, name.trim_end().to_owned());
            }
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn the_tables_of_the_kernel_are_read() {
        // As a machine of the usual order of octets writes them.
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 17 1 0 100 0 0 10 0\n   \
             1: 0100007F:0035 0100007F:D431 01 00000000:00000000 00:00000000 00000000   101        0 18 1 0 100 0 0 10 0\n   \
             2: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 19 1 0 100\n\
             nonsense\n";
        let found: Vec<_> =
            sockets(table, Some(LISTENING)).map(|(inode, address)| format!("{inode} {address}")).collect();
        if cfg!(target_endian = "little") {
            assert_eq!(found, ["17 127.0.0.53:53", "19 [::1]:53"]);
        }
    }

    #[test]
    fn sockets_are_in_the_way_where_they_overlap() {
        let check = |other: &str, of: &str, expected: bool| {
            assert_eq!(is_in_the_way(other.parse().unwrap(), of.parse().unwrap()), expected, "{other} {of}");
        };
        check("127.0.0.53:53", "0.0.0.0:53", true);
        check("127.0.0.53:53", "127.0.0.1:53", false);
        check("127.0.0.53:53", "[::]:53", false);
        check("127.0.0.53:54", "0.0.0.0:53", false);
        check("[::]:53", "[::1]:53", true);
        check("[::]:53", "0.0.0.0:53", true);
        check("0.0.0.0:53", "[::]:53", false);
    }

    #[test]
    fn whoever_has_a_socket_is_found() {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let own = fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned();
        assert_eq!(of(address), [Holder { address, program: Some(own) }]);
    }
}

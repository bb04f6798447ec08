//! This machine: whether the addresses to listen on are free, and what the system grants a server.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;

use super::holders::{self, Holder, is_in_the_way};
use super::{Check, Code, Level};
use crate::config::{Admin, Config};
use crate::error::chain;
use crate::server::{self, Granted, Listener};

/// Looks at what a server of `config` needs of this machine. Every address stays open until all have been tried, as a server
/// has them: one that contains another is found out.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub(super) fn check(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    let (mut dns, mut http) = (Vec::new(), Vec::new());
    for (place, address) in config.dns.iter().enumerate() {
        let opened = Listener::bind(*address, NonZero::<usize>::MIN, &[]);
        let tried = opened.as_ref().map(|_| ()).map_err(|error| (chain(error), &error.source));
        let check = of_address(Code::ListenDns, *address, Level::Bad, tried);
        let overlaps = |other: &&SocketAddr| other.is_ipv6() == address.is_ipv6() && is_in_the_way(**other, *address);
        checks.push(match config.dns[..place].iter().find(overlaps) {
            Some(other) if check.level == Level::Bad => check.with_hint(format_args!(
                "`listen.dns` has {other}, too, and one of them contains the other: leave one out."
            )),
            _ => check,
        });
        dns.extend(opened);
    }
    // What is not insisted on is done without.
    let admin = match config.admin {
        Admin::Off => None,
        Admin::At(address) => Some((Code::ListenAdmin, address, Level::Bad)),
        Admin::Unsaid => Some((Code::ListenAdmin, Admin::USUAL, Level::Odd)),
    };
    let metrics = config.metrics.map(|address| (Code::ListenMetrics, address, Level::Bad));
    for (code, address, level) in metrics.into_iter().chain(admin) {
        let opened = server::bind_tcp(address, &[]);
        let tried = opened.as_ref().map(|_| ()).map_err(|error| (format!("could not listen: {error}"), error));
        checks.push(of_address(code, address, level, tried));
        http.extend(opened);
    }
    checks.push(of_buffer(server::receive_buffer()));
    checks.push(of_connections(server::connections()));
    checks
}

fn of_address(code: Code, address: SocketAddr, level: Level, tried: Result<(), (String, &io::Error)>) -> Check {
    match tried {
        Ok(()) if address.port() == 0 => Check::good(code, address, "any port will do, and there is one"),
        Ok(()) => Check::good(code, address, "free"),
        Err((message, error)) => {
            let in_use = error.kind() == ErrorKind::AddrInUse;
            let holders = if in_use { holders::of(address) } else { Vec::new() };
            let check = Check::new(code, level, address, message);
            match hint(address, error, &holders) {
                Some(hint) => check.with_hint(hint),
                None => check,
            }
        }
    }
}

/// What to do about an address that cannot be had, where more can be said than the catalogue does.
fn hint(address: SocketAddr, error: &io::Error, holders: &[Holder]) -> Option<String> {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        ErrorKind::PermissionDenied => Some(format!(
            "Let it have ports below 1024: `setcap cap_net_bind_service+ep $(command -v kubezone)`, or \
             `AmbientCapabilities=CAP_NET_BIND_SERVICE` of a systemd unit; or listen on a port such as {}, and have port {port} \
             lead there.",
            u32::from(port) + 5300,
        )),
        ErrorKind::AddrNotAvailable => {
            Some(format!("Give an interface of this machine the address {ip}, or name one that it has (`ip address`)."))
        }
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            let family = if ip.is_ipv6() { "IPv6" } else { "IPv4" };
            Some(format!("This machine has no {family}: enable it, or leave the address out."))
        }
        ErrorKind::AddrInUse => held(address, holders),
        _ => None,
    }
}

/// What to do about an address that others have.
fn held(address: SocketAddr, holders: &[Holder]) -> Option<String> {
    let is_stub = |holder: &Holder| {
        let is_stubs =
            matches!(holder.address.ip(), IpAddr::V4(ip) if [[127, 0, 0, 53], [127, 0, 0, 54]].contains(&ip.octets()));
        is_stubs || holder.program.as_deref().is_some_and(|program| program.starts_with("systemd-resolve"))
    };
    let first = holders.first()?;
    let mut all: Vec<_> = holders.iter().map(ToString::to_string).collect();
    all.dedup();
    let all = all.join(", ");
    Some(if holders.iter().any(is_stub) {
        format!(
            "systemd-resolved answers there ({all}): name this machine's own addresses in the place of {}, or switch it off \
             with `DNSStubListener=no` in /etc/systemd/resolved.conf.",
            address.ip()
        )
    } else if first.program.as_deref() == Some("kubezone") {
        format!("A kubezone runs here already ({all}): `kubezone check` without --pre looks at that.")
    } else {
        format!("Stop what has the port ({all}), or choose another address.")
    })
}

fn of_buffer(granted: io::Result<Granted>) -> Check {
    let (code, subject) = (Code::ReceiveBuffer, "net.core.rmem_max");
    match granted {
        Ok(Granted { granted, wanted }) if granted >= wanted => {
            Check::good(code, subject, format_args!("a UDP socket has room for {wanted} octets"))
        }
        Ok(Granted { granted, wanted }) => {
            let message = format!("a UDP socket has room for {granted} octets, and {wanted} are asked for");
            Check::odd(code, subject, message)
        }
        Err(error) => Check::odd(code, subject, format_args!("no UDP socket to try: {error}")),
    }
}

fn of_connections(Granted { granted, wanted }: Granted) -> Check {
    let (code, subject) = (Code::OpenFiles, "RLIMIT_NOFILE");
    if granted >= wanted {
        return Check::good(code, subject, format_args!("room for {wanted} connections, as many as there may be"));
    }
    Check::odd(code, subject, format_args!("room for {granted} connections, where there may be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, kind: ErrorKind, holders: &[(&str, Option<&str>)], expected: &str) {
        let holder = |(address, program): &(&str, Option<&str>)| Holder {
            address: address.parse().unwrap(),
            program: program.map(str::to_owned),
        };
        let holders: Vec<_> = holders.iter().map(holder).collect();
        let hint = hint(address.parse().unwrap(), &kind.into(), &holders);
        assert!(hint.as_ref().is_some_and(|hint| hint.contains(expected)), "{hint:?}");
    }

    #[test]
    fn what_keeps_an_address_from_us_says_what_to_do() {
        check("[::]:53", ErrorKind::PermissionDenied, &[], "listen on a port such as 5353");
        check("192.0.2.1:53", ErrorKind::AddrNotAvailable, &[], "the address 192.0.2.1");
        let stub = [("127.0.0.53:53", None), ("127.0.0.54:53", None)];
        check("0.0.0.0:53", ErrorKind::AddrInUse, &stub, "in the place of 0.0.0.0, or switch it off");
        check("[::]:53", ErrorKind::AddrInUse, &[("[::]:53", Some("systemd-resolve"))], "DNSStubListener=no");
        check("[::]:53", ErrorKind::AddrInUse, &[("[::]:53", Some("kubezone"))], "A kubezone runs here already");
        let named = [("[::1]:53", Some("named")), ("[::1]:53", Some("named"))];
        check("[::]:53", ErrorKind::AddrInUse, &named, "Stop what has the port (named at [::1]:53), or");
        check("[::]:53", ErrorKind::AddrInUse, &[("[::1]:53", None)], "(somebody at [::1]:53)");
        assert_eq!(hint("[::]:53".parse().unwrap(), &ErrorKind::AddrInUse.into(), &[]), None);
        let no_ipv6 = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        assert!(hint("[::]:53".parse().unwrap(), &no_ipv6, &[]).is_some_and(|hint| hint.contains("no IPv6")));
    }

    #[test]
    fn what_the_system_does_not_grant_is_to_be_looked_at() {
        let level = |granted| of_connections(Granted { granted, wanted: 1000 }).level;
        assert_eq!((level(1000), level(999)), (Level::Good, Level::Odd));
        let level = |granted| of_buffer(Ok(Granted { granted, wanted: 1 << 20 })).level;
        assert_eq!((level(1 << 20), level(212_992)), (Level::Good, Level::Odd));
    }
}

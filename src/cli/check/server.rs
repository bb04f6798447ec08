//! A running server: what it says of itself, and whether it answers where it says that it does.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use super::{Check, Code, Level, holders, many};
use crate::admin::api::{ClusterStatus, DelegationStatus, ServerStatus, Verified, ZoneStatus};
use crate::cli::progress::Line;
use crate::cli::remote::{Remote, RemoteError, ServerUrl};
use crate::config::Config;
use crate::zone::name_to_text;

/// How long an answer may take, and how often a datagram is sent: of a server nearby, one that is not there was lost or dropped.
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 3;

/// Where a server is, as its API is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine, unless its port was forwarded here.
    Here,
    /// On the machine with this address.
    At(IpAddr),
    /// Where it cannot be asked anything else from here.
    Elsewhere,
}

impl Place {
    pub(super) fn of(url: &ServerUrl) -> Self {
        url.ip().filter(|ip| !ip.is_loopback()).map_or(Self::Here, Self::At)
    }
}

/// Looks at the server called `name` that `remote` asks, which is to serve `config`, if that is known.
pub(super) fn check(
    remote: &Remote,
    name: &str,
    place: Place,
    config: Option<&Config>,
) -> Result<Vec<Check>, RemoteError> {
    let server: ServerStatus = remote.get(&["server"], &[])?;
    let zones: Vec<ZoneStatus> = remote.list(&["zones"], &[])?;
    let clusters: Vec<ClusterStatus> = remote.list(&["clusters"], &[])?;
    let delegations: Vec<DelegationStatus> = remote.list(&["delegations"], &[])?;
    let mut checks = vec![
        Check::good(
            Code::ServerReachable,
            name,
            format_args!("kubezone {}, up for {} s", server.version, server.uptime),
        ),
        of_configuration(name, &server),
    ];
    checks.extend(of_zones(&zones, config));
    checks.extend(clusters.iter().map(of_cluster));
    let loaded = zones.iter().filter(|zone| zone.state == "loaded");
    let apexes: Vec<Name> = loaded.filter_map(|zone| Name::from_ascii(&zone.zone).ok()).collect();
    for listen in &server.dns {
        checks.extend(answers(*listen, place, &apexes));
    }
    let verified = delegations.iter().filter_map(|status| Some((status, status.verified.as_ref()?)));
    checks.extend(verified.map(|(DelegationStatus { zone, .. }, verified)| of_delegation(zone, verified)));
    Ok(checks)
}

/// How the parent of `zone` led to it when the server looked last.
fn of_delegation(zone: &str, Verified { time, ok, findings, .. }: &Verified) -> Check {
    let code = Code::Delegated;
    match findings.first() {
        _ if *ok => Check::good(code, zone, format_args!("its parent leads there, as of {time}")),
        Some(worst) => Check::bad(code, zone, format_args!("as of {time}: {}", worst.message)).with_hint(&worst.fix),
        None => Check::bad(code, zone, format_args!("as of {time} its parent does not lead there")),
    }
}

fn of_configuration(name: &str, server: &ServerStatus) -> Check {
    match &server.error {
        None => Check::good(Code::ServerConfiguration, name, "taken over as it is now"),
        Some(error) => {
            Check::bad(Code::ServerConfiguration, name, format_args!("not taken over as it is now: {error}"))
        }
    }
}

/// The zones that there are, and are to be.
fn of_zones(zones: &[ZoneStatus], config: Option<&Config>) -> Vec<Check> {
    let served: BTreeSet<_> = zones.iter().map(|zone| zone.zone.to_ascii_lowercase()).collect();
    let configured: Option<BTreeSet<_>> =
        config.map(|config| config.apexes().map(|apex| name_to_text(apex).to_ascii_lowercase()).collect());
    let mut checks: Vec<_> = zones.iter().map(|zone| of_zone(zone, configured.as_ref())).collect();
    let missing = configured.iter().flatten().filter(|apex| !served.contains(*apex));
    let missing = missing.map(|apex| Check::bad(Code::ZoneServed, apex, "configured, and the server does not know it"));
    checks.extend(missing);
    checks
}

fn of_zone(zone: &ZoneStatus, configured: Option<&BTreeSet<String>>) -> Check {
    let ZoneStatus { zone: apex, source, state, serial, records, error, .. } = zone;
    let (code, seen) = (Code::ZoneServed, format!("{state}, from {source}"));
    if let Some(error) = error {
        return Check::bad(code, apex, format_args!("{seen}: {error}"));
    }
    match (state.as_str(), serial, records) {
        ("loaded", _, _) if configured.is_some_and(|known| !known.contains(&apex.to_ascii_lowercase())) => {
            Check::odd(code, apex, format_args!("{seen}, and not configured here"))
        }
        ("loaded", Some(serial), Some(records)) => {
            Check::good(code, apex, format_args!("serial {serial}, {records} records, from {source}"))
        }
        _ => Check::bad(code, apex, format_args!("{seen}: answered with SERVFAIL")),
    }
}

fn of_cluster(cluster: &ClusterStatus) -> Check {
    let ClusterStatus { cluster: name, synced, published, withheld, errors, .. } = cluster;
    let code = Code::ClusterSynced;
    let state = if *synced { "read in full" } else { "not read in full" };
    if let Some(first) = errors.first() {
        // What was read before is answered with.
        let level = if *synced { Level::Odd } else { Level::Bad };
        let message = format!("{state}; {}: {}", first.parts.join(", "), first.error);
        return Check::new(code, level, name, message).with_hint(&first.fix);
    }
    if !*synced {
        return Check::bad(code, name, state);
    }
    let withheld: usize = withheld.values().sum();
    Check::good(
        code,
        name,
        format_args!("{state}: {} Services published, {withheld} not", published.unwrap_or_default()),
    )
}

/// Whether the zones at `apexes` are answered for at `listen` of the server that is at `place`.
fn answers(listen: SocketAddr, place: Place, apexes: &[Name]) -> Vec<Check> {
    let is_out_of_reach = match place {
        // As after `kubectl port-forward`.
        Place::Here => holders::of(listen).is_empty(),
        Place::At(_) => false,
        Place::Elsewhere => true,
    };
    if is_out_of_reach {
        let message = "not asked: nobody listens there on this machine, so that the server is elsewhere";
        let hint = "Ask it at its Service's address: `dig @ADDRESS ZONE SOA`, and once more with `+tcp`.";
        return vec![Check::odd(Code::AnswersUdp, listen, message).with_hint(hint)];
    }
    let server = SocketAddr::new(from_here(listen.ip(), place), listen.port());
    let mut line = Line::new();
    let mut checks = Vec::new();
    for (code, ask) in [(Code::AnswersUdp, over_udp as Ask), (Code::AnswersTcp, over_tcp)] {
        let mut failed = Vec::new();
        for apex in apexes {
            line.show(format_args!("asking {server} for {apex} …"));
            if let Err(error) = soa(server, apex, ask) {
                let silent = error.kind() == io::ErrorKind::TimedOut;
                failed.push(Check::bad(code, listen, format_args!("{}: {error}", name_to_text(apex))));
                // Whoever says nothing to one question will not to hundreds.
                if silent {
                    break;
                }
            }
        }
        if failed.is_empty() {
            checks.push(Check::good(code, listen, format_args!("SOA of {}", many(apexes.len(), "zone"))));
        }
        checks.extend(failed);
    }
    checks
}

/// Where a server that listens on `ip` is from here.
fn from_here(ip: IpAddr, place: Place) -> IpAddr {
    match (ip, place) {
        (IpAddr::V6(ip), Place::At(api @ IpAddr::V6(_))) if ip.is_unspecified() => api,
        (IpAddr::V4(ip), Place::At(api @ IpAddr::V4(_))) if ip.is_unspecified() => api,
        (IpAddr::V6(ip), _) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        (IpAddr::V4(ip), _) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        (ip, _) => ip,
    }
}

/// A way to ask.
type Ask = fn(SocketAddr, &[u8]) -> io::Result<Vec<u8>>;

/// Asks for the SOA record of a zone; fine if it comes, as the zone's own server gives it.
fn soa(server: SocketAddr, apex: &Name, ask: Ask) -> io::Result<()> {
    let mut question = Message::query();
    question.add_query(Query::query(apex.clone(), RecordType::SOA));
    let answer =
        Message::from_vec(&ask(server, &question.to_vec().map_err(io::Error::other)?)?).map_err(io::Error::other)?;
    let is_soa = answer.answers.iter().any(|record| record.record_type() == RecordType::SOA && record.name == *apex);
    match answer.metadata.response_code {
        _ if answer.metadata.id != question.metadata.id => Err(io::Error::other("the answer is to another question")),
        ResponseCode::NoError if is_soa && answer.metadata.authoritative => Ok(()),
        ResponseCode::NoError => Err(io::Error::other("the answer is not that of the zone's own server")),
        code => Err(io::Error::other(format!("it answers {code}"))),
    }
}

fn over_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    for _ in 0..ATTEMPTS {
        socket.send(question)?;
        match socket.recv(&mut buffer) {
            Ok(length) => return Ok(buffer[..length].to_vec()),
            Err(error) if is_silence(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(silence())
}

fn over_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let exchange = || {
        let mut connection = TcpStream::connect_timeout(&server, PATIENCE * 3)?;
        connection.set_read_timeout(Some(PATIENCE * 3))?;
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        connection.write_all(&[&length.to_be_bytes(), question].concat())?;
        let mut length = [0; 2];
        connection.read_exact(&mut length)?;
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        connection.read_exact(&mut answer)?;
        Ok(answer)
    };
    exchange().map_err(|error| if is_silence(&error) { silence() } else { error })
}

/// What a socket says when its patience has ended, which is not the same everywhere.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn silence() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::admin::api::ClusterProblem;
    use crate::config;

    fn zone(apex: &str, state: &str, error: Option<&str>) -> ZoneStatus {
        ZoneStatus {
            zone: apex.to_owned(),
            kind: "cluster".to_owned(),
            source: "c2".to_owned(),
            state: state.to_owned(),
            serial: (state != "pending").then_some(7),
            records: (state != "pending").then_some(20),
            age: None,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn zones_are_compared_with_those_configured() {
        let config = "zones: [{ name: k8s.ooo, file: k8s.ooo.zone }, { name: C3.k8s.ooo, file: c3.zone }]";
        let config = config::parse(config, Path::new("kubezone.yaml")).unwrap();
        let zones = [zone("k8s.ooo.", "loaded", None), zone("c2.k8s.ooo.", "loaded", None)];
        let found = |config| {
            let lines =
                of_zones(&zones, config).into_iter().map(|it| format!("{:?} {}: {}", it.level, it.subject, it.message));
            lines.collect::<Vec<_>>()
        };
        let served = "Good k8s.ooo.: serial 7, 20 records, from c2";
        assert_eq!(found(None), [served, "Good c2.k8s.ooo.: serial 7, 20 records, from c2"]);
        assert_eq!(
            found(Some(&config)),
            [
                served,
                "Odd c2.k8s.ooo.: loaded, from c2, and not configured here",
                "Bad c3.k8s.ooo.: configured, and the server does not know it",
            ]
        );
        for (zone, message) in [
            (zone("k8s.ooo.", "pending", None), "pending, from c2: answered with SERVFAIL"),
            (zone("k8s.ooo.", "expired", None), "expired, from c2: answered with SERVFAIL"),
            (zone("k8s.ooo.", "loaded", Some("line 1")), "loaded, from c2: line 1"),
        ] {
            let check = of_zone(&zone, None);
            assert_eq!((check.level, check.message.as_str()), (Level::Bad, message));
        }
    }

    #[test]
    fn a_cluster_that_is_not_followed_is_bad_only_if_it_never_was() {
        let problem =
            || ClusterProblem { parts: vec!["Service".into()], error: "forbidden".into(), fix: "Allow it.".into() };
        let check = |synced, errors, level, message: &str| {
            let status = ClusterStatus {
                cluster: "c2".to_owned(),
                source: String::new(),
                synced,
                last_event: None,
                age: None,
                published: Some(3),
                withheld: BTreeMap::from([("OptedOut".to_owned(), 2)]),
                errors,
            };
            let found = of_cluster(&status);
            assert_eq!((found.level, found.message.as_str()), (level, message));
        };
        check(true, vec![], Level::Good, "read in full: 3 Services published, 2 not");
        check(true, vec![problem()], Level::Odd, "read in full; Service: forbidden");
        check(false, vec![problem()], Level::Bad, "not read in full; Service: forbidden");
        check(false, vec![], Level::Bad, "not read in full");
    }

    #[test]
    fn whoever_listens_everywhere_is_asked_where_its_api_is() {
        let check = |ip: &str, api: &str, expected: &str| {
            let found = from_here(ip.parse().unwrap(), Place::of(&format!("http://{api}:9154").parse().unwrap()));
            assert_eq!(found, expected.parse::<IpAddr>().unwrap());
        };
        check("::", "localhost", "::1");
        check("0.0.0.0", "[::1]", "127.0.0.1");
        check("::", "[2a0a:e5c0::5]", "2a0a:e5c0::5");
        check("2a0a:e5c0::9", "[2a0a:e5c0::5]", "2a0a:e5c0::9");
        assert!(answers("[::]:53".parse().unwrap(), Place::Elsewhere, &[])[0].level == Level::Odd);
    }
}

//! What is found at a cut of c2.k8s.ooo, whose servers are written down line by line.

use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};

use super::super::{NameServer, Origin, Question};
use super::*;

const ZONE: &str = "c2.k8s.ooo.";
const DNS: &str = "dns.c2.k8s.ooo.";

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// A record: `OWNER TTL TYPE DATA`; of an SOA, the serial is all there is to say.
fn record(line: &str) -> Record {
    let [owner, ttl, rtype, data] = line.splitn(4, ' ').collect::<Vec<_>>().try_into().expect("four words");
    let soa = |serial| SOA::new(name("ns."), name("hostmaster."), serial, 14400, 3600, 1_209_600, 300);
    let data = match rtype {
        "NS" => RData::NS(NS(name(data))),
        "A" => RData::A(A(data.parse().expect("an address"))),
        "AAAA" => RData::AAAA(AAAA(data.parse().expect("an address"))),
        "SOA" => RData::SOA(soa(data.parse().expect("a serial"))),
        "DS" => RData::Unknown {
            code: RecordType::DS,
            rdata: hickory_proto::rr::rdata::NULL::with(vec![0, 1, 13, 2, 0xab]),
        },
        other => panic!("{other}"),
    };
    Record::from_rdata(name(owner), ttl.parse().expect("seconds"), data)
}

/// A response: flags and RCODE, then the records of ANSWER, AUTHORITY, ADDITIONAL, each section behind a `|`, records apart
/// by `;`. Or why there is none.
fn outcome(text: &str) -> Result<Reply, Silence> {
    match text {
        "timeout" => return Err(Silence::Timeout),
        "no route" => return Err(Silence::NoRoute),
        _ => {}
    }
    let mut parts = text.split('|');
    let head = parts.next().expect("one");
    let mut section = || {
        let records = parts.next().unwrap_or_default().split(';').map(str::trim);
        records.filter(|line| !line.is_empty()).map(record).collect::<Vec<_>>()
    };
    let mut message = Message::query();
    message.metadata.message_type = MessageType::Response;
    (message.answers, message.authorities, message.additionals) = (section(), section(), section());
    for word in head.split_whitespace() {
        match word {
            "AA" => message.metadata.authoritative = true,
            "NXDOMAIN" => message.metadata.response_code = ResponseCode::NXDomain,
            "REFUSED" => message.metadata.response_code = ResponseCode::Refused,
            "SERVFAIL" => message.metadata.response_code = ResponseCode::ServFail,
            "FORMERR" => message.metadata.response_code = ResponseCode::FormErr,
            "NOERROR" => {}
            other => panic!("{other}"),
        }
    }
    // As if each record took as many.
    let size = 100 + 160 * message.answers.len();
    Ok(Reply { message, size })
}

/// A name server, and what it says, line by line: `TYPE OWNER TRANSPORTS: RESPONSE`.
fn witness(server: &str, address: &str, lines: &str) -> Witness {
    let mut said = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (question, response) = line.split_once(": ").expect("a question");
        let [rtype, owner, transports] = question.split(' ').collect::<Vec<_>>().try_into().expect("three words");
        for transport in transports.split('+') {
            let question = Question {
                name: name(owner),
                rtype: rtype.parse().expect("a type"),
                transport: if transport == "tcp" { Transport::Tcp } else { Transport::Udp },
                payload: (transport != "plain").then_some(PAYLOAD),
                dnssec: true,
            };
            let server = address.parse().expect("an address");
            said.push(Exchange { server, question, took: Duration::from_millis(1), outcome: outcome(response) });
        }
    }
    Witness { name: name(server), address: address.parse().expect("an address"), origin: Origin::Glue, said }
}

/// A server of k8s.ooo that says this of c2.k8s.ooo.
fn above(address: &str, response: &str) -> Witness {
    witness("ns1.k8s.ooo.", address, &format!("NS {ZONE} udp+tcp: {response}"))
}

const WELL: &str = "SOA c2.k8s.ooo. udp+tcp: AA NOERROR | c2.k8s.ooo. 60 SOA 7
    NS c2.k8s.ooo. udp: AA NOERROR | c2.k8s.ooo. 3600 NS dns.c2.k8s.ooo.
    AAAA dns.c2.k8s.ooo. udp: AA NOERROR | dns.c2.k8s.ooo. 3600 AAAA 2a0a:e5c0::a
    A dns.c2.k8s.ooo. udp: AA NOERROR | dns.c2.k8s.ooo. 3600 A 147.78.194.9";
const REFERRAL: &str = "NOERROR | | c2.k8s.ooo. 3600 NS dns.c2.k8s.ooo. | \
    dns.c2.k8s.ooo. 3600 AAAA 2a0a:e5c0::a; dns.c2.k8s.ooo. 3600 A 147.78.194.9";

/// The servers of the zone, both as they should be, but for `lines` of the second.
fn below(lines: &str) -> Vec<Witness> {
    vec![witness(DNS, "2a0a:e5c0::a", WELL), witness(DNS, "147.78.194.9", lines)]
}

fn cut(above: Vec<Witness>, below: Vec<Witness>) -> Cut {
    Cut { zone: name(ZONE), parent: name("k8s.ooo."), above, below, lost: Vec::new() }
}

/// What the configuration wants.
fn delegation(addresses: &[&str]) -> Delegation {
    let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
    let servers = vec![NameServer { name: name(DNS), addresses }];
    Delegation { zone: name(ZONE), servers, ttl: 3600, glue_ttl: 3600, ds: Vec::new() }
}

/// What is found, notes aside: severity, code and side, and whether caches remember it, with the sentence of the first.
fn check_against(cut: &Cut, expected: Option<&Delegation>, findings: &[&str], sentence: &str) {
    let found = judge(cut, expected);
    let found: Vec<_> = found.iter().filter(|finding| finding.severity != Severity::Note).collect();
    let rows: Vec<_> = found
        .iter()
        .map(|Finding { code, side, severity, remembered, .. }| {
            let remembered = remembered.map(|ttl| format!(" {ttl}")).unwrap_or_default();
            format!("{severity:?} {code} {side:?}{remembered}")
        })
        .collect();
    assert_eq!(rows, findings, "{found:#?}");
    assert_eq!(found.first().map_or("", |finding| &finding.message), sentence);
}

fn check(cut: &Cut, findings: &[&str], sentence: &str) {
    check_against(cut, None, findings, sentence);
}

#[test]
fn nothing_is_wrong_where_both_sides_agree() {
    let well = cut(vec![above("2001:678::1", REFERRAL), above("2001:678::2", REFERRAL)], below(WELL));
    check(&well, &[], "");
    check_against(&well, Some(&delegation(&["2a0a:e5c0::a", "147.78.194.9"])), &[], "");
}

#[test]
fn a_single_server_is_worth_a_note() {
    let findings = judge(&cut(vec![above("2001:678::1", REFERRAL)], below(WELL)), None);
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::SingleServer]);
}

#[test]
fn a_zone_that_the_parent_does_not_have_is_not_delegated() {
    let denial = "AA NXDOMAIN | | k8s.ooo. 600 SOA 1";
    check(
        &cut(vec![above("2001:678::1", denial)], Vec::new()),
        &["Broken not-delegated Parent 300"],
        "c2.k8s.ooo. is not delegated: the servers of k8s.ooo. say that it does not exist (NXDOMAIN).",
    );
}

#[test]
fn servers_of_the_parent_can_disagree() {
    let denial = "AA NXDOMAIN | | k8s.ooo. 60 SOA 1";
    check(
        &cut(vec![above("2001:678::1", REFERRAL), above("2001:678::2", denial)], below(WELL)),
        &["Degraded parents-differ Parent 60"],
        "Some servers of k8s.ooo. delegate c2.k8s.ooo.; these do not: ns1.k8s.ooo. (2001:678::2).",
    );
    let other = "NOERROR | | c2.k8s.ooo. 3600 NS dns.c2.k8s.ooo. | dns.c2.k8s.ooo. 3600 AAAA 2a0a:e5c0::a";
    check(
        &cut(vec![above("2001:678::1", REFERRAL), above("2001:678::2", other)], below(WELL)),
        &["Degraded parents-differ Parent 3600"],
        "The servers of k8s.ooo. delegate c2.k8s.ooo. differently: ns1.k8s.ooo. (2001:678::1) and ns1.k8s.ooo. (2001:678::2) \
         differ in glue or DS.",
    );
}

#[test]
fn name_servers_are_those_that_the_zone_has() {
    let more = "NOERROR | | c2.k8s.ooo. 300 NS dns.c2.k8s.ooo.; c2.k8s.ooo. 300 NS old.example. | \
                dns.c2.k8s.ooo. 300 AAAA 2a0a:e5c0::a; dns.c2.k8s.ooo. 300 A 147.78.194.9";
    check(
        &cut(vec![above("2001:678::1", more)], below(WELL)),
        &["Degraded name-server-extra Parent 300"],
        "The delegation of c2.k8s.ooo. in k8s.ooo. has old.example., which the zone itself does not have as a name server.",
    );
    let mut two = delegation(&["2a0a:e5c0::a", "147.78.194.9"]);
    two.servers.push(NameServer { name: name("ns.example."), addresses: Vec::new() });
    check_against(
        &cut(vec![above("2001:678::1", REFERRAL)], below(WELL)),
        Some(&two),
        &["Degraded name-server-missing Parent 3600"],
        "The delegation of c2.k8s.ooo. in k8s.ooo. lacks ns.example., which the configuration has as a name server.",
    );
}

#[test]
fn servers_of_the_zone_can_have_different_ns_records_and_serials() {
    let other = WELL.replace("3600 NS dns.c2", "3600 NS two.c2").replace("SOA 7", "SOA 6");
    let found = cut(vec![above("2001:678::1", REFERRAL)], below(&other));
    check(
        &found,
        &[
            "Degraded name-server-missing Parent 3600",
            "Degraded children-differ Child 3600",
            "Degraded serials-differ Child",
        ],
        "The delegation of c2.k8s.ooo. in k8s.ooo. lacks two.c2.k8s.ooo., which the zone itself has as a name server.",
    );
    let versions = judge(&found, None).into_iter().find(|finding| finding.code == Code::SerialsDiffer);
    assert_eq!(
        versions.expect("found").message,
        "The servers of c2.k8s.ooo. have different versions of it: 6 at dns.c2.k8s.ooo. (147.78.194.9); \
         7 at dns.c2.k8s.ooo. (2a0a:e5c0::a).",
    );
}

#[test]
fn without_glue_nobody_finds_a_name_server_within_the_zone() {
    let none = "NOERROR | | c2.k8s.ooo. 3600 NS dns.c2.k8s.ooo. |";
    check(
        &cut(vec![above("2001:678::1", none)], Vec::new()),
        &["Broken glue-missing Parent 3600"],
        "The delegation of c2.k8s.ooo. in k8s.ooo. has no address of dns.c2.k8s.ooo., which is within the zone: nobody can \
         find it.",
    );
}

#[test]
fn glue_that_is_old_or_not_all() {
    let one = "NOERROR | | c2.k8s.ooo. 3600 NS dns.c2.k8s.ooo. | dns.c2.k8s.ooo. 3600 AAAA 2a0a:e5c0::a";
    check(
        &cut(vec![above("2001:678::1", one)], vec![witness(DNS, "2a0a:e5c0::a", WELL)]),
        &["Degraded glue-incomplete Parent 3600"],
        "The glue of dns.c2.k8s.ooo. in k8s.ooo. lacks 147.78.194.9.",
    );
    let old = REFERRAL.replace("147.78.194.9", "147.78.194.8");
    let silent = "SOA c2.k8s.ooo. udp+tcp+plain: timeout";
    let both = vec![witness(DNS, "2a0a:e5c0::a", WELL), witness(DNS, "147.78.194.8", silent)];
    check(
        &cut(vec![above("2001:678::1", &old)], both),
        &["Degraded glue-incomplete Parent 3600", "Degraded glue-stale Parent 3600"],
        "The glue of dns.c2.k8s.ooo. in k8s.ooo. lacks 147.78.194.9.",
    );
}

#[test]
fn an_operator_may_want_one_family_alone() {
    let one = "NOERROR | | c2.k8s.ooo. 3600 NS dns.c2.k8s.ooo. | dns.c2.k8s.ooo. 3600 AAAA 2a0a:e5c0::a";
    let only = WELL.replace("| dns.c2.k8s.ooo. 3600 A 147.78.194.9", "");
    let found = cut(vec![above("2001:678::1", one)], vec![witness(DNS, "2a0a:e5c0::a", &only)]);
    check(
        &found,
        &["Degraded no-ipv4 Child"],
        "No name server of c2.k8s.ooo. has an IPv4 address: resolvers that have only IPv4 cannot get there.",
    );
    check_against(&found, Some(&delegation(&["2a0a:e5c0::a"])), &[], "");
}

#[test]
fn private_addresses_lead_nowhere() {
    let private = REFERRAL.replace("147.78.194.9", "10.96.0.10");
    let own = WELL.replace("147.78.194.9", "10.96.0.10");
    let both = vec![witness(DNS, "2a0a:e5c0::a", &own), witness(DNS, "10.96.0.10", &own)];
    check(
        &cut(vec![above("2001:678::1", &private)], both),
        &["Degraded address-private Child 3600"],
        "dns.c2.k8s.ooo. (10.96.0.10), a name server of c2.k8s.ooo., is at an address that the world cannot reach.",
    );
}

/// What is found where the second server's lines are these.
fn check_server(lines: &str, findings: &[&str], sentence: &str) {
    check(&cut(vec![above("2001:678::1", REFERRAL)], below(lines)), findings, sentence);
}

#[test]
fn servers_that_do_not_serve_are_lame() {
    let lame = ["Degraded lame Child 300"];
    for (response, why) in [
        ("REFUSED", "answers REFUSED"),
        ("SERVFAIL", "answers SERVFAIL"),
        ("NOERROR | c2.k8s.ooo. 60 SOA 7", "answers without authority (not AA), as a resolver would"),
        ("NOERROR | | . 60 NS a.root-servers.net.", "refers to the servers of the root"),
        ("NOERROR | | c2.k8s.ooo. 60 NS dns.c2.k8s.ooo.", "refers to the zone's servers, of which it should be one"),
        ("AA NOERROR", "has no SOA record of the zone"),
    ] {
        check_server(
            &format!("SOA c2.k8s.ooo. udp+tcp: {response}"),
            &lame,
            &format!(
                "dns.c2.k8s.ooo. (147.78.194.9) is named as a server of c2.k8s.ooo., but does not serve it: it {why}."
            ),
        );
    }
    let all = vec![witness(DNS, "2a0a:e5c0::a", "SOA c2.k8s.ooo. udp+tcp: REFUSED")];
    check(
        &cut(vec![above("2001:678::1", REFERRAL)], all),
        &["Broken lame Child 300", "Degraded no-ipv4 Child"],
        "dns.c2.k8s.ooo. (2a0a:e5c0::a) is named as a server of c2.k8s.ooo., but does not serve it: it answers REFUSED.",
    );
}

#[test]
fn servers_that_answer_in_one_way_only() {
    check_server(
        "SOA c2.k8s.ooo. udp: AA NOERROR | c2.k8s.ooo. 60 SOA 7\nSOA c2.k8s.ooo. tcp: timeout",
        &["Degraded no-tcp Child"],
        "dns.c2.k8s.ooo. (147.78.194.9) answers for c2.k8s.ooo. over UDP, but not over TCP.",
    );
    check_server(
        "SOA c2.k8s.ooo. udp+plain: timeout\nSOA c2.k8s.ooo. tcp: AA NOERROR | c2.k8s.ooo. 60 SOA 7",
        &["Degraded no-udp Child"],
        "dns.c2.k8s.ooo. (147.78.194.9) answers for c2.k8s.ooo. over TCP, but not over UDP.",
    );
    for with_edns in ["timeout", "FORMERR"] {
        check_server(
            &format!("SOA c2.k8s.ooo. udp+tcp: {with_edns}\nSOA c2.k8s.ooo. plain: AA NOERROR | c2.k8s.ooo. 60 SOA 7"),
            &["Degraded no-edns Child"],
            "dns.c2.k8s.ooo. (147.78.194.9) answers for c2.k8s.ooo. only where the question has no EDNS.",
        );
    }
}

#[test]
fn large_responses_that_get_lost() {
    let many = ["c2.k8s.ooo. 60 A 192.0.2.1"; 10].join("; ");
    let fewer = ["c2.k8s.ooo. 60 A 192.0.2.1"; 5].join("; ");
    check_server(
        &format!("{WELL}\nTXT c2.k8s.ooo. udp: timeout\nTXT c2.k8s.ooo. tcp: AA NOERROR | {many}"),
        &["Degraded large-lost Child"],
        "dns.c2.k8s.ooo. (147.78.194.9) answers over UDP with 1700 octets where 1232 were asked for at most, and they get \
         lost; over TCP they do not.",
    );
    check_server(
        &format!("{WELL}\nTXT c2.k8s.ooo. udp: timeout\nTXT c2.k8s.ooo. tcp: AA NOERROR | {fewer}"),
        &["Degraded large-lost Path"],
        "Responses of 900 octets from dns.c2.k8s.ooo. (147.78.194.9) get lost over UDP; over TCP they do not.",
    );
}

#[test]
fn a_server_that_does_alike_at_all_its_addresses_is_told_once() {
    let silent = "SOA c2.k8s.ooo. udp+tcp+plain: timeout";
    check(
        &cut(
            vec![above("2001:678::1", REFERRAL)],
            vec![witness(DNS, "2a0a:e5c0::a", silent), witness(DNS, "147.78.194.9", silent)],
        ),
        &["Broken silent Child 300"],
        "dns.c2.k8s.ooo. (2a0a:e5c0::a, 147.78.194.9), a name server of c2.k8s.ooo., does not answer.",
    );
}

#[test]
fn ds_of_a_zone_that_is_not_signed_breaks_it() {
    let signed = REFERRAL.replace(". | dns", ".; c2.k8s.ooo. 900 DS x | dns");
    let keyless = format!("{WELL}\nDNSKEY c2.k8s.ooo. udp: AA NOERROR | | c2.k8s.ooo. 30 SOA 7");
    check(
        &cut(vec![above("2001:678::1", &signed)], below(&keyless)),
        &["Broken ds-without-key Parent 900"],
        "k8s.ooo. has DS records of c2.k8s.ooo., which is not signed: resolvers that validate answer SERVFAIL.",
    );
}

#[test]
fn a_machine_without_ipv6_says_nothing_about_the_zone() {
    let unreachable = "SOA c2.k8s.ooo. udp+tcp: no route";
    let mixed = vec![witness(DNS, "2a0a:e5c0::a", unreachable), witness(DNS, "147.78.194.9", WELL)];
    check(&cut(vec![above("193.0.0.1", REFERRAL)], mixed), &[], "");
    let one = "NOERROR | | c2.k8s.ooo. 3600 NS dns.c2.k8s.ooo. | dns.c2.k8s.ooo. 3600 AAAA 2a0a:e5c0::a";
    check(
        &cut(vec![above("193.0.0.1", one)], vec![witness(DNS, "2a0a:e5c0::a", unreachable)]),
        &["Broken no-route Here", "Degraded no-ipv4 Child"],
        "This machine has no way to IPv6 addresses, and no name server of c2.k8s.ooo. has another.",
    );
}

#[test]
fn a_name_server_elsewhere_that_nobody_finds() {
    let elsewhere = "NOERROR | | c2.k8s.ooo. 3600 NS ns.gone.example. |";
    let lost = Cut { lost: vec![name("ns.gone.example.")], ..cut(vec![above("2001:678::1", elsewhere)], Vec::new()) };
    check(
        &lost,
        &["Broken no-way-in Child 3600"],
        "ns.gone.example., a name server of c2.k8s.ooo., has no address that can be found.",
    );
}

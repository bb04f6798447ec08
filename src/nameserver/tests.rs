//! What `respond` answers from small zones, beside the tables of tests/data/answers: as the RFCs say it, within its size.

mod naive;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::Name;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::TestRunner;

use super::*;
use crate::zone::{Record, Zones, master};
use naive::Records;

fn apex() -> Name {
    Name::from_ascii("k8s.ooo.").unwrap()
}

fn parse(text: &str) -> Vec<Record> {
    master::parse(text.as_bytes(), &apex(), None).unwrap()
}

fn served(records: &[Record], identity: &[u8]) -> Served {
    let (zone, _) = Zone::build(&apex(), records.to_vec()).unwrap();
    let mut zones = Zones::default();
    zones.set(&apex(), State::Loaded(Arc::new(zone)));
    Served { zones, identity: identity.into() }
}

/// A question, with the OPT record that ends it if there is one.
fn question(qname: &Name, qtype: RecordType, opt: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!opt.is_empty())];
    for label in qname {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes.extend_from_slice(&u16::from(qtype).to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(opt);
    bytes
}

fn ask(served: &Served, bytes: &[u8], transport: Transport) -> Vec<u8> {
    let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
    let mut out = Vec::new();
    let request = Request { bytes, peer, transport, now: Instant::now() };
    assert!(matches!(respond(served, request, &mut out), Outcome::Reply(_)));
    out
}

fn texts(records: &[hickory_proto::rr::Record]) -> Vec<String> {
    let record = |record: &hickory_proto::rr::Record| Record::new(record.name.clone(), record.ttl, &record.data);
    let mut texts: Vec<_> = records.iter().map(|each| record(each).to_string()).collect();
    texts.sort();
    texts
}

/// Sixty-three octets: four of them make no name.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Labels of few kinds, so that names meet.
fn label() -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => Just("a"), 5 => Just("b"), 4 => Just("*"), 2 => Just(LONG)]
}

/// A name relative to the apex.
fn owner() -> impl Strategy<Value = String> {
    let below = |most| vec(label(), 1..=most).prop_map(|labels| labels.join("."));
    // 255 octets hold three long labels, and little more.
    prop_oneof![6 => below(2), 3 => below(4), 1 => Just("@".to_owned())].prop_filter("a name", |name| name.len() < 230)
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![8 => owner(), 1 => Just(".".to_owned()), 1 => Just("ns.example.".to_owned())]
}

/// What would be rare: names grow too long at once, or link by link.
fn growing() -> impl Strategy<Value = Vec<String>> {
    let lines = vec![format!("b.a 5 DNAME {LONG}.{LONG}.{LONG}"), "a.b 5 DNAME a.a.b".to_owned()];
    subsequence(lines, 0..=2)
}

fn record() -> impl Strategy<Value = String> {
    let rdata = prop_oneof![
        6 => (0..4_u8).prop_map(|n| format!("A 192.0.2.{n}")),
        3 => (0..4_u8).prop_map(|n| format!("AAAA 2001:db8::{n}")),
        3 => (0..3_u8).prop_map(|n| format!("TXT t{n}")),
        4 => target().prop_map(|target| format!("CNAME {target}")),
        3 => target().prop_map(|target| format!("DNAME {target}")),
        2 => Just("DS 1 13 2 abcdef".to_owned()),
    ];
    (owner(), 5..7_u8, rdata).prop_map(|(owner, ttl, rdata)| format!("{owner} {ttl} {rdata}"))
}

/// A record with a target that has an address, by itself or as a wildcard stands in for it.
fn pointed() -> impl Strategy<Value = String> {
    let rdata = select(vec!["NS", "NS", "NS", "MX 10", "SRV 0 100 443", "HTTPS 0", "HTTPS 1"]);
    let address = select(vec!["A 192.0.2.9", "AAAA 2001:db8::9"]);
    (owner(), rdata, owner(), 5..7_u8, address, 0..3).prop_map(|(owner, rdata, target, ttl, address, roll)| {
        let wildcard = target.split_once('.').map(|(_, parent)| format!("*.{parent}")).filter(|_| roll == 0);
        format!("{owner} {ttl} {rdata} {target}\n{} {ttl} {address}", wildcard.as_ref().unwrap_or(&target))
    })
}

/// The records of a zone: of those given each that does not contradict the ones before it.
fn zone(soa: (u32, u32), lines: &[String]) -> Vec<Record> {
    let (ttl, minimum) = soa;
    let mut records = parse(&format!("@ {ttl} SOA ns hostmaster 1 1 1 1 {minimum}\n@ 5 NS a"));
    for line in lines {
        let more = [records.clone(), parse(line)].concat();
        if Zone::build(&apex(), more.clone()).is_ok() {
            records = more;
        }
    }
    records
}

const TYPES: [RecordType; 12] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::NS,
    RecordType::SOA,
    RecordType::CNAME,
    RecordType::DNAME,
    RecordType::TXT,
    RecordType::MX,
    RecordType::SRV,
    RecordType::HTTPS,
    RecordType::DS,
    RecordType::ANY,
];

/// A name that is in the zone, or near one that is: with labels before it, or without its first.
fn near(records: &[Record], at: Index, prefix: &[&str], shorten: bool) -> Option<Name> {
    let owner = &at.get(records).owner;
    let owner = if shorten && *owner != apex() { owner.base_name() } else { owner.clone() };
    Name::from_labels(prefix.iter().map(|label| label.as_bytes()).chain(owner.iter())).ok()
}

/// Each way through RFC 1034 §4.3.2 must have been gone; which ways there are, `naive` says.
#[test]
fn answers_agree_with_a_slow_reading_of_the_rfcs() {
    let steps = RefCell::new(BTreeMap::<&str, u32>::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = config.cases;
    let questions = vec((any::<Index>(), vec(label(), 0..3), any::<bool>(), select(TYPES.to_vec())), 60);
    let input = ((0..9_u32, 0..9_u32), growing(), vec(prop_oneof![2 => record(), 1 => pointed()], 0..20), questions);
    let agree = TestRunner::new(config).run(&input, |(soa, growing, lines, questions)| {
        let records = zone(soa, &[growing, lines].concat());
        let served = served(&records, &[]);
        let slow = Records::new(apex(), &records);
        let text: String = records.iter().map(|record| format!("{record}\n")).collect();
        for (at, prefix, shorten, qtype) in questions {
            let Some(qname) = near(&records, at, &prefix, shorten) else { continue };
            let response = Message::from_vec(&ask(&served, &question(&qname, qtype, &[]), Transport::Tcp)).unwrap();
            let reading = slow.read(&qname, qtype);
            for step in &reading.steps {
                *steps.borrow_mut().entry(step).or_default() += 1;
            }
            let mut wanted = [reading.answer, reading.authority, reading.additional];
            wanted.iter_mut().for_each(|section| section.sort());
            let Message { metadata: header, answers, authorities, additionals, .. } = &response;
            let got = [answers, authorities, additionals].map(|records| texts(records));
            let got = (u16::from(header.response_code), header.authoritative, header.truncation, got);
            let wanted = (reading.rcode, !reading.is_referral, false, wanted);
            prop_assert_eq!(got, wanted, "{} {}\n{}", qname, qtype, text);
        }
        Ok(())
    });
    agree.unwrap_or_else(|error| panic!("{error}"));
    assert!(steps.borrow().len() == 19 || cases < 256, "not all ways were gone: {:?}", steps.borrow());
}

/// A zone with an answer of many sizes, and the question for it.
#[derive(Debug)]
struct Large {
    records: Vec<Record>,
    qname: Name,
    qtype: RecordType,
    /// How many records of ADDITIONAL the response must have: in-domain glue (RFC 9471 §3.1).
    glue: usize,
}

fn large() -> impl Strategy<Value = Large> {
    let qtype = select(vec!["A", "TXT", "MX", "SRV", "HTTPS", "NS"]);
    // Where a target is, how many addresses it has of each family, and how long its name is.
    let targets = vec((0..3_usize, 0..7_usize, 0..7_usize, 1..20_usize), 1..14);
    (qtype, targets, 0..3_usize).prop_map(|(qtype, targets, links)| {
        let mut text = "@ 5 SOA ns hostmaster 1 1 1 1 1\n@ 5 NS ns.example.\nsibling 5 NS ns.example.\n".to_owned();
        let mut line = |line: String| text.extend([&line, "\n"]);
        // Below a cut what is asked for is another zone's.
        let node = if qtype == "NS" { "below.q" } else { "q" };
        for link in 0..links {
            let next = if link + 1 == links { node.to_owned() } else { format!("alias{}", link + 1) };
            line(format!("alias{link} 5 CNAME {next}"));
        }
        let mut glue = 0;
        for (n, (place, ipv4, ipv6, len)) in targets.into_iter().enumerate() {
            let target = format!("{n}{}{}", "t".repeat(len), ["", ".q", ".sibling"][place]);
            match qtype {
                "A" => (0..ipv4).for_each(|host| line(format!("q 5 A 192.0.{n}.{host}"))),
                "TXT" => line(format!("q 5 TXT {n}{}", "x".repeat(len * ipv4))),
                "MX" => line(format!("q 5 MX {n} {target}")),
                "SRV" => line(format!("q 5 SRV 0 100 {n} {target}")),
                "HTTPS" => line(format!("q 5 HTTPS {} {target}", n + 1)),
                _ => line(format!("q 5 NS {target}")),
            }
            if qtype == "NS" && place == 1 {
                glue += ipv4 + ipv6;
            }
            (0..ipv4).for_each(|host| line(format!("{target} 5 A 192.0.2.{host}")));
            (0..ipv6).for_each(|host| line(format!("{target} 5 AAAA 2001:db8::{host}")));
        }
        let asked = if links == 0 { node } else { "alias0" };
        let qname = Name::from_ascii(asked).unwrap().append_domain(&apex()).unwrap();
        Large { records: parse(&text), qname, qtype: qtype.parse().unwrap(), glue }
    })
}

/// A record as it stands in a message.
#[derive(Clone, Copy)]
struct Piece<'m> {
    octets: &'m [u8],
    owner: &'m [u8],
    rtype: RecordType,
}

/// Where a message's question ends, and what follows it.
fn pieces(message: &[u8]) -> (usize, Vec<Piece<'_>>) {
    let name_end = |mut at: usize| loop {
        match message[at] {
            0 => return at + 1,
            192.. => return at + 2,
            length => at += 1 + usize::from(length),
        }
    };
    let number = |at| u16::from_be_bytes([message[at], message[at + 1]]);
    let question_end = name_end(12) + 4;
    let mut pieces = Vec::new();
    let mut at = question_end;
    while at < message.len() {
        let fixed = name_end(at);
        let end = fixed + 10 + usize::from(number(fixed + 8));
        pieces.push(Piece { octets: &message[at..end], owner: &message[at..fixed], rtype: number(fixed).into() });
        at = end;
    }
    (question_end, pieces)
}

/// What has to be sent within `size` octets, `whole` being the message that holds everything, OPT last if there is one.
fn within(size: usize, whole: &[u8], glue: usize) -> Vec<u8> {
    let count = |at| usize::from(u16::from_be_bytes([whole[at], whole[at + 1]]));
    let (question_end, mut records) = pieces(whole);
    let opt = records.pop_if(|record| record.rtype == RecordType::OPT);
    let (required, optional) = records.split_at(count(6) + count(8) + glue);
    let octets = |records: &[Piece<'_>]| records.iter().flat_map(|record| record.octets).copied().collect::<Vec<u8>>();
    let opt = octets(opt.as_slice());
    let room = size - opt.len();

    let mut message = [&whole[..question_end], &octets(required)].concat();
    let mut left_out = 0;
    if message.len() > room {
        // RFC 2181 §9: TC says that something required is missing; and then nothing else is there.
        message.truncate(question_end);
        message[2] |= 0x02;
        message[6..10].fill(0);
        left_out = glue + optional.len();
    } else {
        // Of what is optional, RRset by RRset what fits.
        for rrset in optional.chunk_by(|one, next| (one.rtype, one.owner) == (next.rtype, next.owner)) {
            if message.len() + octets(rrset).len() <= room {
                message.extend(octets(rrset));
            } else {
                left_out += rrset.len();
            }
        }
    }
    let additional = u16::try_from(count(10) - left_out).unwrap();
    message[10..12].copy_from_slice(&additional.to_be_bytes());
    [message, opt].concat()
}

proptest! {
    // Each case is more than seven hundred.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    /// What is sent over UDP is, for each size, the very octets of the answer over TCP, less whole RRsets of what is
    /// optional; or TC, where what is required does not fit.
    #[test]
    fn datagrams_hold_what_is_required_and_as_much_as_fits_of_the_rest(
        large in large(),
        identity in vec(any::<u8>(), 0..=MAX_IDENTITY),
        options in select(vec![&[][..], &[0, 3, 0, 0], &[0, 3, 0, 0, 0, 100, 0, 1, 7]]),
        dnssec_ok in select(vec![0, 0x80]),
    ) {
        let Large { records, qname, qtype, glue } = large;
        let served = served(&records, &identity);
        let plain = question(&qname, qtype, &[]);
        let whole = ask(&served, &plain, Transport::Tcp);
        prop_assert_eq!(ask(&served, &plain, Transport::Udp), within(512, &whole, glue));

        let with_opt = |size: u16| {
            let [s1, s0] = size.to_be_bytes();
            let length = u8::try_from(options.len()).unwrap();
            question(&qname, qtype, &[&[0, 0, 41, s1, s0, 0, 0, dnssec_ok, 0, 0, length], options].concat())
        };
        let whole = ask(&served, &with_opt(0), Transport::Tcp);
        let message = Message::from_vec(&whole).unwrap();
        prop_assert!(!message.metadata.truncation);
        prop_assert!(message.additionals[..glue].iter().all(|record| Name::from_ascii("q.k8s.ooo.").unwrap().zone_of(&record.name)));
        for size in (500..=1240).chain([0, 1, 4096, u16::MAX]) {
            let sent = ask(&served, &with_opt(size), Transport::Udp);
            let least = usize::from(size.clamp(512, 1232));
            prop_assert!(sent.len() <= least);
            prop_assert_eq!(sent, within(least, &whole, glue), "{} octets", size);
        }
    }
}

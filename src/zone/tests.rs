//! What zones answer, and that derived ones answer as built ones do.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The zone c1.k8s.ooo with these records beside its SOA and NS.
fn c1(records: &str) -> Zone {
    build(records).unwrap().0
}

fn build(records: &str) -> Result<(Zone, Vec<Warning>), ZoneError> {
    let text = format!(
        "$TTL 5\n@ SOA ns hostmaster 1 14400 3600 1209600 30\n@ NS ns\nns AAAA 2001:db8::53\n{}",
        records.trim_start().lines().map(str::trim).collect::<Vec<_>>().join("\n")
    );
    Zone::build(&apex(), parse(&text))
}

fn apex() -> Name {
    Name::from_ascii("c1.k8s.ooo.").unwrap()
}

fn parse(text: &str) -> Vec<Record> {
    master::parse(text.as_bytes(), &apex(), None).unwrap()
}

#[test]
fn a_large_zone_holds_every_record() {
    use RecordType::{A, AAAA, CNAME, NS, SOA, TXT};
    const EACH: usize = 4_000;
    // Delegations with glue, hosts and aliases, neither in order nor owner by owner.
    let records: Vec<_> = (0..EACH)
        .map(|i| (i * 7919) % EACH)
        .map(|i| {
            format!("d{i} NS ns.d{i}\nh{i} A 192.0.2.1\nns.d{i} AAAA 2001:db8::{i:x}\nh{i} TXT {i}\nw.h{i} CNAME h{i}")
        })
        .collect();
    let (zone, warnings) = build(&records.join("\n")).unwrap();
    assert_eq!(warnings, []);
    let census = [(A, EACH), (NS, EACH + 1), (CNAME, EACH), (SOA, 1), (TXT, EACH), (AAAA, EACH + 1)];
    assert_eq!(zone.census(), census);
    let records = zone.records();
    assert_eq!(records.len(), 5 * EACH + 3);
    let again = Zone::build(&apex(), records).unwrap().0;
    assert_eq!(diff(&zone, &again), []);
    for i in [0, 1, EACH / 2, EACH - 1] {
        check(&zone, &format!("w.h{i} A"), &format!("ALIAS w.h{i}.c1.k8s.ooo. 5 IN CNAME h{i}.c1.k8s.ooo."));
    }
}

fn relative(name: &str) -> Name {
    if name == "@" { apex() } else { Name::from_ascii(name).unwrap().append_domain(&apex()).unwrap() }
}

/// `question` is a relative name and a type; `expected` an outcome, or lines of a master file.
fn check(zone: &Zone, question: &str, expected: &str) {
    let (qname, qtype) = question.split_once(' ').unwrap();
    let qname = HashedName::from(&relative(qname));
    let answer = zone.lookup(&qname, qtype.parse().unwrap());
    assert_eq!(text(answer, &qname), expected, "{question}");
}

fn text(answer: Answer<'_>, qname: &HashedName) -> String {
    match answer {
        Answer::Records(rrset) => synthesized(rrset, qname),
        Answer::Alias(rrset) => format!("ALIAS {}", synthesized(rrset, qname)),
        Answer::Redirect(rrset) => format!("REDIRECT {}", synthesized(rrset, qname)),
        Answer::NoData => "NODATA".to_owned(),
        Answer::NxDomain => "NXDOMAIN".to_owned(),
        Answer::Referral(referral) => format!("REFERRAL {} NS, {} glue", referral.nameservers(), referral.glue()),
    }
}

/// An RRset's records as they answer for `qname`, by way of a message.
fn synthesized(rrset: RrSet<'_>, qname: &HashedName) -> String {
    lines(&elsewhere(rrset.block(), qname.wire(), 0))
}

fn lines(records: &[Record]) -> String {
    records.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn wildcards_reach_only_below_the_closest_encloser() {
    let zone = c1("
        *       A    192.0.2.1
        b       TXT  here
        c.d     TXT  deep
    ");

    check(&zone, "a A", "a.c1.k8s.ooo. 5 IN A 192.0.2.1");
    check(&zone, "x.y.z A", "x.y.z.c1.k8s.ooo. 5 IN A 192.0.2.1");
    check(&zone, "a AAAA", "NODATA");
    check(&zone, "* A", "*.c1.k8s.ooo. 5 IN A 192.0.2.1");
    check(&zone, "b A", "NODATA");
    check(&zone, "a.b A", "NXDOMAIN");
    check(&zone, "d A", "NODATA");
    check(&zone, "x.d A", "NXDOMAIN");
    // RFC 4592 §2.2.1: below a wildcard it is the wildcard that exists.
    check(&zone, "a.* A", "NXDOMAIN");
}

#[test]
fn an_empty_non_terminal_exists() {
    let zone = c1("_https._tcp.web SRV 0 100 443 web\nweb AAAA 2001:db8::1");

    check(&zone, "_tcp.web A", "NODATA");
    check(&zone, "_tcp.web SRV", "NODATA");
    check(&zone, "_udp.web SRV", "NXDOMAIN");
    check(&zone, "_https._tcp.web SRV", "_https._tcp.web.c1.k8s.ooo. 5 IN SRV 0 100 443 web.c1.k8s.ooo.");
}

#[test]
fn a_cut_hides_what_is_below_it_and_keeps_its_ds() {
    let zone = c1("
        cut          NS    ns.cut
        cut          NS    ns.elsewhere.
        cut          DS    1 13 2 abcdef
        cut          TXT   hidden
        ns.cut       AAAA  2001:db8::1
        ns.cut       A     192.0.2.1
        other.cut    A     192.0.2.2
    ");

    check(&zone, "cut A", "REFERRAL 2 NS, 2 glue");
    check(&zone, "cut NS", "REFERRAL 2 NS, 2 glue");
    check(&zone, "cut ANY", "REFERRAL 2 NS, 2 glue");
    check(&zone, "ns.cut A", "REFERRAL 2 NS, 2 glue");
    check(&zone, "ns.cut DS", "REFERRAL 2 NS, 2 glue");
    check(&zone, "absent.other.cut A", "REFERRAL 2 NS, 2 glue");
    check(&zone, "cut DS", "cut.c1.k8s.ooo. 5 IN DS 1 13 2 ABCDEF");
    let texts = zone.records().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(texts.contains(&"cut.c1.k8s.ooo. 5 IN TXT \"hidden\"".to_owned()), "{texts:?}");
}

#[test]
fn a_dname_redirects_what_is_below_it_and_not_itself() {
    let zone = c1("old DNAME new\nold TXT here\nx.new A 192.0.2.1");

    check(&zone, "x.old A", "REDIRECT old.c1.k8s.ooo. 5 IN DNAME new.c1.k8s.ooo.");
    check(&zone, "y.x.old A", "REDIRECT old.c1.k8s.ooo. 5 IN DNAME new.c1.k8s.ooo.");
    check(&zone, "old A", "NODATA");
    check(&zone, "old TXT", "old.c1.k8s.ooo. 5 IN TXT \"here\"");
}

#[test]
fn any_gets_one_rrset() {
    let zone = c1("many A 192.0.2.1\nmany TXT t\nalias CNAME many\nent.x A 192.0.2.1");

    check(&zone, "many ANY", "many.c1.k8s.ooo. 5 IN A 192.0.2.1");
    check(&zone, "alias ANY", "alias.c1.k8s.ooo. 5 IN CNAME many.c1.k8s.ooo.");
    check(&zone, "alias A", "ALIAS alias.c1.k8s.ooo. 5 IN CNAME many.c1.k8s.ooo.");
    check(&zone, "x ANY", "NODATA");
    check(&zone, "absent ANY", "NXDOMAIN");
}

#[test]
fn contradictions_are_refused() {
    let check = |records: &str, expected: &str| assert_eq!(build(records).unwrap_err().to_string(), expected);

    check("a CNAME b\na TXT t", "a.c1.k8s.ooo. owns a CNAME record and other data (TXT): keep one of them");
    check("@ CNAME b", "c1.k8s.ooo. owns a CNAME record and other data (NS): keep one of them");
    check("a CNAME b\na CNAME c", "a.c1.k8s.ooo. owns several CNAME records: keep one");
    check("a DNAME b\na DNAME c", "a.c1.k8s.ooo. owns several DNAME records: keep one");
    check(
        "a DNAME b\na NS c",
        "a.c1.k8s.ooo. owns a DNAME record and NS records: one name cannot both redirect and delegate",
    );
    check(
        "a DNAME b\nx.y.a TXT t",
        "x.y.a.c1.k8s.ooo. is below a.c1.k8s.ooo., which has a DNAME record that hides it: remove one of them",
    );
    check("@ SOA ns hostmaster 2 1 1 1 1", "c1.k8s.ooo. has several SOA records: keep one");
    check("a SOA ns hostmaster 1 1 1 1 1", "a.c1.k8s.ooo. has an SOA record: only the apex may");

    let bare = |text: &str| Zone::build(&apex(), parse(text)).unwrap_err().to_string();
    assert_eq!(bare("$TTL 5\n@ NS ns"), "c1.k8s.ooo. has no SOA record: a zone begins with one");
    assert_eq!(
        bare("$TTL 5\n@ SOA ns hostmaster 1 1 1 1 1"),
        "c1.k8s.ooo. has no NS records: name the zone's own name servers"
    );
    assert!(build("@ DNAME elsewhere.").is_err(), "the name server's address is below the apex");
}

#[test]
fn oddities_are_named_and_served() {
    let check = |records: &str, expected: &[&str]| {
        let warnings: Vec<_> = build(records).unwrap().1.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, expected, "{records}");
    };

    check("a A 192.0.2.1\nelsewhere. A 192.0.2.1", &["elsewhere. A is not in the zone: left out"]);
    check("a A 192.0.2.1\na A 192.0.2.1", &["a.c1.k8s.ooo. A has a record more than once"]);
    check("a PTR www\na PTR WWW", &["a.c1.k8s.ooo. PTR has a record more than once"]);
    check("a MX 1 www\na MX 2 WWW", &[]);
    check(
        "a 9 RRSIG A 13 2 9 20300101000000 20200101000000 1 . abcd\na 7 RRSIG TXT 13 2 7 20300101000000 20200101000000 1 . abcd",
        &["the zone has RRSIG records, but answers carry no DNSSEC proofs"],
    );
    check(
        "a 9 A 192.0.2.1\na 7 A 192.0.2.2\na 8 A 192.0.2.3",
        &["a.c1.k8s.ooo. A has records with different TTLs: 7 is served for all of them"],
    );
    check(
        "a NS ns.b.a\nb.a NS ns\nns.b.a A 192.0.2.1",
        &["b.a.c1.k8s.ooo. NS is below the zone cut at a.c1.k8s.ooo., which hides it"],
    );
    check("a NS x.a", &["a.c1.k8s.ooo. NS x.a.c1.k8s.ooo. has no address: resolvers cannot reach it"]);
    check("@ NS x", &["c1.k8s.ooo. NS x.c1.k8s.ooo. has no address: resolvers cannot reach it"]);
    check("@ NS x\nx CNAME ns", &["name server x.c1.k8s.ooo. is an alias: resolvers do not follow it"]);
    check("* NS x", &["*.c1.k8s.ooo. NS: names that a wildcard stands in for are neither delegated nor redirected"]);
}

#[test]
fn a_change_of_one_subtree_leaves_the_rest_alone() {
    let zone = c1("web.shop.svc AAAA 2001:db8::1\ndb.shop.svc AAAA 2001:db8::2");
    let subtree = |root: &str, records: &str| Subtree { root: relative(root), records: parse(records) };

    let derived = zone.derive([subtree("web.shop.svc", "$TTL 5\nweb.shop.svc AAAA 2001:db8::1")], Serial(2));
    assert!(derived.zone.is_none(), "the same records are no change");

    let next = zone.derive([subtree("web.shop.svc", "$TTL 5\n_x._tcp.web.shop.svc TXT t")], Serial(2)).zone.unwrap();
    assert_eq!(next.serial(), Serial(2));
    check(&next, "@ SOA", "c1.k8s.ooo. 5 IN SOA ns.c1.k8s.ooo. hostmaster.c1.k8s.ooo. 2 14400 3600 1209600 30");
    check(&next, "web.shop.svc AAAA", "NODATA");
    check(&next, "_tcp.web.shop.svc A", "NODATA");
    check(&next, "db.shop.svc AAAA", "db.shop.svc.c1.k8s.ooo. 5 IN AAAA 2001:db8::2");
    check(&zone, "web.shop.svc AAAA", "web.shop.svc.c1.k8s.ooo. 5 IN AAAA 2001:db8::1");

    let gone = [subtree("web.shop.svc", ""), subtree("db.shop.svc", "")];
    let empty = next.derive(gone, Serial(3)).zone.unwrap();
    check(&empty, "shop.svc A", "NXDOMAIN");
    check(&empty, "svc A", "NXDOMAIN");
}

#[test]
fn a_subtree_that_contradicts_itself_changes_nothing() {
    let zone = c1("web.shop.svc AAAA 2001:db8::1");
    let bad =
        Subtree { root: relative("web.shop.svc"), records: parse("$TTL 5\nweb.shop.svc CNAME x\nweb.shop.svc TXT t") };
    let good = Subtree { root: relative("db.shop.svc"), records: parse("$TTL 5\ndb.shop.svc AAAA 2001:db8::2") };
    let derived = zone.derive([bad, good], Serial(2));
    assert_eq!(derived.refused.len(), 1);
    let next = derived.zone.unwrap();
    check(&next, "web.shop.svc AAAA", "web.shop.svc.c1.k8s.ooo. 5 IN AAAA 2001:db8::1");
    check(&next, "db.shop.svc AAAA", "db.shop.svc.c1.k8s.ooo. 5 IN AAAA 2001:db8::2");

    let apex = zone.derive([Subtree { root: apex(), records: vec![] }], Serial(2));
    assert!(apex.zone.is_none() && apex.refused.len() == 1);
}

#[test]
fn a_cut_hides_a_subtree_that_comes_later() {
    let zone = c1("shop.svc NS ns.elsewhere.");
    let web = Subtree { root: relative("web.shop.svc"), records: parse("$TTL 5\nweb.shop.svc AAAA 2001:db8::1") };
    let derived = zone.derive([web], Serial(2));
    assert!(derived.zone.is_none());
    assert_eq!(
        derived.refused[0].1.to_string(),
        "web.shop.svc.c1.k8s.ooo. is below shop.svc.c1.k8s.ooo., which delegates or redirects it"
    );
}

/// Labels of few kinds, so that names meet.
fn label() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "*", "svc", "_tcp"])
}

fn owner() -> impl Strategy<Value = String> {
    prop::collection::vec(label(), 1..5).prop_map(|labels| labels.join("."))
}

fn record() -> impl Strategy<Value = String> {
    let rdata = prop_oneof![
        6 => (0..4_u8).prop_map(|n| format!("A 192.0.2.{n}")),
        3 => (0..3_u8).prop_map(|n| format!("TXT t{n}")),
        1 => owner().prop_map(|target| format!("CNAME {target}")),
        1 => owner().prop_map(|target| format!("DNAME {target}")),
        2 => owner().prop_map(|target| format!("NS {target}")),
        1 => owner().prop_map(|target| format!("MX 10 {target}")),
        1 => Just("DS 1 13 2 abcdef".to_owned()),
    ];
    (owner(), rdata).prop_map(|(owner, rdata)| format!("{owner} {rdata}"))
}

/// RFC 1034 §4.3.2 step 3, RFC 4592 §3.3.1 and RFC 6672 §3.2 read literally, over a list of records.
fn naive(records: &[Record], qname: &Name, qtype: RecordType) -> String {
    let mut nodes: BTreeMap<Name, Vec<&Record>> = BTreeMap::new();
    for record in records {
        let mut name = record.owner.clone();
        nodes.entry(name.clone()).or_default().push(record);
        while name != apex() {
            name = name.base_name();
            nodes.entry(name.clone()).or_default();
        }
    }
    let has = |name: &Name, rtype| nodes.get(name).is_some_and(|own| own.iter().any(|r| r.rtype == rtype));
    let of = |name: &Name, rtype: RecordType, owner: &Name| {
        let own = nodes[name].iter().filter(|record| record.rtype == rtype);
        lines(&own.map(|&record| Record { owner: owner.clone(), ..record.clone() }).collect::<Vec<_>>())
    };
    // Step 3: match down, label by label, from the apex.
    let labels: Vec<_> = qname.iter().collect();
    let above = usize::from(apex().num_labels());
    for n in above..=labels.len() {
        let name = Name::from_labels(labels[labels.len() - n..].to_vec()).unwrap();
        if name != apex() && has(&name, RecordType::NS) && !name.is_wildcard() {
            if name == *qname && qtype == RecordType::DS {
                break;
            }
            return "REFERRAL".to_owned();
        }
        if name != *qname && has(&name, RecordType::DNAME) {
            return format!("REDIRECT {}", of(&name, RecordType::DNAME, &name));
        }
    }
    let source = if nodes.contains_key(qname) {
        Some(qname.clone())
    } else {
        let mut encloser = qname.base_name();
        while !nodes.contains_key(&encloser) {
            encloser = encloser.base_name();
        }
        let wildcard = encloser.prepend_label("*").unwrap();
        nodes.contains_key(&wildcard).then_some(wildcard)
    };
    let Some(source) = source else { return "NXDOMAIN".to_owned() };
    if has(&source, qtype) {
        of(&source, qtype, qname)
    } else if has(&source, RecordType::CNAME) {
        format!("ALIAS {}", of(&source, RecordType::CNAME, qname))
    } else {
        "NODATA".to_owned()
    }
}

fn sorted(zone: &Zone) -> Vec<String> {
    let mut records: Vec<_> = zone.records().iter().map(ToString::to_string).collect();
    records.sort();
    records
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn lookup_agrees_with_a_slow_reading_of_the_rfcs(
        records in prop::collection::vec(record(), 0..12),
        questions in prop::collection::vec((owner(), prop::sample::select(vec!["A", "TXT", "NS", "DS", "CNAME"])), 12),
    ) {
        let text = format!("$TTL 5\n@ SOA ns hostmaster 1 1 1 1 30\n@ NS ns\n{}", records.join("\n"));
        let mut all = parse(&text);
        let mut seen = Vec::new();
        all.retain(|record| !seen.contains(record) && { seen.push(record.clone()); true });
        let Ok((zone, _)) = Zone::build(&apex(), all.clone()) else { return Ok(()) };
        for (qname, qtype) in questions {
            let qname = relative(&qname);
            let qtype: RecordType = qtype.parse().unwrap();
            let hashed = HashedName::from(&qname);
            let mut ours = self::text(zone.lookup(&hashed, qtype), &hashed);
            if ours.starts_with("REFERRAL") {
                "REFERRAL".clone_into(&mut ours);
            }
            prop_assert_eq!(ours, naive(&all, &qname, qtype), "{} {}\n{}", qname, qtype, text);
        }
    }

    #[test]
    fn a_derived_zone_is_the_one_built_from_the_same_records(
        changes in prop::collection::vec((0..8_usize, prop::collection::vec(record(), 0..4)), 1..12),
    ) {
        let roots = ["a.a.svc", "b.a.svc", "a.b.svc", "svc2", "*.a.svc", "x.y.z.svc", "x.cut.svc", "x.old.svc"];
        let own = "$TTL 5\n@ SOA ns hostmaster 1 1 1 1 30\n@ NS ns\nns A 192.0.2.1\ncut.svc NS ns\nold.svc DNAME svc";
        let own = parse(own);
        let mut derived = Zone::build(&apex(), own.clone()).unwrap().0;
        let mut held: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
        for (serial, (root, lines)) in (2..).zip(changes) {
            let below = lines.iter().map(|line| {
                let (owner, rdata) = line.split_once(' ').unwrap();
                if owner.len() > 5 { format!("{} {rdata}", roots[root]) } else { format!("{owner}.{} {rdata}", roots[root]) }
            });
            let records = parse(&format!("$TTL 5\n{}", below.collect::<Vec<_>>().join("\n")));
            let subtree = Subtree { root: relative(roots[root]), records: records.clone() };
            let result = derived.derive([subtree], Serial(serial));
            if result.refused.is_empty() {
                held.insert(root, records);
            }
            derived = result.zone.unwrap_or(derived);

            let all = own.iter().chain(held.values().flatten()).cloned();
            let rebuilt = Zone::build(&apex(), all).unwrap().0.with_serial(derived.serial());
            prop_assert_eq!(sorted(&derived), sorted(&rebuilt));
            prop_assert_eq!(derived.census(), rebuilt.census());
            prop_assert_eq!(shape(&derived), shape(&rebuilt));
        }
    }

    #[test]
    fn a_block_decodes_to_its_records_wherever_it_stands(
        records in prop::collection::vec(record(), 1..12),
        padding in 0..200_usize,
    ) {
        let text = format!("$TTL 5\n@ SOA ns hostmaster 1 1 1 1 30\n@ NS ns\n{}", records.join("\n"));
        let Ok((zone, _)) = Zone::build(&apex(), parse(&text)) else { return Ok(()) };
        for node in zone.nodes.iter() {
            for rrset in node.rrsets() {
                prop_assert_eq!(elsewhere(rrset.block(), node.owner(), padding), rrset.block().decode(node.owner()));
            }
            if let Some(referral) = &node.referral {
                let below = [b"\x05below", node.owner()].concat();
                prop_assert_eq!(elsewhere(referral.block(), &below, padding), referral.block().decode(node.owner()));
            }
        }
    }
}

/// Every node's name, and how many are below it.
fn shape(zone: &Zone) -> BTreeMap<Vec<u8>, u32> {
    zone.nodes.iter().map(|node| (node.owner().to_vec(), node.children)).collect()
}

/// What hickory-proto reads of a block that is written behind `padding` octets, its frame standing after them.
fn elsewhere(block: Block<'_>, frame: &[u8], padding: usize) -> Vec<Record> {
    use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

    let mut message = vec![0; 12 + padding];
    let start = u16::try_from(message.len()).unwrap();
    message.extend_from_slice(frame);
    message.extend_from_slice(&[0; 7]);
    let at = message.len();
    block.write(Frame { start, len: u16::try_from(frame.len()).unwrap() }, &mut message);
    let mut decoder = BinDecoder::new(&message).clone(u16::try_from(at).unwrap());
    let records = (0..block.records()).map(|_| {
        let record = hickory_proto::rr::Record::read(&mut decoder).unwrap();
        Record::new(record.name.clone(), record.ttl, &record.data)
    });
    records.collect()
}

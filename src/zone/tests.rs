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
    lines(&elsewhere(rrset.block(), qname.wire(), 0, 0))
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

/// Labels of few kinds, so that names meet; one is hard to write.
fn label() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "*", "svc", "_tcp", r#"\\\.\"\000\032"#])
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
        1 => owner().prop_map(|target| format!("SRV 0 100 443 {target}")),
        1 => Just("DS 1 13 2 abcdef".to_owned()),
    ];
    (owner(), rdata).prop_map(|(owner, rdata)| format!("{owner} {rdata}"))
}

proptest! {
    #[test]
    fn a_derived_zone_is_the_one_built_from_the_same_records(
        changes in prop::collection::vec(
            prop::collection::btree_map(0..8_usize, prop::collection::vec(record(), 0..4), 1..4), 1..12),
    ) {
        let roots = ["a.a.svc", "b.a.svc", "a.b.svc", "svc2", "*.a.svc", "x.y.z.svc", "x.cut.svc", "x.old.svc"];
        let own = |serial| parse(&format!(
            "$TTL 5\n@ SOA ns hostmaster {serial} 1 1 1 30\n@ NS ns\nns A 192.0.2.1\ncut.svc NS ns\nold.svc DNAME svc"
        ));
        let mut derived = Zone::build(&apex(), own(Serial(1))).unwrap().0;
        let mut held: BTreeMap<Name, Vec<Record>> = BTreeMap::new();
        for (serial, change) in (2..).zip(changes) {
            let subtrees: Vec<_> = change.into_iter().map(|(root, lines)| {
                let below = lines.iter().map(|line| {
                    let (owner, rdata) = line.split_once(' ').unwrap();
                    if owner.len() > 5 { format!("{} {rdata}", roots[root]) } else { format!("{owner}.{} {rdata}", roots[root]) }
                });
                let records = parse(&format!("$TTL 5\n{}", below.collect::<Vec<_>>().join("\n")));
                Subtree { root: relative(roots[root]), records }
            }).collect();
            let result = derived.derive(subtrees.clone(), Serial(serial));
            let is_refused = |root: &Name| result.refused.iter().any(|(refused, _)| refused == root);
            held.extend(subtrees.into_iter().filter(|s| !is_refused(&s.root)).map(|s| (s.root, s.records)));
            let before = derived.clone().with_serial(Serial(serial));
            derived = result.zone.unwrap_or(derived).with_serial(Serial(serial));

            let all = own(derived.serial()).into_iter().chain(held.values().flatten().cloned());
            let rebuilt = Zone::build(&apex(), all).unwrap().0;
            prop_assert_eq!(nodes(&derived), nodes(&rebuilt));
            prop_assert!(derived.says_the_same(&rebuilt) && rebuilt.says_the_same(&derived));
            prop_assert_eq!(before.says_the_same(&rebuilt), before.records() == rebuilt.records());
            prop_assert_eq!(derived.denial(), rebuilt.denial());
            prop_assert_eq!(derived.census(), rebuilt.census());
            prop_assert_eq!(derived.octets(), rebuilt.octets());
            prop_assert!(derived.nodes.iter().all(|node| node.name().labels() <= derived.deepest));

            let mut branches = [Branches::new(&apex()), Branches::new(&apex())];
            for (place, (root, records)) in held.iter().enumerate() {
                branches[place % 2].add(&Subtree { root: root.clone(), records: records.clone() }).unwrap();
            }
            let grown = Zone::build_with(&apex(), own(derived.serial()), branches.into()).unwrap().0;
            prop_assert_eq!(nodes(&grown), nodes(&rebuilt));
            prop_assert_eq!(grown.census(), rebuilt.census());
            prop_assert_eq!((grown.octets(), grown.deepest), (rebuilt.octets(), rebuilt.deepest));
        }
    }

    #[test]
    fn names_derived_one_by_one_are_the_zone_built_from_the_same_records(
        changes in prop::collection::vec(prop::collection::btree_map(0..8_usize, 0..4_usize, 1..4), 1..16),
    ) {
        let names = ["a", "b.a", "c.b.a", "d.c.b.a", "*.b.a", "f.e", "x.cut", "cut"];
        let rdata = ["", "A 192.0.2.1", "CNAME a", "AAAA 2001:db8::1"];
        let own = |serial| parse(&format!(
            "$TTL 5\n@ SOA ns hostmaster {serial} 1 1 1 30\n@ NS ns\nns A 192.0.2.1\ncut NS ns"
        ));
        let mut derived = Zone::build(&apex(), own(Serial(1))).unwrap().0;
        let mut held: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
        for (serial, change) in (2..).zip(changes) {
            let records = |(&name, &rdata_of): (&usize, &usize)| match rdata[rdata_of] {
                "" => (name, Vec::new()),
                rdata => (name, parse(&format!("$TTL 5\n{} {rdata}", names[name]))),
            };
            let change: BTreeMap<_, _> = change.iter().map(records).collect();
            let parts = change.iter().map(|(name, records)| Part::Alone { owner: relative(names[*name]), records: records.clone() });
            let result = derived.derive(parts, Serial(serial));
            let refused: Vec<_> = result.refused.iter().map(|(root, _)| root.clone()).collect();
            let cut: Vec<_> = change.keys().filter(|name| **name >= 6).map(|name| relative(names[*name])).collect();
            prop_assert_eq!(refused, cut);
            held.extend(change.into_iter().filter(|(name, _)| *name < 6));
            derived = result.zone.unwrap_or(derived);

            let all = own(derived.serial()).into_iter().chain(held.values().flatten().cloned());
            let rebuilt = Zone::build(&apex(), all).unwrap().0;
            prop_assert_eq!(nodes(&derived), nodes(&rebuilt));
            prop_assert_eq!(derived.census(), rebuilt.census());
            prop_assert_eq!(derived.octets(), rebuilt.octets());
        }
    }

    #[test]
    fn a_block_decodes_to_its_records_wherever_it_stands(
        records in prop::collection::vec(record(), 0..8),
        cuts in prop::collection::vec(owner(), 0..3),
        padding in prop_oneof![Just(0), 0..200_usize, 8000..9000_usize],
        gap in prop_oneof![Just(0), 0..200_usize],
    ) {
        let glued = cuts.iter().map(|cut| format!("{cut} NS ns.{cut}\nns.{cut} A 192.0.2.9\n")).collect::<String>();
        let text = format!("$TTL 5\n@ SOA ns hostmaster 1 1 1 1 30\n@ NS ns\n{glued}{}", records.join("\n"));
        let Ok((zone, _)) = Zone::build(&apex(), parse(&text)) else { return Ok(()) };
        let check = |block: Block<'_>, frame: &[u8], owner: &[u8], expected: &[u8]| {
            let mut records = block.decode(owner);
            for record in records.iter_mut().filter(|record| name::wire(&record.owner) == owner) {
                record.owner = name::name(expected);
            }
            prop_assert_eq!(elsewhere(block, frame, padding, gap), records);
            Ok(())
        };
        let below = |owner: &[u8]| [b"\x05below\x01*", owner].concat();
        for node in zone.nodes.iter() {
            let owner = node.owner();
            for rrset in node.rrsets() {
                check(rrset.block(), owner, owner, owner)?;
                check(rrset.literal().block(), &below(owner), owner, owner)?;
                if let Some(encloser) = owner.strip_prefix(b"\x01*") {
                    check(rrset.block(), &below(encloser), owner, &below(encloser))?;
                }
            }
            if let Some(referral) = &node.referral {
                check(referral.block(), owner, owner, owner)?;
                check(referral.block(), &below(owner), owner, owner)?;
            }
        }
        let apex = zone.origin.wire();
        check(zone.denial(), &below(apex), apex, apex)?;
    }

    #[test]
    fn a_dumped_zone_is_read_back(records in prop::collection::vec(record(), 0..12)) {
        let text = format!("$TTL 5\n@ 7 SOA ns hostmaster 1 1 1 1 30\n@ NS ns\n{}", records.join("\n"));
        let Ok((zone, _)) = Zone::build(&apex(), parse(&text)) else { return Ok(()) };
        let dumped = dump(&zone).to_string();
        let records = master::parse(dumped.as_bytes(), &Name::root(), None).unwrap();
        prop_assert_eq!(&records, &zone.records());
        prop_assert_eq!(records[0].rtype, RecordType::SOA);
        let (again, _) = Zone::build(&apex(), records).unwrap();
        prop_assert_eq!(nodes(&again), nodes(&zone));
        prop_assert_eq!(dump(&again).to_string(), dumped);
    }
}

/// All that a zone keeps: every node with its blocks, and how many are below it.
fn nodes(zone: &Zone) -> BTreeMap<Vec<u8>, Node> {
    zone.nodes.iter().map(|node| (node.owner().to_vec(), node.clone())).collect()
}

/// What hickory-proto reads of a block that is written `gap` octets behind a question, whose name is its frame and stands
/// behind `padding` octets.
fn elsewhere(block: Block<'_>, frame: &[u8], padding: usize, gap: usize) -> Vec<Record> {
    use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

    let mut message = vec![0; 12 + padding];
    let start = u16::try_from(message.len()).unwrap();
    message.extend_from_slice(frame);
    message.resize(message.len() + 4 + gap, 0);
    let at = message.len();
    block.write(Frame { start, len: u16::try_from(frame.len()).unwrap() }, &mut message);
    let mut decoder = BinDecoder::new(&message).clone(u16::try_from(at).unwrap());
    let records = (0..block.records()).map(|_| {
        let record = hickory_proto::rr::Record::read(&mut decoder).unwrap();
        Record::new(record.name.clone(), record.ttl, &record.data)
    });
    records.collect()
}

#[test]
fn branches_that_a_zone_cannot_have_are_refused() {
    let check = |record: &str, root: &str, records: &str, expected: &str| {
        let subtree = Subtree { root: relative(root), records: parse(&format!("$TTL 5\n{records}")) };
        let mut branches = Branches::new(&apex());
        let built = branches.add(&subtree).and_then(|()| {
            let own = parse(&format!("$TTL 5\n@ SOA ns hostmaster 1 1 1 1 30\n@ NS ns.example.\n{record}"));
            Zone::build_with(&apex(), own, vec![branches])
        });
        assert_eq!(built.map(|_| ()).map_err(|error| error.to_string()), Err(expected.into()));
    };

    check(
        "",
        "a.svc",
        "a.svc CNAME b\na.svc A 192.0.2.1",
        "a.svc.c1.k8s.ooo. owns a CNAME record and other data (A): keep one of them",
    );
    check("", "@", "a A 192.0.2.1", "c1.k8s.ooo. is not below c1.k8s.ooo.");
    for cut in ["svc NS ns.example.", "b.svc NS ns.example.", "svc DNAME example."] {
        let hidden_by = format!("{}.c1.k8s.ooo.", cut.split_once(' ').unwrap().0);
        let expected = format!("a.b.svc.c1.k8s.ooo. is below {hidden_by}, which delegates or redirects it");
        check(cut, "a.b.svc", "a.b.svc A 192.0.2.1", &expected);
    }
}

#[test]
fn names_of_neighbouring_addresses_lie_together_and_those_of_a_service() {
    let check = |origin: &str, expected: u8| {
        assert_eq!(grain(&HashedName::from(&Name::from_ascii(origin).unwrap())).0, expected, "{origin}");
    };

    check("c2.k8s.ooo.", 6);
    check(".", 3);
    check("arpa.", 4);
    check("e164.arpa.", 5);
    check("IP6.arpa.", 32);
    check("0.c.5.e.a.0.a.2.ip6.arpa.", 32);
    check("78.147.in-addr.arpa.", 5);
    check("194.78.147.in-addr.arpa.", 5);
    check("9.194.78.147.in-addr.arpa.", 6);
    check("ip6.arpa.example.", 6);
}

#[test]
fn what_speaks_for_a_name_is_its_own_or_stands_in_for_it() {
    let zone = c1("
        *.app   A      192.0.2.1
        a.b     TXT    here
        lab     NS     ns.lab
        ns.lab  A      192.0.2.2
        old     DNAME  app
    ");
    let check = |name: &str, exists: bool, expected: &[&str]| {
        let (found, records) = zone.at(&HashedName::from(&relative(name)));
        let lines: Vec<_> = records.iter().map(ToString::to_string).collect();
        assert_eq!((found, lines), (exists, expected.iter().map(|line| (*line).to_owned()).collect()), "{name}");
    };

    check("a.b", true, &["a.b.c1.k8s.ooo. 5 IN TXT \"here\""]);
    check("b", true, &[]);
    check("c", false, &[]);
    check("x.app", false, &["*.app.c1.k8s.ooo. 5 IN A 192.0.2.1"]);
    check("lab", true, &["lab.c1.k8s.ooo. 5 IN NS ns.lab.c1.k8s.ooo."]);
    check("ns.lab", true, &["ns.lab.c1.k8s.ooo. 5 IN A 192.0.2.2"]);
    check("x.lab", false, &["lab.c1.k8s.ooo. 5 IN NS ns.lab.c1.k8s.ooo."]);
    check("x.old", false, &["old.c1.k8s.ooo. 5 IN DNAME app.c1.k8s.ooo."]);
}

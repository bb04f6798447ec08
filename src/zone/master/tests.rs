use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::super::types::{Field, TYPES};
use super::*;

fn origin() -> Name {
    Name::from_ascii("example.").unwrap()
}

/// Text in, one line a record out, or the error; `$TTL 1` is set.
fn check(text: &str, expected: &str) {
    let text = format!("$TTL 1\n{text}");
    let found = match parse(text.as_bytes(), &origin(), None) {
        Ok(records) => records.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{text}");
}

/// What stands after the owner, in and out.
fn check_rdata(text: &str, expected: &str) {
    check(&format!("a {text}"), &format!("a.example. 1 IN {expected}"));
}

fn check_error(text: &str, expected: &str) {
    check(&format!("a {text}"), &format!("line 2, column {expected}"));
}

/// What hickory-proto's decoder makes of a record; none for the types it does not know without DNSSEC.
fn decoded(record: &Record) -> Option<RData> {
    let wire = record.rdata.wire();
    let length = Restrict::new(u16::try_from(wire.len()).unwrap());
    match RData::read(&mut BinDecoder::new(wire), record.rtype, length) {
        Ok(RData::Unknown { .. }) => None,
        Ok(rdata) => Some(rdata),
        Err(error) => panic!("{record}: {error}"),
    }
}

#[test]
fn every_type_is_read_and_written() {
    let text = fs::read("tests/data/masters/every-type.zone").unwrap();
    let expected = fs::read_to_string("tests/data/masters/every-type.text").unwrap();
    let records = parse(&text, &origin(), None).unwrap_or_else(|error| panic!("{error}"));
    let written: String = records.iter().map(|record| format!("{record}\n")).collect();
    assert_eq!(written, expected);
    assert_eq!(parse(written.as_bytes(), &Name::root(), None), Ok(records.clone()));

    // Independent readings of the same file, in other orders.
    let sorted = |mut records: Vec<Record>| {
        records.sort_by_key(|record| (record.owner.to_string(), u16::from(record.rtype), record.rdata.clone()));
        records
    };
    for server in ["bind", "nsd"] {
        let text = fs::read(format!("tests/data/masters/every-type.{server}")).unwrap();
        assert_eq!(sorted(parse(&text, &origin(), None).unwrap()), sorted(records.clone()), "{server}");
    }

    for known in TYPES.iter().filter(|known| !known.fields.is_empty()) {
        assert!(records.iter().any(|record| u16::from(record.rtype) == known.code), "{} is missing", known.mnemonic);
    }
    for record in &records {
        if let Some(rdata) = decoded(record) {
            assert_eq!(Record::new(record.owner.clone(), record.ttl, &rdata), *record);
        }
    }
}

#[test]
fn a_zone_dumped_is_read_as_the_same_zone() {
    use super::super::{Zone, dump};
    let text = fs::read("tests/data/masters/every-type.zone").unwrap();
    let (zone, _) = Zone::build(&origin(), parse(&text, &origin(), None).unwrap()).unwrap();
    let dumped = dump(&zone).to_string();
    let records = parse(dumped.as_bytes(), &Name::root(), None).unwrap();
    assert_eq!(records, zone.records());
    let (again, _) = Zone::build(&origin(), records).unwrap();
    assert_eq!(dump(&again).to_string(), dumped);
}

#[test]
fn an_independent_decoder_reads_the_same() {
    use hickory_proto::rr::rdata::{MX, NAPTR, SOA, SRV, TXT, caa::CAA, name, tlsa};
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let check = |text: &str, expected: RData| {
        let records = parse(format!("@ 1 {text}").as_bytes(), &origin(), None).unwrap();
        assert_eq!(decoded(&records[0]), Some(expected), "{text}");
    };
    check("A 192.0.2.1", RData::A("192.0.2.1".parse().unwrap()));
    check("AAAA 2001:db8::1", RData::AAAA("2001:db8::1".parse().unwrap()));
    check("NS ns", RData::NS(name::NS(name("ns.example."))));
    check("CNAME a.b.", RData::CNAME(name::CNAME(name("a.b."))));
    check("PTR @", RData::PTR(name::PTR(name("example."))));
    check("MX 10 mail", RData::MX(MX::new(10, name("mail.example."))));
    check("SRV 1 2 3 a", RData::SRV(SRV::new(1, 2, 3, name("a.example."))));
    check("TXT a \"b c\" \\100", RData::TXT(TXT::new(vec!["a".into(), "b c".into(), "d".into()])));
    check("SOA ns. h 4294967295 1 2 3 4", RData::SOA(SOA::new(name("ns."), name("h.example."), u32::MAX, 1, 2, 3, 4)));
    check("CAA 128 issue \";\"", RData::CAA(CAA::new_issue(true, None, vec![])));
    check(
        "NAPTR 1 2 \"s\" SIP+D2U \"\" a",
        RData::NAPTR(NAPTR::new(
            1,
            2,
            b"s".as_slice().into(),
            b"SIP+D2U".as_slice().into(),
            Box::default(),
            name("a.example."),
        )),
    );
    check(
        "TLSA 3 1 1 00 ff",
        RData::TLSA(tlsa::TLSA::new(
            tlsa::CertUsage::DaneEe,
            tlsa::Selector::Spki,
            tlsa::Matching::Sha256,
            vec![0, 255],
        )),
    );
}

#[test]
fn owner_ttl_class_and_type() {
    check("a 5 IN A 192.0.2.1", "a.example. 5 IN A 192.0.2.1");
    check("a IN 5 A 192.0.2.1", "a.example. 5 IN A 192.0.2.1");
    check("a CLASS1 1h type1 192.0.2.1", "a.example. 3600 IN A 192.0.2.1");
    check("A a 192.0.2.1", "A.example. 1 IN A 192.0.2.1");
    check("5 5 in a 192.0.2.1", "5.example. 5 IN A 192.0.2.1");
    check("a A 192.0.2.1\n  A 192.0.2.2", "a.example. 1 IN A 192.0.2.1\na.example. 1 IN A 192.0.2.2");
    check("a A 192.0.2.1 ; no final newline", "a.example. 1 IN A 192.0.2.1");
    check(
        "  A 192.0.2.1",
        "line 2, column 3: the first record has no owner: begin its line with a name, or `@` for the origin",
    );
    check("a CH A 192.0.2.1", "line 2, column 3: class CH: only IN is served here");
    check(
        "a 2147483648 A 192.0.2.1",
        "line 2, column 3: a TTL of 2147483648 seconds: 2147483647 is the most (RFC 2181 §8)",
    );
    check("a 1h30 A 192.0.2.1", "line 2, column 3: expected seconds, or a period such as 1h30m, found `1h30`");
    check("a 1h\u{e9} A 192.0.2.1", "line 2, column 3: expected seconds, or a period such as 1h30m, found `1h\u{e9}`");
    check("a", "line 2, column 2: the entry ends where a record type is expected");
    check("a A 192.0.2.1 192.0.2.2", "line 2, column 15: `192.0.2.2` is left over: the entry was complete before it");
}

#[test]
fn origins_and_names() {
    check("$origin sub\n@ NS a\na NS .", "sub.example. 1 IN NS a.sub.example.\na.sub.example. 1 IN NS .");
    check("$ORIGIN .\na NS b", "a. 1 IN NS b.");
    check(r"a\.b NS \@", r"a\.b.example. 1 IN NS \@.example.");
    check(r"\065\\\;\032 NS CaSe", r"A\\\;\032.example. 1 IN NS CaSe.example.");
    check("caf\u{e9} NS .", r"caf\195\169.example. 1 IN NS .");
    check("a..b NS .", "line 2, column 1: `a..b` has an empty label: remove a dot");
    check(".a NS .", "line 2, column 1: `.a` has an empty label: remove a dot");
    check(
        r"a\256 NS .",
        "line 2, column 1: `a\\256` has an escape that is none: write `\\` and a character, or `\\` and three digits up to 255",
    );
    check(
        r"a\1 NS .",
        "line 2, column 1: `a\\1` has an escape that is none: write `\\` and a character, or `\\` and three digits up to 255",
    );
    check("\"a\" NS .", "line 2, column 1: expected a domain name, found `a`");
    let label = "a".repeat(63);
    check(&format!("{label} NS ."), &format!("{label}.example. 1 IN NS ."));
    check(
        &format!("{label}a NS ."),
        &format!("line 2, column 1: `{}…` has a label of 64 octets: 63 is the most", &label[..60]),
    );
    // 3 × 64 + 53 + 1 + 8 + 1 = 255.
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(53));
    check(&format!("{longest} NS ."), &format!("{longest}.example. 1 IN NS ."));
    check(
        &format!("{longest}b NS ."),
        &format!(
            "line 2, column 1: `{}…` with its origin has more than 255 octets: shorten it, or end it with a dot if it is absolute",
            &label[..60]
        ),
    );
}

#[test]
fn ttls_left_out() {
    let check = |text: &str, expected: Result<&[u32], &str>| {
        let found = parse(text.as_bytes(), &origin(), None);
        let found = found.map(|records| records.iter().map(|record| record.ttl).collect::<Vec<_>>());
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map(<[_]>::to_vec).map_err(String::from),
            "{text}"
        );
    };
    check("$TTL 1d\na NS .\na 5 NS .\na NS .", Ok(&[86400, 5, 86400]));
    check("a 5 NS .\na NS .\n$TTL 7\na NS .", Ok(&[5, 5, 7]));
    check("@ SOA . . 1 2 3 4 300\na NS .\na 5 NS .\na NS .", Ok(&[300, 300, 5, 5]));
    check("@ 9 SOA . . 1 2 3 4 300\na NS .", Ok(&[9, 9]));
    check(
        "a NS .",
        Err("line 1, column 3: no TTL: write one before the type, or `$TTL 1h` at the beginning of the file"),
    );
}

#[test]
fn directives() {
    check(
        "$GENERATE 1-2 a$ A 192.0.2.$",
        "line 2, column 1: $GENERATE is BIND's own and not read: write its records out, `named-compilezone` does",
    );
    check("$FOO", "line 2, column 1: unknown directive `$FOO`: $ORIGIN, $TTL and $INCLUDE are known");
    check("$INCLUDE a", "line 2, column 10: $INCLUDE is not allowed here: put the records into this file");
    check("$ORIGIN a b", "line 2, column 11: `b` is left over: the entry was complete before it");
    check(" $TTL 5", "line 2, column 2: a blank before `$TTL`: a directive begins where its line begins");
    check(r"\$a NS .", r"\$a.example. 1 IN NS .");
}

#[test]
fn includes_stay_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join("zones").join(name);
    fs::create_dir(folder.path().join("zones")).unwrap();
    fs::write(folder.path().join("secret"), "a NS .").unwrap();
    fs::write(at("part"), "@ NS .\nb NS .\n$ORIGIN elsewhere.\n").unwrap();
    fs::write(at("bad"), "a\n").unwrap();
    fs::write(at("nested"), "$INCLUDE bad\n").unwrap();
    fs::write(at("loop"), "$INCLUDE loop\n").unwrap();
    std::os::unix::fs::symlink("../secret", at("link")).unwrap();
    let zones = folder.path().join("zones");
    let read = |text: &str| match read(text.as_bytes(), &origin(), Some(&zones), 1, &mut |_| {}) {
        (entries, errors) if errors.is_empty() => Ok(entries),
        (_, mut errors) => Err(errors.remove(0)),
    };

    let found = read("$TTL 1\na NS .\n$include part sub\n NS .\n$INCLUDE \"part\"").unwrap();
    let found: Vec<_> = found.iter().map(|e| (e.record.owner.to_string(), e.position.line, e.file.is_some())).collect();
    let expected = [
        ("a.example.", 2, false),
        ("sub.example.", 1, true),
        ("b.sub.example.", 2, true),
        ("a.example.", 4, false),
        ("example.", 1, true),
        ("b.example.", 2, true),
    ];
    assert_eq!(found, expected.map(|(owner, line, included)| (owner.to_string(), line, included)));

    let problem = |text: &str| read(text).unwrap_err().problem;
    for name in ["../secret", "link", folder.path().join("secret").to_str().unwrap()] {
        assert_eq!(problem(&format!("$INCLUDE {name}")), Problem::IncludeOutside { path: zones.join(name) });
    }
    assert_eq!(problem("$INCLUDE loop"), Problem::IncludeTooDeep);
    let cause = "No such file or directory (os error 2)".to_owned();
    assert_eq!(problem("$INCLUDE none"), Problem::IncludeUnreadable { path: at("none"), cause });
    // Names of files are octets, too.
    fs::write(zones.join(OsStr::from_bytes(b"caf\xe9")), "a NS .").unwrap();
    assert_eq!(read("$TTL 1\n$INCLUDE caf\\233").unwrap().len(), 1);
    let error = read("$INCLUDE nested").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: line 1, column 2: the entry ends where a record type is expected", at("bad").display())
    );
}

#[test]
fn strings() {
    check_rdata(r#"TXT a "b c"d"#, r#"TXT "a" "b c" "d""#);
    check_rdata(r#"TXT "" \"a\" "\"\\\010""#, r#"TXT "" "\"a\"" "\"\\\010""#);
    check_rdata("TXT \"caf\u{e9}\"", r#"TXT "caf\195\169""#);
    check_error("TXT", "6: the entry ends where a string is expected");
    check_error(
        &format!("TXT {}", "a".repeat(256)),
        "7: a string of 256 octets: 255 is the most, split it into several",
    );
    check_error(
        r#"TXT a="b c""#,
        "7: a quote in the middle of a word: put the whole string in quotes, or write `\\\"`",
    );
    check_error(&format!("TXT {}", "aaaaaaa ".repeat(8192)), "7: RDATA of 65536 octets: 65535 is the most");
    check_rdata(&format!("CAA 0 issue {}", "a".repeat(300)), &format!("CAA 0 issue \"{}\"", "a".repeat(300)));
    check_error("CAA 0 a-b x", "9: expected a tag of up to 255 letters and digits, found `a-b`");
}

#[test]
fn numbers_and_addresses() {
    check_rdata("MX 65535 .", "MX 65535 .");
    check_error("MX 65536 .", "6: expected a number up to 65535, found `65536`");
    check_error("MX +1 .", "6: expected a number up to 65535, found `+1`");
    check_error("A 192.0.2.256", "5: expected an IPv4 address, found `192.0.2.256`");
    check_error("A 192.0.2.01", "5: expected an IPv4 address, found `192.0.2.01`");
    check_error("AAAA fe80::1%eth0", "8: expected an IPv6 address, found `fe80::1%eth0`");
    check_rdata("SOA . . 1 1W2d 3H4m5s 6 7", "SOA . . 1 777600 11045 6 7");
    check_error("SOA . . 1 8000w 1 1 1", "13: expected seconds, or a period such as 1h30m, found `8000w`");
    check_error("DNSKEY 257 3 13 AA=", "19: expected base 64, found `AA=`");
    check_error("DS 1 13 2 abc", "13: expected pairs of hexadecimal digits, found `abc`");
    check_rdata("DS 1 ed25519 2 AB c d", "DS 1 15 2 ABCD");
    check_error("DS 1 nosuch 2 abcd", "8: expected a DNSSEC algorithm, found `nosuch`");
}

#[test]
fn types_unknown_and_by_number() {
    check_rdata(r"TYPE65534 \# 3 ab CD 01", r"TYPE65534 \# 3 ABCD01");
    check_rdata(r"TYPE65534 \# 0", r"TYPE65534 \# 0");
    check_rdata(r"HINFO \# 2 0000", r"TYPE13 \# 2 0000");
    check_rdata(r"TYPE1 \# 4 c0000201", "A 192.0.2.1");
    check_rdata(r"MX \# 5 000a 0161 00", "MX 10 a.");
    check_error(r"A \# 3 c00002", "5: these octets are no RDATA of type A: check them, or write the record as text");
    check_error(r"NS \# 2 c00c", "6: these octets are no RDATA of type NS: check them, or write the record as text");
    check_error(r"MX \# 2 000a", "6: these octets are no RDATA of type MX: check them, or write the record as text");
    check_error(r"TXT \# 3 0261", "10: RDATA of 2 octets, where 3 were announced");
    check_error(r"TXT \# 2 0", "12: expected pairs of hexadecimal digits, found `0`");
    check_rdata(r"TXT \\#", r#"TXT "\\#""#);
    check_error(
        "TYPE65534 x",
        "13: records of this type are read by number only: write `TYPE65534 \\# length hex` (RFC 3597)",
    );
    check_error(
        "HINFO x y",
        "9: records of this type are read by number only: write `TYPE13 \\# length hex` (RFC 3597)",
    );
    check_error(
        "AAAAA ::1",
        "3: unknown record type `AAAAA`: check its spelling, or write it by number as `TYPEnnn \\# length hex` (RFC 3597)",
    );
    check_error("AXFR x", "3: type AXFR is for questions and messages: no zone holds it");
    check_error(r"TYPE255 \# 0", "3: type TYPE255 is for questions and messages: no zone holds it");
}

/// The test vectors of RFC 9460 Appendix D, its wire forms included.
#[test]
fn service_bindings() {
    let vector = |text: &str, hex: &str, expected: &str| {
        check_rdata(text, expected);
        let octets = hex.split_whitespace().collect::<String>().len() / 2;
        check_rdata(&format!(r"SVCB \# {octets} {hex}"), expected);
    };
    vector("SVCB 0 foo.example.com.", "0000 03666f6f076578616d706c6503636f6d00", "SVCB 0 foo.example.com.");
    vector("SVCB 1 .", "0001 00", "SVCB 1 .");
    let foo = "03666f6f076578616d706c6503636f6d00";
    vector(
        "SVCB 16 foo.example.com. port=53",
        &format!("0010 {foo} 0003 0002 0035"),
        "SVCB 16 foo.example.com. port=53",
    );
    vector(
        "SVCB 1 foo.example.com. key667=hello",
        &format!("0001 {foo} 029b 0005 68656c6c6f"),
        r#"SVCB 1 foo.example.com. key667="hello""#,
    );
    vector(
        r#"SVCB 1 foo.example.com. key667="hello\210qoo""#,
        &format!("0001 {foo} 029b 0009 68656c6c6fd2716f6f"),
        r#"SVCB 1 foo.example.com. key667="hello\210qoo""#,
    );
    vector(
        r#"SVCB 1 foo.example.com. ( ipv6hint="2001:db8::1,2001:db8::53:1" )"#,
        &format!("0001 {foo} 0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001"),
        "SVCB 1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1",
    );
    let foo = "03666f6f076578616d706c65036f726700";
    vector(
        "SVCB 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
        &format!("0010 {foo} 0000 0004 0001 0004 0001 0009 026832 0568332d3139 0004 0004 c0000201"),
        r#"SVCB 16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1"#,
    );
    for text in [r#"alpn="f\\\\oo\\,bar,h2""#, r"alpn=f\\\092oo\092,bar,h2"] {
        vector(
            &format!("SVCB 16 foo.example.org. {text}"),
            &format!("0010 {foo} 0001 000c 08665c6f6f2c626172 026832"),
            r#"SVCB 16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#,
        );
    }
    // Appendix D.3: what must be refused.
    let key = "42: SvcParam";
    let refused = |params: &str, expected: &str| {
        check_error(&format!("SVCB 1 foo.example.com. {params}"), expected);
    };
    refused("key123=abc key123=def", &format!("{key} `key123` is there twice: give each key once").replace("42", "38"));
    let value = "expected a SvcParam with a value that its key takes, found";
    for param in ["mandatory", "alpn", "port", "ipv4hint", "ipv6hint", "no-default-alpn=abc", "mandatory=mandatory"] {
        refused(param, &format!("27: {value} `{param}`"));
    }
    refused("mandatory=key123", "27: SvcParam `key123` is missing: `mandatory` asks for it");
    refused("no-default-alpn", "27: SvcParam `alpn` is missing: `no-default-alpn` asks for it");
    refused("nosuch=1", "27: expected a SvcParam such as alpn=h2, or key123=value, found `nosuch=1`");
    refused("key65535=a", "27: expected a SvcParam such as alpn=h2, or key123=value, found `key65535=a`");
    check_rdata("HTTPS 1 . key3=\\000\\053", "HTTPS 1 . port=53");
    check_rdata(
        "HTTPS 1 . no-default-alpn alpn=h2 ech=AA== dohpath=/q{?dns}",
        r#"HTTPS 1 . alpn="h2" no-default-alpn ech=AA== key7="/q{?dns}""#,
    );
}

#[test]
fn locations() {
    // RFC 1876 §4's examples.
    check_rdata(
        "LOC 42 21 54 N 71 06 18 W -24m 30m",
        "LOC 42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m",
    );
    check_rdata("LOC 32 7 19 S 116 2 25 E 10m", "LOC 32 7 19.000 S 116 2 25.000 E 10.00m 1.00m 10000.00m 10.00m");
    check_rdata(
        "LOC 90 n 180 e 42849672.95 0.00m 90000000m 0.01",
        "LOC 90 0 0.000 N 180 0 0.000 E 42849672.95m 0.00m 90000000.00m 0.01m",
    );
    let expected = "degrees, minutes and seconds before N or S, then before E or W";
    check_error("LOC 91 N 0 E 0", &format!("7: expected {expected}, found `91`"));
    check_error("LOC 90 1 N 0 E 0", "7: an angle of more than 90 degrees");
    check_error("LOC 1 1 60 N 0 E 0", &format!("11: expected {expected}, found `60`"));
    check_error("LOC 1 1 1 E", &format!("13: expected {expected}, found `E`"));
    check_error("LOC 1 1 1", &format!("12: the entry ends where {expected} is expected"));
    check_error("LOC 1 N 1 E -100001", "15: expected an altitude in metres, found `-100001`");
}

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 1..8), vec(prop::sample::select(&b"a.\\\"@$(); *"[..]), 1..4), vec(Just(b'x'), 63)]
}

fn name() -> impl Strategy<Value = Name> {
    vec(label(), 0..4).prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap())
}

fn short(octets: &[u8]) -> Vec<u8> {
    [&[u8::try_from(octets.len()).unwrap()], octets].concat()
}

/// The wire form of a field, whatever it may hold.
fn field(field: Field) -> BoxedStrategy<Vec<u8>> {
    let octets = |least: usize, most: usize| vec(any::<u8>(), least..=most);
    let wire = |name: Name| name.iter().flat_map(short).chain([0]).collect::<Vec<u8>>();
    match field {
        Field::Name => name().prop_map(wire).boxed(),
        Field::U8 | Field::Algorithm => octets(1, 1).boxed(),
        Field::U16 | Field::Type => octets(2, 2).boxed(),
        Field::U32 | Field::Period | Field::Timestamp | Field::Ipv4 => octets(4, 4).boxed(),
        Field::Ipv6 => octets(16, 16).boxed(),
        Field::String => octets(0, 255).prop_map(|octets| short(&octets)).boxed(),
        Field::Strings => {
            vec(octets(0, 255), 1..3).prop_map(|strings| strings.iter().flat_map(|s| short(s)).collect()).boxed()
        }
        Field::Text => octets(0, 300).boxed(),
        Field::Tag => "[a-zA-Z0-9]{1,255}".prop_map(|tag| short(tag.as_bytes())).boxed(),
        Field::Hex | Field::Base64 => octets(1, 80).boxed(),
        Field::Salt => octets(0, 255).prop_map(|octets| short(&octets)).boxed(),
        Field::Hash => octets(1, 255).prop_map(|octets| short(&octets)).boxed(),
        Field::Types => btree_set(any::<u16>(), 0..20)
            .prop_map(|types| {
                let mut wire = Vec::new();
                rdata::push_bitmap(&mut wire, &types);
                wire
            })
            .boxed(),
        Field::Params => params().boxed(),
        Field::Location => location().boxed(),
    }
}

fn params() -> impl Strategy<Value = Vec<u8>> {
    let named = (
        proptest::option::of(
            vec(label(), 1..4).prop_map(|ids| ids.iter().flat_map(|id| short(id)).collect::<Vec<u8>>()),
        ),
        proptest::option::of(any::<[u8; 2]>()),
        proptest::option::of(vec(any::<[u8; 4]>(), 1..3)),
        proptest::option::of(vec(any::<u8>(), 1..20)),
        proptest::option::of(vec(any::<[u8; 16]>(), 1..3)),
    );
    (named, btree_map(9..u16::MAX, vec(any::<u8>(), 0..20), 0..3)).prop_map(|(named, mut params)| {
        let (alpn, port, ipv4, ech, ipv6) = named;
        let named = [
            (2, alpn.as_ref().map(|_| Vec::new())),
            (1, alpn),
            (3, port.map(Into::into)),
            (4, ipv4.map(|addresses| addresses.concat())),
            (5, ech),
            (6, ipv6.map(|addresses| addresses.concat())),
        ];
        params.extend(named.into_iter().filter_map(|(key, value)| Some((key, value?))));
        if !params.is_empty() {
            params.insert(0, params.keys().flat_map(|key| key.to_be_bytes()).collect());
        }
        let mut wire = Vec::new();
        for (key, value) in params {
            wire.extend(key.to_be_bytes());
            wire.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            wire.extend(value);
        }
        wire
    })
}

fn location() -> impl Strategy<Value = Vec<u8>> {
    let size = || (1..10_u8, 0..10_u8).prop_map(|(digit, exponent)| digit << 4 | exponent);
    let angle = |most: u32| (1_u32 << 31) - most * 3_600_000..=(1 << 31) + most * 3_600_000;
    (size(), size(), size(), angle(90), angle(180), any::<u32>()).prop_map(
        |(a, b, c, latitude, longitude, altitude)| {
            [latitude, longitude, altitude].into_iter().fold(vec![0, a, b, c], |mut wire, value| {
                wire.extend(value.to_be_bytes());
                wire
            })
        },
    )
}

/// A record of any type, also of those without a text form.
fn record() -> impl Strategy<Value = Record> {
    let data = TYPES.iter().filter(|known| types::is_data(known.code.into())).collect::<Vec<_>>();
    let known = prop::sample::select(data);
    let rdata = known.prop_flat_map(|known| {
        let fields: Vec<_> = match known.fields {
            [] => vec![vec(any::<u8>(), 0..40).boxed()],
            fields => fields.iter().map(|&f| field(f)).collect(),
        };
        (Just(known.code), fields.prop_map(|fields| fields.concat()))
    });
    (name(), 0..=MAX_TTL, rdata).prop_map(|(owner, ttl, (code, rdata))| Record {
        owner,
        ttl,
        rtype: code.into(),
        rdata: Rdata::from_wire(rdata),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(record in record()) {
        let text = record.to_string();
        let read = parse(text.as_bytes(), &origin(), None);
        prop_assert_eq!(read.as_ref(), Ok(&vec![record.clone()]), "{}", text);
        // Names compare without case: their case is kept, too.
        prop_assert!(read.unwrap()[0].owner.eq_case(&record.owner));
        prop_assert!(types::fields(record.rtype).is_empty() || !text.contains(r" \# "), "{}", text);
    }

    #[test]
    fn a_zone_of_anything_dumped_is_read_as_the_same_zone(records in vec(record(), 0..20)) {
        use super::super::{Zone, dump};
        let apex = parse(b"@ 1 SOA . . 1 2 3 4 5\n@ NS .", &origin(), None).unwrap();
        // What would contradict itself: those types have rules about what else there may be.
        let alone = [RecordType::SOA, RecordType::NS, RecordType::CNAME, RecordType::DNAME];
        let plain = records.into_iter().filter(|record| !alone.contains(&record.rtype));
        let within = plain.map(|record| Record { owner: record.owner.append_domain(&origin()).unwrap(), ..record });
        let (zone, _) = Zone::build(&origin(), apex.into_iter().chain(within)).unwrap();
        let dumped = dump(&zone).to_string();
        prop_assert_eq!(parse(dumped.as_bytes(), &Name::root(), None), Ok(zone.records()), "{}", dumped);
    }

    #[test]
    fn any_rdata_has_a_text(code in any::<u16>(), wire in vec(any::<u8>(), 0..40)) {
        let record = Record { owner: origin(), ttl: 1, rtype: code.into(), rdata: Rdata::from_wire(wire) };
        let text = record.to_string();
        match parse(text.as_bytes(), &origin(), None) {
            Ok(read) => prop_assert_eq!(read, vec![record], "{}", text),
            Err(error) => prop_assert!(matches!(error.problem, Problem::MalformedRdata { .. } | Problem::NotData { .. }), "{}", error),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in vec(prop::sample::select(&b"a1@.\\\"();\n \t=$TXA#\xc3"[..]), 0..60)) {
        if let Ok(records) = parse(&text, &origin(), None) {
            for record in records {
                prop_assert_eq!(parse(record.to_string().as_bytes(), &origin(), None), Ok(vec![record]));
            }
        }
    }
}

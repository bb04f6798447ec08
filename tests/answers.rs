//! The answer tables of tests/data/answers, in process and against the binary over UDP and TCP, and what must hold
//! whatever bytes come.

mod support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use assert_no_alloc::{AllocDisabler, assert_no_alloc};
use kubezone::nameserver::{Outcome, Request, Served, Transport, respond};
use kubezone::zone::State;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::answers::{Exchange, Story, Via};
use support::dns::{HEADER, Question, Response};
use support::log::addresses;
use support::process::{Folder, Process};
use support::{BOUND, eventually, strangers};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// For each table one test in process and one against the binary, and a test that no table is forgotten. Of those whose
/// zone is filled from manifests, against the binary only.
macro_rules! tables {
    ($($name:ident)*; of a cluster: $($cluster:ident)*) => {
        mod in_process {
            use super::*;
            $(#[test] fn $name() { check_in_process(&name(stringify!($name))); })*
        }

        mod over_udp_and_tcp {
            use super::*;
            $(#[test] fn $name() { check_over_udp_and_tcp(&name(stringify!($name))); })*
            $(#[test] fn $cluster() { check_over_udp_and_tcp(&name(stringify!($cluster))); })*
        }

        #[test]
        fn in_process_every_table_is_checked() {
            let mut listed = vec![$(name(stringify!($name)),)* $(name(stringify!($cluster)),)*];
            let mut found: Vec<String> = std::fs::read_dir(support::answers::folder()).unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
            listed.sort();
            found.sort();
            assert_eq!(listed, found);
        }
    };
}

tables! {
    aliases any cuts dname edns escapes found_by_differential matrix_cluster matrix_parent messages negative
    order_of_checks parent_and_child pending records refused reverse rfc8906 root sizes targets tsig wildcards;
    of a cluster: coredns coredns_external coredns_pods coredns_reverse hidden
}

fn name(function: &str) -> String {
    function.replace('_', "-")
}

fn check_in_process(name: &str) {
    let story = Story::load(name);
    story.check(&mut InProcess(story.served()));
}

struct InProcess(Served);

impl Exchange for InProcess {
    fn exchange(&mut self, via: Via, bytes: &[u8]) -> Option<Vec<u8>> {
        let transport = match via {
            Via::Udp => Transport::Udp,
            Via::Tcp => Transport::Tcp,
        };
        let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
        let mut out = Vec::with_capacity(65_535);
        // What is in `out` from before must not come through.
        out.extend_from_slice(b"left from the answer before");
        let request = Request { bytes, peer, transport, now: Instant::now() };
        // Aborts if answering allocates.
        match assert_no_alloc(|| respond(&self.0, request, &mut out)) {
            Outcome::Reply(_) => Some(out),
            Outcome::Drop => None,
        }
    }
}

#[test]
fn in_process_a_zone_whose_source_is_silent_for_too_long_is_not_served() {
    let story = Story::parse(
        "expired",
        r#"
origin: k8s.ooo.
zones:
  k8s.ooo.: |
    @ 30 SOA ns hostmaster 1 14400 3600 1209600 30
    @ 30 NS  ns
replies:
  expired: { code: SERVFAIL, ede: 24 }
matrix:
  - { node: the apex, name: "@", replies: { others: expired } }
  - { node: a name that is not there, name: nothing, replies: { others: expired } }
"#,
    );
    let mut served = story.served();
    for (_, apex, state) in served.zones.clone().iter() {
        let State::Loaded(zone) = state else { panic!("{apex} is loaded") };
        served.zones.set(apex, State::Expired(Arc::clone(zone)));
    }
    story.check(&mut InProcess(served));
}

/// docs/kubernetes-dns.md names tables and tests that there are, and the reasons of its differences from CoreDNS are those of
/// the cases.
#[test]
fn in_process_the_kubernetes_document_says_what_is_tested() {
    let document = include_str!("../docs/kubernetes-dns.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources =
        [root.join("src"), root.join("tests")].iter().flat_map(|folder| rust_files(folder)).collect::<Vec<_>>();
    let is_shown = |by: &str| match by.rsplit_once("::") {
        // The last module but `tests` is a file's, or a folder's.
        Some((modules, test)) => {
            let module = modules.rsplit("::").find(|module| *module != "tests").expect("a module");
            let of_module = |path: &Path| path.with_extension("").components().any(|part| part.as_os_str() == module);
            sources.iter().any(|(path, text)| of_module(path) && text.contains(&format!("fn {test}(")))
        }
        None => root.join("tests/data").join(by).with_extension("yaml").exists(),
    };
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();

    let (mut rows, mut of_coredns) = (0, BTreeSet::new());
    for line in document.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(matches!(cells.len(), 4 | 5), "{line}");
        let shown_by = quoted(cells.last().expect("a cell"));
        assert!(!shown_by.is_empty(), "nothing shows this: {line}");
        for by in &shown_by {
            assert!(is_shown(by), "there is no {by}: {line}");
        }
        // A reason is one word in quotes, and nothing else.
        of_coredns.extend(quoted(cells[0]).pop().filter(|word| cells[0] == format!("`{word}`") && !word.contains(' ')));
        rows += 1;
    }
    assert!(rows > 40, "{rows} rows");
    let stories = ["coredns", "coredns-external", "coredns-pods", "coredns-reverse"].map(Story::load);
    assert_eq!(of_coredns, stories.iter().flat_map(Story::reasons).map(str::to_owned).collect());
}

/// The sources below a folder, with their paths.
fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            files.push((path, text));
        }
    }
    files
}

fn check_over_udp_and_tcp(name: &str) {
    let story = Story::load(name);
    story.check(&mut Sockets::to(&story));
}

/// The binary with a table's zones as master files, and a socket each way.
struct Sockets {
    udp: UdpSocket,
    address: SocketAddr,
    // Killed and removed when dropped, in this order.
    _process: Process,
    _folder: Folder,
}

impl Sockets {
    fn to(story: &Story) -> Self {
        let folder = Folder::new().expect("a temporary folder");
        let mut configuration = format!(
            "{{ apiVersion: k8s.ooo/v1alpha1, kind: KubezoneConfig, identity: \"{}\",\n\
             listen: {{ dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }}, zones: [\n",
            story.identity()
        );
        for (number, (apex, text)) in story.zones().enumerate() {
            // A zone whose file is not there is configured and not loaded.
            let file = folder.join(&format!("{number}.zone"));
            if let Some(text) = text {
                std::fs::write(&file, text).expect("a master file");
            }
            configuration += &format!("{{ name: \"{apex}\", file: \"{}\" }},\n", file.display());
        }
        for (apex, configured) in story.configured() {
            configuration += &format!("{{ name: \"{apex}\", {configured} }},\n");
        }
        if let Some(manifests) = story.manifests() {
            let path = folder.write("manifests.yaml", manifests).expect("manifests");
            configuration += &format!("], clusters: [ {{ name: c, manifests: \"{}\" }},\n", path.display());
        }
        let configuration = folder.write("kubezone.yaml", &(configuration + "] }\n")).expect("a configuration");
        let args = ["serve".to_owned(), "--config".to_owned(), configuration.display().to_string()];
        let mut process = Process::start(Path::new(env!("CARGO_BIN_EXE_kubezone")), &args, folder.join("kubezone.log"))
            .expect("kubezone started");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (address, _) = runtime.block_on(eventually("kubezone says where it listens", async || {
            assert!(!process.has_ended(), "kubezone has ended: {}", process.said());
            addresses(&process.said()).ok_or_else(|| process.said())
        }));
        let udp = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a socket");
        udp.connect(address).expect("connected");
        udp.set_read_timeout(Some(BOUND)).expect("a bound");
        let mut sockets = Self { udp, address, _process: process, _folder: folder };
        let files = story.zones().filter(|(_, text)| text.is_some()).map(|(apex, _)| apex);
        for apex in files.chain(story.configured().map(|(apex, _)| apex)) {
            let soa = Question::dig(&apex.to_ascii(), &["SOA"]);
            let loaded = eventually("the zone is loaded", async || {
                let response = sockets.exchange(Via::Udp, &soa.bytes).expect("an answer");
                let rcode = Response::read(&response)?.rcode;
                if rcode == "SERVFAIL" { Err(format!("{apex} {rcode}")) } else { Ok(()) }
            });
            runtime.block_on(loaded);
        }
        sockets
    }

    fn over_udp(&self, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
        // What is not answered is told by the answer to what is sent after it: one client's datagrams stay in order.
        let marker = Question::dig("marker.", &["A", "+noedns"]);
        let mut buffer = vec![0; 65_535];
        self.udp.send(request)?;
        self.udp.send(&marker.bytes)?;
        let mut received = Vec::new();
        loop {
            let length = self.udp.recv(&mut buffer)?;
            if buffer[..2] == marker.bytes[..2] && buffer[HEADER..length].starts_with(&marker.bytes[HEADER..]) {
                assert!(received.len() < 2, "{} answers to one request", received.len());
                return Ok(received.pop());
            }
            received.push(buffer[..length].to_vec());
        }
    }

    fn over_tcp(&self, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut connection = TcpStream::connect(self.address)?;
        connection.set_read_timeout(Some(BOUND))?;
        let length = u16::try_from(request.len()).expect("a short request");
        connection.write_all(&[&length.to_be_bytes(), request].concat())?;
        connection.shutdown(Shutdown::Write)?;
        // All that is answered, up to the end of the connection; a request that cannot be one may reset it.
        let mut received = Vec::new();
        match connection.read_to_end(&mut received) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error),
            _ => {}
        }
        let Some((length, response)) = received.split_first_chunk::<2>() else { return Ok(None) };
        assert_eq!(usize::from(u16::from_be_bytes(*length)), response.len(), "one answer, as long as it says");
        Ok(Some(response.to_vec()))
    }
}

impl Exchange for Sockets {
    fn exchange(&mut self, via: Via, request: &[u8]) -> Option<Vec<u8>> {
        let response = match via {
            Via::Udp => self.over_udp(request),
            Via::Tcp => self.over_tcp(request),
        };
        response.expect("loopback")
    }
}

/// The checks of RFC 8906 §8, its commands word for word, and what dig has to make of the responses: status, the header's
/// flags, how many records ANSWER has, and what is in OPT.
const RFC_8906: [(&str, &str, &str); 18] = [
    ("8.1.1", "+noedns +noad +norec soa", "NOERROR, qr aa, 1"),
    ("8.1.2", "+noedns +noad +norec type1000", "NOERROR, qr aa, 0"),
    ("8.1.3.1", "+noedns +noad +norec +cd soa", "NOERROR, qr aa, 1"),
    ("8.1.3.2", "+noedns +norec +ad soa", "NOERROR, qr aa, 1"),
    ("8.1.3.3", "+noedns +noad +norec +zflag soa", "NOERROR, qr aa, 1"),
    ("8.1.3.4", "+noedns +noad +rec soa", "NOERROR, qr aa rd, 1"),
    ("8.1.4", "+noedns +noad +opcode=15 +norec +header-only", "NOTIMP, qr, 0"),
    ("8.1.5", "+noedns +noad +norec +tcp soa", "NOERROR, qr aa, 1"),
    ("8.2.1", "+nocookie +edns=0 +noad +norec soa", "NOERROR, qr aa, 1, version: 0, flags:; udp: 1232"),
    ("8.2.2", "+nocookie +edns=1 +noednsneg +noad +norec soa", "BADVERS, qr, 0, version: 0, flags:; udp: 1232"),
    ("8.2.3", "+nocookie +edns=0 +noad +norec +ednsopt=100 soa", "NOERROR, qr aa, 1, version: 0, flags:; udp: 1232"),
    ("8.2.4", "+nocookie +edns=0 +noad +norec +ednsflags=0x40 soa", "NOERROR, qr aa, 1, version: 0, flags:; udp: 1232"),
    (
        "8.2.5",
        "+nocookie +edns=1 +noednsneg +noad +norec +ednsflags=0x40 soa",
        "BADVERS, qr, 0, version: 0, flags:; udp: 1232",
    ),
    (
        "8.2.6",
        "+nocookie +edns=1 +noednsneg +noad +norec +ednsopt=100 soa",
        "BADVERS, qr, 0, version: 0, flags:; udp: 1232",
    ),
    ("8.2.7", "+norec +dnssec +bufsize=512 +ignore dnskey", "NOERROR, qr aa tc, 0, version: 0, flags: do; udp: 1232"),
    ("8.2.8", "+nocookie +edns=0 +noad +norec +dnssec soa", "NOERROR, qr aa, 1, version: 0, flags: do; udp: 1232"),
    (
        "8.2.9",
        "+nocookie +edns=1 +noednsneg +noad +norec +dnssec soa",
        "BADVERS, qr, 0, version: 0, flags: do; udp: 1232",
    ),
    (
        "8.2.10",
        "+edns=0 +noad +norec +cookie +nsid +expire +subnet=0.0.0.0/0 soa",
        "NOERROR, qr aa, 1, version: 0, flags:; udp: 1232, NSID: 6e 73 31 (\"ns1\")",
    ),
];

#[test]
fn dig_finds_what_rfc_8906_expects() {
    if let Err(error) = Command::new("dig").arg("-v").output() {
        support::skip("dig_finds_what_rfc_8906_expects", &format!("dig: {error}"));
        return;
    }
    let server = Sockets::to(&Story::load("rfc8906"));
    let found = RFC_8906.map(|(section, command, _)| {
        let port = server.address.port().to_string();
        let zone = (!command.contains("+header-only")).then_some("k8s.ooo");
        let mut dig = Command::new("dig");
        dig.args(["-r", "@::1", "-p", &port]).args(command.split_whitespace()).args(zone);
        let output = dig.output().expect("dig ran");
        (section, command, outline(&String::from_utf8_lossy(&output.stdout)))
    });
    assert_eq!(found, RFC_8906.map(|(section, command, expected)| (section, command, expected.to_owned())));
}

/// What dig says of a response's header and OPT record, without their bytes for ID and sections that are not asked for.
fn outline(text: &str) -> String {
    let between = |from: &str, to: &str| {
        let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}"));
        rest.split(to).next().expect("there is always a first").trim().to_owned()
    };
    let mut outline = vec![between("status: ", ","), between(";; flags: ", "; QUERY:"), between("ANSWER: ", ",")];
    if text.contains("OPT PSEUDOSECTION") {
        let opt = between("OPT PSEUDOSECTION:\n", "\n;; ");
        outline.extend(opt.lines().map(|line| line.trim_start_matches("; ").trim_start_matches("EDNS: ").to_owned()));
    }
    outline.join(", ")
}

/// Names that the served zones have, and names below them.
fn names() -> impl Strategy<Value = String> {
    let zones = strangers::SERVED.iter().flat_map(|served| served.zones.iter());
    let owners = zones.flat_map(|(_, apex, state)| match state {
        State::Loaded(zone) => zone.records().into_iter().map(|record| record.owner.to_ascii()).collect(),
        _ => vec![apex.to_ascii()],
    });
    let long = "a".repeat(63);
    let label = prop::sample::select(vec!["a".to_owned(), "www".to_owned(), "*".to_owned(), "_tcp".to_owned(), long]);
    let below = prop::collection::vec(label, 0..3);
    // Each once: some own thousands of records.
    (prop::sample::select(Vec::from_iter(owners.collect::<BTreeSet<_>>())), below)
        .prop_map(|(owner, below)| {
            below.iter().rfold(owner, |name, label| format!("{label}.{}", name.trim_start_matches('.')))
        })
        .prop_filter("a name has at most 255 bytes", |name| name.len() < 240)
}

fn questions() -> impl Strategy<Value = Vec<u8>> {
    let qtype = prop_oneof![
        prop::sample::select(support::answers::TYPES.to_vec()).prop_map(str::to_owned),
        any::<u16>().prop_map(|number| format!("TYPE{number}")),
    ];
    let word = prop::sample::select(vec![
        "+rd",
        "+do",
        "+noedns",
        "+nsid",
        "+bufsize=0",
        "+bufsize=600",
        "+bufsize=65535",
        "+edns=1",
        "+cd",
        "+ad",
        "+ednsopt=11",
        "+ednsopt=10:0102",
        "CH",
    ]);
    let is_signed = prop::bool::weighted(0.1);
    (names(), qtype, prop::collection::vec(word, 0..4), is_signed).prop_map(|(name, qtype, words, is_signed)| {
        let words: Vec<&str> = [qtype.as_str()].into_iter().chain(words).collect();
        let mut bytes = Question::dig(&name, &words).bytes;
        if is_signed {
            sign(&mut bytes);
        }
        bytes
    })
}

/// Adds a TSIG record without a MAC.
fn sign(bytes: &mut Vec<u8>) {
    bytes[11] += 1;
    bytes.extend(b"\x03key\0\0\xfa\0\xff\0\0\0\0\0\x15\x03foo\0");
    bytes.extend([0; 16]);
}

/// A valid question with something done to it.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (questions(), flips, any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..8), 0..4).prop_map(
        |(mut bytes, flips, at, extra, what)| {
            for (index, byte) in flips {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            let at = at.index(bytes.len());
            match what {
                0 => bytes.truncate(at),
                1 => drop(bytes.splice(at..at, extra)),
                _ => {}
            }
            bytes
        },
    )
}

/// Of the binary, as [`strangers::check`] in process: one question, one answer, whatever the way it came.
#[test]
fn over_udp_and_tcp_any_question_has_one_answer() {
    let story = Story::load("sizes");
    let sockets = RefCell::new(Sockets::to(&story));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let agree = TestRunner::new(config).run(&questions(), |question| {
        let [udp, tcp] = [Via::Udp, Via::Tcp].map(|via| sockets.borrow_mut().exchange(via, &question).unwrap());
        let [mut udp, mut tcp] = [udp, tcp].map(|bytes| Response::read(&bytes).unwrap());
        // What depends on the transport: what is told of the connection, and what of ADDITIONAL has room.
        for edns in udp.edns.iter_mut().chain(&mut tcp.edns) {
            edns.options.retain(|(code, _)| *code != 11);
        }
        if udp.flags.contains("TC") && !tcp.flags.contains("TC") {
            prop_assert_eq!(udp.sections.concat(), Vec::<String>::new());
            udp.flags = udp.flags.split(' ').filter(|flag| *flag != "TC").collect::<Vec<_>>().join(" ");
            udp.sections.clone_from(&tcp.sections);
        }
        prop_assert!(udp.sections[2].iter().all(|record| tcp.sections[2].contains(record)));
        tcp.sections[2].clone_from(&udp.sections[2]);
        prop_assert_eq!(udp, tcp);
        Ok(())
    });
    agree.unwrap_or_else(|error| panic!("{error}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_process_any_bytes_are_answered_well(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        strangers::check(&bytes);
    }

    #[test]
    fn in_process_any_question_is_answered_well(bytes in questions()) {
        strangers::check(&bytes);
    }

    #[test]
    fn in_process_any_broken_question_is_answered_well(bytes in mutated()) {
        strangers::check(&bytes);
    }
}

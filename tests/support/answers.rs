//! Answer tables: zones, questions and what has to be answered, in one YAML file a story.
//!
//! ```yaml
//! origin: k8s.ooo.                # names below are relative to it
//! identity: ns1                   # NSID; optional
//! zones:                          # name: master file, or `pending`: configured and never loaded
//!   k8s.ooo.: |
//!     $TTL 3600
//!     @ SOA ns hostmaster 1 14400 3600 1209600 30
//!     …
//! manifests: |                    # the cluster `c`; the serial of what is filled from it is `SERIAL`
//!   { kind: Service, … }
//! configured:                     # zones that are filled from it, and what is configured of them
//!   k8s.ooo: "cluster: c, ttl: 5"
//! replies:                        # by name, for those that are needed more than once
//!   nodata: { code: NOERROR, flags: AA, authority: "@ 30 SOA ns hostmaster 1 14400 3600 1209600 30" }
//! cases:
//!   - name: the rule that this case is about
//!     ask: www AAAA +rd           # as typed after dig; see `Question::dig`
//!     reply:                      # or the name of one of the replies, or `dropped`
//!       code: NOERROR
//!       flags: AA RD              # exactly these of AA TC RD RA Z AD CD DO
//!       answer: |                 # exactly these records, in any order; no section named: empty
//!         www 3600 AAAA 2a0a:e5c0::80
//!     udp: truncated              # what is different over UDP; optional
//!     coredns: nxdomain           # what CoreDNS answers, where that is something else,
//!     why: wildcards              # and the row of docs/kubernetes-dns.md that has the reason
//! matrix:                         # one name asked for every type of TYPES
//!   - node: an empty non-terminal
//!     name: svc
//!     replies: { others: nodata } # "A AAAA": …, others: …
//! same:                           # names of one length, with the same answers to each type, byte by byte
//!   - [hidden.shop.svc, absent.shop.svc]
//! ```
//!
//! Beside what a table says, the bytes over UDP and TCP must be the same but for the ID, unless there is an `udp:`. Each
//! response must have the request's ID, opcode and question (byte by byte), an OPT record exactly if the request had
//! one (version 0, 1232 bytes, no options unless named), keep to the size that the requestor can take, and be
//! well-formed to its last byte. `{1..75}` in a line of a zone or a section repeats the line; `{2..17}` and `{1..16}` in
//! one line count together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hickory_proto::rr::Name;
use kubezone::nameserver::Served;
use kubezone::zone::{State, Zone, Zones, master};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::dns::{self, HEADER, Question, Response};

/// The types that every kind of node is asked for.
pub(crate) const TYPES: [&str; 14] =
    ["A", "AAAA", "NS", "SOA", "TXT", "MX", "SRV", "CNAME", "DS", "ANY", "HTTPS", "CAA", "PTR", "TYPE65534"];

/// One file of tests/data/answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Story {
    origin: String,
    #[serde(default)]
    identity: String,
    #[serde(default)]
    zones: BTreeMap<String, String>,
    manifests: Option<String>,
    #[serde(default)]
    configured: BTreeMap<String, String>,
    #[serde(default)]
    replies: BTreeMap<String, Reply>,
    #[serde(default)]
    cases: Vec<Case>,
    #[serde(default)]
    matrix: Vec<Node>,
    #[serde(default)]
    same: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    ask: Option<String>,
    raw: Option<String>,
    reply: Wanted,
    udp: Option<Wanted>,
    coredns: Option<Wanted>,
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    node: String,
    name: String,
    replies: BTreeMap<String, Wanted>,
}

/// What has to be answered: by name, or as it is.
#[derive(Debug, Clone)]
enum Wanted {
    Named(String),
    Reply(Box<Reply>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    code: String,
    #[serde(default)]
    flags: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    authority: String,
    #[serde(default)]
    additional: String,
    /// Extended DNS Error (RFC 8914): the INFO-CODE; its text is free.
    ede: Option<u16>,
    nsid: Option<String>,
    /// edns-tcp-keepalive (RFC 7828): tenths of a second.
    keepalive: Option<u16>,
    /// Whether there is an OPT record, where that does not follow from the request (one that cannot be parsed).
    edns: Option<bool>,
    /// Whether the question is there; it is, unless it could not be read.
    #[serde(default = "yes")]
    question: bool,
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrReply;
        impl<'de> Visitor<'de> for NameOrReply {
            type Value = Wanted;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reply or the name of one")
            }
            fn visit_str<E>(self, name: &str) -> Result<Wanted, E> {
                Ok(Wanted::Named(name.to_owned()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Wanted, M::Error> {
                Reply::deserialize(MapAccessDeserializer::new(map)).map(|reply| Wanted::Reply(Box::new(reply)))
            }
        }
        deserializer.deserialize_any(NameOrReply)
    }
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    Udp,
    Tcp,
}

/// A way to the nameserver: in process, or through sockets.
pub(crate) trait Exchange {
    /// Sends `request`; the response, or none when it was dropped.
    fn exchange(&mut self, via: Via, request: &[u8]) -> Option<Vec<u8>>;
}

/// Where the tables are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/answers")
}

impl Story {
    /// Reads the table `name`.yaml.
    pub(crate) fn load(name: &str) -> Self {
        let path = folder().join(name).with_extension("yaml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(name, &text)
    }

    /// The table that `text` is.
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let mut story: Self = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(story.origin.ends_with('.'), "{name}: the origin is absolute");
        for text in story.zones.values_mut() {
            *text = repeated(text);
        }
        story
    }

    /// The zones' names and master files; none: pending.
    pub(crate) fn zones(&self) -> impl Iterator<Item = (Name, Option<&str>)> {
        self.zones.iter().map(|(name, text)| {
            let apex = Name::from_ascii(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            (apex, (text.trim() != "pending").then_some(text.as_str()))
        })
    }

    /// The cluster's objects, if there is a cluster.
    pub(crate) fn manifests(&self) -> Option<&str> {
        self.manifests.as_deref()
    }

    /// The zones that are filled from the cluster: their names and what is configured of them.
    pub(crate) fn configured(&self) -> impl Iterator<Item = (Name, &str)> {
        self.configured.iter().map(|(name, text)| {
            let apex = Name::from_ascii(format!("{name}.")).unwrap_or_else(|error| panic!("{name}: {error}"));
            (apex, text.trim())
        })
    }

    /// The reasons for what CoreDNS answers otherwise.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().filter_map(|case| case.why.as_deref())
    }

    /// What a server of these zones serves.
    pub(crate) fn served(&self) -> Served {
        let mut zones = Zones::pending(self.zones().map(|(apex, _)| apex));
        for (apex, text) in self.zones() {
            let Some(text) = text else { continue };
            let records = master::parse(text.as_bytes(), &apex, None).unwrap_or_else(|error| panic!("{apex}: {error}"));
            let (zone, _) = Zone::build(&apex, records).unwrap_or_else(|error| panic!("{apex}: {error}"));
            zones.set(&apex, State::Loaded(Arc::new(zone)));
        }
        Served { zones, identity: self.identity.as_bytes().into() }
    }

    /// What is configured as NSID.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Asks all questions over UDP and TCP.
    ///
    /// # Panics
    ///
    /// After all of them, with a list of what was answered otherwise.
    pub(crate) fn check(&self, server: &mut impl Exchange) {
        let serial = self.serial(server);
        let mut asked = 0u16;
        let mut unused: BTreeSet<&str> = self.replies.keys().map(String::as_str).collect();
        let mut failures = Vec::new();
        self.each(|name, question, reply, udp| {
            let mut question = question.clone();
            let responses = [(Via::Udp, udp.unwrap_or(reply)), (Via::Tcp, reply)].map(|(via, wanted)| {
                asked += 1;
                if let Wanted::Named(name) = wanted {
                    unused.remove(name.as_str());
                }
                question.set_id(asked ^ 0x5a5a);
                let mut response = server.exchange(via, &question.bytes);
                if let Err(difference) = self.compare(via, &question, wanted, &serial, response.as_deref()) {
                    failures.push(format!("{name} ({via:?})\n{difference}"));
                }
                response.iter_mut().for_each(|bytes| bytes[..2].fill(0));
                response
            });
            if udp.is_none() && responses[0] != responses[1] {
                failures.push(format!("{name}\n  not the same bytes over UDP and TCP\n"));
            }
        });
        for (one, other) in &self.same {
            failures.extend(self.unlike(one, other, server));
        }
        for case in &self.cases {
            if let Some(wanted) = &case.coredns {
                if let Wanted::Named(name) = wanted {
                    unused.remove(name.as_str());
                }
                failures.extend(self.not_otherwise(case, wanted));
            }
        }
        assert!(asked > 0, "no cases");
        assert!(unused.is_empty(), "replies that nothing has: {unused:?}");
        assert!(
            failures.is_empty(),
            "{} of {asked} answers are not as expected (- expected, + got)\n\n{}",
            failures.len(),
            failures.join("\n")
        );
    }

    /// The serial of zones that are filled from manifests: the time, which no table can have.
    fn serial(&self, server: &mut impl Exchange) -> String {
        if self.manifests.is_none() {
            return "SERIAL".to_owned();
        }
        let response = server.exchange(Via::Udp, &self.question("@ SOA").bytes).expect("an answer");
        let [answer, ..] = Response::read(&response).expect("a response").sections;
        answer[0].split(' ').nth(5).expect("OWNER TTL SOA MNAME RNAME SERIAL").to_owned()
    }

    /// The first type that two names of one length are not answered alike for, byte by byte but for the question.
    fn unlike(&self, one: &str, other: &str, server: &mut impl Exchange) -> Option<String> {
        // All that are assigned (RFC 6895 §3.1), some of those for private use, and the last; over TCP, a connection each, the
        // usual ones.
        let numbers = (0..=264).chain(32_768..=32_770).chain(65_280..=65_284).chain([65_535]);
        let over_udp = numbers.map(|number| (Via::Udp, format!("TYPE{number}")));
        let mut asked = over_udp.chain(TYPES.map(|qtype| (Via::Tcp, qtype.to_owned())));
        asked.find_map(|(via, qtype)| {
            let questions = [one, other].map(|name| self.question(&format!("{name} {qtype}")));
            let end = HEADER + questions[0].section().len();
            assert_eq!(end, HEADER + questions[1].section().len(), "{one} and {other} have one length");
            let responses = questions.each_ref().map(|question| {
                let mut response = server.exchange(via, &question.bytes).expect("an answer");
                drop(response.splice(HEADER..end, []));
                response
            });
            let differs = responses[0] != responses[1];
            differs.then(|| format!("{qtype} of {one} and of {other} ({via:?}): not the same\n"))
        })
    }

    /// Says of a case that CoreDNS does not differ from us, if it does not.
    fn not_otherwise(&self, case: &Case, theirs: &Wanted) -> Option<String> {
        let question = self.question(case.ask.as_deref().expect("a question"));
        let [ours, theirs] = [&case.reply, theirs].map(|wanted| self.reply(wanted).lines(&question, &self.origin));
        assert!(case.why.is_some(), "{}: there is a reason", case.name);
        (ours == theirs).then(|| format!("{}: CoreDNS answers just so\n", case.name))
    }

    /// Calls `check` with the name of each case, its question, the reply wanted, and over UDP if that is another.
    fn each(&self, mut check: impl FnMut(&str, &Question, &Wanted, Option<&Wanted>)) {
        for case in &self.cases {
            let (text, question) = match (&case.ask, &case.raw) {
                (Some(ask), None) => (ask.as_str(), self.question(ask)),
                (None, Some(raw)) => ("raw", Question::raw(raw)),
                _ => panic!("{}: either `ask` or `raw`", case.name),
            };
            let name = format!("{}: {text}", case.name);
            check(&name, &question, &case.reply, case.udp.as_ref());
        }
        for node in &self.matrix {
            for qtype in TYPES {
                let reply = node.reply(qtype);
                let ask = format!("{} {qtype}", node.name);
                check(&format!("{}: {ask}", node.node), &self.question(&ask), reply, None);
            }
            node.check_types();
        }
    }

    fn question(&self, ask: &str) -> Question {
        let words: Vec<&str> = ask.split_whitespace().collect();
        let (name, rest) = words.split_first().expect("a name");
        Question::dig(&dns::absolute(name, &self.origin), rest)
    }

    fn reply<'a>(&'a self, wanted: &'a Wanted) -> &'a Reply {
        match wanted {
            Wanted::Named(name) => self.replies.get(name).unwrap_or_else(|| panic!("no reply is called {name}")),
            Wanted::Reply(reply) => reply,
        }
    }

    fn compare(
        &self,
        via: Via,
        question: &Question,
        wanted: &Wanted,
        serial: &str,
        response: Option<&[u8]>,
    ) -> Result<(), String> {
        if matches!(wanted, Wanted::Named(name) if name == "dropped") {
            return response.map_or(Ok(()), |_| Err("  answered\n".into()));
        }
        let Some(response) = response else { return Err("  not answered\n".to_owned()) };
        if via == Via::Udp && response.len() > question.udp_limit {
            return Err(format!("  {} bytes, where {} were asked for\n", response.len(), question.udp_limit));
        }
        let got = Response::read(response).map_err(|error| format!("  {error}\n  {response:02x?}\n"))?;
        let wanted = self.reply(wanted).lines(question, &self.origin);
        let wanted: Vec<String> = wanted.iter().map(|line| line.replace("SERIAL", serial)).collect();
        difference(&wanted, &lines(&got))
    }
}

impl Node {
    fn reply(&self, qtype: &str) -> &Wanted {
        let mut named = self.replies.iter().filter(|(types, _)| types.split_whitespace().any(|one| one == qtype));
        match (named.next(), named.next()) {
            (Some((_, reply)), None) => reply,
            (None, _) => self.replies.get("others").unwrap_or_else(|| panic!("{}: no reply to {qtype}", self.node)),
            _ => panic!("{}: two replies to {qtype}", self.node),
        }
    }

    fn check_types(&self) {
        for word in self.replies.keys().flat_map(|types| types.split_whitespace()) {
            assert!(word == "others" || TYPES.contains(&word), "{}: {word} is not asked", self.node);
        }
    }
}

impl Reply {
    /// All that is expected, in the form of [`lines`].
    fn lines(&self, question: &Question, origin: &str) -> Vec<String> {
        let bytes = &question.bytes;
        let mut lines = vec![
            format!("id {}, opcode {}", u16::from_be_bytes([bytes[0], bytes[1]]), bytes[2] >> 3 & 15),
            status(&self.code, &in_order(&self.flags)),
            asked(if self.question { question.section() } else { &[] }),
        ];
        let options: Vec<String> = [
            self.nsid.as_ref().map(|identity| format!("NSID {identity}")),
            self.keepalive.map(|tenths| format!("KEEPALIVE {tenths}")),
            self.ede.map(|code| format!("EDE {code}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if self.edns.unwrap_or(question.edns) {
            lines.push(opt(0, 1232, 0, options));
        } else {
            assert!(options.is_empty(), "options need an OPT record");
        }
        for (section, text) in
            [("ANSWER", &self.answer), ("AUTHORITY", &self.authority), ("ADDITIONAL", &self.additional)]
        {
            let text = repeated(text);
            let records = text.lines().filter(|line| !line.trim().is_empty());
            let mut records: Vec<String> = records.map(|line| dns::expected_line(line, origin)).collect();
            records.sort();
            lines.extend(records.iter().map(|record| format!("{section} {record}")));
        }
        lines
    }
}

/// A response as lines to be compared.
fn lines(got: &Response) -> Vec<String> {
    let mut lines =
        vec![format!("id {}, opcode {}", got.id, got.opcode), status(&got.rcode, &got.flags), asked(&got.question)];
    if let Some(edns) = &got.edns {
        let options = edns.options.iter().map(|(code, data)| option(*code, data)).collect();
        lines.push(opt(edns.version, edns.bufsize, edns.other_flags, options));
    }
    for (section, records) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].iter().zip(&got.sections) {
        lines.extend(records.iter().map(|record| format!("{section} {record}")));
    }
    lines
}

fn status(rcode: &str, flags: &str) -> String {
    format!("{rcode} [{flags}]")
}

fn asked(question: &[u8]) -> String {
    if question.is_empty() { "no question".to_owned() } else { format!("question {}", question.escape_ascii()) }
}

fn opt(version: u8, bufsize: u16, flags: u16, mut options: Vec<String>) -> String {
    options.sort();
    format!("OPT version {version}, {bufsize} bytes, flags {flags}, options [{}]", options.join(", "))
}

fn option(code: u16, data: &[u8]) -> String {
    match (code, data) {
        (3, identity) => format!("NSID {}", identity.escape_ascii()),
        (11, [high, low]) => format!("KEEPALIVE {}", u16::from_be_bytes([*high, *low])),
        // RFC 8914 §2: the EXTRA-TEXT is UTF-8 and for humans.
        (15, [high, low, text @ ..]) if std::str::from_utf8(text).is_ok() => {
            format!("EDE {}", u16::from_be_bytes([*high, *low]))
        }
        _ => format!("option {code} {data:02x?}"),
    }
}

fn in_order(flags: &str) -> String {
    let set: Vec<&str> = flags.split_whitespace().collect();
    let known = ["AA", "TC", "RD", "RA", "Z", "AD", "CD", "DO"];
    assert!(set.iter().all(|flag| known.contains(flag)), "{flags}: unknown flags");
    known.into_iter().filter(|flag| set.contains(flag)).collect::<Vec<_>>().join(" ")
}

/// What is in one of two sorted lists only.
fn difference(expected: &[String], got: &[String]) -> Result<(), String> {
    let mut rest: Vec<&String> = got.iter().collect();
    let mut text = String::new();
    for line in expected {
        match rest.iter().position(|other| *other == line) {
            Some(at) => drop(rest.remove(at)),
            None => text += &format!("  - {line}\n"),
        }
    }
    text.extend(rest.iter().map(|line| format!("  + {line}\n")));
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// Repeats the lines that have `{FIRST..LAST}` in them; several ranges in a line count together.
fn repeated(text: &str) -> String {
    text.lines().map(repeated_line).collect()
}

fn repeated_line(line: &str) -> String {
    let Some((from, to)) = line.find('{').zip(line.find('}')) else { return format!("{line}\n") };
    let (first, last) = line[from + 1..to].split_once("..").unwrap_or_else(|| panic!("{line}: {{FIRST..LAST}}"));
    let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
    let nth = |line: &str, nth: u32| {
        let piece = |(at, piece): (usize, &str)| match piece.split_once("..").filter(|_| at % 2 == 1) {
            Some((first, _)) => (first.parse::<u32>().unwrap() + nth).to_string(),
            None => piece.to_owned(),
        };
        line.split(['{', '}']).enumerate().map(piece).collect::<String>() + "\n"
    };
    (0..=last - first).map(|number| nth(line, number)).collect()
}

//! Master files, by kubezone and by BIND, Knot, NSD and ldns: the same records, the same refusals.
//!
//! The corpus is tests/data/masters: `valid` files load and nothing is said of them, `odd` ones load with the warnings
//! that they begin with, `invalid` ones are refused with the error that they begin with. A file is named after its rule,
//! and its zone after the file. Where another reads one otherwise, and that is meant, docs/testing.md has a row for it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use kubezone::source::load::{self, FileError};
use kubezone::zone::master;
use kubezone::zone::{Rdata, Record, Warning};
use support::kubezone::KUBEZONE;
use support::process::{Folder, Process};
use support::{eventually, skip, tell};

/// A file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Master {
    /// `valid`, `odd` or `invalid`; `dumped` for one that we wrote.
    kind: &'static str,
    folder: PathBuf,
    /// Its name, and that of its zone.
    name: String,
}

impl Master {
    /// The whole corpus.
    fn all() -> Vec<Self> {
        let mut all: Vec<_> = ["valid", "odd", "invalid"].into_iter().flat_map(Self::of_kind).collect();
        all.sort();
        all
    }

    fn of_kind(kind: &'static str) -> Vec<Self> {
        let folder = Path::new("tests/data/masters").join(kind);
        let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let zones = files.filter(|path| path.extension().is_some_and(|extension| extension == "zone"));
        let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        zones.map(|path| Self { kind, folder: folder.clone(), name: name(path) }).collect()
    }

    fn apex(&self) -> Name {
        Name::from_ascii(format!("{}.", self.name)).unwrap()
    }

    /// In its folder.
    fn file(&self) -> String {
        format!("{}.zone", self.name)
    }

    fn text(&self) -> Vec<u8> {
        fs::read(self.folder.join(self.file())).unwrap()
    }

    /// The comments that it begins with.
    fn says(&self) -> Vec<String> {
        let text = self.text();
        let text = String::from_utf8_lossy(&text);
        text.lines().map_while(|line| line.strip_prefix("; ")).map(str::to_owned).collect()
    }

    fn load(&self) -> Result<(Vec<Record>, Vec<Warning>), FileError> {
        let read = load::read(&self.text(), &self.apex(), Some(&self.folder), 1, &mut |_| {});
        let (zone, odd) = read.map_err(|mut errors| errors.swap_remove(0))?;
        Ok((zone.records(), odd.into_iter().map(|odd| odd.warning).collect()))
    }
}

#[test]
fn every_file_is_read_or_refused_as_it_says() {
    let mut wrong = String::new();
    for master in Master::all() {
        let (said, expected) = match (master.kind, master.load()) {
            // That no proofs are served is said of every zone with DNSSEC records.
            ("valid", Ok((_, warnings))) => {
                let proofs = |warning: &&Warning| matches!(warning, Warning::WithoutProofs { .. });
                (warnings.iter().filter(|warning| !proofs(warning)).map(ToString::to_string).collect(), vec![])
            }
            ("odd", Ok((_, warnings))) => (warnings.iter().map(ToString::to_string).collect(), master.says()),
            (_, Ok(_)) => (vec!["nothing".to_owned()], master.says()),
            ("invalid", Err(error)) => (vec![error.to_string()], master.says()),
            (_, Err(error)) => (vec![error.to_string()], vec![]),
        };
        if said != expected {
            writeln!(wrong, "{}/{}\n  said:     {said:?}\n  expected: {expected:?}", master.kind, master.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_is_read_is_written_and_read_again() {
    Master::all().iter().for_each(|master| support::masters::check(&master.text(), &master.apex()));
}

/// Of two octets, so that whoever cuts a word in the wrong place is caught.
#[test]
fn a_stray_character_anywhere_is_read_or_refused() {
    for master in Master::of_kind("valid") {
        let (text, apex) = (master.text(), master.apex());
        // The long ones are about length.
        let places = if text.len() < 300 { text.len() } else { 0 };
        for at in 0..places {
            let (before, behind) = text.split_at(at);
            support::masters::check(&[before, "\u{e9}".as_bytes(), behind].concat(), &apex);
        }
    }
}

/// Who reads the corpus beside us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Bind,
    Knot,
    Nsd,
    Ldns,
}

impl Peer {
    const ALL: [Self; 4] = [Self::Bind, Self::Knot, Self::Nsd, Self::Ldns];

    /// What people call it.
    fn name(self) -> &'static str {
        match self {
            Self::Bind => "BIND",
            Self::Knot => "Knot",
            Self::Nsd => "NSD",
            Self::Ldns => "ldns",
        }
    }

    /// Its checker, and how to ask for its version.
    fn program(self) -> [&'static str; 2] {
        match self {
            Self::Bind => ["named-checkzone", "-v"],
            Self::Knot => ["kzonecheck", "-V"],
            Self::Nsd => ["nsd-checkzone", "-h"],
            Self::Ldns => ["ldns-read-zone", "-v"],
        }
    }

    /// The version of its checker; none where it is not installed.
    fn version(self) -> Option<String> {
        let [program, option] = self.program();
        let said = Command::new(program).arg(option).output().ok()?;
        let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        let is_version = |word: &&str| {
            let parts = word.split_once('.');
            parts.is_some_and(|(major, minor)| {
                major.parse::<u8>().is_ok() && minor.starts_with(|c: char| c.is_ascii_digit())
            })
        };
        said.split_ascii_whitespace().map(|word| word.trim_end_matches([')', '.'])).find(is_version).map(str::to_owned)
    }

    /// The records that its checker finds in a file; none where it refuses it.
    ///
    /// Knot's shows none: those are empty.
    fn read(self, master: &Master, scratch: &Folder) -> Option<Records> {
        let (file, zone) = (master.file(), format!("{}.", master.name));
        let arguments = match self {
            // In wire form, and without looking for name servers on the Internet.
            Self::Bind => vec!["-q", "-i", "local", "-F", "raw", "-o", "-", &zone, &file],
            Self::Knot => vec!["-d", "off", "-o", &zone, &file],
            Self::Nsd => vec!["-p", &zone, &file],
            // In wire form: `-U A` is for all types but A, `-u A` for that one. It has no option for the origin.
            Self::Ldns => vec!["-U", "A", "-u", "A", "origin-first"],
        };
        let folder = match self {
            Self::Ldns => {
                let text = [format!("$ORIGIN {zone}\n").into_bytes(), master.text()].concat();
                fs::write(scratch.join("origin-first"), text).unwrap();
                scratch.join("")
            }
            _ => master.folder.clone(),
        };
        let read = Command::new(self.program()[0]).args(arguments).current_dir(folder).output().unwrap();
        if !read.status.success() {
            return None;
        }
        Some(match self {
            Self::Bind => lines(raw(&read.stdout)),
            Self::Knot => Records::new(),
            Self::Nsd | Self::Ldns => written(&read.stdout),
        })
    }
}

/// Records, each as a line.
type Records = BTreeSet<String>;

/// Records as lines, owners in lower case as a zone of ours has them.
fn lines(records: impl IntoIterator<Item = Record>) -> Records {
    let lower = |record: Record| Record { owner: record.owner.to_lowercase(), ..record }.to_string();
    records.into_iter().map(lower).collect()
}

/// The records of a master file that another wrote; what we do not read of it is the error.
fn written(text: &[u8]) -> Records {
    match master::parse(text, &Name::root(), None) {
        Ok(records) => lines(records),
        Err(error) => [format!("what is not read here: {error}")].into(),
    }
}

/// The records of BIND's `raw` format, version 1: RRsets in wire form, lengths before them.
fn raw(dump: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = BinDecoder::new(dump.get(24..).expect("a header"));
    let u16 = |rest: &mut BinDecoder| rest.read_u16().unwrap().unverified();
    let u32 = |rest: &mut BinDecoder| rest.read_u32().unwrap().unverified();
    while !rest.is_empty() {
        let (_length, _class, rtype, _covers) = (u32(&mut rest), u16(&mut rest), u16(&mut rest), u16(&mut rest));
        let (ttl, count, owner) = (u32(&mut rest), u32(&mut rest), u16(&mut rest));
        let owner = Name::from_bytes(rest.read_slice(owner.into()).unwrap().unverified()).unwrap();
        for _ in 0..count {
            let length = u16(&mut rest);
            let rdata = Rdata::from_wire(rest.read_slice(length.into()).unwrap().unverified());
            records.push(Record { owner: owner.clone(), ttl, rtype: rtype.into(), rdata });
        }
    }
    records
}

/// What a Knot server has loaded from `masters`, by zone.
async fn served_by_knot(masters: &[Master], scratch: &Folder) -> BTreeMap<String, Records> {
    let run = scratch.join("");
    let mut config = format!(
        "server:\n  rundir: {run}\ndatabase:\n  storage: {run}\nlog:\n  - target: stderr\n    any: warning\nzone:\n",
        run = run.display()
    );
    for Master { name, folder, .. } in masters {
        let storage = fs::canonicalize(folder).unwrap();
        // Includes are relative to the storage for some, to the file for others: here, both are the same.
        write!(config, "  - domain: {name}.\n    storage: {}\n    file: {name}.zone\n", storage.display()).unwrap();
        config += "    journal-content: none\n    zonefile-sync: -1\n";
    }
    let config = scratch.write("knot.conf", &config).unwrap();
    let _knot =
        Process::start(Path::new("knotd"), &["-c".into(), config.display().to_string()], run.join("log")).unwrap();
    let text = eventually("all zones in Knot", async || {
        let control = run.join("knot.sock");
        let read = Command::new("knotc").arg("-s").arg(control).args(["zone-read", "--"]).output().unwrap();
        let text = String::from_utf8(read.stdout).unwrap();
        let loaded = text.lines().filter(|line| line.split(' ').nth(3) == Some("SOA")).count();
        if loaded == masters.len() { Ok(text) } else { Err(format!("{loaded} of {}", masters.len())) }
    })
    .await;
    let mut served: BTreeMap<String, Records> = BTreeMap::new();
    for line in text.lines() {
        let (zone, record) = line.strip_prefix('[').unwrap().split_once(".] ").unwrap();
        served.entry(zone.to_owned()).or_default().extend(written(record.as_bytes()));
    }
    served
}

/// What others make of these is their own doing, as docs/testing.md says, and no fault of a dump: Knot and NSD show names
/// in RDATA in lower case and HINFO as text, and BIND refuses the zones of the other three.
const NOT_DUMPED: [&str; 5] =
    ["case-in-rdata", "type-hinfo-by-number", "missing-glue-at-apex", "ns-is-an-alias", "wildcard-ns"];

/// The names of the addresses that the Services of the example and of the schema's tables have.
const REVERSE: &str = "0.c.5.e.a.0.a.2.ip6.arpa";

/// What `kubezone zone dump` writes is read by others as the records that we have: master files, a cluster with all that
/// the schema's tables have and everything switched on, the names of its addresses.
#[tokio::test]
async fn dumps_are_read_by_others_as_they_are() {
    let readers = [Peer::Bind, Peer::Knot, Peer::Nsd];
    if let Some(absent) = readers.iter().find(|peer| peer.version().is_none()) {
        return skip("dumps", &format!("there is no {} in the path", absent.program()[0]));
    }
    let (here, scratch) = (std::env::current_dir().unwrap(), Folder::new().unwrap());
    fs::create_dir(scratch.join("tables")).unwrap();
    // That one has what no API server takes.
    for entry in fs::read_dir("tests/data/schema").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().expect("a file's name");
        if path.extension().is_some_and(|extension| extension == "yaml") && name != "odd-names.yaml" {
            fs::copy(&path, scratch.join("tables").join(name)).unwrap();
        }
    }
    let mut config = format!(
        "clusters:\n- {{ name: example, manifests: {here}/examples/c2 }}\n\
         - {{ name: tables, manifests: tables }}\nzones:\n\
         - {{ name: c3.k8s.ooo, cluster: example, nameservers: [{{ name: kube-dns.kube-system.svc }}] }}\n\
         - {{ name: c2.k8s.ooo, cluster: tables, nameservers: [{{ name: ns, addresses: [\"2a0a:e5c0:13:e2::a\"] }}],\n    \
         extra: {here}/tests/data/schema/extra.static,\n    \
         publish: {{ pods: true, shortNames: true, hostnames: true, wildcards: true }},\n    \
         ipv4: {{ nat64: [{{ from: \"2a0a:e5c0:13:e2::a\", to: 147.78.194.9 }}], proxies: [147.78.194.10] }} }}\n\
         - {{ name: {REVERSE}, reverseOf: [c2.k8s.ooo, c3.k8s.ooo], nameservers: [{{ name: ns.example. }}] }}\n\
         - {{ name: ., file: {here}/examples/root.zone }}\n\
         - {{ name: example, file: {here}/tests/data/masters/every-type.zone }}\n",
        here = here.display()
    );
    let mut names = ["c2.k8s.ooo", "c3.k8s.ooo", REVERSE, "", "example"].map(str::to_owned).to_vec();
    let corpus = ["valid", "odd"].into_iter().flat_map(Master::of_kind);
    for master in corpus.filter(|master| !NOT_DUMPED.contains(&&*master.name)) {
        let file = here.join(&master.folder).join(master.file());
        writeln!(config, "- {{ name: {}, file: {} }}", master.name, file.display()).unwrap();
        names.push(master.name);
    }
    let config = scratch.write("kubezone.yaml", &config).unwrap();
    let dump = |name: String| {
        let mut command = Command::new(KUBEZONE.as_str());
        let dumped = command.args(["zone", "dump", &format!("{name}."), "--config"]).arg(&config).output().unwrap();
        assert!(dumped.status.success(), "{name}: {}", String::from_utf8_lossy(&dumped.stderr));
        let master = Master { kind: "dumped", folder: scratch.join(""), name };
        fs::write(scratch.join(&master.file()), dumped.stdout).unwrap();
        master
    };
    let dumped: Vec<_> = names.into_iter().map(dump).collect();

    let everything = dumped[0].text();
    for owner in ["*.app", "web.shop", "2a0a-e5c0-10-2--11.shop.pod", "_acme-challenge.web.shop.svc", "ns"] {
        let line = format!("\n{owner}.c2.k8s.ooo. ");
        assert!(String::from_utf8_lossy(&everything).contains(&line), "{owner} is not switched on");
    }
    let originals = Master::all();
    let mut served = served_by_knot(&dumped, &scratch).await;
    let mut unlike = String::new();
    for master in &dumped {
        let ours = written(&master.text());
        if let Some(original) = originals.iter().find(|original| original.name == master.name) {
            let (records, _) = original.load().unwrap();
            assert_eq!(ours, lines(records), "{}", master.name);
        }
        for peer in readers {
            let theirs = match peer {
                Peer::Knot => served.remove(&master.name),
                _ => peer.read(master, &scratch),
            };
            if theirs.as_ref() != Some(&ours) {
                writeln!(unlike, "{}, {}\n  ours:   {ours:?}\n  theirs: {theirs:?}", peer.name(), master.name).unwrap();
            }
        }
    }
    assert!(unlike.is_empty(), "\n{unlike}");
}

/// Where others do not do as we do, as the tables of docs/testing.md have it: `WHO WHAT KIND/NAME`.
fn stated() -> Vec<String> {
    let text = fs::read_to_string("docs/testing.md").unwrap();
    let mut stated = Vec::new();
    for row in text.lines() {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let ["", who, what, files, reason, ""] = cells[..] else { continue };
        if !Peer::ALL.iter().any(|peer| peer.name() == who) {
            continue;
        }
        assert!(!reason.is_empty(), "{row}");
        let mut kind = "";
        for file in files.split(' ') {
            match file.strip_suffix(':') {
                Some(named) => kind = named,
                None => stated.push(format!("{who} {what} {kind}/{file}")),
            }
        }
    }
    stated.sort();
    stated
}

/// Every file, read by everybody; where they differ, that is stated, and what is stated is so.
#[tokio::test]
async fn others_read_and_refuse_the_same() {
    let mut versions = Vec::new();
    for peer in Peer::ALL {
        match peer.version() {
            Some(version) => versions.push(format!("{} {version}", peer.name())),
            None => return skip("masters", &format!("there is no {} in the path", peer.program()[0])),
        }
    }
    if Command::new("knotc").arg("-V").output().is_err() {
        return skip("masters", &"there is no knotc in the path");
    }
    let corpus = Master::all();
    tell(&format!("{} master files, read by {}", corpus.len(), versions.join(", ")));

    let scratch = Folder::new().unwrap();
    let read = |peer: Peer| corpus.iter().map(|master| peer.read(master, &scratch)).collect::<Vec<_>>();
    let mut readings: BTreeMap<Peer, Vec<Option<Records>>> = thread::scope(|scope| {
        let readers = Peer::ALL.map(|peer| (peer, scope.spawn(move || read(peer))));
        readers.map(|(peer, reader)| (peer, reader.join().unwrap())).into()
    });
    let knot = readings.get_mut(&Peer::Knot).unwrap();
    let accepted = corpus.iter().zip(&*knot).filter(|(master, reading)| master.kind != "invalid" && reading.is_some());
    let mut served = served_by_knot(&accepted.map(|(master, _)| master.clone()).collect::<Vec<_>>(), &scratch).await;
    for (master, reading) in corpus.iter().zip(knot) {
        if let (Some(reading), Some(records)) = (reading, served.remove(&master.name)) {
            *reading = records;
        }
    }

    let mut found = Vec::new();
    let stated = stated();
    let mut unlike = String::new();
    for (i, master) in corpus.iter().enumerate() {
        let ours = master.load().ok().map(|(records, _)| lines(records));
        for (peer, readings) in &readings {
            let what = match (&ours, &readings[i]) {
                (Some(_), None) => "refuses",
                (None, Some(_)) => "accepts",
                (Some(ours), Some(theirs)) if ours != theirs => "differs",
                _ => continue,
            };
            let difference = format!("{} {what} {}/{}", peer.name(), master.kind, master.name);
            if !stated.contains(&difference) {
                writeln!(unlike, "{difference}").unwrap();
                if let (Some(ours), Some(theirs)) = (&ours, &readings[i]) {
                    ours.difference(theirs).for_each(|record| writeln!(unlike, "  ours:   {record}").unwrap());
                    theirs.difference(ours).for_each(|record| writeln!(unlike, "  theirs: {record}").unwrap());
                }
            }
            found.push(difference);
        }
    }
    assert!(unlike.is_empty(), "not stated in docs/testing.md:\n{unlike}");
    let gone: Vec<_> = stated.iter().filter(|difference| !found.contains(difference)).collect();
    assert!(gone.is_empty(), "stated in docs/testing.md, and not so: {gone:?}");
}

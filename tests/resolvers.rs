//! The way of a name from the root to a Service, as the world walks it: through Unbound and Knot Resolver.
//!
//! A private Internet (see [`support::netns`]): the root and `ooo` are on NSD, so that not everything is ours; `k8s.ooo`
//! and `c2.k8s.ooo` are on kubezone. Both resolvers minimise QNAMEs and know nothing but the root's address, so that each
//! name is found through the delegations and their glue, label by label. Whoever denies an empty non-terminal, or gives a
//! referral that cannot be followed, is found out here.
//!
//! `dig` asks: a client that is not ours, and that comes back over TCP when an answer is truncated.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use support::netns::{Host, Internet, Process, skip};
use tempfile::TempDir;

/// Zones and configurations, with the addresses of the hosts in them.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/internet");
/// Who serves which zone.
const NAME_SERVERS: [(&str, &str); 4] = [
    ("2a0a:e5c0:53:1::53", "."),
    ("2a0a:e5c0:53:2::53", "ooo."),
    ("2a0a:e5c0:53:3::53", "k8s.ooo."),
    ("2a0a:e5c0:13:e2::a", "c2.k8s.ooo."),
];
/// What a server gets to come up, and a change to arrive.
const SOON: Duration = Duration::from_secs(20);

/// Questions about names below `c2.k8s.ooo`, and what a resolver has to say to them. See [`World::ask`] for the notation.
const QUESTIONS: &[(&str, &str)] = &[
    // A Service, by address.
    ("web.shop.svc AAAA", "2a0a:e5c0:10:3::17"),
    ("WeB.sHoP.sVc AAAA", "2a0a:e5c0:10:3::17"),
    ("web.shop.svc A", "NODATA c2.k8s.ooo."),
    ("web.shop.svc TXT", "NODATA c2.k8s.ooo."),
    // A Service, by port. The names above the SRV names own nothing, and exist.
    ("_https._tcp.web.shop.svc SRV", "0 100 443 web.shop.svc.c2.k8s.ooo."),
    ("_http._tcp.web.shop.svc SRV", "0 100 80 web.shop.svc.c2.k8s.ooo."),
    ("_tcp.web.shop.svc AAAA", "NODATA c2.k8s.ooo."),
    ("_tcp.web.shop.svc SRV", "NODATA c2.k8s.ooo."),
    ("shop.svc AAAA", "NODATA c2.k8s.ooo."),
    ("svc AAAA", "NODATA c2.k8s.ooo."),
    ("svc NS", "NODATA c2.k8s.ooo."),
    // A headless Service: its ready endpoints, under its own name and theirs.
    ("db.shop.svc AAAA", "2a0a:e5c0:10:2::10, 2a0a:e5c0:10:2::11"),
    ("db-0.db.shop.svc AAAA", "2a0a:e5c0:10:2::10"),
    ("2a0a-e5c0-10-2--11.db.shop.svc AAAA", "2a0a:e5c0:10:2::11"),
    ("db-2.db.shop.svc AAAA", "NXDOMAIN c2.k8s.ooo."),
    (
        "_postgres._tcp.db.shop.svc SRV",
        "0 100 5432 2a0a-e5c0-10-2--11.db.shop.svc.c2.k8s.ooo., 0 100 5432 db-0.db.shop.svc.c2.k8s.ooo.",
    ),
    // Nothing there: beside, below and above what is.
    ("nothing.shop.svc AAAA", "NXDOMAIN c2.k8s.ooo."),
    ("_udp.web.shop.svc SRV", "NXDOMAIN c2.k8s.ooo."),
    ("below.web.shop.svc AAAA", "NXDOMAIN c2.k8s.ooo."),
    ("a.b.c.nothing.svc AAAA", "NXDOMAIN c2.k8s.ooo."),
    ("web.shop AAAA", "NXDOMAIN c2.k8s.ooo."),
    // The apex, its name server with the glue's addresses, and the schema's version.
    ("@ NS", "kube-dns.kube-system.svc.c2.k8s.ooo."),
    ("@ SOA", "kube-dns.kube-system.svc.c2.k8s.ooo. hostmaster.c2.k8s.ooo. SERIAL 14400 3600 1209600 2"),
    ("@ AAAA", "NODATA c2.k8s.ooo."),
    ("kube-dns.kube-system.svc AAAA", "2a0a:e5c0:13:e2::a"),
    ("kube-dns.kube-system.svc A", "147.78.194.9"),
    ("_dns._udp.kube-dns.kube-system.svc SRV", "0 100 53 kube-dns.kube-system.svc.c2.k8s.ooo."),
    ("kube-system.svc AAAA", "NODATA c2.k8s.ooo."),
    ("dns-version TXT", "\"1.1.0\""),
    // The cut belongs to the parent.
    ("@ DS", "NODATA k8s.ooo."),
];

#[test]
fn one_process_is_parent_and_child() {
    let Some(world) = World::new("one_process_is_parent_and_child") else { return };
    names_resolve_from_a_cold_cache_in_either_order(&world);
    a_large_answer_arrives_over_tcp(&world);
    changes_are_seen_when_their_ttl_has_passed(&world);
}

fn names_resolve_from_a_cold_cache_in_either_order(world: &World) {
    for kind in Recursor::ALL {
        world.check(&world.resolver(kind), QUESTIONS.iter());
        // What was denied or found first must not hide what comes after it.
        world.check(&world.resolver(kind), QUESTIONS.iter().rev());
    }
}

fn a_large_answer_arrives_over_tcp(world: &World) {
    let mut everybody: Vec<_> = (1..=60).map(|host| format!("2a0a:e5c0:10:4::{host:x}")).collect();
    everybody.sort();
    for kind in Recursor::ALL {
        world.check(&world.resolver(kind), [&("crowd.shop.svc AAAA", everybody.join(", ").as_str())].into_iter());
    }
}

fn changes_are_seen_when_their_ttl_has_passed(world: &World) {
    const ADDRESS: &str = "moving.shop.svc AAAA";
    const ABSENT: &str = "NXDOMAIN c2.k8s.ooo.";
    let resolvers = Recursor::ALL.map(|kind| world.resolver(kind));
    let seen = |before: &str, after: &str| {
        for resolver in &resolvers {
            eventually(&format!("{:?} sees {after}", resolver.kind), || {
                let answer = world.ask(resolver, ADDRESS)?;
                // Until then what was known before is right, and nothing else.
                assert!([before, after].contains(&answer.as_str()), "{answer}");
                if answer == after { Ok(()) } else { Err(answer) }
            });
        }
    };

    seen(ABSENT, ABSENT);
    world.apply("moving", &headless_service("moving", "2a0a:e5c0:10:2::21"));
    seen(ABSENT, "2a0a:e5c0:10:2::21");
    world.apply("moving", &headless_service("moving", "2a0a:e5c0:10:2::22"));
    seen("2a0a:e5c0:10:2::21", "2a0a:e5c0:10:2::22");
    world.delete("moving");
    seen("2a0a:e5c0:10:2::22", ABSENT);
}

/// A Service with one endpoint, as manifests.
fn headless_service(name: &str, address: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: shop }}
spec: {{ clusterIP: None }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: {name}, namespace: shop, labels: {{ kubernetes.io/service-name: {name} }} }}
addressType: IPv6
endpoints:
  - {{ addresses: ["{address}"] }}
"#
    )
}

/// Resolvers, each with a configuration in tests/data/internet.
#[derive(Debug, Clone, Copy)]
enum Recursor {
    Unbound,
    KnotResolver,
}

impl Recursor {
    const ALL: [Self; 2] = [Self::Unbound, Self::KnotResolver];
}

/// A resolver that has just been started.
struct Resolver {
    kind: Recursor,
    address: &'static str,
    _process: Process,
    /// Knot Resolver keeps its cache in its folder: a new folder is a cold cache.
    _dir: TempDir,
}

/// The private Internet with everything that runs on it, ended when dropped.
struct World {
    _servers: Vec<Process>,
    client: Host,
    unbound: Host,
    kresd: Host,
    _others: Vec<Host>,
    _internet: Internet,
    dir: TempDir,
}

impl World {
    /// Everything up to the name servers, each of which answers. `None` where this machine cannot have it.
    fn new(test: &str) -> Option<Self> {
        for program in ["nsd", "unbound", "kresd", "dig"] {
            if Command::new(program).arg("-h").output().is_err() {
                skip(
                    test,
                    &format!("{program} is not installed (Debian: nsd, unbound, knot-resolver, bind9-dnsutils)"),
                );
                return None;
            }
        }
        let internet = match Internet::new() {
            Ok(internet) => internet,
            Err(error) => {
                skip(test, &format!("no network namespaces: {error}"));
                return None;
            }
        };
        Some(Self::start(internet).expect("the private Internet"))
    }

    fn start(internet: Internet) -> io::Result<Self> {
        let dir = TempDir::new()?;
        copy_tree(Path::new(DATA), dir.path())?;
        let root = internet.host("root", &["2a0a:e5c0:53:1::53"])?;
        let ooo = internet.host("ooo", &["2a0a:e5c0:53:2::53"])?;
        let k8s = internet.host("k8s", &["2a0a:e5c0:53:3::53", "2a0a:e5c0:13:e2::a"])?;
        let servers = vec![
            root.spawn("nsd", &["-d", "-c", "nsd-root.conf"], dir.path())?,
            ooo.spawn("nsd", &["-d", "-c", "nsd-ooo.conf"], dir.path())?,
            k8s.spawn(env!("CARGO_BIN_EXE_kubezone"), &["serve", "--config", "both.yaml"], dir.path())?,
        ];
        let world = Self {
            _servers: servers,
            client: internet.host("client", &["2a0a:e5c0:53:c::1"])?,
            unbound: internet.host("unbound", &["2a0a:e5c0:53:a::53"])?,
            kresd: internet.host("kresd", &["2a0a:e5c0:53:b::53"])?,
            _others: vec![root, ooo, k8s],
            _internet: internet,
            dir,
        };
        for (server, apex) in NAME_SERVERS {
            eventually(&format!("{apex} is served"), || {
                let answer = dig(&world.client, server, apex, "SOA")?;
                if answer.contains("SERIAL") { Ok(()) } else { Err(answer) }
            });
        }
        Ok(world)
    }

    /// A resolver with an empty cache.
    fn resolver(&self, kind: Recursor) -> Resolver {
        let dir = TempDir::new().expect("a folder");
        let (host, address, program, config, args) = match kind {
            Recursor::Unbound => (&self.unbound, "2a0a:e5c0:53:a::53", "unbound", "unbound.conf", ["-d", "-c"]),
            Recursor::KnotResolver => (&self.kresd, "2a0a:e5c0:53:b::53", "kresd", "kresd.conf", ["-n", "-c"]),
        };
        for file in [config, "root.hints"] {
            fs::copy(self.dir.path().join(file), dir.path().join(file)).expect("copied");
        }
        let process = host.spawn(program, &[args[0], args[1], config], dir.path()).expect("started");
        eventually(&format!("{kind:?} finds ooo"), || {
            let answer = dig(&self.client, address, "ooo.", "SOA")?;
            if answer.contains("SERIAL") { Ok(()) } else { Err(answer) }
        });
        Resolver { kind, address, _process: process, _dir: dir }
    }

    /// Asks a resolver `NAME TYPE`, the name relative to `c2.k8s.ooo`; see [`dig`] for what comes back.
    fn ask(&self, resolver: &Resolver, question: &str) -> Result<String, String> {
        let (owner, rtype) = question.split_once(' ').expect("NAME TYPE");
        let owner = if owner == "@" { "c2.k8s.ooo.".to_owned() } else { format!("{owner}.c2.k8s.ooo.") };
        dig(&self.client, resolver.address, &owner, rtype)
    }

    /// Writes the manifest `NAME.yaml`, in one step.
    fn apply(&self, name: &str, yaml: &str) {
        let unfinished = self.dir.path().join("unfinished");
        fs::write(&unfinished, yaml).expect("written");
        fs::rename(unfinished, self.manifest(name)).expect("renamed");
    }

    fn delete(&self, name: &str) {
        fs::remove_file(self.manifest(name)).expect("removed");
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.dir.path().join("c2").join(format!("{name}.yaml"))
    }

    fn check<'a>(&self, resolver: &Resolver, questions: impl Iterator<Item = &'a (&'a str, &'a str)>) {
        for (question, expected) in questions {
            let answer = self.ask(resolver, question);
            assert_eq!(answer.as_deref(), Ok(*expected), "{question}, asked of {:?}", resolver.kind);
        }
    }
}

/// Asks `server` from `client`.
///
/// Gives the RDATA of the RRset asked for, in order and with commas between; or `NODATA` or `NXDOMAIN` and the zone whose
/// SOA record says so; or whatever else the RCODE is. An SOA record's serial is written `SERIAL`.
fn dig(client: &Host, server: &str, owner: &str, rtype: &str) -> Result<String, String> {
    let output = client
        .command("dig")
        .args(["-r", &format!("@{server}"), owner, rtype, "+noall", "+comments", "+answer", "+authority"])
        .args(["+time=5", "+tries=2"])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).ok_or(text.as_ref())?;

    let mut answers = Vec::new();
    let mut denier = "";
    for line in text.lines().filter(|line| !line.starts_with(';')) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [name, _ttl, _class, of, rdata @ ..] = fields.as_slice() else { continue };
        match *of {
            "SOA" if *of == rtype && rdata.len() == 7 => {
                answers.push([&rdata[..2], &["SERIAL"], &rdata[3..]].concat().join(" "))
            }
            _ if *of == rtype && name.eq_ignore_ascii_case(owner) => answers.push(rdata.join(" ")),
            "SOA" => denier = name,
            _ => {}
        }
    }
    answers.sort();
    Ok(match status {
        "NOERROR" if answers.is_empty() => format!("NODATA {denier}"),
        "NOERROR" => answers.join(", "),
        other => format!("{other} {denier}"),
    })
}

/// Asks until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + SOON;
    while let Err(why) = is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {SOON:?}: {why}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        };
    }
    Ok(())
}

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
use std::{fs, io};

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use support::control_plane::{self, ControlPlane};
use support::kubezone::KUBEZONE;
use support::netns::{Host, Internet};
use support::process::{Folder, Process};
use support::{eventually, skip};

/// Zones, configurations and manifests, with the addresses of the hosts in them.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/internet");
/// The parent's zone, as it is shipped.
const PARENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/zones/k8s.ooo.zone");
const ROOT: &str = "2a0a:e5c0:53:1::53";
const OOO: &str = "2a0a:e5c0:53:2::53";
/// Those of the zone that is shipped.
const K8S: [&str; 2] = ["2001:db8:1::53", "2001:db8:2::53"];
/// The founding example's, and the glue's.
const C2: &str = "2a0a:e5c0:13:e2::a";
const UNBOUND: &str = "2a0a:e5c0:53:a::53";
const KRESD: &str = "2a0a:e5c0:53:b::53";
const CLIENT: &str = "2a0a:e5c0:53:c::1";

/// Questions about names below `c2.k8s.ooo`, and what a resolver has to say to them. See [`World::ask`] for the notation.
const QUESTIONS: &[(&str, &str)] = &[
    // A Service, by address.
    ("web.shop.svc AAAA", "2a0a:e5c0:10:3::17"),
    ("WeB.sHoP.sVc AAAA", "2a0a:e5c0:10:3::17"),
    // Over IPv4 through a proxy, as it speaks HTTP.
    ("web.shop.svc A", "147.78.194.80"),
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
    ("db.shop.svc A", "NODATA c2.k8s.ooo."),
    ("db-0.db.shop.svc A", "NODATA c2.k8s.ooo."),
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
    // The apex, its name server with the glue's addresses, that of IPv4 through NAT64, and the schema's version.
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
fn a_cluster_behind_its_api_and_its_parent_elsewhere() {
    const TEST: &str = "a_cluster_behind_its_api_and_its_parent_elsewhere";
    let Some(internet) = internet(TEST) else { return };
    let k8s = internet.host("k8s", &K8S).expect("a host");
    let c2 = internet.host("c2", &[C2]).expect("a host");

    // The control plane listens on loopback: that of the host where the cluster's name server is.
    c2.enter(|| {
        block_on(async {
            let Some(plane) = control_plane::own(TEST).await else { return };
            let world = World::start(internet, &[(&k8s, "k8s.yaml"), (&c2, "c2.yaml")], Some(&plane)).await;
            every_scenario(&world).await;
        });
    });
}

/// Nobody gets a referral to c2 here: asked for a name below the cut, a server of both answers from the child.
#[test]
fn parent_and_child_in_one_process_fed_by_manifests() {
    let Some(internet) = internet("parent_and_child_in_one_process_fed_by_manifests") else { return };
    let both = internet.host("k8s", &[K8S[0], K8S[1], C2]).expect("a host");

    block_on(async {
        let world = World::start(internet, &[(&both, "both.yaml")], None).await;
        every_scenario(&world).await;
    });
}

async fn every_scenario(world: &World) {
    names_resolve_from_a_cold_cache_in_either_order(world).await;
    a_large_answer_arrives_over_tcp(world).await;
    changes_are_seen_when_their_ttl_has_passed(world).await;
}

async fn names_resolve_from_a_cold_cache_in_either_order(world: &World) {
    for kind in Recursor::ALL {
        let resolver = world.resolver(kind).await;
        QUESTIONS.iter().for_each(|(question, expected)| world.check(&resolver, question, expected));
        // What was denied or found first must not hide what comes after it.
        drop(resolver);
        let resolver = world.resolver(kind).await;
        QUESTIONS.iter().rev().for_each(|(question, expected)| world.check(&resolver, question, expected));
    }
}

async fn a_large_answer_arrives_over_tcp(world: &World) {
    let mut everybody: Vec<_> = (1..=60).map(|host| format!("2a0a:e5c0:10:4::{host:x}")).collect();
    everybody.sort();
    for kind in Recursor::ALL {
        world.check(&world.resolver(kind).await, "crowd.shop.svc AAAA", &everybody.join(", "));
    }
}

async fn changes_are_seen_when_their_ttl_has_passed(world: &World) {
    const ABSENT: &str = "NXDOMAIN c2.k8s.ooo.";
    let resolvers = [world.resolver(Recursor::Unbound).await, world.resolver(Recursor::KnotResolver).await];
    let seen = async |before: &str, after: &str| {
        for resolver in &resolvers {
            eventually(&format!("{:?} sees {after}", resolver.kind), async || {
                let answer = world.ask(resolver, "moving.shop.svc AAAA")?;
                // Until then what was known before is right, and nothing else.
                assert!([before, after].contains(&answer.as_str()), "{answer}");
                if answer == after { Ok(()) } else { Err(answer) }
            })
            .await;
        }
    };

    seen(ABSENT, ABSENT).await;
    world.cluster.apply("moving", &headless_service("moving", "2a0a:e5c0:10:2::21")).await;
    seen(ABSENT, "2a0a:e5c0:10:2::21").await;
    world.cluster.apply("moving", &headless_service("moving", "2a0a:e5c0:10:2::22")).await;
    seen("2a0a:e5c0:10:2::21", "2a0a:e5c0:10:2::22").await;
    world.cluster.delete("moving").await;
    seen("2a0a:e5c0:10:2::22", ABSENT).await;
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

/// An Internet and the programs for it; `None` where this machine cannot have them, which then has been said.
fn internet(test: &str) -> Option<Internet> {
    for program in ["nsd", "unbound", "kresd", "dig"] {
        if Command::new(program).arg("-h").output().is_err() {
            skip(test, &format!("{program} is missing (Debian: nsd, unbound, knot-resolver, bind9-dnsutils)"));
            return None;
        }
    }
    Internet::new().map_err(|error| skip(test, &format!("no network namespaces: {error}"))).ok()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
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
    _folder: Folder,
}

/// The private Internet with everything that runs on it, ended when dropped.
struct World {
    // Dropped first, while there still is a log to read.
    _servers: Vec<Process>,
    folder: Folder,
    cluster: Cluster,
    client: Host,
    unbound: Host,
    kresd: Host,
    _hosts: [Host; 2],
    _internet: Internet,
}

impl World {
    /// Everything up to the name servers, each of which answers: NSD for the root and `ooo`, and on each host of
    /// `kubezones` a kubezone with the configuration of that name.
    async fn start(internet: Internet, kubezones: &[(&Host, &str)], plane: Option<&ControlPlane>) -> Self {
        let folder = Folder::new().expect("a temporary folder");
        let dir = folder.join("");
        copy_folder(Path::new(DATA), &dir).expect("copied");
        fs::copy(PARENT, folder.join("k8s.ooo.zone")).expect("copied");
        let cluster = Cluster::new(&dir, plane).await;

        let host = |name, address| internet.host(name, &[address]).expect("a host");
        let hosts = [host("root", ROOT), host("ooo", OOO)];
        let nsds =
            [(&hosts[0], "nsd", ["-d", "-c", "nsd-root.conf"]), (&hosts[1], "nsd", ["-d", "-c", "nsd-ooo.conf"])];
        let kubezones =
            kubezones.iter().map(|&(host, config)| (host, KUBEZONE.as_str(), ["serve", "--config", config]));
        let servers = nsds.into_iter().chain(kubezones);
        let servers = servers.map(|(host, program, args)| host.start(program, &args, &dir).expect("started")).collect();
        let world = Self {
            _servers: servers,
            folder,
            cluster,
            client: host("client", CLIENT),
            unbound: host("unbound", UNBOUND),
            kresd: host("kresd", KRESD),
            _hosts: hosts,
            _internet: internet,
        };
        for (server, apex) in
            [(ROOT, "."), (OOO, "ooo."), (K8S[0], "k8s.ooo."), (K8S[1], "k8s.ooo."), (C2, "c2.k8s.ooo.")]
        {
            world.serves(server, apex).await;
        }
        world
    }

    /// A resolver with an empty cache.
    async fn resolver(&self, kind: Recursor) -> Resolver {
        let (host, address, program, args) = match kind {
            Recursor::Unbound => (&self.unbound, UNBOUND, "unbound", ["-d", "-c", "unbound.conf"]),
            Recursor::KnotResolver => (&self.kresd, KRESD, "kresd", ["-n", "-c", "kresd.conf"]),
        };
        // Knot Resolver keeps its cache in its folder.
        let folder = Folder::new().expect("a temporary folder");
        for file in [args[2], "root.hints"] {
            fs::copy(self.folder.join(file), folder.join(file)).expect("copied");
        }
        let process = host.start(program, &args, &folder.join("")).expect("started");
        self.serves(address, "ooo.").await;
        Resolver { kind, address, _process: process, _folder: folder }
    }

    /// Waits until a server answers for a zone.
    async fn serves(&self, server: &str, apex: &str) {
        eventually(&format!("{server} answers for {apex}"), async || {
            let answer = dig(&self.client, server, apex, "SOA")?;
            if answer.contains("SERIAL") { Ok(()) } else { Err(answer) }
        })
        .await;
    }

    /// Asks a resolver `NAME TYPE`, the name relative to `c2.k8s.ooo`; see [`dig`] for what comes back.
    fn ask(&self, resolver: &Resolver, question: &str) -> Result<String, String> {
        let (owner, rtype) = question.split_once(' ').expect("NAME TYPE");
        let owner = if owner == "@" { "c2.k8s.ooo.".to_owned() } else { format!("{owner}.c2.k8s.ooo.") };
        dig(&self.client, resolver.address, &owner, rtype)
    }

    fn check(&self, resolver: &Resolver, question: &str, expected: &str) {
        let answer = self.ask(resolver, question);
        assert_eq!(answer.as_deref(), Ok(expected), "{question}, asked of {:?}", resolver.kind);
    }
}

/// What the cluster holds: a folder of manifests, which are applied through the API where there is one.
struct Cluster {
    manifests: PathBuf,
    api: Option<Client>,
}

impl Cluster {
    async fn new(dir: &Path, plane: Option<&ControlPlane>) -> Self {
        let manifests = dir.join("c2");
        let Some(plane) = plane else { return Self { manifests, api: None } };
        fs::copy(plane.kubeconfig(), dir.join("c2.kubeconfig")).expect("copied");
        let cluster = Self { manifests, api: Some(plane.client().await) };
        for name in ["kube-system", "shop"] {
            let yaml = fs::read_to_string(cluster.manifest(name)).expect("a manifest");
            cluster.apply(name, &yaml).await;
        }
        cluster
    }

    /// Applies the manifest `NAME.yaml`.
    async fn apply(&self, name: &str, yaml: &str) {
        // In one step, as nobody may see half of it.
        let unfinished = self.manifests.with_file_name("unfinished");
        fs::write(&unfinished, yaml).expect("written");
        fs::rename(unfinished, self.manifest(name)).expect("renamed");
        for (api, object) in self.objects(yaml) {
            let applied = PatchParams::apply("resolvers").force();
            api.patch(&object.name_any(), &applied, &Patch::Apply(&object)).await.expect("applied");
        }
    }

    /// Deletes what the manifest `NAME.yaml` says.
    async fn delete(&self, name: &str) {
        let yaml = fs::read_to_string(self.manifest(name)).expect("a manifest");
        fs::remove_file(self.manifest(name)).expect("removed");
        for (api, object) in self.objects(&yaml) {
            api.delete(&object.name_any(), &DeleteParams::default()).await.expect("deleted");
        }
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.manifests.join(format!("{name}.yaml"))
    }

    /// The objects of a manifest, each with its place in the API; none without an API.
    fn objects(&self, yaml: &str) -> Vec<(Api<DynamicObject>, DynamicObject)> {
        let Some(client) = &self.api else { return Vec::new() };
        let objects: Vec<DynamicObject> = serde_saphyr::from_multiple(yaml).expect("objects");
        let place = |object: DynamicObject| {
            let kind = object.types.as_ref().and_then(|types| types.try_into().ok()).expect("a kind");
            let resource = ApiResource::from_gvk(&kind);
            let api = match object.namespace() {
                Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            (api, object)
        };
        objects.into_iter().map(place).collect()
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
        let mut fields: Vec<_> = line.split_whitespace().collect();
        // Owner, TTL, class and type come before the RDATA; an SOA record's serial is its third field.
        match fields.as_mut_slice() {
            [name, _, _, "SOA", ..] if rtype != "SOA" => denier = name,
            [_, _, _, "SOA", _, _, serial, ..] => *serial = "SERIAL",
            _ => {}
        }
        if fields.len() > 4 && fields[3] == rtype && fields[0].eq_ignore_ascii_case(owner) {
            answers.push(fields[4..].join(" "));
        }
    }
    answers.sort();
    Ok(match status {
        "NOERROR" if answers.is_empty() => format!("NODATA {denier}"),
        "NOERROR" => answers.join(", "),
        other => format!("{other} {denier}"),
    })
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

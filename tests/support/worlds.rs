//! The way from the root to a cluster, whole; and what can be broken on it.
//!
//! A [`Plan`] begins as the healthy world and is changed: records in a zone, what a server does, what the network lets
//! through. [`Plan::build`] makes it: a private Internet with NSD for the root and `ooo`, NSD and Knot for `k8s.ooo`, kubezone
//! for `c2.k8s.ooo`, and a host from which somebody looks.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv6Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use std::{io, thread};

use super::dns::{Question, Response};
use super::kubezone::KUBEZONE;
use super::misbehaving::{Misbehaving, Script};
use super::netns::{Host, Internet};
use super::process::{Folder, Process};
use super::{eventually, skip};

/// What the demo is made of.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// Where every walk begins.
pub(crate) const ROOT: [&str; 2] = ["2a0a:e5c0:53:1::53", "147.78.193.1"];
/// The founding example's, and the glue's.
pub(crate) const C2: [&str; 2] = ["2a0a:e5c0:13:e2::a", "147.78.194.9"];
/// The hosts of the parent zone's two servers.
pub(crate) const PARENTS: [&str; 2] = ["ns1", "ns2"];
/// The host from which somebody looks.
const CLIENT: [&str; 2] = ["2a0a:e5c0:53:c::1", "147.78.193.99"];

const ROOT_ZONE: &str = "\
$TTL 86400
@                SOA   a.root-servers. hostmaster.ooo. 2026110100 1800 900 604800 86400
@                NS    a.root-servers.
a.root-servers.  AAAA  2a0a:e5c0:53:1::53
a.root-servers.  A     147.78.193.1
ooo.             NS    ns.nic.ooo.
ns.nic.ooo.      AAAA  2a0a:e5c0:53:2::53
ns.nic.ooo.      A     147.78.193.2
";

const OOO_ZONE: &str = "\
$TTL 3600
@        SOA   ns.nic hostmaster.nic 2026110100 1800 900 604800 3600
@        NS    ns.nic
ns.nic   AAAA  2a0a:e5c0:53:2::53
ns.nic   A     147.78.193.2
www.old  AAAA  2a0a:e5c0:53:2::80
k8s      NS    ns1.k8s
k8s      NS    ns2.k8s
ns1.k8s  AAAA  2a0a:e5c0:53:3::53
ns1.k8s  A     147.78.193.3
ns2.k8s  AAAA  2a0a:e5c0:53:4::53
ns2.k8s  A     147.78.193.4
";

const K8S_ZONE: &str = "\
$TTL 3600
@    SOA   ns1 hostmaster 2026110100 14400 3600 1209600 300
@    NS    ns1
@    NS    ns2
ns1  AAAA  2a0a:e5c0:53:3::53
ns1  A     147.78.193.3
ns2  AAAA  2a0a:e5c0:53:4::53
ns2  A     147.78.193.4
c2                           NS    kube-dns.kube-system.svc.c2
kube-dns.kube-system.svc.c2  AAAA  2a0a:e5c0:13:e2::a
kube-dns.kube-system.svc.c2  A     147.78.194.9
";

/// The child: a cluster, as manifests.
const C2_CONFIG: &str = r#"
apiVersion: k8s.ooo/v1alpha1
kind: KubezoneConfig
listen: { dns: ["[::]:53", "0.0.0.0:53"], metrics: "[::1]:9153", admin: "[::1]:9154" }
clusters:
  - name: c2
    manifests: manifests
zones:
  - name: c2.k8s.ooo
    cluster: c2
    nameservers:
      - name: kube-dns.kube-system.svc
        addresses: ["2a0a:e5c0:13:e2::a", "147.78.194.9"]
"#;

const C2_MANIFESTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: kube-system }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { name: kube-dns, namespace: kube-system }
spec: { clusterIP: "2a0a:e5c0:10:3::a", ports: [{ port: 53, protocol: UDP }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: "2a0a:e5c0:10:3::17", ports: [{ port: 443 }] }
---
apiVersion: v1
kind: Service
metadata: { name: moved, namespace: shop }
spec: { type: ExternalName, externalName: www.old.ooo }
---
apiVersion: v1
kind: Service
metadata: { name: lost, namespace: shop }
spec: { type: ExternalName, externalName: www.lost.ooo }
---
apiVersion: v1
kind: Service
metadata: { name: crowd, namespace: shop }
spec: { clusterIP: None }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: crowd, namespace: shop, labels: { kubernetes.io/service-name: crowd } }
addressType: IPv6
endpoints:
"#;

const NSD_CONF: &str = r#"
server:
    ip-address: ::0
    ip-address: 0.0.0.0
    server-count: 1
    username: ""
    zonesdir: ""
    database: ""
    pidfile: ""
    xfrdfile: "xfrd"
    zonelistfile: "zones"
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: "APEX"
    zonefile: "zone"
"#;

const KNOT_CONF: &str = "
server:
    rundir: .
    listen: [ ::@53, 0.0.0.0@53 ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: .
zone:
  - domain: APEX
    storage: .
    file: zone
    journal-content: none
    zonefile-sync: -1
    dnssec-signing: SIGNS
";

/// A world that is still to be made.
pub(crate) struct Plan {
    hosts: Vec<Site>,
    /// Commands, and the hosts to run them on.
    commands: Vec<(&'static str, &'static str)>,
    script: Option<Script>,
    crowd: u16,
    client: Vec<&'static str>,
}

/// A host, and what it is to serve.
struct Site {
    name: &'static str,
    addresses: Vec<&'static str>,
    program: Program,
    /// The zone.
    apex: &'static str,
    /// It as a master file; for kubezone its configuration.
    text: String,
    /// The RCODE of the zone's SOA once all is as it will be; none where nobody answers.
    rcode: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Nsd,
    Knot,
    /// Knot that signs its zone.
    Signer,
    Kubezone,
    /// kubezone with that configuration from examples/, as it is.
    Example(&'static str),
}

impl Plan {
    /// All as it should be.
    pub(crate) fn healthy() -> Self {
        let site = |name, addresses: [&'static str; 2], program, apex, text: &str| Site {
            name,
            addresses: addresses.to_vec(),
            program,
            apex,
            text: text.to_owned(),
            rcode: Some("NOERROR"),
        };
        let hosts = vec![
            site("root", ROOT, Program::Nsd, ".", ROOT_ZONE),
            site("ooo", ["2a0a:e5c0:53:2::53", "147.78.193.2"], Program::Nsd, "ooo.", OOO_ZONE),
            site("ns1", ["2a0a:e5c0:53:3::53", "147.78.193.3"], Program::Nsd, "k8s.ooo.", K8S_ZONE),
            site("ns2", ["2a0a:e5c0:53:4::53", "147.78.193.4"], Program::Knot, "k8s.ooo.", K8S_ZONE),
            site("c2", C2, Program::Kubezone, "c2.k8s.ooo.", C2_CONFIG),
        ];
        Self { hosts, commands: Vec::new(), script: None, crowd: 3, client: CLIENT.to_vec() }
    }

    /// The demo's world: a kubezone for each configuration in examples/, at the addresses that the zones there say.
    pub(crate) fn demo() -> Self {
        let site = |name, addresses: &[&'static str], config, apex| Site {
            name,
            addresses: addresses.to_vec(),
            program: Program::Example(config),
            apex,
            text: String::new(),
            rcode: Some("NOERROR"),
        };
        let hosts = vec![
            site("root", &["2001:db8:0:1::53"], "root.yaml", "."),
            site("ooo", &["2001:db8:0:2::53"], "ooo.yaml", "ooo."),
            site("ns", &["2001:db8:0:3::53"], "k8s.ooo.yaml", "k8s.ooo."),
            site("c2", &C2, "c2.yaml", "c2.k8s.ooo."),
            site("c3", &["2a0a:e5c0:13:e3::a"], "c3.yaml", "c3.k8s.ooo."),
        ];
        Self { hosts, ..Self::healthy() }
    }

    /// In what each of these servers serves, writes `new` where it says `old`.
    pub(crate) fn edit(mut self, servers: &[&str], old: &str, new: &str) -> Self {
        for server in servers {
            let text = &mut self.site(server).text;
            assert!(text.contains(old), "{server} says nothing of {old:?}");
            *text = text.replace(old, new);
        }
        self
    }

    /// Adds these lines to the zone that each of these servers serves.
    pub(crate) fn add(mut self, servers: &[&str], lines: &str) -> Self {
        servers.iter().for_each(|server| self.site(server).text += lines);
        self
    }

    /// One more host, with NSD and this zone.
    pub(crate) fn host(
        mut self,
        name: &'static str,
        addresses: &[&'static str],
        apex: &'static str,
        zone: &str,
    ) -> Self {
        let (addresses, text, rcode) = (addresses.to_vec(), zone.to_owned(), Some("NOERROR"));
        self.hosts.push(Site { name, addresses, program: Program::Nsd, apex, text, rcode });
        self
    }

    /// This server answers for its zone with this RCODE, and will; `None`: it is not started.
    pub(crate) fn answers(mut self, server: &str, rcode: Option<&'static str>) -> Self {
        self.site(server).rcode = rcode;
        self
    }

    /// The servers of the parent zone sign it: without that, DS records are of no use, and nobody shows them.
    pub(crate) fn signed(mut self) -> Self {
        PARENTS.iter().for_each(|server| self.site(server).program = Program::Signer);
        self
    }

    /// Runs a command on a host, once its server answers: such as one that filters packets.
    pub(crate) fn run(mut self, host: &'static str, command: &'static str) -> Self {
        self.commands.push((host, command));
        self
    }

    /// A host that is there has this address, too.
    pub(crate) fn address(mut self, host: &str, address: &'static str) -> Self {
        self.site(host).addresses.push(address);
        self
    }

    /// What `c2` says is what this script makes of kubezone's answers.
    pub(crate) fn script(mut self, script: Script) -> Self {
        self.script = Some(script);
        self.edit(&["c2"], r#"["[::]:53", "0.0.0.0:53"]"#, r#"["[::1]:53"]"#)
    }

    /// How many addresses `crowd.shop.svc` has.
    pub(crate) fn crowd(mut self, endpoints: u16) -> Self {
        self.crowd = endpoints;
        self
    }

    /// Where somebody looks from has these addresses and no others.
    pub(crate) fn client(mut self, addresses: &[&'static str]) -> Self {
        self.client = addresses.to_vec();
        self
    }

    /// Makes it, and waits until its servers answer; `None` where this machine cannot have it, which then has been said.
    pub(crate) fn build(self) -> Option<World> {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        for (program, package) in [("nsd", "nsd"), ("knotd", "knot"), ("ip6tables", "iptables")] {
            if Command::new(program).arg("-h").output().is_err() {
                skip(&test, &format!("{program} is missing (Debian: {package})"));
                return None;
            }
        }
        let internet = Internet::new().map_err(|error| skip(&test, &format!("no network namespaces: {error}"))).ok()?;
        Some(World::new(internet, &self))
    }

    fn site(&mut self, name: &str) -> &mut Site {
        self.hosts.iter_mut().find(|site| site.name == name).expect("a host")
    }
}

/// A world, ended when dropped.
pub(crate) struct World {
    // Dropped first, while there still is a log to read.
    servers: BTreeMap<&'static str, Process>,
    _misbehaving: Option<Misbehaving>,
    folder: Folder,
    hosts: BTreeMap<&'static str, Host>,
    root: Vec<&'static str>,
    _internet: Internet,
}

impl World {
    fn new(internet: Internet, plan: &Plan) -> Self {
        let folder = Folder::new().expect("a folder");
        let host = |name, addresses: &[&str]| internet.host(name, addresses).expect("a host");
        let mut hosts: BTreeMap<_, _> =
            plan.hosts.iter().map(|site| (site.name, host(site.name, &site.addresses))).collect();
        let started = plan.hosts.iter().filter(|site| site.rcode.is_some());
        let servers = started.clone().map(|site| (site.name, site.start(&hosts[site.name], &folder, plan.crowd)));
        let servers = servers.collect();
        for site in started {
            let (host, question) = (&hosts[site.name], Question::dig(site.apex, &["SOA"]));
            host.enter(|| block_on(eventually(site.name, async || answers_with(&question, site.rcode))));
        }
        let misbehaving = plan.script.map(|script| hosts["c2"].enter(|| Misbehaving::start(&C2, script)));
        for (name, command) in &plan.commands {
            let output = hosts[name].command("sh").args(["-c", command]).output().expect("started");
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        hosts.insert("client", host("client", &plan.client));
        Self {
            servers,
            _misbehaving: misbehaving,
            folder,
            hosts,
            root: plan.hosts[0].addresses.clone(),
            _internet: internet,
        }
    }

    /// Where somebody looks from.
    pub(crate) fn client(&self) -> &Host {
        &self.hosts["client"]
    }

    /// Where this host's files are.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// In the zone of this server, writes `new` where it says `old`, and has the server read it again.
    pub(crate) fn edit(&self, server: &str, old: &str, new: &str) {
        self.change(server, "zone", old, new);
    }

    /// In the configuration of this kubezone, writes `new` where it says `old`, and has it read again.
    pub(crate) fn configure(&self, server: &str, old: &str, new: &str) {
        self.change(server, "kubezone.yaml", old, new);
    }

    fn change(&self, server: &str, file: &str, old: &str, new: &str) {
        let file = self.folder(server).join(file);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(old), "{server} says nothing of {old:?}");
        // In one step, as nobody may see half of it.
        fs::write(file.with_extension("new"), text.replace(old, new)).expect("written");
        fs::rename(file.with_extension("new"), file).expect("renamed");
        self.servers[server].signal("HUP");
    }

    /// The addresses of the root's server, where every walk begins.
    pub(crate) fn root(&self) -> &[&'static str] {
        &self.root
    }

    /// Runs kubezone where somebody looks from.
    pub(crate) fn kubezone(&self, args: &[&str]) -> Output {
        self.client().command(&KUBEZONE).args(args).output().expect("started")
    }
}

impl Site {
    /// Starts the server on its host, with files in a folder of its own.
    fn start(&self, host: &Host, folder: &Folder, crowd: u16) -> Process {
        let dir = folder.join(self.name);
        let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("written");
        fs::create_dir_all(dir.join("manifests")).expect("made");
        let start = |program: &str, args: &[&str]| host.start(program, args, &dir).expect("started");
        let (apex, text) = (self.apex, &self.text);
        let zone = format!("$ORIGIN {apex}\n{text}");
        match self.program {
            Program::Nsd => {
                write("zone", &zone);
                write("nsd.conf", &NSD_CONF.replace("APEX", apex));
                start("nsd", &["-d", "-c", "nsd.conf"])
            }
            Program::Knot | Program::Signer => {
                let signs = if self.program == Program::Signer { "on" } else { "off" };
                write("zone", &zone);
                write("knot.conf", &KNOT_CONF.replace("APEX", apex).replace("SIGNS", signs));
                start("knotd", &["-c", "knot.conf"])
            }
            Program::Kubezone => {
                let endpoint = |host| format!("  - addresses: [\"2a0a:e5c0:10:4::{host:x}\"]\n");
                let endpoints: String = (1..=crowd).map(endpoint).collect();
                write("manifests/cluster.yaml", &format!("{C2_MANIFESTS}{endpoints}"));
                write("kubezone.yaml", text);
                start(&KUBEZONE, &["serve", "--config", "kubezone.yaml"])
            }
            Program::Example(config) => {
                let config = format!("{EXAMPLES}/{config}");
                let listen = ["KUBEZONE_LISTEN_DNS=[::]:53,0.0.0.0:53", "KUBEZONE_LISTEN_ADMIN=[::1]:9154"];
                start("env", &[&listen[..], &[&KUBEZONE, "serve", "--config", &config]].concat())
            }
        }
    }
}

/// Whether the server on this host answers with this RCODE.
fn answers_with(question: &Question, rcode: Option<&str>) -> Result<(), String> {
    let ask = || {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.connect((Ipv6Addr::LOCALHOST, 53))?;
        socket.send(&question.bytes)?;
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer)?;
        io::Result::Ok(buffer[..length].to_vec())
    };
    let said = Response::read(&ask().map_err(|error| error.to_string())?)?.rcode;
    if Some(said.as_str()) == rcode { Ok(()) } else { Err(said) }
}

/// Waits for `work`, on a thread that has no runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

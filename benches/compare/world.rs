//! The zone that everybody serves: a cluster as manifests, with zones delegated from it, and the same as a master file.
//!
//! kubezone makes the master file of the manifests, so that all servers have the same records. A Service has an AAAA
//! record and one SRV record; for a hundred Services there are five delegated zones, each with two name servers that
//! have glue.

use std::fmt::{self, Write as _};
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::contestants::free_address;
use crate::process::{Folder, Process};

/// The apex.
pub(crate) const ZONE: &str = "c2.k8s.ooo";
/// What a busy namespace holds.
const SERVICES_PER_NAMESPACE: usize = 100;
const SERVICES_PER_FILE: usize = 1_000;
/// The longest that kubezone takes to know a zone.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long until it is asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// How many Services there are for each delegated zone.
const SERVICES_PER_CHILD: usize = 20;

/// A folder with one zone as a master file, and where its cluster is.
pub(crate) struct World {
    folder: Folder,
    /// Where kubezone finds the cluster, in the words of its configuration.
    source: String,
    /// The kubeconfig of the API that the cluster is at, if it is at one.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The Services' names: each owns an AAAA record, and one SRV record below `_https._tcp`.
    pub(crate) services: Vec<String>,
    /// The zones that are delegated.
    pub(crate) children: Vec<String>,
}

impl World {
    /// A zone of so many Services, from manifests; `binary` is the kubezone that makes its master file.
    pub(crate) fn made(binary: &Path, services: usize) -> Result<Self> {
        let folder = Folder::new()?;
        fs::create_dir(folder.join("manifests"))?;
        for first in (0..services).step_by(SERVICES_PER_FILE) {
            let mut manifests = String::new();
            for index in first..services.min(first + SERVICES_PER_FILE) {
                write!(manifests, "{}", Manifest(index))?;
            }
            folder.write(&format!("manifests/{first}.yaml"), &manifests)?;
        }
        let mut extra = String::new();
        for index in 0..services.div_ceil(SERVICES_PER_CHILD) {
            write!(extra, "{}", Delegation(index))?;
        }
        let source = format!("manifests: {}", folder.join("manifests").display());
        Self::dumped(binary, folder, source, None, &extra)
    }

    /// The zone of the cluster whose API this kubeconfig leads to, with nothing delegated.
    pub(crate) fn at_api(binary: &Path, kubeconfig: &Path) -> Result<Self> {
        let source = format!("kubeconfig: {}", kubeconfig.display());
        Self::dumped(binary, Folder::new()?, source, Some(kubeconfig.to_owned()), "")
    }

    /// Has kubezone make the master file, and reads the names from it.
    fn dumped(binary: &Path, folder: Folder, source: String, kubeconfig: Option<PathBuf>, extra: &str) -> Result<Self> {
        let mut world = Self { folder, source, kubeconfig, services: Vec::new(), children: Vec::new() };
        world.write("extra.zone", extra)?;
        let (dns, admin) = (free_address()?, free_address()?);
        let listen = format!("listen: {{ dns: [\"{dns}\"], metrics: \"[::1]:0\", admin: \"{admin}\" }}\n");
        let config = world.write("dump.yaml", &world.cluster(&listen))?.display().to_string();
        // What is at an API, only a server can tell.
        let args = ["serve", "--config", &config].map(str::to_owned);
        let mut server = Process::start(binary, &args, world.path("dump.log"))?;
        let mut dump = Command::new(binary);
        dump.args(["zone", "dump", ZONE, "--server", &format!("http://{admin}")]);
        let started = Instant::now();
        let text = loop {
            let Output { status, stdout, stderr } = dump.output()?;
            if status.success() {
                break String::from_utf8(stdout)?;
            }
            if server.has_ended() || started.elapsed() > PATIENCE {
                return Err(format!("{}{}", server.said(), String::from_utf8_lossy(&stderr)).into());
            }
            thread::sleep(AGAIN);
        };
        for line in text.lines() {
            let mut fields = line.split_whitespace();
            let (Some(owner), Some(rtype)) = (fields.next(), fields.nth(2)) else { continue };
            let [owner, last] = [owner, fields.last().unwrap_or_default()].map(|name| name.trim_end_matches('.'));
            match rtype {
                // A headless Service's SRV records lead to its endpoints.
                "SRV" if owner.strip_prefix("_https._tcp.") == Some(last) => world.services.push(last.to_owned()),
                "NS" if owner != ZONE && world.children.last().is_none_or(|child| child != owner) => {
                    world.children.push(owner.to_owned());
                }
                _ => {}
            }
        }
        fs::write(world.master_file(), text)?;
        Ok(world)
    }

    /// kubezone's configuration for the zone made from the cluster, behind `listen`.
    pub(crate) fn cluster(&self, listen: &str) -> String {
        format!(
            "apiVersion: k8s.ooo/v1alpha1\nkind: KubezoneConfig\n{listen}\
             clusters: [{{ name: c2, {} }}]\n\
             zones:\n- name: {ZONE}\n  cluster: c2\n  extra: {}\n  \
             nameservers: [{{ name: ns, addresses: [\"2a0a:e5c0:13:e2::a\"] }}]\n",
            self.source,
            self.path("extra.zone").display(),
        )
    }

    /// kubezone's configuration for the zone from its master file, behind `listen`.
    pub(crate) fn file(&self, listen: &str) -> String {
        let file = self.master_file();
        format!(
            "apiVersion: k8s.ooo/v1alpha1\nkind: KubezoneConfig\n{listen}zones: [{{ name: {ZONE}, file: {} }}]\n",
            file.display()
        )
    }

    /// The zone as a master file.
    pub(crate) fn master_file(&self) -> PathBuf {
        self.path(&format!("{ZONE}.zone"))
    }

    /// Where something is in the folder, or will be.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new folder in the folder.
    pub(crate) fn folder_for(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path(name);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        Ok(self.folder.write(name, text)?)
    }
}

/// An address for `index` in the network 2a0a:e5c0:10:`subnet`::/64.
fn address(subnet: u16, index: usize) -> Ipv6Addr {
    let network = u128::from(Ipv6Addr::new(0x2a0a, 0xe5c0, 0x10, subnet, 0, 0, 0, 0));
    Ipv6Addr::from(network + 0x10 + index as u128)
}

/// The Service at an index, with an address and a named port, in YAML.
struct Manifest(usize);

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = address(3, self.0);
        writeln!(f, "---\napiVersion: v1\nkind: Service")?;
        writeln!(f, "metadata:\n  name: web-{}\n  namespace: team-{}", self.0, self.0 / SERVICES_PER_NAMESPACE)?;
        writeln!(f, "spec:\n  type: ClusterIP\n  clusterIP: {address}\n  clusterIPs: [\"{address}\"]")?;
        writeln!(f, "  ipFamilies: [IPv6]\n  ipFamilyPolicy: SingleStack\n  selector: {{ app: web-{} }}", self.0)?;
        writeln!(f, "  ports:\n  - {{ name: https, port: 443, protocol: TCP, targetPort: 8443 }}")
    }
}

/// The delegation of the zone at an index, as records of a master file.
struct Delegation(usize);

impl fmt::Display for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for nameserver in 1..=2 {
            let owner = format!("child-{}", self.0);
            writeln!(f, "{owner} 3600 IN NS ns{nameserver}.{owner}")?;
            writeln!(f, "ns{nameserver}.{owner} 3600 IN AAAA {}", address(3 + nameserver, self.0))?;
        }
        Ok(())
    }
}

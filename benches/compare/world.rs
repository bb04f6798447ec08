//! The zone that everybody serves: a cluster as manifests, with zones delegated from it, and the same as a master file.
//!
//! kubezone makes the master file of the manifests, so that all servers have the same records. A Service has an AAAA
//! record and one SRV record; for a hundred Services there are five delegated zones, each with two name servers that
//! have glue.

use std::fmt::{self, Write as _};
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::Folder;

/// The apex.
pub(crate) const ZONE: &str = "c2.k8s.ooo";
/// What a busy namespace holds.
const SERVICES_PER_NAMESPACE: usize = 100;
const SERVICES_PER_FILE: usize = 1_000;
/// How many Services there are for each delegated zone.
const SERVICES_PER_CHILD: usize = 20;

/// A folder with one zone as manifests and as a master file.
pub(crate) struct World {
    folder: Folder,
    pub(crate) services: usize,
}

impl World {
    /// A zone of so many Services; `binary` is the kubezone that makes its master file.
    pub(crate) fn new(binary: &Path, services: usize) -> Result<Self> {
        let world = Self { folder: Folder::new()?, services };
        fs::create_dir(world.path("manifests"))?;
        for first in (0..services).step_by(SERVICES_PER_FILE) {
            let mut manifests = String::new();
            for index in first..services.min(first + SERVICES_PER_FILE) {
                write!(manifests, "{}", Manifest(index))?;
            }
            world.write(&format!("manifests/{first}.yaml"), &manifests)?;
        }
        let mut extra = String::new();
        for index in 0..children(services) {
            write!(extra, "{}", Delegation(index))?;
        }
        world.write("extra.zone", &extra)?;
        let config = world.write("dump.yaml", &world.cluster("", "manifests: manifests"))?;
        let dump = Command::new(binary).args(["zone", "dump", ZONE, "--config"]).arg(config).output()?;
        if !dump.status.success() {
            return Err(format!("kubezone zone dump: {}", String::from_utf8_lossy(&dump.stderr)).into());
        }
        fs::write(world.master_file(), dump.stdout)?;
        Ok(world)
    }

    /// kubezone's configuration for the zone made from a cluster, `source` in the configuration's words, behind `listen`.
    pub(crate) fn cluster(&self, listen: &str, source: &str) -> String {
        format!(
            "apiVersion: k8s.ooo/v1alpha1\nkind: KubezoneConfig\n{listen}\
             clusters: [{{ name: c2, {source} }}]\n\
             zones:\n- name: {ZONE}\n  cluster: c2\n  extra: {}\n  \
             nameservers: [{{ name: ns, addresses: [\"2a0a:e5c0:13:e2::a\"] }}]\n",
            self.path("extra.zone").display()
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

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        Ok(self.folder.write(name, text)?)
    }
}

/// The name of the Service at `index`.
pub(crate) fn service(index: usize) -> String {
    format!("web-{index}.team-{}.svc.{ZONE}", index / SERVICES_PER_NAMESPACE)
}

/// How many zones are delegated from one of so many Services.
pub(crate) fn children(services: usize) -> usize {
    services.div_ceil(SERVICES_PER_CHILD)
}

/// The name of the delegated zone at `index`.
pub(crate) fn child(index: usize) -> String {
    format!("child-{index}.{ZONE}")
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

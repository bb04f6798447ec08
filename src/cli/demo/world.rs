//! The demo's world: five servers in this process, each started from its own configuration file.
//!
//! The files are those of the folder `examples`, built into the binary and
//! written to a folder of their own. From there on they are ordinary: the servers
//! read and watch them as `kubezone serve` does, and whoever runs the demo can change them.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use hickory_proto::rr::RecordType;
use tempfile::TempDir;

use super::walk::{self, Gist, WalkError};
use crate::config::{self, Admin, ConfigError};
use crate::run::{Server, StartError};

macro_rules! built_in {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../examples/", $path)))),*]
    };
}

const FILES: [(&str, &str); 13] = built_in![
    "root.yaml",
    "root.zone",
    "ooo.yaml",
    "ooo.zone",
    "k8s.ooo.yaml",
    "k8s.ooo.zone",
    "c2.yaml",
    "c2/kube-dns.yaml",
    "c2/shop.yaml",
    "c2/db.yaml",
    "c3.yaml",
    "c3/kube-dns.yaml",
    "c3/chat.yaml",
];

/// The Service that comes and goes.
const GUESTBOOK: &str = include_str!("../../../examples/guestbook.yaml");

/// What each server is for, its configuration, and its address in the world: the glue that leads to it.
const SERVERS: [(&str, &str, Ipv6Addr); 5] = [
    (".", "root.yaml", Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0x53)),
    ("ooo.", "ooo.yaml", Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 0x53)),
    ("k8s.ooo.", "k8s.ooo.yaml", Ipv6Addr::new(0x2001, 0xdb8, 0, 3, 0, 0, 0, 0x53)),
    ("c2.k8s.ooo.", "c2.yaml", Ipv6Addr::new(0x2a0a, 0xe5c0, 0x13, 0xe2, 0, 0, 0, 0xa)),
    ("c3.k8s.ooo.", "c3.yaml", Ipv6Addr::new(0x2a0a, 0xe5c0, 0x13, 0xe3, 0, 0, 0, 0xa)),
];

/// A world that could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorldError {
    #[error("could not write the demo's files to {folder}")]
    Files { folder: String, source: io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("port {first} is not followed by {} more", SERVERS.len() - 1)]
    Ports { first: u16 },
    #[error("the server of {zone} did not load its zone")]
    NotLoaded { zone: &'static str, source: WalkError },
}

/// One server and its only zone.
pub(super) struct Place {
    pub(super) zone: &'static str,
    /// Where the world would reach it.
    pub(super) address: Ipv6Addr,
    /// Where it is here.
    pub(super) dns: SocketAddr,
    pub(super) metrics: Option<SocketAddr>,
    server: Server,
}

/// The servers and their files, which vanish with it.
pub(super) struct World {
    folder: TempDir,
    pub(super) places: Vec<Place>,
}

impl World {
    /// Starts every server on a port of `[::1]`: consecutive from `port`, or any that are free. Probes and
    /// metrics likewise, from `admin_port`, or not at all. Every zone is loaded when this returns.
    pub(super) async fn start(port: Option<u16>, admin_port: Option<u16>) -> Result<Self, WorldError> {
        let dns = loopback(port.unwrap_or(0))?;
        let metrics = admin_port.map(loopback).transpose()?;
        let folder = write_files()
            .map_err(|source| WorldError::Files { folder: std::env::temp_dir().display().to_string(), source })?;
        let mut places = Vec::new();
        for (nth, (zone, file, address)) in SERVERS.into_iter().enumerate() {
            let mut config = config::load(&folder.path().join(file))?;
            config.dns = vec![dns[nth]];
            config.metrics = metrics.map(|metrics| metrics[nth]);
            config.admin = Admin::Off;
            let server = Server::start(config).await?;
            places.push(Place { zone, address, dns: server.dns()[0], metrics: server.metrics(), server });
        }
        for Place { zone, dns, .. } in &places {
            walk::ask_until(*dns, zone, RecordType::SOA, |step| step.gist == Gist::Answer)
                .await
                .map_err(|source| WorldError::NotLoaded { zone, source })?;
        }
        Ok(Self { folder, places })
    }

    /// Where the servers' configurations, zones and manifests are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the guestbook's manifest into the folder of c2.
    pub(super) fn apply_guestbook(&self) -> io::Result<()> {
        fs::write(self.guestbook(), GUESTBOOK)
    }

    /// Takes it away.
    pub(super) fn delete_guestbook(&self) -> io::Result<()> {
        fs::remove_file(self.guestbook())
    }

    fn guestbook(&self) -> PathBuf {
        self.folder().join("c2/guestbook.yaml")
    }

    /// Ends every server.
    pub(super) async fn stop(self) {
        for place in self.places {
            place.server.stop().await;
        }
    }
}

/// A port for each server, from `first` on; when that is 0, any.
fn loopback(first: u16) -> Result<[SocketAddr; SERVERS.len()], WorldError> {
    let step = u16::from(first != 0);
    let mut ports = [(Ipv6Addr::LOCALHOST, first).into(); SERVERS.len()];
    for (address, nth) in ports.iter_mut().zip(0..) {
        let port = first.checked_add(nth * step).ok_or(WorldError::Ports { first })?;
        SocketAddr::set_port(address, port);
    }
    Ok(ports)
}

fn write_files() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("kubezone-demo-").tempdir()?;
    for (path, text) in FILES {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("in the folder"))?;
        fs::write(path, text)?;
    }
    Ok(folder)
}

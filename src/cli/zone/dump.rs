//! `kubezone zone dump`: a configured zone as a master file.

use std::io::Write;

use clap::Args;
use tracing::warn;

use super::{Configured, ServerOrConfig, Side, Text, ZoneProblem, find, made, read_manifests, usage, zone_name};
use crate::cli::Failure;
use crate::cli::remote::Remote;
use crate::config::{self, Access};
use crate::source::load::Placed;
use crate::zone::{Zone, dump, name_to_text};

/// Prints a zone as a master file that BIND, Knot and NSD load: as a running server has it, or one from a file or from
/// manifests
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone zone dump k8s.ooo --config kubezone.yaml
  kubezone zone dump c2.k8s.ooo --server http://[::1]:9154 | kubezone zone diff c2.zone - --zone c2.k8s.ooo")]
pub(super) struct Dump {
    /// The zone
    zone: String,
    #[command(flatten)]
    from: ServerOrConfig,
}

impl Dump {
    pub(super) fn print(&self, mut out: impl Write) -> Result<(), Failure> {
        let name = zone_name(&self.zone)?;
        let path = match self.from.side() {
            Side::Server(url) => return Remote::new(url)?.copy(&["zones", &name_to_text(&name)], out),
            Side::Config(path) => path,
        };
        let zone = match find(config::load(path)?, &name, path)? {
            Configured::File(file) => {
                let text = Text::open(&file.path)?;
                let (zone, odd) = text.zone(Some(&file.apex))?;
                for Placed { place, warning } in odd {
                    warn!(file = %file.path.display(), %place, %warning, "zone file is odd");
                }
                zone
            }
            Configured::Cluster(zone, Access::Manifests(folder)) => {
                let (records, _) = made(&zone, &read_manifests(&folder)?);
                let built = Zone::build(&zone.origin, records);
                let (zone, warnings) = built.map_err(|error| usage(ZoneProblem::Contradiction(error)))?;
                for warning in warnings {
                    warn!(%warning, "zone is odd");
                }
                zone
            }
            Configured::Cluster(..) => {
                return Err(Failure::unable(ZoneProblem::FromApi { zone: name_to_text(&name) }));
            }
        };
        Ok(write!(out, "{}", dump(&zone))?)
    }
}

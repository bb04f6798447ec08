//! `kubezone zone dump`: a configured zone as a master file.

use std::io::Write;

use clap::Args;
use clap_complete::ArgValueCandidates;
use hickory_proto::rr::Name;
use tracing::warn;

use super::{
    Configured, ServerOrConfig, Side, Text, ZoneProblem, find, made, made_reverse, read_manifests, usage, zone_name,
};
use crate::cli::{Failure, complete};
use crate::config::{self, Access};
use crate::source::load::Placed;
use crate::zone::{Record, Zone, dump, name_to_text};

/// Prints a zone as a master file that BIND, Knot and NSD load: as a running server has it, or one from a file or from
/// manifests, or a reverse zone of such
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone zone dump k8s.ooo --config kubezone.yaml
  kubezone zone dump c2.k8s.ooo --server http://[::1]:9154 | kubezone zone diff c2.zone - --zone c2.k8s.ooo")]
pub(super) struct Dump {
    /// The zone
    #[arg(add = ArgValueCandidates::new(complete::zones))]
    zone: String,
    #[command(flatten)]
    from: ServerOrConfig,
}

impl Dump {
    pub(super) fn print(&self, mut out: impl Write) -> Result<(), Failure> {
        let name = zone_name(&self.zone)?;
        let path = match self.from.side()? {
            Side::Server(server) => return server.remote()?.copy(&["zones", &name_to_text(&name)], out),
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
                build(&zone.origin, made(&zone, &read_manifests(&folder)?).0)?
            }
            Configured::Reverse(zone, forwards) => build(&zone.origin, made_reverse(&zone, &forwards)?)?,
            Configured::Cluster(..) => {
                return Err(Failure::unable(ZoneProblem::FromApi { zone: name_to_text(&name) }));
            }
        };
        Ok(write!(out, "{}", dump(&zone))?)
    }
}

fn build(apex: &Name, records: Vec<Record>) -> Result<Zone, Failure> {
    let (zone, warnings) = Zone::build(apex, records).map_err(|error| usage(ZoneProblem::Contradiction(error)))?;
    for warning in warnings {
        warn!(%warning, "zone is odd");
    }
    Ok(zone)
}

//! `kubezone zone records`: what manifests would make.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Configured, Output, ZoneProblem, as_json, find, made, print_json, read_manifests, usage, zone_name};
use crate::cli::Failure;
use crate::config::{self, Access, NameServerFlag};
use crate::schema::ClusterZone;
use crate::zone::{Lines, name_to_text};

/// Prints the records that manifests would make
///
/// Comments name the Services that own none, with the reason. Without name servers there is neither an SOA nor an NS
/// record. The serial is 1: a server's goes by the clock.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone zone records -f examples/c2 --zone c2.k8s.ooo
  kubezone zone records -f examples/c2 --zone c2.k8s.ooo --nameserver ns=2001:db8::53 -o json")]
pub(super) struct Records {
    /// A manifest, or a folder of them
    #[arg(short, long, value_name = "DIR")]
    filename: PathBuf,
    /// The zone; with --config, one that is configured there
    #[arg(long, value_name = "NAME")]
    zone: String,
    /// The configuration file that says how the zone is made, in the place of the defaults
    #[arg(long, value_name = "FILE", conflicts_with = "nameserver")]
    config: Option<PathBuf>,
    /// A name server of the zone: relative to it, or absolute with a final dot; repeatable
    #[arg(long, value_name = "NAME[=ADDR,ADDR]")]
    nameserver: Vec<NameServerFlag>,
    /// How to print them
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

impl Records {
    pub(super) fn print(&self, mut out: impl Write) -> Result<(), Failure> {
        let zone = self.cluster_zone()?;
        let (records, reasons) = made(&zone, &read_manifests(&self.filename)?);
        match self.output {
            Output::Json => {
                let records: Vec<_> = records.iter().map(as_json).collect();
                print_json(&mut out, &records)?;
            }
            Output::Table => {
                if zone.nameservers.is_empty() {
                    writeln!(out, "; no SOA and NS records: no name servers are given (--nameserver)")?;
                }
                write!(out, "{}", Lines(&records))?;
                for (subject, reason) in reasons {
                    writeln!(out, "; {subject}: {reason}")?;
                }
            }
        }
        Ok(())
    }

    fn cluster_zone(&self) -> Result<ClusterZone, Failure> {
        if let Some(path) = &self.config {
            let name = zone_name(&self.zone)?;
            return match find(config::load(path)?, &name, path)? {
                Configured::Cluster(zone, _) => Ok(*zone),
                Configured::File(_) | Configured::Reverse(..) => {
                    Err(usage(ZoneProblem::NotFromCluster { zone: name_to_text(&name) }))
                }
            };
        }
        // The short form is that of a server, which needs one; what is printed does not.
        let stand_in = [".".parse().expect("any text will do")];
        let nameservers = if self.nameserver.is_empty() { &stand_in } else { self.nameserver.as_slice() };
        let config = config::short_form(&self.zone, nameservers, Access::Manifests(self.filename.clone()))?;
        let mut zone =
            config.clusters.into_iter().flat_map(|cluster| cluster.zones).next().expect("the zone asked for");
        if self.nameserver.is_empty() {
            zone.nameservers.clear();
        }
        Ok(zone)
    }
}

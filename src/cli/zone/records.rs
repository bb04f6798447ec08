//! `kubezone zone records`: what manifests would make.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::ArgValueCandidates;
use hickory_proto::rr::RecordType;

use super::{Configured, Output, ZoneProblem, default_zone, find, made, print_json, read_manifests, usage, zone_name};
use crate::cli::remote::{Remote, ServerUrl};
use crate::cli::{Failure, complete};
use crate::config::{self, Access, NameServerFlag};
use crate::report::{RecordText, Report};
use crate::schema::ClusterZone;
use crate::zone::{Lines, Record, master, name_to_text};

/// Prints the records that manifests would make, or that a running server has made
///
/// Comments name the Services that own none, with the reason. Without name servers there is neither an SOA nor an NS
/// record. The serial is 1: a server's goes by the clock.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone zone records -f examples/c2 --zone c2.k8s.ooo
  kubezone zone records -f examples/c2 --zone c2.k8s.ooo --nameserver ns=2001:db8::53 -o json
  kubezone zone records --server http://[::1]:9154 --zone c2.k8s.ooo")]
pub(super) struct Records {
    /// A manifest, or a folder of them
    #[arg(short, long, value_name = "DIR", required_unless_present = "server")]
    filename: Option<PathBuf>,
    /// A running server in the place of manifests: the URL of its listen.admin
    #[arg(long, value_name = "URL", conflicts_with_all = ["filename", "config", "nameserver"])]
    server: Option<ServerUrl>,
    /// The zone; with --config, one that is configured there
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::zones))]
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
        let (records, reasons) = match &self.server {
            Some(url) => self.served(&Remote::new(url)?)?,
            None => {
                let manifests = self.filename.as_ref().expect("required where there is no server");
                let (records, reasons) = made(&self.cluster_zone(manifests)?, &read_manifests(manifests)?);
                (records, reasons.into_iter().map(|(subject, reason)| format!("{subject}: {reason}")).collect())
            }
        };
        match self.output {
            Output::Json => {
                let records: Vec<_> = records.iter().map(RecordText::from).collect();
                print_json(&mut out, &records)?;
            }
            Output::Table => {
                if !records.iter().any(|record| record.rtype == RecordType::SOA) {
                    writeln!(out, "; no SOA and NS records: no name servers are given (--nameserver)")?;
                }
                write!(out, "{}", Lines(&records))?;
                for reason in reasons {
                    writeln!(out, "; {reason}")?;
                }
            }
        }
        Ok(())
    }

    /// The records that a server has, and why some Services own none.
    fn served(&self, server: &Remote) -> Result<(Vec<Record>, Vec<String>), Failure> {
        let name = zone_name(&self.zone)?;
        let zone = name_to_text(&name);
        let mut said = Vec::new();
        for Report { namespace, name, reasons, .. } in server.services(&zone, &[])? {
            // What another program may say must not move a terminal's cursor.
            said.extend(
                reasons
                    .iter()
                    .map(|reason| format!("{namespace}/{name}: {}", reason.name).replace(char::is_control, " ")),
            );
        }
        let mut text = Vec::new();
        server.copy(&["zones", &zone], &mut text)?;
        let records = master::parse(&text, &name, None).map_err(Failure::unable)?;
        Ok((records, said))
    }

    fn cluster_zone(&self, manifests: &Path) -> Result<ClusterZone, Failure> {
        if let Some(path) = &self.config {
            let name = zone_name(&self.zone)?;
            return match find(config::load(path)?, &name, path)? {
                Configured::Cluster(zone, _) => Ok(*zone),
                Configured::File(_) | Configured::Reverse(..) => {
                    Err(usage(ZoneProblem::NotFromCluster { zone: name_to_text(&name) }))
                }
            };
        }
        default_zone(&self.zone, &self.nameserver, Access::Manifests(manifests.to_owned()))
    }
}

//! `kubezone zone list`: the zones of a configuration.

use std::io::Write;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use tracing::warn;

use super::{Output, ServerOrConfig, Side, Text, forwards, made, made_reverse, print_json, read_manifests};
use crate::admin::api::ZoneStatus;
use crate::cli::Failure;
use crate::cli::remote::Remote;
use crate::config::{self, Access};
use crate::error::chain;
use crate::zone::{Serial, name_to_text};

/// Prints the zones of a running server, or those of a configuration: where they come from, and what can be told of them
///
/// Without a server a zone from a file has a serial and records, one from manifests has records, and so has a reverse zone
/// of such; of one from a cluster's API only a server knows. Exit status: 0; 1 where a source makes no zone, or a server
/// does not answer for one; standard
/// error says why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone zone list --config kubezone.yaml
  kubezone zone list --server http://[::1]:9154")]
pub(super) struct List {
    #[command(flatten)]
    from: ServerOrConfig,
    /// How to print them; as objects they have the fields zone, kind, source, serial and records
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

/// A zone and what is known of it.
#[derive(Debug, Serialize)]
struct Row {
    zone: String,
    kind: String,
    source: String,
    serial: Option<u32>,
    records: Option<usize>,
}

impl List {
    pub(super) fn print(&self, mut out: impl Write) -> Result<(), Failure> {
        let (rows, whole) = match self.from.side()? {
            Side::Config(path) => configured(path)?,
            Side::Server(server) => served(&server.remote()?)?,
        };
        match self.output {
            Output::Json => print_json(&mut out, &rows)?,
            Output::Table => print_table(&rows, &mut out)?,
        }
        if whole { Ok(()) } else { Err(Failure::Findings) }
    }
}

/// The zones that a server has; whether it answers for all of them.
fn served(server: &Remote) -> Result<(Vec<Row>, bool), Failure> {
    let mut whole = true;
    let zones = server.list(&["zones"], &[])?.into_iter().map(|status: ZoneStatus| {
        let ZoneStatus { zone, kind, source, state, serial, records, .. } = status;
        if state != "loaded" {
            warn!(zone, state, "the server does not answer for the zone");
            whole = false;
        }
        Row { zone, kind, source, serial, records }
    });
    Ok((zones.collect(), whole))
}

/// The zones of a configuration file; whether everything that was looked at makes one.
fn configured(path: &Path) -> Result<(Vec<Row>, bool), Failure> {
    let config = config::load(path)?;
    let mut whole = true;
    // What is known of a zone, or an unknown and a word about it.
    let mut known = |zone: &str, told: Result<(Option<Serial>, usize), Failure>| match told {
        Ok((serial, records)) => (serial.map(|serial| serial.0), Some(records)),
        Err(failure) => {
            warn!(zone, error = failure.cause().map(|cause| chain(cause)), "the zone's source makes no zone");
            whole = false;
            (None, None)
        }
    };
    let mut rows = Vec::new();
    for file in &config.files {
        let zone = name_to_text(&file.apex);
        let loaded = Text::open(&file.path).and_then(|text| text.zone(Some(&file.apex)));
        let told = loaded.map(|(zone, _)| (Some(zone.serial()), zone.census().iter().map(|(_, count)| count).sum()));
        let (serial, records) = known(&zone, told);
        rows.push(Row { zone, kind: "file".to_owned(), source: file.path.display().to_string(), serial, records });
    }
    for cluster in &config.clusters {
        for cluster_zone in &cluster.zones {
            let zone = name_to_text(&cluster_zone.origin);
            let (serial, records) = match &cluster.access {
                Access::Manifests(folder) => {
                    let read = read_manifests(folder);
                    known(&zone, read.map(|objects| (None, made(cluster_zone, &objects).0.len())))
                }
                Access::InCluster | Access::Kubeconfig { .. } => (None, None),
            };
            let source = format!("{}: {}", cluster.name, cluster.access);
            rows.push(Row { zone, kind: "cluster".to_owned(), source, serial, records });
        }
    }
    for reverse in &config.reverses {
        let zone = name_to_text(&reverse.origin);
        let forwards = forwards(&config, reverse);
        let is_from_manifests = forwards.iter().all(|(_, access)| matches!(access, Access::Manifests(_)));
        let (serial, records) = if is_from_manifests {
            known(&zone, made_reverse(reverse, &forwards).map(|records| (None, records.len())))
        } else {
            (None, None)
        };
        let source = reverse.of.iter().map(name_to_text).collect::<Vec<_>>().join(", ");
        rows.push(Row { zone, kind: "reverse".to_owned(), source, serial, records });
    }
    Ok((rows, whole))
}

fn print_table(rows: &[Row], mut out: impl Write) -> Result<(), Failure> {
    let mut lines = vec![["ZONE", "KIND", "SERIAL", "RECORDS", "SOURCE"].map(str::to_owned)];
    for Row { zone, kind, source, serial, records } in rows {
        let [serial, records] =
            [serial.map(|n| n.to_string()), records.map(|n| n.to_string())].map(|n| n.unwrap_or("-".to_owned()));
        lines.push([zone.clone(), kind.clone(), serial, records, source.clone()]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or_default();
    let [zone, kind, serial, records] = [0, 1, 2, 3].map(width);
    for line in &lines {
        writeln!(
            out,
            "{:<zone$}  {:<kind$}  {:>serial$}  {:>records$}  {}",
            line[0], line[1], line[2], line[3], line[4]
        )?;
    }
    Ok(())
}

//! kubezone at a real API server with the Services of a large cluster: `cargo bench --bench cluster`.
//!
//! **sync.** How long it takes from the start of the process until /readyz says
//! that it serves, beside a bare list: one client for each kind, as kubezone
//! has them, that asks for the same pages and reads nothing of them but where
//! the next begins. The two in turn; what counts is the ratio within a round.
//!
//! **fresh.** How long after the API server's reply to a lone change the first
//! answer says so, beside `CoreDNS` with its kubernetes plugin. Both watch the
//! same API server; every other change is waited for at the one, then at the
//! other, by a thread that does nothing but ask.
//!
//! **memory.** What is resident after the sync, beside `CoreDNS`; and of
//! kubezone with 100,000 endpoints of headless Services, with a reverse zone
//! and without, after the sync and after ten further lists of everything.
//!
//! **churn.** What it costs to follow as many changes of `EndpointSlices` as the
//! API server makes, and how long one takes then until it is answered.
//!
//! `CoreDNS` is what `benches/coredns` builds, the control plane what
//! `tests/controlplane/build` does: what is missing is told, and left out. The
//! Services are made once and kept; see `benches/support/seed.rs`.

mod churn;
mod fresh;
mod memory;
#[path = "../support/proc.rs"]
mod proc;
#[path = "../support/seed.rs"]
mod seed;
mod server;
#[path = "../../tests/support/mod.rs"]
mod support;
mod sync;

use std::io;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use seed::Seed;
use support::tell;

/// Services in the cluster that is synced with.
const SYNCED: usize = 10_000;
/// Services in the cluster that is watched.
const WATCHED: usize = 13_000;
/// Many endpoints that own names.
const HEADLESS: Seed = Seed { services: 10_000, headless: 1_000, endpoints: 100 };

/// kubezone at a real API server with many Services.
#[derive(Debug, Parser)]
struct Args {
    /// Services with a ClusterIP in the cluster [default: 10000 for sync, else 13000].
    #[arg(long, value_name = "N")]
    services: Option<usize>,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Sync, Part::Fresh, Part::Memory, Part::Churn])]
    only: Vec<Part>,
    /// How often kubezone is started beside a bare list.
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: usize,
    /// How many changes of each kind each server is waited for.
    #[arg(long, value_name = "N", default_value_t = 300)]
    changes: usize,
    /// For how many seconds EndpointSlices are changed without a pause.
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,
    /// Another kubezone than the one that cargo has built.
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_kubezone"))]
    binary: PathBuf,
    /// Measure nothing: start the control plane, print a kubeconfig, and keep it until standard input ends.
    #[arg(long)]
    serve: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Sync,
    Fresh,
    Memory,
    Churn,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let watched = Seed::plain(args.services.unwrap_or(WATCHED));
    if args.serve {
        let Some(plane) = watched.control_plane("the control plane").await else { return Ok(()) };
        println!("{}", plane.kubeconfig().display());
        io::copy(&mut io::stdin(), &mut io::sink())?;
        return Ok(());
    }
    if args.only.contains(&Part::Sync)
        && let Some(plane) = Seed::plain(args.services.unwrap_or(SYNCED)).control_plane("sync").await
    {
        sync::measure(&plane, &args.binary, args.rounds).await;
    }
    let coredns = server::coredns();
    let watching = [Part::Fresh, Part::Memory, Part::Churn];
    if args.only.iter().any(|part| watching.contains(part))
        && let Some(plane) = watched.control_plane("fresh, memory, churn").await
    {
        if args.only.contains(&Part::Memory) {
            memory::after_sync(&plane, &args.binary, coredns.as_deref()).await;
        }
        if args.only.contains(&Part::Fresh) {
            fresh::measure(&plane, &args.binary, coredns.as_deref(), args.changes).await;
        }
        if args.only.contains(&Part::Churn) {
            churn::measure(&plane, &args.binary, coredns.as_deref(), args.seconds).await;
        }
    }
    if args.only.contains(&Part::Memory)
        && let Some(plane) = HEADLESS.control_plane("memory").await
    {
        memory::after_relists(&plane, &args.binary).await;
    }
    tell("done");
    Ok(())
}

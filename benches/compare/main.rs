//! What kubezone costs, beside other servers on the same core: `cargo bench --bench compare`.
//!
//! All contestants run at the same time on one core, each with the same zone;
//! the load comes from another core, and goes to one of them at a time, for half
//! a second, in random order, again and again. What counts is the time that the
//! kernel charged to a server's processes, over the questions that were answered
//! rightly: what the load costs does not matter. A ratio is formed within a
//! cycle, when the machine is most alike for both; printed are the median over
//! the cycles and the quartiles. docs/performance.md says more.
//!
//! `cargo bench` builds kubezone almost as it is released; `--binary` measures
//! another one.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Parser, ValueEnum as _};

use contestants::{Contestant, Entry, Programs, Server};
use measure::{Core, Cores};
use plan::{Measurement, Prepared, Table};
use world::World;

mod contestants;
mod datagrams;
mod floor;
mod load;
mod measure;
mod plan;
mod plot;
#[path = "../support/proc.rs"]
mod proc;
#[allow(dead_code, reason = "tests use more of it")]
#[path = "../../tests/support/process.rs"]
mod process;
mod questions;
mod table;
mod tcp;
mod world;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Compares what kubezone and other authoritative servers cost: CPU time for an answer, latency, memory
#[derive(Parser)]
#[command(name = "compare")]
struct Options {
    /// How often everything is measured
    #[arg(long, default_value_t = 12, value_name = "N")]
    cycles: usize,
    /// Who takes part; ratios are made to knot and floor [default: all that are installed]
    #[arg(long, value_delimiter = ',', value_name = "SERVER,…")]
    only: Vec<Server>,
    /// What is measured [default: all]
    #[arg(long, value_delimiter = ',', value_name = "LOAD,…")]
    load: Vec<Measurement>,
    /// Services in the zone; several: `growth` compares them, everything else takes the first
    #[arg(long, value_delimiter = ',', default_value = "10000,1000,100000", value_name = "N,…")]
    services: Vec<usize>,
    /// Another kubezone than the one that cargo built
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_kubezone"), hide_default_value = true)]
    binary: PathBuf,
    /// The kubeconfig of a cluster, for `api`: the zone is c2.k8s.ooo
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Where to draw the ratios to Knot, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Where to write what each slice told, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Be the echo floor at this address
    #[arg(long, hide = true)]
    echo: Option<SocketAddr>,
    /// By how many octets the floor's answers are longer than what came
    #[arg(long, hide = true, default_value_t = 0)]
    grow: usize,
    /// cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(address) = options.echo {
        return floor::echo(address, options.grow);
    }
    let cores = Cores::allowed()?.ok_or("two cores are needed: one for the servers, one for the load")?;
    Core::run_on(&[cores.load])?;
    let programs = Programs::find(&options.binary);
    let wanted = |server: &Server| options.only.is_empty() || options.only.contains(server);
    let (servers, missing): (Vec<Server>, Vec<Server>) =
        Server::value_variants().iter().filter(|server| wanted(server)).partition(|&&server| programs.has(server));
    for server in missing {
        eprintln!("LEFT OUT {server}: it is not installed");
    }
    let is_measured = |measurement: &Measurement| options.load.is_empty() || options.load.contains(measurement);
    let sizes = if is_measured(&Measurement::Growth) { &options.services } else { &options.services[..1] };
    let worlds = sizes.iter().map(|&services| World::made(&options.binary, services));
    let at_api = options.kubeconfig.iter().map(|kubeconfig| World::at_api(&options.binary, kubeconfig));
    let worlds = worlds.chain(at_api).collect::<Result<Vec<World>>>()?;
    let measurements = Measurement::value_variants().iter().filter(|measurement| is_measured(measurement));
    let mut tables: Vec<Table> = measurements.map(|measurement| measurement.table(&servers, &worlds, &cores)).collect();

    let mut prepared = Prepared::default();
    let mut contestants: Vec<Contestant> = Vec::new();
    let entries: BTreeSet<Entry> = tables.iter().flat_map(|table| &table.rows).map(|row| row.entry).collect();
    for entry in entries {
        // Floors are the last of a world.
        let other = contestants.iter().find(|other| other.entry.world == entry.world && !other.entry.server.is_floor());
        let grown = match other {
            Some(other) if entry.server == Server::FloorAnswer => {
                plan::growth(other, prepared.of(&worlds, entry.world, None))?
            }
            _ => 0,
        };
        eprintln!("starting {}", entry.server);
        Core::run_on(if entry.workers == 1 { std::slice::from_ref(&cores.server) } else { &cores.servers })?;
        contestants.push(Contestant::start(entry, &worlds[entry.world], &programs, grown)?);
        Core::run_on(&[cores.load])?;
    }
    println!("{}", table::start(&contestants, &worlds)?);

    let mut dice = fastrand::Rng::with_seed(42);
    for cycle in 1..=options.cycles {
        let started = Instant::now();
        let mut order: Vec<usize> = (0..tables.len()).collect();
        dice.shuffle(&mut order);
        for table in order {
            tables[table].cycle(&contestants, &worlds, &cores, &mut prepared, &mut dice)?;
        }
        eprintln!("cycle {cycle} of {}: {:.0} s", options.cycles, started.elapsed().as_secs_f64());
    }
    for table in &tables {
        println!("{}", table.markdown(&worlds)?);
    }
    if let Some(file) = options.plot {
        fs::write(file, plot::svg(&tables, &worlds)?)?;
    }
    if let Some(file) = options.json {
        fs::write(file, table::json(&tables, &worlds).to_string())?;
    }
    Ok(())
}

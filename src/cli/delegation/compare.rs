//! `--compare` and `--wait`: whether the parent has what it should have.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::Args;
use hickory_proto::rr::RecordType;
use humantime_serde::re::humantime::{format_duration, parse_duration};
use tokio::time::sleep;

use crate::cli::paper::plain;
use crate::cli::progress::waiting;
use crate::cli::trace::Form;
use crate::cli::world::WorldArgs;
use crate::cli::{Failure, runtime};
use crate::delegation::{Delegation, State, Trace, Walk, parents, walk};
use crate::zone::name_to_text;

/// After how long to look again: first, and at most. Each look asks every server of every zone on the way.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether to look, and where.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Asks the servers of the parent and of the zone, from the root down, whether the delegation is as it should be
    #[arg(long, conflicts_with_all = ["format", "parent", "parent_file", "write"])]
    compare: bool,
    /// Looks again and again until it is, or for so long: `--wait=10m`
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        value_parser = parse_duration,
        conflicts_with_all = ["format", "parent", "parent_file", "write"]
    )]
    wait: Option<Option<Duration>>,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    form: Form,
}

impl CompareArgs {
    /// Whether the parent is to be asked.
    pub(super) fn is_asked(&self) -> bool {
        self.compare || self.wait.is_some()
    }

    pub(super) fn run(&self, delegation: &Delegation) -> Result<(), Failure> {
        let trace = runtime()?.block_on(async {
            match self.wait {
                None => Ok(Trace::held_to(&self.look(delegation).await?, delegation)),
                Some(longest) => self.wait(delegation, longest).await,
            }
        })?;
        self.form.tell(&trace)
    }

    async fn look(&self, delegation: &Delegation) -> Result<Walk, Failure> {
        let zone = &delegation.zone;
        let what = format!("the servers of {} and above", plain(name_to_text(zone)));
        Ok(waiting(what, walk(self.world.world()?, zone, RecordType::SOA)).await)
    }

    /// Looks until nothing is to be mended, `longest` has passed, or nothing can be seen; tells which server of the parent
    /// has come to have it.
    async fn wait(&self, delegation: &Delegation, longest: Option<Duration>) -> Result<Trace, Failure> {
        let (started, mut pause) = (Instant::now(), FIRST);
        let mut told = BTreeMap::new();
        let mut forgotten: Option<Instant> = None;
        loop {
            let walk = self.look(delegation).await?;
            let trace = Trace::held_to(&walk, delegation);
            report(&walk, delegation, &mut told)?;
            let findings = trace.legs.iter().flat_map(|leg| &leg.zones).flat_map(|stop| &stop.findings);
            let remembered = findings.filter_map(|finding| finding.remembered).max();
            let until = remembered.map(|ttl| Instant::now() + Duration::from_secs(ttl.into()));
            forgotten = forgotten.max(until);
            let left = longest.map_or(LONGEST, |longest| longest.saturating_sub(started.elapsed()));
            match trace.verdict.state {
                State::Well => {
                    tell_caches(forgotten)?;
                    return Ok(trace);
                }
                State::Unseen => return Ok(trace),
                State::Degraded | State::Broken if left.is_zero() => return Ok(trace),
                State::Degraded | State::Broken => {}
            }
            waiting("not yet as it should be; looking again", sleep(pause.min(left))).await;
            pause = (pause * 3 / 2).min(LONGEST);
        }
    }
}

/// Tells of each server of the parent that says something else than when it was `told` of last.
fn report(
    walk: &Walk,
    delegation: &Delegation,
    told: &mut BTreeMap<String, Result<(), String>>,
) -> Result<(), Failure> {
    let passed = walk.legs.iter().flat_map(|way| &way.zones).find(|passed| passed.cut.zone == delegation.zone);
    for (server, said) in passed.map(|passed| parents(&passed.cut, delegation)).unwrap_or_default() {
        if told.get(&server) != Some(&said) {
            let line = match &said {
                Ok(()) => format!("\u{2714} {server} has it"),
                Err(why) => format!("\u{b7} {server}: {why}"),
            };
            writeln!(io::stderr(), "{}", plain(line))?;
            told.insert(server, said);
        }
    }
    Ok(())
}

/// Tells until when resolvers may remember what was wrong.
fn tell_caches(forgotten: Option<Instant>) -> Result<(), Failure> {
    let left = forgotten.map(|until| until.saturating_duration_since(Instant::now()).as_secs());
    if let Some(left) = left.filter(|left| *left > 0) {
        let left = format_duration(Duration::from_secs(left));
        writeln!(io::stderr(), "resolvers that asked before may remember the old delegation for up to {left}")?;
    }
    Ok(())
}

//! `kubezone status`: how a running server is.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Failure;
use super::paper::{Cell, Colors, Paper, Tone, plain};
use super::progress::Line;
use super::remote::{Remote, RemoteError, ServerArgs};
use super::zone::Output;
use crate::admin::api::{ClusterProblem, ClusterStatus, ServerStatus, ZoneStatus};

/// Between two counts of responses, and from one drawing to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Tells how a running server is: its zones with serial, records and age, its clusters, and what it answers
///
/// Without a word about where it is, the server is that of this machine, http://[::1]:9154, and for `kubectl kubezone` the
/// Pod of the current context's cluster. Rates are of the responses in one second, which is how long it takes. A cluster that is not followed, a file or a
/// configuration that was not taken over is told with the error and what to do. Exit status: 0; 1 where something is not
/// right: a zone that is not answered for, a cluster that has not been read in full or is not followed, a file or the
/// configuration not taken over; 2 usage; 3 the server cannot be asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone status
  kubezone status --server http://[::1]:9154 --watch
  kubezone status -o json")]
pub(super) struct Status {
    #[command(flatten)]
    server: ServerArgs,
    /// Look again every second, until interrupted
    #[arg(short, long)]
    watch: bool,
    /// How to print it; the object has the fields server, zones, clusters (docs/api.md) and rates
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
    #[command(flatten)]
    colors: Colors,
}

/// How a server is.
#[derive(Debug, Serialize)]
struct Seen {
    server: ServerStatus,
    zones: Vec<ZoneStatus>,
    clusters: Vec<ClusterStatus>,
    /// Responses a second, by their RCODEs: those that there were since the server was started.
    rates: BTreeMap<String, f64>,
}

/// Responses counted at a moment.
struct Count {
    at: Instant,
    responses: BTreeMap<String, u64>,
}

impl Status {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let remote = self.server.remote()?;
        let mut count =
            Count { at: Instant::now(), responses: remote.get::<ServerStatus>(&["server"], &[])?.responses };
        let redraws = self.watch && self.output == Output::Table && io::stdout().is_terminal();
        loop {
            let mut line = Line::new();
            if !self.watch {
                line.show("counting responses for a second");
            }
            sleep(INTERVAL);
            drop(line);
            let seen = Seen::of(&remote, &mut count);
            // Whatever has become of it, what was on the screen is not true any more.
            let mut out = BufWriter::new(io::stdout().lock());
            if redraws {
                write!(out, "\x1b[H\x1b[J")?;
            }
            match seen {
                Ok(seen) => {
                    self.print(&seen, &mut out)?;
                    out.flush()?;
                    if !self.watch {
                        return if seen.is_well() { Ok(()) } else { Err(Failure::Findings) };
                    }
                }
                Err(error) if self.watch => {
                    out.flush()?;
                    writeln!(io::stderr(), "{}", crate::error::chain(&error))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn print(&self, seen: &Seen, mut out: impl Write) -> Result<(), Failure> {
        match self.output {
            Output::Json if self.watch => {
                // One object a line, for those who read on.
                serde_json::to_writer(&mut out, seen).map_err(io::Error::from)?;
                Ok(writeln!(out)?)
            }
            Output::Json => super::zone::print_json(out, seen),
            Output::Table => Ok(seen.table(&mut Paper::new(out, self.colors))?),
        }
    }
}

impl Seen {
    fn of(remote: &Remote, count: &mut Count) -> Result<Self, RemoteError> {
        let server: ServerStatus = remote.get(&["server"], &[])?;
        let now = Count { at: Instant::now(), responses: server.responses.clone() };
        let before = std::mem::replace(count, now);
        Ok(Self {
            rates: rates(&before, count),
            zones: remote.list(&["zones"], &[])?,
            clusters: remote.list(&["clusters"], &[])?,
            server,
        })
    }

    /// Whether everything is as it should be.
    fn is_well(&self) -> bool {
        let zones = self.zones.iter().all(|zone| zone.state == "loaded" && zone.error.is_none());
        let clusters = self.clusters.iter().all(|cluster| cluster.synced && cluster.errors.is_empty());
        self.server.ready && self.server.error.is_none() && zones && clusters
    }

    fn table<W: Write>(&self, paper: &mut Paper<W>) -> io::Result<()> {
        let ServerStatus { version, uptime, ready, readiness, error, .. } = &self.server;
        let readiness = paper.tinted(if *ready { Tone::Good } else { Tone::Bad }, plain(readiness));
        let up = age(Some(*uptime));
        paper.line(format_args!("kubezone {}, started {up} ago: {readiness}", plain(version)))?;
        if let Some(error) = error {
            wrong(
                paper,
                "the configuration is followed as it was before",
                error,
                "Mend the file: it is taken over by itself.",
            )?;
        }
        paper.line("")?;
        let titles = ["ZONE", "KIND", "STATE", "SERIAL", "RECORDS", "AGE", "SOURCE"];
        let rows = self.zones.iter().map(zone);
        paper.table("", &std::iter::once(titles.map(Cell::from).into()).chain(rows).collect::<Vec<_>>())?;
        for ZoneStatus { zone, error, .. } in &self.zones {
            if let Some(error) = error {
                wrong(
                    paper,
                    &format!("the file of zone {zone} was not taken over"),
                    error,
                    "Mend the file: it is taken over by itself.",
                )?;
            }
        }
        if !self.clusters.is_empty() {
            paper.line("")?;
            let titles = ["CLUSTER", "SYNCED", "AGE", "PUBLISHED", "NOT PUBLISHED", "SOURCE"];
            let rows = self.clusters.iter().map(cluster);
            paper.table("", &std::iter::once(titles.map(Cell::from).into()).chain(rows).collect::<Vec<_>>())?;
        }
        for ClusterStatus { cluster, errors, .. } in &self.clusters {
            for ClusterProblem { parts, error, fix } in errors {
                wrong(paper, &format!("cluster {cluster} ({})", parts.join(", ")), error, fix)?;
            }
        }
        paper.line("")?;
        let titles = ["RCODE", "RESPONSES", "A SECOND"].map(Cell::from).into();
        let rows = self.server.responses.iter().map(|(rcode, count)| {
            let rate = self.rates.get(rcode).copied().unwrap_or_default();
            [rcode.clone(), count.to_string(), format!("{rate:.1}")].map(Cell::from).into()
        });
        paper.table("", &std::iter::once(titles).chain(rows).collect::<Vec<_>>())
    }
}

/// Something that is not right, and what to do about it.
fn wrong<W: Write>(paper: &mut Paper<W>, what: &str, error: &str, fix: &str) -> io::Result<()> {
    let what = paper.tinted(Tone::Bad, plain(what));
    paper.line(format_args!("{what}: {}\n  {}", plain(error), plain(fix)))
}

fn zone(status: &ZoneStatus) -> Vec<Cell> {
    let ZoneStatus { zone, kind, source, state, serial, records, age: since, .. } = status;
    let number = |number: Option<String>| Cell::from(number.unwrap_or("-".to_owned()));
    let tone = if state == "loaded" { Tone::Good } else { Tone::Bad };
    vec![
        zone.into(),
        kind.into(),
        Cell::toned(state, tone),
        number(serial.map(|serial| serial.to_string())),
        number(records.map(|records| records.to_string())),
        age(*since).into(),
        source.into(),
    ]
}

fn cluster(status: &ClusterStatus) -> Vec<Cell> {
    let ClusterStatus { cluster, source, synced, age: since, published, withheld, .. } = status;
    let by_reason: Vec<_> = withheld.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let by_reason = if by_reason.is_empty() { "-".to_owned() } else { by_reason.join(", ") };
    vec![
        cluster.into(),
        if *synced { Cell::toned("yes", Tone::Good) } else { Cell::toned("no", Tone::Bad) },
        age(*since).into(),
        published.map_or("-".to_owned(), |count| count.to_string()).into(),
        by_reason.into(),
        source.into(),
    ]
}

/// Seconds as kubectl tells ages: `45s`, `3m5s`, `2h10m`, `4d3h`.
fn age(seconds: Option<u64>) -> String {
    let Some(seconds) = seconds else { return "-".to_owned() };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// Responses a second from one count to the next; a server that has been started in between began at 0.
#[expect(clippy::cast_precision_loss, reason = "nobody answers 2^53 in a second")]
fn rates(before: &Count, after: &Count) -> BTreeMap<String, f64> {
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    let rate = |(rcode, count): (&String, &u64)| {
        let known = before.responses.get(rcode).copied().unwrap_or_default();
        let more = count.checked_sub(known).unwrap_or(*count);
        (rcode.clone(), more as f64 / seconds)
    };
    after.responses.iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_as_kubectl_tells_them() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m0s"), (3599, "59m59s"), (3660, "1h1m"), (90_000, "1d1h")]
        {
            assert_eq!(age(Some(seconds)), text);
        }
        assert_eq!(age(None), "-");
    }

    #[test]
    fn rates_are_of_what_came_in_between() {
        let count = |at, responses: &[(&str, u64)]| {
            let responses = responses.iter().map(|(rcode, count)| ((*rcode).to_owned(), *count)).collect();
            Count { at, responses }
        };
        let (start, two) = (Instant::now(), Duration::from_secs(2));
        let before = count(start, &[("NOERROR", 10), ("NXDOMAIN", 7)]);
        let after = count(start + two, &[("NOERROR", 30), ("NXDOMAIN", 7), ("REFUSED", 1)]);
        let expected = [("NOERROR", 10.0), ("NXDOMAIN", 0.0), ("REFUSED", 0.5)];
        assert_eq!(rates(&before, &after), expected.map(|(rcode, rate)| (rcode.to_owned(), rate)).into());
        // It has been started again.
        let after = count(start + two, &[("NOERROR", 4)]);
        assert_eq!(rates(&before, &after), [("NOERROR".to_owned(), 2.0)].into());
    }
}

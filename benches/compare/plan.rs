//! What is measured: tables, their rows, and a slice of time for each row in each cycle.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;

use crate::Result;
use crate::contestants::{Contestant, Server};
use crate::load::{self, Pace, Tally};
use crate::measure::{Core, CpuTime};
use crate::questions::{Kind, MIX, Questions};
use crate::tcp;

/// How long one contestant is asked at a time.
const SLICE: Duration = Duration::from_millis(550);
/// Of a slice, the most that the machine's host may take from the core.
const STOLEN: f64 = 0.05;
/// Of a slice, the most that others may have of the core.
const OTHERS: f64 = 0.10;
/// Of a saturated slice, the least that the core has to be at work.
const AT_WORK: f64 = 0.85;

/// A measurement, with a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// The mix of questions, as many as are answered
    Mix,
    /// The mix, 20,000 a second
    #[value(name = "mix-20k")]
    Mix20k,
    /// The mix, 50,000 a second
    #[value(name = "mix-50k")]
    Mix50k,
    /// Each kind of question alone
    Kinds,
    /// The mix in zones of several sizes
    Growth,
    /// The mix over TCP, bursts of eight on connections that stay
    Tcp,
    /// The mix over TCP, a connection for each question
    TcpConnect,
}

impl Measurement {
    /// The table, for these servers and sizes of zones; it is empty where there is nothing to compare.
    pub(crate) fn table(self, servers: &[Server], sizes: &[usize]) -> Table {
        let main = sizes[0];
        let row = |server, kind, load| Row { server, services: main, kind, load };
        // What the rest is compared by: these are asked where all would take too long.
        let few = |server: &&Server| matches!(server, Server::Kubezone | Server::Knot | Server::Nsd);
        let few = servers.iter().filter(few).copied();
        let all = servers.iter().copied();
        let (title, rows): (_, Vec<Row>) = match self {
            Self::Mix | Self::Mix20k | Self::Mix50k => {
                let (rate, pace) = match self {
                    Self::Mix20k => ("20,000 q/s", Pace::Paced(20_000)),
                    Self::Mix50k => ("50,000 q/s", Pace::Paced(50_000)),
                    _ => ("saturated", Pace::Saturated),
                };
                (format!("Mix over UDP, {rate}"), all.map(|server| row(server, None, Load::Udp(pace))).collect())
            }
            Self::Kinds => {
                let kinds = |server| Kind::ALL.map(|kind| row(server, Some(kind), Load::Udp(Pace::Saturated)));
                ("Kinds of questions over UDP, saturated".to_owned(), few.flat_map(kinds).collect())
            }
            Self::Growth => {
                let grown = |server| {
                    sizes.iter().map(move |&services| Row { services, ..row(server, None, Load::Udp(Pace::Saturated)) })
                };
                let rows = if sizes.len() > 1 { few.flat_map(grown).collect() } else { Vec::new() };
                ("Zones of several sizes, mix over UDP, saturated".to_owned(), rows)
            }
            Self::Tcp | Self::TcpConnect => {
                let (how, load) = match self {
                    Self::Tcp => ("8 pipelined", Load::Pipelined),
                    _ => ("a connection for each question", Load::Connections),
                };
                let few = all.filter(|server| server.has_tcp());
                (format!("Mix over TCP, {how}"), few.map(|server| row(server, None, load)).collect())
            }
        };
        let slices = vec![Vec::new(); rows.len()];
        Table { title: format!("{title}; {main} Services"), rows, slices }
    }
}

/// How something is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    Udp(Pace),
    Pipelined,
    Connections,
}

/// Who is asked what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) server: Server,
    pub(crate) services: usize,
    /// The only kind of question; none for the mix.
    pub(crate) kind: Option<Kind>,
    pub(crate) load: Load,
}

/// What is compared with each other: rows, and a slice of time for each in each cycle.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
    /// By row, then by cycle.
    pub(crate) slices: Vec<Vec<Slice>>,
}

/// What was measured, or why it does not count.
pub(crate) type Slice = std::result::Result<Sample, Dropped>;

/// What a slice of time told.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) tally: Tally,
    /// What the server had of the core.
    pub(crate) cpu: CpuTime,
    pub(crate) took: Duration,
}

/// Why a slice does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The machine's host took the core away.
    Stolen,
    /// Somebody else worked on the core.
    Others,
    /// The load did not keep the server at work.
    Idle,
    /// Nothing was answered, or a connection failed.
    Failed,
}

/// The questions of each kind in each size of zone, made when they are needed first.
#[derive(Default)]
pub(crate) struct Prepared(BTreeMap<(usize, Option<Kind>), Questions>);

impl Prepared {
    /// The questions of one kind, or of the mix.
    pub(crate) fn of(&mut self, services: usize, kind: Option<Kind>) -> &mut Questions {
        let questions = || {
            let mut dice = fastrand::Rng::with_seed(42);
            match kind {
                None => Questions::new(MIX, services, &mut dice),
                Some(kind) => Questions::new(&[(kind, 100)], services, &mut dice),
            }
        };
        self.0.entry((services, kind)).or_insert_with(questions)
    }
}

impl Table {
    /// Measures each row once, in random order.
    pub(crate) fn cycle(
        &mut self,
        contestants: &[Contestant],
        core: &Core,
        prepared: &mut Prepared,
        dice: &mut fastrand::Rng,
    ) -> Result<()> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        dice.shuffle(&mut order);
        for index in order {
            let row = &self.rows[index];
            let asked =
                |contestant: &&Contestant| contestant.server == row.server && contestant.services == row.services;
            let contestant = contestants.iter().find(asked).ok_or("not started")?;
            self.slices[index].push(row.measure(contestant, core, prepared.of(row.services, row.kind))?);
        }
        Ok(())
    }
}

impl Row {
    fn measure(&self, contestant: &Contestant, core: &Core, questions: &mut Questions) -> Result<Slice> {
        let (cpu, usage) = (CpuTime::of(contestant.process.id())?, core.usage()?);
        let address = contestant.address;
        let tally = match self.load {
            Load::Udp(pace) => load::ask(address, self.server.is_floor(), questions, pace, SLICE),
            Load::Pipelined => tcp::pipelined(address, questions, SLICE),
            Load::Connections => tcp::connections(address, questions, SLICE),
        };
        let cpu = CpuTime::of(contestant.process.id())?.since(&cpu);
        let (took, idle, stolen) = core.usage()?.since(&usage);
        let tally = match tally {
            Ok(tally) if tally.answered > 0 => tally,
            Ok(_) => return Ok(Err(Dropped::Failed)),
            Err(error) => {
                eprintln!("{}: {error}", self.server);
                return Ok(Err(Dropped::Failed));
            }
        };
        let others = 1.0 - idle - stolen - cpu.total.as_secs_f64() / took.as_secs_f64();
        let is_paced = matches!(self.load, Load::Udp(Pace::Paced(_)));
        Ok(match () {
            () if stolen > STOLEN => Err(Dropped::Stolen),
            () if others > OTHERS => Err(Dropped::Others),
            () if !is_paced && 1.0 - idle - stolen < AT_WORK => Err(Dropped::Idle),
            () => Ok(Sample { tally, cpu, took }),
        })
    }
}

impl Sample {
    /// The server's time for an answer, in microseconds.
    pub(crate) fn cost(&self) -> f64 {
        self.cpu.total.as_secs_f64() * 1e6 / self.tally.answered as f64
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.tally.answered as f64 / self.took.as_secs_f64()
    }

    /// The octets of an answer.
    pub(crate) fn octets(&self) -> f64 {
        self.tally.octets as f64 / self.tally.answered as f64
    }

    /// The part of the questions that was answered rightly.
    pub(crate) fn answered(&self) -> f64 {
        self.tally.answered as f64 / self.tally.asked as f64
    }

    /// The latency that so many of a hundred answers do not exceed, in microseconds; of paced questions.
    pub(crate) fn latency(&self, percent: usize) -> Option<f64> {
        let latencies = &self.tally.latencies;
        latencies.get(latencies.len() * percent / 100).map(|latency| latency.as_secs_f64() * 1e6)
    }
}

/// By how many octets the right answers of `contestant` are longer than their questions, on average.
pub(crate) fn growth(contestant: &Contestant, questions: &mut Questions) -> Result<usize> {
    let tally = load::ask(contestant.address, false, questions, Pace::Saturated, SLICE)?;
    Ok((tally.octets / tally.answered.max(1)).saturating_sub(questions.octets()))
}

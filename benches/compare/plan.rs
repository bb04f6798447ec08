//! What is measured: tables, their rows, and a slice of time for each row in each cycle.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;

use crate::Result;
use crate::contestants::{Contestant, Entry, Server};
use crate::load::{self, Pace, Tally};
use crate::measure::{Cores, CpuTime, Usage};
use crate::questions::{Kind, MIX, Questions};
use crate::tcp;
use crate::world::World;

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
    /// The mix, to one worker, and to several on as many cores
    Cores,
    /// The mix, in the zone of the cluster at `--kubeconfig`
    Api,
}

impl Measurement {
    /// The table, for these servers and worlds, of which the first is everybody's; it is empty where there is nothing to
    /// compare.
    pub(crate) fn table(self, servers: &[Server], worlds: &[World], cores: &Cores) -> Table {
        // What others are compared by: these are asked where all would take too long.
        let is_one_of_few = |server: &Server| matches!(server, Server::Kubezone | Server::Knot | Server::Nsd);
        let few = || servers.iter().copied().filter(is_one_of_few);
        let saturated = Load::Udp(Pace::Saturated);
        let rows = |world: usize, servers: &mut dyn Iterator<Item = Server>, load: Load| -> Vec<Row> {
            let servers = servers.filter(|server| server.can_serve(&worlds[world]));
            servers.map(|server| Row { entry: Entry { world, server, workers: 1 }, kind: None, load }).collect()
        };
        let all = |load| rows(0, &mut servers.iter().copied(), load);
        let (title, rows) = match self {
            Self::Mix => ("Mix over UDP, saturated".to_owned(), all(saturated)),
            Self::Mix20k => ("Mix over UDP, 20,000 q/s".to_owned(), all(Load::Udp(Pace::Paced(20_000)))),
            Self::Mix50k => ("Mix over UDP, 50,000 q/s".to_owned(), all(Load::Udp(Pace::Paced(50_000)))),
            Self::Kinds => {
                let kinds = |row: Row| Kind::ALL.map(|kind| Row { kind: Some(kind), ..row });
                (
                    "Kinds of questions over UDP, saturated".to_owned(),
                    rows(0, &mut few(), saturated).into_iter().flat_map(kinds).collect(),
                )
            }
            Self::Growth => {
                let sizes: Vec<usize> = (0..worlds.len()).filter(|&world| worlds[world].kubeconfig.is_none()).collect();
                let sizes = |server| {
                    sizes.clone().into_iter().flat_map(move |world| rows(world, &mut [server].into_iter(), saturated))
                };
                ("Mix over UDP, saturated, in zones of several sizes".to_owned(), few().flat_map(sizes).collect())
            }
            Self::Tcp | Self::TcpConnect => {
                let (how, load) = match self {
                    Self::Tcp => ("8 pipelined", Load::Pipelined),
                    _ => ("a connection for each question", Load::Connections),
                };
                let mut with_tcp = servers.iter().copied().filter(|server| server.has_tcp());
                (format!("Mix over TCP, {how}"), rows(0, &mut with_tcp, load))
            }
            Self::Cores => {
                let workers = cores.servers.len();
                let both =
                    |row: Row| [row, Row { entry: Entry { workers, ..row.entry }, load: Load::FromAllCores, ..row }];
                let apart = if cores.are_apart() { "the load on others" } else { "the load on the same" };
                let title = format!("Mix over UDP, saturated: one worker, and {workers} on as many cores, {apart}");
                (title, rows(0, &mut few(), saturated).into_iter().flat_map(both).collect())
            }
            Self::Api => {
                let at_api = worlds.iter().position(|world| world.kubeconfig.is_some());
                let rows = at_api.map(|world| rows(world, &mut servers.iter().copied(), saturated));
                ("Mix over UDP, saturated, in the zone of a Kubernetes API".to_owned(), rows.unwrap_or_default())
            }
        };
        let slices = vec![Vec::new(); rows.len()];
        Table { title, rows, slices }
    }
}

/// How something is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// From one core.
    Udp(Pace),
    FromAllCores,
    Pipelined,
    Connections,
}

/// Who is asked what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) entry: Entry,
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

/// What a slice of time told.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    tally: Tally,
    /// What the server had of the cores.
    pub(crate) cpu: CpuTime,
    took: Duration,
    /// Why it does not count, if it does not.
    pub(crate) dropped: Option<Dropped>,
}

/// Why a slice does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The machine's host took the core away.
    Stolen,
    /// Somebody else worked on the core.
    Shared,
    /// The load did not keep the server at work.
    Idle,
    /// Nothing was answered, or a connection failed.
    Failed,
}

/// The questions of each kind in each world, made when they are needed first.
#[derive(Default)]
pub(crate) struct Prepared(BTreeMap<(usize, Option<Kind>), Questions>);

impl Prepared {
    /// The questions of one kind, or of the mix, in the world at `index`.
    pub(crate) fn of(&mut self, worlds: &[World], index: usize, kind: Option<Kind>) -> &mut Questions {
        let questions = || {
            let mut dice = fastrand::Rng::with_seed(42);
            match kind {
                None => Questions::new(MIX, &worlds[index], &mut dice),
                Some(kind) => Questions::new(&[(kind, 100)], &worlds[index], &mut dice),
            }
        };
        self.0.entry((index, kind)).or_insert_with(questions)
    }
}

impl Table {
    /// Measures each row once, in random order.
    pub(crate) fn cycle(
        &mut self,
        contestants: &[Contestant],
        worlds: &[World],
        cores: &Cores,
        prepared: &mut Prepared,
        dice: &mut fastrand::Rng,
    ) -> Result<()> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        dice.shuffle(&mut order);
        for index in order {
            let row = &self.rows[index];
            let contestant =
                contestants.iter().find(|contestant| contestant.entry == row.entry).ok_or("not started")?;
            let questions = prepared.of(worlds, row.entry.world, row.kind);
            self.slices[index].push(row.measure(contestant, cores, questions)?);
        }
        Ok(())
    }
}

impl Row {
    fn measure(&self, contestant: &Contestant, cores: &Cores, questions: &mut Questions) -> Result<Slice> {
        let (address, is_floor) = (contestant.address, self.entry.server.is_floor());
        let (watched, is_apart) = match self.load {
            Load::FromAllCores => (&cores.servers[..], cores.are_apart()),
            _ => (&[cores.server][..], true),
        };
        let (cpu, usage) = (CpuTime::of(contestant.process.id())?, Usage::of(watched)?);
        let tally = match self.load {
            Load::Udp(pace) => load::ask(1, address, is_floor, questions, pace, SLICE),
            Load::FromAllCores => load::ask_from_all(&cores.loads, address, is_floor, questions, SLICE),
            Load::Pipelined => tcp::pipelined(address, questions, SLICE),
            Load::Connections => tcp::connections(address, questions, SLICE),
        };
        let cpu = CpuTime::of(contestant.process.id())?.since(&cpu);
        let (took, idle, stolen) = Usage::of(watched)?.since(&usage);
        let tally = tally.unwrap_or_else(|error| {
            eprintln!("{}: {error}", self.entry.server);
            Tally::default()
        });
        let others = 1.0 - idle - stolen - cpu.total.as_secs_f64() / took.as_secs_f64() / watched.len() as f64;
        let is_paced = matches!(self.load, Load::Udp(Pace::Paced(_)));
        let dropped = match () {
            () if tally.answered == 0 => Some(Dropped::Failed),
            () if stolen > STOLEN => Some(Dropped::Stolen),
            () if is_apart && others > OTHERS => Some(Dropped::Shared),
            () if !is_paced && 1.0 - idle - stolen < AT_WORK => Some(Dropped::Idle),
            () => None,
        };
        Ok(Slice { tally, cpu, took, dropped })
    }
}

impl Slice {
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
    let tally = load::ask(1, contestant.address, false, questions, Pace::Saturated, SLICE)?;
    Ok((tally.octets / tally.answered.max(1)).saturating_sub(questions.octets()))
}

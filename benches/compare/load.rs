//! The load over UDP: questions from one core, and what came back.
//!
//! *Saturated*, a window of questions is under way all the time; the server
//! always has a queue to work on. *Paced*, questions come one by one at random
//! times, as those of many resolvers do, so many a second on average, whatever
//! becomes of them.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::datagrams::Datagrams;
use crate::measure::Core;
use crate::questions::{Kind, Questions};

/// Questions that are under way at a time: few enough for the buffer of every server's socket.
const WINDOW: usize = 128;
/// How many are sent and received at a time.
const BATCH: usize = 64;
/// How many there is to be room for in the window before more are sent: one by one, the server would be woken up for each.
const REFILL: usize = 32;
/// Where several workers are asked, each core is so many clients: the kernel chooses a worker by the client's address.
const CLIENTS: usize = 16;
/// After this long without an answer, what is under way is lost.
const SILENCE: Duration = Duration::from_millis(20);
/// How many IDs there are.
const IDS: usize = 1 << 16;

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) asked: usize,
    /// How many were answered rightly.
    pub(crate) answered: usize,
    /// The octets of all answers.
    pub(crate) octets: usize,
    /// What each took from question to answer; only of paced ones, and in order.
    pub(crate) latencies: Vec<Duration>,
}

/// How questions follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As quickly as they are answered.
    Saturated,
    /// So many a second.
    Paced(u32),
}

/// Asks as quickly as answers come from each of these cores, for as long as `slice`.
pub(crate) fn ask_from_all(
    cores: &[Core],
    server: SocketAddr,
    is_floor: bool,
    questions: &Questions,
    slice: Duration,
) -> Result<Tally> {
    let tallies: Vec<Option<Tally>> = thread::scope(|scope| {
        let threads: Vec<_> = (cores.iter().enumerate())
            .map(|(index, &core)| {
                let mut questions = questions.from(index, cores.len());
                scope.spawn(move || {
                    Core::run_on(&[core]).ok()?;
                    ask(CLIENTS, server, is_floor, &mut questions, Pace::Saturated, slice).ok()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
    });
    let mut sum = Tally::default();
    for tally in tallies {
        let tally = tally.ok_or("a load failed")?;
        sum.asked += tally.asked;
        sum.answered += tally.answered;
        sum.octets += tally.octets;
    }
    Ok(sum)
}

/// Asks from so many sockets for as long as `slice`; a floor's answers are right by their ID.
pub(crate) fn ask(
    clients: usize,
    server: SocketAddr,
    is_floor: bool,
    questions: &mut Questions,
    pace: Pace,
    slice: Duration,
) -> Result<Tally> {
    let client = |_| -> Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let mut load = Load {
        sockets: (0..clients).map(client).collect::<Result<_>>()?,
        turn: 0,
        is_floor,
        questions,
        datagrams: Datagrams::new(),
        under_way: vec![None; IDS],
        count: 0,
        id: 0,
        tally: Tally::default(),
        started: Instant::now(),
        heard: Duration::ZERO,
    };
    match pace {
        Pace::Saturated => load.saturate(slice)?,
        Pace::Paced(rate) => load.pace(rate, slice)?,
    }
    load.tally.latencies.sort_unstable();
    Ok(load.tally)
}

struct Load<'q> {
    /// One for each client.
    sockets: Vec<UdpSocket>,
    /// Whose turn it is.
    turn: usize,
    is_floor: bool,
    questions: &'q mut Questions,
    datagrams: Datagrams<BATCH>,
    /// By ID: what was asked, and when, since the start.
    under_way: Vec<Option<(Kind, Duration)>>,
    /// How many are under way.
    count: usize,
    /// The next question's.
    id: u16,
    tally: Tally,
    started: Instant,
    /// When the last answer came, since the start.
    heard: Duration,
}

impl Load<'_> {
    fn saturate(&mut self, slice: Duration) -> Result<()> {
        loop {
            let now = self.started.elapsed();
            let room = WINDOW - self.count;
            if now < slice && room >= REFILL {
                self.send(room.min(BATCH), now)?;
            }
            self.receive(now, false)?;
            if now >= slice && self.count == 0 {
                return Ok(());
            }
            self.turn = (self.turn + 1) % self.sockets.len();
        }
    }

    fn pace(&mut self, rate: u32, slice: Duration) -> Result<()> {
        let mut dice = fastrand::Rng::with_seed(u64::from(rate));
        let mut due = Duration::ZERO;
        loop {
            let now = self.started.elapsed();
            let mut count = 0;
            while due <= now && due < slice && count < BATCH {
                count += 1;
                // Exponential: what is between events that know nothing of each other.
                due += Duration::from_secs_f64(-(1.0 - dice.f64()).ln() / f64::from(rate));
            }
            if count > 0 {
                self.send(count, now)?;
            }
            self.receive(now, true)?;
            if due >= slice && self.count == 0 {
                return Ok(());
            }
        }
    }

    /// Sends so many questions.
    fn send(&mut self, count: usize, now: Duration) -> Result<()> {
        let mut numbers = [0; BATCH];
        for number in &mut numbers[..count] {
            let (next, kind) = self.questions.next(self.id);
            *number = next;
            // Whoever has had this ID before is lost.
            if self.under_way[usize::from(self.id)].replace((kind, now)).is_none() {
                self.count += 1;
            }
            self.id = self.id.wrapping_add(1);
        }
        let messages = numbers[..count].iter().map(|&number| self.questions.get(number));
        self.datagrams.send(&self.sockets[self.turn], messages)?;
        self.tally.asked += count;
        Ok(())
    }

    /// Counts what has come by now.
    fn receive(&mut self, now: Duration, timed: bool) -> Result<()> {
        let received = match self.datagrams.receive(&self.sockets[self.turn]) {
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.count > 0 && now.saturating_sub(self.heard) > SILENCE {
                    self.under_way.fill(None);
                    self.count = 0;
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.heard = self.started.elapsed();
        for index in 0..received {
            let message = self.datagrams.get(index);
            let Some(&id) = message.first_chunk() else { continue };
            let Some((kind, sent)) = self.under_way[usize::from(u16::from_be_bytes(id))].take() else { continue };
            self.count -= 1;
            if self.is_floor || kind.is_answered_by(message) {
                self.tally.answered += 1;
                self.tally.octets += message.len();
                if timed {
                    self.tally.latencies.push(self.heard - sent);
                }
            }
        }
        Ok(())
    }
}

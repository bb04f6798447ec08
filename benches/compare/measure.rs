//! What the kernel says that servers take: time, and memory.

use std::fs;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;
use crate::proc::{self, TICK};

/// The time that a process and its children have had, all their threads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuTime {
    /// To the nanosecond, with threads that have ended: clock_getcpuclockid(3).
    pub(crate) total: Duration,
    /// Of it in user mode, and in the kernel, in ticks: `utime` and `stime` of proc(5).
    user: Duration,
    kernel: Duration,
}

impl CpuTime {
    /// That of the process `pid` and all below it, until now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut time = Self::default();
        for pid in tree(pid) {
            let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?;
            time.total += Duration::from(clock.now()?);
            let [user, kernel, ..] = proc::times(pid)?;
            time.user += user;
            time.kernel += kernel;
        }
        Ok(time)
    }

    /// What was added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }

    /// The part of it that was in user mode, as far as ticks can tell.
    pub(crate) fn user_part(&self) -> f64 {
        self.user.as_secs_f64() / (self.user + self.kernel).as_secs_f64()
    }
}

impl AddAssign for CpuTime {
    fn add_assign(&mut self, more: Self) {
        self.total += more.total;
        self.user += more.user;
        self.kernel += more.kernel;
    }
}

/// The process and all below it.
fn tree(pid: u32) -> Vec<u32> {
    let mut tree = vec![pid];
    let mut at = 0;
    while let Some(pid) = tree.get(at) {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<u32> =
            lists.flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
        tree.extend(children);
        at += 1;
    }
    tree
}

/// What a process and its children have in memory, in MiB.
pub(crate) struct Memory {
    /// Resident: what is their own, shared pages once, and of what comes from files that of the largest of them.
    pub(crate) resident: f64,
    /// The most that the largest of them ever had resident.
    pub(crate) peak: f64,
}

impl Memory {
    /// That of the process `pid` and all below it, now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let (mut anonymous, mut files, mut peak) = (0.0, 0.0_f64, 0.0_f64);
        for pid in tree(pid) {
            let field = |file: &str, name: &str| proc::memory(pid, file, name);
            anonymous += field("smaps_rollup", "Pss_Anon")?;
            files = files.max(field("status", "RssFile")? + field("status", "RssShmem")?);
            peak = peak.max(field("status", "VmHWM")?);
        }
        Ok(Self { resident: anonymous + files, peak })
    }
}

/// Which cores do what.
pub(crate) struct Cores {
    /// Where one worker is measured, and where its load comes from.
    pub(crate) server: Core,
    pub(crate) load: Core,
    /// Where several workers are measured, and where their load comes from: halves, or with fewer than four cores all of them
    /// are both.
    pub(crate) servers: Vec<Core>,
    pub(crate) loads: Vec<Core>,
}

impl Cores {
    /// Of those that we may run on; none where there is but one.
    pub(crate) fn allowed() -> Result<Option<Self>> {
        let allowed = sched_getaffinity(None)?;
        let all: Vec<Core> = (0..CpuSet::MAX_CPU).filter(|&number| allowed.is_set(number)).map(Core).collect();
        // Knot pins its threads to the cores from the first one on, whatever it was told.
        let &[server, .., load] = &all[..] else { return Ok(None) };
        let (servers, loads) = if all.len() < 4 { (&all[..], &all[..]) } else { all.split_at(all.len() / 2) };
        Ok(Some(Self { server, load, servers: servers.to_vec(), loads: loads.to_vec() }))
    }

    /// Whether the load of several workers keeps away from them.
    pub(crate) fn are_apart(&self) -> bool {
        self.servers != self.loads
    }
}

/// One of the machine's cores, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Core(usize);

impl Core {
    /// Has this thread run on these cores, and what it starts.
    pub(crate) fn run_on(cores: &[Self]) -> Result<()> {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(core.0));
        Ok(sched_setaffinity(None, &set)?)
    }
}

/// What cores have done until a moment.
pub(crate) struct Usage {
    at: Instant,
    cores: usize,
    idle: Duration,
    stolen: Duration,
}

impl Usage {
    /// That of these cores, until now.
    pub(crate) fn of(cores: &[Core]) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let mut usage = Self { at: Instant::now(), cores: cores.len(), idle: Duration::ZERO, stolen: Duration::ZERO };
        for Core(number) in cores {
            let name = format!("cpu{number} ");
            let line = stat.lines().find_map(|line| line.strip_prefix(&name)).ok_or("no such core")?;
            let ticks: Vec<u32> = line.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
            // user nice system idle iowait irq softirq steal …
            usage.idle += TICK * (ticks[3] + ticks[4]);
            usage.stolen += TICK * ticks[7];
        }
        Ok(usage)
    }

    /// How long it is since `earlier`, and which parts of all cores' time they were idle and taken away.
    pub(crate) fn since(&self, earlier: &Self) -> (Duration, f64, f64) {
        let took = self.at - earlier.at;
        let all = took.as_secs_f64() * self.cores as f64;
        let part = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() / all;
        (took, part(self.idle, earlier.idle), part(self.stolen, earlier.stolen))
    }
}

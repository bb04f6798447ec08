//! What the kernel says that servers take: time, and memory.

use std::fs;
use std::ops::AddAssign;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::Result;

/// The kernel's unit in /proc (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);
const MIB: f64 = 1024.0 * 1024.0;

/// The time that a process and its children have had, all their threads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuTime {
    /// To the nanosecond, from /proc/PID/task/TID/schedstat.
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
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                // A thread that has just ended has no file any more.
                let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
                let nanoseconds = stat.split(' ').next().ok_or("no time")?.parse()?;
                time.total += Duration::from_nanos(nanoseconds);
            }
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // The program's name, in parentheses, may have spaces; `state` follows it, the third field.
            let (_, fields) = stat.rsplit_once(") ").ok_or("no name")?;
            let mut fields = fields.split(' ').skip(14 - 3);
            let mut next = || -> Result<Duration> { Ok(TICK * fields.next().ok_or("no time")?.parse()?) };
            time.user += next()?;
            time.kernel += next()?;
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
            let field = |file: &str, name: &str| kilobytes(Path::new(&format!("/proc/{pid}/{file}")), name);
            anonymous += field("smaps_rollup", "Pss_Anon:")?;
            files = files.max(field("status", "RssFile:")? + field("status", "RssShmem:")?);
            peak = peak.max(field("status", "VmHWM:")?);
        }
        Ok(Self { resident: anonymous + files, peak })
    }
}

/// A field of a file in /proc, in MiB.
fn kilobytes(file: &Path, name: &str) -> Result<f64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / MIB)
}

/// One of the machine's cores.
#[derive(Clone, Copy)]
pub(crate) struct Core {
    number: usize,
    pub(crate) set: CpuSet,
}

impl Core {
    /// Those that we may run on.
    pub(crate) fn allowed() -> Result<Vec<Self>> {
        let allowed = sched_getaffinity(None)?;
        let numbers = (0..CpuSet::MAX_CPU).filter(|&number| allowed.is_set(number));
        Ok(numbers
            .map(|number| {
                let mut set = CpuSet::new();
                set.set(number);
                Self { number, set }
            })
            .collect())
    }

    /// What it has done until now.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let stat = fs::read_to_string("/proc/stat")?;
        let name = format!("cpu{} ", self.number);
        let line = stat.lines().find_map(|line| line.strip_prefix(&name)).ok_or("no such core")?;
        let ticks: Vec<u32> = line.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
        // user nice system idle iowait irq softirq steal …
        Ok(Usage { at: Instant::now(), idle: TICK * (ticks[3] + ticks[4]), stolen: TICK * ticks[7] })
    }
}

/// What a core has done until a moment.
pub(crate) struct Usage {
    at: Instant,
    idle: Duration,
    stolen: Duration,
}

impl Usage {
    /// How long it is since `earlier`, and which parts of it the core was idle and taken away.
    pub(crate) fn since(&self, earlier: &Self) -> (Duration, f64, f64) {
        let took = self.at - earlier.at;
        let part = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() / took.as_secs_f64();
        (took, part(self.idle, earlier.idle), part(self.stolen, earlier.stolen))
    }
}

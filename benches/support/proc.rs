//! What the kernel says in /proc about a process.

// Each bench takes its part of it.
#![allow(dead_code)]

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The kernel's unit of time there (`USER_HZ`).
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// CPU time of the process `pid` and of its children that were waited for: utime, stime, cutime, cstime.
pub(crate) fn times(pid: impl Display) -> Result<[Duration; 4]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the command in parentheses, which may have spaces, they are the fields 14 to 17 of the whole (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
    let mut ticks = fields.split(' ').skip(11);
    let mut times = [Duration::ZERO; 4];
    for time in &mut times {
        *time = TICK * ticks.next().ok_or("no time")?.parse()?;
    }
    Ok(times)
}

/// CPU time of the process `pid`, in user space and in the kernel.
pub(crate) fn cpu(pid: impl Display) -> Result<Duration> {
    let [user, kernel, ..] = times(pid)?;
    Ok(user + kernel)
}

/// A field of a file about the process `pid`, such as `VmRSS` of `status`, in MiB.
pub(crate) fn memory(pid: impl Display, file: &str, field: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no such field")?.trim().parse::<f64>()? / 1024.0)
}

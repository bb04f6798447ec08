//! Cores: how many threads answer UDP, and where they run.

use std::num::NonZero;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tracing::debug;

/// As many as cores that this process may use, be it by its affinity or by its share of their time (cgroups).
#[must_use]
pub fn usable() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Keeps the calling thread, the `number`-th of `count`, on a core of its own, where its data stays in the caches.
///
/// Where there are fewer threads than cores they are left to the system: which
/// cores others keep busy is not ours to know.
pub(super) fn pin(number: usize, count: usize) {
    let pinned = sched_getaffinity(None).and_then(|allowed| {
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let Some(own) = cores.clone().nth(number).filter(|_| cores.by_ref().count() == count) else { return Ok(()) };
        let mut only = CpuSet::new();
        only.set(own);
        sched_setaffinity(None, &only)
    });
    if let Err(error) = pinned {
        debug!(%error, "a UDP thread is not kept on a core of its own");
    }
}

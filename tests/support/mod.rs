//! What the integration tests share.

// Each test binary takes its part of it.
#![allow(dead_code)]

use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) mod answers;
pub(crate) mod browser;
pub(crate) mod control_plane;
pub(crate) mod dns;
pub(crate) mod documents;
pub(crate) mod forward;
pub(crate) mod http;
pub(crate) mod kubezone;
pub(crate) mod log;
pub(crate) mod masters;
pub(crate) mod misbehaving;
pub(crate) mod mounted;
pub(crate) mod netns;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod strangers;
pub(crate) mod worlds;

/// How long a condition may take to come true. Generous: it says that something is broken, not that it is slow. Longer than
/// kubezone listens to an API that says nothing (a minute), and then waits before the next attempt (half a minute).
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// Asks `check` again and again until it gives a value, for at most [`BOUND`].
///
/// # Panics
///
/// When the bound has passed, with what `check` said last.
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(last) => assert!(Instant::now() < deadline, "{what}: not within {BOUND:?}; last: {last}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Tells a test that it cannot run, and why, where nobody can miss it.
///
/// # Panics
///
/// With `CI=true`: there, a test that did not run has failed.
pub(crate) fn skip(test: &str, reason: &dyn Display) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} cannot run: {reason}");
    tell(&format!("\nSKIPPED {test}: {reason}\n"));
}

/// Prints a line past the test harness, which keeps what a passing test prints to itself.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

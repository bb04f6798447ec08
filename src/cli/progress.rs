//! A line on the terminal that says how far something has come that takes its time.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::zone::master;

/// Smaller files are read before anybody could read the line.
const LARGE: usize = 4 << 20;

/// How often the line changes.
const PACE: Duration = Duration::from_millis(100);

/// A line on standard error, where that is a terminal. It goes when this does.
pub(super) struct Line<W: Write> {
    /// The terminal, if there is one.
    terminal: Option<W>,
    /// When the line was written last; none: there is none.
    shown: Option<Instant>,
}

impl Line<io::Stderr> {
    pub(super) fn new() -> Self {
        Self::on(io::stderr().is_terminal().then(io::stderr))
    }
}

impl<W: Write> Line<W> {
    fn on(terminal: Option<W>) -> Self {
        Self { terminal, shown: None }
    }

    /// Shows `text`, if the line has not changed just now.
    pub(super) fn show(&mut self, text: impl fmt::Display) {
        let Some(terminal) = self.terminal.as_mut().filter(|_| self.shown.is_none_or(|at| at.elapsed() >= PACE)) else {
            return;
        };
        // Back to the beginning of the line, and what is left of the longer one before is erased. Nobody has to see it.
        let _ = write!(terminal, "\r{text}\x1b[K");
        let _ = terminal.flush();
        self.shown = Some(Instant::now());
    }
}

impl<W: Write> Drop for Line<W> {
    fn drop(&mut self) {
        if let (Some(terminal), Some(_)) = (&mut self.terminal, self.shown) {
            let _ = write!(terminal, "\r\x1b[K");
            let _ = terminal.flush();
        }
    }
}

/// What `future` gives; from the first second on the line says that `what` is waited for, and how long already.
pub(super) async fn waiting<F: Future>(what: impl fmt::Display, future: F) -> F::Output {
    waiting_on(io::stderr().is_terminal().then(io::stderr), what, future).await
}

async fn waiting_on<F: Future>(terminal: Option<impl Write>, what: impl fmt::Display, future: F) -> F::Output {
    let (mut line, mut future) = (Line::on(terminal), pin!(future));
    let mut seconds = 0;
    loop {
        match timeout(Duration::from_secs(1), &mut future).await {
            Ok(output) => return output,
            Err(_) => {
                seconds += 1;
                line.show(format_args!("{what}: {seconds} s"));
            }
        }
    }
}

/// The progress of one file.
pub(super) struct Progress<'a, W: Write> {
    file: &'a Path,
    octets: usize,
    started: Instant,
    line: Line<W>,
}

impl<'a> Progress<'a, io::Stderr> {
    /// Follows the reading of a file of `octets` octets, where standard error is a terminal.
    pub(super) fn new(file: &'a Path, octets: usize) -> Self {
        Self::on(io::stderr().is_terminal().then(io::stderr), file, octets)
    }
}

impl<'a, W: Write> Progress<'a, W> {
    fn on(terminal: Option<W>, file: &'a Path, octets: usize) -> Self {
        let line = Line::on(terminal.filter(|_| octets >= LARGE));
        Self { file, octets, started: Instant::now(), line }
    }

    pub(super) fn tell(&mut self, master::Progress { octets, records }: master::Progress) {
        let (file, of, seconds) = (self.file.display(), self.octets, self.started.elapsed().as_secs_f64());
        // An empty file has nothing to tell.
        let percent = octets * 100 / of.max(1);
        self.line.show(format_args!("{file}: {percent} %, {records} records, {seconds:.1} s"));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn shown(octets: usize) -> String {
        let mut terminal = Vec::new();
        let mut progress = Progress::on(Some(&mut terminal), Path::new("large.zone"), octets);
        progress.tell(master::Progress { octets: octets / 4, records: 4096 });
        drop(progress);
        String::from_utf8(terminal).unwrap()
    }

    #[test]
    fn the_line_says_how_far_it_is_and_goes_when_all_is_read() {
        let shown = shown(LARGE);
        assert!(shown.starts_with("\rlarge.zone: 25 %, 4096 records, "), "{shown:?}");
        assert!(shown.ends_with(" s\x1b[K\r\x1b[K"), "{shown:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_longer_than_a_second_is_told_for_what() {
        let waited = async |milliseconds| {
            let mut terminal = Vec::new();
            waiting_on(Some(&mut terminal), "a server", sleep(Duration::from_millis(milliseconds))).await;
            String::from_utf8(terminal).unwrap()
        };
        assert_eq!(waited(999).await, "");
        let shown = waited(1500).await;
        assert_eq!(shown, "\ra server: 1 s\x1b[K\r\x1b[K");
    }

    #[test]
    fn nobody_is_told_of_small_files() {
        assert_eq!(shown(LARGE - 1), "");
    }
}

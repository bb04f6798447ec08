//! A line on the terminal that says how far a large file has been read.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::zone::master;

/// Smaller files are read before anybody could read the line.
const LARGE: usize = 4 << 20;

/// How often the line changes.
const PACE: Duration = Duration::from_millis(100);

/// The progress of one file. The line goes when this does.
pub(super) struct Progress<'a, W: Write> {
    file: &'a Path,
    octets: usize,
    started: Instant,
    /// When the line was written last; none: there is none.
    shown: Option<Instant>,
    /// The terminal, if there is one.
    terminal: Option<W>,
}

impl<'a> Progress<'a, io::Stderr> {
    /// Follows the reading of a file of `octets` octets, where standard error is a terminal.
    pub(super) fn new(file: &'a Path, octets: usize) -> Self {
        Self::on(io::stderr().is_terminal().then(io::stderr), file, octets)
    }
}

impl<'a, W: Write> Progress<'a, W> {
    fn on(terminal: Option<W>, file: &'a Path, octets: usize) -> Self {
        let terminal = terminal.filter(|_| octets >= LARGE);
        Self { file, octets, started: Instant::now(), shown: None, terminal }
    }

    pub(super) fn tell(&mut self, master::Progress { octets, records }: master::Progress) {
        let Some(terminal) = self.terminal.as_mut().filter(|_| self.shown.is_none_or(|at| at.elapsed() >= PACE)) else {
            return;
        };
        let (file, percent) = (self.file.display(), octets * 100 / self.octets);
        let seconds = self.started.elapsed().as_secs_f64();
        // Back to the beginning of the line, and what is left of the longer one before is erased. Nobody has to see it.
        let _ = write!(terminal, "\r{file}: {percent} %, {records} records, {seconds:.1} s\x1b[K");
        let _ = terminal.flush();
        self.shown = Some(Instant::now());
    }
}

impl<W: Write> Drop for Progress<'_, W> {
    fn drop(&mut self) {
        if let (Some(terminal), Some(_)) = (&mut self.terminal, self.shown) {
            let _ = write!(terminal, "\r\x1b[K");
            let _ = terminal.flush();
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn nobody_is_told_of_small_files() {
        assert_eq!(shown(LARGE - 1), "");
    }
}

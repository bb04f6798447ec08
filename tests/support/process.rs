//! Programs and folders that do not outlive the test that made them, however it ends.
//!
//! A guard that cleans up when dropped is not enough: nothing is dropped when a test process is killed, and statics never
//! are. So each program and folder has a keeper, a shell that reads a pipe whose other end only the test process holds.
//! When that end is closed, by a drop or by the kernel, the keeper does its work.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

/// Becomes the program: its pid is the shell's, which the keeper left behind knows.
const PROGRAM: &str = r#"
    exec 3<&0 </dev/null
    (cat <&3; kill -KILL $$) >/dev/null 2>&1 &
    exec "$@" 3<&-
"#;

/// Again, because programs that are about to be killed may still be writing there.
const FOLDER: &str = r#"
    cat
    until rm -rf "$1"; do sleep 0.1; done
"#;

/// A program that a test started. It is killed when dropped; a failing test prints what it said last.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it says, on both outputs, is added to `log`.
    ///
    /// # Errors
    ///
    /// The log cannot be made, or there is no shell. A program that cannot be started says so in the log and has
    /// ended.
    pub(crate) fn start(program: &Path, args: &[String], log: PathBuf) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new("sh")
            .args(["-c", PROGRAM, "keeper"])
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child, log })
    }

    /// Its process ID.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, when it has ended by itself.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends it a signal by name, e.g. `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} sent to {}", self.child.id());
    }

    /// What it said until now.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if thread::panicking() {
            let said = self.said();
            let last = said.lines().count().saturating_sub(40);
            eprintln!("--- {}", self.log.display());
            said.lines().skip(last).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A temporary folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    keeper: Child,
}

impl Folder {
    /// An empty one, that only we can read.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub(crate) fn new() -> io::Result<Self> {
        let path = tempfile::Builder::new().prefix("kubezone-").tempdir()?.keep();
        let keeper = Command::new("sh").args(["-c", FOLDER, "keeper"]).arg(&path).stdin(Stdio::piped()).spawn()?;
        Ok(Self { path, keeper })
    }

    /// Where something is, or will be.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

//! Watches files and folders: says that something may have changed, never what.
//!
//! Folders are watched, not files: editors replace a file by renaming another
//! over it, and a ConfigMap's files are links through one link that is
//! swapped. A change is reported when its writer is done (it closed or renamed
//! the file), so that half a file is not read as a deletion. Whoever has read
//! asks [`Watch::is_disturbed`]: a writer may have begun in the meantime. What
//! the kernel does not tell (a network file system, a link into a folder not
//! watched) a re-scan finds: [`Watch::changed`] also returns every [`RESCAN`],
//! and when [`Rescans`] ask. Whoever reads compares with what it read before.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf, absolute};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

/// How long a change that the kernel does not tell may go unseen.
pub const RESCAN: Duration = Duration::from_secs(30);

/// How long it must have been quiet before a change is reported: some editors
/// move the old file away before they write the new one, and a checkout
/// changes many files.
const QUIET: Duration = Duration::from_millis(50);

/// Has all the watches that heed it look at once, whatever the kernel told: as SIGHUP asks for.
#[derive(Debug, Clone)]
pub struct Rescans(Arc<watch::Sender<()>>);

impl Default for Rescans {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(())))
    }
}

impl Rescans {
    /// Asks for one.
    pub fn ask(&self) {
        self.0.send_replace(());
    }
}

/// Files and folders that are watched from [`Watch::new`] on.
///
/// Create it before the first reading: what changes between a reading and the
/// next call of [`Watch::changed`] makes that call return.
#[derive(Debug)]
pub struct Watch {
    folders: BTreeSet<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    seen: Arc<Seen>,
    rescan: Instant,
    asked: Option<watch::Receiver<()>>,
    /// [`State::begun`] when a change was reported last.
    begun: u64,
}

impl Watch {
    /// Watches `paths`: a folder for what is directly in it, a file by its folder.
    ///
    /// A folder that does not exist yet is watched for. What cannot be watched is only re-scanned.
    #[must_use]
    pub fn new<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let seen = Arc::<Seen>::default();
        let sink = Arc::clone(&seen);
        let watcher = notify::recommended_watcher(move |event| sink.note(event))
            .inspect_err(|error| warn!(%error, rescan = ?RESCAN, "files cannot be watched, only re-scanned"))
            .ok();
        let rescan = Instant::now() + RESCAN;
        let mut watch = Self { folders: BTreeSet::new(), watcher, seen, rescan, asked: None, begun: 0 };
        watch.set(paths);
        watch
    }

    /// The same, and looks at once when `rescans` ask.
    #[must_use]
    pub fn asked_by(self, rescans: &Rescans) -> Self {
        Self { asked: Some(rescans.0.subscribe()), ..self }
    }

    /// Watches `paths` from now on; who is writing to one that was watched before stays known.
    pub fn set<P: AsRef<Path>>(&mut self, paths: impl IntoIterator<Item = P>) {
        // As the kernel's events have them.
        let paths = paths.into_iter().map(|path| absolute(&path).unwrap_or_else(|_| path.as_ref().to_owned()));
        let paths: BTreeSet<PathBuf> = paths.collect();
        let folders: BTreeSet<PathBuf> = paths.iter().map(|path| folder(path)).collect();
        {
            let mut state = self.seen.state();
            state.paths = paths;
            state.folders.clone_from(&folders);
        }
        let before = std::mem::replace(&mut self.folders, folders);
        let Some(watcher) = &mut self.watcher else { return };
        for gone in before.difference(&self.folders) {
            // An error says that it was not watched: nothing to undo.
            let _ = watcher.unwatch(gone);
        }
        for new in self.folders.difference(&before) {
            watch_folder(watcher, new, &self.seen);
        }
    }

    /// Waits until something may have changed, or it is time for a re-scan.
    ///
    /// Nothing is lost when the future is dropped before it is ready.
    pub async fn changed(&mut self) {
        let mut held = false;
        loop {
            tokio::select! {
                begun = self.seen.complete() => {
                    self.begun = begun;
                    if std::mem::take(&mut self.seen.state().moved) {
                        self.watch_folders();
                    }
                    return;
                }
                () = asked(&mut self.asked) => {
                    let state = self.seen.state();
                    // When a writer at work is done, there is a change anyway.
                    if state.unfinished.is_empty() {
                        self.begun = state.begun;
                        return;
                    }
                    continue;
                }
                () = sleep_until(self.rescan) => {}
            }
            self.rescan = Instant::now() + RESCAN;
            self.watch_folders();
            // A writer at work gets one more interval, not every one: it may be a log.
            held = !held && self.seen.forget_unfinished();
            if !held {
                self.begun = self.seen.state().begun;
                return;
            }
        }
    }

    /// Whether somebody has begun to write to a watched file since a change was reported last, or since the
    /// beginning: what was read may be half a file. When the writer is done, a change is reported.
    pub async fn is_disturbed(&self) -> bool {
        // What the kernel tells takes a moment to arrive.
        sleep(QUIET).await;
        self.seen.state().begun != self.begun
    }

    /// Watches every folder anew: its path may by now lead to another folder.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for above in std::mem::take(&mut self.seen.state().above) {
            let _ = watcher.unwatch(&above);
        }
        for folder in &self.folders {
            // An error says that it was not watched: nothing to undo.
            let _ = watcher.unwatch(folder);
            watch_folder(watcher, folder, &self.seen);
        }
    }
}

/// Watches `folder`; where it does not exist, for what leads to it.
fn watch_folder(watcher: &mut RecommendedWatcher, folder: &Path, seen: &Seen) {
    let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) else { return };
    debug!(folder = %folder.display(), %error, "folder not watched");
    for above in folder.ancestors().skip(1) {
        if watcher.watch(above, RecursiveMode::NonRecursive).is_err() {
            continue;
        }
        {
            let mut state = seen.state();
            state.above.insert(above.to_path_buf());
            if !folder.ancestors().any(|path| path != above && path.starts_with(above) && path.exists()) {
                return;
            }
            // It came while we looked elsewhere.
            state.moved = true;
            state.complete = Some(Instant::now());
        }
        return seen.wake.notify_one();
    }
}

/// Waits until somebody asks; for ever if there is nobody.
async fn asked(by: &mut Option<watch::Receiver<()>>) {
    if let Some(asked) = by
        && asked.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// The folder whose entries tell about `path`.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        _ if path.is_dir() => path.to_path_buf(),
        Some(parent) => parent.to_path_buf(),
        None => path.to_path_buf(),
    }
}

/// What the kernel told and nobody was told yet.
#[derive(Debug, Default)]
struct Seen {
    state: Mutex<State>,
    wake: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What is watched, not merely beside it.
    paths: BTreeSet<PathBuf>,
    /// The folders whose entries tell about those.
    folders: BTreeSet<PathBuf>,
    /// Folders that are watched because one of `folders` further down does not exist.
    above: BTreeSet<PathBuf>,
    /// The path to one of `folders` is another than it was.
    moved: bool,
    /// When the last change was complete.
    complete: Option<Instant>,
    /// Watched files that somebody is writing to.
    unfinished: HashSet<PathBuf>,
    /// How often somebody has begun to write to a watched file.
    begun: u64,
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: notify::Result<notify::Event>) {
        if self.state().note(event) {
            self.wake.notify_one();
        }
    }

    /// Forgets who is writing; whether anybody was.
    fn forget_unfinished(&self) -> bool {
        let mut state = self.state();
        !std::mem::take(&mut state.unfinished).is_empty()
    }

    /// Waits until there is a complete change, no writer is at work, and it has been quiet; [`State::begun`] then.
    async fn complete(&self) -> u64 {
        loop {
            let quiet = {
                let mut state = self.state();
                let quiet = state.complete.filter(|_| state.unfinished.is_empty()).map(|at| at + QUIET);
                if quiet.is_some_and(|quiet| quiet <= Instant::now()) {
                    state.complete = None;
                    return state.begun;
                }
                quiet
            };
            match quiet {
                None => self.wake.notified().await,
                Some(quiet) => tokio::select! {
                    () = self.wake.notified() => {}
                    () = sleep_until(quiet) => {}
                },
            }
        }
    }
}

impl State {
    /// Takes in an event; whether it says something new.
    fn note(&mut self, event: notify::Result<notify::Event>) -> bool {
        let event = match event {
            Ok(event) => event,
            // Something may have been missed.
            Err(error) => {
                debug!(%error, "watching files");
                self.complete = Some(Instant::now());
                return true;
            }
        };
        match event.kind {
            // Opened or read, by ourselves for one.
            EventKind::Access(AccessKind::Open(_) | AccessKind::Read | AccessKind::Close(AccessMode::Read)) => {
                return false;
            }
            // Only inotify tells when a writer is done. A link is complete when it is there.
            EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_))
                if cfg!(target_os = "linux") && !event.paths.iter().any(|path| path.is_symlink()) =>
            {
                // A log that is written beside a zone file holds nothing back.
                let is_watched = |path: &PathBuf| {
                    self.paths.contains(path) || path.parent().is_some_and(|folder| self.paths.contains(folder))
                };
                let before = self.unfinished.len();
                self.unfinished.extend(event.paths.into_iter().filter(is_watched));
                let is_new = self.unfinished.len() > before;
                self.begun += u64::from(is_new);
                return is_new;
            }
            // Told a second time, with both names.
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return false,
            _ => {}
        }
        for path in &event.paths {
            self.unfinished.remove(path);
        }
        let leads_to_folder = |path: &PathBuf| self.folders.iter().any(|folder| folder.starts_with(path));
        let is_above = |path: &PathBuf| {
            path.parent().is_some_and(|parent| self.above.contains(parent) && !self.folders.contains(parent))
        };
        if event.paths.iter().any(leads_to_folder) {
            self.moved = true;
        } else if !event.paths.is_empty() && event.paths.iter().all(is_above) {
            return false;
        }
        self.complete = Some(Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use notify::event::{DataChange, ModifyKind};
    use tokio::time::timeout;

    use super::*;

    const BOUND: Duration = Duration::from_secs(20);

    /// A change is reported well before a re-scan would find it.
    async fn check(watch: &mut Watch, what: &str) {
        timeout(BOUND, watch.changed()).await.unwrap_or_else(|_| panic!("{what} was not seen"));
    }

    #[tokio::test]
    async fn files_written_renamed_removed_and_linked_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("k8s.ooo.zone");
        let mut watch = Watch::new([&file]);

        fs::write(&file, "a").unwrap();
        check(&mut watch, "a new file").await;

        fs::write(folder.path().join("new"), "b").unwrap();
        check(&mut watch, "another file").await;
        fs::rename(folder.path().join("new"), &file).unwrap();
        check(&mut watch, "a file renamed over it").await;

        fs::remove_file(&file).unwrap();
        check(&mut watch, "a file removed").await;

        std::os::unix::fs::symlink("elsewhere", &file).unwrap();
        check(&mut watch, "a link").await;
    }

    #[tokio::test]
    async fn a_config_map_swapped_by_its_link_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("..1")).unwrap();
        fs::write(at("..1/zone"), "a").unwrap();
        std::os::unix::fs::symlink("..1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/zone", at("zone")).unwrap();
        let mut watch = Watch::new([at("zone")]);

        fs::create_dir(at("..2")).unwrap();
        fs::write(at("..2/zone"), "b").unwrap();
        std::os::unix::fs::symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();

        check(&mut watch, "the swap").await;
        assert_eq!(fs::read_to_string(at("zone")).unwrap(), "b");
    }

    #[tokio::test]
    async fn a_folder_that_is_made_later_is_watched_and_so_is_one_that_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (above, below) = (folder.path().join("a/b"), folder.path().join("a/b/c"));
        let mut watch = Watch::new([&below.join("k8s.ooo.zone")]);
        for round in 0..2 {
            fs::create_dir_all(&above).unwrap();
            fs::create_dir(&below).unwrap();
            check(&mut watch, &format!("the folder, round {round}")).await;
            fs::write(below.join("k8s.ooo.zone"), "a").unwrap();
            check(&mut watch, &format!("the file in it, round {round}")).await;
            fs::remove_dir_all(folder.path().join("a")).unwrap();
            check(&mut watch, &format!("its removal, round {round}")).await;
        }
        // What happens beside the way to it is no news.
        let other = folder.path().join("other").display().to_string();
        assert!(!watch.seen.state().note(event(CLOSED, &other)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rescan_may_be_asked_for() {
        let rescans = Rescans::default();
        let mut watch = Watch::new(["/nowhere/a"]).asked_by(&rescans);
        let start = Instant::now();
        rescans.ask();
        watch.changed().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        watch.changed().await;
        assert_eq!(start.elapsed(), RESCAN, "asked once, it looks once");
    }

    #[tokio::test]
    async fn what_changes_between_two_calls_is_seen_by_the_second() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([folder.path()]);
        fs::write(folder.path().join("a"), "a").unwrap();
        check(&mut watch, "the first").await;
        // Nobody is waiting while this happens.
        fs::write(folder.path().join("b"), "b").unwrap();
        check(&mut watch, "the second").await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_is_seen_when_its_writer_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([folder.path()]);
        let mut file = File::create(folder.path().join("a")).unwrap();
        file.write_all(b"half").unwrap();
        let unfinished = || !watch.seen.state().unfinished.is_empty();
        let begun = std::time::Instant::now();
        while !unfinished() {
            assert!(begun.elapsed() < BOUND, "the writing was not seen");
            tokio::task::yield_now().await;
        }
        // Another file in the same folder is complete; the reader would read both.
        fs::write(folder.path().join("b"), "b").unwrap();
        file.write_all(b" and half").unwrap();
        drop(file);
        check(&mut watch, "the end").await;
        assert!(watch.seen.state().unfinished.is_empty());
    }

    fn event(kind: EventKind, path: &str) -> notify::Result<notify::Event> {
        Ok(notify::Event::new(kind).add_path(path.into()))
    }

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn half_a_file_holds_back_a_whole_one_but_not_for_ever() {
        let mut watch = Watch::new(["/nowhere/half", "/nowhere/log"]);
        let start = Instant::now();
        watch.seen.note(event(WRITTEN, "/nowhere/half"));
        watch.seen.note(event(CLOSED, "whole"));
        watch.changed().await;
        assert_eq!(start.elapsed(), RESCAN, "a writer who fell silent is forgotten by the re-scan");

        watch.seen.note(event(WRITTEN, "/nowhere/log"));
        let (seen, start) = (Arc::clone(&watch.seen), Instant::now());
        let log = async {
            loop {
                sleep_until(Instant::now() + RESCAN / 3).await;
                seen.note(event(WRITTEN, "/nowhere/log"));
            }
        };
        tokio::select! { () = log => {} () = watch.changed() => {} }
        assert_eq!(start.elapsed(), RESCAN * 2, "a writer who never ends holds back one re-scan");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn a_writer_who_begins_while_files_are_read_disturbs() {
        let mut watch = Watch::new(["/nowhere/a", "/nowhere/b"]);
        assert!(!watch.is_disturbed().await);
        // Begun, and begun and done: both were read in between.
        watch.seen.note(event(WRITTEN, "/nowhere/a"));
        assert!(watch.is_disturbed().await);
        watch.seen.note(event(CLOSED, "/nowhere/a"));
        assert!(watch.is_disturbed().await);
        watch.changed().await;
        assert!(!watch.is_disturbed().await);
        // More folders to watch make nobody forget who is writing.
        watch.seen.note(event(WRITTEN, "/nowhere/b"));
        watch.set(["/nowhere/b", "/nowhere/c/d"]);
        assert!(watch.is_disturbed().await);
        watch.changed().await;
        assert!(!watch.is_disturbed().await, "one who falls silent is not waited for again");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_log_beside_a_file_does_not_hold_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = File::create(folder.path().join("log")).unwrap();
        let file = folder.path().join("zone");
        let mut watch = Watch::new([&file]);
        log.write_all(b"a line").unwrap();
        fs::write(&file, "a").unwrap();
        check(&mut watch, "the file").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_reported_once_and_when_it_is_over() {
        let mut watch = Watch::new([] as [&Path; 0]);
        let start = Instant::now();
        for _ in 0..3 {
            watch.seen.note(event(CLOSED, "a"));
            tokio::time::advance(QUIET / 2).await;
        }
        watch.changed().await;
        assert_eq!(start.elapsed(), QUIET * 2);
        watch.changed().await;
        assert_eq!(start.elapsed(), RESCAN, "the next is the re-scan");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_given_up_loses_nothing() {
        let mut watch = Watch::new([] as [&Path; 0]);
        watch.seen.note(event(CLOSED, "a"));
        assert!(timeout(QUIET / 2, watch.changed()).await.is_err());
        let start = Instant::now();
        watch.changed().await;
        assert_eq!(start.elapsed(), QUIET - QUIET / 2);
    }
}

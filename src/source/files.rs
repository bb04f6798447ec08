//! Zones from master files: read at the start, and again when they change.
//!
//! A file that is no zone changes nothing: what was served before is served
//! on, and a zone that never loaded stays pending while the others go ahead.
//! Files keep their own serials; secondaries go by them, so that whoever
//! changes a file without raising its serial is told.

use std::fs;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hickory_proto::rr::Name;
use tracing::{error, info, warn};

use super::load::{FileError, Placed, read_for_server};
use super::{Preparation, PrepareError, Proposal, Proposals, Rescans, Watch, aside};
use crate::config::FileZone;
use crate::error::chain;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::zone::{State, Zone};

/// How many warnings about a file the log has at most, each time it is taken over.
const LINES: usize = 100;

/// Publishes `zones` from their files, and again whenever a file has changed; never ends.
///
/// `zones` are always those agreed. What is published at their names when this begins is served on until they load.
pub async fn follow(
    zones: &mut Vec<FileZone>,
    proposals: &mut Proposals<FileZone>,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    rescans: &Rescans,
) {
    let mut watch = Watch::new(zones.iter().map(|zone| &zone.path)).asked_by(rescans);
    let mut files: Vec<File> = zones.iter().map(|zone| File::new(zone.clone(), &published)).collect();
    loop {
        // A large file takes a while to read: not on a thread that others wait for.
        let read;
        (files, read) = aside(move || {
            let read: Vec<_> = files.iter_mut().map(File::read).collect();
            (files, read)
        })
        .await;
        if watch.is_disturbed().await {
            // What was read may be half a file.
            files.iter_mut().for_each(|file| file.last = None);
        } else {
            let (published, metrics) = (Arc::clone(&published), Arc::clone(&metrics));
            files = aside(move || {
                publish(&mut files, read, &published, &metrics);
                files
            })
            .await;
        }
        tokio::select! {
            () = watch.changed() => {}
            Some(proposal) = proposals.recv() => {
                let agreed;
                (files, agreed) = consider(files, proposal, &published).await;
                if let Some(agreed) = agreed {
                    *zones = agreed;
                    // Watched first, read again then: nothing changes unseen in between.
                    watch.set(zones.iter().map(|zone| &zone.path));
                }
            }
        }
    }
}

/// Prepares for other zones, and takes their files on if that is agreed.
async fn consider(
    mut files: Vec<File>,
    proposal: Proposal<FileZone>,
    published: &Arc<Published>,
) -> (Vec<File>, Option<Vec<FileZone>>) {
    let wanted = proposal.zones.clone();
    let is_known = |zone: &FileZone| files.iter().any(|file| file.zone == *zone);
    let fresh = wanted.iter().filter(|zone| !is_known(zone));
    let fresh: Vec<_> = fresh.map(|zone| File::new(zone.clone(), published)).collect();
    let (fresh, answer) = aside(move || prepare(fresh)).await;
    let agreed = proposal.decided(answer).await;
    if agreed.is_some() {
        let published = Arc::clone(published);
        files = aside(move || {
            files.retain(|file| wanted.contains(&file.zone));
            let mut changed = Vec::new();
            for (mut file, read) in fresh {
                changed.extend(file.replace(read.0, &read.1).map(|zone| zone.apex().clone()));
                files.push(file);
            }
            warn_of_undelegated(&published, &changed);
            files
        })
        .await;
    }
    (files, agreed)
}

/// Files that are new, and what each says.
type Fresh = Vec<(File, (Arc<Zone>, Vec<Placed>))>;

/// Reads `files`: all of them, or none is taken on.
fn prepare(files: Vec<File>) -> (Fresh, Result<Preparation, PrepareError>) {
    let mut fresh = Vec::new();
    let mut versions = Vec::new();
    for mut file in files {
        match file.read() {
            Ok(read) => {
                let read = read.expect("it was not read before");
                versions.push((file.zone.apex.clone(), State::Loaded(Arc::clone(&read.0))));
                fresh.push((file, read));
            }
            Err(error) => {
                let FileZone { apex, path } = file.zone;
                return (Vec::new(), Err(PrepareError::File { zone: apex, path, error: Box::new(error) }));
            }
        }
    }
    (fresh, Ok(Preparation { versions, ..Preparation::default() }))
}

/// Puts the zones that changed into their places, all in one swap: of each file what was read.
fn publish(files: &mut [File], read: Vec<Read>, published: &Published, metrics: &Metrics) {
    let mut changed = Vec::new();
    for (file, read) in files.iter_mut().zip(read) {
        match file.take_over(read) {
            Ok(Some(zone)) => changed.push((zone.apex().clone(), State::Loaded(zone))),
            Ok(None) => {}
            Err(error) => {
                file.report(&error);
                metrics.reload_failed();
                metrics
                    .troubles()
                    .set_file(&file.zone.apex, Some(format!("{}: {}", file.zone.path.display(), chain(&error))));
            }
        }
        if file.failure.is_none() {
            metrics.troubles().set_file(&file.zone.apex, None);
        }
    }
    if changed.is_empty() {
        return;
    }
    let parents: Vec<_> = changed.iter().map(|(apex, _): &(Name, _)| apex.clone()).collect();
    published.replace(changed);
    warn_of_undelegated(published, &parents);
}

/// Names the zones here that those at `parents`, which have changed, do not delegate.
fn warn_of_undelegated(published: &Published, parents: &[Name]) {
    let served = published.load();
    for parent in parents {
        for zone in served.zones.undelegated(parent) {
            warn!(%zone, %parent, "the zone is served here, and its parent has no NS records for it: resolvers cannot find it");
        }
    }
}

/// What a file says, if that may be another thing than before.
type Read = Result<Option<(Arc<Zone>, Vec<Placed>)>, FileError>;

/// A zone's file and what has become of it.
#[derive(Debug)]
struct File {
    zone: FileZone,
    served: Option<Arc<Zone>>,
    /// What was read last, as a hash; none where that does not tell whether anything changed.
    last: Option<u64>,
    /// Why it could not be taken over the last time: said once, not at every re-scan.
    failure: Option<String>,
}

impl File {
    /// A file that continues what is published at its zone's name, if that is anything.
    fn new(zone: FileZone, published: &Published) -> Self {
        let served = match published.load().zones.get(&zone.apex) {
            Some(State::Loaded(served) | State::Expired(served)) => Some(Arc::clone(served)),
            Some(State::Pending) | None => None,
        };
        Self { zone, served, last: None, failure: None }
    }

    /// What the file says; none where it is the text that was read before.
    fn read(&mut self) -> Read {
        let text = fs::read(&self.zone.path).inspect_err(|_| self.last = None)?;
        let read = FixedState::default().hash_one(&text);
        if self.last == Some(read) {
            return Ok(None);
        }
        // The files it includes may change without it.
        let includes = text.windows(8).any(|word| word.eq_ignore_ascii_case(b"$INCLUDE"));
        self.last = (!includes).then_some(read);
        let (zone, warnings) = read_for_server(&self.zone, &text)?;
        Ok(Some((Arc::new(zone), warnings)))
    }

    /// The zone, where it is another than the one before; an error that was there before is no news either.
    fn take_over(&mut self, read: Read) -> Result<Option<Arc<Zone>>, FileError> {
        let failure = read.as_ref().err().map(|error| format!("{error:?}"));
        let news = failure != self.failure;
        self.failure = failure;
        match read {
            Ok(read) => Ok(read.and_then(|(zone, warnings)| self.replace(zone, &warnings))),
            Err(error) if news => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn replace(&mut self, zone: Arc<Zone>, warnings: &[Placed]) -> Option<Arc<Zone>> {
        let (apex, file, serial) = (&self.zone.apex, self.zone.path.display(), zone.serial());
        if let Some(served) = &self.served {
            if served.says_the_same(&zone) {
                return None;
            }
            if served.serial() == serial {
                warn!(zone = %apex, %file, %serial, "zone changed under the same serial: raise it, secondaries go by it");
            } else if !serial.is_newer_than(served.serial()) {
                warn!(zone = %apex, %file, %serial, served = %served.serial(), "zone has a serial below the one served");
            }
        }
        for Placed { place, warning } in warnings.iter().take(LINES) {
            warn!(zone = %apex, %file, %place, %warning, "zone file is odd");
        }
        let more = warnings.len().saturating_sub(LINES);
        if more > 0 {
            warn!(zone = %apex, %file, more, "zone file is odd in more places: `kubezone zone lint` tells all");
        }
        let records: usize = zone.census().iter().map(|(_, count)| count).sum();
        info!(zone = %apex, %file, %serial, records, "zone published");
        self.served = Some(Arc::clone(&zone));
        Some(zone)
    }

    fn report(&self, error: &FileError) {
        let (zone, file) = (&self.zone.apex, self.zone.path.display());
        let (line, column) = error.place().map(|at| (at.position.line, at.position.column)).unzip();
        let error = chain(error);
        match &self.served {
            Some(served) => {
                let serial = served.serial();
                error!(%zone, %file, line, column, error, %serial, "zone file not taken over: the zone before is served on");
            }
            None => {
                error!(%zone, %file, line, column, error, "zone file not taken over: the zone is answered with SERVFAIL");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::nameserver::Served;
    use crate::source::log::Log;
    use crate::zone::{Serial, Zones};

    /// A server's zones, followed from `a.zone` and `b.zone` in a folder of their own.
    struct Followed {
        folder: tempfile::TempDir,
        published: Arc<Published>,
        metrics: Arc<Metrics>,
        _follower: Option<AbortOnDropHandle<()>>,
    }

    fn apex(name: &str) -> Name {
        Name::from_ascii(format!("{name}.example.")).unwrap()
    }

    fn text(serial: u32, rest: &str) -> String {
        format!("$TTL 1h\n@ SOA ns.example.net. . {serial} 4h 1h 2w 5m\n  NS ns.example.net.\n{rest}\n")
    }

    impl Followed {
        fn new(a: &str, b: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let zones = Zones::pending(["a", "b"].map(apex));
            let published = Arc::new(Published::new(Served { zones, ..Served::default() }));
            let metrics = Metrics::new(Arc::clone(&published));
            let mut followed = Self { folder, published, metrics, _follower: None };
            followed.write("a.zone", a);
            followed.write("b.zone", b);
            let files = ["a", "b"]
                .map(|name| FileZone { apex: apex(name), path: followed.folder.path().join(format!("{name}.zone")) });
            let (published, metrics) = (Arc::clone(&followed.published), Arc::clone(&followed.metrics));
            let (_nobody, mut proposals) = tokio::sync::mpsc::channel(1);
            followed._follower = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                follow(&mut files.to_vec(), &mut proposals, published, metrics, &Rescans::default()).await;
            })));
            followed
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn serial(&self, name: &str) -> Option<u32> {
            match self.published.load().zones.get(&apex(name)) {
                Some(State::Loaded(zone)) => Some(zone.serial().0),
                _ => None,
            }
        }

        fn failures(&self) -> usize {
            let text = self.metrics.text();
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix("kubezone_reload_failed_total ")).unwrap().parse().unwrap()
        }

        /// The serials of both zones and the failures counted become these.
        async fn check(&self, a: Option<u32>, b: Option<u32>, failures: usize) {
            let begun = Instant::now();
            loop {
                let found = (self.serial("a"), self.serial("b"), self.failures());
                if found == (a, b, failures) {
                    return;
                }
                assert!(begun.elapsed() < Duration::from_secs(20), "{found:?}, not {:?}", (a, b, failures));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[tokio::test]
    async fn a_bad_file_keeps_its_own_zone_back_until_it_is_mended() {
        let zones = Followed::new(&text(1, ""), "@ A");
        zones.check(Some(1), None, 1).await;
        zones.write("b.zone", &text(7, ""));
        zones.check(Some(1), Some(7), 1).await;
    }

    #[tokio::test]
    async fn a_changed_file_is_served_and_a_bad_one_changes_nothing() {
        let zones = Followed::new(&text(1, ""), &text(1, ""));
        zones.check(Some(1), Some(1), 0).await;

        zones.write("a.zone", &text(2, "b NS"));
        zones.check(Some(1), Some(1), 1).await;
        // Not the file's fault, but just as little a reason to serve less.
        fs::remove_file(zones.folder.path().join("b.zone")).unwrap();
        zones.check(Some(1), Some(1), 2).await;

        zones.write("new", &text(3, "b NS ns"));
        fs::rename(zones.folder.path().join("new"), zones.folder.path().join("a.zone")).unwrap();
        zones.check(Some(3), Some(1), 2).await;
    }

    #[tokio::test]
    async fn what_a_file_includes_is_part_of_it() {
        let zones = Followed::new(&text(1, "$INCLUDE part"), &text(1, ""));
        zones.check(None, Some(1), 1).await;
        zones.write("part", "b NS ns.example.net.\n");
        zones.check(Some(1), Some(1), 1).await;
    }

    fn file(text: &str) -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zone");
        fs::write(&path, text).unwrap();
        (folder, File::new(FileZone { apex: apex("a"), path }, &Published::new(Served::default())))
    }

    #[test]
    fn only_other_records_make_another_version() {
        let (_folder, mut file) = file(&text(1, ""));
        let mut check = |text: &str, expected: Option<u32>| {
            fs::write(&file.zone.path, text).unwrap();
            let read = file.read();
            assert_eq!(file.take_over(read).unwrap().map(|zone| zone.serial()), expected.map(Serial), "{text}");
        };
        check(&text(1, ""), Some(1));
        check(&text(1, ""), None);
        check(&text(1, "; a comment"), None);
        check(&text(1, "a NS ns.example.net."), Some(1));
        check(&text(9, "a NS ns.example.net."), Some(9));
        check(&text(5, "a NS ns.example.net."), Some(5));
    }

    #[test]
    fn what_is_odd_is_told_in_a_hundred_lines() {
        for (twice, lines, rest) in [(100, 100, 0), (250, 101, 1)] {
            let records: String = (0..twice).map(|number| format!("h{number} A 192.0.2.1\n").repeat(2)).collect();
            let (_folder, mut file) = file(&text(1, &records));
            let (log, _guards) = Log::start();
            let read = file.read();
            assert!(file.take_over(read).unwrap().is_some());
            assert_eq!((log.count("zone file is odd"), log.count("in more places")), (lines, rest));
        }
    }

    #[test]
    fn an_error_is_news_once() {
        let (folder, mut file) = file(&text(1, "$INCLUDE part"));
        let mut check = |is_news: bool| {
            let read = file.read();
            assert_eq!(file.take_over(read).is_err(), is_news);
        };
        check(true);
        check(false);
        fs::write(folder.path().join("part"), "b NS").unwrap();
        check(true);
        check(false);
    }
}

//! A folder of Kubernetes manifests, or one manifest, in the place of an API: no cluster needed.
//!
//! Every `.yaml`, `.yml` and `.json` file in the folder and below it is read,
//! with as many documents and Lists as it has, and read again when it changes.
//! Services, EndpointSlices and Namespaces count, and Pods that have a status;
//! other kinds are ignored, so that an application's whole folder can be pointed at. Hidden files and
//! folders are left out (a ConfigMap keeps its old and new files in some).
//!
//! A file that cannot be read or parsed keeps the objects it had. An object
//! that an API server would refuse is refused alone: what the file said of it
//! before stays, the rest of the file counts. Every error says where it is.
//! When several files hold the same object, the last in the order of their
//! paths wins.

mod node;
mod text;
mod validate;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tracing::{info, warn};
use walkdir::WalkDir;

use self::text::Manifest;
use super::aside;
use super::event::Event;
use super::watch::Watch;
use crate::cluster::{Kind, Object, ObjectKey};
use crate::metrics::{ClusterError, ClusterMetrics};

/// How often the log says how far the reading of many files is.
const PROGRESS: Duration = Duration::from_secs(3);

/// How many lines of one sort a reading adds to the log at most: a folder may have a hundred thousand bad objects.
const LINES: usize = 100;

/// The stack of a thread that parses, in octets: what nests as deep as is allowed fits in several times.
const STACK: usize = 16 << 20;

/// A manifest, an object in it, or a folder of them, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ManifestError {
    /// The file, or the folder.
    pub path: PathBuf,
    /// Line and column, each from 1, of an error in the text.
    pub position: Option<(u64, u64)>,
    /// What is wrong: for an object, which, the path of its field, and the API's words.
    pub message: String,
}

impl ManifestError {
    /// What is wrong, and in which file: where it stands there changes with every line above.
    fn fact(&self) -> (&Path, &str) {
        (&self.path, &self.message)
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ManifestError {}

/// Reads the manifests in `folder`, or one manifest, once: the objects in the order
/// of their kinds and names, and what could not be read.
#[must_use]
pub fn read(folder: &Path) -> (Vec<Object>, Vec<ManifestError>) {
    let mut folder = Folder::new(folder.to_owned());
    folder.read();
    folder.elect();
    (folder.objects.into_values().map(Arc::unwrap_or_clone).collect(), folder.errors)
}

/// Reads the manifests in `folder`, tells `events` what they say, and goes on to follow their changes.
pub(super) async fn follow(
    cluster: Arc<str>,
    folder: PathBuf,
    mut watch: Watch,
    events: mpsc::Sender<Event>,
    metrics: ClusterMetrics,
) {
    let mut folder = Folder::new(folder);
    while !events.is_closed() {
        let Some((next, learned)) = scan(&folder, &watch).await else {
            watch.changed().await;
            continue;
        };
        let Folder { folders: watched, errors: known, .. } = std::mem::replace(&mut folder, next);
        if folder.is_there() {
            metrics.event();
        }
        metrics.set_trouble("manifests", folder.trouble());
        let told: HashSet<_> = known.iter().map(ManifestError::fact).collect();
        let news: Vec<_> = folder.errors.iter().filter(|error| !told.contains(&error.fact())).collect();
        for error in &news {
            metrics.error(folder.class(error));
        }
        for error in news.iter().take(LINES) {
            warn!(%cluster, %error, "manifest not taken over; what it said before stays");
        }
        if news.len() > LINES {
            let (folder, errors) = (folder.path.display(), news.len());
            warn!(%cluster, %folder, errors, "more manifests not taken over: `kubezone zone records` tells of all");
        }
        if !known.is_empty() && folder.errors.is_empty() {
            info!(%cluster, folder = %folder.path.display(), "all manifests are taken over again");
        }
        for event in learned {
            // Without a writer, the loop ends.
            let _ = events.send(event).await;
        }
        if folder.folders == watched {
            watch.changed().await;
        } else {
            // Watched first, read again then: nothing changes unseen in between.
            watch.set(&folder.folders);
        }
    }
}

/// The folder as it is now, and what is different from before; none while somebody is writing to it:
/// what was read may be half a file, and what is missing in it no deletion.
async fn scan(folder: &Folder, watch: &Watch) -> Option<(Folder, Vec<Event>)> {
    let mut next = folder.clone();
    let scanned = aside(move || {
        let learned = next.scan();
        (next, learned)
    })
    .await;
    (!watch.is_disturbed().await).then_some(scanned)
}

/// A folder, as it was read last.
#[derive(Debug, Clone)]
struct Folder {
    path: PathBuf,
    /// Whether it could be looked through once: before that, nothing is known of what is in it.
    looked_through: bool,
    /// It and those below it; none if it is a file.
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, File>,
    /// What the files say together.
    objects: BTreeMap<ObjectKey, Arc<Object>>,
    /// Of texts: keeping their hashes takes less memory than keeping them.
    hasher: RandomState,
    /// Objects that are there more than once, each with the file that wins.
    rivals: BTreeMap<ObjectKey, PathBuf>,
    errors: Vec<ManifestError>,
}

/// A file, as it was read last.
#[derive(Debug, Clone, Default)]
struct File {
    /// The hash of its text: it is parsed again only when this changes; none while it cannot be read.
    text: Option<u64>,
    /// Of the last text that could be parsed, and of those before it what stays for an object that was refused.
    objects: Vec<(ObjectKey, Arc<Object>)>,
    errors: Vec<ManifestError>,
}

impl Folder {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            looked_through: false,
            folders: BTreeSet::new(),
            files: BTreeMap::new(),
            objects: BTreeMap::new(),
            hasher: RandomState::new(),
            rivals: BTreeMap::new(),
            errors: Vec::new(),
        }
    }

    /// Reads the folder, and tells what is different from before.
    fn scan(&mut self) -> Vec<Event> {
        let first = !self.looked_through;
        self.read();
        if !self.looked_through {
            return Vec::new();
        }
        let before = std::mem::take(&mut self.objects);
        self.elect();
        let version = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(|now| now.as_secs());
        let gone = before.keys().filter(|key| !self.objects.contains_key(key));
        let gone = gone.map(|key| Event::Delete { key: key.clone(), version });
        let said = self.objects.iter().filter(|(key, object)| before.get(key) != Some(object));
        let said = said.map(|(_, object)| Event::Apply { object: Object::clone(object), version });
        // What is said first: an address that moves from one Service to another is never nobody's.
        let changes = said.chain(gone);
        if !first {
            return changes.collect();
        }
        // The first time, it is a complete list of every kind.
        let kinds = [Kind::Namespace, Kind::Pod, Kind::Service, Kind::EndpointSlice];
        let begun = kinds.map(|kind| Event::Listing(kind.into())).into_iter();
        begun.chain(changes).chain(kinds.map(|kind| Event::Listed { of: kind.into(), version })).collect()
    }

    /// Reads the files that are there.
    fn read(&mut self) {
        self.errors.clear();
        let mut folders = BTreeSet::new();
        let mut there = BTreeSet::new();
        let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
        let entries = WalkDir::new(&self.path).follow_links(true).into_iter();
        for entry in entries.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => drop(folders.insert(entry.into_path())),
                Ok(entry) if entry.depth() > 0 && !is_manifest(entry.path()) => {}
                Ok(entry) if entry.file_type().is_file() => drop(there.insert(entry.into_path())),
                // Reading a pipe would wait for whoever writes to it.
                Ok(entry) => self.errors.push(ManifestError {
                    path: entry.into_path(),
                    position: None,
                    message: "not a regular file".to_owned(),
                }),
                Err(error) => {
                    let path = error.path().unwrap_or(&self.path).to_owned();
                    let message = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    self.errors.push(ManifestError { path, position: None, message });
                }
            }
        }
        // A file is gone when the folder it was in could be looked through.
        let errors = &self.errors;
        self.files.retain(|path, _| there.contains(path) || errors.iter().any(|error| path.starts_with(&error.path)));
        if !folders.is_empty() {
            self.folders = folders;
        }
        self.read_files(there);
        self.looked_through |= self.is_there();
    }

    /// What is wrong with it, the first of several.
    fn trouble(&self) -> Option<(ClusterError, String)> {
        let first = self.errors.first()?;
        let more = match self.errors.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some((self.class(first), format!("{first}{more}").replace(char::is_control, " ")))
    }

    /// As what an error is counted: that of the folder itself, or of one of its manifests.
    fn class(&self, error: &ManifestError) -> ClusterError {
        let is_folder = error.path == self.path && error.position.is_none();
        if is_folder { ClusterError::Configuration } else { ClusterError::Manifest }
    }

    /// Whether it, or the one file, could be found.
    fn is_there(&self) -> bool {
        self.errors.iter().all(|error| error.path != self.path || error.position.is_some())
    }

    /// Reads these files, side by side, as far as their texts are new.
    fn read_files(&mut self, paths: BTreeSet<PathBuf>) {
        let began = Instant::now();
        let (hasher, folder, count) = (&self.hasher, self.path.display(), paths.len());
        let files = paths.into_iter().map(|path| {
            let file = self.files.remove(&path).unwrap_or_default();
            (path, file)
        });
        let progress = Mutex::new((0, began));
        let read = side_by_side(files.collect(), |(path, mut file): (PathBuf, File)| {
            file.read(&path, hasher);
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.0 += 1;
            if progress.1.elapsed() >= PROGRESS {
                progress.1 = Instant::now();
                info!(%folder, read = progress.0, of = count, "reading manifests");
            }
            (path, file)
        });
        for (path, file) in read {
            self.errors.extend_from_slice(&file.errors);
            self.files.insert(path, file);
        }
        if began.elapsed() >= PROGRESS {
            let objects: usize = self.files.values().map(|file| file.objects.len()).sum();
            info!(folder = %self.path.display(), files = count, objects, took = ?began.elapsed(), "manifests read");
        }
    }

    /// Finds out what the files say together: the last one wins.
    fn elect(&mut self) {
        let mut rivals = BTreeMap::new();
        for (path, file) in &self.files {
            for (key, object) in &file.objects {
                if self.objects.insert(key.clone(), object.clone()).is_some() {
                    rivals.insert(key.clone(), path.clone());
                }
            }
        }
        let news: Vec<_> = rivals.iter().filter(|(key, path)| self.rivals.get(key) != Some(path)).collect();
        for (key, path) in news.iter().take(LINES) {
            let (kind, namespace, name) = (key.kind, &key.namespace, &key.name);
            warn!(?kind, %namespace, %name, file = %path.display(), "several times in the manifests: the last is used");
        }
        if news.len() > LINES {
            warn!(folder = %self.path.display(), objects = news.len(), "more objects are several times in the manifests");
        }
        self.rivals = rivals;
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

impl File {
    fn read(&mut self, path: &Path, hasher: &RandomState) {
        let error = |(position, message)| ManifestError { path: path.to_owned(), position, message };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) => {
                self.text = None;
                self.errors = vec![error((None, cause.to_string()))];
                return;
            }
        };
        let hash = Some(hasher.hash_one(&text));
        if self.text == hash {
            return;
        }
        self.text = hash;
        let place = |(position, message)| error((Some(position), message));
        self.errors = match text::read(&text) {
            Ok(manifest) => {
                let errors = manifest.refused.iter().flat_map(text::Refused::faults).map(place).collect();
                self.take_over(manifest);
                errors
            }
            Err(faults) => faults.into_iter().map(place).collect(),
        };
    }

    /// Keeps what the manifest says, and what the file said before of the objects that are refused in it.
    fn take_over(&mut self, manifest: Manifest) {
        let before = std::mem::take(&mut self.objects);
        self.objects = manifest.objects.into_iter().map(|(key, object)| (key, Arc::new(object))).collect();
        if manifest.refused.is_empty() {
            return;
        }
        let there: HashSet<&ObjectKey> = self.objects.iter().map(|(key, _)| key).collect();
        let refused: HashSet<_> = manifest.refused.iter().map(|refused| refused.key.as_ref()).collect();
        // One that does not say which it is may be any of them.
        let is_refused = |key: &ObjectKey| refused.contains(&None) || refused.contains(&Some(key));
        let stay = before.into_iter().filter(|(key, _)| !there.contains(key) && is_refused(key));
        let stay: Vec<_> = stay.collect();
        self.objects.extend(stay);
    }
}

/// Does `work` for each item, on as many threads as there are processors; the results in the order of the items.
fn side_by_side<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    let queue = Mutex::new(items.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take = || {
        let mut done = Vec::new();
        while let Some((place, item)) = next() {
            done.push((place, work(item)));
        }
        done
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let start = |_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, take).expect("a thread");
        let threads: Vec<_> = (0..threads).map(start).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests;

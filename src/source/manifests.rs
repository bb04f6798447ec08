//! A folder of Kubernetes manifests, or one manifest, in the place of an API: no cluster needed.
//!
//! Every `.yaml`, `.yml` and `.json` file in the folder and below it is read,
//! with as many documents and Lists as it has, and read again when it changes.
//! Services, EndpointSlices and Namespaces count; other kinds are ignored, so
//! that an application's whole folder can be pointed at. Hidden files and
//! folders are left out (a ConfigMap keeps its old and new files in some).
//!
//! The unit is the file: one that cannot be read or parsed keeps the objects
//! it had, and its error says where. When several files hold the same object,
//! the last in the order of their paths wins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use serde_saphyr::{Options, Spanned};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use walkdir::WalkDir;

use super::aside;
use super::event::Event;
use super::translate::{self, Item};
use super::watch::Watch;
use crate::cluster::{Kind, Object, ObjectKey};
use crate::metrics::{ClusterError, ClusterMetrics};

/// The namespace of an object that names none, as with kubectl.
const NAMESPACE: &str = "default";

/// A manifest, or a folder of them, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// The file, or the folder.
    pub path: PathBuf,
    /// Line and column, each from 1, of an error in the text.
    pub position: Option<(u64, u64)>,
    /// What is wrong.
    pub message: String,
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
        if folder.errors.iter().all(|error| error.path != folder.path) {
            metrics.event();
        }
        for error in folder.errors.iter().filter(|error| !known.contains(error)) {
            let class = if error.path == folder.path { ClusterError::Configuration } else { ClusterError::Manifest };
            metrics.error(class);
            warn!(%cluster, %error, "manifest not read; what it said before stays");
        }
        if !known.is_empty() && folder.errors.is_empty() {
            info!(%cluster, folder = %folder.path.display(), "all manifests are read again");
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
    /// Objects that more than one file holds, with the file that wins.
    rivals: BTreeSet<(ObjectKey, PathBuf)>,
    errors: Vec<ManifestError>,
}

/// A file, as it was read last.
#[derive(Debug, Clone, Default)]
struct File {
    /// The hash of its text: it is parsed again only when this changes; none while it cannot be read.
    text: Option<u64>,
    /// Of the last text that could be parsed.
    objects: Vec<(ObjectKey, Arc<Object>)>,
    error: Option<ManifestError>,
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
            rivals: BTreeSet::new(),
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
        let kinds = [Kind::Namespace, Kind::Service, Kind::EndpointSlice];
        let begun = kinds.map(Event::Listing).into_iter();
        begun.chain(changes).chain(kinds.map(|kind| Event::Listed { kind, version })).collect()
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
        self.looked_through |= self.errors.iter().all(|error| error.path != self.path);
        if !folders.is_empty() {
            self.folders = folders;
        }
        for path in there {
            let file = self.files.entry(path.clone()).or_default();
            file.read(&path, &self.hasher);
            self.errors.extend(file.error.clone());
        }
    }

    /// Finds out what the files say together: the last one wins.
    fn elect(&mut self) {
        let mut rivals = BTreeSet::new();
        for (path, file) in &self.files {
            for (key, object) in &file.objects {
                if self.objects.insert(key.clone(), object.clone()).is_some() {
                    rivals.insert((key.clone(), path.clone()));
                }
            }
        }
        for (key, path) in rivals.difference(&self.rivals) {
            let (kind, namespace, name) = (key.kind, &key.namespace, &key.name);
            warn!(?kind, %namespace, %name, file = %path.display(), "in several manifests: this one is used");
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
                self.error = Some(error((None, cause.to_string())));
                return;
            }
        };
        let hash = Some(hasher.hash_one(&text));
        if self.text == hash {
            return;
        }
        match parse(&text) {
            Ok(objects) => {
                self.objects = objects.into_iter().map(|(key, object)| (key, Arc::new(object))).collect();
                self.error = None;
            }
            Err((position, message)) => self.error = Some(error((Some(position), message))),
        }
        self.text = hash;
    }
}

/// The line and the column of an error, and what it is.
type ParseError = ((u64, u64), String);

/// The objects in the documents of a file.
fn parse(text: &str) -> Result<Vec<(ObjectKey, Object)>, ParseError> {
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| {
            let position = error.location().map_or((1, 1), |location| (location.line(), location.column()));
            (position, error.without_snippet().to_string())
        })?;
    let mut objects = Vec::new();
    for document in documents {
        let position = (document.referenced.line(), document.referenced.column());
        collect(document.value, None, &mut objects).map_err(|message| (position, message))?;
    }
    Ok(objects)
}

/// The parser's limits on a file's length are lifted: a cluster's Services may
/// be in one. Those on its depth and on what aliases repeat stay.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: usize::MAX,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
    }
}

/// Adds the objects in `value`; `of_list` is the type of a typed list's items, which need not say it.
fn collect(
    mut value: Value,
    of_list: Option<(&str, &str)>,
    objects: &mut Vec<(ObjectKey, Object)>,
) -> Result<(), String> {
    let items = value.get_mut("items").map(Value::take);
    let field = |name| value.get(name).and_then(Value::as_str);
    let (Some(version), Some(kind)) =
        (field("apiVersion").or(of_list.map(|of| of.0)), field("kind").or(of_list.map(|of| of.1)))
    else {
        return Err("an object without apiVersion and kind".to_owned());
    };
    let kind = match (version, kind) {
        ("v1", "Service") => Kind::Service,
        ("v1", "Namespace") => Kind::Namespace,
        ("discovery.k8s.io/v1", "EndpointSlice") => Kind::EndpointSlice,
        (_, list) if list.ends_with("List") => {
            let Some(Value::Array(items)) = items else { return Ok(()) };
            let of_list = Some((version, list.trim_end_matches("List"))).filter(|of| !of.1.is_empty());
            return items.into_iter().try_for_each(|item| collect(item, of_list, objects));
        }
        (version, kind) => {
            debug!(version, kind, "ignored in a manifest");
            return Ok(());
        }
    };
    let name = value.pointer("/metadata/name").map(Value::to_string).unwrap_or_default();
    let Item { identity, object } =
        translate::item(kind, NAMESPACE, value).map_err(|error| format!("{kind:?} {name}: {error}"))?;
    objects.extend(object.map(|object| (identity.key, object)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::metrics::Metrics;
    use crate::nameserver::Served;
    use crate::published::Published;

    /// Within it, what is waited for happens.
    const BOUND: Duration = Duration::from_secs(60);

    /// A Service as a manifest.
    fn service(name: &str, address: &str) -> String {
        format!("{{ apiVersion: v1, kind: Service, metadata: {{ name: {name} }}, spec: {{ clusterIP: '{address}' }} }}")
    }

    fn write(folder: &TempDir, file: &str, text: &str) {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A folder that was read, its lists told.
    fn folder(files: &[(&str, &str)]) -> (TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        for (file, text) in files {
            write(&temporary, file, text);
        }
        let mut folder = Folder::new(temporary.path().to_owned());
        folder.scan();
        (temporary, folder)
    }

    /// What the next reading tells, but for the time.
    fn scan(folder: &mut Folder) -> Vec<String> {
        let line = |event: &Event| event.text().split(" @").next().unwrap().to_owned();
        folder.scan().iter().map(line).collect()
    }

    fn errors(folder: &Folder) -> Vec<String> {
        let prefix = format!("{}/", folder.path.display());
        folder.errors.iter().map(|error| error.to_string().replace(&prefix, "")).collect()
    }

    /// The objects in a text, by kind, namespace and name.
    fn check(text: &str, expected: &[&str]) {
        let objects = parse(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let name = |(key, _): &(ObjectKey, Object)| format!("{:?} {}/{}", key.kind, key.namespace, key.name);
        assert_eq!(objects.iter().map(name).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn a_file_has_many_documents_and_lists() {
        let text = "
# Nothing here.
---
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { type: { not: a Service's }, ports: none }
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: Service, metadata: { name: web, namespace: shop }, spec: { clusterIP: '2a0a::1' } }
  - apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: { name: db-1, labels: { kubernetes.io/service-name: db } }
---
apiVersion: v1
kind: ServiceList
items: [{ metadata: { name: typed } }]
---
";
        check(text, &["Namespace /shop", "Service shop/web", "EndpointSlice default/db-1", "Service default/typed"]);
        check("", &[]);
        check("apiVersion: v1\nkind: List\nitems: []", &[]);
        check("apiVersion: example.net/v1\nkind: Service\nspec: 5", &[]);
    }

    #[test]
    fn json_is_read_as_it_is_printed() {
        let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"metadata\": {\n\t\t\"name\": \"web\"\n\t}\n}\n";
        check(text, &["Service default/web"]);
    }

    #[test]
    fn a_large_file_is_read_whole() {
        let text: String = (0..2000).map(|i| format!("---\n{}\n", service(&format!("s{i}"), "2a0a::1"))).collect();
        assert_eq!(parse(&text).unwrap().len(), 2000);
    }

    #[test]
    fn an_error_says_where_it_is() {
        let (temporary, mut folder) = folder(&[]);
        for (text, expected) in [
            ("kind: [", "web.yaml:1:"),
            ("---\n---\nfoo: bar\n", "web.yaml:3:1: an object without apiVersion and kind"),
            (
                "---\n# A Service.\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 5}\n",
                r#"web.yaml:3:1: Service "web": invalid type: integer `5`, expected a string"#,
            ),
            ("apiVersion: v1\nkind: Service\n", "web.yaml:1:1: Service : missing field `metadata`"),
        ] {
            write(&temporary, "web.yaml", text);
            folder.scan();
            let errors = errors(&folder);
            assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}, not {expected}");
        }
    }

    #[test]
    fn the_first_reading_is_a_list_of_every_kind() {
        let temporary = tempfile::tempdir().unwrap();
        write(&temporary, "web.yaml", &service("web", "2a0a::1"));
        write(&temporary, "below/db.yml", &service("db", "None"));
        write(&temporary, ".hidden/web.yaml", &service("hidden", "2a0a::1"));
        write(&temporary, ".web.yaml.swp.yaml", &service("hidden", "2a0a::1"));
        write(&temporary, "README.md", "# Not a manifest");
        write(&temporary, "bad.yaml", "kind: [");
        let mut folder = Folder::new(temporary.path().to_owned());
        assert_eq!(
            scan(&mut folder),
            [
                "listing Namespace",
                "listing Service",
                "listing EndpointSlice",
                "apply default/db []",
                "apply default/web [2a0a::1]",
                "listed Namespace",
                "listed Service",
                "listed EndpointSlice",
            ]
        );
        assert!(errors(&folder)[0].starts_with("bad.yaml:1:"), "{:?}", folder.errors);
        assert_eq!(scan(&mut folder), [""; 0], "nothing changed");
        assert_eq!(read(temporary.path()).0.len(), 2);
    }

    #[test]
    fn a_file_that_goes_takes_its_objects() {
        let (temporary, mut folder) =
            folder(&[("a.yaml", &service("a", "2a0a::1")), ("b.yaml", &service("b", "2a0a::2"))]);
        fs::remove_file(temporary.path().join("a.yaml")).unwrap();
        assert_eq!(scan(&mut folder), ["delete default/a"]);
        fs::remove_file(temporary.path().join("b.yaml")).unwrap();
        assert_eq!(scan(&mut folder), ["delete default/b"]);
    }

    #[test]
    fn a_file_that_cannot_be_used_keeps_its_objects() {
        let (temporary, mut folder) = folder(&[("web.yaml", &service("web", "2a0a::1"))]);
        write(&temporary, "web.yaml", "kind: [");
        assert_eq!(scan(&mut folder), [""; 0]);
        assert_eq!(folder.errors.len(), 1);
        fs::write(temporary.path().join("web.yaml"), [0xff]).unwrap();
        assert_eq!(scan(&mut folder), [""; 0]);
        assert_eq!(folder.errors.len(), 1);
        write(&temporary, "web.yaml", &service("web", "2a0a::2"));
        assert_eq!(scan(&mut folder), ["apply default/web [2a0a::2]"]);
        assert_eq!(errors(&folder), [""; 0]);
    }

    #[test]
    fn a_folder_that_cannot_be_looked_through_keeps_its_files() {
        let (temporary, mut folder) = folder(&[("below/web.yaml", &service("web", "2a0a::1"))]);
        let away = temporary.path().with_extension("away");
        fs::rename(temporary.path(), &away).unwrap();
        assert_eq!(scan(&mut folder), [""; 0]);
        assert_eq!(folder.errors[0].path, folder.path);
        fs::rename(&away, temporary.path()).unwrap();
        // A link to nowhere: what it was may come back.
        let below = temporary.path().join("below");
        fs::rename(&below, temporary.path().join(".below")).unwrap();
        std::os::unix::fs::symlink("nowhere", &below).unwrap();
        assert_eq!(scan(&mut folder), [""; 0]);
        assert_eq!(folder.errors[0].path, below);
        fs::remove_file(&below).unwrap();
        std::os::unix::fs::symlink(".below", &below).unwrap();
        assert_eq!(scan(&mut folder), [""; 0]);
        assert_eq!(errors(&folder), [""; 0]);
    }

    #[test]
    fn an_entry_that_leads_nowhere_keeps_only_what_was_there() {
        let (temporary, mut folder) =
            folder(&[("a.yaml", &service("a", "2a0a::1")), ("below/b.yaml", &service("b", "2a0a::2"))]);
        std::os::unix::fs::symlink("nowhere", temporary.path().join("link")).unwrap();
        fs::remove_file(temporary.path().join("a.yaml")).unwrap();
        assert_eq!(scan(&mut folder), ["delete default/a"]);
        assert_eq!(folder.errors.len(), 1);
        fs::remove_dir_all(temporary.path().join("below")).unwrap();
        std::os::unix::fs::symlink("nowhere", temporary.path().join("below")).unwrap();
        assert_eq!(scan(&mut folder), [""; 0]);
    }

    #[test]
    fn a_pipe_is_no_manifest() {
        let (temporary, mut folder) = folder(&[("web.yaml", &service("web", "2a0a::1"))]);
        let pipe = temporary.path().join("pipe.yaml");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink("pipe.yaml", temporary.path().join("link.yaml")).unwrap();
        write(&temporary, "web.yaml", &service("web", "2a0a::2"));
        assert_eq!(scan(&mut folder), ["apply default/web [2a0a::2]"]);
        let found: BTreeSet<_> = errors(&folder).into_iter().collect();
        assert_eq!(Vec::from_iter(found), ["link.yaml: not a regular file", "pipe.yaml: not a regular file"]);
        let mut pipe = Folder::new(pipe);
        assert_eq!(scan(&mut pipe), [""; 0], "it tells nothing, not even that there is nothing");
    }

    #[test]
    fn of_several_files_with_an_object_the_last_wins() {
        let (temporary, mut folder) =
            folder(&[("b.yaml", &service("web", "2a0a::b")), ("c.yaml", &service("web", "2a0a::c"))]);
        write(&temporary, "a.yaml", &service("web", "2a0a::a"));
        assert_eq!(scan(&mut folder), [""; 0]);
        write(&temporary, "d/e.yaml", &service("web", "2a0a::e"));
        assert_eq!(scan(&mut folder), ["apply default/web [2a0a::e]"]);
        fs::remove_dir_all(temporary.path().join("d")).unwrap();
        assert_eq!(scan(&mut folder), ["apply default/web [2a0a::c]"]);
        fs::remove_file(temporary.path().join("b.yaml")).unwrap();
        assert_eq!(scan(&mut folder), [""; 0]);
        fs::remove_file(temporary.path().join("c.yaml")).unwrap();
        assert_eq!(scan(&mut folder), ["apply default/web [2a0a::a]"]);
    }

    #[test]
    fn one_file_may_stand_for_a_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let mut file = Folder::new(temporary.path().join("web.yaml"));
        assert_eq!(scan(&mut file), [""; 0], "it is not there yet");
        write(&temporary, "web.yaml", &service("web", "2a0a::1"));
        write(&temporary, "beside.yaml", &service("beside", "2a0a::2"));
        let first = scan(&mut file);
        assert_eq!((first.len(), &*first[3]), (7, "apply default/web [2a0a::1]"));
        write(&temporary, "web.yaml", &service("web", "2a0a::3"));
        assert_eq!(scan(&mut file), ["apply default/web [2a0a::3]"]);
        fs::remove_file(temporary.path().join("web.yaml")).unwrap();
        assert_eq!(scan(&mut file), [""; 0], "as a folder that is away");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_that_is_being_written_to_loses_nothing() {
        use std::io::Write;

        let (temporary, folder) = folder(&[("web.yaml", &service("web", "2a0a::1"))]);
        let mut watch = Watch::new([temporary.path()]);
        let mut file = fs::File::create(temporary.path().join("web.yaml")).unwrap();
        let begun = async { while !watch.is_disturbed().await {} };
        tokio::time::timeout(BOUND, begun).await.expect("the writer is seen");
        assert!(super::scan(&folder, &watch).await.is_none(), "the file is empty for now");

        // A folder that is new does not make it complete.
        fs::create_dir(temporary.path().join("below")).unwrap();
        watch.set([temporary.path(), &temporary.path().join("below")]);
        assert!(super::scan(&folder, &watch).await.is_none());

        file.write_all(service("web", "2a0a::2").as_bytes()).unwrap();
        drop(file);
        tokio::time::timeout(BOUND, watch.changed()).await.expect("the end is seen");
        let (_, learned) = super::scan(&folder, &watch).await.unwrap();
        assert_eq!(learned.len(), 1);
        assert!(learned[0].text().starts_with("apply default/web [2a0a::2] @"));
    }

    #[tokio::test]
    async fn a_folder_is_followed_from_before_it_is_there() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("manifests");
        let (sender, mut events) = mpsc::channel(100);
        let metrics = Metrics::new(Arc::new(Published::new(Served::default())));
        let following =
            tokio::spawn(follow("c2".into(), path.clone(), Watch::new([path]), sender, metrics.cluster("c2")));
        let mut tells = async |expected: &str| {
            let told = async { while !events.recv().await.unwrap().text().starts_with(expected) {} };
            tokio::time::timeout(BOUND, told).await.unwrap_or_else(|_| panic!("never told: {expected}"));
        };

        let missing = r#"kubezone_cluster_errors_total{cluster="c2",reason="configuration"} 1"#;
        let counted = async {
            while !metrics.text().contains(missing) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, counted).await.expect("the missing folder is counted");

        write(&temporary, "manifests/web.yaml", &service("web", "2a0a::1"));
        tells("apply default/web [2a0a::1] @").await;
        write(&temporary, "manifests/web.yaml", &service("web", "2a0a::2"));
        tells("apply default/web [2a0a::2] @").await;
        write(&temporary, "manifests/below/db.yaml", &service("db", "None"));
        tells("apply default/db [] @").await;
        write(&temporary, "manifests/below/db.yaml", &service("db", "2a0a::3"));
        tells("apply default/db [2a0a::3] @").await;
        fs::remove_file(temporary.path().join("manifests/web.yaml")).unwrap();
        tells("delete default/web @").await;
        following.abort();
    }
}

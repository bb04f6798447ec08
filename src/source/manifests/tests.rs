use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::metrics::Metrics;
use crate::nameserver::Served;
use crate::published::Published;
use crate::source::log::Log;

/// Within it, what is waited for happens.
const BOUND: Duration = Duration::from_secs(60);

/// A Service as a manifest.
fn service(name: &str, address: &str) -> String {
    format!(
        "{{ apiVersion: v1, kind: Service, metadata: {{ name: {name} }},
           spec: {{ clusterIP: '{address}', ports: [{{ port: 80 }}] }} }}"
    )
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
            "listing Pod",
            "listing Service",
            "listing EndpointSlice",
            "apply default/db []",
            "apply default/web [2a0a::1]",
            "listed Namespace",
            "listed Pod",
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
    let (temporary, mut folder) = folder(&[("a.yaml", &service("a", "2a0a::1")), ("b.yaml", &service("b", "2a0a::2"))]);
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
fn an_object_that_is_refused_is_what_it_was_and_the_rest_counts() {
    let three = |a: &str, b: &str, c: &str| [a, b, c].map(|text| format!("---\n{text}\n")).concat();
    let (good, bad) = (service("b", "2a0a::2"), service("b", "nowhere"));
    let first = three(&service("a", "2a0a::1"), &bad, &service("c", "2a0a::3"));
    let (temporary, mut folder) = folder(&[("web.yaml", &first)]);
    let error = r#"web.yaml:6:31: Service "b": spec.clusterIPs[0]: Invalid value: "nowhere": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#;
    assert_eq!((folder.objects.len(), errors(&folder)), (2, vec![error.to_owned()]));

    write(&temporary, "web.yaml", &three(&service("a", "2a0a::1"), &good, &service("c", "2a0a::3")));
    assert_eq!(scan(&mut folder), ["apply default/b [2a0a::2]"]);
    assert_eq!(errors(&folder), [""; 0]);

    write(&temporary, "web.yaml", &three(&service("a", "2a0a::9"), &bad, ""));
    assert_eq!(scan(&mut folder), ["apply default/a [2a0a::9]", "delete default/c"]);
    assert_eq!(errors(&folder).len(), 1);
    // And again, with another text.
    write(&temporary, "web.yaml", &three(&service("a", "2a0a::9"), &bad, "# The same."));
    assert_eq!(scan(&mut folder), [""; 0]);

    // It may be any of those that are missing.
    write(&temporary, "web.yaml", &three("{ apiVersion: v1, kind: Service, metadata: { name: 5 } }", "", &good));
    assert_eq!(scan(&mut folder), [""; 0]);
    write(&temporary, "web.yaml", &good);
    assert_eq!(scan(&mut folder), ["delete default/a"]);
}

#[test]
fn what_the_tables_and_examples_have_could_be_applied() {
    for folder in ["tests/data/schema", "tests/data/internet/c2", "examples/c2", "examples/c3"] {
        let (objects, mut errors) = read(Path::new(folder));
        // A table of what comes out even of an API that lets anything in.
        errors.retain(|error| !error.path.ends_with("odd-names.yaml"));
        assert_eq!(errors, [], "{folder}");
        assert!(!objects.is_empty(), "{folder}");
    }
}

#[test]
fn work_is_done_once_for_each_item_and_keeps_their_order() {
    let items: Vec<usize> = (0..1000).collect();
    assert_eq!(side_by_side(items.clone(), |item| item), items);
    assert!(side_by_side(Vec::<usize>::new(), |item| item).is_empty());
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
    fs::write(temporary.path().join("web.yaml"), [0xff]).unwrap();
    assert_eq!(scan(&mut file), [""; 0], "it cannot be read: nobody knows that it has nothing");
    write(&temporary, "web.yaml", &service("web", "2a0a::1"));
    write(&temporary, "beside.yaml", &service("beside", "2a0a::2"));
    let first = scan(&mut file);
    assert_eq!((first.len(), &*first[4]), (9, "apply default/web [2a0a::1]"));
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

#[test]
fn an_object_in_three_files_is_told_of_once() {
    let web = service("web", "2a0a::1");
    let (log, _guards) = Log::start();
    let (temporary, mut folder) = folder(&[("a.yaml", &web), ("b.yaml", &web), ("c.yaml", &web)]);
    scan(&mut folder);
    assert_eq!((log.count("several times"), log.count("c.yaml")), (1, 1));
    fs::remove_file(temporary.path().join("c.yaml")).unwrap();
    scan(&mut folder);
    assert_eq!((log.count("several times"), log.count("b.yaml")), (2, 1));
}

#[tokio::test]
async fn a_folder_full_of_errors_does_not_fill_the_log() {
    let (log, _guards) = Log::start();
    let temporary = tempfile::tempdir().unwrap();
    let bad = |index| format!("---\n{}\n", service(&format!("web-{index}"), "nowhere"));
    let bad: String = (0..1000).map(bad).collect();
    write(&temporary, "bad.yaml", &bad);
    write(&temporary, "web.yaml", &service("web", "2a0a::1"));
    let (sender, mut events) = mpsc::channel(100);
    let metrics = Metrics::new(Arc::new(Published::new(Served::default())));
    let watch = Watch::new([temporary.path()]);
    let following =
        tokio::spawn(follow("c2".into(), temporary.path().to_owned(), watch, sender, metrics.cluster("c2")));
    let mut tells = async |expected: &str| {
        let told = async { while !events.recv().await.unwrap().text().starts_with(expected) {} };
        tokio::time::timeout(BOUND, told).await.unwrap_or_else(|_| panic!("never told: {expected}"));
    };
    tells("apply default/web [2a0a::1] @").await;
    // The same errors on other lines are no news.
    write(&temporary, "bad.yaml", &format!("# A line more.\n{bad}---\n{}", service("db", "None")));
    tells("apply default/db [] @").await;
    assert_eq!((log.count("manifest not taken over"), log.count("more manifests not taken over")), (LINES, 1));
    let counted = r#"kubezone_cluster_errors_total{cluster="c2",reason="manifest"} 1000"#;
    assert!(metrics.text().contains(counted), "{}", metrics.text());
    following.abort();
}

#[tokio::test]
async fn a_folder_is_followed_from_before_it_is_there() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("manifests");
    let (sender, mut events) = mpsc::channel(100);
    let metrics = Metrics::new(Arc::new(Published::new(Served::default())));
    let following = tokio::spawn(follow("c2".into(), path.clone(), Watch::new([path]), sender, metrics.cluster("c2")));
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

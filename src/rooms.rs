//! Who may name whom (docs/ARCHITECTURE.md): the absences that keep a room understandable, seen to by reading the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The core, and the edges that must not know each other: each with all the rooms of this crate that it may name.
const ROOMS: [(&str, &[&str]); 10] = [
    ("cluster", &[]),
    ("zone", &[]),
    ("schema", &["cluster", "zone"]),
    ("report", &["cluster", "schema", "zone"]),
    ("nameserver", &["zone"]),
    ("published", &["nameserver", "zone"]),
    ("source", &["cluster", "config", "error", "metrics", "published", "schema", "zone"]),
    ("server", &["metrics", "nameserver", "published", "zone"]),
    ("delegation", &["schema", "zone"]),
    ("admin", &["cluster", "config", "delegation", "metrics", "nameserver", "published", "report", "source", "zone"]),
];

/// What can only compute.
const CORE: [&str; 5] = ["cluster", "schema", "report", "zone", "nameserver"];

/// Waiting, the world outside, and a clock of one's own.
const NOT_IN_THE_CORE: [&str; 14] = [
    "async",
    "await",
    "tokio",
    "futures",
    "socket2",
    "libc",
    "kube",
    "k8s_openapi",
    "Mutex",
    "RwLock",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "SystemTime",
];

#[test]
fn a_room_names_only_the_rooms_it_is_made_of() {
    for (room, allowed) in ROOMS {
        for file in files(room) {
            let named = rooms_named(&code(&file));
            let strangers: Vec<_> =
                named.iter().filter(|name| *name != room && !allowed.contains(&name.as_str())).collect();
            assert!(strangers.is_empty(), "{} names {strangers:?}", file.display());
        }
    }
}

#[test]
fn the_core_can_only_compute() {
    for room in CORE {
        for file in files(room) {
            let code = code(&file);
            for word in NOT_IN_THE_CORE {
                assert!(!words(&code).any(|found| found == word), "{} says `{word}`", file.display());
            }
        }
    }
}

#[test]
fn no_type_is_both_a_kubernetes_object_and_a_dns_record() {
    let mentions = |room, word| files(room).iter().any(|file| words(&code(file)).any(|found| found == word));
    assert!(!mentions("cluster", "hickory_proto"));
    assert!(!mentions("server", "kube"));
    assert!(!mentions("admin", "kube"));
    // Where the words do stand, so that a crate's new name does not make this test blind.
    assert!(mentions("source", "kube"));
    assert!(mentions("zone", "hickory_proto"));
}

#[test]
fn only_system_calls_are_unsafe() {
    let unsafe_files: Vec<_> =
        files("").into_iter().filter(|file| words(&code(file)).any(|word| word == "unsafe")).collect();
    assert_eq!(unsafe_files, [source().join("server/sys.rs")]);
}

#[test]
fn rooms_are_found_however_they_are_named() {
    let code = "use crate::{config::{self, Config}, zone}; fn f(a: crate::schema::Reason, b: crate::server::S) {}";
    assert_eq!(Vec::from_iter(rooms_named(code)), ["config", "schema", "server", "zone"]);
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files of a room: `room.rs`, or what is in the folder.
fn files(room: &str) -> Vec<PathBuf> {
    let file = source().join(format!("{room}.rs"));
    let path = if file.exists() { file } else { source().join(room) };
    let entries = walkdir::WalkDir::new(&path).sort_by_file_name().into_iter();
    let files: Vec<_> =
        entries.map(|entry| entry.expect("an entry").into_path()).filter(|path| is_code(path)).collect();
    assert!(!files.is_empty(), "there is no {}", path.display());
    files
}

/// Rust, and neither tests, which may do what the room may not, nor this file.
fn is_code(path: &Path) -> bool {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    is_rust && !path.ends_with("tests.rs") && !path.ends_with(file!())
}

/// A file without its comments and tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("text");
    let code = text.split("#[cfg(test)]\nmod tests {").next().expect("a first part");
    code.lines().map(|line| line.split("//").next().expect("a first part")).collect::<Vec<_>>().join("\n")
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The first name of each path that begins at the crate's root, also in `crate::{first::…, second}`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            named.extend(words(path).next().map(str::to_owned));
            continue;
        };
        let mut depth = 0;
        for item in group.split_inclusive([',', '{', '}']) {
            if depth == 0 {
                named.extend(words(item).next().map(str::to_owned));
            }
            match item.chars().last() {
                Some('{') => depth += 1,
                Some('}') if depth == 0 => break,
                Some('}') => depth -= 1,
                _ => {}
            }
        }
    }
    named
}

//! What reading manifests costs: `cargo bench --bench manifests`.
//!
//! For 10,000 and 100,000 Services, each as `kubectl get service -o yaml`
//! prints it: seconds until their objects are there, from one YAML file for
//! each namespace of a hundred, from one YAML file of many documents, from one
//! that is a List, and from a List in JSON. The files are in the page cache.
//!
//! With the name of a layout (`files`, `documents`, `list`, `json`) only that
//! is read: for a profiler.

use std::fs;
use std::path::Path;
use std::time::Instant;

use kubezone::source::manifests;

/// What a busy namespace holds.
const SERVICES_PER_NAMESPACE: usize = 100;
const ROUNDS: usize = 3;

/// A Service as the API gives it out.
fn yaml(index: usize) -> String {
    format!(
        r#"apiVersion: v1
kind: Service
metadata:
  creationTimestamp: "2026-01-05T10:11:12Z"
  labels:
    app: web-{index}
    app.kubernetes.io/managed-by: Helm
  name: web-{index}
  namespace: team-{namespace}
  resourceVersion: "184{index}"
  uid: 5b0f3c1e-8b1d-4b9c-9d43-{index:012}
spec:
  clusterIP: 2a0a:e5c0:10:3::{address}
  clusterIPs:
  - 2a0a:e5c0:10:3::{address}
  internalTrafficPolicy: Cluster
  ipFamilies:
  - IPv6
  ipFamilyPolicy: SingleStack
  ports:
  - name: https
    port: 443
    protocol: TCP
    targetPort: 8443
  selector:
    app: web-{index}
  sessionAffinity: None
  type: ClusterIP
status:
  loadBalancer: {{}}
"#,
        namespace = index / SERVICES_PER_NAMESPACE,
        address = address(index),
    )
}

/// The last 32 bits of an address.
fn address(index: usize) -> String {
    format!("{:x}:{:x}", 1 + (index >> 16), index & 0xffff)
}

fn documents(range: std::ops::Range<usize>) -> String {
    range.map(|index| format!("---\n{}", yaml(index))).collect()
}

/// As `kubectl get services --all-namespaces -o yaml`.
fn list(services: usize) -> String {
    let items = (0..services).map(|index| format!("- {}\n", yaml(index).trim_end().replace('\n', "\n  ")));
    format!("apiVersion: v1\nitems:\n{}kind: List\nmetadata:\n  resourceVersion: \"\"\n", items.collect::<String>())
}

fn json(services: usize) -> String {
    let value = |index| serde_saphyr::from_str::<serde_json::Value>(&yaml(index)).expect("YAML").to_string();
    let items: Vec<_> = (0..services).map(value).collect();
    format!(r#"{{"apiVersion":"v1","items":[{}],"kind":"List","metadata":{{"resourceVersion":""}}}}"#, items.join(","))
}

/// A layout: its name, and what writes it into a folder.
type Layout = (&'static str, fn(&Path, usize));

const LAYOUTS: [Layout; 4] = [
    ("files", |folder, services| {
        for begin in (0..services).step_by(SERVICES_PER_NAMESPACE) {
            let text = documents(begin..begin + SERVICES_PER_NAMESPACE);
            fs::write(folder.join(format!("{begin}.yaml")), text).expect("a file");
        }
    }),
    ("documents", |folder, services| fs::write(folder.join("all.yaml"), documents(0..services)).expect("a file")),
    ("list", |folder, services| fs::write(folder.join("all.yaml"), list(services)).expect("a file")),
    ("json", |folder, services| fs::write(folder.join("all.json"), json(services)).expect("a file")),
];

/// The least of several readings, in seconds.
fn read(folder: &Path, services: usize) -> f64 {
    let round = |_| {
        let began = Instant::now();
        let (objects, errors) = manifests::read(folder);
        let took = began.elapsed();
        assert_eq!((objects.len(), &*errors), (services, &[][..]));
        took.as_secs_f64()
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn main() {
    // cargo adds `--bench`.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("{:>9} {:>10} {:>10}", "Services", "layout", "seconds");
    for services in [10_000, 100_000] {
        for (name, write) in LAYOUTS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
            let folder = tempfile::tempdir().expect("a folder");
            write(folder.path(), services);
            println!("{services:>9} {name:>10} {:>10.2}", read(folder.path(), services));
        }
    }
}

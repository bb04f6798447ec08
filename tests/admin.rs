//! The JSON API on `listen.admin`, asked of the binary over real sockets, and the commands that read it.

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use support::http::http;
use support::kubezone::Kubezone;
use support::process::Folder;

/// The zone of a master file.
const PARENT: &str = "@ 60 IN SOA ns hostmaster 1 14400 3600 1209600 30\n@ NS ns\nns AAAA 2001:db8::53\n";

const CONFIGURATION: &str = "\
listen: { dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }
readyTimeout: 0s
clusters: [{ name: c2, manifests: c2 }, { name: c3, kubeconfig: absent }]
zones:
- { name: k8s.ooo, file: k8s.ooo.zone }
- { name: c2.k8s.ooo, cluster: c2, nameservers: [{ name: ns, addresses: [\"2001:db8::53\"] }] }
- { name: c3.k8s.ooo, cluster: c3, nameservers: [{ name: ns.example. }] }
";

/// A Service called `name` with this address.
fn service(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: shop }}\n\
         spec: {{ type: ClusterIP, clusterIP: \"{address}\", clusterIPs: [\"{address}\"], ipFamilies: [IPv6], ports: [{{ port: 443 }}] }}\n"
    )
}

/// A server of [`CONFIGURATION`] that has read `manifests`, and its folder.
async fn serving(manifests: &str) -> (Kubezone, PathBuf) {
    let folder = Folder::new().expect("a temporary folder");
    fs::create_dir(folder.join("c2")).expect("a folder");
    folder.write("c2/all.yaml", manifests).expect("manifests");
    folder.write("k8s.ooo.zone", PARENT).expect("a zone");
    let root = folder.join("");
    let kubezone = Kubezone::configured("k8s.ooo", folder, CONFIGURATION).await.ready().await;
    kubezone.answers("ns.c2 AAAA", "2001:db8::53").await;
    (kubezone, root)
}

async fn json(kubezone: &Kubezone, path: &str) -> Value {
    let (head, body) = kubezone.api(path).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: application/json"), "{head}");
    serde_json::from_str(&body).expect("JSON")
}

/// Asks for something that is refused with this status; the sentence.
async fn refused(kubezone: &Kubezone, path: &str, status: u16) -> String {
    let (head, body) = kubezone.api(path).await;
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}\n{body}");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    problem["error"].as_str().expect("a sentence").to_owned()
}

#[tokio::test]
async fn zones_and_clusters_are_told() {
    let (kubezone, folder) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let zones = json(&kubezone, "/api/v1/zones").await;
    let serial = kubezone.serial().await;
    let zone = |place: usize, field: &str| zones["items"][place][field].clone();
    assert_eq!(zone(0, "zone"), "k8s.ooo.");
    let parent = json!({
        "zone": "k8s.ooo.", "kind": "file", "source": folder.join("k8s.ooo.zone").display().to_string(), "state": "loaded",
        "serial": serial, "records": 3, "age": null,
    });
    assert_eq!(zones["items"][0], parent);
    assert_eq!([zone(1, "zone"), zone(1, "kind"), zone(1, "source")], ["c2.k8s.ooo.", "cluster", "c2"]);
    assert_eq!((zone(1, "state"), zone(1, "records")), (json!("loaded"), json!(5)));
    assert!(zone(1, "age").is_u64(), "{zones}");
    let pending = json!({
        "zone": "c3.k8s.ooo.", "kind": "cluster", "source": "c3", "state": "pending",
        "serial": null, "records": null, "age": null,
    });
    assert_eq!(zones["items"][2], pending);

    let clusters = json(&kubezone, "/api/v1/clusters").await;
    let [c2, c3] = [0, 1].map(|place| clusters["items"][place].clone());
    assert_eq!((c2["cluster"].clone(), c2["synced"].clone()), (json!("c2"), json!(true)));
    assert!(c2["lastEvent"].as_str().expect("a time").ends_with('Z'), "{c2}");
    assert_eq!(c3, json!({ "cluster": "c3", "synced": false, "lastEvent": null }));
}

#[tokio::test]
async fn a_zone_is_a_master_file() {
    let (kubezone, _) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let (head, body) = kubezone.api("/api/v1/zones/c2.k8s.ooo").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("\r\ncontent-type: text/dns\r\n"), "{head}");
    assert!(body.contains("\nweb.shop.svc.c2.k8s.ooo. "), "{body}");
    assert_eq!(kubezone.api("/api/v1/zones/C2.k8s.ooo.").await.1, body);

    let error = refused(&kubezone, "/api/v1/zones/c4.k8s.ooo", 404).await;
    assert_eq!(error, "there is no zone c4.k8s.ooo.: there is k8s.ooo., c2.k8s.ooo., c3.k8s.ooo.");
    let error = refused(&kubezone, "/api/v1/zones/c3.k8s.ooo.", 503).await;
    assert!(error.starts_with("zone c3.k8s.ooo. is not loaded yet"), "{error}");
    for (path, status) in [("/api/v1/zones/a..b", 400), ("/api/v1/zones/%ff", 400), ("/", 404), ("/metrics", 404)] {
        refused(&kubezone, path, status).await;
    }
}

#[tokio::test]
async fn strangers_learn_nothing_and_keep_nobody_out() {
    let (kubezone, _) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let (head, _) = kubezone.api("/api/v1/zones").await;
    for field in [
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "cross-origin-resource-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert!(!head.contains("access-control-"), "{head}");

    let ask = async |text: &str| {
        let mut connection = TcpStream::connect(kubezone.admin()).await.expect("a connection");
        // A server that has read enough closes while we write.
        let _ = connection.write_all(text.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = ask("GET /api/v1/zones HTTP/1.1\r\nHost: evil.example:9154\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 421 ") && !answer.contains("k8s.ooo"), "{answer}");
    let answer = ask("GET /api/v1/zones HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains(" 421 "), "{answer}");
    let answer = http(kubezone.admin(), "POST", "/api/v1/zones", "{}").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let huge = "x".repeat(1 << 20);
    let answer = ask(&format!("GET /api/v1/zones HTTP/1.1\r\nHost: localhost\r\nX: {huge}\r\n\r\n")).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    let answer = ask("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");

    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(kubezone.admin()).await.expect("a connection"));
    }
    assert!(kubezone.api("/api/v1/clusters").await.0.starts_with("HTTP/1.1 200"));
    assert!(kubezone.http("/livez").await.starts_with("HTTP/1.1 200"));
    // What is safe to expose stays it.
    for path in ["/api/v1/zones", "/api/v1/zones/c2.k8s.ooo", "/api/v1/clusters", "/api/v1/services"] {
        assert!(kubezone.http(path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
}

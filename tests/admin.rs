//! The JSON API on `listen.admin`, asked of the binary over real sockets, and the commands that read it.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use kubezone::config::Admin;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use support::forward::{Cluster, Forwarding, pod};
use support::http::http;
use support::kubezone::{KUBEZONE, Kubezone};
use support::process::Folder;
use support::{eventually, skip};

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
- { name: 3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa, reverseOf: [c2.k8s.ooo], nameservers: [{ name: ns.c2.k8s.ooo. }] }
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
        "serial": serial, "records": 3, "age": null, "error": null,
    });
    assert_eq!(zones["items"][0], parent);
    assert_eq!([zone(1, "zone"), zone(1, "kind"), zone(1, "source")], ["c2.k8s.ooo.", "cluster", "c2"]);
    assert_eq!((zone(1, "state"), zone(1, "records")), (json!("loaded"), json!(5)));
    assert!(zone(1, "age").is_u64(), "{zones}");
    let pending = json!({
        "zone": "c3.k8s.ooo.", "kind": "cluster", "source": "c3", "state": "pending",
        "serial": null, "records": null, "age": null, "error": null,
    });
    assert_eq!(zones["items"][2], pending);
    assert_eq!([zone(3, "kind"), zone(3, "source"), zone(3, "state")], ["reverse", "c2.k8s.ooo.", "loaded"]);
    assert_eq!((zone(3, "records"), zone(3, "age")), (json!(3), zone(1, "age")));

    let clusters = eventually("all of c3 is told to be missing", async || {
        let clusters = json(&kubezone, "/api/v1/clusters").await;
        let parts = clusters["items"][1]["errors"][0]["parts"].as_array().map_or(0, Vec::len);
        if parts == 3 { Ok(clusters) } else { Err(clusters.to_string()) }
    })
    .await;
    let [c2, c3] = [0, 1].map(|place| clusters["items"][place].clone());
    assert_eq!((c2["cluster"].clone(), c2["synced"].clone()), (json!("c2"), json!(true)));
    assert!(c2["last_event"].as_str().expect("a time").ends_with('Z'), "{c2}");
    assert_eq!((&c2["published"], &c2["withheld"], &c2["errors"]), (&json!(1), &json!({}), &json!([])));
    assert!(c2["age"].is_u64() && c2["source"] == json!(folder.join("c2").display().to_string()), "{c2}");
    let absent = folder.join("absent").display().to_string();
    let error = format!(
        "the kubeconfig cannot be used: failed to read kubeconfig from '\"{absent}\"': No such file or directory (os error 2)"
    );
    let problem = json!({
        "parts": ["EndpointSlice", "Namespace", "Service"],
        "error": error,
        "fix": format!("Have {absent} be a kubeconfig that kubezone may read; kubezone tries again by itself."),
    });
    let c3_expected = json!({
        "cluster": "c3", "source": absent, "synced": false, "last_event": null, "age": null, "published": null,
        "withheld": {}, "errors": [problem],
    });
    assert_eq!(c3, c3_expected);

    let server = json(&kubezone, "/api/v1/server").await;
    assert_eq!((&server["version"], &server["ready"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(true)));
    assert_eq!(
        (&server["readiness"], &server["error"]),
        (&json!("ready; zones not loaded: c3.k8s.ooo."), &Value::Null)
    );
    assert_eq!(server["dns"], json!([kubezone.dns()]));
    assert!(server["uptime"].is_u64() && server["responses"]["NOERROR"].as_u64() > Some(0), "{server}");
}

#[tokio::test]
async fn a_zone_is_a_master_file() {
    let (kubezone, _) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let (head, body) = kubezone.api("/api/v1/zones/c2.k8s.ooo").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("\r\ncontent-type: text/dns\r\n"), "{head}");
    assert!(body.contains("\nweb.shop.svc.c2.k8s.ooo. "), "{body}");
    assert_eq!(kubezone.api("/api/v1/zones/C2.k8s.ooo.").await.1, body);

    let error = refused(&kubezone, "/api/v1/zones/c4.k8s.ooo", 404).await;
    let known = "k8s.ooo., c2.k8s.ooo., c3.k8s.ooo., 3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa.";
    assert_eq!(error, format!("there is no zone c4.k8s.ooo.: there is {known}"));
    let error = refused(&kubezone, "/api/v1/zones/c3.k8s.ooo.", 503).await;
    assert!(error.starts_with("zone c3.k8s.ooo. is not loaded yet"), "{error}");
    for (path, status) in [("/api/v1/zones/a..b", 400), ("/api/v1/zones/%ff", 400), ("/api/v2", 404), ("/metrics", 404)]
    {
        refused(&kubezone, path, status).await;
    }
}

#[tokio::test]
async fn the_api_is_as_it_describes_itself() {
    let hidden = service("hidden", "fd00::1");
    let (kubezone, _) = serving(&(service("web", "2a0a:e5c0:10:3::17") + &hidden)).await;
    let document = json(&kubezone, "/api/v1/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.1");
    let value = |parameter: &Value| match parameter["name"].as_str().expect("a name") {
        "zone" => "c2.k8s.ooo",
        "name" if parameter["in"] == "path" => "web.shop.svc.c2.k8s.ooo",
        "name" => "web",
        "address" => "2a0a:e5c0:10:3::17",
        "namespace" => "shop",
        "published" => "false",
        "reason" => "KZ0110",
        "limit" => "1",
        "after" => "shop/a",
        "search" => "HID",
        other => panic!("{other}"),
    };
    let check = |what: &str, schema: &Value, answer: &str| {
        let mut schema = schema.clone();
        schema["components"] = document["components"].clone();
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors: Vec<_> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{what}: {errors:?} in {answer}");
    };
    let paths = document["paths"].as_object().expect("paths");
    for (path, described) in paths {
        let described = &described["get"];
        let parameters = described["parameters"].as_array().expect("parameters");
        let (in_path, others): (Vec<_>, Vec<_>) = parameters.iter().partition(|parameter| parameter["in"] == "path");
        let target = in_path.iter().fold(path.clone(), |path, parameter| {
            path.replace(&format!("{{{}}}", parameter["name"].as_str().expect("a name")), value(parameter))
        });
        assert!(!target.contains('{'), "{target}");
        let (required, optional): (Vec<_>, Vec<_>) = others.iter().partition(|it| it["required"] == true);
        let query = |of: &[&&Value]| -> String {
            of.iter().map(|it| format!("{}={}&", it["name"].as_str().expect("a name"), value(it))).collect()
        };
        let content = described["responses"]["200"]["content"].as_object().expect("what it is");
        let (media, content) = content.iter().next().expect("one");
        let mut questions = vec![query(&required)];
        // One by one; a Service's name means something in a Namespace.
        questions.extend(optional.iter().filter(|it| it["name"] != "name").map(|it| query(&required) + &query(&[it])));
        for question in questions {
            let (head, body) = kubezone.api(&format!("{target}?{question}")).await;
            assert!(head.starts_with("HTTP/1.1 200") && head.contains(media), "{target}?{question}: {head}\n{body}");
            if media == "application/json" {
                check(&format!("{target}?{question}"), &content["schema"], &body);
            }
        }
        let problem = &described["responses"]["default"]["content"]["application/json"]["schema"];
        let (_, body) = kubezone.api("/api/v1/zones/absent").await;
        check(path, problem, &body);
    }
    assert!(paths.len() > 10, "{}", paths.len());
}

#[tokio::test]
async fn services_are_looked_for() {
    let manifests = ["web", "api", "webshop"].map(|name| service(name, "2a0a:e5c0:10:3::17")).concat();
    let (kubezone, _) = serving(&(manifests + &service("hidden", "fd00::1"))).await;
    let check = async |question: &str, expected: &[&str]| {
        let page = json(&kubezone, &format!("/api/v1/services?zone=c2.k8s.ooo&{question}")).await;
        let names: Vec<_> = page["items"].as_array().expect("items").iter().map(|item| item["name"].clone()).collect();
        assert_eq!(names, expected, "{question}");
        page["next"].clone()
    };
    check("search=Web", &["web", "webshop"]).await;
    check("search=shop/a", &["api"]).await;
    check("search=fd00:0::1", &["hidden"]).await;
    check("published=false", &["hidden"]).await;
    check("published=true&search=hid", &[]).await;
    check("reason=AddressNotPublic", &["hidden"]).await;
    check("reason=kz0110", &["hidden"]).await;
    check("reason=NameConflict", &[]).await;
    // The page that follows is announced if anything of it is looked for.
    assert_eq!(check("search=web&limit=1", &["web"]).await, json!("shop/web"));
    assert_eq!(check("search=web&limit=1&after=shop/web", &["webshop"]).await, Value::Null);
    assert_eq!(check("published=true&limit=3", &["api", "web", "webshop"]).await, Value::Null);
    let error = refused(&kubezone, "/api/v1/services?zone=c2.k8s.ooo&published=maybe", 400).await;
    assert_eq!(error, "`published` is true or false");
}

#[tokio::test]
async fn what_changed_is_told() {
    let (kubezone, folder) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let versions = async |zone: &str| json(&kubezone, &format!("/api/v1/zones/{zone}/changes")).await["items"].clone();
    let all = versions("c2.k8s.ooo").await;
    let [first] = &all.as_array().expect("versions")[..] else { panic!("several versions: {all}") };
    assert_eq!((&first["added"], &first["removed"], &first["names"]), (&json!(4), &json!(0), &json!([])));
    assert_eq!(versions("c3.k8s.ooo").await, json!([]), "it was never loaded");
    refused(&kubezone, "/api/v1/zones/absent/changes", 404).await;

    fs::write(folder.join("c2/more.yaml"), service("api", "2a0a:e5c0:10:3::18")).expect("manifests");
    fs::write(folder.join("k8s.ooo.zone"), format!("{PARENT}www A 192.0.2.1\n").replace(" 1 14400", " 2 14400"))
        .expect("a zone");
    for (zone, name) in [("c2.k8s.ooo", "api.shop.svc.c2.k8s.ooo."), ("k8s.ooo", "www.k8s.ooo.")] {
        let newest = eventually(&format!("a change of {zone} is told"), async || {
            let versions = versions(zone).await;
            if versions[0]["names"] == json!([name]) { Ok(versions[0].clone()) } else { Err(versions.to_string()) }
        })
        .await;
        assert_eq!(
            (&newest["added"], &newest["removed"], &newest["more"]),
            (&json!(1), &json!(0), &json!(0)),
            "{zone}"
        );
        assert!(newest["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{newest}");
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

#[tokio::test]
async fn services_are_told_page_by_page() {
    let manifests = ["web", "api", "db"].map(|name| service(name, "2a0a:e5c0:10:3::17")).concat();
    let hidden = service("hidden", "fd00::1");
    let (kubezone, _) = serving(&format!("{manifests}{hidden}")).await;
    let of = |page: &Value| {
        let items = page["items"].as_array().expect("a list").iter();
        items.map(|item| item["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let zone = "/api/v1/services?zone=c2.k8s.ooo";
    let all = json(&kubezone, zone).await;
    assert_eq!(of(&all), ["api", "db", "hidden", "web"]);
    assert_eq!(all["next"], Value::Null);
    assert_eq!(all["items"][2]["reasons"][0]["name"], "AddressNotPublic");
    assert_eq!(all["items"][3]["global_name"], "web.shop.svc.c2.k8s.ooo.");

    let first = json(&kubezone, &format!("{zone}&limit=3")).await;
    assert_eq!((of(&first), &first["next"]), (of(&all)[..3].to_vec(), &json!("shop/hidden")));
    let second = json(&kubezone, &format!("{zone}&limit=3&namespace=shop&after=shop%2Fhidden")).await;
    assert_eq!((of(&second), &second["next"]), (vec!["web".to_owned()], &Value::Null));
    assert_eq!(second["items"][0], all["items"][3]);
    assert_eq!(of(&json(&kubezone, &format!("{zone}&namespace=shop&after=a/z")).await).len(), 4);
    assert_eq!(of(&json(&kubezone, &format!("{zone}&namespace=shop&name=db")).await), ["db"]);
    // One that is not there is told of, too, whatever its name.
    let absent = json(&kubezone, &format!("{zone}&namespace=shop&name=%3Cb%3E%22%0A")).await;
    assert_eq!((absent["items"][0]["name"].as_str(), &absent["items"][0]["type"]), (Some("<b>\"\n"), &Value::Null));

    let name = json(&kubezone, "/api/v1/names/web.shop.svc.c2.k8s.ooo?zone=c2.k8s.ooo").await;
    assert_eq!((&name["zone"], &name["records"][0]["rdata"]), (&json!("c2.k8s.ooo."), &json!("2a0a:e5c0:10:3::17")));
    let address = json(&kubezone, "/api/v1/addresses/fd00::1?zone=c2.k8s.ooo").await;
    assert_eq!((&address["published"], &address["withheld"][0]["name"]), (&json!([]), &json!("hidden")));

    for (path, status, sentence) in [
        ("services", 400, "`zone` is missing"),
        ("services?zone=", 400, "that is no name: "),
        (
            "services?zone=k8s.ooo",
            404,
            "there is no zone k8s.ooo. that is made from a cluster: there is c2.k8s.ooo., c3.k8s.ooo.",
        ),
        ("services?zone=c3.k8s.ooo", 503, "cluster c3: it has not been read in full yet"),
        ("services?zone=c2.k8s.ooo&limit=0", 400, "`limit` is a number from 1 to 1000"),
        ("services?zone=c2.k8s.ooo&limit=1001", 400, "`limit` is a number from 1 to 1000"),
        ("services?zone=c2.k8s.ooo&limit=99999999999999999999", 400, "`limit` is a number from 1 to 1000"),
        ("services?zone=c2.k8s.ooo&limit=1&limit=2", 400, "`limit` is given twice"),
        ("services?zone=c2.k8s.ooo&nam=web", 400, "there is no parameter `nam` here"),
        ("services?zone=c2.k8s.ooo&name=web", 400, "a Service's name means something in a namespace"),
        ("services?zone=c2.k8s.ooo&after=web", 400, "`after` is a page's `next`"),
        ("services?zone=c2.k8s.ooo&namespace=nope", 404, "nothing is known of a Namespace nope"),
        ("names/example.com?zone=c2.k8s.ooo", 400, "example.com. is not in zone c2.k8s.ooo."),
        ("addresses/web?zone=c2.k8s.ooo", 400, "that is no address"),
        ("addresses/fd00::1", 400, "`zone` is missing"),
    ] {
        let said = refused(&kubezone, &format!("/api/v1/{path}"), status).await;
        assert!(said.starts_with(sentence), "{path}: {said}");
    }
}

/// The keys of all objects in `value`.
fn keys(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| keys(value).into_iter().chain([key.clone()])).collect()
        }
        Value::Array(values) => values.iter().flat_map(keys).collect(),
        _ => BTreeSet::new(),
    }
}

#[tokio::test]
async fn every_field_is_documented() {
    let manifests = [service("web", "2a0a:e5c0:10:3::17"), service("hidden", "fd00::1")].concat();
    let (kubezone, _) = serving(&manifests).await;
    let documented = fs::read_to_string("docs/api.md").expect("docs/api.md");
    for path in [
        "server",
        "zones",
        "clusters",
        "services?zone=c2.k8s.ooo",
        "names/web.shop.svc.c2.k8s.ooo?zone=c2.k8s.ooo",
        "addresses/2a0a:e5c0:10:3::17?zone=c2.k8s.ooo",
    ] {
        let endpoint = path.split(['/', '?']).next().expect("a first part");
        let section = documented.split("\n## ").find(|part| part.starts_with(&format!("`/api/v1/{endpoint}")));
        assert!(section.is_some(), "{endpoint}");
        // Of families, RCODEs and reasons: fields that are called after what they are of.
        let of_something = ["IPv6", "IPv4", "NOERROR", "SERVFAIL", "REFUSED", "AddressNotPublic"].map(str::to_owned);
        for key in keys(&json(&kubezone, &format!("/api/v1/{path}")).await) {
            assert!(of_something.contains(&key) || documented.contains(&format!("`{key}`")), "{path}: {key}");
        }
    }
}

#[tokio::test]
async fn status_says_what_is_not_right_and_what_to_do() {
    let (mut kubezone, folder) =
        serving(&[service("web", "2a0a:e5c0:10:3::17"), service("hidden", "fd00::1")].concat()).await;
    let server = format!("http://{}", kubezone.admin());
    let status = |args: &[&str]| call(&folder, &[&["status", "--server", &server], args].concat());
    let (code, said, errors) = status(&[]);
    assert_eq!((code, errors.as_str()), (Some(1), ""), "{said}");
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = |first: &str| {
        lines.iter().find(|line| line.first() == Some(&first)).unwrap_or_else(|| panic!("{first}: {said}"))
    };
    assert!(said.starts_with("kubezone ") && said.contains(" ago: ready; zones not loaded: c3.k8s.ooo.\n"), "{said}");
    assert_eq!(row("k8s.ooo.")[1..3], ["file", "loaded"]);
    assert_eq!(row("c3.k8s.ooo.")[1..6], ["cluster", "pending", "-", "-", "-"]);
    assert_eq!(row("c2")[1], "yes");
    assert_eq!(row("c2")[3..6], ["1", "1", "AddressNotPublic"]);
    assert_eq!(row("c3")[1..5], ["no", "-", "-", "-"]);
    let absent = folder.join("absent").display().to_string();
    let wrong = format!(
        "\ncluster c3 (EndpointSlice, Namespace, Service): the kubeconfig cannot be used: failed to read kubeconfig from '\"{absent}\"'"
    );
    assert!(
        said.contains(&wrong) && said.contains(&format!("\n  Have {absent} be a kubeconfig that kubezone may read")),
        "{said}"
    );
    assert!(row("NOERROR")[1].parse::<u64>().is_ok() && row("NOERROR")[2].parse::<f64>().is_ok(), "{said}");

    // A zone file and a configuration that are not taken over, until they are mended.
    fs::write(folder.join("k8s.ooo.zone"), "@ SOA\n").expect("written");
    let c3 = CONFIGURATION.lines().find(|line| line.contains("c3.k8s.ooo")).expect("the zone");
    let without = CONFIGURATION.replace(&format!("{c3}\n"), "").replace(", { name: c3, kubeconfig: absent }", "");
    fs::write(folder.join("kubezone.yaml"), without.replace("readyTimeout", "readyTimout")).expect("written");
    let api = async |check: &dyn Fn(&Value, &Value) -> bool| {
        eventually("the API tells", async || {
            let told = (json(&kubezone, "/api/v1/server").await, json(&kubezone, "/api/v1/zones").await);
            if check(&told.0["error"], &told.1["items"][0]["error"]) { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
    };
    api(&|configuration, zone| configuration.is_string() && zone.is_string()).await;
    let (code, said, _) = status(&[]);
    let path = folder.join("kubezone.yaml").display().to_string();
    for part in [
        format!("the configuration is followed as it was before: {path}:2:1: unknown key `readyTimout`"),
        format!(
            "the file of zone k8s.ooo. was not taken over: {}: line 1, column 6: ",
            folder.join("k8s.ooo.zone").display()
        ),
    ] {
        assert!(code == Some(1) && said.contains(&part), "{part}: {said}");
    }
    fs::write(folder.join("k8s.ooo.zone"), PARENT).expect("written");
    fs::write(folder.join("kubezone.yaml"), without).expect("written");
    api(&|configuration, zone| configuration.is_null() && zone.is_null()).await;

    let (code, said, errors) = status(&["-o", "json"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
    let seen: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&seen["zones"][1]["zone"], &seen["clusters"][0]["withheld"]),
        (&json!("c2.k8s.ooo."), &json!({ "AddressNotPublic": 1 }))
    );
    assert!(seen["rates"]["NOERROR"].is_f64() && seen["server"]["ready"] == json!(true), "{seen}");

    kubezone.terminate();
    kubezone.terminate();
    kubezone.ended().await;
    let (code, said, errors) = call(&folder, &["status", "--server", &server]);
    assert!(code == Some(3) && said.is_empty() && errors.starts_with("could not ask "), "{errors}");
}

/// On a terminal it draws over itself, until its reader has had enough.
#[tokio::test]
async fn a_check_of_a_server_asks_it_and_its_sockets() {
    let (kubezone, folder) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let dns = kubezone.dns();
    let url = format!("http://{}", kubezone.admin());
    let (status, said, errors) = call(&folder, &["check", "--server", &url]);
    assert_eq!((status, errors.as_str()), (Some(1), ""), "c3 is not there: {said}");
    let serial = kubezone.serial().await;
    for line in [
        format!("✔ server-configuration {url}: taken over as it is now"),
        format!("✔ zone-served k8s.ooo.: serial {serial}, 3 records, from {}", folder.join("k8s.ooo.zone").display()),
        "✘ zone-served c3.k8s.ooo.: pending, from c3: answered with SERVFAIL".to_owned(),
        "✔ cluster-synced c2: read in full: 1 Services published, 0 not".to_owned(),
        format!("✔ answers-udp {dns}: SOA of 3 zones"),
        format!("✔ answers-tcp {dns}: SOA of 3 zones"),
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }
    let hint = format!("    Have {} be a kubeconfig that kubezone may read;", folder.join("absent").display());
    assert!(said.contains("✘ cluster-synced c3: not read in full; ") && said.contains(&hint), "{said}");

    // By its configuration, and with one that it does not take over.
    let all_well = CONFIGURATION.replace(", { name: c3, kubeconfig: absent }", "");
    let all_well: String =
        all_well.lines().filter(|line| !line.contains("c3.k8s.ooo")).map(|line| format!("{line}\n")).collect();
    let own = all_well.replace("metrics:", &format!("admin: \"{}\", metrics:", kubezone.admin()));
    fs::write(folder.join("kubezone.yaml"), &own).expect("written");
    eventually("a check of the server finds nothing", async || {
        match call(&folder, &["check", "--config", "kubezone.yaml", "-o", "json"]) {
            (Some(0), said, _) => {
                let checks: Value = serde_json::from_str(&said).expect("JSON");
                assert!(checks.as_array().is_some_and(|all| all.iter().all(|it| it["level"] == "good")), "{said}");
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    fs::write(folder.join("kubezone.yaml"), "zones: nothing").expect("written");
    fs::write(folder.join("other.yaml"), own.replace("name: k8s.ooo,", "name: k9s.ooo,")).expect("written");
    eventually("a check tells of both differences", async || {
        let (status, said, _) = call(&folder, &["check", "--config", "other.yaml"]);
        let expected = [
            "✘ server-configuration ",
            "! zone-served k8s.ooo.: loaded, from ",
            "✘ zone-served k9s.ooo.: configured, and the server does not know it",
        ];
        let is_told = expected.iter().all(|line| said.contains(line));
        if is_told && status == Some(1) { Ok(()) } else { Err(said) }
    })
    .await;

    drop(kubezone);
    let (status, said, errors) = call(Path::new("."), &["check", "--server", &url]);
    assert_eq!((status, errors.as_str()), (Some(3), ""));
    assert!(said.starts_with(&format!("✘ server-reachable {url}: could not ask {url}/api/v1/server: ")), "{said}");
}

#[tokio::test]
async fn status_is_watched() {
    let (kubezone, folder) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let line = format!("{} status --watch --server http://{}", KUBEZONE.as_str(), kubezone.admin());
    // It ends when it has been seen twice.
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{line} | sed -u '/^RCODE/{{x;s/^/x/;/xx/q;x}}'")]).current_dir(&folder);
    let piped = String::from_utf8(shell.output().expect("sh started").stdout).expect("UTF-8");
    assert!(piped.matches("kubezone 0").count() == 2 && !piped.contains('\x1b'), "{piped}");

    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let Ok(mut terminal) = script.spawn() else {
        return skip("status on a terminal", &"there is no script in the path");
    };
    let mut drawn = String::new();
    let mut output = BufReader::new(terminal.stdout.take().expect("its output"));
    while drawn.matches("\x1b[H\x1b[J").count() < 2 {
        assert_ne!(output.read_line(&mut drawn).expect("UTF-8"), 0, "it has ended: {drawn}");
    }
    // Its terminal goes with it.
    terminal.kill().and_then(|()| terminal.wait()).expect("killed");
    assert!(drawn.contains("c2.k8s.ooo."), "{drawn}");
}

/// Calls kubezone as kubectl does, in `folder`.
fn call_plugin(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let plugin = folder.join("kubectl-kubezone");
    if !plugin.exists() {
        std::os::unix::fs::symlink(fs::canonicalize(KUBEZONE.as_str()).expect("the binary"), &plugin).expect("a link");
    }
    let output = Command::new(plugin).args(args).current_dir(folder).output().expect("kubezone started");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), stdout, stderr)
}

/// An API server whose Pods are these, and what is forbidden there.
async fn cluster(pods: Value, forbidden: &'static str, leads_to: SocketAddr) -> (Forwarding, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    (Forwarding::start(Cluster { pods, forbidden, leads_to, asked: Arc::clone(&asked) }).await, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_asks_the_pod_in_the_cluster() {
    let manifests = [service("web", "2a0a:e5c0:10:3::17"), service("hidden", "fd00::1")].concat();
    let (kubezone, folder) = serving(&manifests).await;
    let pods = json!([pod("dns", "kubezone-b", "Pending", 1), pod("dns", "kubezone-a", "Running", 7154)]);
    let (api_server, asked) = cluster(pods, "", kubezone.admin()).await;
    let kubeconfig =
        ["--kubeconfig", &api_server.kubeconfig.display().to_string(), "--context", "c2"].map(str::to_owned);
    let kubeconfig: Vec<_> = kubeconfig.iter().map(String::as_str).collect();
    let server = format!("http://{}", kubezone.admin());
    for question in [
        &["zone", "list"][..],
        &["zone", "dump", "c2.k8s.ooo"],
        &["explain", "svc/web", "-n", "shop", "--zone", "c2.k8s.ooo"],
        &["explain", "web.shop.svc.c2.k8s.ooo", "--zone", "c2.k8s.ooo"],
        &["audit", "--zone", "c2.k8s.ooo", "-o", "json"],
    ] {
        let of_pod = call_plugin(&folder, &[question, &kubeconfig].concat());
        let of_server = call(&folder, &[question, &["--server", &server]].concat());
        assert!(of_pod.0 == of_server.0 && of_pod.1 == of_server.1, "{question:?}: {of_pod:?}");
        assert!(!of_pod.1.is_empty(), "{question:?}: {of_pod:?}");
    }
    let said = asked.lock().expect("not poisoned").clone();
    assert!(said.contains(&"/api/v1/pods?&labelSelector=app.kubernetes.io%2Fname%3Dkubezone".to_owned()), "{said:?}");
    assert!(said.contains(&"/api/v1/namespaces/dns/pods/kubezone-a/portforward?&ports=7154".to_owned()), "{said:?}");

    let (status, stdout, stderr) = call_plugin(&folder, &[&["status", "-n", "dns"], &kubeconfig[..]].concat());
    assert!(status == Some(1) && stdout.contains("c2.k8s.ooo."), "{stderr}");
    let last = asked.lock().expect("not poisoned").clone();
    assert!(last.iter().any(|path| path.starts_with("/api/v1/namespaces/dns/pods?")), "{last:?}");
    // What kubectl completes with.
    let complete = folder.join("kubectl_complete-kubezone");
    std::os::unix::fs::symlink(fs::canonicalize(KUBEZONE.as_str()).expect("the binary"), &complete).expect("a link");
    let words = [&["zone", "dump"], &kubeconfig[..], &["c"]].concat();
    let proposed = Command::new(complete).args(words).output().expect("kubezone started");
    assert_eq!(String::from_utf8(proposed.stdout).expect("UTF-8"), "c2.k8s.ooo\nc3.k8s.ooo\n:4\n");

    // Without the name, the cluster is asked where it is named.
    assert_eq!(call(&folder, &[&["zone", "list"], &kubeconfig[..]].concat()).0, Some(1));
    let (status, _, stderr) = call(&folder, &["zone", "list"]);
    assert!(status == Some(2) && stderr.starts_with("say where to look: --config FILE, --server URL"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_cannot_be_asked_is_told_with_what_to_do() {
    let folder = Folder::new().expect("a temporary folder");
    let here = folder.join("");
    // It has a port, and nobody listens there.
    let nobody = TcpListener::bind("[::1]:0").expect("a socket").local_addr().expect("its address");
    let running = || json!([pod("dns", "kubezone-a", "Running", 7154)]);
    for (pods, forbidden, expected) in [
        (
            json!([]),
            "",
            "there is no Pod with the label app.kubernetes.io/name=kubezone in any namespace: install kubezone there",
        ),
        (json!([pod("dns", "a", "Pending", 1)]), "", "Pod dns/a is Pending, and no other Pod with the label"),
        (running(), "pods", "could not look for kubezone's Pod: this takes the right to list pods in any namespace; "),
        (
            running(),
            "portforward",
            "could not forward a port of Pod dns/kubezone-a: this takes the rights to get and create pods/portforward: the API answered 403 Forbidden: ",
        ),
        (
            running(),
            "",
            "Pod dns/kubezone-a does not answer on port 7154: error forwarding port 7154 to pod 0123, uid : Connection refused",
        ),
    ] {
        let (api_server, _) = cluster(pods, forbidden, nobody).await;
        let kubeconfig = api_server.kubeconfig.display().to_string();
        let (status, stdout, stderr) = call_plugin(&here, &["status", "--kubeconfig", &kubeconfig]);
        assert!(status == Some(3) && stdout.is_empty() && stderr.starts_with(expected), "{expected}: {stderr}");
        assert_eq!(forbidden.is_empty(), !stderr.contains("is forbidden: User"), "{stderr}");
    }
    let (status, _, stderr) = call_plugin(&here, &["status", "--kubeconfig", "absent"]);
    assert!(
        status == Some(3) && stderr.starts_with("the cluster that kubezone is to be found in cannot be used: "),
        "{stderr}"
    );
}

/// Completions look where the command would.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_has_is_proposed() {
    let manifests = [service("web", "2a0a:e5c0:10:3::17"), service("hidden", "fd00::1")].concat();
    let (kubezone, _) = serving(&manifests).await;
    let server = format!("http://{}", kubezone.admin());
    let proposed = |words: &str| {
        let words: Vec<_> = ["--", "kubezone"].into_iter().chain(words.split(' ')).collect();
        let mut command = Command::new(KUBEZONE.as_str());
        command.args(&words).args(["--server", &server]).arg("--zone").arg("");
        let index = (words.len() + 3 - 1).to_string();
        let output = command.envs([("KUBEZONE_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", &index)]).output();
        String::from_utf8(output.expect("kubezone started").stdout).expect("UTF-8")
    };
    let zones = "3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa\nc2.k8s.ooo\nc3.k8s.ooo\nk8s.ooo";
    assert_eq!(proposed("audit"), zones);
    assert_eq!(proposed("explain web"), zones);
}

#[test]
fn a_plugin_is_called_as_kubectl_calls_it() {
    let folder = Folder::new().expect("a temporary folder");
    let here = folder.join("");
    let (status, help, _) = call_plugin(&here, &["zone", "dump", "--help"]);
    assert_eq!(status, Some(0));
    assert!(help.contains("\nUsage: kubectl kubezone zone dump [OPTIONS] <ZONE>\n"), "{help}");
    assert!(
        help.contains(
            "\n  kubectl kubezone zone dump c2.k8s.ooo --server http://[::1]:9154 | kubectl kubezone zone diff"
        ),
        "{help}"
    );
    assert!(!help.contains("  kubezone "), "{help}");
    let (status, _, stderr) = call_plugin(&here, &["zone", "dump"]);
    assert!(status == Some(2) && stderr.contains("Usage: kubectl kubezone zone dump <ZONE>"), "{stderr}");
    assert!(call(&here, &["zone", "dump", "--help"]).1.contains("\nUsage: kubezone zone dump [OPTIONS] <ZONE>\n"));
}

/// Calls kubezone in `folder`: its exit status, and what it says on both outputs.
fn call(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(KUBEZONE.as_str()).args(args).current_dir(folder).output().expect("kubezone started");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), stdout, stderr)
}

/// The lines of what was printed, in no order, without those that only a server knows: title and SOA.
fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| !line.contains(" IN SOA ") && !line.contains(" serial ")).collect()
}

#[tokio::test]
async fn commands_say_of_a_server_what_they_say_of_its_files() {
    let manifests = [service("web", "2a0a:e5c0:10:3::17"), service("hidden", "fd00::1")].concat();
    let (kubezone, folder) = serving(&manifests).await;
    let server = format!("http://{}", kubezone.admin());
    let print = |args: &str, of: &[&str]| {
        let args: Vec<_> = args.split(' ').chain(of.iter().copied()).collect();
        let (status, stdout, stderr) = call(&folder, &args);
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{args:?}");
        stdout
    };
    for (args, files) in [
        ("zone dump c2.k8s.ooo", &["--config", "kubezone.yaml"][..]),
        ("zone dump k8s.ooo.", &["--config", "kubezone.yaml"]),
        ("zone dump 3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa", &["--config", "kubezone.yaml"]),
        ("zone records --zone c2.k8s.ooo", &["-f", "c2", "--config", "kubezone.yaml"]),
    ] {
        let of_server = print(args, &["--server", &server]);
        assert_eq!(lines(&of_server), lines(&print(args, files)), "{args}");
    }

    let (status, stdout, stderr) = call(&folder, &["zone", "list", "--server", &format!("{server}/")]);
    assert_eq!(status, Some(1), "c3 is not answered for");
    assert!(stderr.contains("c3.k8s.ooo."), "{stderr}");
    let rows: Vec<Vec<&str>> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ZONE", "KIND", "SERIAL", "RECORDS", "SOURCE"]);
    assert_eq!(rows[3], ["c3.k8s.ooo.", "cluster", "-", "-", "c3"]);
}

#[tokio::test]
async fn explain_and_audit_say_of_a_server_what_they_say_of_its_manifests() {
    let more = "---\napiVersion: v1\nkind: Service\nmetadata: { name: mail, namespace: shop }\n\
                spec: { type: ExternalName, externalName: mail.example.com }\n\
                ---\napiVersion: v1\nkind: Namespace\nmetadata: { name: empty }\n";
    let manifests = ["web", "api", "db"].map(|name| service(name, "2a0a:e5c0:10:3::17")).concat();
    let (kubezone, folder) = serving(&format!("{manifests}{}{more}", service("hidden", "fd00::1"))).await;
    let server = format!("http://{}", kubezone.admin());
    for question in [
        "explain svc/web -n shop",
        "explain svc/hidden -n shop",
        "explain svc/wbe -n shop",
        "explain svc/web",
        "explain ns/shop",
        "explain ns/empty",
        "explain ns/nope",
        "explain web.shop.svc.c2.k8s.ooo",
        "explain db.shop.svc",
        "explain wbe.shop.svc.c2.k8s.ooo.",
        "explain ns.c2.k8s.ooo",
        "explain example.com",
        "explain svc.c2.k8s.ooo",
        "explain _http._tcp.web.shop.svc",
        "explain c2.k8s.ooo",
        "explain 2a0a:e5c0:10:3::17",
        "explain 7.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa",
        "explain 2001:db8::53",
        "explain fd00::1",
        "explain 2001:db8::1",
        "audit",
        "audit -n shop --fail-on blocked",
        "audit -n nope",
        "audit -o csv",
    ] {
        for output in if question.contains("-o") { &[""][..] } else { &["", "-o json"] } {
            let say = |of: &[&str]| {
                let words = question.split(' ').chain(output.split_terminator(' '));
                let args: Vec<_> = words.chain(["--zone", "c2.k8s.ooo"]).chain(of.iter().copied()).collect();
                call(&folder, &args)
            };
            let of_server = say(&["--server", &server]);
            assert!(of_server.0.is_some_and(|status| status < 3), "{question}: {of_server:?}");
            assert_eq!(of_server, say(&["-f", "c2", "--config", "kubezone.yaml"]), "{question} {output}");
        }
    }
    // Of all zones, one has not been read yet.
    let (status, _, stderr) = call(&folder, &["explain", "svc/web", "-n", "shop", "--server", &server]);
    assert!(status == Some(3) && stderr.contains("cluster c3: it has not been read in full yet"), "{stderr}");
    let (status, _, stderr) = call(&folder, &["audit", "--zone", "k8s.ooo", "--server", &server]);
    let line =
        "the server has no zone that is made from a cluster and is called k8s.ooo.: it has c2.k8s.ooo., c3.k8s.ooo.\n";
    assert_eq!((status, stderr.as_str()), (Some(2), line));
}

#[tokio::test]
async fn what_a_server_does_not_tell_is_said_with_its_url() {
    let (kubezone, folder) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let admin = format!("http://{}", kubezone.admin());
    let metrics = admin.replace(&kubezone.admin().port().to_string(), &kubezone.metrics().port().to_string());
    // It has a port, and nobody listens there.
    let nobody = TcpListener::bind("[::1]:0").expect("a socket").local_addr().expect("its address");
    let nobody = format!("http://{nobody}");
    for (server, zone, status, sentence) in [
        (&admin, "c4.k8s.ooo", 3, format!("{admin}/api/v1/zones/c4.k8s.ooo.: there is no zone c4.k8s.ooo.: there is ")),
        (&admin, "c3.k8s.ooo", 3, format!("{admin}/api/v1/zones/c3.k8s.ooo.: zone c3.k8s.ooo. is not loaded yet")),
        (
            &metrics,
            "k8s.ooo",
            3,
            format!("{metrics}/api/v1/zones/k8s.ooo. answers 404 Not Found: there is another program"),
        ),
        (
            &nobody,
            "k8s.ooo",
            3,
            format!("could not ask {nobody}/api/v1/zones/k8s.ooo.: is that the server's listen.admin? "),
        ),
    ] {
        let (code, stdout, stderr) = call(&folder, &["zone", "dump", zone, "--server", server]);
        assert_eq!((code, stdout.as_str()), (Some(status), ""), "{stderr}");
        assert!(stderr.starts_with(&sentence), "{stderr}");
    }
    let (code, _, stderr) = call(&folder, &["zone", "dump", "k8s.ooo", "--server", "https://[::1]:9154"]);
    assert!(code == Some(2) && stderr.contains("write the URL of a kubezone's listen.admin"), "{stderr}");
}

#[tokio::test]
async fn a_dump_of_a_server_is_loaded_by_bind() {
    let (kubezone, folder) = serving(&service("web", "2a0a:e5c0:10:3::17")).await;
    let server = format!("http://{}", kubezone.admin());
    let (status, text, stderr) = call(&folder, &["zone", "dump", "c2.k8s.ooo", "--server", &server]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    fs::write(folder.join("dumped"), text).expect("written");
    match Command::new("named-checkzone").args(["c2.k8s.ooo", "dumped"]).current_dir(&folder).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let serial = kubezone.api("/api/v1/zones").await.1;
            let serial = serde_json::from_str::<Value>(&serial).expect("JSON")["items"][1]["serial"].clone();
            assert!(output.status.success() && said.contains(&format!("loaded serial {serial}\n")), "{said}");
        }
        Err(error) => skip("a dump of a server is loaded by BIND", &error),
    }
}

#[tokio::test]
async fn ten_thousand_services_are_told_while_questions_are_answered_and_objects_change() {
    let address = |number: usize| format!("2a0a:e5c0:10:3::{number:x}");
    let many = (1..=10_000).map(|number| service(&format!("s{number:05}"), &address(number))).collect::<String>();
    let (kubezone, folder) = serving(&many).await;
    let zone = "/api/v1/services?zone=c2.k8s.ooo&limit=500";
    let (mut names, mut after, mut pages) = (BTreeSet::new(), String::new(), 0);
    loop {
        let page = json(&kubezone, &format!("{zone}{after}")).await;
        let items = page["items"].as_array().expect("a list").iter();
        names.extend(items.map(|item| item["name"].as_str().expect("a name").to_owned()));
        pages += 1;
        kubezone.answers("s00017.shop.svc.c2 AAAA", &address(17)).await;
        // It comes behind what has been told, or in front of it: neither disturbs the others.
        fs::write(folder.join(format!("c2/more{pages}.yaml")), service(&format!("a{pages}"), &address(20_000 + pages)))
            .expect("a manifest");
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(pages, 20);
    let server = format!("http://{}", kubezone.admin());
    let (status, audited, _) = call(&folder, &["audit", "--zone", "c2.k8s.ooo", "-o", "csv", "--server", &server]);
    assert_eq!(status, Some(0));
    assert_eq!(audited.lines().filter(|line| line.starts_with("c2.k8s.ooo.,shop,s")).count(), 10_000);
    assert_eq!(names.iter().filter(|name| name.starts_with('s')).count(), 10_000);
    for number in 1..=pages {
        kubezone.answers(&format!("a{number}.shop.svc.c2 AAAA"), &address(20_000 + number)).await;
    }
}

/// A server with this configuration and no other word on where its API is.
async fn configured(listen: &str) -> (Kubezone, PathBuf) {
    let folder = Folder::new().expect("a temporary folder");
    folder.write("k8s.ooo.zone", PARENT).expect("a zone");
    let path = folder.write("kubezone.yaml", &parent(listen)).expect("configuration written");
    let (root, path) = (folder.join(""), path.display().to_string());
    let command = ["env", "-u", "KUBEZONE_LISTEN_ADMIN", KUBEZONE.as_str(), "serve", "--config", &path];
    (Kubezone::start("k8s.ooo", &command, folder).await.ready().await, root)
}

/// A configuration of one zone with `admin` beside the other addresses.
fn parent(admin: &str) -> String {
    format!(
        "listen: {{ dns: [\"[::1]:0\"], metrics: \"[::1]:0\"{admin} }}\nzones: [{{ name: k8s.ooo, file: k8s.ooo.zone }}]\n"
    )
}

#[tokio::test]
async fn the_usual_address_being_taken_keeps_no_server_from_its_job() {
    // Whoever has it: us, or another program on this machine.
    let _ours = TcpListener::bind(Admin::USUAL);
    let (kubezone, _) = configured("").await;
    let said = kubezone.log();
    let warning = said.iter().find(|line| line["level"] == "WARN").expect("a warning")["fields"].clone();
    assert_eq!(warning["message"], "no JSON API: listen.admin is not set, and the usual address cannot be had");
    assert_eq!(warning["error"], "could not listen on [::1]:9154 for admin: Address already in use (os error 98)");
    assert!(said.iter().all(|line| line["fields"]["transport"] != "admin"), "{said:?}");
}

#[tokio::test]
async fn a_reload_starts_moves_and_ends_it() {
    let (kubezone, folder) = configured(", admin: \"\"").await;
    let listening = || {
        let facts = kubezone.log().into_iter().map(|line| line["fields"].clone());
        let facts = facts.filter(|fact| fact["message"] == "listening" && fact["transport"] == "admin");
        facts.map(|fact| fact["address"].as_str().expect("an address").parse().expect("one")).collect::<Vec<_>>()
    };
    assert!(listening().is_empty());
    let reload = async |admin: &str, count: usize| {
        fs::write(folder.join("new"), parent(admin)).expect("written");
        fs::rename(folder.join("new"), folder.join("kubezone.yaml")).expect("renamed");
        eventually("it is taken over", async || {
            let said = kubezone.log();
            let taken = said.iter().filter(|line| line["fields"]["changes"] == "settings: admin").count();
            if taken == count { Ok(()) } else { Err(format!("{said:?}")) }
        })
        .await;
    };
    let is_gone = async |address| {
        eventually("nobody is there any more", async || match TcpStream::connect(address).await {
            Err(_) => Ok(()),
            Ok(_) => Err(String::new()),
        })
        .await;
    };
    reload(", admin: \"[::1]:0\"", 1).await;
    let first = listening()[0];
    assert!(http(first, "GET", "/api/v1/zones", "").await.expect("an answer").contains("k8s.ooo."));
    reload(", admin: \"127.0.0.1:0\"", 2).await;
    let second = listening()[1];
    assert!(http(second, "GET", "/api/v1/zones", "").await.expect("an answer").contains("k8s.ooo."));
    is_gone(first).await;
    reload(", admin: \"\"", 3).await;
    is_gone(second).await;
}

//! What `kubezone delegation` prints is what those understand who are to read it.
//!
//! Each dialect is read by its own tool, its vendor's library, or a parser of its format, and has to lead to the records that
//! the zone wants in its parent. `tests/dialects/build` installs those that are no Debian packages.

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hickory_proto::rr::Name;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kubezone::zone::{Record, master};
use serde_json::{Value, json};

use support::control_plane;
use support::kubezone::{KUBEZONE, Kubezone};
use support::process::{Folder, Process};
use support::{eventually, skip};

/// As in tests/dialects/build.
const READERS: &str = "dialects-1";

/// A zone to be delegated: how it is told, its parent, and what belongs there.
struct Case {
    zone: &'static str,
    args: &'static [&'static str],
    parent: &'static str,
    records: &'static str,
}

/// The founding talk's delegation, with name servers beside it and elsewhere; a signed zone; names that are hard to sort.
const CASES: [Case; 3] = [
    Case {
        zone: "c2.k8s.ooo",
        args: &[
            "--nameserver",
            "kube-dns.kube-system.svc=2a0a:e5c0:13:e2::a,147.78.194.9",
            "--nameserver",
            "ns1.k8s.ooo.",
            "--nameserver",
            "ns.example.",
        ],
        parent: "k8s.ooo.",
        records: "\
c2 3600 NS kube-dns.kube-system.svc.c2
c2 3600 NS ns.example.
c2 3600 NS ns1
kube-dns.kube-system.svc.c2 3600 AAAA 2a0a:e5c0:13:e2::a
kube-dns.kube-system.svc.c2 3600 A 147.78.194.9
",
    },
    Case {
        zone: "signed.k8s.ooo",
        args: &["--config", "tests/data/delegation/signed.yaml"],
        parent: "k8s.ooo.",
        records: "\
signed 600 NS ns.signed
signed 60 DS 12345 13 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F
ns.signed 300 AAAA 2001:db8::53
",
    },
    Case {
        zone: "2.a.example",
        args: &[
            "--parent",
            "example",
            "--nameserver",
            "ns10=2001:db8::10",
            "--nameserver",
            "ns9=2001:db8::9,192.0.2.9",
        ],
        parent: "example.",
        records: "\
2.a 3600 NS ns10.2.a
2.a 3600 NS ns9.2.a
ns10.2.a 3600 AAAA 2001:db8::10
ns9.2.a 3600 AAAA 2001:db8::9
ns9.2.a 3600 A 192.0.2.9
",
    },
];

impl Case {
    /// What kubezone prints in `dialect`.
    fn print(&self, dialect: &str) -> String {
        let mut command = Command::new(KUBEZONE.as_str());
        command.args(["delegation", self.zone, "--format", dialect]).args(self.args);
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("kubezone started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {dialect}: {said}", self.zone);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn parent(&self) -> Name {
        Name::from_ascii(self.parent).expect("a name")
    }

    /// The records that the parent is to have; without DS for those that know no such records.
    fn wanted(&self, has_ds: bool) -> Vec<String> {
        let records = self.records.lines().filter(|line| has_ds || !line.contains(" DS "));
        self.sorted(&records.map(|line| format!("{line}\n")).collect::<String>())
    }

    /// The records of a master file, each once.
    fn sorted(&self, text: &str) -> Vec<String> {
        let records = master::parse(text.as_bytes(), &self.parent(), None);
        let records = records.unwrap_or_else(|error| panic!("{}: {error}\n{text}", self.zone));
        let lower = |record: &Record| Record { owner: record.owner.to_lowercase(), ..record.clone() }.to_string();
        let mut records: Vec<_> = records.iter().map(lower).collect();
        records.sort();
        records
    }

    /// What it takes to be a parent zone, as a master file.
    fn around(&self) -> String {
        let parent = self.parent;
        format!(
            "{parent} 60 SOA ns.invalid. . 1 4h 1h 2w 60\n{parent} 60 NS ns.invalid.\nns1.{parent} 60 AAAA 2001:db8::1\n"
        )
    }
}

/// What a program says that is given `input`, and ends well.
fn say(command: &mut Command, input: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{input}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Python with the readers; `None` where it is missing, which then has been said.
fn python(test: &str) -> Option<PathBuf> {
    let venv = control_plane::cache()?.join(READERS);
    if !venv.join("complete").exists() {
        skip(test, &format!("{}: not there, tests/dialects/build installs it", venv.display()));
        return None;
    }
    Some(venv.join("bin/python"))
}

/// Whether a program is in the path; where it is not, that has been said.
fn is_there(test: &str, program: &str) -> bool {
    let is_there = Command::new(program).arg("-V").stdin(Stdio::null()).output().is_ok();
    if !is_there {
        skip(test, &format!("there is no {program} in the path"));
    }
    is_there
}

#[test]
fn readers_of_each_dialect_understand_the_records() {
    let Some(python) = python("readers_of_each_dialect_understand_the_records") else { return };
    for case in &CASES {
        for dialect in ["route53", "cloudflare", "gcloud", "octodns", "terraform"] {
            let mut command = Command::new(&python);
            command.args(["tests/dialects/read.py", dialect, case.parent]).current_dir(env!("CARGO_MANIFEST_DIR"));
            let understood = say(&mut command, &case.print(dialect));
            assert_eq!(case.sorted(&understood), case.wanted(dialect != "terraform"), "{} {dialect}", case.zone);
        }
    }
}

#[test]
fn master_files_make_a_parent_for_bind() {
    if !is_there("master_files_make_a_parent_for_bind", "named-compilezone") {
        return;
    }
    let folder = Folder::new().expect("a temporary folder");
    for case in &CASES {
        for dialect in ["bind", "cloudflare"] {
            let text = case.around() + &case.print(dialect);
            let path = folder.write("parent.zone", &text).expect("written");
            let mut command = Command::new("named-compilezone");
            command.args(["-q", "-i", "none", "-o", "-", case.parent]).arg(path);
            let compiled = case.sorted(&say(&mut command, ""));
            let around = case.sorted(&case.around());
            let added: Vec<_> = compiled.into_iter().filter(|record| !around.contains(record)).collect();
            assert_eq!(added, case.wanted(true), "{} {dialect}", case.zone);
        }
    }
}

/// The script is run by a shell in which `az` tells its arguments.
#[test]
fn a_shell_gives_azure_each_record() {
    const AZ: &str = "#!/bin/sh\nprintf '%s\\t' \"$@\"\necho\n";
    let folder = Folder::new().expect("a temporary folder");
    let az = folder.write("az", AZ).expect("written");
    fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).expect("executable");
    let path = format!("{}:{}", folder.join("").display(), std::env::var("PATH").unwrap_or_default());
    for case in &CASES {
        let mut command = Command::new("sh");
        command.args(["-eu"]).env("PATH", &path).env("RESOURCE_GROUP", "my group");
        let called = say(&mut command, &case.print("azure"));
        let records = called.lines().map(|line| {
            let words: Vec<_> = line.split('\t').filter(|word| !word.is_empty()).collect();
            let [command, flags] = [&words[..5], &words[5..]];
            let ["network", "dns", "record-set", kind, "add-record"] = command[..] else { panic!("{line}") };
            let value = |flag: &str| {
                let at = flags.chunks(2).find(|pair| pair[0] == flag);
                at.unwrap_or_else(|| panic!("{flag}: {line}"))[1]
            };
            assert_eq!(
                [value("--resource-group"), value("--zone-name")],
                ["my group", case.parent.trim_end_matches('.')]
            );
            let rdata: &[&str] = match kind {
                "ns" => &["--nsdname"],
                "aaaa" => &["--ipv6-address"],
                "a" => &["--ipv4-address"],
                "ds" => &["--key-tag", "--algorithm", "--digest-type", "--digest"],
                other => panic!("{other}"),
            };
            assert_eq!(flags.len(), 2 * (4 + rdata.len()), "{line}");
            let rdata: Vec<_> = rdata.iter().map(|flag| value(flag)).collect();
            format!("{} {} {kind} {}\n", value("--record-set-name"), value("--ttl"), rdata.join(" "))
        });
        assert_eq!(case.sorted(&records.collect::<String>()), case.wanted(true), "{}", case.zone);
        let mut without_group = Command::new("sh");
        without_group.args(["-eu", "-c", &case.print("azure")]).env("PATH", &path).env_remove("RESOURCE_GROUP");
        assert!(!without_group.output().expect("sh started").status.success());
    }
}

/// An API server takes the object by a definition with the fields that external-dns documents, and knows no others.
#[tokio::test]
async fn an_api_server_takes_dnsendpoints() {
    let Some(plane) = control_plane::shared("an_api_server_takes_dnsendpoints").await else { return };
    let client = plane.client().await;
    let endpoint = json!({
        "type": "object",
        "required": ["dnsName", "recordType"],
        "properties": {
            "dnsName": { "type": "string", "pattern": r"^([a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?\.?)+$", "maxLength": 254 },
            "recordTTL": { "type": "integer", "format": "int64", "minimum": 0, "maximum": i32::MAX },
            "recordType": { "type": "string", "enum": ["A", "AAAA", "CNAME", "MX", "NAPTR", "NS", "PTR", "SRV", "TXT"] },
            "targets": { "type": "array", "items": { "type": "string", "minLength": 1 } },
        },
    });
    let spec = json!({ "type": "object", "properties": { "endpoints": { "type": "array", "items": endpoint } } });
    let definition = json!({
        "metadata": {
            "name": "dnsendpoints.externaldns.k8s.io",
            // Kubernetes keeps such groups for those who have asked.
            "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
        },
        "spec": {
            "group": "externaldns.k8s.io",
            "scope": "Namespaced",
            "names": { "kind": "DNSEndpoint", "plural": "dnsendpoints" },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } } },
            }],
        },
    });
    let definition: CustomResourceDefinition = serde_json::from_value(definition).expect("a definition");
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    definitions.create(&PostParams::default(), &definition).await.expect("created");
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("externaldns.k8s.io", "v1alpha1", "DNSEndpoint"));
    let api = Api::<DynamicObject>::namespaced_with(client, "default", &kind);
    for case in &CASES {
        let object: DynamicObject = serde_saphyr::from_str(&case.print("external-dns")).expect("YAML");
        let created =
            eventually("the object is taken", async || match api.create(&PostParams::default(), &object).await {
                Ok(created) => Ok(created),
                // The kind is not served yet.
                Err(kube::Error::Api(status)) if status.code == 404 => Err(status.message),
                Err(error) => panic!("{error}: {object:?}"),
            })
            .await;
        // What is not in the definition would be gone.
        assert_eq!(created.data, object.data);
        let endpoints = created.data["spec"]["endpoints"].as_array().expect("endpoints").iter().flat_map(|endpoint| {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let [name, rtype] = [&endpoint["dnsName"], &endpoint["recordType"]].map(text);
            let dot = if rtype == "NS" { "." } else { "" };
            let ttl = &endpoint["recordTTL"];
            let targets = endpoint["targets"].as_array().expect("targets").iter().map(text);
            targets.map(move |target| format!("{name}. {ttl} {rtype} {target}{dot}\n")).collect::<Vec<_>>()
        });
        assert_eq!(case.sorted(&endpoints.collect::<String>()), case.wanted(false), "{}", case.zone);
    }
}

/// A name server that is called after a Service has the address that the cluster gave it.
#[tokio::test]
async fn a_cluster_is_read_for_the_address_of_a_service() {
    let Some(plane) = control_plane::shared("a_cluster_is_read_for_the_address_of_a_service").await else { return };
    let service = plane.namespace("dns").await.create_service("kubezone", control_plane::https()).await;
    let glue = control_plane::address(&service);
    let place = format!("c2.k8s.ooo --kubeconfig {}", plane.kubeconfig().display());
    let (status, stdout, stderr) = delegation(Path::new("."), &format!("{place} --nameserver kubezone.dns.svc"));
    let expected = format!(
        "; The delegation of c2.k8s.ooo. in its parent k8s.ooo.\n$ORIGIN k8s.ooo.\n\
         c2                   3600 IN NS   kubezone.dns.svc.c2\nkubezone.dns.svc.c2  3600 IN AAAA {glue}\n"
    );
    assert_eq!((status, stdout), (Some(0), expected), "{stderr}");
    let (status, _, stderr) = delegation(Path::new("."), &format!("{place} --nameserver kubezone.dsn.svc"));
    assert!(status == Some(1) && stderr.contains("the Service dsn/kubezone, which there is not"), "{stderr}");
}

/// A BIND that takes updates from this machine.
struct Named {
    _process: Process,
    _folder: Folder,
    port: u16,
}

impl Named {
    async fn start(case: &Case, more: &str) -> Self {
        let folder = Folder::new().expect("a temporary folder");
        let zone = folder.write("parent.zone", &(case.around() + more)).expect("written");
        let port = std::net::UdpSocket::bind("[::1]:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let (place, zone, parent) = (folder.join("."), zone.display(), case.parent);
        let configuration = format!(
            "options {{ directory \"{place}\"; pid-file none; listen-on {{ none; }}; listen-on-v6 port {port} {{ ::1; }};\n  \
             recursion no; session-keyfile none; dnssec-validation no; }};\ncontrols {{ }};\n\
             zone \"{parent}\" {{ type primary; file \"{zone}\"; allow-update {{ ::1; }}; }};\n",
            place = place.display(),
        );
        let path = folder.write("named.conf", &configuration).expect("written");
        let args = ["-g", "-c", &path.display().to_string()].map(str::to_owned);
        let process = Process::start(Path::new("named"), &args, folder.join("named.log")).expect("named started");
        let named = Self { _process: process, _folder: folder, port };
        eventually("named answers", async || {
            let said = named.dig(&[case.parent, "SOA"]);
            if said.is_empty() { Err("no answer".to_owned()) } else { Ok(()) }
        })
        .await;
        named
    }

    fn dig(&self, question: &[&str]) -> String {
        let port = self.port.to_string();
        let mut command = Command::new("dig");
        command.args(["@::1", "-p", &port, "+norecurse", "+noall", "+answer", "+authority", "+additional", "+time=10"]);
        let output = command.args(question).output().expect("dig started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines().filter(|line| !line.starts_with(';')).map(|line| format!("{line}\n")).collect()
    }

    /// Whether the script was carried out.
    fn update(&self, script: &str) -> bool {
        let mut child = Command::new("nsupdate").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let script = format!("server ::1 {}\n{script}", self.port);
        child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("read");
        child.wait_with_output().expect("ended").status.success()
    }
}

#[tokio::test]
async fn bind_serves_the_delegation_after_an_update() {
    let test = "bind_serves_the_delegation_after_an_update";
    if !["named", "nsupdate", "dig"].into_iter().all(|program| is_there(test, program)) {
        return;
    }
    for case in &CASES {
        // What is there of an older delegation goes; an alias stands in the way, which is told.
        let child = case.zone;
        let old = format!("{child}. 60 NS old.invalid.\n{child}. 60 DS 1 13 2 {}\n", "00".repeat(32));
        let named = Named::start(case, &old).await;
        assert!(named.update(&case.print("nsupdate")), "{child}");
        let held = case.sorted(&named.dig(&["AXFR", case.parent, "+onesoa"]));
        let around = case.sorted(&case.around());
        let added = held.into_iter().filter(|record| !around.contains(record) && !record.contains(" SOA "));
        assert_eq!(added.collect::<Vec<_>>(), case.wanted(true), "{child}");
        let referral = case.sorted(&named.dig(&[&format!("x.{child}"), "AAAA"]));
        for record in case.wanted(true).iter().filter(|record| record.contains(" NS ")) {
            assert!(referral.contains(record), "{record}: {referral:?}");
        }
    }
    let [case, ..] = &CASES;
    let named = Named::start(case, &format!("{}. 60 CNAME ns1.{}\n", case.zone, case.parent)).await;
    assert!(!named.update(&case.print("nsupdate")), "an alias is no place for a delegation");
}

/// Calls `kubezone delegation` with words and what stands in `folder`: its exit status, and what it says on both outputs.
fn delegation(folder: &Path, line: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(KUBEZONE.as_str());
    command.arg("delegation").args(line.split_whitespace());
    let output = command.current_dir(folder).output().expect("kubezone started");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), stdout, stderr)
}

#[tokio::test]
async fn a_running_server_is_asked_for_the_same() {
    let folder = Folder::new().expect("a temporary folder");
    let root = env!("CARGO_MANIFEST_DIR");
    let configuration = format!(
        "listen: {{ dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }}\nclusters: [{{ name: c3, manifests: {root}/examples/c3 }}]\n\
         zones:\n- {{ name: k8s.ooo, file: {root}/zones/k8s.ooo.zone }}\n\
         - {{ name: c3.k8s.ooo, cluster: c3, nameservers: [{{ name: kube-dns.kube-system.svc }}] }}\n\
         - {{ name: c4.k8s.ooo, cluster: c3, nameservers: [{{ name: kube-dsn.kube-system.svc }}] }}\n"
    );
    let path = folder.write("kubezone.yaml", &configuration).expect("written").display().to_string();
    let server = Kubezone::configured("c3.k8s.ooo", folder, &configuration).await.ready().await;
    let here = Path::new(root);
    let url = format!("--server http://{}", server.admin());

    let expected = "\
; The delegation of c3.k8s.ooo. in its parent k8s.ooo.
$ORIGIN k8s.ooo.
c3                           3600 IN NS   kube-dns.kube-system.svc.c3
kube-dns.kube-system.svc.c3  3600 IN AAAA 2a0a:e5c0:13:e3::a
";
    for place in [&url, &format!("--config {path}")] {
        let said = delegation(here, &format!("c3.k8s.ooo --format bind {place}"));
        assert_eq!(said, (Some(0), expected.to_owned(), String::new()), "{place}");

        let lost = "name server kube-dsn.kube-system.svc.c4.k8s.ooo. is in the zone and has no address: without glue nobody finds it\n  \
                    It is called after the Service kube-system/kube-dsn, which there is not; the nearest is kube-system/kube-dns.\n";
        let (status, stdout, stderr) = delegation(here, &format!("c4.k8s.ooo {place}"));
        assert_eq!((status, stdout.as_str()), (Some(1), ""), "{place}");
        assert!(stderr.starts_with(lost) && stderr.contains("KZ0117 NameServerWithoutAddress"), "{place}: {stderr}");
    }
    let unknown = "the server has no zone c5.k8s.ooo.: the nearest that it has is c4.k8s.ooo.\n".to_owned();
    assert_eq!(delegation(here, &format!("c5.k8s.ooo {url}")), (Some(2), String::new(), unknown));
}

#[test]
fn what_cannot_be_is_told_in_a_sentence() {
    let folder = Folder::new().expect("a temporary folder");
    folder.write("named.conf", "zone \"k8s.ooo\" { type primary; };\n").expect("written");
    folder.write("k8s.ooo", "+c2.k8s.ooo:192.0.2.1:3600\n").expect("written");
    folder.write("k8s.ooo.json", "{ \"c2\": { \"type\": \"NS\" } }\n").expect("written");
    let check = |line: &str, sentence: &str| {
        let (status, stdout, stderr) = delegation(&folder.join("."), line);
        assert_eq!((status, stdout.as_str(), stderr.lines().next()), (Some(2), "", Some(sentence)), "{line}");
    };
    let ns = "--nameserver ns=2001:db8::1";
    check(
        "c2.k8s.ooo",
        "say where the zone's name servers are told: --config FILE, --server URL of a kubezone that runs, or --nameserver NAME=ADDRESS",
    );
    check(&format!("c2..ooo {ns}"), "`c2..ooo` is no zone's name: write one such as c2.k8s.ooo");
    check(&format!(". {ns}"), ". has no parent: it is the root");
    check(&format!("c2.k8s.ooo {ns} --parent c3.ooo"), "c2.k8s.ooo. is not below c3.ooo., which cannot be its parent");
    check(&format!("c2.k8s.ooo {ns} --format tinydns"), "error: invalid value 'tinydns' for '--format <FORMAT>'");
    check(
        &format!("c2.k8s.ooo {ns} --write"),
        "there is no file of the parent k8s.ooo.: name it with --parent-file, or print what it needs with --format",
    );
    for (file, why) in [
        ("named.conf", "line 1, column 6: expected a record type, found `k8s.ooo`"),
        ("k8s.ooo", "line 1, column 27: the entry ends where a record type is expected"),
        ("k8s.ooo.json", "line 1, column 3: expected a record type, found `c2`"),
    ] {
        let sentence = format!(
            "{file} is not changed: it is no master file of k8s.ooo., and nothing else is changed here \
             (--format prints what other parents take): {why}"
        );
        check(&format!("c2.k8s.ooo {ns} --parent-file {file}"), &sentence);
    }
}

/// The zone file that ships, and a server that has it: a change is printed, made, and made once.
#[tokio::test]
async fn a_parent_is_changed_where_it_is_served() {
    let folder = Folder::new().expect("a temporary folder");
    let root = env!("CARGO_MANIFEST_DIR");
    let before = fs::read_to_string(format!("{root}/zones/k8s.ooo.zone")).expect("a zone file");
    let path = folder.write("k8s.ooo.zone", &before).expect("written");
    let configuration = format!(
        "listen: {{ dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }}\nclusters: [{{ name: c3, manifests: {root}/examples/c3 }}]\n\
         zones:\n- {{ name: k8s.ooo, file: {} }}\n\
         - {{ name: c3.k8s.ooo, cluster: c3, nameservers: [{{ name: kube-dns.kube-system.svc }}] }}\n",
        path.display(),
    );
    let config = folder.write("kubezone.yaml", &configuration).expect("written").display().to_string();
    let server = Kubezone::configured("k8s.ooo", folder, &configuration).await.ready().await;
    let line = format!("c3.k8s.ooo --config {config}");
    let here = Path::new(root);

    let (status, diff, _) = delegation(here, &line);
    let added: Vec<_> = diff.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")).collect();
    let [serial, ns, glue] = added[..] else { panic!("{diff}") };
    assert!(status == Some(0) && serial.ends_with("; serial: YYYYMMDDnn"), "{diff}");
    assert_eq!(ns, "+c3                              NS   kube-dns.kube-system.svc.c3");
    assert_eq!(glue, "+kube-dns.kube-system.svc.c3     AAAA 2a0a:e5c0:13:e3::a");
    assert_eq!(fs::read_to_string(&path).expect("a zone file"), before);

    let (status, said, _) = delegation(here, &format!("{line} --write"));
    let written = said.strip_prefix(&diff).unwrap_or_else(|| panic!("{said}"));
    assert!(status == Some(0) && written.starts_with("; written, serial 2026110100 to "), "{said}");
    let after = fs::read_to_string(&path).expect("a zone file");
    let nothing = "; c3.k8s.ooo. is delegated there as it should be: nothing to do\n".to_owned();
    assert_eq!(delegation(here, &format!("{line} --write")), (Some(0), nothing, String::new()));
    assert_eq!(fs::read_to_string(&path).expect("a zone file"), after);

    eventually("the server has the change", async || {
        let (_, body) = server.api("/api/v1/zones").await;
        let zone: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        let zones = zone["items"].as_array().expect("zones").iter();
        let serials: Vec<_> =
            zones.filter(|zone| zone["zone"] == "k8s.ooo.").map(|zone| zone["serial"].clone()).collect();
        if serials == [json!(2_026_110_100)] { Err(format!("{serials:?}")) } else { Ok(()) }
    })
    .await;
}

//! What documents show is true: commands print it, configurations and zones can be read, links lead somewhere.
//!
//! A block's language is its first word; what stands behind it on that line is seen by no reader and says what the block is:
//!
//! - `console`: commands and what they print, with exit status 0; `console findings`: with status 1.
//! - `console served FILE`: questions by `dig` to a server with this configuration, on its port 5353.
//! - `sh`: what takes a cluster, the Internet or rights. That lines of `kubezone` are understood, src/cli/tests.rs sees to, and of
//!   `helm` tests/chart.rs.
//! - `yaml`: a configuration; `yaml values`: of the Helm chart (tests/chart.rs); `yaml kubeadm`, `yaml objects`: Kubernetes'.
//! - `zone`: a master file, or a part of one.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use hickory_proto::rr::Name;
use ipnet::{IpNet, Ipv6Net};
use kubezone::config;
use kubezone::zone::{Record, master};
use serde_json::Value;
use support::documents::{blocks, documents, shown};
use support::kubezone::{KUBEZONE, Kubezone};
use support::process::Folder;

/// What a program says on both outputs, and its exit status; called where its paths lead somewhere.
fn say(program: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), stdout, stderr)
}

/// The commands of a block of `console`, each with what it prints.
fn commands(text: &str) -> Vec<(&str, String)> {
    let commands = text.strip_prefix("$ ").unwrap_or_else(|| panic!("it begins with a command: {text}")).split("\n$ ");
    let parts = commands.map(|command| command.split_once('\n').unwrap_or((command, "")));
    parts.map(|(command, output)| (command, output.lines().map(|line| format!("{line}\n")).collect())).collect()
}

#[test]
fn every_block_is_of_a_kind_that_is_tested() {
    let known =
        ["console", "console findings", "sh", "text", "yaml", "yaml values", "yaml objects", "yaml kubeadm", "zone"];
    for (document, language, text) in blocks() {
        let is_known = known.contains(&language.as_str()) || language.starts_with("console served ");
        assert!(is_known, "{}: {language}\n{text}", document.display());
    }
}

#[test]
fn configurations_are_understood() {
    for (document, text) in shown("yaml") {
        config::parse(&text, &document).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn zones_can_be_read() {
    for (document, text) in shown("zone") {
        let records = master::parse(text.as_bytes(), &Name::root(), None);
        records.unwrap_or_else(|error| panic!("{}: {error}\n{text}", document.display()));
    }
}

#[test]
fn commands_print_the_same() {
    for (language, status) in [("console", 0), ("console findings", 1)] {
        for (document, text) in shown(language) {
            for (command, output) in commands(&text) {
                let args: Vec<_> = command.split(' ').collect();
                assert_eq!(args[0], "kubezone", "{}: {command}", document.display());
                let said = say(&KUBEZONE, &args[1..]);
                let expected = (Some(status), output, String::new());
                assert_eq!(said, expected, "{}: {command}", document.display());
            }
        }
    }
}

#[tokio::test]
async fn answers_are_those_of_a_server() {
    if Command::new("dig").arg("-v").output().is_err() {
        return support::skip("answers_are_those_of_a_server", &"there is no dig in the path");
    }
    let mut count = 0;
    for (document, language, text) in blocks() {
        let Some(configuration) = language.strip_prefix("console served ") else { continue };
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join(configuration).display().to_string();
        let command = [
            "env",
            "KUBEZONE_LISTEN_DNS=[::1]:0",
            "KUBEZONE_LISTEN_METRICS=[::1]:0",
            &KUBEZONE,
            "serve",
            "--config",
            &configuration,
        ];
        let server =
            Kubezone::start("k8s.ooo", &command, Folder::new().expect("a temporary folder")).await.ready().await;
        let port = format!("-p {}", server.dns().port());
        for (command, output) in commands(&text) {
            assert!(command.starts_with("dig @::1 -p 5353 "), "{}: {command}", document.display());
            let command = command.replace("-p 5353", &port);
            let args: Vec<_> = command.split(' ').collect();
            let said = say("dig", &args[1..]);
            assert_eq!(said, (Some(0), output, String::new()), "{}: {command}", document.display());
            count += 1;
        }
    }
    assert!(count > 0, "no document shows an answer");
}

/// The first block of a language in docs/tutorial.md.
fn of_tutorial(language: &str) -> String {
    let blocks = shown(language).into_iter();
    let mut blocks = blocks.filter_map(|(document, text)| document.ends_with("docs/tutorial.md").then_some(text));
    blocks.next().unwrap_or_else(|| panic!("the tutorial shows no {language}"))
}

/// What a newcomer copies from one block has to fit what comes from the next.
#[test]
fn the_tutorial_is_about_one_cluster() {
    let kubeadm: Vec<Value> = serde_saphyr::from_multiple(&of_tutorial("yaml kubeadm")).expect("YAML");
    let [init, cluster] = &kubeadm[..] else { panic!("{kubeadm:?}") };
    let values: Value = serde_saphyr::from_str(&of_tutorial("yaml values")).expect("YAML");
    let network = |of: &Value| of.as_str().expect("a network").parse::<Ipv6Net>().expect("an IPv6 network");
    let address = |of: &Value| of.as_str().expect("an address").parse::<IpAddr>().expect("an address");

    let networking = &cluster["networking"];
    assert_eq!(networking["dnsDomain"], values["zone"]);
    let (pods, services) = (network(&networking["podSubnet"]), network(&networking["serviceSubnet"]));
    let own = "2a0a:e5c0:10::/48".parse::<Ipv6Net>().expect("a network");
    assert!(own.contains(&pods) && own.contains(&services) && services.prefix_len() == 108, "{pods} {services}");
    assert_eq!(init["localAPIEndpoint"]["advertiseAddress"], init["nodeRegistration"]["kubeletExtraArgs"][0]["value"]);
    let announced: Vec<Value> = serde_saphyr::from_multiple(&of_tutorial("yaml objects")).expect("YAML");
    assert_eq!(network(&announced[0]["spec"]["serviceClusterIPs"][0]["cidr"]), services);

    // The Service's address is the name server's, and both are what the parent and the example say.
    let nameserver = &values["nameservers"][0];
    let addresses: BTreeSet<_> = nameserver["addresses"].as_array().expect("addresses").iter().map(address).collect();
    let cluster_ip = address(&values["service"]["clusterIP"]);
    assert!(addresses.contains(&cluster_ip) && IpNet::from(services).contains(&cluster_ip), "{cluster_ip}");
    let example = fs::read_to_string("examples/tutorial/c2.yaml").expect("an example");
    let example: Value = serde_saphyr::from_str(&example).expect("YAML");
    assert_eq!(example["zones"][0]["nameservers"][0], *nameserver);
    let owner =
        format!("{}.{}.", nameserver["name"].as_str().expect("a name"), values["zone"].as_str().expect("a zone"));
    let delegation = of_tutorial("zone");
    let parent = fs::read_to_string("examples/tutorial/k8s.ooo.zone").expect("a zone");
    for zone in [delegation, parent] {
        let records = master::parse(zone.as_bytes(), &Name::root(), None).expect("a zone");
        let glue = records.iter().filter(|record| record.owner.to_string() == owner);
        let glue: BTreeSet<_> = glue.filter_map(Record::address).collect();
        assert_eq!(glue, addresses, "{zone}");
    }
}

/// As GitHub makes an anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        let prose: String = text.split("\n```").step_by(2).collect();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { document.with_file_name(path) };
            assert!(target.exists(), "{}: {link}", document.display());
            if !fragment.is_empty() {
                let text = fs::read_to_string(&target).expect("a document");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let anchors: BTreeSet<_> = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
                assert!(anchors.contains(fragment), "{}: {link}; there are {anchors:?}", document.display());
            }
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

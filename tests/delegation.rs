//! Delegations, as others judge them: Zonemaster, which registries test delegations with, on a private Internet. And as a
//! server there judges its own, now and then.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::http::http;
use support::kubezone::KUBEZONE;
use support::worlds::{C2, PARENTS, Plan, ROOT, World, block_on};
use support::{eventually, skip};

/// RFC 1034 §4.1 wants each zone on two servers. A cluster's own zone is on its DNS Service alone, which is as available as the
/// cluster that its names lead to.
const SINGLE_NAME_SERVER: [&str; 6] = [
    "ERROR NOT_ENOUGH_NS_CHILD",
    "ERROR NOT_ENOUGH_NS_DEL",
    "ERROR NOT_ENOUGH_IPV4_NS_CHILD",
    "ERROR NOT_ENOUGH_IPV4_NS_DEL",
    "ERROR NOT_ENOUGH_IPV6_NS_CHILD",
    "ERROR NOT_ENOUGH_IPV6_NS_DEL",
];
/// The same of one without an IPv4 address, which clusters need none for: resolvers that have only IPv4 do not get there.
const SINGLE_NAME_SERVER_IPV6: [&str; 6] = [
    "ERROR NOT_ENOUGH_NS_CHILD",
    "ERROR NOT_ENOUGH_NS_DEL",
    "ERROR NOT_ENOUGH_IPV6_NS_CHILD",
    "ERROR NOT_ENOUGH_IPV6_NS_DEL",
    "WARNING NO_IPV4_NS_CHILD",
    "WARNING NO_IPV4_NS_DEL",
];
/// The private Internet has no ip6.arpa.
const NO_REVERSE: &str = "WARNING NAMESERVER_IP_WITHOUT_REVERSE";
/// The demo's parent zone is at an address for documentation (RFC 3849).
const DOCUMENTATION: &str = "ERROR NAMESERVER_IP_PRIVATE_NETWORK";

#[test]
fn zonemaster_on_a_parent_and_a_cluster() {
    let Some(world) = world(Plan::healthy()) else { return };
    zonemaster(&world, "k8s.ooo", &[&[NO_REVERSE]]);
    zonemaster(&world, "c2.k8s.ooo", &[&[NO_REVERSE], &SINGLE_NAME_SERVER]);
}

#[test]
fn zonemaster_on_a_cluster_with_two_name_servers() {
    let second = "c2 NS ns-b.c2\nns-b.c2 AAAA 2a0a:e5c0:13:e2::b\nns-b.c2 A 147.78.194.10\n";
    let servers = "nameservers:\n      - { name: ns-b, addresses: [\"2a0a:e5c0:13:e2::b\", \"147.78.194.10\"] }";
    let plan = Plan::healthy().add(&PARENTS, second).edit(&["c2"], "nameservers:", servers);
    let plan = plan.address("c2", "2a0a:e5c0:13:e2::b").address("c2", "147.78.194.10");
    let Some(world) = world(plan) else { return };
    zonemaster(&world, "c2.k8s.ooo", &[&[NO_REVERSE]]);
}

#[test]
fn zonemaster_on_the_demo() {
    let Some(world) = world(Plan::demo()) else { return };
    zonemaster(&world, "k8s.ooo", &[&[NO_REVERSE, DOCUMENTATION], &SINGLE_NAME_SERVER_IPV6]);
    zonemaster(&world, "c2.k8s.ooo", &[&[NO_REVERSE], &SINGLE_NAME_SERVER]);
    zonemaster(&world, "c3.k8s.ooo", &[&[NO_REVERSE], &SINGLE_NAME_SERVER_IPV6]);
}

/// The server of c2.k8s.ooo verifies its own delegation while the parent's servers lose it.
#[test]
fn a_server_watches_its_delegation() {
    const LISTEN: &str = r#"metrics: "[::1]:9153", admin: "[::1]:9154" }"#;
    const RECORD: &str = "c2                           NS    kube-dns.kube-system.svc.c2\n";
    const RIGHT: &str = r#"kubezone_delegation_ok{zone="c2.k8s.ooo.",reason=""} 1"#;
    const WRONG: &str = r#"kubezone_delegation_ok{zone="c2.k8s.ooo.",reason="not-delegated"} 0"#;

    let listen = LISTEN.replace("[::1]", "[::]") + &format!("\nverify: {{ interval: 1h, roots: {ROOT:?} }}");
    let Some(world) = Plan::healthy().edit(&["c2"], LISTEN, &listen).build() else { return };
    verified(&world, RIGHT);
    let [delegation] = &told(&world)[..] else { panic!("one zone") };
    assert_eq!((&delegation["ok"], &delegation["findings"]), (&json!(true), &json!([])), "{delegation:#}");
    checked(&world, "✔ delegated c2.k8s.ooo.: its parent leads there, as of ");

    for server in PARENTS {
        world.edit(server, RECORD, "");
        world.edit(server, "2026110100 14400", "2026110101 14400");
    }
    block_on(eventually("the parent has lost the delegation", async || {
        let trace = world.kubezone(&["trace", "--root", &ROOT.join(","), "c2.k8s.ooo", "SOA", "-o", "json"]);
        let trace: Value = serde_json::from_slice(&trace.stdout).expect("JSON");
        let verdict = &trace["verdict"];
        if verdict["code"] == "not-delegated" { Ok(()) } else { Err(verdict.to_string()) }
    }));
    // It is said to look more often, and has a look at once.
    world.configure("c2", "interval: 1h", "interval: 2m");
    verified(&world, WRONG);
    let [delegation] = &told(&world)[..] else { panic!("one zone") };
    let finding = &delegation["findings"][0];
    assert_eq!((&delegation["ok"], &finding["code"]), (&json!(false), &json!("not-delegated")), "{delegation:#}");
    assert_eq!(finding["side"], "parent");
    let message =
        "c2.k8s.ooo. is not delegated: the servers of k8s.ooo. say that there is nothing at its name (NODATA).";
    assert_eq!(finding["message"], message);
    checked(&world, &format!(": {message}"));
    // The status page shows it, and where the way ends.
    let page = of_c2(&world, 9154, "/zones/c2.k8s.ooo.");
    assert!(page.contains("<svg") && page.contains(message), "{page}");
    let log = fs::read_dir(world.folder("c2")).expect("a folder").filter_map(Result::ok);
    let log = log.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "log"));
    let log = fs::read_to_string(log.expect("a log")).expect("text");
    let news: Vec<_> = log.lines().filter(|line| line.contains("delegation")).collect();
    assert_eq!(news.len(), 2, "{log}");
    assert!(news[0].contains("INFO") && news[1].contains("WARN"), "{news:?}");
    assert!(news[1].contains("not-delegated") && news[1].contains(message), "{news:?}");
}

/// Waits until the server of c2.k8s.ooo has this sample of what is verified, and no other.
fn verified(world: &World, expected: &str) {
    block_on(eventually(expected, async || {
        let metrics = of_c2(world, 9153, "/metrics");
        let samples: Vec<_> = metrics.lines().filter(|line| line.starts_with("kubezone_delegation_ok")).collect();
        if samples == [expected] { Ok(()) } else { Err(format!("{samples:?}")) }
    }));
}

/// `kubezone check` says of the delegation of c2.k8s.ooo something with these `words` in it.
#[track_caller]
fn checked(world: &World, words: &str) {
    let output = world.kubezone(&["check", "--server", &format!("http://[{}]:9154", C2[0])]);
    let printed = String::from_utf8_lossy(&output.stdout);
    let line = printed.lines().find(|line| line.contains(" delegated c2.k8s.ooo.: "));
    assert!(line.is_some_and(|line| line.contains(words)), "{output:?}");
}

/// What the server of c2.k8s.ooo tells of the delegations that it has verified.
fn told(world: &World) -> Vec<Value> {
    let answer = of_c2(world, 9154, "/api/v1/delegations");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    let delegations: Value = serde_json::from_str(body).expect("JSON");
    let items = delegations["items"].as_array().expect("a list");
    items.iter().map(|item| item["verified"].clone()).collect()
}

/// What the server of c2.k8s.ooo answers over HTTP.
fn of_c2(world: &World, port: u16, path: &str) -> String {
    let server = SocketAddr::new(C2[0].parse().expect("an address"), port);
    world.client().enter(|| block_on(http(server, "GET", path, ""))).expect("an answer")
}

/// Has Zonemaster look at `zone`: at the levels of WARNING and above, it has these complaints and no others.
#[track_caller]
fn zonemaster(world: &World, zone: &str, expected: &[&[&str]]) {
    let hints = world.folder("hints");
    let rtype = |address: &str| if address.contains(':') { "AAAA" } else { "A" };
    let addresses =
        world.root().iter().map(|address| format!("a.root-servers. 3600000 {} {address}\n", rtype(address)));
    fs::write(&hints, format!(". 3600000 NS a.root-servers.\n{}", addresses.collect::<String>())).expect("written");
    let mut command = world.client().command("zonemaster-cli");
    let output = command.args(["--json", "--level", "WARNING", "--hints"]).arg(hints).arg(zone).output();
    let output = output.expect("started");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let text = |message: &Value, key: &str| message[key].as_str().expect("a text").to_owned();
    let complaints = said.as_array().expect("a list").iter();
    let complaints = complaints.map(|message| format!("{} {}", text(message, "level"), text(message, "tag")));
    let expected = expected.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(complaints.collect::<BTreeSet<_>>(), expected, "{zone}: {said:#}");
}

/// A world with Zonemaster.
fn world(plan: Plan) -> Option<World> {
    if Command::new("zonemaster-cli").arg("--version").output().is_err() {
        let test = std::thread::current();
        skip(test.name().unwrap_or("a test"), &"zonemaster-cli is missing (Debian: zonemaster-cli)");
        return None;
    }
    plan.build()
}

/// The delegation of the cluster, as both servers of the parent have it.
const DELEGATED: &str = "c2                           NS    kube-dns.kube-system.svc.c2
kube-dns.kube-system.svc.c2  AAAA  2a0a:e5c0:13:e2::a
kube-dns.kube-system.svc.c2  A     147.78.194.9
";
const NOT_YET: &str = "; c2 comes here\n";

/// A comparison of the cluster's delegation with the configuration of its server.
fn compare(world: &World, flag: &str) -> Command {
    let mut command = world.client().command(&KUBEZONE);
    let config = world.folder("c2").join("kubezone.yaml");
    command.args(["delegation", "c2.k8s.ooo", flag, "--root", &world.root().join(","), "--config"]).arg(config);
    command
}

/// What `--compare` comes to: the exit status, and the sentence it ends with.
#[track_caller]
fn check_compared(plan: Plan, status: i32, sentence: &str) {
    let Some(world) = plan.build() else { return };
    let output = compare(&world, "--compare").output().expect("started");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let last = printed.lines().last().unwrap_or_default();
    assert_eq!(last, sentence, "{printed}");
}

#[test]
fn a_delegation_that_is_as_configured() {
    check_compared(
        Plan::healthy(),
        0,
        "✔ c2.k8s.ooo. SOA is answered by the only server of c2.k8s.ooo.; nothing to mend.",
    );
}

#[test]
fn a_parent_with_an_address_that_was_given_up() {
    let plan = Plan::healthy().edit(&PARENTS, "A     147.78.194.9\n", "A     147.78.194.77\n");
    check_compared(
        plan,
        1,
        "! c2.k8s.ooo. SOA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; but the glue of \
         kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo. lacks 147.78.194.9; for the operator of k8s.ooo.: add 147.78.194.9 \
         to the glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo; caches may remember it for up to 1 hour; one more \
         thing is to be mended.",
    );
}

#[test]
fn waiting_ends_when_every_server_of_the_parent_has_the_delegation() {
    let Some(world) = Plan::healthy().edit(&PARENTS, DELEGATED, NOT_YET).build() else { return };
    let mut waiting =
        compare(&world, "--wait=60s").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut said = BufReader::new(waiting.stderr.take().expect("piped")).lines().map(|line| line.expect("text"));
    let mut until = |words: &str| {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains(words)) {
            lines.push(said.next().unwrap_or_else(|| panic!("{words:?} after {lines:?}")));
        }
    };
    // It was seen at both, over both families, that it is not there.
    until(
        "ns2.k8s.ooo. (2a0a:e5c0:53:4::53): c2.k8s.ooo. is not delegated: the servers of k8s.ooo. say that it does not exist (NXDOMAIN).",
    );
    for server in PARENTS {
        world.edit(server, NOT_YET, DELEGATED);
        world.edit(server, "2026110100", "2026110101");
        until(&format!("{server}.k8s.ooo. (147.78.193.{}) has it", if server == "ns1" { 3 } else { 4 }));
    }
    until("resolvers that asked before may remember the old delegation for up to ");
    let output = waiting.wait_with_output().expect("ended");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn waiting_ends_without_it_when_the_time_is_over() {
    let Some(world) = Plan::healthy().edit(&PARENTS, DELEGATED, NOT_YET).build() else { return };
    let output = compare(&world, "--wait=1s").output().expect("started");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("c2.k8s.ooo. is not delegated"), "{printed}");
}

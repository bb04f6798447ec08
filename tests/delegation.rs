//! Delegations, as others judge them: Zonemaster, which registries test delegations with, on a private Internet.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use support::skip;
use support::worlds::{PARENTS, Plan, World};

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

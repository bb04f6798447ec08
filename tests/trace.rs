//! What `kubezone trace` says of broken worlds: each case breaks one thing in a world that is whole otherwise
//! (tests/support/worlds.rs), on real servers, addresses and packets.
//!
//! What is expected is the exit status with the verdict's state, code and side; then each finding as severity, code and side;
//! then the sentence that it ends with.

mod support;

use std::process::Command;
use std::thread;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::NS as NameServer;
use hickory_proto::rr::{Name, RData, Record};
use serde_json::Value;
use support::kubezone::KUBEZONE;
use support::worlds::{C2, PARENTS, Plan};

/// The delegation in the parent's zone: its NS record, and the glue.
const NS: &str = "c2                           NS    kube-dns.kube-system.svc.c2\n";
const AAAA: &str = "kube-dns.kube-system.svc.c2  AAAA  2a0a:e5c0:13:e2::a\n";
const A: &str = "kube-dns.kube-system.svc.c2  A     147.78.194.9\n";
/// The same addresses in what the child is configured with.
const ADDRESSES: &str = r#"["2a0a:e5c0:13:e2::a", "147.78.194.9"]"#;

/// Follows a Service's name through this world.
/// The zone of somebody else, who has a former address of ours.
const OTHER: &str = "@ 300 SOA ns . 1 1 1 1 1\n@ 300 NS ns\n";

/// Follows the name of a Service through this world.
#[track_caller]
fn check(plan: Plan, expected: &str) {
    check_name(plan, "web.shop.svc.c2.k8s.ooo AAAA", expected);
}

/// Follows a name through this world, and wants this to be said, as text and in JSON.
#[track_caller]
fn check_name(plan: Plan, question: &str, expected: &str) {
    let Some(world) = plan.build() else { return };
    let root = world.root().join(",");
    let question: Vec<_> = question.split(' ').collect();
    let args = [&["trace", "--root", &root], &question[..]].concat();
    let (text, json) = thread::scope(|scope| {
        let text = scope.spawn(|| world.kubezone(&args));
        let json = world.kubezone(&[&args[..], &["-o", "json"]].concat());
        (text.join().expect("no panic"), json)
    });
    let printed = String::from_utf8_lossy(&text.stdout);
    let trace: Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|error| panic!("{error}: {json:?}"));
    let status = text.status.code().expect("ended by itself").to_string();
    let verdict = ["state", "code", "side"].map(|key| trace["verdict"][key].as_str().unwrap_or_default().to_owned());
    let mut said = vec![[&[status], &verdict[..]].concat().join(" ").trim_end().to_owned()];
    let list = |value: &Value, key: &str| value[key].as_array().expect("a list").clone();
    let zones = list(&trace, "legs").into_iter().flat_map(|leg| list(&leg, "zones"));
    for finding in zones.flat_map(|zone| list(&zone, "findings")) {
        let line = ["severity", "code", "side"].map(|key| finding[key].as_str().expect("a text")).join(" ");
        // `ooo` and c2.k8s.ooo have one in all worlds. Others are told of each address.
        if line != "note single-server child" && !said.contains(&line) {
            said.push(line);
        }
    }
    said.push(trace["verdict"]["sentence"].as_str().expect("a sentence").to_owned());
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(said, expected, "{printed}");
    assert_eq!(text.status, json.status);
    // However it is wrapped.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&printed).ends_with(&words(said.last().expect("pushed"))), "{printed}");
}

// Whole worlds.

#[test]
fn a_healthy_world() {
    check(
        Plan::healthy(),
        "0 well
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; nothing to mend.",
    );
}

#[test]
fn a_type_that_a_name_does_not_have() {
    check_name(
        Plan::healthy(),
        "web.shop.svc.c2.k8s.ooo MX",
        "0 well
         web.shop.svc.c2.k8s.ooo. exists and has no MX records, as is said by the only server of c2.k8s.ooo.; \
         caches remember that for up to 30 seconds; nothing to mend.",
    );
}

#[test]
fn a_name_that_does_not_exist() {
    check_name(
        Plan::healthy(),
        "wbe.shop.svc.c2.k8s.ooo AAAA",
        "0 well
         wbe.shop.svc.c2.k8s.ooo. does not exist, as is said by the only server of c2.k8s.ooo.; caches remember \
         that for up to 30 seconds; nothing to mend.",
    );
}

#[test]
fn a_client_without_ipv4() {
    check(
        Plan::healthy().client(&["2a0a:e5c0:53:c::1"]),
        "0 well
         note no-route here
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; nothing \
         to mend.",
    );
}

#[test]
fn a_client_without_ipv6() {
    check(
        Plan::healthy().client(&["147.78.193.99"]),
        "0 well
         note no-route here
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; nothing \
         to mend.",
    );
}

// Aliases.

#[test]
fn an_alias_out_of_the_zone_is_followed() {
    check_name(
        Plan::healthy(),
        "moved.shop.svc.c2.k8s.ooo AAAA",
        "0 well
         moved.shop.svc.c2.k8s.ooo. is an alias of www.old.ooo., and www.old.ooo. AAAA is answered by the only \
         server of ooo.; nothing to mend.",
    );
}

#[test]
fn an_alias_to_a_name_that_does_not_exist() {
    check_name(
        Plan::healthy(),
        "lost.shop.svc.c2.k8s.ooo AAAA",
        "1 broken cname-dangling child
         lost.shop.svc.c2.k8s.ooo. is an alias of www.lost.ooo., and that does not exist: the servers of ooo. say \
         NXDOMAIN. Whoever has the alias has to take it away, or the operator of ooo. has to add www.lost.ooo.; \
         caches remember that for up to 1 hour.",
    );
}

#[test]
fn an_alias_that_comes_back_to_itself() {
    let plan =
        Plan::healthy().edit(&["ooo"], "www.old  AAAA  2a0a:e5c0:53:2::80", "www.old CNAME moved.shop.svc.c2.k8s");
    check_name(
        plan,
        "moved.shop.svc.c2.k8s.ooo AAAA",
        "1 broken cname-loop child
         moved.shop.svc.c2.k8s.ooo. is an alias that leads back to itself. Whoever has the aliases has to let one \
         of them lead to a name with records.",
    );
}

// The delegation.

#[test]
fn no_delegation() {
    check(
        Plan::healthy().edit(&PARENTS, NS, "").edit(&PARENTS, AAAA, "").edit(&PARENTS, A, ""),
        "1 broken not-delegated parent
         broken not-delegated parent
         c2.k8s.ooo. is not delegated: the servers of k8s.ooo. say NXDOMAIN for it. The operator of k8s.ooo. has \
         to add the NS records and glue that `kubezone delegation c2.k8s.ooo` prints; caches remember that there \
         is none for up to 5 minutes.",
    );
}

#[test]
fn the_child_has_a_name_server_that_the_parent_lacks() {
    check(
        second_server(Plan::healthy()),
        "1 degraded name-server-missing parent
         degraded name-server-missing parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but the delegation of \
         c2.k8s.ooo. in k8s.ooo. lacks ns-b.c2.k8s.ooo., which the zone itself has as a name server; for the \
         operator of k8s.ooo.: add ns-b.c2.k8s.ooo. to the NS records of c2.k8s.ooo. in k8s.ooo; caches may \
         remember it for up to 1 hour.",
    );
}

#[test]
fn the_parent_has_a_name_server_that_the_child_lacks() {
    let plan = Plan::healthy().address("c2", "2a0a:e5c0:13:e2::b");
    check(
        plan.add(&PARENTS, "c2 NS ns-b.c2\nns-b.c2 AAAA 2a0a:e5c0:13:e2::b\n"),
        "1 degraded name-server-extra parent
         degraded name-server-extra parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered by all 2 servers of c2.k8s.ooo. alike; but the delegation of \
         c2.k8s.ooo. in k8s.ooo. has ns-b.c2.k8s.ooo., which the zone itself does not have as a name server; for \
         the operator of k8s.ooo.: remove ns-b.c2.k8s.ooo. from the NS records of c2.k8s.ooo. in k8s.ooo; caches \
         may remember it for up to 1 hour.",
    );
}

#[test]
fn the_parents_servers_disagree_over_the_delegation() {
    check(
        Plan::healthy().edit(&["ns2"], NS, "").edit(&["ns2"], AAAA, "").edit(&["ns2"], A, ""),
        "1 degraded parents-differ parent
         degraded parents-differ parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but some servers of \
         k8s.ooo. delegate c2.k8s.ooo.; these do not: ns2.k8s.ooo. (2a0a:e5c0:53:4::53), ns2.k8s.ooo. \
         (147.78.193.4); for the operator of k8s.ooo.: see why those have another version of k8s.ooo.: compare \
         their serials; caches may remember it for up to 5 minutes.",
    );
}

#[test]
fn the_parents_servers_disagree_over_the_glue() {
    let plan = Plan::healthy().host("old", &["2a0a:e5c0:13:e2::dead"], "example.", OTHER);
    check(
        plan.edit(&["ns2"], "13:e2::a", "13:e2::dead"),
        "1 degraded parents-differ parent
         degraded parents-differ parent
         degraded glue-stale parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 2 of the 3 addresses of the servers of c2.k8s.ooo.; but the \
         servers of k8s.ooo. delegate c2.k8s.ooo. differently: ns1.k8s.ooo. (2a0a:e5c0:53:3::53) and ns2.k8s.ooo. \
         (2a0a:e5c0:53:4::53) differ in glue or DS; for the operator of k8s.ooo.: see why they have different \
         versions of k8s.ooo.: compare their serials; caches may remember it for up to 1 hour; one more thing is \
         to be mended.",
    );
}

#[test]
fn the_parents_serials_differ() {
    check(
        Plan::healthy().edit(&["ns2"], "2026110100", "2026103100"),
        "1 degraded serials-differ child
         degraded serials-differ child
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but the servers of k8s.ooo. \
         have different versions of it: 2026103100 at ns2.k8s.ooo. (2a0a:e5c0:53:4::53), ns2.k8s.ooo. \
         (147.78.193.4); 2026110100 at ns1.k8s.ooo. (2a0a:e5c0:53:3::53), ns1.k8s.ooo. (147.78.193.3); for the \
         operator of k8s.ooo.: look again in a minute; where it stays so, see why the older ones follow no more.",
    );
}

#[test]
fn a_ds_record_without_a_key() {
    let ds = "c2 DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    check(
        Plan::healthy().signed().add(&PARENTS, ds),
        "1 broken ds-without-key parent
         broken ds-without-key parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but k8s.ooo. has DS records \
         of c2.k8s.ooo., which is not signed: resolvers that validate answer SERVFAIL; for the operator of \
         k8s.ooo.: remove the DS records of c2.k8s.ooo. from k8s.ooo; caches may remember it for up to 1 hour.",
    );
}

// Glue.

#[test]
fn a_name_server_inside_its_own_zone_without_glue() {
    check(
        Plan::healthy().edit(&PARENTS, AAAA, "").edit(&PARENTS, A, ""),
        "1 broken glue-missing parent
         broken glue-missing parent
         There is no way into c2.k8s.ooo.: its name server kube-dns.kube-system.svc.c2.k8s.ooo. is in the zone \
         itself, and the servers of k8s.ooo. have no glue for it. The operator of k8s.ooo. has to add its \
         addresses as glue; caches may remember it for up to 1 hour.",
    );
}

#[test]
fn one_of_two_name_servers_without_glue() {
    check(
        second_server(Plan::healthy()).add(&PARENTS, "c2 NS ns-b.c2\n"),
        "1 degraded glue-missing parent
         degraded glue-missing parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but the delegation of \
         c2.k8s.ooo. in k8s.ooo. has no address of ns-b.c2.k8s.ooo., which is within the zone: nobody can find \
         it; for the operator of k8s.ooo.: add glue to k8s.ooo.: the addresses of ns-b.c2.k8s.ooo. \
         (2a0a:e5c0:13:e2::b); caches may remember it for up to 1 hour.",
    );
}

#[test]
fn stale_glue() {
    let plan = Plan::healthy().edit(&PARENTS, "13:e2::a", "13:e2::dead");
    let plan = plan.host("old", &["2a0a:e5c0:13:e2::dead"], "example.", OTHER);
    check(
        plan.run("old", "ip6tables -A INPUT -p udp -j DROP; ip6tables -A INPUT -p tcp -j DROP"),
        "1 degraded glue-incomplete parent
         degraded glue-incomplete parent
         degraded glue-stale parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; but the \
         glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo. lacks 2a0a:e5c0:13:e2::a; for the operator of \
         k8s.ooo.: add 2a0a:e5c0:13:e2::a to the glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo; caches \
         may remember it for up to 1 hour; one more thing is to be mended.",
    );
}

#[test]
fn stale_glue_that_leads_to_somebody_else() {
    let plan = Plan::healthy().edit(&PARENTS, "13:e2::a", "13:e2::dead");
    check(
        plan.host("old", &["2a0a:e5c0:13:e2::dead"], "example.", OTHER),
        "1 degraded glue-incomplete parent
         degraded glue-incomplete parent
         degraded glue-stale parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; but the \
         glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo. lacks 2a0a:e5c0:13:e2::a; for the operator of \
         k8s.ooo.: add 2a0a:e5c0:13:e2::a to the glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo; caches \
         may remember it for up to 1 hour; one more thing is to be mended.",
    );
}

#[test]
fn glue_for_ipv4_only() {
    check(
        Plan::healthy().edit(&PARENTS, AAAA, ""),
        "1 degraded glue-incomplete parent
         degraded glue-incomplete parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but the glue of \
         kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo. lacks 2a0a:e5c0:13:e2::a; for the operator of k8s.ooo.: \
         add 2a0a:e5c0:13:e2::a to the glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo; caches may \
         remember it for up to 1 hour.",
    );
}

#[test]
fn glue_for_ipv6_only() {
    check(
        Plan::healthy().edit(&PARENTS, A, ""),
        "1 degraded glue-incomplete parent
         degraded glue-incomplete parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but the glue of \
         kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo. lacks 147.78.194.9; for the operator of k8s.ooo.: add \
         147.78.194.9 to the glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo; caches may remember it for \
         up to 1 hour.",
    );
}

#[test]
fn glue_for_ipv6_only_and_a_client_without() {
    check(
        Plan::healthy().edit(&PARENTS, A, "").client(&["147.78.193.99"]),
        "3 unseen no-route here
         note no-route here
         broken no-route here
         degraded no-ipv4 child
         No server of c2.k8s.ooo. leads on: this machine has no way to IPv6 addresses, and no name server of \
         c2.k8s.ooo. has another; for this machine: look from a machine that has IPv6; this says nothing about \
         c2.k8s.ooo.",
    );
}

#[test]
fn glue_of_a_unique_local_address() {
    private(
        C2[0],
        "fd00:c2::a",
        "1 degraded address-private child
         degraded address-private child
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (fd00:c2::a), a name server of c2.k8s.ooo., is at an address that \
         the world cannot reach; for the operator of c2.k8s.ooo.: put an address of \
         kube-dns.kube-system.svc.c2.k8s.ooo. that the world can reach in its place, on both sides; caches may \
         remember it for up to 1 hour.",
    );
}

#[test]
fn glue_of_a_private_ipv4_address() {
    private(
        C2[1],
        "10.0.0.53",
        "1 degraded address-private child
         degraded address-private child
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (10.0.0.53), a name server of c2.k8s.ooo., is at an address that \
         the world cannot reach; for the operator of c2.k8s.ooo.: put an address of \
         kube-dns.kube-system.svc.c2.k8s.ooo. that the world can reach in its place, on both sides; caches may \
         remember it for up to 1 hour.",
    );
}

#[test]
fn glue_of_loopback() {
    check(
        Plan::healthy().edit(&PARENTS, "147.78.194.9", "127.0.0.1"),
        "1 degraded glue-incomplete parent
         degraded glue-incomplete parent
         degraded glue-stale parent
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; but the \
         glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo. lacks 147.78.194.9; for the operator of \
         k8s.ooo.: add 147.78.194.9 to the glue of kube-dns.kube-system.svc.c2.k8s.ooo. in k8s.ooo; caches may \
         remember it for up to 1 hour; one more thing is to be mended.",
    );
}

/// Parent and child agree on this address in the place of that one, and from here it even answers.
#[track_caller]
fn private(address: &str, private: &'static str, expected: &str) {
    let plan = Plan::healthy().edit(&PARENTS, address, private).edit(&["c2"], address, private);
    check(plan.address("c2", private), expected);
}

// Name servers.

#[test]
fn a_server_that_refuses() {
    check(
        Plan::healthy().edit(&["c2"], "name: c2.k8s.ooo", "name: c3.k8s.ooo").answers("c2", Some("REFUSED")),
        "1 broken lame child
         broken lame child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9) is named as a server of c2.k8s.ooo., but does not serve it: it answers REFUSED; for the \
         operator of c2.k8s.ooo.: have the server at 2a0a:e5c0:13:e2::a, 147.78.194.9 serve c2.k8s.ooo., or take \
         kube-dns.kube-system.svc.c2.k8s.ooo. out of the NS records of both sides; caches may remember it for up \
         to 5 minutes.",
    );
}

#[test]
fn a_server_that_fails() {
    check(
        Plan::healthy().edit(&["c2"], "manifests: manifests", "kubeconfig: none").answers("c2", Some("SERVFAIL")),
        "1 broken lame child
         broken lame child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9) is named as a server of c2.k8s.ooo., but does not serve it: it answers SERVFAIL (EDE 14: \
         the zone has not been loaded yet); for the operator of c2.k8s.ooo.: have the server at \
         2a0a:e5c0:13:e2::a, 147.78.194.9 serve c2.k8s.ooo., or take kube-dns.kube-system.svc.c2.k8s.ooo. out of \
         the NS records of both sides; caches may remember it for up to 5 minutes.",
    );
}

#[test]
fn a_server_that_is_not_authoritative() {
    let plan = Plan::healthy().script(|_, mut truth| {
        truth.metadata.authoritative = false;
        Some(truth)
    });
    check(
        plan,
        "1 broken lame child
         broken lame child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9) is named as a server of c2.k8s.ooo., but does not serve it: it answers without authority \
         (not AA), as a resolver would; for the operator of c2.k8s.ooo.: have the server at 2a0a:e5c0:13:e2::a, \
         147.78.194.9 serve c2.k8s.ooo., or take kube-dns.kube-system.svc.c2.k8s.ooo. out of the NS records of \
         both sides; caches may remember it for up to 5 minutes.",
    );
}

#[test]
fn a_server_that_refers_back_up() {
    let plan = Plan::healthy().script(|request, _| {
        let mut response = Message::response(request.metadata.id, request.metadata.op_code);
        response.add_queries(request.queries.clone());
        let root = NameServer(Name::from_ascii("a.root-servers.").expect("a name"));
        response.add_authority(Record::from_rdata(Name::root(), 86400, RData::NS(root)));
        Some(response)
    });
    check(
        plan,
        "1 broken referral-loop child
         broken lame child
         The servers of c2.k8s.ooo. do not have it: they refer back to the root. The operator of c2.k8s.ooo. has \
         to have them load the zone, or its parent has to refer to those that do.",
    );
}

#[test]
fn a_zone_that_nobody_serves() {
    check(
        Plan::healthy().answers("c2", None),
        "1 broken silent child
         broken silent child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9), a name server of c2.k8s.ooo., does not answer: nobody listens there; for the operator of \
         c2.k8s.ooo.: see whether a server listens on 2a0a:e5c0:13:e2::a, 147.78.194.9, and whether a firewall \
         lets UDP and TCP port 53 through; or take the address out of c2.k8s.ooo. and the delegation; caches may \
         remember it for up to 5 minutes.",
    );
}

#[test]
fn a_dead_server() {
    let plan = Plan::healthy().run("c2", "ip6tables -A INPUT -p udp -j DROP; ip6tables -A INPUT -p tcp -j DROP");
    check(
        plan.run("c2", "iptables -A INPUT -j DROP"),
        "1 broken silent child
         broken silent child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9), a name server of c2.k8s.ooo., does not answer; for the operator of c2.k8s.ooo.: see \
         whether a server listens on 2a0a:e5c0:13:e2::a, 147.78.194.9, and whether a firewall lets UDP and TCP \
         port 53 through; or take the address out of c2.k8s.ooo. and the delegation; caches may remember it for \
         up to 5 minutes.",
    );
}

#[test]
fn a_dead_address() {
    check(
        Plan::healthy().run("c2", "iptables -A INPUT -j DROP"),
        "1 degraded silent child
         degraded silent child
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (147.78.194.9), a name server of c2.k8s.ooo., does not answer; for \
         the operator of c2.k8s.ooo.: see whether a server listens on 147.78.194.9, and whether a firewall lets \
         UDP and TCP port 53 through; or take the address out of c2.k8s.ooo. and the delegation; caches may \
         remember it for up to 5 minutes.",
    );
}

#[test]
fn an_address_that_the_network_says_nobody_has() {
    check(
        Plan::healthy().run("c2", "iptables -A INPUT -j REJECT --reject-with icmp-host-unreachable"),
        "1 degraded silent child
         degraded silent child
         web.shop.svc.c2.k8s.ooo. AAAA is answered at 1 of the 2 addresses of the servers of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (147.78.194.9), a name server of c2.k8s.ooo., does not answer: the \
         network says that nobody is there; for the operator of c2.k8s.ooo.: see whether a server listens on \
         147.78.194.9, and whether a firewall lets UDP and TCP port 53 through; or take the address out of \
         c2.k8s.ooo. and the delegation; caches may remember it for up to 5 minutes.",
    );
}

#[test]
fn tcp_blocked() {
    let plan = Plan::healthy().run("c2", "ip6tables -A INPUT -p tcp -j DROP; iptables -A INPUT -p tcp -j DROP");
    check(
        plan,
        "1 degraded no-tcp child
         degraded no-tcp child
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, 147.78.194.9) answers for c2.k8s.ooo. over \
         UDP, but not over TCP; for the operator of c2.k8s.ooo.: let TCP port 53 through to 2a0a:e5c0:13:e2::a, \
         147.78.194.9 (RFC 9210 §3): what does not fit into a datagram cannot be had there.",
    );
}

#[test]
fn tcp_refused() {
    let plan = Plan::healthy().run("c2", "ip6tables -A INPUT -p tcp -j REJECT --reject-with tcp-reset");
    check(
        plan.run("c2", "iptables -A INPUT -p tcp -j REJECT --reject-with tcp-reset"),
        "1 degraded no-tcp child
         degraded no-tcp child
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, 147.78.194.9) answers for c2.k8s.ooo. over \
         UDP, but not over TCP: nobody listens there; for the operator of c2.k8s.ooo.: let TCP port 53 through to \
         2a0a:e5c0:13:e2::a, 147.78.194.9 (RFC 9210 §3): what does not fit into a datagram cannot be had there.",
    );
}

#[test]
fn udp_blocked() {
    let plan = Plan::healthy().run("c2", "ip6tables -A INPUT -p udp -j DROP; iptables -A INPUT -p udp -j DROP");
    check(
        plan,
        "1 broken no-udp child
         broken no-udp child
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, 147.78.194.9) answers for c2.k8s.ooo. over \
         TCP, but not over UDP; for the operator of c2.k8s.ooo.: let UDP port 53 through to 2a0a:e5c0:13:e2::a, \
         147.78.194.9.",
    );
}

#[test]
fn a_firewall_that_loses_large_datagrams() {
    let plan = Plan::healthy().crowd(30).run("c2", "ip6tables -A OUTPUT -p udp -m length --length 600: -j DROP");
    let plan = plan.run("c2", "iptables -A OUTPUT -p udp -m length --length 600: -j DROP");
    check_name(
        plan,
        "crowd.shop.svc.c2.k8s.ooo AAAA",
        "1 degraded large-lost path
         degraded large-lost path
         crowd.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but responses of 894 \
         octets from kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, 147.78.194.9) get lost over UDP; \
         over TCP they do not; for who operates the network between: let UDP datagrams of 1232 octets through \
         from 2a0a:e5c0:13:e2::a, 147.78.194.9: some firewalls stop at 512 (RFC 9715 §3).",
    );
}

#[test]
fn more_over_udp_than_was_asked_for_and_fragments_are_lost() {
    let plan = Plan::healthy().crowd(60).script(|_, truth| Some(truth));
    let plan = plan.run("c2", "ip6tables -A OUTPUT -p udp -m length --length 1280: -j DROP");
    let plan = plan.run("c2", "iptables -A OUTPUT -p udp -m length --length 1280: -j DROP");
    check_name(
        plan,
        "crowd.shop.svc.c2.k8s.ooo AAAA",
        "1 degraded large-lost child
         degraded large-lost child
         crowd.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, 147.78.194.9) answers over UDP with 1734 \
         octets where 1232 were asked for at most, and they get lost; over TCP they do not; for the operator of \
         c2.k8s.ooo.: have the server at 2a0a:e5c0:13:e2::a, 147.78.194.9 send no more over UDP than it is asked \
         for, and set TC instead (RFC 6891 §6.2.5).",
    );
}

#[test]
fn more_over_udp_than_was_asked_for() {
    let plan = Plan::healthy().crowd(60).script(|_, truth| Some(truth));
    check_name(
        plan,
        "crowd.shop.svc.c2.k8s.ooo AAAA",
        "1 degraded large-lost child
         degraded large-lost child
         crowd.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; but \
         kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, 147.78.194.9) answers over UDP with 1734 \
         octets where 1232 were asked for at most, and they get lost; over TCP they do not; for the operator of \
         c2.k8s.ooo.: have the server at 2a0a:e5c0:13:e2::a, 147.78.194.9 send no more over UDP than it is asked \
         for, and set TC instead (RFC 6891 §6.2.5).",
    );
}

#[test]
fn edns_is_a_format_error() {
    let plan = Plan::healthy().script(|request, mut truth| {
        if request.edns.is_some() {
            truth = Message::error_msg(request.metadata.id, request.metadata.op_code, ResponseCode::FormErr);
            truth.add_queries(request.queries.clone());
        }
        Some(truth)
    });
    check(
        plan,
        "1 broken no-edns child
         degraded no-edns child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9) answers for c2.k8s.ooo. only where the question has no EDNS; for the operator of \
         c2.k8s.ooo.: look for a firewall in front of 2a0a:e5c0:13:e2::a, 147.78.194.9 that drops EDNS, or \
         upgrade the server (RFC 6891).",
    );
}

/// As servers do that read no further than the header.
#[test]
fn edns_is_a_format_error_without_the_question() {
    let plan = Plan::healthy().script(|request, truth| match &request.edns {
        None => Some(truth),
        Some(_) => Some(Message::error_msg(request.metadata.id, request.metadata.op_code, ResponseCode::FormErr)),
    });
    check(
        plan,
        "1 broken no-edns child
         degraded no-edns child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9) answers for c2.k8s.ooo. only where the question has no EDNS; for the operator of \
         c2.k8s.ooo.: look for a firewall in front of 2a0a:e5c0:13:e2::a, 147.78.194.9 that drops EDNS, or \
         upgrade the server (RFC 6891).",
    );
}

#[test]
fn edns_is_not_answered() {
    check(
        Plan::healthy().script(|request, truth| request.edns.is_none().then_some(truth)),
        "1 broken no-edns child
         degraded no-edns child
         No server of c2.k8s.ooo. leads on: kube-dns.kube-system.svc.c2.k8s.ooo. (2a0a:e5c0:13:e2::a, \
         147.78.194.9) answers for c2.k8s.ooo. only where the question has no EDNS; for the operator of \
         c2.k8s.ooo.: look for a firewall in front of 2a0a:e5c0:13:e2::a, 147.78.194.9 that drops EDNS, or \
         upgrade the server (RFC 6891).",
    );
}

#[test]
fn edns_is_ignored() {
    let plan = Plan::healthy().script(|_, mut truth| {
        truth.edns = None;
        Some(truth)
    });
    check(
        plan,
        "0 well
         web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo.; nothing to mend.",
    );
}

#[test]
fn name_servers_that_are_in_each_others_zone() {
    let plan = Plan::healthy().edit(&PARENTS, NS, "c2 NS ns.c3\nc3 NS ns.c2\n");
    check(
        plan.edit(&PARENTS, AAAA, "").edit(&PARENTS, A, ""),
        "1 broken referral-loop parent
         broken no-way-in child
         There is no way into c2.k8s.ooo.: to find ns.c3.k8s.ooo. one has to ask it already, as the name servers \
         of two zones are each in the other. The operator of k8s.ooo. has to add glue, or c2.k8s.ooo. needs a \
         name server elsewhere; caches may remember it for up to 1 hour.",
    );
}

// What cannot be looked at.

#[test]
fn a_root_that_does_not_answer() {
    let plan = Plan::healthy().run("root", "ip6tables -A INPUT -p udp -j DROP; ip6tables -A INPUT -p tcp -j DROP");
    check(
        plan.run("root", "iptables -A INPUT -p tcp -j REJECT; iptables -A INPUT -j DROP"),
        "3 unseen root-silent here
         broken silent child
         No root server answers: asked were over IPv6 2a0a:e5c0:53:1::53 (no answer), and over IPv4 147.78.193.1 \
         (UDP: no answer, TCP: refuses the connection).",
    );
}

#[test]
fn a_name_with_spaces() {
    let output = Command::new(&*KUBEZONE).args(["trace", "web shop.c2.k8s.ooo"]).output().expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    let sentence = "error: invalid value 'web shop.c2.k8s.ooo' for '<NAME>': that is no name of the DNS: labels of at most 63 \
                    letters, digits and hyphens with dots between, without spaces";
    assert_eq!((output.status.code(), said.lines().next()), (Some(2), Some(sentence)), "{said}");
}

/// The child gets a second name server, at another address of the same machine.
fn second_server(plan: Plan) -> Plan {
    let second = format!("{ADDRESSES}\n      - name: ns-b\n        addresses: [\"2a0a:e5c0:13:e2::b\"]");
    plan.address("c2", "2a0a:e5c0:13:e2::b").edit(&["c2"], ADDRESSES, &second)
}

//! Schema tables: manifests and the zone that they make.
//!
//! tests/data/schema/NAME.yaml is what one could `kubectl apply`, NAME.zone is a
//! master file. A line `;: namespace/name Reason` there is what there is to say
//! about a Service; nothing else is said.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::rr::Name;

use super::translate;
use crate::cluster::{Cluster, Kind, ObjectKey, ServiceKey, Subject};
use crate::schema::{
    AddressClaims, AddressOrigin, AddressSource, Age, ClusterZone, Decision, Ipv4Paths, Mode, NameServer, Nat64,
    Policy, PublishedAddress, Reason, Register, ReverseZone,
};
use crate::zone::{Part, Record, Serial, Zone, master};

/// A zone with the defaults, and a name server that is out of it.
fn zone() -> ClusterZone {
    ClusterZone { nameservers: vec![nameserver("ns.example.", &[])], ..ClusterZone::at(name("c2.k8s.ooo.")) }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn nameserver(text: &str, addresses: &[&str]) -> NameServer {
    NameServer { name: name(text), addresses: addresses.iter().map(|text| text.parse().unwrap()).collect() }
}

fn cluster(manifests: &str) -> Cluster {
    with(Cluster::default(), manifests)
}

fn with(mut cluster: Cluster, manifests: &str) -> Cluster {
    for document in serde_saphyr::from_multiple::<serde_json::Value>(manifests).unwrap() {
        let kind = match document["kind"].as_str().unwrap() {
            "Service" => Kind::Service,
            "EndpointSlice" => Kind::EndpointSlice,
            "Namespace" => Kind::Namespace,
            "Pod" => Kind::Pod,
            other => panic!("no table has a {other}"),
        };
        let item = translate::item(kind, "default", &document).unwrap();
        match item.object {
            Some(object) => drop(cluster.apply(object)),
            None => assert_eq!(kind, Kind::Pod, "an object that no record can come from"),
        }
    }
    cluster
}

/// The zone of `records`, checked and in its order, as lines of text.
fn lines(records: Vec<Record>) -> Vec<String> {
    lines_at("c2.k8s.ooo.", records)
}

fn lines_at(origin: &str, records: Vec<Record>) -> Vec<String> {
    let (zone, warnings) = Zone::build(&name(origin), records).unwrap();
    assert_eq!(warnings, []);
    zone.records().iter().map(Record::to_string).collect()
}

/// What there is to say about a Service, as tables have it.
fn said(register: &Register, subject: &Subject) -> Vec<String> {
    register.reasons(subject).iter().map(|reason| format!("{subject} {reason}")).collect()
}

/// All records of a zone, through a new register.
fn records(zone: &ClusterZone, cluster: &Cluster, register: &mut Register) -> Vec<Record> {
    let update = register.update(zone, cluster, zone.subjects(cluster));
    zone.apex(Serial(1)).into_iter().chain(update.parts.into_iter().flat_map(Part::into_records)).collect()
}

/// Checks a table, and that the Services that own nothing in it might as well not be there.
fn check(table: &str, zone: &ClusterZone) {
    let read = |extension: &str| fs::read_to_string(format!("tests/data/schema/{table}.{extension}")).unwrap();
    let mut cluster = cluster(&read("yaml"));
    let mut register = Register::default();
    let records_of_all = lines(records(zone, &cluster, &mut register));
    let mut reasons: Vec<String> = zone.subjects(&cluster).flat_map(|subject| said(&register, &subject)).collect();
    let expected = read("zone");
    let mut said: Vec<&str> = expected.lines().filter_map(|line| line.strip_prefix(";: ")).collect();
    // Stable: the order of reasons counts.
    reasons.sort_by_key(|line| line.split(' ').next().map(str::to_owned));
    said.sort_by_key(|line| line.split(' ').next().map(str::to_owned));
    assert_eq!(reasons, said, "{table}");
    let expected = master::parse(expected.as_bytes(), &zone.origin, None).unwrap();
    assert_eq!(records_of_all, lines(expected), "{table}");

    let owns_nothing = |subject: &Subject| {
        let decision = zone.decide(&cluster, subject, &[]);
        decision.subtree.is_none_or(|subtree| subtree.records.is_empty())
    };
    for subject in zone.subjects(&cluster).filter(owns_nothing).collect::<Vec<_>>() {
        let Subject::Service(ServiceKey { namespace, name }) = subject else { continue };
        cluster.delete(&ObjectKey { kind: Kind::Service, namespace, name });
    }
    assert_eq!(
        lines(records(zone, &cluster, &mut Register::default())),
        records_of_all,
        "{table}, less what is hidden"
    );
}

#[test]
fn every_table_that_needs_no_configuration() {
    let tables = [
        "addresses",
        "clusterip",
        "dual-stack",
        "headless",
        "headless-no-hostname",
        "hostname-shared",
        "named-ports",
        "not-ready",
        "odd-names",
        "opted-out",
        "private",
    ];
    for table in tables {
        check(table, &zone());
    }
}

#[test]
fn a_name_server_that_is_a_service_takes_its_addresses() {
    let nameservers = vec![nameserver("kube-dns.kube-system.svc.c2.k8s.ooo.", &[])];
    check("nameserver-as-service", &ClusterZone { nameservers, ..zone() });
}

#[test]
fn configured_addresses_are_the_whole_set() {
    let nameservers = vec![nameserver("kube-dns.kube-system.svc.c2.k8s.ooo.", &["10.0.0.53", "2a0a:e5c0:13:e2::a"])];
    check("nameserver-configured", &ClusterZone { nameservers, ..zone() });
}

#[test]
fn configured_addresses_need_no_service() {
    let nameservers = vec![
        nameserver("kube-dns.kube-system.svc.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a"]),
        nameserver("ns1.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::b"]),
        nameserver("ns-0.kube-dns.kube-system.svc.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::c"]),
    ];
    check("nameserver-absent", &ClusterZone { nameservers, ..zone() });
}

#[test]
fn a_name_server_needs_no_service_that_is_published() {
    let nameservers = vec![
        nameserver("kube-dns.kube-system.svc.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a"]),
        nameserver("dns.kube-system.svc.c2.k8s.ooo.", &[]),
    ];
    check("nameserver-opted-out", &ClusterZone { nameservers, ..zone() });
}

#[test]
fn a_service_waits_for_its_namespace() {
    let (zone, key) = (zone(), Subject::Service(ServiceKey { namespace: "shop".into(), name: "web".into() }));
    let manifests = fs::read_to_string("tests/data/schema/clusterip.yaml").unwrap();
    let check = |cluster: &Cluster, count: usize, expected: &[Reason]| {
        let decision = zone.decide(cluster, &key, &[]);
        assert_eq!((decision.subtree.unwrap().records.len(), &*decision.reasons), (count, expected));
    };

    check(&with(Cluster::default(), &manifests), 1, &[]);
    check(&with(Cluster::from_api(), &manifests), 0, &[Reason::NamespaceUnknown]);
    let namespace = "\n---\nkind: Namespace\nmetadata: { name: shop }";
    check(&with(Cluster::from_api(), &(manifests + namespace)), 1, &[]);
}

#[test]
fn a_pod_waits_for_its_namespace() {
    let zone = ClusterZone { pods: true, ..zone() };
    let manifests = "kind: Pod\nmetadata: { name: a, namespace: shop }\nstatus: { podIP: '2a0a::1' }\n";
    let check = |cluster: &Cluster, count: usize, expected: &[Reason]| {
        let decision = zone.decide(cluster, &cluster.pod_subjects().next().unwrap(), &[]);
        assert_eq!((decision.subtree.unwrap().records.len(), &*decision.reasons), (count, expected));
        assert_eq!(decision.is_published, count > 0);
    };

    check(&with(Cluster::default(), manifests), 1, &[]);
    check(&with(Cluster::from_api(), manifests), 0, &[Reason::NamespaceUnknown]);
    let namespace = "---\nkind: Namespace\nmetadata: { name: shop }";
    check(&with(Cluster::from_api(), &format!("{manifests}{namespace}")), 1, &[]);
}

#[test]
fn the_fence_is_crossed_by_no_annotation() {
    let publish = Policy {
        namespaces: ["shop", "mail", "lab"].map(Into::into).into(),
        namespace_selector: "!internal".parse().unwrap(),
        service_selector: "tier in (web)".parse().unwrap(),
        ..Policy::default()
    };
    check("fence", &ClusterZone { publish, ..zone() });
}

#[test]
fn pods_have_names_where_the_operator_wants_them() {
    let nameserver = nameserver("2a0a-e5c0-10-2--53.infra.pod.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a"]);
    let nameservers = [zone().nameservers, vec![nameserver]].concat();
    check("pods", &ClusterZone { nameservers, pods: true, ..zone() });
}

#[test]
fn no_pod_has_a_name_above_that_of_a_name_server() {
    let nameservers = vec![nameserver("ns.2a0a--1.shop.pod.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a"])];
    let zone = ClusterZone { nameservers, pods: true, ..zone() };
    let cluster = cluster("kind: Pod\nmetadata: { name: a, namespace: shop }\nstatus: { podIP: '2a0a::1' }\n");

    let decision = zone.decide(&cluster, &cluster.pod_subjects().next().unwrap(), &[]);
    assert_eq!(decision, Decision { reasons: vec![Reason::NameConflict], ..Decision::default() });
}

#[test]
fn ipv4_clients_reach_pods_through_a_translator() {
    let ipv4 = Ipv4Paths { nat64: nat64(), proxies: proxies(1) };
    check("pods-nat64", &ClusterZone { ipv4, pods: true, ..zone() });
}

#[test]
fn the_fence_is_around_pods_too() {
    let publish = Policy {
        mode: Mode::OptIn,
        namespaces: ["shop", "mail"].map(Into::into).into(),
        namespace_selector: "!internal".parse().unwrap(),
        service_selector: "tier in (web)".parse().unwrap(),
    };
    check("pods-fence", &ClusterZone { publish, pods: true, ..zone() });
}

#[test]
fn pods_own_nothing_where_they_have_no_names() {
    let cluster = cluster(&fs::read_to_string("tests/data/schema/pods.yaml").unwrap());
    assert!(cluster.pod_subjects().count() > 0);

    for subject in cluster.pod_subjects() {
        assert_eq!(zone().decide(&cluster, &subject, &[]), Decision::default());
    }
    assert!(zone().subjects(&cluster).all(|subject| matches!(subject, Subject::Service(_))));
}

#[test]
fn an_address_of_a_pod_may_have_a_ptr_record_of_the_oldest_there() {
    let zone = ClusterZone { pods: true, ..zone() };
    let pod = |name: &str, created: &str| {
        format!(
            "---\nkind: Pod\nmetadata: {{ name: {name}, namespace: shop, creationTimestamp: {created} }}\n\
             status: {{ podIP: '2a0a::1' }}\n"
        )
    };
    let manifests = [pod("a", "null"), pod("b", "2026-01-05T10:11:12Z"), pod("c", "2026-01-05T10:11:11Z")].concat();
    let cluster = cluster(&manifests);
    let subject = cluster.pod_subjects().next().unwrap();

    let decision = zone.decide(&cluster, &subject, &[]);
    assert_eq!(decision.age, Age(Some(1_767_607_871)));
    let [PublishedAddress { address, origin, owner, ttl }] = &decision.addresses[..] else { panic!("{decision:?}") };
    assert_eq!((*address, *origin, *ttl), ("2a0a::1".parse().unwrap(), AddressOrigin::Pod, 30));
    assert_eq!(*owner, name("2a0a--1.shop.pod.c2.k8s.ooo."));
}

#[test]
fn what_is_published_may_have_to_be_asked_for() {
    check("opt-in", &ClusterZone { publish: Policy { mode: Mode::OptIn, ..Policy::default() }, ..zone() });
}

#[test]
fn a_service_says_how_long_its_records_may_be_kept() {
    let nameservers = vec![nameserver("dns.shop.svc.c2.k8s.ooo.", &[])];
    check("ttl", &ClusterZone { nameservers, ..zone() });
}

#[test]
fn addresses_come_from_where_the_operator_wants_them() {
    let address_sources = vec![AddressSource::ExternalIp, AddressSource::ClusterIp];
    check("address-sources", &ClusterZone { address_sources, ..zone() });
}

#[test]
fn an_external_name_is_an_alias() {
    let nameservers = vec![nameserver("dns.shop.svc.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a"])];
    check("external-name", &ClusterZone { nameservers, ..zone() });
}

#[test]
fn annotations_may_ask_for_names() {
    check("hostnames", &ClusterZone { hostnames: true, ..zone() });
}

#[test]
fn no_annotation_has_a_name_of_the_schema() {
    let nameservers = vec![nameserver("ns1.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::b"])];
    check("hostnames-reserved", &ClusterZone { nameservers, hostnames: true, ..zone() });
}

#[test]
fn wildcards_are_asked_for_where_the_operator_wants_them() {
    check("wildcards", &ClusterZone { hostnames: true, wildcards: true, ..zone() });
}

#[test]
fn the_short_form_is_an_alias() {
    let nameservers = vec![nameserver("ns1.infra.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::b"])];
    check("short-names", &ClusterZone { nameservers, short_names: true, hostnames: true, ..zone() });
}

#[test]
fn static_records_go_first() {
    let text = fs::read("tests/data/schema/extra.static").unwrap();
    let records = master::parse(&text, &zone().origin, None).unwrap();
    let zone = ClusterZone { hostnames: true, short_names: true, ..zone() };
    check("extra", &zone.with_extra(records).unwrap());
}

#[test]
fn an_rrset_has_a_limit() {
    check("too-many-endpoints", &ClusterZone { max_records: 3, ..zone() });
}

/// What the translator in front of the tables' cluster does.
fn nat64() -> Nat64 {
    let mut nat64 = Nat64::default();
    for (from, to) in [
        ("2a0a:e5c0:13:e2::a/128", "147.78.194.9/32"),
        ("2a0a:e5c0:13:e2::b/128", "147.78.194.8/32"),
        ("2a0a:e5c0:10:3::11/128", "147.78.194.10/32"),
        ("2a0a:e5c0:10:3::12/128", "10.0.0.12/32"),
        ("2a0a:e5c0:10:3::10/124", "147.78.194.16/28"),
        ("2a0a:e5c0:10:2::/120", "147.78.195.0/24"),
        ("2a0a:e5c0:10:2::20/128", "147.78.194.200/32"),
        ("2a0a:e5c0:13:e2::c/128", "147.78.194.31/32"),
        ("fd00::/112", "147.79.0.0/16"),
    ] {
        nat64.map(from.parse().unwrap(), to.parse().unwrap()).unwrap();
    }
    nat64
}

/// `count` addresses of proxies.
fn proxies(count: u8) -> BTreeSet<Ipv4Addr> {
    (80..80 + count).map(|last| Ipv4Addr::new(147, 78, 194, last)).collect()
}

#[test]
fn a_translator_gives_ipv4_addresses() {
    check("nat64", &ClusterZone { ipv4: Ipv4Paths { nat64: nat64(), ..Ipv4Paths::default() }, ..zone() });
}

#[test]
fn a_proxy_takes_http_for_the_cluster() {
    check("proxies", &ClusterZone { ipv4: Ipv4Paths { proxies: proxies(2), ..Ipv4Paths::default() }, ..zone() });
}

#[test]
fn ipv4_comes_in_one_way() {
    let ipv4 = Ipv4Paths { nat64: nat64(), proxies: proxies(2) };
    check("ipv4-precedence", &ClusterZone { ipv4, hostnames: true, ..zone() });
}

#[test]
fn what_ipv4_adds_is_limited() {
    let ipv4 = Ipv4Paths { nat64: nat64(), proxies: proxies(3) };
    check("ipv4-limit", &ClusterZone { ipv4, max_records: 2, ..zone() });
}

#[test]
fn a_name_server_is_reached_through_the_translator() {
    let nameservers = vec![
        nameserver("kube-dns.kube-system.svc.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a"]),
        nameserver("ns1.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::b"]),
        nameserver("ns2.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a", "147.78.194.7"]),
        nameserver("dns.shop.svc.c2.k8s.ooo.", &[]),
        nameserver("http.shop.svc.c2.k8s.ooo.", &[]),
        nameserver("hidden.shop.svc.c2.k8s.ooo.", &[]),
        nameserver("absent.shop.svc.c2.k8s.ooo.", &["2a0a:e5c0:10:3::13"]),
    ];
    let ipv4 = Ipv4Paths { nat64: nat64(), proxies: proxies(2) };
    check("nameserver-nat64", &ClusterZone { nameservers, ipv4, ..zone() });
}

#[test]
fn a_name_server_keeps_its_last_addresses_while_its_service_has_none() {
    let nameservers = vec![nameserver("kube-dns.kube-system.svc.c2.k8s.ooo.", &[])];
    let zone = ClusterZone { nameservers, ..zone() };
    let last: IpAddr = "2a0a:e5c0:10:3::a".parse().unwrap();

    let key = zone.subjects(&Cluster::default()).next().unwrap();
    let Decision { subtree, reasons, is_published, .. } = zone.decide(&Cluster::default(), &key, &[last]);
    assert!(!is_published);
    let records: Vec<String> = subtree.unwrap().records.iter().map(Record::to_string).collect();
    assert_eq!(records, ["kube-dns.kube-system.svc.c2.k8s.ooo. 3600 IN AAAA 2a0a:e5c0:10:3::a"]);
    assert_eq!(reasons, [Reason::NameServerWithoutAddress]);

    // There is no such Service to be counted among those that are not published; that a name server lacks it is.
    let mut register = Register::default();
    register.update(&zone, &Cluster::default(), [key]);
    assert_eq!((register.withheld().len(), register.noted()[&Reason::NameServerWithoutAddress]), (0, 1));
}

#[test]
fn a_zone_whose_name_is_too_long_for_its_services_has_none() {
    let label = "x".repeat(63);
    let zone = ClusterZone { origin: name(&format!("{label}.{label}.{label}.{}.", "y".repeat(50))), ..zone() };
    let cluster = cluster(&fs::read_to_string("tests/data/schema/clusterip.yaml").unwrap());

    for key in zone.subjects(&cluster) {
        let decision = zone.decide(&cluster, &key, &[]);
        assert_eq!(decision, Decision { reasons: vec![Reason::InvalidName], ..Decision::default() });
    }
}

#[test]
fn every_reason_is_in_a_table() {
    // These take more than manifests: an API that is slow to tell, and a Service that had addresses before.
    let elsewhere = [Reason::NamespaceUnknown, Reason::NameServerWithoutAddress];
    let tables: Vec<String> = fs::read_dir("tests/data/schema")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "zone"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let said = |reason: Reason| {
        let mut lines = tables.iter().flat_map(|table| table.lines()).filter(|line| line.starts_with(";: "));
        lines.any(|line| line.rsplit(' ').next() == Some(reason.name()))
    };
    // What reports say of a Service that nobody knows anything of (src/report/tests.rs).
    let decided = Reason::ALL.into_iter().filter(|reason| *reason != Reason::NamespaceNotRead);
    let missing: Vec<Reason> = decided.filter(|reason| !said(*reason)).collect();
    assert_eq!(missing, elsewhere);
    let here = include_str!("tables.rs");
    for reason in elsewhere {
        assert!(here.contains(&format!("[Reason::{reason}])")), "{reason} is tested here");
    }
}

#[test]
fn an_address_has_the_name_of_who_has_the_best_claim() {
    let nameservers = vec![nameserver("ns1.c2.k8s.ooo.", &["2a0a:e5c0:13:e2::a"])];
    let zone = ClusterZone { nameservers, is_reversed: true, ..zone() };
    check("reverse", &zone);
    for (table, origin) in [("ip6", "0.c.5.e.a.0.a.2.ip6.arpa."), ("in-addr", "194.78.147.in-addr.arpa.")] {
        let nameservers = vec![nameserver("ns1.c2.k8s.ooo.", &[])];
        let reverse = ReverseZone { nameservers, ..ReverseZone::at(name(origin)).unwrap() };
        let cluster = cluster(&fs::read_to_string("tests/data/schema/reverse.yaml").unwrap());
        let update = Register::default().update(&zone, &cluster, zone.subjects(&cluster));
        let records = reverse.records(Serial(1), &[&AddressClaims::all(&zone, update.addresses)]);
        let expected = fs::read_to_string(format!("tests/data/schema/reverse.{table}.zone")).unwrap();
        let expected = master::parse(expected.as_bytes(), &reverse.origin, None).unwrap();
        assert_eq!(lines_at(origin, records), lines_at(origin, expected));
    }
}

#[test]
fn what_does_not_fit_below_a_long_name_is_left_out() {
    let label = "x".repeat(63);
    let origin = name(&format!("{label}.{label}.{label}.{}.", "y".repeat(48)));
    let zone = ClusterZone { short_names: true, hostnames: true, pods: true, origin: origin.clone(), ..zone() };
    let manifests = "
kind: Service
metadata: { name: web, namespace: shop, annotations: { external-dns.kubernetes.io/hostname: APP.ORIGIN } }
spec: { clusterIPs: ['2a0a:e5c0:10:3::11'], ports: [{ name: http, port: 80 }] }
---
kind: Service
metadata: { name: db, namespace: shop }
spec: { clusterIPs: [None] }
---
kind: EndpointSlice
metadata: { name: db-1, namespace: shop, labels: { kubernetes.io/service-name: db } }
endpoints: [{ addresses: ['2a0a:e5c0:10:2::11'], hostname: a }]
ports: [{ name: http, port: 80 }]
---
kind: Pod
metadata: { name: a, namespace: shop }
status: { podIP: '2a0a::1' }
";
    let cluster = cluster(&manifests.replace("ORIGIN", &origin.to_string()));
    // The root is one more on the wire.
    assert_eq!(format!("web.shop.svc.{origin}").len() + 1, 255);
    let mut register = Register::default();
    let records = lines_at(&origin.to_string(), records(&zone, &cluster, &mut register));
    let relative = |line: &String| line.replace(&format!(".{origin}"), "");
    let mut found: Vec<String> = records.iter().map(relative).collect();
    found.retain(|line| line.contains(" AAAA ") || line.contains(" CNAME ") || line.contains(" SRV "));
    found.extend(zone.subjects(&cluster).flat_map(|subject| said(&register, &subject)));
    let expected = [
        "app 30 IN AAAA 2a0a:e5c0:10:3::11",
        "db.shop 30 IN CNAME db.shop.svc",
        "web.shop 30 IN CNAME web.shop.svc",
        "db.shop.svc 30 IN AAAA 2a0a:e5c0:10:2::11",
        "web.shop.svc 30 IN AAAA 2a0a:e5c0:10:3::11",
        "shop/db InvalidHostname",
        "shop/web InvalidPortName",
        "shop/2a0a::1 InvalidName",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_left_out_is_not_translated() {
    let mut nat64 = Nat64::default();
    for (from, to) in [("2a0a::/125", "198.51.100.0/29"), ("2a0a::2/128", "198.51.100.9/32")] {
        nat64.map(from.parse().unwrap(), to.parse().unwrap()).unwrap();
    }
    let zone = ClusterZone { max_records: 2, ipv4: Ipv4Paths { nat64, ..Ipv4Paths::default() }, ..zone() };
    let manifests = "
kind: Service
metadata: { name: db, namespace: shop }
spec: { clusterIPs: [None] }
---
kind: EndpointSlice
metadata: { name: db-1, namespace: shop, labels: { kubernetes.io/service-name: db } }
endpoints: [{ addresses: ['2a0a::1', '2a0a::2', '2a0a::3'], hostname: a }]
";
    let cluster = cluster(manifests);

    let Decision { addresses, reasons, .. } = zone.decide(&cluster, &zone.subjects(&cluster).next().unwrap(), &[]);
    let addresses: Vec<String> = addresses.iter().map(|published| published.address.to_string()).collect();
    assert_eq!(addresses, ["198.51.100.1", "198.51.100.9", "2a0a::1", "2a0a::2"]);
    assert_eq!(reasons, [Reason::TooManyRecords]);
}

use super::*;
use crate::schema::{AddressFilter, AddressSource, Extra, Ipv4Paths, Mode, NameServer, Policy};

fn config(text: &str) -> Config {
    parse(text, Path::new("etc/kubezone.yaml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What is wrong with `text`, without the name of the file.
fn check(text: &str, expected: &str) {
    let error = parse(text, Path::new("kubezone.yaml")).expect_err(text).to_string();
    assert_eq!(error.strip_prefix("kubezone.yaml:"), Some(expected), "{error}\n{text}");
}

/// `c2.k8s.ooo`, with `lines` as further keys of the zone, from line 6 on.
fn c2(lines: &str) -> String {
    format!(
        "clusters: [{{ name: c2, context: c2 }}]\n\
         zones:\n\
         - name: c2.k8s.ooo\n\
         \x20 cluster: c2\n\
         \x20 nameservers: [{{ name: ns, addresses: [\"2001:db8::53\"] }}]\n\
         {lines}"
    )
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// The zone that `c2` makes.
fn c2_zone(lines: &str) -> ClusterZone {
    config(&c2(lines)).clusters.remove(0).zones.remove(0)
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = config(&c2(""));
    let zone = ClusterZone {
        origin: name("c2.k8s.ooo."),
        nameservers: vec![NameServer {
            name: name("ns.c2.k8s.ooo."),
            addresses: vec!["2001:db8::53".parse().expect("an address")],
        }],
        hostmaster: name("hostmaster.c2.k8s.ooo."),
        ttl: 30,
        negative_ttl: 30,
        nameserver_ttl: 3600,
        max_records: 100,
        publish: Policy::default(),
        addresses: AddressFilter::default(),
        address_sources: AddressSource::ALL.to_vec(),
        ipv4: Ipv4Paths::default(),
        extra: Extra::default(),
        pods: false,
        short_names: false,
        hostnames: false,
        wildcards: false,
        is_reversed: false,
    };
    let access = Access::Kubeconfig { path: None, context: Some("c2".to_owned()) };
    let clusters = vec![Cluster {
        name: "c2".to_owned(),
        access,
        namespaces: BTreeSet::new(),
        max_staleness: None,
        zones: vec![zone],
    }];
    assert_eq!(config, Config { clusters, ..Config::default() });
    assert_eq!(config.dns, ["[::]:53".parse().expect("an address"), "0.0.0.0:53".parse().expect("an address")]);
}

#[test]
fn what_is_written_is_taken() {
    let config = config(
        r#"
apiVersion: k8s.ooo/v1alpha1
kind: KubezoneConfig
listen: { dns: ["[::1]:5353"], workers: 3, metrics: "127.0.0.1:0" }
identity: c2-a
readyTimeout: 2m
gracePeriod: 500ms
clusters:
  - { name: a, kubeconfig: a.kubeconfig }
  - { name: b, inCluster: true, maxStaleness: 5m }
  - { name: c, manifests: /srv/c }
zones:
  - { name: k8s.ooo., file: zones/k8s.ooo.zone }
  - { name: ., file: /srv/root.zone }
  - { name: a.k8s.ooo, cluster: a, nameservers: [{ name: ns.k8s.ooo. }] }
  - { name: b.k8s.ooo, cluster: b, nameservers: [{ name: ns.k8s.ooo. }] }
  - { name: c.k8s.ooo, cluster: c, nameservers: [{ name: ns.k8s.ooo. }] }
"#,
    );
    assert_eq!(config.dns, ["[::1]:5353".parse().expect("an address")]);
    assert_eq!(config.workers.map(NonZero::get), Some(3));
    assert_eq!(config.metrics, Some("127.0.0.1:0".parse().expect("an address")));
    assert_eq!(config.identity, "c2-a");
    assert_eq!(config.ready_timeout, Duration::from_secs(120));
    assert_eq!(config.grace_period, Duration::from_millis(500));
    assert_eq!(config.clusters[0].max_staleness, None);
    assert_eq!(config.clusters[1].max_staleness, Some(Duration::from_secs(300)));
    let accesses: Vec<_> = config.clusters.into_iter().map(|cluster| cluster.access).collect();
    // Relative to the folder of the file.
    let kubeconfig = Access::Kubeconfig { path: Some("etc/a.kubeconfig".into()), context: None };
    assert_eq!(accesses, [kubeconfig, Access::InCluster, Access::Manifests("/srv/c".into())]);
    let zones = [
        FileZone { apex: name("k8s.ooo."), path: "etc/zones/k8s.ooo.zone".into() },
        FileZone { apex: Name::root(), path: "/srv/root.zone".into() },
    ];
    assert_eq!(config.files, zones);
}

/// A configuration with every kind of everything, none of it at its default.
const EVERYTHING: &str = r##"
listen: { dns: ["[::1]:5353", "192.0.2.1:53"], workers: 3, metrics: "127.0.0.1:0", admin: "" }
identity: "#1: \"two\"\n"
readyTimeout: 2m
gracePeriod: 1500ms
verify: { interval: 90s, roots: ["[::1]:5300", "2001:db8::53", 192.0.2.53] }
clusters:
  - { name: "null", kubeconfig: "/etc/a: b.kubeconfig", context: "true", maxStaleness: 5m }
  - { name: b, inCluster: true, namespaces: ["true", shop] }
  - { name: c, manifests: /srv/c }
  - { name: d, context: "" }
zones:
  - name: 'a\.b.k8s.ooo'
    cluster: "null"
    nameservers: [{ name: ns, addresses: ["2001:db8::53", 192.0.2.53] }, { name: ns.k8s.ooo. }]
    hostmaster: dns.example.com.
    extra: EXTRA
    ttl: 60
    negativeTTL: 10
    nameserverTTL: 86400
    maxRecords: 7
    publish:
      mode: OptIn
      namespaces: [shop, kube-system]
      namespaceSelector: "team in (a, b),rank>2"
      serviceSelector: "tier=web,!internal,a notin (b),c!=d,e,f<3"
      addresses: { allow: ["fd00::/8", "10.0.0.0/8"], from: [ExternalIP, LoadBalancer] }
      pods: true
      shortNames: true
      hostnames: true
      wildcards: true
    ipv4:
      nat64: [{ from: "2a0a:e5c0:13:e2::a", to: 147.78.194.9 }, { from: "2a0a:e5c0:10:3::/120", to: 147.78.195.0/24 }]
      proxies: [192.0.2.80]
  - { name: ., file: /srv/root.zone }
  - { name: b.k8s.ooo, cluster: b, nameservers: [{ name: ns.k8s.ooo. }] }
  - { name: b.example, cluster: b, nameservers: [{ name: ns.k8s.ooo. }] }
  - { name: c.k8s.ooo, cluster: c, nameservers: [{ name: ns.k8s.ooo. }] }
  - { name: d.k8s.ooo, cluster: d, nameservers: [{ name: ns.k8s.ooo. }] }
  - { name: 2.ip6.arpa, reverseOf: [b.k8s.ooo, c.k8s.ooo], nameservers: [{ name: ns.k8s.ooo. }], hostmaster: h, negativeTTL: 1 }
  - { name: 0.2.ip6.arpa, reverseOf: [d.k8s.ooo], nameservers: [{ name: ns.k8s.ooo. }], nameserverTTL: 2 }
"##;

#[test]
fn a_configuration_that_is_shown_means_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let extra = folder.path().join("static.zone");
    std::fs::write(&extra, "@ 300 CAA 0 issue \"ca.example\"\n").expect("written");
    for text in [EVERYTHING.replace("EXTRA", &extra.display().to_string()), c2("")] {
        let known = config(&text);
        let shown = known.to_yaml();
        let read = parse(&shown, Path::new("/elsewhere/kubezone.yaml"));
        assert_eq!(read.unwrap_or_else(|error| panic!("{error}\n{shown}")), known, "{shown}");
    }
    let usual = Access::Kubeconfig { path: None, context: None };
    let short = short_form("c2.k8s.ooo", &["ns.example.".parse().expect("infallible")], usual).expect("a zone");
    assert_eq!(config(&short.to_yaml()), short);
    // What stands beside the file is named so that it is found from everywhere.
    let relative = config("zones: [{ name: k8s.ooo, file: k8s.ooo.zone }]").to_yaml();
    let path = std::env::current_dir().expect("a folder").join("etc/k8s.ooo.zone");
    assert!(relative.contains(&format!("file: {}\n", path.display())), "{relative}");
}

#[test]
fn a_zone_of_a_cluster_is_as_written() {
    let zone = c2_zone(
        "  hostmaster: dns.example.com.\n  \
           ttl: 60\n  \
           negativeTTL: 10\n  \
           nameserverTTL: 86400\n  \
           maxRecords: 7\n  \
           publish:\n    \
             mode: OptIn\n    \
             namespaces: [shop, kube-system]\n    \
             namespaceSelector: team in (a, b)\n    \
             serviceSelector: tier=web,!internal\n    \
             addresses: { allow: [\"fd00::/8\", \"10.0.0.0/8\"], from: [ExternalIP, LoadBalancer] }\n    \
             pods: true\n    \
             shortNames: true\n    \
             hostnames: yes\n    \
             wildcards: true\n",
    );
    assert!(zone.short_names && zone.hostnames && zone.wildcards && zone.pods);
    assert_eq!(zone.address_sources, [AddressSource::ExternalIp, AddressSource::LoadBalancer]);
    let publish = Policy {
        mode: Mode::OptIn,
        namespaces: ["shop", "kube-system"].map(Into::into).into(),
        namespace_selector: "team in (a, b)".parse().expect("a selector"),
        service_selector: "tier=web,!internal".parse().expect("a selector"),
    };
    assert_eq!(zone.publish, publish);
    assert_eq!(zone.hostmaster, name("dns.example.com."));
    assert_eq!((zone.ttl, zone.negative_ttl, zone.nameserver_ttl, zone.max_records), (60, 10, 86400, 7));
    let allow = ["fd00::/8", "10.0.0.0/8"].map(|cidr| cidr.parse().expect("a CIDR"));
    assert_eq!(zone.addresses, AddressFilter::allowing(allow.to_vec()));
}

/// `ipv4` of a zone whose `nat64` is this, from 6:18 on.
fn nat64(mappings: &str) -> String {
    c2(&format!("  ipv4: {{ nat64: {mappings} }}"))
}

#[test]
fn ipv4_has_ways_in() {
    let zone = c2_zone(
        "  ipv4:\n    \
             nat64:\n    \
             - { from: 2a0a:e5c0:13:e2::a, to: 147.78.194.9 }\n    \
             - { from: 2a0a:e5c0:10:3::11/128, to: 147.78.194.10/32 }\n    \
             - { from: 2a0a:e5c0:10:3::/120, to: 147.78.195.0/24 }\n    \
             - { from: 2a0a:e5c0:10:4::/96, to: 0.0.0.0/0 }\n    \
             proxies: [147.78.194.80, 10.0.0.1]\n",
    );
    let mut paths = Ipv4Paths {
        proxies: ["147.78.194.80", "10.0.0.1"].map(|address| address.parse().expect("an address")).into(),
        ..Ipv4Paths::default()
    };
    for (from, to) in [
        ("2a0a:e5c0:13:e2::a/128", "147.78.194.9/32"),
        ("2a0a:e5c0:10:3::11/128", "147.78.194.10/32"),
        ("2a0a:e5c0:10:3::/120", "147.78.195.0/24"),
        ("2a0a:e5c0:10:4::/96", "0.0.0.0/0"),
    ] {
        paths.nat64.map(from.parse().expect("a prefix"), to.parse().expect("a prefix")).expect("a mapping");
    }
    assert_eq!(zone.ipv4, paths);
}

#[test]
fn an_address_is_translated_to_one_and_back() {
    let from = "is no IPv6 address or prefix such as `2001:db8::80` or `2001:db8::/120`";
    check(&nat64("[{ from: web, to: 192.0.2.1 }]"), &format!("6:27: `web` {from}"));
    check(&nat64("[{ from: 192.0.2.1, to: 192.0.2.1 }]"), &format!("6:27: `192.0.2.1` {from}"));
    check(&nat64("[{ from: 2001:db8::/129, to: 192.0.2.1 }]"), &format!("6:27: `2001:db8::/129` {from}"));
    let to = "is no IPv4 address or prefix such as `192.0.2.80` or `192.0.2.0/24`";
    check(&nat64("[{ from: 2001:db8::1, to: 2001:db8::1 }]"), &format!("6:44: `2001:db8::1` {to}"));
    check(&nat64("[{ from: 2001:db8::1, to: 192.0.2.0/33 }]"), &format!("6:44: `192.0.2.0/33` {to}"));

    let bits = "has bits set behind its prefix, which is";
    check(
        &nat64("[{ from: 2001:db8::1/120, to: 192.0.2.0/24 }]"),
        &format!("6:27: `2001:db8::1/120` {bits} `2001:db8::/120`"),
    );
    check(
        &nat64("[{ from: 2001:db8::/120, to: 192.0.2.1/24 }]"),
        &format!("6:47: `192.0.2.1/24` {bits} `192.0.2.0/24`"),
    );

    let size = "each address of one is mapped to one of the other";
    check(
        &nat64("[{ from: 2001:db8::/120, to: 192.0.2.0/25 }]"),
        &format!("6:47: `192.0.2.0/25` has 7 host bits and `2001:db8::/120` 8: {size}"),
    );
    check(
        &nat64("[{ from: 2001:db8::/64, to: 192.0.2.1 }]"),
        &format!("6:46: `192.0.2.1/32` has 0 host bits and `2001:db8::/64` 64: {size}"),
    );
    check(
        &nat64("[{ from: 2001:db8::1, to: 192.0.2.1 }, { from: 2001:DB8:0::1/128, to: 192.0.2.2 }]"),
        "6:65: a mapping from `2001:db8::1/128` is configured twice",
    );
    check(
        &nat64("[{ from: 2001:db8::1, to: 192.0.2.1 }, { from: 2001:db8::2, to: 192.0.2.1/32 }]"),
        "6:82: a mapping to `192.0.2.1/32` is configured twice: IPv4 clients reach one IPv6 address there",
    );
    check(&nat64("[{ from: 2001:db8::1 }]"), "6:21: `to` is missing");
    check(&nat64("[{ form: 2001:db8::1 }]"), "6:21: unknown key `form`; the nearest known key is `from`");
    check(&nat64("2001:db8::1"), "6:18: a list is expected here");
}

#[test]
fn a_proxy_is_an_ipv4_address() {
    let proxies = |list: &str| c2(&format!("  ipv4: {{ proxies: [{list}] }}"));
    check(&proxies("2001:db8::1"), "6:21: `2001:db8::1` is no IPv4 address such as `192.0.2.80`");
    check(&proxies("192.0.2.0/24"), "6:21: `192.0.2.0/24` is no IPv4 address such as `192.0.2.80`");
    check(&proxies("192.0.2.1, 192.0.2.2, 192.0.2.1"), "6:43: proxy `192.0.2.1` is configured twice");
}

#[test]
fn several_zones_are_made_from_one_cluster() {
    let config = config(
        r#"
clusters: [{ name: c2, inCluster: true }]
zones:
  - { name: c2.k8s.ooo, cluster: c2, nameservers: [{ name: ns.k8s.ooo. }] }
  - { name: k8s.ooo, file: k8s.ooo.zone }
  - { name: c2.example.com, cluster: c2, nameservers: [{ name: ns.k8s.ooo. }] }
"#,
    );
    let apexes: Vec<_> = config.apexes().map(ToString::to_string).collect();
    assert_eq!(apexes, ["k8s.ooo.", "c2.k8s.ooo.", "c2.example.com."]);
}

#[test]
fn an_unknown_key_names_the_nearest_that_is_known() {
    check("zone: []", "1:1: unknown key `zone`; the nearest known key is `zones`");
    check("listen:\n  DNS: []", "2:3: unknown key `DNS`; the nearest known key is `dns`");
    check("verify: { root: [] }", "1:11: unknown key `root`; the nearest known key is `roots`");
    check(&c2("  negativeTtl: 5"), "6:3: unknown key `negativeTtl`; the nearest known key is `negativeTTL`");
    check(&c2("  nameserver: []"), "6:3: unknown key `nameserver`; the nearest known key is `nameservers`");
    check(
        &c2("  publish:\n    addresses:\n      allowed: []"),
        "8:7: unknown key `allowed`; the nearest known key is `allow`",
    );
    check(
        "clusters: [{ name: c2, in-cluster: true }]",
        "1:24: unknown key `in-cluster`; the nearest known key is `inCluster`",
    );
}

#[test]
fn what_is_no_configuration_says_where() {
    check("zones: {", "1:8: a list is expected here");
    check("zones: 5", "1:8: a list is expected here");
    check("readyTimeout: 5s\nreadyTimeout: 5s", "2:1: key `readyTimeout` is configured twice");
    check("clusters: [{ manifests: c2 }]", "1:14: `name` is missing");
    check("clusters: [{ name: c2, inCluster: maybe }]", "1:35: invalid boolean");
    check("- a\n- b", "1:1: keys are expected here");
    check("kind: Deployment", "1:7: `Deployment` is no KubezoneConfig");
    check("apiVersion: v1", "1:13: `v1` is no k8s.ooo/v1alpha1");
}

#[test]
fn the_api_is_where_it_is_said_to_be() {
    let admin = |listen: &str| config(&format!("{listen}\n{}", c2(""))).admin;
    assert_eq!(admin(""), Admin::Unsaid);
    assert_eq!(admin("listen: { admin: null }"), Admin::Unsaid);
    assert_eq!(admin("listen: { admin: \"[::1]:9154\" }"), Admin::At(Admin::USUAL));
    assert_eq!(admin("listen: { admin: \"\" }"), Admin::Off);
}

#[test]
fn a_value_says_what_would_be_right() {
    let address = "address and port such as `[::]:53` or `0.0.0.0:53`";
    check("listen: { metrics: \"::1:9153\" }", &format!("1:20: `::1:9153` is no {address}"));
    check("listen:\n  dns:\n  - '[::]:53'\n  - localhost:53", &format!("4:5: `localhost:53` is no {address}"));
    let or_none = "address and port such as `[::1]:9154`, nor empty for none";
    check("listen: { admin: localhost }", &format!("1:18: `localhost` is no {or_none}"));
    let threads = "number of threads from 1 to 1024, nor 0 for one on each core";
    check("listen: { workers: 1025 }", &format!("1:20: `1025` is no {threads}"));
    check("listen: { workers: many }", &format!("1:20: `many` is no {threads}"));
    check("listen: { dns: [] }", "1:16: `listen.dns` is empty: there is nowhere to answer");
    check("readyTimeout: 60", "1:15: `60` is no duration such as `60s` or `5m`");
    check("readyTimeout: 400000000000y", "1:15: `400000000000y` is no duration of at most a year");
    check("gracePeriod: 367d", "1:14: `367d` is no duration of at most a year");
    check("gracePeriod: soon", "1:14: `soon` is no duration such as `60s` or `5m`");
    let identity = "x".repeat(65);
    check(&format!("identity: {identity}"), &format!("1:11: `{identity}` is no identity of at most 64 bytes"));

    let ttl = "number of seconds from 0 to 2147483647";
    check(&c2("  ttl: 30s"), &format!("6:8: `30s` is no {ttl}"));
    check(&c2("  ttl: -1"), &format!("6:8: `-1` is no {ttl}"));
    check(&c2("  negativeTTL: 2147483648"), &format!("6:16: `2147483648` is no {ttl}"));
    check(&c2("  publish: { mode: optIn }"), "6:20: `optIn` is no mode: `All` or `OptIn`");
    check(
        &c2("  publish: { namespaces: [shop, Team_A] }"),
        "6:33: `Team_A` is no name of a namespace, such as `kube-system`",
    );
    let selector = "no label selector such as `team=shop,tier in (web, api)`";
    check(
        &c2("  publish: { namespaceSelector: team of a }"),
        &format!("6:33: `team of a` is {selector}: expected `,` or an operator, found `of`"),
    );
    check(
        &c2("  publish:\n    serviceSelector: team in"),
        &format!("7:22: `team in` is {selector}: expected `(`, found the end"),
    );
    check(
        &c2("  publish: { addresses: { from: [ClusterIP, NodePort] } }"),
        "6:45: `NodePort` is no source of addresses: `ClusterIP`, `LoadBalancer` or `ExternalIP`",
    );
    check(
        &c2("  publish: { addresses: { from: [ClusterIP, ClusterIP] } }"),
        "6:45: source of addresses `ClusterIP` is configured twice",
    );
    check(
        &c2("  publish: { addresses: { from: [] } }"),
        "6:33: `publish.addresses.from` is empty: no Service would have an address; leave it out for the usual order",
    );
    check(
        &c2("  publish: { wildcards: true }"),
        "6:25: `publish.wildcards` needs `publish.hostnames: true`: it is about the names that annotations ask for",
    );
    check(&c2("  maxRecords: 0"), "6:15: `0` is no number of records from 1 to 65535");
    check(&c2("  maxRecords: 65536"), "6:15: `65536` is no number of records from 1 to 65535");
    check(
        &c2("  hostmaster: admin@example.com"),
        "6:15: `admin@example.com` is no mailbox in the form of a name, such as `hostmaster.example.com.`",
    );
    check(
        &c2("  publish: { addresses: { allow: [\"fd00::/8\", \"fd00::/129\"] } }"),
        "6:47: `fd00::/129` is no CIDR such as `fd00::/8`",
    );
    check("zones: [{ name: k8s..ooo, file: z }]", "1:17: `k8s..ooo` is no domain name such as `c2.k8s.ooo`");
    check("zones: [{ name: '', file: z }]", "1:17: `` is no domain name such as `c2.k8s.ooo`");
}

#[test]
fn a_zone_comes_from_one_place() {
    let either = "zone `z.` needs exactly one of `file`, `cluster` and `reverseOf`";
    check("zones: [{ name: z }]", &format!("1:17: {either}"));
    check("zones: [{ name: z, file: z, cluster: c }]", &format!("1:17: {either}"));
    check(
        "zones: [{ name: z, cluster: c2, nameservers: [{ name: ns. }] }]",
        "1:29: there is no cluster `c2`; none is configured under `clusters`",
    );
    check(
        "clusters: [{ name: c1, inCluster: true }]\nzones: [{ name: z, cluster: c2, nameservers: [{ name: ns. }] }]",
        "2:29: there is no cluster `c2`; configured are: c1",
    );
    check(
        "zones: [{ name: z, file: z, ttl: 5 }]",
        "1:34: `ttl` is for zones made from clusters: the file of zone `z.` says it all",
    );
    check(
        "clusters: [{ name: c2, context: c2 }, { name: c3, context: c3 }]\n\
         zones: [{ name: z, cluster: c2, nameservers: [{ name: ns. }] }]",
        "1:47: no zone is made from cluster `c3`: name it as `cluster` of a zone, or leave it out",
    );
    check("identity: ''", "1:1: no zone is configured: there is nothing to answer");
    check("# nothing", "1:1: no zone is configured: there is nothing to answer");
}

/// Two cluster zones, and a zone with these keys: from line 2, column 3 on.
fn reverse(keys: &str) -> String {
    format!(
        "zones:\n\
         - {{ {keys} }}\n\
         - {{ name: c2.k8s.ooo, cluster: c2, nameservers: [{{ name: ns.example. }}] }}\n\
         - {{ name: c3.k8s.ooo, cluster: c2, nameservers: [{{ name: ns.example. }}] }}\n\
         - {{ name: k8s.ooo, file: k8s.ooo.zone }}\n\
         clusters: [{{ name: c2, context: c2 }}]"
    )
}

#[test]
fn a_reverse_zone_is_made_of_cluster_zones_wherever_they_stand() {
    let ns = "nameservers: [{ name: ns.example. }]";
    let zone = format!("name: 0.c.5.e.a.0.a.2.ip6.arpa, reverseOf: [c2.k8s.ooo.], {ns}");
    let Config { clusters, reverses, .. } = config(&reverse(&zone));
    let expected = ReverseZone {
        origin: name("0.c.5.e.a.0.a.2.ip6.arpa."),
        prefix: "2a0a:e5c0::/32".parse().expect("a prefix"),
        except: Vec::new(),
        of: vec![name("c2.k8s.ooo.")],
        nameservers: vec![NameServer { name: name("ns.example."), addresses: Vec::new() }],
        hostmaster: name("hostmaster.0.c.5.e.a.0.a.2.ip6.arpa."),
        negative_ttl: 30,
        nameserver_ttl: 3600,
    };
    assert_eq!(reverses, [expected]);
    let is_reversed: Vec<_> = clusters[0].zones.iter().map(|zone| zone.is_reversed).collect();
    assert_eq!(is_reversed, [true, false]);

    let more = format!("{zone}, hostmaster: dns.example., negativeTTL: 5, nameserverTTL: 60");
    let zone = &config(&reverse(&more)).reverses[0];
    assert_eq!((&zone.hostmaster, zone.negative_ttl, zone.nameserver_ttl), (&name("dns.example."), 5, 60));
}

#[test]
fn reverse_zones_may_lie_in_each_other() {
    let ns = "nameservers: [{ name: ns.example. }]";
    let Config { reverses, .. } = config(&reverse(&format!(
        "name: 0.c.5.e.a.0.a.2.ip6.arpa, reverseOf: [c2.k8s.ooo], {ns} }}\n\
         - {{ name: 1.0.0.0.0.c.5.e.a.0.a.2.ip6.arpa, reverseOf: [c2.k8s.ooo, c3.k8s.ooo], {ns} }}\n\
         - {{ name: 78.147.in-addr.arpa, reverseOf: [c2.k8s.ooo], {ns}"
    )));
    let except: Vec<_> = reverses.iter().map(|zone| zone.except.clone()).collect();
    assert_eq!(except, [vec!["2a0a:e5c0:1::/48".parse().expect("a prefix")], vec![], vec![]]);
}

#[test]
fn a_reverse_zone_has_what_it_needs_and_nothing_else() {
    let check = |keys: &str, expected: &str| check(&reverse(keys), expected);
    let (zone, of) = ("name: 8.b.d.0.1.0.0.2.ip6.arpa", "reverseOf: [c2.k8s.ooo]");
    let ns = "nameservers: [{ name: ns.example. }]";

    let wrong = "is no reverse zone's name: write one such as `8.b.d.0.1.0.0.2.ip6.arpa`, of whole nibbles, or \
                 `2.0.192.in-addr.arpa`, of whole octets";
    check(&format!("name: c2.example, {of}, {ns}"), &format!("2:11: `c2.example.` {wrong}"));
    check(&format!("name: b8.d0.1.0.0.2.ip6.arpa, {of}, {ns}"), &format!("2:11: `b8.d0.1.0.0.2.ip6.arpa.` {wrong}"));
    let nothing = "`reverseOf` is empty: name the cluster zones whose addresses have names in zone \
                   `8.b.d.0.1.0.0.2.ip6.arpa.`";
    check(&format!("{zone}, reverseOf: [], {ns}"), &format!("2:48: {nothing}"));
    let unknown = "made from a cluster; configured are: c2.k8s.ooo., c3.k8s.ooo.";
    check(
        &format!("{zone}, reverseOf: [c4.k8s.ooo], {ns}"),
        &format!("2:49: there is no zone `c4.k8s.ooo.` {unknown}"),
    );
    check(&format!("{zone}, reverseOf: [k8s.ooo], {ns}"), &format!("2:49: there is no zone `k8s.ooo.` {unknown}"));
    check(
        &format!("{zone}, reverseOf: [c2.k8s.ooo, C2.k8s.ooo.], {ns}"),
        "2:61: in `reverseOf`, zone `C2.k8s.ooo.` is configured twice",
    );
    check(
        &format!("{zone}, {of}"),
        "2:11: zone `8.b.d.0.1.0.0.2.ip6.arpa.` needs `nameservers`: the names that its parent delegates it to",
    );
    check(
        &format!("{zone}, {of}, nameservers: [{{ name: kube-dns.kube-system.svc }}]"),
        "2:84: name server `kube-dns.kube-system.svc.8.b.d.0.1.0.0.2.ip6.arpa.` is inside of reverse zone \
         `8.b.d.0.1.0.0.2.ip6.arpa.`: name one outside; if `kube-dns.kube-system.svc.` is meant, its final dot is missing",
    );
    check(
        &format!("{zone}, {of}, nameservers: [{{ name: ns.example., addresses: [\"2001:db8::53\"] }}]"),
        "2:84: name server `ns.example.` is outside of zone `8.b.d.0.1.0.0.2.ip6.arpa.`, \
         which cannot hold its addresses: leave `addresses` out",
    );
    let for_clusters = "is for zones made from clusters: reverse zone `8.b.d.0.1.0.0.2.ip6.arpa.` says what those in its \
                        `reverseOf` publish";
    check(&format!("{zone}, {of}, {ns}, publish: {{ mode: All }}"), &format!("2:109: `publish` {for_clusters}"));
    check(&format!("{zone}, {of}, {ns}, ttl: 60"), &format!("2:105: `ttl` {for_clusters}"));
    check(
        &format!("{zone}, {of}, cluster: c2, {ns}"),
        "2:11: zone `8.b.d.0.1.0.0.2.ip6.arpa.` needs exactly one of `file`, `cluster` and `reverseOf`",
    );
}

#[test]
fn a_cluster_is_reached_in_one_way() {
    let either = "cluster `c2` needs exactly one of `kubeconfig` (or a `context`), `inCluster: true` and `manifests`";
    check("clusters: [{ name: c2 }]", &format!("1:20: {either}"));
    check("clusters: [{ name: c2, inCluster: false }]", &format!("1:20: {either}"));
    check("clusters: [{ name: c2, inCluster: true, manifests: c2 }]", &format!("1:20: {either}"));
    check("clusters: [{ name: c2, context: c2, manifests: c2 }]", &format!("1:20: {either}"));
}

/// What is wrong with c2.k8s.ooo, with further `keys`, where only the namespaces `shop` and `blog` are read.
fn check_some_namespaces(keys: &str, expected: &str) {
    let text = format!(
        "clusters: [{{ name: c2, context: c2, namespaces: [shop, blog] }}]\n\
         zones: [{{ name: c2.k8s.ooo, cluster: c2,\n\
         {keys} }}]"
    );
    if expected.is_empty() {
        assert_eq!(config(&text).clusters[0].namespaces, ["blog", "shop"].map(Into::into).into());
    } else {
        check(&text, expected);
    }
}

#[test]
fn of_a_cluster_some_namespaces_may_be_read() {
    let ns = "nameservers: [{ name: ns.example. }]";
    check_some_namespaces(ns, "");
    check_some_namespaces(&format!("{ns}, publish: {{ namespaces: [shop], namespaceSelector: ' ' }}"), "");
    check_some_namespaces("nameservers: [{ name: dns.shop.svc }]", "");
    check_some_namespaces("nameservers: [{ name: kube-dns.kube-system.svc, addresses: [\"2001:db8::53\"] }]", "");

    check_some_namespaces(
        &format!("{ns}, publish: {{ namespaces: [shop, depot] }}"),
        "3:69: namespace `depot` is not read: add it to `namespaces` of cluster `c2`, or leave it out",
    );
    check_some_namespaces(
        &format!("{ns}, publish: {{ namespaceSelector: team=shop }}"),
        "3:69: `publish.namespaceSelector` needs the labels of Namespaces, which are not read where cluster `c2` has \
         `namespaces`: name those meant in `publish.namespaces`",
    );
    check_some_namespaces(
        "nameservers: [{ name: ns.example. }, { name: kube-dns.kube-system.svc }]",
        "3:46: name server `kube-dns.kube-system.svc.c2.k8s.ooo.` is the Service of a namespace that is not read: add \
         `kube-system` to `namespaces` of cluster `c2`, or give `addresses`",
    );

    check(
        "clusters: [{ name: c2, context: c2, namespaces: [Shop] }]",
        "1:50: `Shop` is no name of a namespace, such as `kube-system`",
    );
    check(
        "clusters: [{ name: c2, manifests: c2, namespaces: [shop] }]",
        "1:51: `namespaces` is not supported by this version; leave it out (it would be []: a folder is read whole)",
    );
}

#[test]
fn delegations_are_verified_where_that_is_asked_for() {
    let verified = |text: &str| config(&format!("{text}\n{}", c2(""))).verify;
    assert_eq!(verified(""), None);
    assert_eq!(verified("verify:"), None);
    let usual = Verify { interval: Duration::from_secs(900), roots: Vec::new() };
    assert_eq!(verified("verify: {}"), Some(usual));
    let roots = [("::1", Some(5300)), ("2001:db8::53", None)];
    let roots = roots.map(|(address, port)| Root { address: address.parse().expect("an address"), port });
    let verify = Verify { interval: Duration::from_secs(60), roots: roots.to_vec() };
    assert_eq!(verified(r#"verify: { interval: 1m, roots: ["[::1]:5300", "2001:db8::53"] }"#), Some(verify));

    check(
        "verify: { interval: 59s }",
        "1:21: `59s` is no duration of at least a minute, such as `15m`: others' servers are asked",
    );
    check("verify: { interval: often }", "1:21: `often` is no duration such as `60s` or `5m`");
    check(
        "verify: { roots: [a.root-servers.net] }",
        "1:19: `a.root-servers.net` is no root server's address such as `2001:db8::53`, nor one with a port",
    );
    check(r#"verify: { roots: ["::1", "[::1]:5300"] }"#, "1:26: root server `::1` is configured twice");
}

#[test]
fn nothing_is_configured_twice() {
    check(
        "zones: [{ name: k8s.ooo, file: a }, { name: K8S.ooo., file: b }]",
        "1:45: zone `K8S.ooo.` is configured twice",
    );
    check("clusters: [{ name: a, context: a }, { name: a, context: b }]", "1:45: cluster `a` is configured twice");
    check(
        "clusters: [{ name: c2, context: c2 }]\n\
         zones: [{ name: z, cluster: c2, nameservers: [{ name: ns.y. }, { name: NS.y. }] }]",
        "2:72: name server `NS.y.` is configured twice",
    );
}

/// What is wrong with `nameservers` of c2.k8s.ooo.
fn check_nameservers(nameservers: &str, expected: &str) {
    let cluster = "clusters: [{ name: c2, context: c2 }]";
    let text = format!("{cluster}\nzones:\n- name: c2.k8s.ooo\n  cluster: c2\n  nameservers: {nameservers}");
    if expected.is_empty() {
        config(&text);
    } else {
        check(&text, expected);
    }
}

#[test]
fn a_name_server_can_be_found() {
    check_nameservers("[{ name: kube-dns.kube-system.svc }]", "");
    check_nameservers("[{ name: kube-dns.kube-system.SVC.c2.k8s.ooo. }]", "");
    check_nameservers("[{ name: ns.example.com. }]", "");
    check_nameservers("[{ name: ns, addresses: [\"2001:db8::53\", 192.0.2.53] }]", "");

    let nothing = "is inside of the zone and has no addresses: give `addresses`, \
                   or the name of a Service as `name.namespace.svc`";
    check_nameservers("[{ name: ns }]", &format!("5:25: name server `ns.c2.k8s.ooo.` {nothing}"));
    // No Service can be called so: nobody would ever give it an address.
    check_nameservers(
        "[{ name: kube_dns.kube-system.svc.c2.k8s.ooo. }]",
        &format!("5:25: name server `kube_dns.kube-system.svc.c2.k8s.ooo.` {nothing}"),
    );
    check_nameservers(
        "[{ name: ns.example.com }]",
        &format!(
            "5:25: name server `ns.example.com.c2.k8s.ooo.` {nothing}; \
             if `ns.example.com.` is meant, its final dot is missing"
        ),
    );
    check_nameservers(
        "[{ name: a.kube-dns.kube-system.svc.c2.k8s.ooo. }]",
        &format!("5:25: name server `a.kube-dns.kube-system.svc.c2.k8s.ooo.` {nothing}"),
    );
    check_nameservers(
        "[{ name: ns.example.com., addresses: [192.0.2.53] }]",
        "5:25: name server `ns.example.com.` is outside of zone `c2.k8s.ooo.`, \
         which cannot hold its addresses: leave `addresses` out",
    );
    check_nameservers(
        "[{ name: ns, addresses: [ns.example.com] }]",
        "5:41: `ns.example.com` is no IP address such as `2001:db8::53`",
    );
    let none = "zone `c2.k8s.ooo.` needs `nameservers`: the names that its parent delegates it to";
    check_nameservers("[]", &format!("3:9: {none}"));
    check_nameservers("", &format!("3:9: {none}"));
}

#[test]
fn static_records_come_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("static.zone");
    let check = |text: &str, expected: &str| {
        std::fs::write(&path, text).expect("written");
        let read = parse(&c2("  extra: static.zone"), &folder.path().join("kubezone.yaml"));
        let place = format!("{}:6:10: {}: ", folder.path().join("kubezone.yaml").display(), path.display());
        let found = read.map(|config| config.extras.into_values().collect()).map_err(|error| {
            assert_eq!(error.file(), Some(path.as_path()));
            error.to_string().strip_prefix(&place).map(str::to_owned).unwrap_or_else(|| panic!("{error}"))
        });
        let expected = if expected.is_empty() { Ok(vec![path.clone()]) } else { Err(expected.to_owned()) };
        assert_eq!(found, expected);
    };

    check("", "");
    check("@ 300 CAA 0 issue \"ca.example\"\n", "");
    check("$TTL 5\n@ MX ten mail\n", "line 2, column 6: expected a number up to 65535, found `ten`");
    check(
        "$TTL 5\nwww A 192.0.2.1\n@ SOA ns h 1 2 3 4 5\n",
        "line 3, column 1: c2.k8s.ooo. SOA is not for a file to say: the configuration says it of the zone",
    );
    check(
        "$TTL 5\nwww A 192.0.2.1\nwww CNAME x\nx TXT x\n",
        "line 3, column 1: www.c2.k8s.ooo. owns a CNAME record and other data (A): keep one of them",
    );
    std::fs::write(folder.path().join("more.zone"), "ns 5 A 192.0.2.1\n").expect("written");
    check(
        "$INCLUDE more.zone\n",
        &format!(
            "{}: line 1, column 1: ns.c2.k8s.ooo. A is not for a file to say: \
             a name server's addresses are those that are configured",
            folder.path().join("more.zone").display()
        ),
    );
    std::fs::remove_file(&path).expect("removed");
    let error = parse(&c2("  extra: static.zone"), &folder.path().join("kubezone.yaml")).expect_err("no file");
    assert!(error.to_string().ends_with("static.zone: could not be read: No such file or directory (os error 2)"));
}

#[test]
fn an_api_is_asked_for_pods_where_a_zone_has_names_for_them() {
    let watches_pods = |access: &str, publish: [&str; 2]| {
        let zone = |name: &str, publish: &str| {
            format!("- {{ name: {name}, cluster: c2, nameservers: [{{ name: ns.example. }}], publish: {publish} }}\n")
        };
        let text =
            format!("clusters: [{{ name: c2, {access} }}]\nzones:\n{}{}", zone("a", publish[0]), zone("b", publish[1]));
        parse(&text, Path::new("kubezone.yaml")).expect("a configuration").clusters[0].watches_pods()
    };

    assert!(watches_pods("context: c2", ["{}", "{ pods: true }"]));
    assert!(watches_pods("inCluster: true", ["{ pods: true }", "{ pods: true }"]));
    assert!(!watches_pods("context: c2", ["{}", "{ pods: false }"]));
    assert!(!watches_pods("manifests: c2", ["{ pods: true }", "{}"]), "a folder is read whole");
}

#[test]
fn what_is_not_acted_on_is_refused() {
    let not_yet = "is not supported by this version; leave it out";
    check("tls: { certificate: a, key: b }", &format!("1:6: `tls` {not_yet} (it would be none)"));
    check("listen: { tls: [\"[::]:853\"] }", &format!("1:16: `listen.tls` {not_yet} (it would be none)"));
    check(
        "clusters: [{ name: c2, manifests: c2, maxStaleness: 5m }]",
        &format!("1:53: `maxStaleness` {not_yet} (it would be 0s: a folder is never silent)"),
    );
}

#[test]
fn what_is_not_acted_on_may_stand_at_its_default() {
    let publish = "  extra: \"\"\n  ipv4: { nat64: [], proxies: [] }\n  publish:\n    \
                   { mode: All, namespaces: [], namespaceSelector: \"\", serviceSelector: \"\", pods: false, \
                   shortNames: false, hostnames: false, wildcards: false, \
                   addresses: { allow: [], from: [ClusterIP, LoadBalancer, ExternalIP] } }";
    assert_eq!(c2_zone(publish), c2_zone(""));
    config(&format!("listen: {{ tls: [] }}\n{}", c2("")));
}

/// What the command line's `nameservers` of c2.k8s.ooo are, or what is wrong with them.
fn check_short_form(nameservers: &[&str], expected: &str) {
    let nameservers: Vec<_> = nameservers.iter().map(|text| text.parse().expect("infallible")).collect();
    let found = match short_form("c2.k8s.ooo", &nameservers, Access::InCluster) {
        Ok(mut config) => {
            let nameservers = config.clusters.remove(0).zones.remove(0).nameservers;
            let nameservers = nameservers.iter().map(|ns| format!("{} {:?}", ns.name, ns.addresses));
            nameservers.collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn the_command_line_makes_one_zone() {
    check_short_form(
        &["ns1=2001:db8::53,192.0.2.53", "ns.example.com."],
        "ns1.c2.k8s.ooo. [2001:db8::53, 192.0.2.53], ns.example.com. []",
    );
    check_short_form(&["kube-dns.kube-system.svc"], "kube-dns.kube-system.svc.c2.k8s.ooo. []");
    check_short_form(&["ns="], "`` is no IP address such as `2001:db8::53`");
    check_short_form(&[], "zone `c2.k8s.ooo.` needs `nameservers`: the names that its parent delegates it to");
}

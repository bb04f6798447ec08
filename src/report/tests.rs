use super::*;
use crate::cluster::{Annotations, Endpoint, EndpointSlice, Object, Pod, Service};
use crate::schema::NameServer;
use crate::zone::{HashedName, Part, Serial, Zone, master};
use hickory_proto::rr::Name;

fn service(name: &str, address: &str) -> Service {
    Service { cluster_ips: vec![address.parse().unwrap()], ..Service::bare(key(name)) }
}

fn key(name: &str) -> ServiceKey {
    ServiceKey { namespace: "shop".into(), name: name.into() }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// Calls `check` with the view of a zone with short names, names of Pods and these Services in the Namespace shop.
fn view(services: impl IntoIterator<Item = Service>, check: impl FnOnce(View<'_>)) {
    view_of(services.into_iter().map(Object::Service), check);
}

fn view_of(objects: impl IntoIterator<Item = Object>, check: impl FnOnce(View<'_>)) {
    let zone = ClusterZone { short_names: true, pods: true, ..ClusterZone::at(name("c2.k8s.ooo.")) };
    let mut cluster = Cluster::default();
    for object in objects {
        cluster.apply(object);
    }
    let mut register = Register::default();
    register.update(&zone, &cluster, zone.subjects(&cluster));
    check(View { zone: &zone, cluster: &cluster, register: &register });
}

/// What there is to say about `text` in the zone of `view`, whose records come from there, too.
fn told(view: View<'_>, text: &str) -> NameReport {
    let nameservers = vec![NameServer { name: name("ns.example."), addresses: Vec::new() }];
    let config = ClusterZone { nameservers, ..view.zone.clone() };
    let parts = Register::default().update(&config, view.cluster, config.subjects(view.cluster)).parts;
    let records = config.apex(Serial(1)).into_iter().chain(parts.into_iter().flat_map(Part::into_records));
    let zone = Zone::build(&config.origin, records.collect::<Vec<_>>()).unwrap().0;
    view.name(&name(text), zone.at(&HashedName::from(&name(text)))).among(zone.owners())
}

fn lines(records: &[RecordText]) -> Vec<String> {
    let line = |it: &RecordText| format!("{} {} {} {}", it.owner, it.ttl, it.rtype, it.rdata);
    records.iter().map(line).collect()
}

#[test]
fn a_report_can_be_read_back() {
    let private = service("db", "192.0.2.1");
    view([service("web", "2a0a:e5c0:10:3::17"), private], |view| {
        let reports: Vec<Report> = view.services().collect();
        let json = serde_json::to_string(&reports).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Report>>(&json).unwrap(), reports);
        assert!(json.contains(r#""ready":{"IPv6":0,"IPv4":0},"pods":{"IPv6":0,"IPv4":0},"published":false"#), "{json}");
        assert!(json.contains(r#""origin":"ClusterIP""#), "{json}");
    });
}

#[test]
fn a_service_is_told_with_what_it_owns() {
    view([service("web", "2a0a:e5c0:10:3::17")], |view| {
        let report = view.service(&key("web"));
        assert_eq!(
            lines(&report.records),
            [
                "web.shop.svc.c2.k8s.ooo. 30 AAAA 2a0a:e5c0:10:3::17",
                "web.shop.c2.k8s.ooo. 30 CNAME web.shop.svc.c2.k8s.ooo.",
            ]
        );
        let claim = Claim { name: "web.shop.c2.k8s.ooo.".into(), holder: "shop/web".into(), held: true };
        assert_eq!((report.published, report.claims), (true, vec![claim]));
        assert_eq!((report.primary, report.families), (Some(IpFamily::V6), vec![IpFamily::V6]));
    });
}

#[test]
fn of_a_service_that_is_not_there_nothing_is_told() {
    view([], |view| {
        let report = view.service(&key("web"));
        assert_eq!((report.service_type, report.published, report.reasons), (None, false, vec![]));
        assert!(report.records.is_empty());
    });
}

#[test]
fn of_a_service_that_is_not_there_the_nearest_is_told() {
    let key = |namespace: &str, name: &str| ServiceKey { namespace: namespace.into(), name: name.into() };
    let place = |namespace, name| Service { key: key(namespace, name), ..service("", "2a0a::1") };
    view([place("default", "kubernetes"), place("shop", "web"), place("shop", "wall")], |view| {
        let check = |namespace: &str, name: &str, expected: Option<&str>| {
            assert_eq!(view.service(&key(namespace, name)).nearest.as_deref(), expected, "{namespace}/{name}");
        };
        check("shop", "wbe", Some("shop/web"));
        check("shop", "kuberneted", Some("shop/web"));
        check("shop", "kubernetes", Some("default/kubernetes"));
        check("default", "web", Some("shop/web"));
        check("depot", "wal", Some("shop/wall"));
        check("shop", "web", None);
        check("shop", &"web".repeat(100), None);
    });
}

#[test]
fn of_a_namespace_that_is_not_read_that_is_told() {
    let zone = ClusterZone { nameservers: Vec::new(), ..ClusterZone::at(name("c2.k8s.ooo.")) };
    let mut cluster = Cluster::from_api().only_in(["shop"]);
    cluster.apply(Object::Service(service("web", "2a0a:e5c0:10:3::17")));
    let mut register = Register::default();
    register.update(&zone, &cluster, zone.subjects(&cluster));
    let view = View { zone: &zone, cluster: &cluster, register: &register };

    let elsewhere = view.service(&ServiceKey { namespace: "depot".into(), name: "web".into() });
    assert_eq!(elsewhere.reasons.iter().map(|said| said.name.as_str()).collect::<Vec<_>>(), ["NamespaceNotRead"]);
    assert!(elsewhere.reasons[0].fix.starts_with("Add `depot` to the cluster's `namespaces`"), "{elsewhere:?}");
    assert_eq!((elsewhere.is_read(), elsewhere.nearest.as_deref()), (false, Some("shop/web")));
    assert_eq!(told(view, "a.web.depot.svc.c2.k8s.ooo.").service, Some(elsewhere));
    for known in ["web", "db"] {
        let report = view.service(&key(known));
        assert!(report.is_read() && report.reasons.is_empty(), "{report:?}");
    }
}

#[test]
fn a_name_that_does_not_exist_is_told_with_the_nearest_that_does() {
    view([service("web", "2a0a:e5c0:10:3::17")], |view| {
        let report = told(view, "wbe.shop.svc.c2.k8s.ooo.");
        assert!(!report.exists && report.service.is_none());
        assert_eq!(report.nearest.as_deref(), Some("web.shop.svc.c2.k8s.ooo."));

        let above = told(view, "shop.svc.c2.k8s.ooo.");
        assert!(above.exists && above.records.is_empty() && above.nearest.is_none());

        let short = told(view, "WEB.shop.c2.k8s.ooo.");
        assert_eq!(lines(&short.records), ["web.shop.c2.k8s.ooo. 30 CNAME web.shop.svc.c2.k8s.ooo."]);
        assert_eq!(short.service.map(|service| service.name).as_deref(), Some("web"));
    });
}

#[test]
fn what_stands_in_for_a_name_is_told() {
    let annotation = ("external-dns.kubernetes.io/hostname".into(), "*.app.c2.k8s.ooo".into());
    let web = Service { annotations: Annotations::from([annotation]), ..service("web", "2a0a:e5c0:10:3::17") };
    view([web], |view| {
        let zone = ClusterZone { hostnames: true, wildcards: true, ..view.zone.clone() };
        let nameservers = vec![NameServer { name: name("ns.example."), addresses: Vec::new() }];
        let extra = master::parse(b"$TTL 5\nlab NS ns.example.\n", &zone.origin, None).unwrap();
        let zone = ClusterZone { nameservers, ..zone }.with_extra(extra).unwrap();
        let mut register = Register::default();
        register.update(&zone, view.cluster, zone.subjects(view.cluster));
        let view = View { zone: &zone, register: &register, ..view };

        let report = told(view, "any.app.c2.k8s.ooo.");
        assert_eq!(lines(&report.records), ["*.app.c2.k8s.ooo. 30 AAAA 2a0a:e5c0:10:3::17"]);
        assert_eq!((report.exists, report.nearest), (false, None));
        assert_eq!(report.service.map(|service| service.name).as_deref(), Some("web"));

        let report = told(view, "host.lab.c2.k8s.ooo.");
        assert_eq!(
            (report.exists, lines(&report.records)),
            (false, vec!["lab.c2.k8s.ooo. 5 NS ns.example.".to_owned()])
        );
    });
}

#[test]
fn behind_each_subject_are_those_that_follow() {
    let pod = Pod {
        namespace: "shop".into(),
        name: "web-0".into(),
        created: None,
        addresses: vec!["2a0a:e5c0:10:2::11".parse().unwrap(), "10.0.0.1".parse().unwrap()],
        annotations: Annotations::new(),
    };
    let services = ["b", "d"].map(|name| Object::Service(service(name, "2a0a::1")));
    view_of(services.into_iter().chain([Object::Pod(pod)]), |view| {
        let called_after = ["a", "b", "c", "e"].map(|text| name(&format!("{text}.shop.svc.c2.k8s.ooo.")));
        let nameservers = called_after.map(|name| NameServer { name, addresses: Vec::new() }).to_vec();
        let zone = ClusterZone { nameservers, ..view.zone.clone() };
        let all: Vec<_> = zone.subjects(view.cluster).collect();
        let texts: Vec<_> = all.iter().map(ToString::to_string).collect();
        let expected = ["shop/a", "shop/b", "shop/c", "shop/d", "shop/e", "shop/10.0.0.1", "shop/2a0a:e5c0:10:2::11"];
        assert_eq!(texts, expected);
        for (place, subject) in all.iter().enumerate() {
            let behind: Vec<_> = zone.subjects_after(view.cluster, subject).collect();
            assert_eq!(behind, all[place + 1..], "{subject}");
        }
    });
}

#[test]
fn an_address_is_told_alike_in_however_many_looks() {
    let address: IpAddr = "2a0a:e5c0:10:3::17".parse().unwrap();
    let services = (0..7).map(|number| Service {
        created: Some(7 - number),
        annotations: Annotations::from([("k8s.ooo/publish".into(), (number % 3 > 0).to_string().into())]),
        ..service(&format!("s{number}"), "2a0a:e5c0:10:3::17")
    });
    let pods = ["shop", "depot"].map(|namespace| Pod {
        namespace: namespace.into(),
        name: "s-0".into(),
        created: None,
        addresses: vec!["2a0a:e5c0:10:2::11".parse().unwrap(), address],
        annotations: Annotations::new(),
    });
    view_of(services.map(Object::Service).chain(pods.map(Object::Pod)), |view| {
        let whole = view.address(address);
        let subjects: Vec<_> = whole.published.iter().map(|holder| holder.subject.clone().unwrap()).collect();
        let pods = ["depot", "shop"].map(|namespace| format!("{namespace}/{address}"));
        assert_eq!(subjects[..4], ["shop/s5", "shop/s4", "shop/s2", "shop/s1"]);
        assert_eq!((&subjects[4..], whole.withheld.len()), (&pods[..], 3));
        for many in 1..=12 {
            let mut search = AddressSearch::new(address);
            while !search.look(&view, many) {}
            assert_eq!(search.report(view.zone), whole, "{many} at a time");
        }
    });
}

#[test]
fn the_name_of_a_pod_that_is_hidden_is_told_with_what_would_change_that() {
    let pod = Pod {
        namespace: "shop".into(),
        name: "web-0".into(),
        created: None,
        addresses: vec!["2a0a:e5c0:10:2::11".parse().unwrap()],
        annotations: Annotations::from([("k8s.ooo/publish".into(), "false".into())]),
    };
    view_of([Object::Pod(pod)], |view| {
        let report = told(view, "2a0a-e5c0-10-2--11.shop.pod.c2.k8s.ooo.");
        assert!(!report.exists);
        assert_eq!(report.reasons.iter().map(|reason| reason.name.as_str()).collect::<Vec<_>>(), ["OptedOut"]);
        let fix = &report.reasons[0].fix;
        assert!(fix.starts_with("`kubectl -n shop annotate --overwrite pod web-0 k8s.ooo/publish=true`"), "{fix}");
    });
}

#[test]
fn an_address_is_told_with_who_has_it_and_who_does_not() {
    let address: IpAddr = "2a0a:e5c0:10:3::17".parse().unwrap();
    let taker = Service { external_ips: vec![address], cluster_ips: Vec::new(), ..service("a", "2a0a::1") };
    let older = Service { created: Some(1), ..service("z", "2a0a:e5c0:10:3::17") };
    let hidden = Service {
        annotations: Annotations::from([("k8s.ooo/publish".into(), "false".into())]),
        ..service("hidden", "2a0a:e5c0:10:3::17")
    };
    view([service("web", "2a0a:e5c0:10:3::17"), taker, older, hidden], |view| {
        let report = view.address(address);
        let published: Vec<_> = report.published.iter().map(|it| it.subject.as_deref().unwrap()).collect();
        assert_eq!(published, ["shop/z", "shop/web", "shop/a"]);
        assert_eq!(report.withheld.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["hidden"]);
        assert_eq!(report.withheld[0].reasons[0].name, "OptedOut");
    });
}

#[test]
fn a_namespace_is_told_with_its_services() {
    view([service("web", "2a0a:e5c0:10:3::17"), service("db", "192.0.2.1")], |view| {
        let report = view.namespace("shop").unwrap();
        assert_eq!((report.published, report.withheld), (1, BTreeMap::from([("IPv4Only".to_owned(), 1)])));
        assert_eq!(report.services.len(), 2);
        assert_eq!(view.namespace("depot"), None);
    });
}

/// The catalogue as docs/reasons.md has it.
fn catalogue() -> String {
    let mut text = "\
# Reasons

Why a Service has no records, or not all that one might expect, and what to do about it. `kubezone explain` and
`kubezone audit` tell the codes and names, with the commands filled in; metrics have the names
(`kubezone_services`, `kubezone_service_reasons`). No answer to a DNS question tells any of it. A code is never given to
another reason.

All that hold are told, in this order. Of a Service without records, the first is *the* reason. Generated from
src/schema/reason.rs and src/report/audit.rs: `UPDATE=1 cargo test --lib the_document_of_reasons`.
"
    .to_owned();
    let mut section = |title: &str, rows: &mut dyn Iterator<Item = Meaning>| {
        text += &format!("\n## {title}\n\n| code | name | what holds | what to do |\n|---|---|---|---|\n");
        for Meaning { code, name, sentence, fix, .. } in rows {
            text += &format!("| {code} | {name} | {sentence} | {} |\n", fix.replace('|', "\\|"));
        }
    };
    let reasons = || Reason::ALL.into_iter().map(Reason::meaning);
    section("They keep a Service out of the DNS", &mut reasons().filter(|meaning| meaning.withholds));
    section("They stand beside records", &mut reasons().filter(|meaning| !meaning.withholds));
    let found = |verdict| Finding::ALL.into_iter().filter(move |it| it.verdict() == verdict).map(Finding::meaning);
    section("What an audit finds that blocks", &mut found(Verdict::Blocked));
    section("What an audit finds that a change mends", &mut found(Verdict::Change));
    section("What an audit notes of a Service that is ready", &mut found(Verdict::Ready));
    text
}

#[test]
fn the_document_of_reasons_is_that_of_the_code() {
    crate::documents::check("docs/reasons.md", &catalogue());
}

#[test]
fn findings_have_codes_of_their_own() {
    let codes = Finding::ALL.map(|finding| finding.meaning().code);
    let numbered: Vec<_> = (201..).take(codes.len()).map(|number| format!("KZ{number:04}")).collect();
    assert_eq!(codes.as_slice(), numbered);
}

fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|text| text.parse().unwrap()).collect()
}

/// A Service with addresses and ready endpoints, and what is found.
fn audit(addresses: &[&str], endpoints: &[&str]) -> Audited {
    let slice = EndpointSlice {
        name: "web-1".into(),
        service: key("web"),
        endpoints: vec![Endpoint { addresses: parsed(endpoints).into(), hostname: None, ready: true }],
        ports: Vec::new(),
        is_headless: false,
        counted: None,
    };
    let service = Service { cluster_ips: parsed(addresses), ..service("web", "::") };
    let mut audited = None;
    view_of([Object::Service(service), Object::EndpointSlice(slice)], |view| {
        audited = Some(Audited::of(&view.service(&key("web")), None));
    });
    audited.unwrap()
}

#[test]
fn a_verdict_goes_by_what_is_published_and_ready() {
    let check = |addresses: &[&str], endpoints: &[&str], verdict, name: Option<&str>| {
        let audited = audit(addresses, endpoints);
        let first = audited.reasons.first().map(|reason| reason.name.as_str());
        assert_eq!((audited.verdict, first), (verdict, name), "{addresses:?} {endpoints:?}");
    };
    let (v6, v4, ula, pod6, pod4) = ("2a0a:e5c0:10:3::17", "10.96.0.7", "fd00::7", "2a0a:e5c0:10:2::1", "10.0.0.1");

    check(&[v6], &[pod6], Verdict::Ready, None);
    check(&[v6, v4], &[pod6, pod4], Verdict::Ready, None);
    check(&[v4, v6], &[pod6, pod4], Verdict::Ready, Some("IPv4Primary"));
    check(&[v6, v4], &[pod4], Verdict::Blocked, Some("BlackHole"));
    check(&[v6], &[], Verdict::Blocked, Some("BlackHole"));
    check(&[v4], &[pod6, pod4], Verdict::Change, Some("IPv6EndpointsUnused"));
    check(&[v4], &[pod4], Verdict::Blocked, Some("NoIPv6Family"));
    check(&[ula], &[pod6], Verdict::Change, Some("AddressNotPublic"));
    check(&[ula], &[], Verdict::Blocked, Some("NoIPv6Endpoints"));
    check(&[ula, "147.78.194.9"], &[pod6], Verdict::Change, Some("IPv6NotPublished"));
}

/// Endpoints are made for a Service's families; the Pods behind them tell what there could be.
#[test]
fn pods_tell_what_an_ipv4_service_could_have() {
    let check = |pods: &[&[&str]], verdict, name: &str| {
        let pods = pods.iter().zip(0..).map(|(addresses, number)| {
            let (namespace, name) = ("shop".into(), format!("web-{number}").into());
            Object::Pod(Pod {
                namespace,
                name,
                created: None,
                addresses: parsed(addresses),
                annotations: Annotations::new(),
            })
        });
        let slice = EndpointSlice {
            name: "web-1".into(),
            service: key("web"),
            endpoints: vec![
                Endpoint { addresses: parsed(&["10.0.0.1"]).into(), hostname: None, ready: true },
                Endpoint { addresses: parsed(&["10.0.0.2"]).into(), hostname: None, ready: false },
            ],
            ports: Vec::new(),
            is_headless: false,
            counted: None,
        };
        let objects = [Object::Service(service("web", "10.96.0.7")), Object::EndpointSlice(slice)];
        view_of(objects.into_iter().chain(pods), |view| {
            let audited = Audited::of(&view.service(&key("web")), None);
            assert_eq!((audited.verdict, audited.reasons[0].name.as_str()), (verdict, name), "{:?}", audited.pods);
            assert!(audited.command.is_some());
        });
    };

    check(&[], Verdict::Blocked, "NoIPv6Family");
    check(&[&["10.0.0.1"]], Verdict::Blocked, "NoIPv6Family");
    check(&[&["10.0.0.1", "2a0a:e5c0:10:2::1"]], Verdict::Change, "IPv6EndpointsUnused");
    // It is not ready, or nobody's endpoint.
    check(&[&["10.0.0.2", "2a0a:e5c0:10:2::2"]], Verdict::Blocked, "NoIPv6Family");
    check(&[&["10.0.0.3", "2a0a:e5c0:10:2::3"]], Verdict::Blocked, "NoIPv6Family");
}

#[test]
fn a_command_is_json_in_quotes() {
    let audited = audit(&["10.96.0.7"], &["2a0a:e5c0:10:2::1"]);
    let patch = r#"{"spec":{"ipFamilies":["IPv4","IPv6"],"ipFamilyPolicy":"RequireDualStack"}}"#;
    let command = format!("kubectl patch svc web -n shop --type=merge -p '{patch}'");
    assert_eq!(audited.command, Some(command));
}

#[test]
fn an_alias_is_as_good_as_its_target() {
    let alias = |target: &str| Service {
        service_type: ServiceType::ExternalName,
        cluster_ips: Vec::new(),
        hostnames: vec![target.into()],
        ..service("mail", "::")
    };
    let check = |name: &str, target, verdict, first: Option<&str>| {
        view([alias(name)], |view| {
            let audited = Audited::of(&view.service(&key("mail")), target);
            assert_eq!(
                (audited.verdict, audited.reasons.first().map(|it| it.name.as_str())),
                (verdict, first),
                "{name}"
            );
        });
    };
    check("mail.example.net", None, Verdict::Ready, Some("TargetNotResolved"));
    check("mail.example.net", Some(Target::HasIpv6), Verdict::Ready, None);
    check("mail.example.net", Some(Target::Ipv4Only), Verdict::Blocked, Some("TargetWithoutIPv6"));
    check("mail.example.net", Some(Target::Unresolved), Verdict::Blocked, Some("TargetUnresolved"));
    check("192.0.2.1", None, Verdict::Blocked, Some("InvalidExternalName"));
}

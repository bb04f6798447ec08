use super::*;
use crate::cluster::{Annotations, Labels, Object, Service};
use hickory_proto::rr::Name;

fn service(name: &str, address: &str) -> Service {
    Service {
        key: key(name),
        created: None,
        service_type: ServiceType::ClusterIp,
        cluster_ips: vec![address.parse().unwrap()],
        ports: Vec::new(),
        ingress_ips: Vec::new(),
        external_ips: Vec::new(),
        hostnames: Vec::new(),
        labels: Labels::new(),
        annotations: Annotations::new(),
    }
}

fn key(name: &str) -> ServiceKey {
    ServiceKey { namespace: "shop".into(), name: name.into() }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// Calls `check` with the view of a zone with short names and these Services in the Namespace shop.
fn view(services: impl IntoIterator<Item = Service>, check: impl FnOnce(View<'_>)) {
    let zone = ClusterZone { short_names: true, ..ClusterZone::at(name("c2.k8s.ooo.")) };
    let mut cluster = Cluster::default();
    for service in services {
        cluster.apply(Object::Service(service));
    }
    let mut register = Register::default();
    register.update(&zone, &cluster, zone.subjects(&cluster));
    check(View { zone: &zone, cluster: &cluster, register: &register });
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
        assert!(json.contains(r#""ready":{"IPv6":0,"IPv4":0},"published":false"#), "{json}");
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
        assert_eq!((report.primary, report.families), (Some(Family::V6), vec![Family::V6]));
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
fn a_name_that_does_not_exist_is_told_with_the_nearest_that_does() {
    view([service("web", "2a0a:e5c0:10:3::17")], |view| {
        let report = view.name(&name("wbe.shop.svc.c2.k8s.ooo."));
        assert!(!report.exists && report.service.is_none());
        assert_eq!(report.nearest.as_deref(), Some("web.shop.svc.c2.k8s.ooo."));

        let above = view.name(&name("shop.svc.c2.k8s.ooo."));
        assert!(above.exists && above.records.is_empty() && above.nearest.is_none());

        let short = view.name(&name("WEB.shop.c2.k8s.ooo."));
        assert_eq!(lines(&short.records), ["web.shop.c2.k8s.ooo. 30 CNAME web.shop.svc.c2.k8s.ooo."]);
        assert_eq!(short.service.map(|service| service.name).as_deref(), Some("web"));
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

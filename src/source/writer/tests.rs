//! The writer on paused time, and over random histories.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{RData, RecordType};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{sleep, timeout};

use super::*;
use crate::cluster::{
    Annotations, Endpoint, EndpointSlice, Labels, Namespace, Object, ObjectKey, Pod, Port, Protocol, Service,
    ServiceKey, ServiceType,
};
use crate::metrics::Metrics;
use crate::nameserver::Served;
use crate::schema::{
    AddressFilter, AddressOrigin, Age, Ipv4Paths, Mode, NameServer, Nat64, Policy, PublishedAddress, ReverseZone,
};
use crate::source::{InspectError, Inspector, inspector, propose};
use crate::zone::{Record, master};

/// How long the cluster may be silent.
const STALENESS: Duration = Duration::from_secs(24 * 60 * 60);

const KINDS: [Kind; 4] = [Kind::Service, Kind::EndpointSlice, Kind::Namespace, Kind::Pod];

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// A zone with the defaults, and one name server without addresses.
fn zone(origin: &str, nameserver: &str) -> ClusterZone {
    let nameservers = vec![NameServer { name: name(nameserver), addresses: Vec::new() }];
    ClusterZone { nameservers, hostmaster: name("hostmaster.k8s.ooo."), ..ClusterZone::at(name(origin)) }
}

fn config(zones: Vec<ClusterZone>) -> config::Cluster {
    let (name, access) = ("c2".to_owned(), config::Access::InCluster);
    config::Cluster { name, access, namespaces: BTreeSet::new(), max_staleness: Some(STALENESS), zones }
}

fn key(text: &str) -> ServiceKey {
    let (namespace, name) = text.split_once('/').unwrap();
    ServiceKey { namespace: namespace.into(), name: name.into() }
}

fn service(text: &str, address: &str) -> Object {
    Object::Service(Service { cluster_ips: vec![address.parse().unwrap()], ..Service::bare(key(text)) })
}

fn pod(text: &str, address: &str) -> Object {
    let ServiceKey { namespace, name } = key(text);
    let (addresses, annotations) = (vec![address.parse().unwrap()], Annotations::new());
    Object::Pod(Pod { namespace, name, created: None, addresses, annotations })
}

fn object_key(kind: Kind, text: &str) -> ObjectKey {
    let key = key(text);
    ObjectKey { kind, namespace: key.namespace, name: key.name }
}

/// A writer at work, and both of its ends.
struct Writing {
    events: mpsc::Sender<Event>,
    proposals: mpsc::Sender<Proposal<ClusterZone>>,
    inspector: Inspector,
    relist: Relist,
    published: Arc<Published>,
    task: JoinHandle<()>,
}

impl Writing {
    fn start(zones: Vec<ClusterZone>) -> Self {
        Self::start_on(zones, Arc::new(Published::new(Served::default())))
    }

    /// One that finds this published.
    fn start_on(zones: Vec<ClusterZone>, published: Arc<Published>) -> Self {
        Self::start_with(Cluster::default(), zones, published)
    }

    /// One that finds this published, and learns of a cluster that knows this much by itself.
    fn start_with(cluster: Cluster, zones: Vec<ClusterZone>, published: Arc<Published>) -> Self {
        let (events, receiver) = mpsc::channel(MANY);
        let relist: Relist = KINDS.map(Collection::from).into_iter().collect();
        let metrics = Metrics::new(published.clone()).cluster("c2");
        let (proposals, proposed) = mpsc::channel(1);
        let (inspector, looks) = inspector();
        let mut config = config(zones);
        let book = Arc::new(AddressBook::new(published.clone()));
        let relisted = relist.clone();
        let task = tokio::spawn(async move {
            let mut requests = Requests { proposals: proposed, looks };
            write(cluster, &mut config, &mut requests, receiver, relisted, book, metrics).await;
        });
        Self { events, proposals, inspector, relist, published, task }
    }

    /// A writer of c2.k8s.ooo whose cluster is synced and empty, and has been for a second.
    async fn synced() -> Self {
        let writing = Self::start(vec![zone("c2.k8s.ooo.", "ns.example.")]);
        for kind in KINDS {
            writing.list(kind, []).await;
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(writing.serial(), Some(1));
        writing
    }

    async fn send(&self, event: Event) {
        self.events.send(event).await.unwrap();
    }

    async fn apply(&self, object: Object, version: Option<u64>) {
        self.send(Event::Apply { object, version }).await;
    }

    async fn list(&self, kind: Kind, objects: impl IntoIterator<Item = Object>) {
        self.send(Event::Listing(kind.into())).await;
        for object in objects {
            self.apply(object, None).await;
        }
        self.send(Event::Listed { of: kind.into(), version: None }).await;
    }

    fn zone(&self, origin: &str) -> Option<Arc<Zone>> {
        match self.published.load().zones.get(&name(origin)) {
            Some(State::Loaded(zone)) => Some(zone.clone()),
            _ => None,
        }
    }

    /// The serial of c2.k8s.ooo.
    fn serial(&self) -> Option<u32> {
        self.zone("c2.k8s.ooo.").map(|zone| zone.serial().0)
    }

    /// How many addresses c2.k8s.ooo holds.
    fn addresses(&self) -> usize {
        let census = self.zone("c2.k8s.ooo.").unwrap().census();
        census.into_iter().filter(|(rtype, _)| *rtype == RecordType::AAAA).map(|(_, count)| count).sum()
    }
}

/// Lets the writer do all that it can without time going by.
async fn turn() {
    let before = Instant::now();
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(Instant::now(), before);
}

/// A question: the cluster's Services, and how many of them the zones withhold.
fn count(view: &View<'_>) -> (usize, Vec<usize>) {
    let withheld = view.zones.iter().map(|(_, register)| register.withheld().values().sum());
    (view.cluster.service_count(), withheld.collect())
}

#[tokio::test(start_paused = true)]
async fn what_it_knows_is_told_once_it_is_published() {
    let writing = Writing::start(vec![zone("c2.k8s.ooo.", "ns.example.")]);
    assert_eq!(writing.inspector.ask(count).await, Err(InspectError::NotSynced));
    let services = [service("shop/web", "2a0a::1"), service("shop/db", "fd00::1")];
    writing.list(Kind::Service, services).await;
    writing.list(Kind::EndpointSlice, []).await;
    assert_eq!(writing.inspector.ask(count).await, Err(InspectError::NotSynced));
    writing.list(Kind::Namespace, []).await;
    turn().await;
    assert_eq!(writing.inspector.ask(count).await, Ok((2, vec![1])));
    let held = |view: &View<'_>| view.zone(&name("c2.k8s.ooo.")).is_some();
    assert_eq!(writing.inspector.ask(held).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_stumbles_or_is_given_up_disturbs_nothing() {
    let writing = Writing::synced().await;
    let stumbled = writing.inspector.ask(|_| -> usize { panic!("a mistake in a question") }).await;
    assert_eq!(stumbled, Err(InspectError::Gone));
    drop(timeout(Duration::ZERO, writing.inspector.ask(count)).await);
    writing.apply(service("shop/web", "2a0a::1"), None).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writing.addresses(), 1);
    assert_eq!(writing.inspector.ask(count).await, Ok((1, vec![0])));

    // A reload that takes its time: the writer waits for the decision.
    let prepared = propose(&writing.proposals, vec![zone("c2.k8s.ooo.", "other.example.")]).await.unwrap();
    assert_eq!(writing.inspector.ask(count).await, Err(InspectError::Busy));
    prepared.expect("a source").agree();
    assert_eq!(writing.inspector.ask(count).await, Ok((1, vec![0])));
    writing.task.abort();
    assert_eq!(writing.inspector.ask(count).await, Err(InspectError::Gone));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_before_every_kind_was_listed() {
    let writing = Writing::start(vec![zone("c2.k8s.ooo.", "ns.example.")]);

    writing.list(Kind::Service, [service("shop/web", "2a0a::1")]).await;
    writing.list(Kind::Namespace, []).await;
    writing.send(Event::Listing(Kind::EndpointSlice.into())).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(writing.serial(), None);

    writing.send(Event::Listed { of: Kind::EndpointSlice.into(), version: Some(7) }).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(7), 1));
}

#[tokio::test(start_paused = true)]
async fn a_zone_with_names_of_pods_waits_for_a_list_of_them_and_no_other_does() {
    let with_pods = ClusterZone { pods: true, ..zone("lab.example.", "ns.example.") };
    let writing = Writing::start(vec![zone("c2.k8s.ooo.", "ns.example."), with_pods.clone()]);
    let lab = || writing.zone("lab.example.").map(|zone| zone.records().len());
    writing.list(Kind::Service, [service("shop/web", "2a0a::1")]).await;
    writing.list(Kind::Namespace, []).await;
    writing.list(Kind::EndpointSlice, []).await;
    writing.apply(pod("shop/a", "2a0a::2"), None).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses(), lab()), (Some(1), 1, None));
    // One that comes with a reload waits, too.
    let other = ClusterZone { pods: true, ..zone("c3.k8s.ooo.", "ns.example.") };
    take_over(&writing, vec![zone("c2.k8s.ooo.", "ns.example."), with_pods, other]).await;
    assert!(writing.zone("c3.k8s.ooo.").is_none());

    writing.list(Kind::Pod, [pod("shop/a", "2a0a::2")]).await;
    sleep(Duration::from_secs(1)).await;
    // SOA, NS, dns-version, the Service and the Pod.
    assert_eq!((writing.serial(), lab()), (Some(1), Some(5)));
    assert_eq!(writing.zone("c3.k8s.ooo.").unwrap().records().len(), 5);

    writing.send(Event::Delete { key: object_key(Kind::Pod, "shop/a"), version: None }).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), lab()), (Some(1), Some(4)));
}

#[tokio::test(start_paused = true)]
async fn a_lone_change_is_published_at_once() {
    let writing = Writing::synced().await;

    writing.apply(service("shop/web", "2a0a::1"), None).await;
    turn().await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(2), 1));
}

#[tokio::test(start_paused = true)]
async fn what_changed_nothing_does_not_keep_the_next_change_waiting() {
    let writing = Writing::synced().await;

    writing.apply(service("shop/inside", "10.0.0.1"), None).await;
    turn().await;
    writing.apply(service("shop/web", "2a0a::1"), None).await;
    turn().await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(2), 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_channel_already_is_one_version() {
    let writing = Writing::synced().await;

    for number in 0..500 {
        let object = service(&format!("shop/web-{number}"), "2a0a::1");
        writing.events.try_send(Event::Apply { object, version: None }).unwrap();
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(2), 500));
}

#[tokio::test(start_paused = true)]
async fn what_follows_closely_waits_until_it_is_quiet() {
    let writing = Writing::synced().await;

    writing.apply(service("shop/a", "2a0a::1"), None).await;
    turn().await;
    for name in ["shop/b", "shop/c"] {
        sleep(QUIET / 2).await;
        writing.apply(service(name, "2a0a::1"), None).await;
        turn().await;
        assert_eq!(writing.addresses(), 1);
    }
    sleep(QUIET + Duration::from_millis(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(3), 3));
}

#[tokio::test(start_paused = true)]
async fn a_burst_becomes_few_versions_and_never_waits_longer_than_the_bound() {
    let writing = Writing::synced().await;

    // One a millisecond: it is never quiet.
    for number in 1..=500 {
        writing.apply(service(&format!("shop/web-{number}"), "2a0a::1"), None).await;
        sleep(Duration::from_millis(1)).await;
        assert!(writing.addresses() + 55 >= number, "at {number}: {}", writing.addresses());
    }
    sleep(BOUND).await;
    assert_eq!(writing.addresses(), 500);
    assert!(writing.serial().unwrap() < 15, "{:?}", writing.serial());
}

#[tokio::test(start_paused = true)]
async fn a_label_of_a_namespace_shows_and_hides_its_services_in_one_version() {
    const MANY: usize = 10_000;
    let mut zone = zone("c2.k8s.ooo.", "ns.example.");
    zone.publish.namespace_selector = "public".parse().unwrap();
    let writing = Writing::start(vec![zone]);
    writing.list(Kind::Service, (0..MANY).map(|number| service(&format!("shop/web-{number}"), "2a0a::1"))).await;
    writing.list(Kind::EndpointSlice, []).await;
    writing.list(Kind::Namespace, []).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(1), 0));

    for (label, serial, addresses) in [("public", 2, MANY), ("secret", 3, 0)] {
        let labels = [(label, "")].into_iter().collect();
        let annotations = Annotations::new();
        writing.apply(Object::Namespace(Namespace { name: "shop".into(), labels, annotations }), None).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!((writing.serial(), writing.addresses()), (Some(serial), addresses));
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_no_record_makes_no_version() {
    let writing = Writing::synced().await;

    writing.apply(service("shop/inside", "10.0.0.1"), Some(1000)).await;
    let labels = [("a", "b")].into_iter().collect();
    let annotations = Annotations::new();
    writing.apply(Object::Namespace(Namespace { name: "shop".into(), labels, annotations }), Some(1001)).await;
    writing.send(Event::Delete { key: object_key(Kind::Service, "shop/absent"), version: Some(1002) }).await;
    writing.list(Kind::EndpointSlice, []).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writing.serial(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_serial_follows_the_newest_version_of_the_cluster_and_never_goes_back() {
    let writing = Writing::synced().await;
    let check = async |event: Event, serial: u32| {
        writing.send(event).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(writing.serial(), Some(serial));
    };
    let apply = |address: &str, version| Event::Apply { object: service("shop/web", address), version };

    check(apply("2a0a::1", Some(1000)), 1000).await;
    check(apply("2a0a::2", Some(900)), 1001).await;
    check(apply("2a0a::3", None), 1002).await;
    check(Event::Bookmark { of: Kind::Service.into(), version: Some(5000) }, 1002).await;
    check(apply("2a0a::4", None), 1003).await;
    check(Event::Delete { key: object_key(Kind::Service, "shop/web"), version: Some(2000) }, 2000).await;
    // The low 32 bits.
    check(apply("2a0a::5", Some((1 << 32) + 3000)), 3000).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_lacks_most_is_held_until_one_that_was_asked_for_says_the_same() {
    let writing = Writing::synced().await;
    let all = || (0..30).map(|number| service(&format!("shop/web-{number}"), "2a0a::1"));
    writing.list(Kind::Service, all()).await;
    sleep(Duration::from_secs(1)).await;

    writing.list(Kind::Service, []).await;
    sleep(Duration::from_secs(1)).await;
    // Not asked for: too soon to mean anything.
    writing.list(Kind::Service, []).await;
    let asked = Instant::now();
    assert_eq!(writing.addresses(), 30);

    timeout(Duration::from_secs(60), writing.relist.0[&Kind::Service.into()].notified()).await.unwrap();
    assert_eq!(Instant::now() - asked, Duration::from_secs(9));
    assert_eq!(writing.addresses(), 30);
    writing.list(Kind::Service, all().skip(10)).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writing.addresses(), 20);
}

#[tokio::test(start_paused = true)]
async fn no_list_is_asked_for_once_all_have_been_seen_again() {
    let writing = Writing::synced().await;
    let all = || (0..30).map(|number| service(&format!("shop/web-{number}"), "2a0a::1"));
    writing.list(Kind::Service, all()).await;
    writing.list(Kind::Service, []).await;
    writing.list(Kind::Service, all()).await;

    timeout(Duration::from_secs(60), writing.relist.0[&Kind::Service.into()].notified()).await.unwrap_err();
    assert_eq!(writing.addresses(), 30);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_were_counted_are_listed_again_for_a_service_that_becomes_headless() {
    let (zones, published) = (vec![zone("c2.k8s.ooo.", "ns.example.")], Arc::new(Published::new(Served::default())));
    let writing = Writing::start_with(Cluster::from_api().counting(), zones, published);
    let slice = || {
        let addresses = ["2a0a::1".parse().unwrap()].into();
        Object::EndpointSlice(EndpointSlice {
            name: "web-1".into(),
            service: key("shop/web"),
            endpoints: vec![Endpoint { addresses, hostname: None, ready: true }],
            ports: Vec::new(),
            is_headless: false,
            counted: None,
        })
    };
    let namespace = Namespace { name: "shop".into(), labels: Labels::default(), annotations: Annotations::new() };
    for kind in KINDS {
        let objects = match kind {
            Kind::Service => vec![service("shop/web", "2a0a::ff")],
            Kind::EndpointSlice => vec![slice()],
            Kind::Namespace => vec![Object::Namespace(namespace.clone())],
            Kind::Pod => Vec::new(),
        };
        writing.list(kind, objects).await;
    }
    sleep(DOUBT * 2).await;
    let headless = Service { service_type: ServiceType::Headless, ..Service::bare(key("shop/web")) };
    writing.apply(Object::Service(headless), None).await;
    let begun = Instant::now();
    writing.relist.0[&Kind::EndpointSlice.into()].notified().await;
    assert_eq!(Instant::now() - begun, DOUBT);
    assert_eq!(writing.addresses(), 0);

    writing.list(Kind::EndpointSlice, [slice()]).await;
    sleep(DOUBT * 2).await;
    // Its own, and that of the endpoint's name.
    assert_eq!(writing.addresses(), 2);
    // Once is enough.
    timeout(DOUBT * 10, writing.relist.0[&Kind::EndpointSlice.into()].notified()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn all_zones_of_a_cluster_move_together() {
    let zones = vec![zone("c2.k8s.ooo.", "ns.example."), zone("lab.example.", "ns.example.")];
    let writing = Writing::start(zones);
    for kind in KINDS {
        writing.list(kind, []).await;
    }
    sleep(Duration::from_secs(1)).await;

    writing.apply(service("shop/web", "2a0a::1"), Some(9)).await;
    turn().await;
    let serials = ["c2.k8s.ooo.", "lab.example."].map(|origin| writing.zone(origin).unwrap().serial());
    assert_eq!(serials, [Serial(9), Serial(9)]);
}

#[tokio::test(start_paused = true)]
async fn a_name_server_keeps_its_last_addresses_while_its_service_has_none() {
    let writing = Writing::start(vec![zone("c2.k8s.ooo.", "dns.kube-system.svc.c2.k8s.ooo.")]);
    writing.list(Kind::Service, [service("kube-system/dns", "2a0a::53")]).await;
    writing.list(Kind::EndpointSlice, []).await;
    writing.list(Kind::Namespace, []).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(1), 1));

    writing.send(Event::Delete { key: object_key(Kind::Service, "kube-system/dns"), version: None }).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(1), 1));
    writing.apply(service("kube-system/dns", "2a0a::54"), None).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(2), 1));

    // They are kept over a reload, where that lets them be published.
    writing.send(Event::Delete { key: object_key(Kind::Service, "kube-system/dns"), version: None }).await;
    let config = zone("c2.k8s.ooo.", "dns.kube-system.svc.c2.k8s.ooo.");
    take_over(&writing, vec![ClusterZone { ttl: 5, ..config.clone() }]).await;
    assert_eq!(writing.addresses(), 1);
    let addresses = AddressFilter::allowing(vec!["fd00::/8".parse().unwrap()]);
    take_over(&writing, vec![ClusterZone { addresses, ..config }]).await;
    assert_eq!(writing.addresses(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_stays_when_the_followers_are_gone() {
    let writing = Writing::synced().await;
    writing.apply(service("shop/web", "2a0a::1"), None).await;

    let Writing { events, published, task, .. } = writing;
    drop(events);
    task.await.unwrap();
    let served = published.load();
    assert!(matches!(served.zones.get(&name("c2.k8s.ooo.")), Some(State::Loaded(zone)) if zone.serial() == Serial(2)));
}

/// A step of a cluster's history.
#[derive(Debug, Clone)]
enum Step {
    Apply(Object),
    Delete(ObjectKey),
    Relist(Kind, Vec<Object>),
    /// A reload.
    Configure(Box<ClusterZone>),
    Publish,
}

fn any_key() -> impl Strategy<Value = ServiceKey> {
    select(vec!["shop/web", "shop/db", "depot/web", "depot/db"]).prop_map(key)
}

fn any_addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    let address = select(vec!["2a0a::1", "2a0a::2", "2a0a::3", "147.78.194.9", "10.0.0.1", "fd00::1"]);
    vec(address.prop_map(|text| text.parse().unwrap()), 0..3)
}

fn any_hostnames() -> impl Strategy<Value = Vec<Box<str>>> {
    vec(select(vec!["lb.example.net", "b.example.net", "192.0.2.1"]).prop_map(Into::into), 0..3)
}

fn any_ports() -> impl Strategy<Value = Vec<Port>> {
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp]);
    let app_protocol = select(vec!["", "http"]);
    let port = (select(vec!["", "http", "dns", "Not A Label"]), protocol, 1..4_u16, app_protocol);
    let port = port.prop_map(|(name, protocol, number, app_protocol)| Port {
        name: name.into(),
        protocol,
        number,
        app_protocol: app_protocol.into(),
    });
    vec(port, 0..3)
}

fn any_annotations() -> impl Strategy<Value = Annotations> {
    let publish = option::of(select(vec!["true", "false", "bad"])).prop_map(|value| ("k8s.ooo/publish", value));
    let hostnames =
        vec!["app.c2.k8s.ooo", "a.app.c2.k8s.ooo, app.c2.k8s.ooo", "web.shop.c2.k8s.ooo", "*.app.c2.k8s.ooo"];
    let hostname = option::of(select(hostnames)).prop_map(|value| ("external-dns.kubernetes.io/hostname", value));
    let proxy = option::of(select(vec!["true", "false", "bad"])).prop_map(|value| ("k8s.ooo/ipv4-proxy", value));
    (publish, hostname, proxy).prop_map(|(publish, hostname, proxy)| {
        let set = |(key, value): (&str, Option<&str>)| Some((Box::from(key), value?.into()));
        [publish, hostname, proxy].into_iter().filter_map(set).collect()
    })
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let team = option::of(select(vec!["a", "b"]));
    team.prop_map(|value| value.into_iter().map(|value| ("team", value)).collect())
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let selector = || select(vec!["", "", "team", "team!=a"]).prop_map(|text| text.parse().unwrap());
    let namespaces = select(vec![vec![], vec![], vec!["shop"]]);
    let policy = (select(vec![Mode::All, Mode::OptIn]), namespaces, selector(), selector());
    policy.prop_map(|(mode, namespaces, namespace_selector, service_selector)| Policy {
        mode,
        namespaces: namespaces.into_iter().map(Into::into).collect(),
        namespace_selector,
        service_selector,
    })
}

fn any_object(kind: Kind) -> BoxedStrategy<Object> {
    let service_type =
        vec![ServiceType::ClusterIp, ServiceType::LoadBalancer, ServiceType::Headless, ServiceType::ExternalName];
    let addresses = (any_addresses(), any_addresses(), any_addresses(), any_hostnames());
    let created = option::of(0..3_i64);
    let service = (any_key(), created, select(service_type), addresses, any_ports(), any_labels(), any_annotations());
    let service = service.prop_map(|(key, created, service_type, addresses, ports, labels, annotations)| {
        let (cluster_ips, ingress_ips, external_ips, hostnames) = addresses;
        Object::Service(Service {
            key,
            created,
            service_type,
            cluster_ips,
            families: [None; 2],
            family_policy: None,
            ingress_ips,
            external_ips,
            hostnames,
            ports,
            labels,
            annotations,
        })
    });
    let endpoint = (any_addresses(), option::of(select(vec!["a", "b"])), any::<bool>());
    let endpoint = endpoint.prop_map(|(addresses, hostname, ready)| Endpoint {
        addresses: addresses.into(),
        hostname: hostname.map(Into::into),
        ready,
    });
    let slice = (select(vec!["s", "t"]), any_key(), vec(endpoint, 0..4), any_ports()).prop_map(
        |(name, service, endpoints, ports)| {
            Object::EndpointSlice(EndpointSlice {
                name: name.into(),
                service,
                endpoints,
                ports,
                is_headless: false,
                counted: None,
            })
        },
    );
    let namespace = (select(vec!["shop", "depot"]), any_labels(), any_annotations());
    let namespace = namespace.prop_map(|(name, labels, annotations)| {
        Object::Namespace(Namespace { name: name.into(), labels, annotations })
    });
    let place = (select(vec!["shop", "depot"]), select(vec!["a", "b", "c"]));
    let pod = (place, option::of(0..3_i64), any_addresses(), any_annotations());
    let pod = pod.prop_map(|((namespace, name), created, addresses, annotations)| {
        Object::Pod(Pod { namespace: namespace.into(), name: name.into(), created, addresses, annotations })
    });
    match kind {
        Kind::Service => service.boxed(),
        Kind::EndpointSlice => slice.boxed(),
        Kind::Namespace => namespace.boxed(),
        Kind::Pod => pod.boxed(),
    }
}

/// Addresses of the translator's begin with 198.51.100, those of proxies with 203.0.113.
fn any_ipv4() -> impl Strategy<Value = Ipv4Paths> {
    let mappings = [
        ("2a0a::/125", "198.51.100.0/29"),
        ("2a0a::2/128", "198.51.100.9/32"),
        ("2a0a::53/128", "198.51.100.53/32"),
        ("fd00::/120", "198.51.100.0/24"),
    ];
    let proxies = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    (subsequence(mappings.to_vec(), 0..=4), subsequence(proxies.to_vec(), 0..=3)).prop_map(|(mappings, proxies)| {
        let proxies = proxies.into_iter().map(|address| address.parse().unwrap()).collect();
        let mut nat64 = Nat64::default();
        for (from, to) in mappings {
            nat64.map(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        }
        Ipv4Paths { nat64, proxies }
    })
}

/// A zone with a small limit and a name server that is a Service.
fn any_zone() -> impl Strategy<Value = ClusterZone> {
    let addresses = select(vec![vec!["2a0a::53"], vec!["2a0a::53", "192.0.2.53"]]);
    let addresses = addresses.prop_map(|all| all.into_iter().map(|address| address.parse().unwrap()).collect());
    let extra = select(vec![
        "",
        "app TXT t\nweb.depot CNAME app",
        "web.shop.svc TXT t\ndepot.svc NS ns.example.\n_a.db.shop.svc A 192.0.2.1",
    ]);
    let any = (any_policy(), any_ipv4(), addresses, any::<[bool; 5]>(), extra);
    any.prop_map(|(publish, ipv4, addresses, [pods, short_names, hostnames, wildcards, is_reversed], extra)| {
        let nameserver = NameServer { name: name("db.shop.svc.c2.k8s.ooo."), addresses };
        // Its address is a Service's, too.
        let other = NameServer { name: name("ns.c2.k8s.ooo."), addresses: vec!["2a0a::1".parse().unwrap()] };
        let nameservers = vec![nameserver, other];
        let zone = ClusterZone { is_reversed, ..ClusterZone::at(name("c2.k8s.ooo.")) };
        let extra = master::parse(format!("$TTL 5\n{extra}\n").as_bytes(), &zone.origin, None).unwrap();
        let zone =
            ClusterZone { nameservers, publish, max_records: 2, ipv4, pods, short_names, hostnames, wildcards, ..zone };
        zone.with_extra(extra).unwrap()
    })
}

/// Objects that own records together: what is done to them afterwards shows.
fn any_known() -> impl Strategy<Value = Vec<Object>> {
    let namespace = |name: &str| {
        Object::Namespace(Namespace { name: name.into(), labels: Labels::default(), annotations: Annotations::new() })
    };
    let headless = |text| {
        let Object::Service(service) = service(text, "2a0a::1") else { unreachable!("a Service") };
        Object::Service(Service { service_type: ServiceType::Headless, ..service })
    };
    let endpoints =
        vec![Endpoint { addresses: ["2a0a::1".parse().unwrap()].into(), hostname: Some("a".into()), ready: true }];
    let slice = EndpointSlice {
        name: "s".into(),
        service: key("shop/web"),
        endpoints,
        ports: Vec::new(),
        is_headless: false,
        counted: None,
    };
    let all =
        [namespace("shop"), namespace("depot"), headless("shop/web"), headless("shop/db"), pod("shop/a", "2a0a::1")];
    subsequence([&all[..], &[Object::EndpointSlice(slice)]].concat(), 0..=6)
}

fn key_of(object: &Object) -> ObjectKey {
    let (kind, namespace, name) = match object {
        Object::Service(service) => (Kind::Service, &service.key.namespace, &service.key.name),
        Object::EndpointSlice(slice) => (Kind::EndpointSlice, &slice.service.namespace, &slice.name),
        Object::Namespace(namespace) => (Kind::Namespace, &Arc::from(""), &namespace.name),
        Object::Pod(pod) => (Kind::Pod, &pod.namespace, &pod.name),
    };
    ObjectKey { kind, namespace: namespace.clone(), name: name.clone() }
}

fn any_step() -> impl Strategy<Value = Step> {
    let kind = || select(KINDS.to_vec());
    prop_oneof![
        6 => kind().prop_flat_map(any_object).prop_map(Step::Apply),
        2 => kind().prop_flat_map(any_object).prop_map(|object| Step::Delete(key_of(&object))),
        1 => kind().prop_flat_map(|kind| vec(any_object(kind), 0..6).prop_map(move |list| Step::Relist(kind, list))),
        1 => any_zone().prop_map(|zone| Step::Configure(Box::new(zone))),
        3 => Just(Step::Publish),
    ]
}

/// A writer without a channel, of a cluster that knows its Pods.
fn writer(cluster: Cluster, zone: &ClusterZone) -> Writer {
    let published = Arc::new(Published::new(Served::default()));
    let metrics = Metrics::new(published.clone()).cluster("c2");
    let book = AddressBook::new(published);
    book.change(&reverses(zone), Vec::new(), |versions| assert!(versions.is_empty()));
    let mut writer = Writer::new(cluster, &config(vec![zone.clone()]), Arc::new(book), metrics);
    writer.apply_one(Event::Listing(Kind::Pod.into()));
    writer.apply_one(Event::Listed { of: Kind::Pod.into(), version: None });
    writer
}

/// Has a writer's zone configured otherwise, as a server does that reloads.
fn reload(writer: &mut Writer, zone: &ClusterZone) {
    let zones = [zone.clone()];
    let (fresh, told) = writer.prepare(&zones).unwrap();
    writer.book.change(&reverses(zone), writer.told(told), |reverses| {
        writer.book.published().change(|served| {
            for apex in REVERSES.iter().filter(|_| !zone.is_reversed) {
                served.zones.remove(&name(apex));
            }
            for (apex, state) in fresh.iter().filter_map(|written| written.version(false)).chain(reverses) {
                served.zones.set(&apex, state);
            }
        });
    });
    writer.take_on(&zones, fresh);
}

/// The reverse zones of zones that have any: one lies in another.
const REVERSES: [&str; 3] = ["ip6.arpa.", "a.0.a.2.ip6.arpa.", "in-addr.arpa."];

fn reverses(zone: &ClusterZone) -> Vec<ReverseZone> {
    let reverses = REVERSES.iter().filter(|_| zone.is_reversed).map(|origin| {
        let nameservers = vec![NameServer { name: name("ns.example."), addresses: Vec::new() }];
        let reverse = ReverseZone::at(name(origin)).unwrap();
        ReverseZone { of: vec![zone.origin.clone()], nameservers, ..reverse }
    });
    let mut reverses: Vec<_> = reverses.collect();
    if let [outer, inner, _] = &mut reverses[..] {
        outer.except.push(inner.prefix);
    }
    reverses
}

/// The PTR records that are served, by the name of their zone.
fn pointers(writer: &Writer) -> Vec<(Name, Record)> {
    let served = writer.book.published().load();
    let zones = REVERSES.iter().filter_map(|origin| match served.zones.get(&name(origin))? {
        State::Loaded(zone) => Some(zone),
        other => panic!("{other:?}"),
    });
    let all = zones.flat_map(|zone| zone.records().into_iter().map(|record| (zone.apex().clone(), record)));
    all.filter(|(_, record)| record.rtype == RecordType::PTR).collect()
}

/// The same, told from what each subject publishes.
fn inverse(writer: &Writer) -> Vec<(Name, Record)> {
    let zone = &writer.zones[0].config;
    let of_zone = zone.addresses_at_apex().into_iter().map(|published| (published, Age::default(), None));
    let of_subjects = zone.subjects(&writer.cluster).flat_map(|subject| {
        let decision = zone.decide(&writer.cluster, &subject, &[]);
        decision.addresses.into_iter().map(move |published| (published, decision.age, Some(subject.clone())))
    });
    let mut best = BTreeMap::new();
    for (published, age, subject) in of_zone.chain(of_subjects).filter(|(published, ..)| published.origin.owns_ptr()) {
        let claim = (published.origin, age, subject, published.owner, published.ttl);
        let known = best.entry(published.address).or_insert_with(|| claim.clone());
        *known = claim.min(known.clone());
    }
    let mut pointers = Vec::new();
    for (address, (.., owner, ttl)) in best {
        let zones = REVERSES.iter().map(|origin| name(origin)).filter(|origin| origin.zone_of(&address.into()));
        let Some(zone) = zones.filter(|_| zone.is_reversed).max_by_key(Name::num_labels) else { continue };
        let rdata = RData::PTR(PTR(owner));
        pointers.push((zone, Record::new(address.into(), ttl, &rdata)));
    }
    pointers
}

/// Sees to it that every PTR record that is served leads to a name that has its address.
fn check_pointers(writer: &Writer) {
    let served = writer.book.published().load();
    let Some(State::Loaded(zone)) = served.zones.get(&writer.zones[0].config.origin) else { return };
    let records = zone.records();
    for (_, pointer) in pointers(writer) {
        let leads_back = records.iter().any(|record| {
            let target = Record::new(Name::root(), 0, &RData::PTR(PTR(record.owner.clone())));
            record.address().is_some_and(|address| Name::from(address) == pointer.owner)
                && target.rdata == pointer.rdata
        });
        assert!(leads_back, "{pointer}");
    }
}

/// How many Services own no records for each reason, and all that is said of any.
fn told(writer: &Writer) -> impl PartialEq + fmt::Debug {
    let WrittenZone { config, register, .. } = &writer.zones[0];
    let said = config.subjects(&writer.cluster).map(|subject| (register.reasons(&subject), subject));
    let present =
        |counts: &BTreeMap<Reason, usize>| counts.iter().map(|(of, n)| (*of, *n)).filter(|(_, n)| *n > 0).collect();
    let [withheld, noted]: [BTreeMap<_, _>; 2] = [present(register.withheld()), present(register.noted())];
    (withheld, noted, said.collect::<Vec<_>>())
}

/// Every record but the SOA, whose serial tells how many versions there were.
fn records(writer: &mut Writer) -> Vec<Record> {
    writer.publish(Instant::now());
    let mut records = writer.zones[0].zone.as_ref().unwrap().records();
    records.retain(|record| record.rtype != RecordType::SOA);
    records.extend(pointers(writer).into_iter().map(|(_, record)| record));
    records
}

proptest! {
    /// Whatever the history, what is derived step by step is what the last state makes at once, in any order.
    #[test]
    fn derived_versions_are_what_a_rebuild_makes(
        is_api in any::<bool>(),
        mut zone in any_zone(),
        known in any_known(),
        steps in vec(any_step(), 0..40),
    ) {
        let cluster = || if is_api { Cluster::from_api() } else { Cluster::default() };
        let mut derived = writer(cluster(), &zone);
        let mut last: BTreeMap<ObjectKey, Object> = BTreeMap::new();
        derived.publish(Instant::now());
        for step in known.into_iter().map(Step::Apply).chain(steps) {
            match step {
                Step::Apply(object) => {
                    last.insert(key_of(&object), object.clone());
                    derived.apply_one(Event::Apply { object, version: None });
                }
                Step::Delete(key) => {
                    last.remove(&key);
                    derived.apply_one(Event::Delete { key, version: None });
                }
                Step::Relist(kind, list) => {
                    last.retain(|key, _| key.kind != kind);
                    derived.apply_one(Event::Listing(kind.into()));
                    for object in list {
                        last.insert(key_of(&object), object.clone());
                        derived.apply_one(Event::Apply { object, version: None });
                    }
                    derived.apply_one(Event::Listed { of: kind.into(), version: None });
                }
                Step::Configure(other) => {
                    zone = *other;
                    reload(&mut derived, &zone);
                    check_pointers(&derived);
                }
                Step::Publish => {
                    derived.publish(Instant::now());
                    check_pointers(&derived);
                }
            }
        }
        let mut rebuilt = writer(cluster(), &zone);
        for object in last.into_values().rev() {
            rebuilt.apply_one(Event::Apply { object, version: None });
        }
        prop_assert_eq!(records(&mut derived), records(&mut rebuilt));
        prop_assert_eq!(told(&derived), told(&rebuilt));
        let sorted = |mut pointers: Vec<(Name, Record)>| {
            pointers.sort_by(|a, b| (&a.0, &a.1.owner).cmp(&(&b.0, &b.1.owner)));
            pointers
        };
        prop_assert_eq!(sorted(pointers(&derived)), sorted(inverse(&derived)));
    }

}

proptest! {
    // Each case is up to 24.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 2, ..ProptestConfig::default() })]

    /// Kinds are watched apart: what happens to one object comes in its order, what happens to two in any.
    #[test]
    fn the_order_of_events_does_not_matter(
        is_api in any::<bool>(),
        zone in any_zone(),
        known in any_known(),
        changes in vec(any_change(), 2..5),
    ) {
        let mut lives: BTreeMap<ObjectKey, Vec<Event>> = BTreeMap::new();
        for (key, object) in changes {
            let event = match object {
                Some(object) => Event::Apply { object, version: None },
                None => Event::Delete { key: key.clone(), version: None },
            };
            lives.entry(key).or_default().push(event);
        }
        let lives: Vec<_> = lives.into_values().collect();
        let mut ends = interleavings(&lives).into_iter().map(|order| {
            let mut writer = writer(if is_api { Cluster::from_api() } else { Cluster::default() }, &zone);
            let known = known.iter().map(|object| Event::Apply { object: object.clone(), version: None });
            for event in known.chain(order) {
                writer.apply_one(event);
                writer.publish(Instant::now());
            }
            records(&mut writer)
        });
        let first = ends.next().unwrap();
        for end in ends {
            prop_assert_eq!(&end, &first);
        }
    }
}

/// Where an IPv4 address of these zones comes from; all that are not made look the same.
fn ipv4_origin(address: IpAddr) -> Option<AddressOrigin> {
    match address {
        IpAddr::V4(address) if address.octets().starts_with(&[198, 51, 100]) => Some(AddressOrigin::Nat64),
        IpAddr::V4(address) if address.octets().starts_with(&[203, 0, 113]) => Some(AddressOrigin::Proxy),
        _ => None,
    }
}

proptest! {
    /// A name's A records have one origin, and what is said of that is true, also of the last addresses of a name server.
    #[test]
    fn ipv4_comes_in_one_way(
        zone in any_zone(),
        is_configured in any::<bool>(),
        known in any_known(),
        objects in vec(select(KINDS.to_vec()).prop_flat_map(any_object), 0..12),
    ) {
        let mut zone = zone;
        if !is_configured {
            zone.nameservers[0].addresses.clear();
        }
        let mut cluster = Cluster::default();
        known.into_iter().chain(objects).for_each(|object| drop(cluster.apply(object)));
        let subjects: Vec<_> = zone.subjects(&cluster).collect();
        let services: Vec<_> = cluster.services().map(|service| service.key.clone()).collect();
        let mut register = Register::default();
        // Or nobody wants to know of addresses.
        let zone = ClusterZone { is_reversed: true, ..zone };
        let before = register.update(&zone, &cluster, subjects.clone());
        for ServiceKey { namespace, name } in services {
            cluster.delete(&ObjectKey { kind: Kind::Service, namespace, name });
        }
        let after = register.update(&zone, &cluster, subjects);
        for update in [before, after] {
            for (_, _, addresses) in update.addresses {
                for PublishedAddress { address, origin, .. } in addresses {
                    let is_made = [AddressOrigin::Nat64, AddressOrigin::Proxy].contains(&origin);
                    prop_assert_eq!(Some(origin).filter(|_| is_made), ipv4_origin(address));
                    prop_assert_eq!(origin.owns_ptr(), !is_made);
                }
            }
            let mut origins: BTreeMap<Name, BTreeSet<_>> = BTreeMap::new();
            for record in update.parts.into_iter().flat_map(Part::into_records) {
                if let Some(address @ IpAddr::V4(_)) = record.address() {
                    origins.entry(record.owner).or_default().insert(ipv4_origin(address));
                }
            }
            prop_assert_eq!(origins.values().filter(|origins| origins.len() > 1).count(), 0, "{:?}", origins);
        }
    }
}

/// An object that says something, or is gone.
fn any_change() -> impl Strategy<Value = (ObjectKey, Option<Object>)> {
    let object = select(KINDS.to_vec()).prop_flat_map(any_object);
    (object, 0..4).prop_map(|(object, roll)| (key_of(&object), Some(object).filter(|_| roll > 0)))
}

/// Every order of the events that leaves each of `lives` in its own.
fn interleavings(lives: &[Vec<Event>]) -> Vec<Vec<Event>> {
    if lives.iter().all(Vec::is_empty) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for next in (0..lives.len()).filter(|next| !lives[*next].is_empty()) {
        let mut rest = lives.to_vec();
        let event = rest[next].remove(0);
        all.extend(interleavings(&rest).into_iter().map(|order| [vec![event.clone()], order].concat()));
    }
    all
}

/// Publishes what was prepared, and agrees, as a server does that reloads.
async fn take_over(writing: &Writing, zones: Vec<ClusterZone>) {
    let prepared = propose(&writing.proposals, zones).await.unwrap().expect("a writer");
    writing.published.replace(prepared.versions.clone());
    prepared.agree();
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_added_is_made_before_it_is_served() {
    let writing = Writing::synced().await;
    writing.apply(service("shop/web", "2a0a::1"), Some(7)).await;
    sleep(Duration::from_secs(1)).await;

    let zones = ["c2.k8s.ooo.", "c3.k8s.ooo."].map(|origin| zone(origin, "ns.example."));
    let prepared = propose(&writing.proposals, zones.to_vec()).await.unwrap().expect("a writer");
    let [(apex, State::Loaded(c3))] = &prepared.versions[..] else { panic!("{prepared:?}") };
    assert_eq!((apex, c3.serial().0), (&name("c3.k8s.ooo."), 7));

    // What happens meanwhile is published when that is decided, in both.
    writing.apply(service("shop/db", "2a0a::2"), Some(9)).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(7), 1));
    writing.published.replace(prepared.versions.clone());
    prepared.agree();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(9), 2));
    assert_eq!(writing.zone("c3.k8s.ooo.").unwrap().serial().0, 9);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_agreed_changes_nothing() {
    let writing = Writing::synced().await;

    drop(propose(&writing.proposals, vec![zone("c3.k8s.ooo.", "ns.example.")]).await.unwrap());
    writing.apply(service("shop/web", "2a0a::1"), None).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(2), 1));
    assert!(writing.zone("c3.k8s.ooo.").is_none());
}

#[tokio::test(start_paused = true)]
async fn another_configuration_moves_the_serial_only_if_it_makes_other_records() {
    let writing = Writing::synced().await;
    writing.apply(service("shop/web", "2a0a::1"), Some(7)).await;
    sleep(Duration::from_secs(1)).await;
    let before = writing.zone("c2.k8s.ooo.").unwrap();

    let same = ClusterZone { max_records: 7, ..zone("c2.k8s.ooo.", "ns.example.") };
    take_over(&writing, vec![same.clone()]).await;
    assert!(Arc::ptr_eq(&before, &writing.zone("c2.k8s.ooo.").unwrap()));

    take_over(&writing, vec![ClusterZone { ttl: 5, ..same }]).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(8), 1));
    // The next is derived from it, with its settings.
    writing.apply(service("shop/db", "2a0a::2"), None).await;
    sleep(Duration::from_secs(1)).await;
    let records = writing.zone("c2.k8s.ooo.").unwrap().records();
    let ttls: Vec<_> =
        records.iter().filter(|record| record.rtype == RecordType::AAAA).map(|record| record.ttl).collect();
    assert_eq!((writing.serial(), ttls), (Some(9), vec![5, 5]));
}

#[tokio::test(start_paused = true)]
async fn a_writer_without_zones_ends() {
    let mut writing = Writing::synced().await;

    take_over(&writing, Vec::new()).await;
    timeout(Duration::from_secs(1), &mut writing.task).await.expect("it ends").unwrap();
    assert!(propose(&writing.proposals, Vec::new()).await.unwrap().is_none());
    assert_eq!(writing.serial(), Some(1), "what is published is not the writer's to take away");
}

#[tokio::test(start_paused = true)]
async fn what_another_source_left_is_served_until_this_one_is_synced_and_goes_on_from_its_serial() {
    let (before, published) = (Writing::synced().await, Arc::new(Published::new(Served::default())));
    before.apply(service("shop/web", "2a0a::1"), Some(40)).await;
    sleep(Duration::from_secs(1)).await;
    published.replace([(name("c2.k8s.ooo."), State::Loaded(before.zone("c2.k8s.ooo.").unwrap()))]);

    let writing = Writing::start_on(vec![zone("c2.k8s.ooo.", "ns.example.")], published);
    writing.list(Kind::Service, [service("shop/web", "2a0a::1"), service("shop/db", "2a0a::2")]).await;
    writing.list(Kind::Namespace, []).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(40), 1));
    writing.send(Event::Listing(Kind::EndpointSlice.into())).await;
    writing.send(Event::Listed { of: Kind::EndpointSlice.into(), version: Some(3) }).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((writing.serial(), writing.addresses()), (Some(41), 2));
}

#[tokio::test(start_paused = true)]
async fn only_the_namespace_in_doubt_is_listed_again() {
    let of = |namespace: &str| Collection { kind: Kind::Service, namespace: Some(namespace.into()) };
    let relist: Relist = ["shop", "blog"].map(of).into_iter().collect();
    let mut doubts = Doubts::default();
    doubts.listed(of("shop"), true);
    doubts.listed(of("blog"), false);
    timeout(DOUBT * 2, doubts.ripe()).await.unwrap();
    doubts.ask(&relist);
    assert!(doubts.is_asked(&of("shop")) && !doubts.is_asked(&of("blog")));
    timeout(DOUBT, relist.0[&of("shop")].notified()).await.unwrap();
    timeout(DOUBT, relist.0[&of("blog")].notified()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn zones_of_a_cluster_that_is_silent_for_too_long_are_not_answered_for_until_it_is_heard() {
    let writing = Writing::synced().await;
    let is_expired = || match writing.published.load().zones.get(&name("c2.k8s.ooo.")) {
        Some(State::Expired(zone)) => Some(zone.serial().0),
        _ => None,
    };
    // A sign of life, whatever it says.
    sleep(STALENESS / 2).await;
    writing.send(Event::Bookmark { of: Kind::Service.into(), version: None }).await;
    sleep(STALENESS - Duration::from_secs(1)).await;
    assert_eq!((is_expired(), writing.serial()), (None, Some(1)));
    sleep(Duration::from_secs(2)).await;
    assert_eq!((is_expired(), writing.serial()), (Some(1), None));

    // What is configured otherwise meanwhile is no younger.
    take_over(&writing, vec![ClusterZone { ttl: 5, ..zone("c2.k8s.ooo.", "ns.example.") }]).await;
    assert_eq!((is_expired(), writing.serial()), (Some(2), None));

    writing.send(Event::Bookmark { of: Kind::Service.into(), version: None }).await;
    turn().await;
    assert_eq!((is_expired(), writing.serial()), (None, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn what_another_source_left_too_old_is_answered_for_once_this_one_says_the_same() {
    let (before, published) = (Writing::synced().await, Arc::new(Published::new(Served::default())));
    published.replace([(name("c2.k8s.ooo."), State::Expired(before.zone("c2.k8s.ooo.").unwrap()))]);

    let writing = Writing::start_on(vec![zone("c2.k8s.ooo.", "ns.example.")], published);
    assert_eq!(writing.serial(), None);
    for kind in KINDS {
        writing.list(kind, []).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writing.serial(), Some(1));
}

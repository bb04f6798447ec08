//! Memory comes back: what a cluster's writer keeps is what there is, however much has come and gone.

use std::alloc::System;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::rr::Name;
use kubezone::cluster::{
    Annotations, Cluster, Endpoint, EndpointSlice, Kind, Namespace, Object, ObjectKey, Port, Protocol, Service,
    ServiceKey, ServiceType, Subject,
};
use kubezone::schema::{AddressClaims, ClusterZone, NameServer, Register};
use kubezone::zone::{Serial, Zone};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Services that stay.
const SERVICES: usize = 300;
/// Services that come and go in a round.
const COMING: usize = 200;
const ROUNDS: usize = 15;
/// Rounds before it is looked how much is kept.
const WARM: usize = 10;

/// Octets that are allocated.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// What a writer keeps.
struct Writer {
    cluster: Cluster,
    config: ClusterZone,
    register: Register,
    claims: AddressClaims,
    zone: Zone,
    touched: BTreeSet<Subject>,
}

impl Writer {
    fn new() -> Self {
        let origin = Name::from_ascii("c2.k8s.ooo.").unwrap();
        let nameserver = NameServer { name: Name::from_ascii("ns.example.").unwrap(), addresses: Vec::new() };
        let config = ClusterZone {
            nameservers: vec![nameserver],
            short_names: true,
            hostnames: true,
            is_reversed: true,
            ..ClusterZone::at(origin)
        };
        let (zone, _) = Zone::build(&config.origin, config.apex(Serial(1))).unwrap();
        Self {
            cluster: Cluster::from_api().counting(),
            config,
            register: Register::default(),
            claims: AddressClaims::default(),
            zone,
            touched: BTreeSet::new(),
        }
    }

    fn apply(&mut self, object: Object) {
        self.touched.extend(self.cluster.apply(object));
    }

    /// Lists all kinds: there are the first `SERVICES` Services, and what they have.
    ///
    /// Most Namespaces are missing, and held for it: until the next list, which confirms that.
    fn list(&mut self) {
        for kind in [Kind::Namespace, Kind::Service, Kind::EndpointSlice] {
            self.cluster.listing(kind, true);
            for number in 0..SERVICES {
                match kind {
                    Kind::Namespace => self.apply(namespace(number % 10)),
                    Kind::Service => self.apply(service(number, 0)),
                    _ => self.apply(slice(number, 0)),
                }
            }
            self.touched.extend(self.cluster.listed(kind).touched);
        }
    }

    fn publish(&mut self) {
        let update = self.register.update(&self.config, &self.cluster, std::mem::take(&mut self.touched));
        for (subject, age, addresses) in update.addresses {
            self.claims.set(Some(subject), age, addresses);
        }
        let derived = self.zone.derive(update.parts, Serial(2));
        assert!(derived.refused.is_empty(), "{:?}", derived.refused);
        if let Some(next) = derived.zone {
            self.zone = next;
        }
    }

    /// `COMING` Services with names that there never were come, change and go: half of them by events, the others by a list.
    fn churn(&mut self, round: usize) {
        let coming = || (0..COMING).map(|number| SERVICES + round * COMING + number);
        for generation in 0..3 {
            for number in coming() {
                self.apply(namespace(number));
                self.apply(service(number, generation));
                self.apply(slice(number, generation));
            }
            (0..SERVICES).for_each(|number| self.apply(slice(number, generation)));
            self.publish();
        }
        for number in coming().take(COMING / 2) {
            let (ServiceKey { namespace, name }, whole) = (key(number), String::new().into());
            for (kind, namespace, name) in [
                (Kind::Service, &namespace, &name),
                (Kind::EndpointSlice, &namespace, &format!("{name}-x").into()),
                (Kind::Namespace, &whole, &namespace),
            ] {
                let key = ObjectKey { kind, namespace: namespace.clone(), name: name.clone() };
                self.touched.extend(self.cluster.delete(&key));
            }
        }
        self.list();
        self.publish();
    }
}

fn key(number: usize) -> ServiceKey {
    // What stays is in ten namespaces, what comes brings its own.
    let namespace = if number < SERVICES { number % 10 } else { number };
    ServiceKey { namespace: format!("team-{namespace}").into(), name: format!("web-{number}").into() }
}

fn namespace(number: usize) -> Object {
    let name = format!("team-{number}");
    let labels = [("kubernetes.io/metadata.name", &name)].into_iter().collect();
    Object::Namespace(Namespace { name: name.as_str().into(), labels, annotations: Annotations::new() })
}

fn address(number: usize) -> IpAddr {
    Ipv6Addr::from(0x2a0a_e5c0_0010_0003_u128 << 64 | number as u128).into()
}

fn port(name: &str) -> Port {
    Port { name: name.into(), protocol: Protocol::Tcp, number: 443, app_protocol: "".into() }
}

/// Every third one is headless; all ask for a name.
fn service(number: usize, generation: usize) -> Object {
    let is_headless = number.is_multiple_of(3);
    let hostname = format!("app-{number}-{generation}.c2.k8s.ooo");
    Object::Service(Service {
        key: key(number),
        created: Some(0),
        service_type: if is_headless { ServiceType::Headless } else { ServiceType::ClusterIp },
        cluster_ips: if is_headless { Vec::new() } else { vec![address(number)] },
        families: [None; 2],
        family_policy: None,
        ingress_ips: Vec::new(),
        external_ips: Vec::new(),
        hostnames: Vec::new(),
        ports: vec![port("https")],
        labels: [("app", format!("web-{number}")), ("generation", generation.to_string())].into_iter().collect(),
        annotations: Annotations::from([("external-dns.kubernetes.io/hostname".into(), hostname.into())]),
    })
}

fn slice(number: usize, generation: usize) -> Object {
    let service = key(number);
    let endpoint = |endpoint| Endpoint {
        addresses: [address(1_000_000 + number * 10 + endpoint + generation)].into(),
        hostname: Some(format!("web-{number}-{endpoint}").into()),
        ready: true,
    };
    let (endpoints, ports) = ((0..5).map(endpoint).collect(), vec![port("https")]);
    Object::EndpointSlice(EndpointSlice {
        name: format!("{}-x", service.name).into(),
        service,
        endpoints,
        ports,
        is_headless: false,
        counted: None,
    })
}

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let mut writer = Writer::new();
    writer.list();
    writer.publish();
    // Each of a zone's tables is written to once, and keeps a little room.
    (0..WARM).for_each(|round| writer.churn(round));
    let (before, census, octets) = (held(), writer.zone.census(), writer.zone.octets());

    (WARM..WARM + ROUNDS).for_each(|round| writer.churn(round));

    assert_eq!((writer.zone.census(), writer.zone.octets()), (census, octets));
    let growth = held().saturating_sub(before);
    // Had each Service that went left no more than its key, that would be ten times as much.
    assert!(growth < ROUNDS * COMING * 8, "{growth} octets more than {before}");
}

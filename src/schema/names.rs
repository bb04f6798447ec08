//! Names that a Service may claim outside of its own subtree: the short form of
//! its name, and host names that its annotations ask for.

use std::collections::BTreeSet;

use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, RecordType};

use super::annotation::HOSTNAME;
use super::{ClusterZone, NameClaim, NameRank, Reason, below, is_address, named};
use crate::cluster::{Service, is_label};
use crate::zone::Record;

/// How many names an annotation may claim. It has room for some twenty thousand, and each of them owns all that the
/// Service's own name does.
const MOST: usize = 100;

/// Adds to `names` what `service` claims, whose own name is `root` and whose own records are `records`.
pub(super) fn claim(
    zone: &ClusterZone,
    service: &Service,
    root: &Name,
    records: &[Record],
    names: &mut Vec<NameClaim>,
    reasons: &mut Vec<Reason>,
) {
    if !zone.short_names && !zone.hostnames {
        return;
    }
    let at_root = || records.iter().filter(|record| record.owner == *root);
    let Some(ttl) = at_root().map(|record| record.ttl).min() else { return };
    if zone.short_names {
        let short = named([&service.key.name, &service.key.namespace], &zone.origin);
        // It is shorter than the Service's own name, which fits.
        let owner = short.expect("a part of the Service's name");
        if zone.reserves(&owner) {
            reasons.push(Reason::NameConflict);
        } else {
            let alias = Record::new(owner.clone(), ttl, &RData::CNAME(CNAME(root.clone())));
            names.push(NameClaim { owner, rank: NameRank::Schema, records: vec![alias] });
        }
    }
    if !zone.hostnames {
        return;
    }
    let mut asked = BTreeSet::new();
    let annotation = HOSTNAME.iter().find_map(|key| service.annotations.get(*key));
    for text in annotation.into_iter().flat_map(|value| value.split(',')) {
        let Some(prefix) = inside(zone, text.trim()) else { continue };
        let Some(owner) = hostname(zone, &prefix) else {
            reasons.push(Reason::BadAnnotation);
            continue;
        };
        if asked.len() == MOST && !asked.contains(&owner) {
            reasons.push(Reason::BadAnnotation);
            return;
        }
        if zone.reserves(&owner) {
            reasons.push(Reason::NameConflict);
        } else if asked.insert(owner.clone()) {
            let moved = |record: &Record| Record { owner: owner.clone(), ..record.clone() };
            let records = at_root().filter(|record| is_address(record) || record.rtype == RecordType::CNAME).map(moved);
            names.push(NameClaim { rank: NameRank::Annotation, records: records.collect(), owner: owner.clone() });
        }
    }
}

/// What `text` has before the zone's name, in lower case; none where it ends otherwise: then it is for external-dns itself.
fn inside(zone: &ClusterZone, text: &str) -> Option<String> {
    let absolute = format!(".{}.", text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase());
    let origin = format!(".{}", zone.origin.to_lowercase());
    absolute.strip_suffix(&origin).map(|prefix| prefix.strip_prefix('.').unwrap_or_default().to_owned())
}

/// The name in the zone that an annotation may ask for with `prefix`, whoever has it.
fn hostname(zone: &ClusterZone, prefix: &str) -> Option<Name> {
    let mut owner = zone.origin.clone();
    for label in prefix.rsplit('.').filter(|_| !prefix.is_empty()) {
        let is_wildcard = owner.iter().next() == Some(b"*");
        if is_wildcard || !(is_label(label) || (label == "*" && zone.wildcards)) {
            return None;
        }
        owner = below(&owner, label)?;
    }
    Some(owner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::cluster::{Annotations, ServiceKey};
    use crate::schema::NameServer;
    use crate::zone::master;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// A zone in which much has a name already.
    fn zone(wildcards: bool) -> ClusterZone {
        let addresses: Vec<IpAddr> = vec!["2001:db8::53".parse().unwrap()];
        let nameserver = |text| NameServer { name: name(text), addresses: addresses.clone() };
        let nameservers = ["ns.c2.k8s.ooo.", "ns.infra.c2.k8s.ooo."].map(nameserver).to_vec();
        let zone = ClusterZone { nameservers, hostnames: true, wildcards, ..ClusterZone::at(name("c2.k8s.ooo.")) };
        let extra = master::parse(b"$TTL 5\nwww A 192.0.2.1\nlab NS ns.example.\n", &zone.origin, None).unwrap();
        zone.with_extra(extra).unwrap()
    }

    fn service(annotation: &str) -> Service {
        let annotations = Annotations::from([(HOSTNAME[0].into(), annotation.into())]);
        Service { annotations, ..Service::bare(ServiceKey { namespace: "shop".into(), name: "web".into() }) }
    }

    /// Text of what names are made of, and of what they are not.
    fn any_annotation() -> impl Strategy<Value = String> {
        let piece = select(vec![
            "svc",
            "SVC",
            "pod",
            "dns-version",
            "ns",
            "infra",
            "www",
            "lab",
            "app",
            "web",
            "shop",
            "*",
            "_http",
            "_tcp",
            "-",
            "\\",
            "\\115vc",
            "\\.",
            "é",
            " ",
            "\t",
            "@",
            "",
            "c2",
            "k8s",
            "ooo",
            "c2.k8s.ooo",
            "c2.k8s.ooo.",
            "C2.K8S.ooo",
            ",",
        ]);
        let separator = select(vec![".", ".", ".", ",", ", ", "..", ""]);
        let many = vec((piece, separator), 0..12)
            .prop_map(|parts| parts.iter().flat_map(|(one, other)| [*one, *other]).collect::<String>());
        prop_oneof![many.clone(), many.prop_map(|text| format!("{text}.c2.k8s.ooo")), any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

        /// Told without a word of what decides it: by the text of the name that a claim is for.
        #[test]
        fn no_annotation_claims_a_name_that_is_taken(annotation in any_annotation(), wildcards in any::<bool>()) {
            let (zone, root) = (zone(wildcards), name("web.shop.svc.c2.k8s.ooo."));
            let own = master::parse(b"$TTL 5\nweb.shop.svc AAAA 2001:db8::1\n", &zone.origin, None).unwrap();
            let (mut names, mut reasons) = (Vec::new(), Vec::new());
            claim(&zone, &service(&annotation), &root, &own, &mut names, &mut reasons);
            for NameClaim { owner, records, .. } in names {
                let text = owner.to_string();
                let inside = text.strip_suffix(".c2.k8s.ooo.").expect("below the apex");
                let labels: Vec<&str> = inside.split('.').collect();
                let host = |label: &&str| label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
                let (first, others) = labels.split_first().unwrap();
                prop_assert!(others.iter().all(host), "{}", text);
                prop_assert!(host(first) || (*first == "*" && wildcards && !others.is_empty()), "{}", text);
                let top = *labels.last().unwrap();
                prop_assert!(!["svc", "pod", "dns-version", "ns", "lab"].contains(&top), "{}", text);
                prop_assert!(!inside.ends_with("ns.infra") && inside != "www", "{}", text);
                prop_assert!(records.iter().all(|record| record.owner == owner), "{}", text);
            }
        }
    }

    #[test]
    fn what_is_not_taken_is_claimed() {
        let (zone, root) = (zone(true), name("web.shop.svc.c2.k8s.ooo."));
        let own = master::parse(b"$TTL 5\nweb.shop.svc AAAA 2001:db8::1\n", &zone.origin, None).unwrap();
        let (mut names, mut reasons) = (Vec::new(), Vec::new());
        let annotation =
            " App.c2.k8s.ooo,\t*.app.c2.k8s.ooo., infra.c2.k8s.ooo,x.svc.app.c2.k8s.ooo,1st.www.c2.k8s.ooo";
        claim(&zone, &service(annotation), &root, &own, &mut names, &mut reasons);
        let owners: Vec<String> = names.iter().map(|claim| claim.owner.to_string()).collect();
        assert_eq!(
            owners,
            ["app", "*.app", "infra", "x.svc.app", "1st.www"].map(|owner| format!("{owner}.c2.k8s.ooo.")),
        );
        assert_eq!(reasons, []);
    }

    #[test]
    fn what_is_below_the_apex_is_no_name_servers_where_the_apex_is() {
        let (mut zone, root) = (zone(false), name("web.shop.svc.c2.k8s.ooo."));
        zone.nameservers[0].name = zone.origin.clone();
        zone.short_names = true;
        let own = master::parse(b"$TTL 5\nweb.shop.svc AAAA 2001:db8::1\n", &zone.origin, None).unwrap();
        let (mut names, mut reasons) = (Vec::new(), Vec::new());
        claim(&zone, &service("app.c2.k8s.ooo,c2.k8s.ooo"), &root, &own, &mut names, &mut reasons);
        let owners: Vec<String> = names.iter().map(|claim| claim.owner.to_string()).collect();
        assert_eq!(owners, ["web.shop.c2.k8s.ooo.", "app.c2.k8s.ooo."]);
        assert_eq!(reasons, [Reason::NameConflict]);
    }

    #[test]
    fn an_annotation_claims_so_many_names_and_no_more() {
        let (zone, root) = (zone(false), name("web.shop.svc.c2.k8s.ooo."));
        let own = master::parse(b"$TTL 5\nweb.shop.svc AAAA 2001:db8::1\n", &zone.origin, None).unwrap();
        let check = |count: usize, claimed: usize, expected: &[Reason]| {
            let (mut names, mut reasons) = (Vec::new(), Vec::new());
            let annotation = (0..count).map(|number| format!("n{number}.c2.k8s.ooo,")).collect::<String>().repeat(2);
            claim(&zone, &service(&annotation), &root, &own, &mut names, &mut reasons);
            assert_eq!((names.len(), &*reasons), (claimed, expected));
        };

        check(100, 100, &[]);
        check(101, 100, &[Reason::BadAnnotation]);
    }
}

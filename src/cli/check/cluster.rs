//! A cluster: whether its API answers, what kubezone may do there, and where addresses come from.

use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;

use super::{Check, Code, Level, many};
use crate::cluster::{self, Collection, Kind};
use crate::config::{Access, Cluster};
use crate::error::chain;
use crate::schema::ClusterZone;
use crate::source::{Probe, ProbeError, Verb, manifests};
use crate::zone::name_to_text;

/// The oldest version whose EndpointSlices are those that are read (discovery.k8s.io/v1).
const OLDEST: (u32, u32) = (1, 21);

/// Looks at `cluster`.
pub(super) async fn check(cluster: &Cluster) -> Vec<Check> {
    if let Access::Manifests(folder) = &cluster.access {
        return vec![of_manifests(cluster, folder, &manifests::read(folder))];
    }
    let probe = match Probe::new(&cluster.access).await {
        Ok(probe) => probe,
        Err(error) => return vec![unreachable(cluster, &error)],
    };
    let version = match probe.version().await {
        Ok(version) => version,
        Err(error) => return vec![unreachable(cluster, &error)],
    };
    let mut checks = vec![
        Check::good(Code::ApiReachable, &cluster.name, format_args!("{} answers", cluster.access)),
        of_version(&cluster.name, &version),
    ];
    for collection in collections(cluster) {
        for verb in [Verb::List, Verb::Watch] {
            let allowed = probe.may(verb, &collection).await;
            checks.push(of_permission(&cluster.name, verb, &collection, &allowed));
        }
    }
    let services = probe.service_ranges().await;
    checks.push(of_ranges(Code::ServiceRange, cluster, "ServiceCIDR objects", &services));
    checks.push(of_ranges(Code::PodRange, cluster, "Nodes", &probe.pod_ranges().await));
    let mut balanced = Vec::new();
    for namespace in collections(cluster).into_iter().filter(|it| it.kind == Kind::Service).map(|it| it.namespace) {
        // Where they may not be listed, that has been said.
        balanced.extend(probe.balanced(namespace.as_deref()).await.unwrap_or_default());
    }
    checks.push(of_addresses(cluster, services.as_deref().unwrap_or_default(), &balanced));
    checks
}

/// What is listed and watched of it.
fn collections(cluster: &Cluster) -> Vec<Collection> {
    let known = cluster::Cluster::from_api().only_in(cluster.namespaces.iter().cloned());
    let mut collections = known.collections(cluster.watches_pods());
    collections.sort();
    collections
}

fn of_manifests(
    cluster: &Cluster,
    folder: &Path,
    (objects, errors): &(Vec<cluster::Object>, Vec<manifests::ManifestError>),
) -> Check {
    let (folder, name) = (folder.display(), &cluster.name);
    let Some(first) = errors.first() else {
        return Check::good(Code::Manifests, name, format_args!("{folder}: {}", many(objects.len(), "object")));
    };
    let message = format!("{folder}: {}, the first: {}", many(errors.len(), "error"), chain(first));
    // What is well in it is served all the same.
    let level = if objects.is_empty() { Level::Bad } else { Level::Odd };
    let zone = cluster.zones.first().map(|zone| name_to_text(&zone.origin)).unwrap_or_default();
    let hint =
        format!("`kubezone zone records -f {folder} --zone {zone}` tells of everything, with lines and columns.");
    Check::new(Code::Manifests, level, name, message).with_hint(hint)
}

fn unreachable(cluster: &Cluster, error: &ProbeError) -> Check {
    let check = Check::bad(Code::ApiReachable, &cluster.name, format_args!("{}: {}", cluster.access, chain(error)));
    match (error.status(), &cluster.access) {
        (Some(401), _) => check.with_hint(
            "Give the kubeconfig's user a token or a certificate that is good: the API does not know who kubezone is.",
        ),
        (_, Access::InCluster) if error.is_configuration() => check.with_hint(
            "Run it in a Pod whose ServiceAccount's token is mounted; elsewhere, name the cluster's `kubeconfig` or `context`.",
        ),
        _ => check,
    }
}

fn of_version(cluster: &str, version: &str) -> Check {
    let numbers = || {
        let mut numbers = version.strip_prefix('v')?.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    match numbers() {
        Some(numbers) if numbers >= OLDEST => Check::good(Code::ApiVersion, cluster, version),
        Some(_) => Check::bad(Code::ApiVersion, cluster, format_args!("{version} is older than v1.21")),
        None => Check::odd(Code::ApiVersion, cluster, format_args!("`{version}` is no version of Kubernetes")),
    }
}

fn of_permission(cluster: &str, verb: Verb, collection: &Collection, allowed: &Result<bool, ProbeError>) -> Check {
    let code = Code::Permission(verb, collection.kind);
    let (verb, resource) = (verb.name(), collection.kind.resource());
    let (place, flag) = match &collection.namespace {
        Some(namespace) => (format!("namespace {namespace}"), format!("-n {namespace}")),
        None => ("all namespaces".to_owned(), "-A".to_owned()),
    };
    match allowed {
        Ok(true) => Check::good(code, cluster, format_args!("may {verb} {resource} in {place}")),
        Ok(false) => Check::bad(code, cluster, format_args!("may not {verb} {resource} in {place}")),
        Err(error) => {
            let message = format!("cannot be told whether it may {verb} {resource} in {place}: {}", chain(error));
            let hint = format!("Ask by hand, as whoever kubezone is: `kubectl auth can-i {verb} {resource} {flag}`.");
            Check::odd(code, cluster, message).with_hint(hint)
        }
    }
}

/// Whether all of `range` may be published in a zone of the cluster.
fn is_published(zones: &[ClusterZone], range: &IpNet) -> bool {
    zones.iter().any(|zone| zone.addresses.passes(range.network()) && zone.addresses.passes(range.broadcast()))
}

fn of_ranges(code: Code, cluster: &Cluster, from: &str, ranges: &Result<Vec<IpNet>, ProbeError>) -> Check {
    let name = &cluster.name;
    let mut ranges = match ranges {
        Ok(ranges) if ranges.is_empty() => {
            return Check::odd(code, name, format_args!("{from} say no range"));
        }
        Ok(ranges) => ranges.clone(),
        Err(error) => {
            let why = match error.status() {
                Some(403) => "kubezone may not list them, and need not".to_owned(),
                Some(404) => "the API has none: it is older than v1.33".to_owned(),
                _ => chain(error),
            };
            return Check::odd(code, name, format_args!("cannot be told from {from}: {why}"));
        }
    };
    ranges.sort_unstable();
    ranges.dedup();
    let ranges = IpNet::aggregate(&ranges);
    let (published, withheld): (Vec<_>, Vec<_>) = ranges.iter().partition(|range| is_published(&cluster.zones, range));
    match (listed(&published), listed(&withheld)) {
        (Some(published), None) => Check::good(code, name, format_args!("{published}: published")),
        (Some(published), Some(withheld)) => {
            Check::good(code, name, format_args!("{published}: published; {withheld}: not"))
        }
        (None, withheld) => {
            let withheld = withheld.unwrap_or_default();
            Check::odd(code, name, format_args!("{withheld}: none that the world can reach, and so not published"))
        }
    }
}

/// A few of `ranges` in words.
fn listed(ranges: &[&IpNet]) -> Option<String> {
    const FEW: usize = 4;
    let few: Vec<_> = ranges.iter().take(FEW).map(ToString::to_string).collect();
    let more = if ranges.len() > FEW { format!(" and {} more", ranges.len() - FEW) } else { String::new() };
    (!few.is_empty()).then(|| few.join(", ") + &more)
}

fn of_addresses(cluster: &Cluster, services: &[IpNet], balanced: &[IpAddr]) -> Check {
    let (code, name) = (Code::AddressAtHand, &cluster.name);
    let range = services.iter().find(|range| is_published(&cluster.zones, range));
    if let Some(range) = range {
        return Check::good(code, name, format_args!("Services have addresses of {range}"));
    }
    let passes = |address: &&IpAddr| cluster.zones.iter().any(|zone| zone.addresses.passes(**address));
    match balanced.iter().find(passes) {
        Some(address) => Check::good(code, name, format_args!("load balancers give addresses such as {address}")),
        None => {
            Check::odd(code, name, "no range of Services is known that is published, and no address of a load balancer")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// A cluster with these further keys of its own and of its zone.
    fn cluster(own: &str, of_zone: &str) -> Cluster {
        let text = format!(
            "clusters: [{{ name: c2, context: c2, {own} }}]\n\
             zones: [{{ name: c2.k8s.ooo, cluster: c2, nameservers: [{{ name: ns.example. }}], {of_zone} }}]"
        );
        config::parse(&text, Path::new("kubezone.yaml")).unwrap().clusters.remove(0)
    }

    fn check(found: &Check, level: Level, message: &str) {
        assert_eq!((found.level, found.message.as_str()), (level, message));
        assert_eq!(found.hint.is_some(), level != Level::Good, "{found:?}");
    }

    #[test]
    fn versions_are_compared_by_number() {
        let of = |version| of_version("c2", version);
        check(&of("v1.36.3"), Level::Good, "v1.36.3");
        check(&of("v1.30.4-gke.1129000"), Level::Good, "v1.30.4-gke.1129000");
        check(&of("v1.21+"), Level::Good, "v1.21+");
        check(&of("v2.0.0"), Level::Good, "v2.0.0");
        check(&of("v1.9.11"), Level::Bad, "v1.9.11 is older than v1.21");
        check(&of("sign in"), Level::Odd, "`sign in` is no version of Kubernetes");
    }

    #[test]
    fn what_is_asked_for_is_what_a_server_asks_for() {
        let asked = |cluster: &Cluster| {
            let text = |Collection { kind, namespace }: Collection| {
                format!("{} {}", kind.resource(), namespace.as_deref().unwrap_or("-"))
            };
            collections(cluster).into_iter().map(text).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(asked(&cluster("", "")), "services -, endpointslices -, namespaces -");
        let some = cluster("namespaces: [shop, blog]", "publish: { pods: true }");
        assert_eq!(
            asked(&some),
            "services blog, services shop, endpointslices blog, endpointslices shop, pods blog, pods shop"
        );
    }

    #[test]
    fn a_permission_names_what_is_lacking() {
        let of = |namespace: Option<&str>, allowed| {
            let collection = Collection { kind: Kind::EndpointSlice, namespace: namespace.map(Into::into) };
            of_permission("c2", Verb::Watch, &collection, &Ok(allowed))
        };
        check(&of(None, true), Level::Good, "may watch endpointslices in all namespaces");
        let lacking = of(Some("shop"), false);
        check(&lacking, Level::Bad, "may not watch endpointslices in namespace shop");
        assert_eq!(lacking.code.to_string(), "permission-watch-endpointslices");
    }

    #[test]
    fn ranges_are_measured_by_what_zones_publish() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        let (public, private) = (cluster("", ""), cluster("", "publish: { addresses: { allow: ['10.0.0.0/8'] } }"));
        let of =
            |cluster: &Cluster, ranges: &[&str]| of_ranges(Code::ServiceRange, cluster, "Nodes", &Ok(nets(ranges)));

        check(&of(&public, &["2a0a:e5c0:10:3::/108"]), Level::Good, "2a0a:e5c0:10:3::/108: published");
        check(
            &of(&public, &["10.96.0.0/16", "2a0a:e5c0:10:3::/108"]),
            Level::Good,
            "2a0a:e5c0:10:3::/108: published; 10.96.0.0/16: not",
        );
        let not = "none that the world can reach, and so not published";
        check(&of(&public, &["10.96.0.0/16"]), Level::Odd, &format!("10.96.0.0/16: {not}"));
        // Neighbours are one.
        check(&of(&private, &["10.244.0.0/24", "10.244.1.0/24"]), Level::Good, "10.244.0.0/23: published");
        check(&of(&private, &["10.0.0.0/7"]), Level::Odd, &format!("10.0.0.0/7: {not}"));
        check(&of(&public, &[]), Level::Odd, "Nodes say no range");

        let balanced = ["10.0.0.1", "147.78.194.9"].map(|text| text.parse().unwrap());
        let none = "no range of Services is known that is published, and no address of a load balancer";
        check(&of_addresses(&public, &nets(&["10.96.0.0/16"]), &balanced[..1]), Level::Odd, none);
        check(
            &of_addresses(&public, &[], &balanced),
            Level::Good,
            "load balancers give addresses such as 147.78.194.9",
        );
        check(
            &of_addresses(&private, &nets(&["10.96.0.0/16"]), &[]),
            Level::Good,
            "Services have addresses of 10.96.0.0/16",
        );
    }
}

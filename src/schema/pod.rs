//! The names of Pods: `2a0a-e5c0-10-2--11.shop.pod`, an address and the
//! namespace of the Pods that have it.
//!
//! A name is there as long as such a Pod is: the address in it alone makes
//! none, or every address of the cluster would have a name in every namespace.
//! Several Pods share one on the host's network; the name is there for the sake
//! of any of them that is published.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::rr::Name;

use super::host::{self, Host};
use super::{AddressOrigin, Age, ClusterZone, Decision, Owned, Reason, named, pair_below};
use crate::cluster::{Cluster, Subject, is_label};
use crate::zone::Subtree;

/// What the Pods of `namespace` with `address` own.
pub(super) fn decide(zone: &ClusterZone, cluster: &Cluster, namespace: &Arc<str>, address: IpAddr) -> Decision {
    let exists = cluster.pods(namespace, address).next().is_some();
    // Of those that are gone there is nothing to say.
    let owns_nothing =
        |reason| Decision { reasons: exists.then_some(reason).into_iter().collect(), ..Decision::default() };
    let Some(root) = root(zone, namespace, address) else {
        return owns_nothing(Reason::InvalidName);
    };
    if zone.nameservers.iter().any(|nameserver| root.zone_of(&nameserver.name)) {
        // Configured addresses are the whole set there; a Pod may come and go.
        return owns_nothing(Reason::NameConflict);
    }
    let (mut reasons, mut hosts) = (Vec::new(), Vec::new());
    let pods = cluster.pods(namespace, address);
    let published = pods.filter(|pod| zone.publish.publishes(cluster, namespace, &pod.annotations, true, &mut reasons));
    let oldest = published.map(|pod| Age(pod.created)).min();
    if oldest.is_some() {
        // What keeps others from being published does not keep the name from being there.
        reasons.clear();
    }
    if exists && !zone.addresses.passes(address) {
        reasons.push(Reason::AddressNotPublic);
    } else if oldest.is_some() {
        let addresses = BTreeMap::from([(address, AddressOrigin::Pod)]);
        hosts.push(Host { addresses, ..Host::default() });
        zone.ipv4.complete(&mut hosts, false);
    }
    let owned = Owned::by_hosts(&root, &hosts, zone.ttl, &mut reasons);
    reasons.sort_unstable();
    reasons.dedup();
    Decision {
        is_published: !hosts.is_empty(),
        age: oldest.unwrap_or_default(),
        subtree: Some(Subtree { root, records: owned.records }),
        names: Vec::new(),
        addresses: owned.addresses,
        reasons,
    }
}

/// Those that `name` is the name of, or is below the name of.
pub(super) fn subject_of(zone: &ClusterZone, name: &Name) -> Option<Subject> {
    let (dashed, namespace) = pair_below(&zone.origin, "pod", name)?;
    let v6 = || dashed.replace('-', ":").parse().map(IpAddr::V6).ok();
    let address = dashed.replace('-', ".").parse().map(IpAddr::V4).ok().or_else(v6)?;
    // Of the texts that an address has, one is a name.
    (host::dashed(address) == dashed).then(|| Subject::Pods { namespace: namespace.into(), address })
}

/// The name that they share.
fn root(zone: &ClusterZone, namespace: &str, address: IpAddr) -> Option<Name> {
    if !is_label(namespace) {
        return None;
    }
    named([&host::dashed(address), namespace, "pod"], &zone.origin)
}

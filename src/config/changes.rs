//! What is different between two configurations, in words.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use super::{Cluster, Config, FileZone};
use crate::schema::{ClusterZone, ReverseZone};

/// What another configuration changes, for people: `zones added: c3.k8s.ooo.; settings: identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes(Vec<String>);

impl Changes {
    /// What `after` changes where `before` is.
    #[must_use]
    pub fn between(before: &Config, after: &Config) -> Self {
        let mut changes = Vec::new();
        compare("zones", &zones(before), &zones(after), &mut changes);
        compare("clusters", &clusters(before), &clusters(after), &mut changes);
        compare("addresses", &addresses(before), &addresses(after), &mut changes);
        let settings = [
            ("workers", before.workers == after.workers),
            ("metrics", before.metrics == after.metrics),
            ("admin", before.admin == after.admin),
            ("identity", before.identity == after.identity),
            ("readyTimeout", before.ready_timeout == after.ready_timeout),
            ("gracePeriod", before.grace_period == after.grace_period),
            ("verify", before.verify == after.verify),
        ];
        let changed: Vec<_> = settings.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
        if !changed.is_empty() {
            changes.push(format!("settings: {}", changed.join(" ")));
        }
        Self(changes)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Where the records of a zone come from, and how.
#[derive(PartialEq)]
enum Origin<'c> {
    File(&'c FileZone),
    Cluster(&'c str, Box<ClusterZone>),
    Reverse(&'c ReverseZone),
}

fn zones(config: &Config) -> BTreeMap<String, Origin<'_>> {
    let from_files = config.files.iter().map(|zone| (zone.apex.to_string(), Origin::File(zone)));
    let from_clusters = config.clusters.iter().flat_map(|cluster| {
        cluster.zones.iter().map(|zone| {
            // A reverse zone that comes or goes is told of itself.
            let zone = ClusterZone { is_reversed: false, ..zone.clone() };
            (zone.origin.to_string(), Origin::Cluster(&cluster.name, Box::new(zone)))
        })
    });
    let reverses = config.reverses.iter().map(|zone| (zone.origin.to_string(), Origin::Reverse(zone)));
    from_files.chain(from_clusters).chain(reverses).collect()
}

/// How clusters are followed.
fn clusters(config: &Config) -> BTreeMap<String, Cluster> {
    // Zones are told of by themselves.
    let followed = |cluster: &Cluster| Cluster { zones: Vec::new(), ..cluster.clone() };
    config.clusters.iter().map(|cluster| (cluster.name.clone(), followed(cluster))).collect()
}

/// Each address with how often it is there: port 0 may be several times.
fn addresses(config: &Config) -> BTreeMap<String, usize> {
    let count = |address: &SocketAddr| config.dns.iter().filter(|other| *other == address).count();
    config.dns.iter().map(|address| (address.to_string(), count(address))).collect()
}

/// Says which of `what` are added, removed and changed.
fn compare<V: PartialEq>(
    what: &str,
    before: &BTreeMap<String, V>,
    after: &BTreeMap<String, V>,
    changes: &mut Vec<String>,
) {
    let added = after.keys().filter(|key| !before.contains_key(*key)).collect();
    let removed = before.keys().filter(|key| !after.contains_key(*key)).collect();
    let is_changed = |(key, value): &(&String, &V)| before.get(*key).is_some_and(|known| known != *value);
    let changed = after.iter().filter(is_changed).map(|(key, _)| key).collect();
    let kinds: [(&str, Vec<&String>); 3] = [("added", added), ("removed", removed), ("changed", changed)];
    for (verb, keys) in kinds {
        if !keys.is_empty() {
            let keys: Vec<_> = keys.into_iter().map(String::as_str).collect();
            changes.push(format!("{what} {verb}: {}", keys.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BEFORE: &str = r#"
listen: { dns: ["[::1]:53", "[::1]:0"], metrics: "[::1]:9153" }
clusters:
- { name: c2, kubeconfig: c2.kubeconfig }
- { name: c3, manifests: c3 }
zones:
- { name: k8s.ooo, file: k8s.ooo.zone }
- { name: c2.k8s.ooo, cluster: c2, nameservers: [{ name: ns.example. }] }
- { name: c3.k8s.ooo, cluster: c3, nameservers: [{ name: ns.example. }] }
"#;

    /// What changes when each of `edits`, from one text to another, is made to [`BEFORE`].
    fn check(edits: &[(&str, &str)], expected: &str) {
        let mut after = BEFORE.to_owned();
        for (from, to) in edits {
            assert!(after.contains(from), "{from}");
            after = after.replace(from, to);
        }
        let [before, after] = [BEFORE, &after]
            .map(|text| crate::config::parse(text, Path::new("kubezone.yaml")).expect("a configuration"));
        let changes = Changes::between(&before, &after);
        assert_eq!(changes.to_string(), expected);
        assert_eq!(changes.is_empty(), before == after);
    }

    #[test]
    fn changes_are_told_by_name() {
        check(&[], "");
        check(&[("name: c3.k8s.ooo", "name: c4.k8s.ooo")], "zones added: c4.k8s.ooo.; zones removed: c3.k8s.ooo.");
        let reverse = "zones:\n- { name: 2.ip6.arpa, reverseOf: [c2.k8s.ooo], nameservers: [{ name: ns.example. }] }";
        check(&[("zones:", reverse)], "zones added: 2.ip6.arpa.");
        check(&[("k8s.ooo.zone", "other.zone")], "zones changed: k8s.ooo.");
        check(&[("cluster: c3, ", "cluster: c3, ttl: 5, ")], "zones changed: c3.k8s.ooo.");
        check(&[("manifests: c3", "manifests: elsewhere")], "clusters changed: c3");
        check(&[("c2.kubeconfig }", "c2.kubeconfig, maxStaleness: 5m }")], "clusters changed: c2");
        check(&[("c2.kubeconfig }", "c2.kubeconfig, namespaces: [shop] }")], "clusters changed: c2");
        check(
            &[("name: c3, ", "name: other, "), ("cluster: c3", "cluster: other")],
            "zones changed: c3.k8s.ooo.; clusters added: other; clusters removed: c3",
        );
        check(&[("\"[::1]:53\"", "\"[::]:53\"")], "addresses added: [::]:53; addresses removed: [::1]:53");
        check(&[("\"[::1]:0\"", "\"[::1]:0\", \"[::1]:0\"")], "addresses changed: [::1]:0");
        check(
            &[("listen: {", "identity: a\nverify: {}\ngracePeriod: 1s\nreadyTimeout: 1s\nlisten: { workers: 1,")],
            "settings: workers identity readyTimeout gracePeriod verify",
        );
        check(
            &[(":9153", ":9154"), ("c2.kubeconfig }", "c2.kubeconfig, context: a }")],
            "clusters changed: c2; settings: metrics",
        );
    }
}

//! What /metrics says, as docs/metrics.md has it.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv6Addr;
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};
use prometheus::proto::{LabelPair, MetricFamily, MetricType};

use super::{ClusterError, Metrics, cluster, worker};
use crate::cluster::Kind;
use crate::nameserver::{Outcome, Reply, Served, Transport};
use crate::published::Published;
use crate::zone::{State, Zone, ZoneSlot, Zones, master};

/// Everything that there can be: a zone that is loaded, a question, a cluster with Services.
fn families() -> Vec<MetricFamily> {
    let apex = Name::from_ascii("k8s.ooo.").expect("a name");
    let text = b"@ 60 SOA ns hostmaster 1 14400 3600 1209600 30\n@ 60 NS ns.example.\n";
    let (zone, _) = Zone::build(&apex, master::parse(text, &apex, None).expect("a master file")).expect("a zone");
    let published = Published::new(Served { zones: Zones::pending([apex.clone()]), ..Served::default() });
    published.replace([(apex.clone(), State::Loaded(Arc::new(zone)))]);
    let metrics = Metrics::new(Arc::new(published));
    let reply = Reply { zone: Some(ZoneSlot(0)), qtype: Some(RecordType::AAAA), rcode: 0, keepalive: false };
    metrics.worker().count(&Outcome::Reply(reply), Transport::Udp, Ipv6Addr::LOCALHOST.into());
    metrics.set_delegation(&apex, None);
    let cluster = metrics.cluster("c2");
    cluster.set_services(&[("", 1)]);
    cluster.set_service_reasons([("BadAnnotation", 1)]);
    metrics.registry.gather()
}

fn in_code(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

fn sentence(error: ClusterError) -> &'static str {
    match error {
        ClusterError::Configuration => "the kubeconfig or the folder of manifests cannot be used",
        ClusterError::Connection => "no connection, or one that broke",
        ClusterError::Forbidden => "the API says 401 or 403: the account lacks a right",
        ClusterError::Status => "the API gives another answer that is no success",
        ClusterError::Idle => "a watch was silent for too long, and is begun anew: nothing has to be done",
        ClusterError::Expired => {
            "a watch was too old to go on (410), and everything is listed again: nothing has to be done"
        }
        ClusterError::Undecodable => "an object that cannot be read was skipped; the log names it",
        ClusterError::HeldList => {
            "a list lacks more than half of what is served, which is served on until a second one says so, too"
        }
        ClusterError::Manifest => "a manifest cannot be read; what it said before holds",
    }
}

fn reference() -> String {
    let mut text = "\
# Metrics

What `/metrics` at `listen.metrics` has for Prometheus. Generated from src/metrics:
`UPDATE=1 cargo test --lib the_document_of_metrics`.

Labels come from closed sets: what the configuration names, and the values below. Nothing that a stranger asks makes a new
series. A histogram has the three series `_bucket`, `_sum` and `_count`.

## Families
"
    .to_owned();
    for family in families() {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "Counter",
            MetricType::GAUGE => "Gauge",
            MetricType::HISTOGRAM => "Histogram",
            other => panic!("{other:?} has no name here"),
        };
        let labels = in_code(family.get_metric()[0].get_label().iter().map(LabelPair::name));
        let labels = if labels.is_empty() { labels } else { format!(" by {labels}") };
        write!(text, "\n### {}\n\n{kind}{labels}. {}\n", family.name(), family.help()).expect("a String takes all");
    }
    let (protos, address_families, types, rcodes) = worker::labels();
    let kinds = cluster::OBJECTS.map(Kind::name);
    write!(
        text,
        "
## Labels

- `zone`: a zone of the configuration, with its final dot; empty for questions about names in none of them.
- `cluster`: the `name` of a cluster in the configuration.
- `proto`: {}.
- `family`: {}, of the one who asks.
- `type`: of requests {}; of `kubezone_zone_records` whatever the zone has.
- `rcode`: {}.
- `kind`: {}.
- `published`: `true`, `false`.
- `reason`: of Services, a name in [reasons.md](reasons.md); empty where `published` is `true`. Of
  `kubezone_cluster_errors_total`, see below. Of `kubezone_delegation_ok`, the code of the worst finding, as
  `kubezone trace` and `kubezone delegation --compare` have it; empty where nothing is to be mended.
- `version`: as `kubezone --version` says.

## Errors of clusters

",
        in_code(protos),
        in_code(address_families),
        in_code(types),
        in_code(rcodes),
        in_code(kinds)
    )
    .expect("a String takes all");
    for error in ClusterError::ALL {
        writeln!(text, "- `{}`: {}.", error.label(), sentence(error)).expect("a String takes all");
    }
    text
}

#[test]
fn the_document_of_metrics_is_that_of_the_code() {
    crate::documents::check("docs/metrics.md", &reference());
}

#[test]
fn every_label_has_a_meaning() {
    let text = reference();
    for family in families() {
        for label in family.get_metric()[0].get_label() {
            assert!(text.contains(&format!("\n- `{}`: ", label.name())), "{} of {}", label.name(), family.name());
        }
    }
}

/// A family without samples has no text, and would be missing.
#[test]
fn every_family_that_the_code_names_is_told_of() {
    let text = reference();
    for file in ["mod.rs", "cluster.rs", "scrape.rs"] {
        let code = fs::read_to_string(format!("src/metrics/{file}")).expect("code");
        let code = code.split("#[cfg(test)]\nmod tests").next().expect("a first part");
        let names: Vec<_> = code.split('"').filter(|literal| literal.starts_with("kubezone_")).collect();
        assert!(!names.is_empty(), "{file}");
        for name in names {
            assert!(text.contains(&format!("\n### {name}\n")), "{name}");
        }
    }
}

//! Which Services are published.

use super::Reason;
use crate::cluster::{Annotations, Cluster, Service};

/// `"true"` publishes a Service, `"false"` does not; on a Namespace, all of its Services that say neither.
const PUBLISH: &str = "k8s.ooo/publish";

/// Whether `service` is published: as it says itself, else as its Namespace says, else it is.
pub(super) fn check(cluster: &Cluster, service: &Service, reasons: &mut Vec<Reason>) -> bool {
    let namespace = &service.key.namespace;
    let is_known = !cluster.awaits_namespace(namespace);
    if !is_known {
        reasons.push(Reason::NamespaceUnknown);
    }
    let of_namespace = cluster.namespace(namespace).and_then(|namespace| says(&namespace.annotations));
    let is_wanted = match says(&service.annotations).or(of_namespace) {
        None | Some("true") => true,
        Some(other) => {
            reasons.push(Reason::OptedOut);
            if other != "false" {
                reasons.push(Reason::BadAnnotation);
            }
            false
        }
    };
    is_known && is_wanted
}

fn says(annotations: &Annotations) -> Option<&str> {
    annotations.get(PUBLISH).map(|value| &**value)
}

//! Which Services and Pods are published.

use std::collections::BTreeSet;

use super::annotation::PUBLISH;
use super::{Reason, Selector};
use crate::cluster::{Annotations, Cluster, Labels, Service};

/// Which Services an operator wants to be published, and which Pods if they have names at all.
///
/// Namespaces and selectors are a fence that no annotation crosses. Inside of
/// it a Service's or a Pod's annotation decides, else its Namespace's, else the mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// What becomes of one that nobody has said anything about.
    pub mode: Mode,
    /// The names of the only namespaces where anything may be published; none: all.
    pub namespaces: BTreeSet<Box<str>>,
    /// What is in the Namespaces with these labels may be published.
    pub namespace_selector: Selector,
    /// Services with these labels may be published; whether Pods may is not asked of theirs.
    pub service_selector: Selector,
}

/// What becomes of a Service or a Pod that nobody has said anything about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is published.
    #[default]
    All,
    /// It is not.
    OptIn,
}

impl Policy {
    /// Whether `service` is published.
    pub(super) fn publishes_service(&self, cluster: &Cluster, service: &Service, reasons: &mut Vec<Reason>) -> bool {
        let is_selected = self.service_selector.matches(&service.labels);
        self.publishes(cluster, &service.key.namespace, &service.annotations, is_selected, reasons)
    }

    /// Whether what is in the namespace called `namespace`, has these annotations and, by itself, `is_selected` is published.
    pub(super) fn publishes(
        &self,
        cluster: &Cluster,
        namespace: &str,
        annotations: &Annotations,
        is_selected: bool,
        reasons: &mut Vec<Reason>,
    ) -> bool {
        let is_allowed = self.namespaces.is_empty() || self.namespaces.contains(namespace);
        let is_known = !cluster.awaits_namespace(namespace);
        if !is_known {
            reasons.push(Reason::NamespaceUnknown);
        }
        let namespace = cluster.namespace(namespace);
        let says = says(annotations).or_else(|| says(&namespace?.annotations));
        let is_wanted = match says {
            None => self.mode == Mode::All,
            Some("true") => true,
            Some(other) => {
                reasons.push(Reason::OptedOut);
                if other != "false" {
                    reasons.push(Reason::BadAnnotation);
                }
                false
            }
        };
        let unlabelled = Labels::default();
        let is_inside = is_allowed
            && is_selected
            && (!is_known
                || self.namespace_selector.matches(namespace.map_or(&unlabelled, |namespace| &namespace.labels)));
        if !is_inside || (says.is_none() && !is_wanted) {
            reasons.push(Reason::NotSelected);
        }
        is_known && is_inside && is_wanted
    }
}

fn says(annotations: &Annotations) -> Option<&str> {
    annotations.get(PUBLISH).map(|value| &**value)
}

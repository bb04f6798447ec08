//! Services page by page, all of them or those that somebody looks for.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Page, Report, View};
use crate::cluster::{Service, ServiceKey, Subject};

/// Which Services are looked for: those for which everything holds that is said here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFilter {
    /// They are in this Namespace.
    pub namespace: Option<String>,
    /// Their `NAMESPACE/NAME` or one of the names that they are reached by contains this, in whichever case; or it is one of
    /// their addresses.
    pub text: Option<String>,
    /// They are published, or are not.
    pub published: Option<bool>,
    /// A reason with this name or code holds for them.
    pub reason: Option<String>,
}

/// Looks for a page of Services among some at a time: there may be many, and few that match.
#[derive(Debug)]
pub struct ServiceSearch {
    filter: ServiceFilter,
    /// `filter.text`, as it is compared.
    text: String,
    address: Option<IpAddr>,
    /// Those behind this one have not been looked at.
    after: ServiceKey,
    /// Whether it begins before all Services.
    is_first: bool,
    limit: usize,
    found: Vec<Report>,
    /// Where the page that follows begins, once it is known that there is one.
    next: Option<ServiceKey>,
    last: Option<ServiceKey>,
    is_known: bool,
}

impl ServiceSearch {
    /// One for at most `limit` Services behind `after` that has not looked anywhere.
    #[must_use]
    pub fn new(filter: ServiceFilter, after: Option<ServiceKey>, limit: usize) -> Self {
        let first = ServiceKey::before_all_in(&filter.namespace.as_deref().unwrap_or_default().into());
        let text = filter.text.as_deref().unwrap_or_default().trim().to_lowercase();
        Self {
            address: text.parse().ok(),
            text,
            is_first: after.is_none(),
            after: after.map_or(first.clone(), |after| after.max(first)),
            filter,
            limit,
            found: Vec::new(),
            next: None,
            last: None,
            is_known: true,
        }
    }

    /// Looks at `many` more Services; whether the page is complete.
    pub fn look(&mut self, view: &View<'_>, many: usize) -> bool {
        let namespace: Option<Arc<str>> = self.filter.namespace.as_deref().map(Into::into);
        let in_it = |service: &&Service| namespace.as_ref().is_none_or(|wanted| service.key.namespace == *wanted);
        let mut services = view.cluster.services_after(&self.after).take_while(in_it);
        for service in services.by_ref().take(many) {
            self.after = service.key.clone();
            if !self.matches(view, service) {
                continue;
            }
            if self.found.len() == self.limit {
                self.next = self.last.take();
                return true;
            }
            self.found.push(view.service(&service.key));
            self.last = Some(service.key.clone());
        }
        if services.next().is_some() {
            return false;
        }
        let is_empty = self.is_first && self.found.is_empty();
        self.is_known = !is_empty || namespace.is_none_or(|namespace| view.cluster.namespace(&namespace).is_some());
        true
    }

    fn matches(&self, view: &View<'_>, service: &Service) -> bool {
        let subject = || Subject::Service(service.key.clone());
        let has = |name: &str| name.to_lowercase().contains(&self.text);
        let mut addresses = [&service.cluster_ips, &service.ingress_ips, &service.external_ips].into_iter().flatten();
        let by_text = self.text.is_empty()
            || has(&format!("{}/{}", service.key.namespace, service.key.name))
            || service.hostnames.iter().any(|name| has(name))
            || self.address.is_some_and(|wanted| addresses.any(|address| *address == wanted));
        let by_reason = |wanted: &String| {
            let is_it = |name: &str| name.eq_ignore_ascii_case(wanted);
            view.register.reasons(&subject()).iter().any(|it| is_it(it.name()) || is_it(it.meaning().code))
        };
        by_text
            && self.filter.published.is_none_or(|wanted| view.register.is_published(&subject()) == wanted)
            && self.filter.reason.as_ref().is_none_or(by_reason)
    }

    /// What has been found; none: nothing is known of the Namespace that is asked for.
    #[must_use]
    pub fn page(self) -> Option<Page<Report>> {
        let next = self.next.map(|key| Subject::from(key).to_string());
        self.is_known.then_some(Page { items: self.found, next })
    }
}

//! Asks an API what it is, what it permits, and where its Services and Pods get their addresses; follows nothing.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

use super::client::Connection;
use super::{FollowError, within};
use crate::cluster::Collection;
use crate::config;
use crate::metrics::ClusterError;

/// How long one answer may take, and to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// Objects of a kind that are looked at: what there is among the first may be said of all.
const SAMPLE: u32 = 50;

/// An API that is asked, with the rights that kubezone would have there.
#[expect(missing_debug_implementations, reason = "kube's client has none")]
pub struct Probe(Client);

/// Why an API did not tell.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ProbeError(#[from] FollowError);

impl ProbeError {
    /// The status that it answered with, if it did.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.0 {
            FollowError::Status(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether nobody was asked: what says how has to be mended first.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        self.0.class() == ClusterError::Configuration
    }
}

/// What is done with the objects of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// To read all of them.
    List,
    /// To be told of changes.
    Watch,
}

impl Verb {
    /// As the API calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
        }
    }
}

impl Probe {
    /// One of the API at `access`, which was not asked anything yet.
    ///
    /// # Errors
    ///
    /// When there is no configuration of a client, or none that can be used.
    ///
    /// # Panics
    ///
    /// For manifests, which have no API.
    pub async fn new(access: &config::Access) -> Result<Self, ProbeError> {
        Ok(Self(Connection::new(access.into()).client(PATIENCE).await?.into_client()))
    }

    /// The API's version, such as `v1.36.3`.
    ///
    /// # Errors
    ///
    /// Whatever keeps us from it: here it comes out whether there is a way to the API.
    pub async fn version(&self) -> Result<String, ProbeError> {
        let info = within(PATIENCE, self.0.apiserver_version()).await?.map_err(FollowError::from)?;
        Ok(info.git_version)
    }

    /// Whether the objects of `collection` may be listed, or watched.
    ///
    /// # Errors
    ///
    /// When the API does not say so.
    pub async fn may(&self, verb: Verb, Collection { kind, namespace }: &Collection) -> Result<bool, ProbeError> {
        let attributes = ResourceAttributes {
            group: Some(kind.group().to_owned()),
            resource: Some(kind.resource().to_owned()),
            verb: Some(verb.name().to_owned()),
            namespace: namespace.as_deref().map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.0.clone());
        let params = PostParams::default();
        let reviewed = within(PATIENCE, reviews.create(&params, &review)).await?.map_err(FollowError::from)?;
        Ok(reviewed.status.is_some_and(|status| status.allowed))
    }

    /// The ranges that cluster IPs are taken from: ServiceCIDR objects, which there are since Kubernetes 1.33.
    ///
    /// # Errors
    ///
    /// When they cannot be listed; 404 where there is no such kind.
    pub async fn service_ranges(&self) -> Result<Vec<IpNet>, ProbeError> {
        let ranges = self.sample::<ServiceCIDR>(Api::all(self.0.clone()), "").await?;
        let cidrs = ranges.into_iter().filter_map(|range| range.spec?.cidrs).flatten();
        Ok(cidrs.filter_map(|cidr| cidr.parse().ok()).collect())
    }

    /// The ranges that Nodes give addresses to Pods from, as far as they say so: of some of the Nodes.
    ///
    /// # Errors
    ///
    /// When Nodes cannot be listed.
    pub async fn pod_ranges(&self) -> Result<Vec<IpNet>, ProbeError> {
        let nodes = self.sample::<Node>(Api::all(self.0.clone()), "").await?;
        let cidrs = nodes.into_iter().filter_map(|node| node.spec?.pod_cidrs).flatten();
        Ok(cidrs.filter_map(|cidr| cidr.parse().ok()).collect())
    }

    /// Addresses that load balancers have given to Services in `namespace`, or anywhere: of some of them.
    ///
    /// # Errors
    ///
    /// When Services cannot be listed.
    pub async fn balanced(&self, namespace: Option<&str>) -> Result<Vec<IpAddr>, ProbeError> {
        let services: Api<Service> = match namespace {
            Some(namespace) => Api::namespaced(self.0.clone(), namespace),
            None => Api::all(self.0.clone()),
        };
        let services = self.sample(services, "spec.type=LoadBalancer").await?;
        let ingress = services.into_iter().filter_map(|service| service.status?.load_balancer?.ingress).flatten();
        Ok(ingress.filter_map(|ingress| ingress.ip?.parse().ok()).collect())
    }

    async fn sample<K>(&self, of: Api<K>, fields: &str) -> Result<Vec<K>, ProbeError>
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let params = ListParams::default().limit(SAMPLE).fields(fields);
        let list = within(PATIENCE, of.list(&params)).await?.map_err(FollowError::from)?;
        Ok(list.items)
    }
}

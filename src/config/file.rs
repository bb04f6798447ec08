//! The configuration as it is written: YAML in, the shape of the file out.
//!
//! Only the shape is looked at here, so that everything wrong with a value is
//! said in one place, [`check`](super::check). Values are kept as text with
//! the place they stand at. Every key of the documented file is known, also those that this version cannot act
//! on yet: `check` refuses them by name where they ask for anything.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::{Location, Spanned};

/// A piece of text and where it stands.
pub(super) type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    pub(super) api_version: Option<Text>,
    pub(super) kind: Option<Text>,
    #[serde(default)]
    pub(super) listen: Listen,
    pub(super) tls: Option<Spanned<IgnoredAny>>,
    pub(super) identity: Option<Text>,
    pub(super) ready_timeout: Option<Text>,
    pub(super) grace_period: Option<Text>,
    pub(super) verify: Option<Verify>,
    #[serde(default)]
    pub(super) clusters: Vec<Cluster>,
    #[serde(default)]
    pub(super) zones: Vec<Zone>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) dns: Option<Spanned<Vec<Text>>>,
    pub(super) workers: Option<Text>,
    pub(super) metrics: Option<Text>,
    pub(super) admin: Option<Text>,
    pub(super) tls: Option<Spanned<Vec<IgnoredAny>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Verify {
    pub(super) interval: Option<Text>,
    #[serde(default)]
    pub(super) roots: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) name: Text,
    pub(super) kubeconfig: Option<Text>,
    pub(super) context: Option<Text>,
    #[serde(default)]
    pub(super) in_cluster: bool,
    pub(super) manifests: Option<Text>,
    pub(super) namespaces: Option<Spanned<Vec<Text>>>,
    pub(super) max_staleness: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Zone {
    pub(super) name: Text,
    pub(super) file: Option<Text>,
    pub(super) cluster: Option<Text>,
    pub(super) reverse_of: Option<Spanned<Vec<Text>>>,
    pub(super) nameservers: Option<Spanned<Vec<NameServer>>>,
    pub(super) hostmaster: Option<Text>,
    pub(super) extra: Option<Text>,
    pub(super) ttl: Option<Text>,
    #[serde(rename = "negativeTTL")]
    pub(super) negative_ttl: Option<Text>,
    #[serde(rename = "nameserverTTL")]
    pub(super) nameserver_ttl: Option<Text>,
    pub(super) max_records: Option<Text>,
    pub(super) publish: Option<Spanned<Publish>>,
    pub(super) ipv4: Option<Spanned<Ipv4>>,
}

impl Zone {
    /// A zone as the command line has it.
    pub(super) fn made_from(name: &str, cluster: &str, nameservers: Spanned<Vec<NameServer>>) -> Self {
        Self {
            name: unplaced(name),
            file: None,
            cluster: Some(unplaced(cluster)),
            reverse_of: None,
            nameservers: Some(nameservers),
            hostmaster: None,
            extra: None,
            ttl: None,
            negative_ttl: None,
            nameserver_ttl: None,
            max_records: None,
            publish: None,
            ipv4: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NameServer {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) addresses: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Publish {
    pub(super) mode: Option<Text>,
    #[serde(default)]
    pub(super) namespaces: Vec<Text>,
    pub(super) namespace_selector: Option<Text>,
    pub(super) service_selector: Option<Text>,
    #[serde(default)]
    pub(super) addresses: Addresses,
    #[serde(default)]
    pub(super) pods: bool,
    #[serde(default)]
    pub(super) short_names: bool,
    #[serde(default)]
    pub(super) hostnames: bool,
    pub(super) wildcards: Option<Spanned<bool>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Addresses {
    #[serde(default)]
    pub(super) allow: Vec<Text>,
    pub(super) from: Option<Spanned<Vec<Text>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Ipv4 {
    #[serde(default)]
    pub(super) nat64: Vec<Mapping>,
    #[serde(default)]
    pub(super) proxies: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Mapping {
    pub(super) from: Text,
    pub(super) to: Text,
}

/// Text that stands in no file: it came from the command line or the environment.
pub(super) fn unplaced(text: &str) -> Text {
    Spanned::new(text.to_owned(), Location::UNKNOWN, Location::UNKNOWN)
}

/// What is wrong with the shape of a file.
pub(super) fn parse(text: &str) -> Result<File, serde_saphyr::Error> {
    // An empty file, or one of comments only, is an empty mapping.
    Ok(serde_saphyr::from_str::<Option<File>>(text)?.unwrap_or_default())
}

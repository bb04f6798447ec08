//! The annotations that are read.

/// On a Service, a Pod or a Namespace: `"true"` publishes a Service or a Pod, `"false"` does not; on a Namespace, all in it
/// that say neither.
pub(super) const PUBLISH: &str = "k8s.ooo/publish";

/// On a Service: `"true"` asks for the proxy's addresses, `"false"` wants none.
pub(super) const PROXY: &str = "k8s.ooo/ipv4-proxy";

/// On a Service: the TTL of its records; the first that is there alone: ours, and those that external-dns goes by.
pub(super) const TTL: [&str; 3] =
    ["k8s.ooo/ttl", "external-dns.kubernetes.io/ttl", "external-dns.alpha.kubernetes.io/ttl"];

/// On a Service: external-dns' own, with host names, separated by commas; the first that is there counts.
pub(super) const HOSTNAME: [&str; 2] =
    ["external-dns.kubernetes.io/hostname", "external-dns.alpha.kubernetes.io/hostname"];

/// Whether an annotation of this `key` says anything to the schema: no other has to be kept.
#[must_use]
pub fn reads_annotation(key: &str) -> bool {
    [PUBLISH, PROXY].contains(&key) || TTL.contains(&key) || HOSTNAME.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The annotations as docs/annotations.md has them.
    fn reference() -> String {
        let mut text = "\
# Annotations and labels

What is read of Kubernetes objects, beside their names, addresses and ports. Generated from src/schema/annotation.rs:
`UPDATE=1 cargo test --lib the_document_of_annotations`.

A value that means nothing is told by the reason `BadAnnotation` ([reasons.md](reasons.md)). An annotation never crosses the
fence that the configuration sets with `publish.namespaces`, `namespaceSelector` and `serviceSelector`
([configuration.md](configuration.md)).

## Annotations
"
        .to_owned();
        for (keys, on, meaning) in [
            (
                &[PUBLISH][..],
                "Services, Namespaces, Pods",
                "`\"true\"` or `\"false\"`: whether the Service or the Pod is published. On a Namespace it holds for all in it that \
                 say nothing themselves; where nobody does, `publish.mode` decides. Any other value counts as `\"false\"`. It is not read on \
                 Namespaces where the cluster's `namespaces` are given.",
            ),
            (
                &TTL,
                "Services",
                "How long all of the Service's records may be kept, its PTR records among them: seconds (`60`) or a duration (`1m`). \
                 In the place of the zone's `ttl`.",
            ),
            (
                &[PROXY],
                "Services",
                "`\"true\"` or `\"false\"`: whether it has the addresses of `ipv4.proxies`. Without it, a Service has them that has a \
                 port for HTTP. Any other value counts as `\"false\"`.",
            ),
            (
                &HOSTNAME,
                "Services",
                "Names that the Service has beside its own, with commas between them. Those inside of the zone are given \
                 to it where `publish.hostnames` is on; of several objects that want a name, the oldest has it.",
            ),
        ] {
            assert!(keys.iter().all(|key| reads_annotation(key)));
            let quoted: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            text += &format!("\n### {}\n\nOn {on}. {meaning}", quoted[0]);
            if keys.len() > 1 {
                text += &format!(" Where it is missing, {}.", quoted[1..].join(", or else "));
            }
            text += "\n";
        }
        text + "
## Labels

- Of Services and Namespaces, all: `publish.serviceSelector` and `publish.namespaceSelector` go by them.
- Of EndpointSlices, `kubernetes.io/service-name`: the Service that the endpoints are of; and `service.kubernetes.io/headless`:
  whether they are to be kept, as names come from them.
- Of Pods, `app.kubernetes.io/name=kubezone`: not by the server, but by `kubectl kubezone`, to find one.
"
    }

    #[test]
    fn the_document_of_annotations_is_that_of_the_code() {
        crate::documents::check("docs/annotations.md", &reference());
    }
}

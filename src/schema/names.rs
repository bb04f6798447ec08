//! Names that a Service may claim outside of its own subtree: the short form of
//! its name, and host names that its annotations ask for.

use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, RecordType};

use super::{ClusterZone, NameClaim, NameRank, Reason, below, is_address};
use crate::cluster::{Service, is_label};
use crate::zone::Record;

/// The annotations of external-dns that hold host names, separated by commas; the first that is there counts.
const HOSTNAME: [&str; 2] = ["external-dns.kubernetes.io/hostname", "external-dns.alpha.kubernetes.io/hostname"];

/// Adds to `names` what `service` claims, whose own name is `root` and whose own records are `records`.
pub(super) fn claim(
    zone: &ClusterZone,
    service: &Service,
    root: &Name,
    records: &[Record],
    names: &mut Vec<NameClaim>,
    reasons: &mut Vec<Reason>,
) {
    let at_root = || records.iter().filter(|record| record.owner == *root);
    let Some(ttl) = at_root().map(|record| record.ttl).min() else { return };
    if zone.short_names {
        let short =
            below(&zone.origin, &service.key.namespace).and_then(|namespace| below(&namespace, &service.key.name));
        // It is shorter than the Service's own name, which fits.
        let owner = short.expect("a part of the Service's name");
        if zone.reserves(&owner) {
            reasons.push(Reason::NameConflict);
        } else {
            let alias = Record::new(owner.clone(), ttl, &RData::CNAME(CNAME(root.clone())));
            names.push(NameClaim { owner, rank: NameRank::Schema, records: vec![alias] });
        }
    }
    if !zone.hostnames {
        return;
    }
    let annotation = HOSTNAME.iter().find_map(|key| service.annotations.get(*key));
    for text in annotation.into_iter().flat_map(|value| value.split(',')) {
        let Some(prefix) = inside(zone, text.trim()) else { continue };
        let Some(owner) = hostname(zone, &prefix) else {
            reasons.push(Reason::BadAnnotation);
            continue;
        };
        if zone.reserves(&owner) {
            reasons.push(Reason::NameConflict);
        } else if names.iter().all(|claim| claim.owner != owner || claim.rank != NameRank::Annotation) {
            let moved = |record: &Record| Record { owner: owner.clone(), ..record.clone() };
            let records = at_root().filter(|record| is_address(record) || record.rtype == RecordType::CNAME).map(moved);
            names.push(NameClaim { rank: NameRank::Annotation, records: records.collect(), owner: owner.clone() });
        }
    }
}

/// What `text` has before the zone's name, in lower case; none where it ends otherwise: then it is for external-dns itself.
fn inside(zone: &ClusterZone, text: &str) -> Option<String> {
    let absolute = format!(".{}.", text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase());
    let origin = format!(".{}", zone.origin.to_lowercase());
    absolute.strip_suffix(&origin).map(|prefix| prefix.strip_prefix('.').unwrap_or_default().to_owned())
}

/// The name in the zone that an annotation may ask for with `prefix`, whoever has it.
fn hostname(zone: &ClusterZone, prefix: &str) -> Option<Name> {
    let mut owner = zone.origin.clone();
    for label in prefix.rsplit('.').filter(|_| !prefix.is_empty()) {
        let is_wildcard = owner.iter().next() == Some(b"*");
        if is_wildcard || !(is_label(label) || (label == "*" && zone.wildcards)) {
            return None;
        }
        owner = below(&owner, label)?;
    }
    Some(owner)
}

//! A delegation in the dialects of those who serve parents.
//!
//! Each is complete: what is to be put in by hand is told beside it, in a comment where the dialect has such, else aside.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::ValueEnum;
use hickory_proto::rr::{Name, RecordType};
use serde::Serialize;
use serde_json::json;

use crate::delegation::Delegation;
use crate::zone::{Record, name_to_text};

/// Who is to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dialect {
    /// Lines of a master file: BIND, Knot, NSD, PowerDNS, kubezone
    Bind,
    /// A script for nsupdate: servers that take dynamic updates (RFC 2136)
    Nsupdate,
    /// A change batch for `aws route53 change-resource-record-sets`
    Route53,
    /// A file that Cloudflare imports
    Cloudflare,
    /// A records file for `gcloud dns record-sets import`
    Gcloud,
    /// Commands of Azure's CLI
    Azure,
    /// A DNSEndpoint, which external-dns acts on
    ExternalDns,
    /// A zone file of octoDNS, or a part of one
    Octodns,
    /// Resources of the provider hashicorp/dns (RFC 2136)
    Terraform,
}

/// What is to be put where.
pub(super) struct Proposal<'a> {
    /// What the parent should say.
    pub(super) delegation: &'a Delegation,
    /// The parent zone.
    pub(super) parent: &'a Name,
}

/// An RRset in presentation form, names absolute.
struct RrSet {
    owner: Name,
    rtype: RecordType,
    ttl: u32,
    rdata: Vec<String>,
}

impl RrSet {
    fn rtype(&self) -> String {
        self.rtype.to_string()
    }
}

impl Proposal<'_> {
    /// What to paste, and what there is to say beside it.
    pub(super) fn print(&self, dialect: Dialect) -> (String, Vec<String>) {
        let notes = self.notes(dialect);
        let text = match dialect {
            Dialect::Bind => self.master_file(&notes),
            Dialect::Nsupdate => self.nsupdate(&notes),
            // JSON has no comments.
            Dialect::Route53 => return (self.route53(), notes),
            Dialect::Cloudflare => self.cloudflare(&notes),
            Dialect::Gcloud => self.gcloud(&notes),
            Dialect::Azure => self.azure(&notes),
            Dialect::ExternalDns => self.external_dns(&notes),
            Dialect::Octodns => self.octodns(&notes),
            Dialect::Terraform => self.terraform(&notes),
        };
        (text, Vec::new())
    }

    fn title(&self) -> String {
        format!("The delegation of {} in its parent {}", name_to_text(&self.delegation.zone), name_to_text(self.parent))
    }

    /// What nobody sees in the records.
    fn notes(&self, dialect: Dialect) -> Vec<String> {
        let mut notes = Vec::new();
        for server in self.delegation.servers.iter().filter(|server| server.addresses.is_empty()) {
            let name = name_to_text(&server.name);
            notes.push(if self.parent.zone_of(&server.name) {
                format!(
                    "{name} is below the parent, not in the zone: {} needs its address records, too",
                    name_to_text(self.parent)
                )
            } else {
                format!("{name} is not in the parent: its own zone has its addresses, no glue is needed")
            });
        }
        let cannot = match dialect {
            Dialect::ExternalDns => "A DNSEndpoint",
            Dialect::Terraform => "hashicorp/dns",
            _ => return notes,
        };
        let by_hand =
            self.delegation.ds.iter().map(|ds| format!("{cannot} has no DS records; put this in by hand: {ds}"));
        notes.extend(by_hand);
        notes
    }

    fn sets(&self) -> Vec<RrSet> {
        let records = self.delegation.records();
        let sets = records.chunk_by(|one, other| one.owner == other.owner && one.rtype == other.rtype);
        let sets = sets.map(|records| RrSet {
            owner: records[0].owner.to_lowercase(),
            rtype: records[0].rtype,
            ttl: records[0].ttl,
            rdata: records.iter().map(Record::rdata_to_text).collect(),
        });
        sets.collect()
    }

    /// `name` without what it has in common with the parent.
    fn relative(&self, name: &Name) -> String {
        relative(name, self.parent)
    }

    fn master_file(&self, notes: &[String]) -> String {
        let origin = self.parent;
        let mut text = comment(";", [self.title()].iter().chain(notes));
        let _ = writeln!(text, "$ORIGIN {}", name_to_text(origin));
        let lines: Vec<_> = self.delegation.records().iter().map(|record| line(record, origin, None)).collect();
        text += &columns(&lines, 0, true);
        text
    }

    fn nsupdate(&self, notes: &[String]) -> String {
        let mut text = comment(";", [self.title()].iter().chain(notes));
        let child = name_to_text(&self.delegation.zone);
        let _ = writeln!(text, "zone {}", name_to_text(self.parent));
        // A server leaves NS records out, without a word, where there is an alias (RFC 2136 §3.4.2.2).
        let _ = writeln!(text, "prereq nxrrset {child} CNAME");
        let mut stale = vec![(child.clone(), RecordType::NS), (child, RecordType::DS)];
        for server in self.delegation.servers.iter().filter(|server| self.delegation.zone.zone_of(&server.name)) {
            stale.extend([RecordType::AAAA, RecordType::A].map(|rtype| (name_to_text(&server.name), rtype)));
        }
        for (owner, rtype) in stale {
            let _ = writeln!(text, "update delete {owner} {rtype}");
        }
        for record in self.delegation.records() {
            let _ = writeln!(text, "update add {record}");
        }
        text + "send\n"
    }

    fn route53(&self) -> String {
        let changes = self.sets().into_iter().map(|set| {
            let values: Vec<_> = set.rdata.iter().map(|rdata| json!({ "Value": rdata })).collect();
            json!({
                "Action": "UPSERT",
                "ResourceRecordSet": {
                    "Name": name_to_text(&set.owner),
                    "Type": set.rtype(),
                    "TTL": set.ttl,
                    "ResourceRecords": values,
                },
            })
        });
        // The API takes no longer one.
        let title: String = self.title().chars().take(256).collect();
        let batch = json!({ "Comment": title, "Changes": changes.collect::<Vec<_>>() });
        format!("{batch:#}\n")
    }

    fn cloudflare(&self, notes: &[String]) -> String {
        let how = "Import it without proxying (--form proxied=false): glue leads to the name server itself".to_owned();
        let mut text = comment(";", [self.title(), how].iter().chain(notes));
        for record in self.delegation.records() {
            let _ = writeln!(text, "{record}");
        }
        text
    }

    fn gcloud(&self, notes: &[String]) -> String {
        #[derive(Serialize)]
        struct Document {
            kind: &'static str,
            name: String,
            rrdatas: Vec<String>,
            ttl: u32,
            #[serde(rename = "type")]
            rtype: String,
        }
        let mut text = comment("#", [self.title()].iter().chain(notes));
        for set in self.sets() {
            text += "---\n";
            text += &yaml(&Document {
                kind: "dns#resourceRecordSet",
                name: name_to_text(&set.owner),
                rtype: set.rtype(),
                rrdatas: set.rdata,
                ttl: set.ttl,
            });
        }
        text
    }

    fn azure(&self, notes: &[String]) -> String {
        let parent = undotted(self.parent);
        let stay = "Records that are there already stay: `az network dns record-set list` tells them".to_owned();
        let mut text = comment("#", [self.title(), stay].iter().chain(notes));
        let _ = writeln!(text, ": \"${{RESOURCE_GROUP:?the resource group of the zone}}\"");
        for record in self.delegation.records() {
            let rdata = record.rdata_to_text();
            let fields: Vec<_> = rdata.split(' ').collect();
            let (kind, flags): (_, &[&str]) = match record.rtype {
                RecordType::NS => ("ns", &["--nsdname"]),
                RecordType::AAAA => ("aaaa", &["--ipv6-address"]),
                RecordType::A => ("a", &["--ipv4-address"]),
                _ => ("ds", &["--key-tag", "--algorithm", "--digest-type", "--digest"]),
            };
            let _ = write!(
                text,
                "az network dns record-set {kind} add-record --resource-group \"$RESOURCE_GROUP\" --zone-name {} \
                 --record-set-name {} --ttl {}",
                quoted(&parent),
                quoted(&self.relative(&record.owner)),
                record.ttl,
            );
            for (flag, field) in flags.iter().zip(fields) {
                let _ = write!(text, " {flag} {}", quoted(field));
            }
            text.push('\n');
        }
        text
    }

    fn external_dns(&self, notes: &[String]) -> String {
        let flags = "external-dns needs --source=crd, and --managed-record-types for each of A, AAAA and NS".to_owned();
        let endpoints = self.sets().into_iter().filter(|set| set.rtype != RecordType::DS).map(|set| {
            let targets: Vec<_> = set.rdata.iter().map(|rdata| rdata.trim_end_matches('.')).collect();
            json!({
                "dnsName": undotted(&set.owner),
                "recordTTL": set.ttl,
                "recordType": set.rtype(),
                "targets": targets,
            })
        });
        let name = undotted(&self.delegation.zone).to_lowercase();
        // An object's name is a host name (RFC 1123).
        let name = name.replace(|letter: char| !letter.is_ascii_alphanumeric() && !".-".contains(letter), "0");
        let object = json!({
            "apiVersion": "externaldns.k8s.io/v1alpha1",
            "kind": "DNSEndpoint",
            "metadata": { "name": name },
            "spec": { "endpoints": endpoints.collect::<Vec<_>>() },
        });
        comment("#", [self.title(), flags].iter().chain(notes)) + &yaml(&object)
    }

    fn octodns(&self, notes: &[String]) -> String {
        // octoDNS wants all keys in order.
        let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for set in self.sets() {
            let name = self.relative(&set.owner);
            let values: Vec<_> = set.rdata.iter().map(|rdata| octodns_value(set.rtype, rdata)).collect();
            let record = json!({ "ttl": set.ttl, "type": set.rtype(), "values": values });
            names.entry((natural(&name), name)).or_default().push(record);
        }
        let mut text = comment("#", [self.title()].iter().chain(notes)) + "---\n";
        for ((_, name), records) in names {
            text += &yaml(&BTreeMap::from([(name, records)]));
        }
        text
    }

    fn terraform(&self, notes: &[String]) -> String {
        let how = "The provider hashicorp/dns sends dynamic updates (RFC 2136): its block `update` names the server and the key";
        let mut text = comment("#", [self.title(), how.to_owned()].iter().chain(notes));
        for set in self.sets().into_iter().filter(|set| set.rtype != RecordType::DS) {
            let (kind, values) = match set.rtype {
                RecordType::NS => ("ns", "nameservers"),
                RecordType::AAAA => ("aaaa", "addresses"),
                _ => ("a", "addresses"),
            };
            let rdata: Vec<_> = set.rdata.iter().map(|rdata| hcl(rdata)).collect();
            let (zone, name) = (hcl(&name_to_text(self.parent)), hcl(&self.relative(&set.owner)));
            let width = values.len();
            let _ = writeln!(text, "\nresource \"dns_{kind}_record_set\" {} {{", hcl(&label(&set.owner)));
            for (key, value) in [
                ("zone", zone),
                ("name", name),
                (values, format!("[{}]", rdata.join(", "))),
                ("ttl", set.ttl.to_string()),
            ] {
                let _ = writeln!(text, "  {key:<width$} = {value}");
            }
            text += "}\n";
        }
        text
    }
}

/// A line of a master file, by columns: `owner TTL IN TYPE RDATA`, names at or below `origin` relative to it; without the TTL where
/// it is the `default`.
pub(super) fn line(record: &Record, origin: &Name, default: Option<u32>) -> [String; 4] {
    let rdata = match record.target() {
        Some(target) => relative_or_absolute(&target, origin),
        None => record.rdata_to_text(),
    };
    let ttl = if default == Some(record.ttl) { String::new() } else { record.ttl.to_string() };
    [relative_or_absolute(&record.owner.to_lowercase(), origin), ttl, record.rtype_to_text(), rdata]
}

/// Lines in columns, the first at least `owners` wide; with the class where it `has_class`.
pub(super) fn columns(lines: &[[String; 4]], owners: usize, has_class: bool) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or_default();
    let [owners, ttls, rtypes] = [owners.max(width(0)), width(1), width(2)];
    let class = if has_class { "IN " } else { "" };
    let mut text = String::new();
    for [owner, ttl, rtype, rdata] in lines {
        let _ = write!(text, "{owner:<owners$}  ");
        if ttls > 0 {
            let _ = write!(text, "{ttl:<ttls$} ");
        }
        let _ = writeln!(text, "{class}{rtype:<rtypes$} {rdata}");
    }
    text
}

fn relative_or_absolute(name: &Name, origin: &Name) -> String {
    if origin.zone_of(name) { relative(name, origin) } else { name_to_text(name) }
}

/// `name`, which is at or below `origin`, without what both have in common; `@` where that is all.
fn relative(name: &Name, origin: &Name) -> String {
    let labels = name.iter().count() - origin.iter().count();
    if labels == 0 {
        return "@".to_owned();
    }
    undotted(&Name::from_labels(name.iter().take(labels)).expect("a part of a name"))
}

/// Without the final dot.
fn undotted(name: &Name) -> String {
    let text = name_to_text(name);
    text.strip_suffix('.').filter(|text| !text.is_empty()).unwrap_or(&text).to_owned()
}

/// `lines` as comments, which nothing ends but the end of the line.
fn comment<'l>(mark: &str, lines: impl IntoIterator<Item = &'l String>) -> String {
    lines.into_iter().map(|line| format!("{mark} {line}\n")).collect()
}

fn yaml(value: &impl Serialize) -> String {
    serde_saphyr::to_string(value).expect("text, numbers and lists")
}

/// A word that a shell leaves as it is.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).expect("no NUL stands in presentation form").into_owned()
}

/// A string of HCL: JSON's, in which `${` and `%{` begin what is evaluated.
fn hcl(text: &str) -> String {
    json!(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

/// What Terraform calls a resource: it begins with a letter.
fn label(owner: &Name) -> String {
    let name = undotted(owner).replace('_', "__");
    let name = name.replace(|letter: char| !letter.is_ascii_alphanumeric() && !"_-".contains(letter), "_");
    if name.starts_with(|letter: char| letter.is_ascii_alphabetic()) { name } else { format!("z_{name}") }
}

/// RDATA as octoDNS has it: text, or for DS an object.
fn octodns_value(rtype: RecordType, rdata: &str) -> serde_json::Value {
    let fields: Vec<_> = rdata.split(' ').collect();
    match (rtype, &fields[..]) {
        (RecordType::DS, [key_tag, algorithm, digest_type, digest]) => {
            let number = |text: &str| text.parse::<u16>().expect("a number");
            json!({
                "algorithm": number(algorithm),
                "digest": digest,
                "digest_type": number(digest_type),
                "key_tag": number(key_tag),
            })
        }
        _ => json!(rdata),
    }
}

/// By which octoDNS orders names: text by text, numbers in it by their value.
fn natural(name: &str) -> Vec<(String, Option<u128>)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let (text, behind) = rest.split_at(text);
        let digits = behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len());
        let (digits, behind) = behind.split_at(digits);
        parts.push((text.to_owned(), digits.parse().ok()));
        rest = behind;
    }
    parts
}

//! What an API server would refuse, by its own rules and in its own words.
//!
//! Manifests have not been through an API: what it would never have stored is
//! found here instead, with the path of the field. The rules are those of
//! Kubernetes 1.36 for a new object, where a key or a record depends on the
//! field; what only the node's proxy or a cloud's load balancer look at
//! (`selector`, `targetPort`, `sessionAffinity`, …) and what depends on how a
//! cluster is configured (its address ranges) is not looked at. What an older
//! cluster gave out was accepted once: addresses may be written as they were
//! allowed to be before 1.36.
//!
//! tests/manifests.rs asks a real API server about the same objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use super::node::{Node, Position, Value};
use crate::cluster::{Kind, has_label_syntax, has_name_syntax, is_subdomain};
use crate::source::translate;

/// Why an object is refused: one of the reasons.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    /// Where the value stands, or what should contain it.
    pub(super) position: Option<Position>,
    /// The field's path, and what is wrong with it.
    pub(super) message: String,
}

/// The most characters that an error quotes of a value: a line for people, whatever stands in the text.
const MAX_QUOTED: usize = 256;

/// The beginning of a text that may be of any length.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Everything that is wrong with an object of `kind`.
pub(super) fn validate(kind: Kind, object: &Node) -> Vec<Cause> {
    let mut causes = Causes(Vec::new());
    let object = Field { parent: None, step: Step::Object, node: Some(object), place: None };
    causes.no_duplicate_keys(&object);
    causes.metadata(kind, &object.at("metadata"));
    match kind {
        Kind::Service => causes.service(&object.at("spec")),
        Kind::EndpointSlice => causes.endpoint_slice(&object),
        Kind::Namespace => {}
        Kind::Pod => causes.pod_status(&object.at("status")),
    }
    causes.0
}

/// A field of an object: the way to it, and what stands there, if anything does.
struct Field<'p, 'n> {
    parent: Option<&'p Field<'p, 'n>>,
    step: Step<'p>,
    node: Option<&'n Node>,
    /// Of what stands for it, where it does not stand there itself.
    place: Option<Position>,
}

enum Step<'a> {
    Object,
    Name(&'a str),
    Index(usize),
}

impl<'n> Field<'_, 'n> {
    fn at<'p>(&'p self, name: &'p str) -> Field<'p, 'n> {
        let node = self.node.and_then(|node| node.get(name));
        Field { parent: Some(self), step: Step::Name(name), node, place: None }
    }

    /// The element at `index`, which is `node`.
    fn element(&self, index: usize, node: &'n Node) -> Field<'_, 'n> {
        let node = Some(node).filter(|node| node.value != Value::Null);
        Field { parent: Some(self), step: Step::Index(index), node, place: self.place }
    }

    fn path(&self) -> String {
        let mut path = self.parent.map(Field::path).unwrap_or_default();
        match self.step {
            Step::Object => {}
            Step::Name(name) if path.is_empty() => path.push_str(name),
            Step::Name(name) => drop(write!(path, ".{name}")),
            Step::Index(index) => drop(write!(path, "[{index}]")),
        }
        path
    }

    fn position(&self) -> Option<Position> {
        let own = self.place.or(self.node.and_then(|node| node.position));
        own.or_else(|| self.parent.and_then(Field::position))
    }
}

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
/// Keys and values together, in octets.
const MAX_ANNOTATIONS: usize = 256 * 1024;
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_SLICE_PORTS: usize = 20_000;

struct Causes(Vec<Cause>);

/// The kinds of causes, as the API words them.
impl Causes {
    fn add(&mut self, field: &Field, what: &str, detail: &str) {
        let separator = if detail.is_empty() { "" } else { ": " };
        let path = field.path();
        let [path, what, detail] = [&path, what, detail].map(shortened);
        self.0.push(Cause { position: field.position(), message: format!("{path}: {what}{separator}{detail}") });
    }

    fn invalid(&mut self, field: &Field, value: &Node, detail: &str) {
        self.add(field, &format!("Invalid value: {value}"), detail);
    }

    fn required(&mut self, field: &Field, detail: &str) {
        self.add(field, "Required value", detail);
    }

    fn duplicate(&mut self, field: &Field, value: impl std::fmt::Display) {
        self.add(field, &format!("Duplicate value: {value}"), "");
    }

    fn too_many(&mut self, field: &Field, count: usize, most: usize) {
        self.add(field, &format!("Too many: {count}"), &format!("must have at most {most} items"));
    }

    /// What stands at the field is one of `known`.
    fn supported(&mut self, field: &Field, value: &str, known: &[&str]) {
        if !known.contains(&value) {
            let known = known.iter().map(|known| format!("{known:?}")).collect::<Vec<_>>().join(", ");
            self.add(field, &format!("Unsupported value: {value:?}"), &format!("supported values: {known}"));
        }
    }
}

/// Types: what has another one is no value, and told.
impl Causes {
    fn of_type<'a, T>(
        &mut self,
        field: &Field<'_, 'a>,
        wanted: &str,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Option<T> {
        let node = field.node?;
        let value = read(node);
        if value.is_none() {
            self.invalid(field, node, &format!("must be {wanted}"));
        }
        value
    }

    fn text<'a>(&mut self, field: &Field<'_, 'a>) -> Option<&'a str> {
        self.of_type(field, "a string", Node::text)
    }

    /// A text that is not "": that stands for none in most fields of the API.
    fn full_text<'a>(&mut self, field: &Field<'_, 'a>) -> Option<&'a str> {
        self.text(field).filter(|text| !text.is_empty())
    }

    fn integer(&mut self, field: &Field) -> Option<i64> {
        self.of_type(field, "an integer", Node::integer)
    }

    fn boolean(&mut self, field: &Field) {
        self.of_type(field, "a boolean", |node| matches!(node.value, Value::Bool(_)).then_some(()));
    }

    fn list<'a>(&mut self, field: &Field<'_, 'a>) -> &'a [Node] {
        self.of_type(field, "a list", |node| if let Value::List(nodes) = &node.value { Some(&**nodes) } else { None })
            .unwrap_or_default()
    }

    fn map<'a>(&mut self, field: &Field<'_, 'a>) -> &'a [(Box<str>, Node)] {
        self.of_type(field, "a map", |node| if let Value::Map(fields) = &node.value { Some(&**fields) } else { None })
            .unwrap_or_default()
    }

    /// A map of strings: what is not a string is told.
    fn strings<'a>(&mut self, field: &Field<'_, 'a>) -> Vec<(&'a str, &'a str)> {
        let mut strings = Vec::new();
        for (key, node) in self.map(field) {
            match &node.value {
                Value::Text(value) => strings.push((&**key, &**value)),
                // As Go decodes it.
                Value::Null => strings.push((key, "")),
                _ => self.add(field, &format!("Invalid value: {node}"), &format!("{key:?} must be a string")),
            }
        }
        strings
    }

    /// No key stands twice in any map, but with the same value: only one would count, and which of them nobody says.
    fn no_duplicate_keys(&mut self, field: &Field) {
        match field.node.map(|node| &node.value) {
            Some(Value::Map(fields)) => {
                let mut seen = BTreeMap::new();
                for (key, node) in fields {
                    let field = Field { parent: Some(field), step: Step::Name(key), node: Some(node), place: None };
                    if seen.insert(key, node).is_some_and(|before| before != node) {
                        self.add(&field, "Duplicate field", "it stands there already, with another value");
                    }
                    self.no_duplicate_keys(&field);
                }
            }
            Some(Value::List(nodes)) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.no_duplicate_keys(&field.element(index, node));
                }
            }
            _ => {}
        }
    }
}

/// metadata
impl Causes {
    fn metadata(&mut self, kind: Kind, metadata: &Field) {
        self.map(metadata);
        let name = metadata.at("name");
        match (self.full_text(&name), kind) {
            (Some(text), Kind::Service | Kind::Namespace) => self.label(&name, text),
            (Some(text), Kind::EndpointSlice | Kind::Pod) => self.subdomain(&name, text),
            (None, _) if name.node.is_none_or(|node| node.text().is_some()) => {
                let is_generated = metadata.at("generateName").node.is_some();
                self.required(
                    &name,
                    if is_generated { "a generated name is known to the API server only" } else { "" },
                );
            }
            (None, _) => {}
        }
        let namespace = metadata.at("namespace");
        if let Some(text) = self.full_text(&namespace)
            && kind != Kind::Namespace
        {
            self.label(&namespace, text);
        }
        self.text(&metadata.at("resourceVersion"));
        let labels = metadata.at("labels");
        for (key, value) in self.strings(&labels) {
            self.key(&labels, key, key);
            if value.len() > 63 {
                self.add(&labels, &format!("Invalid value: {value:?}"), "must be no more than 63 bytes");
            }
            if !value.is_empty() && !has_name_syntax(value) {
                self.add(
                    &labels,
                    &format!("Invalid value: {value:?}"),
                    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                     start and end with an alphanumeric character",
                );
            }
        }
        let annotations = metadata.at("annotations");
        let strings = self.strings(&annotations);
        for (key, _) in &strings {
            self.key(&annotations, key, &key.to_ascii_lowercase());
        }
        if strings.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_ANNOTATIONS {
            self.add(&annotations, "Too long", &format!("may not be more than {MAX_ANNOTATIONS} bytes"));
        }
    }

    /// A label's or an annotation's key, or what has the same form, told as `shown`: "qualified name" of the API.
    fn key(&mut self, field: &Field, shown: &str, key: &str) {
        let what = format!("Invalid value: {shown:?}");
        let (prefix, name) = match key.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, key),
        };
        match prefix {
            Some("") => self.add(field, &what, "prefix part must be non-empty"),
            Some(prefix) if !is_subdomain(prefix) => {
                self.add(field, &what, &format!("prefix part {SUBDOMAIN}"));
            }
            _ => {}
        }
        if name.is_empty() {
            self.add(field, &what, "name part must be non-empty");
        } else if name.len() > 63 {
            self.add(field, &what, "name part must be no more than 63 bytes");
        } else if !has_name_syntax(name) {
            self.add(
                field,
                &what,
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character",
            );
        }
    }

    fn label(&mut self, field: &Field, text: &str) {
        let what = format!("Invalid value: {text:?}");
        if text.len() > 63 {
            self.add(field, &what, "must be no more than 63 bytes");
        }
        if has_label_syntax(text) {
        } else if text.split('.').all(has_label_syntax) {
            self.add(field, &what, "must not contain dots");
        } else {
            self.add(
                field,
                &what,
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                 end with an alphanumeric character",
            );
        }
    }

    fn subdomain(&mut self, field: &Field, text: &str) {
        let what = format!("Invalid value: {text:?}");
        if text.len() > 253 {
            self.add(field, &what, "must be no more than 253 bytes");
        } else if !is_subdomain(text) {
            self.add(field, &what, SUBDOMAIN);
        }
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                         must start and end with an alphanumeric character";

/// v1 Service
impl Causes {
    fn service(&mut self, spec: &Field) {
        self.map(spec);
        let service_type = spec.at("type");
        let of_type = self.full_text(&service_type);
        if let Some(text) = of_type {
            self.supported(&service_type, text, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
        }
        let is_external_name = of_type == Some("ExternalName");
        let is_headless = self.cluster_ips(spec, of_type.unwrap_or("ClusterIP"));

        let ports = spec.at("ports");
        let list = self.list(&ports);
        if list.is_empty() && !is_headless && !is_external_name && ports.node.is_none_or(is_list) {
            self.required(&ports, "");
        }
        self.service_ports(&ports, list);

        let external_name = spec.at("externalName");
        let name = self.text(&external_name).unwrap_or_default();
        if is_external_name && external_name.node.is_none_or(|node| node.text().is_some()) {
            match name.strip_suffix('.').unwrap_or(name) {
                "" => self.required(&external_name, ""),
                name => self.subdomain(&external_name, name),
            }
        }
        let external_ips = spec.at("externalIPs");
        for (index, node) in self.list(&external_ips).iter().enumerate() {
            let field = external_ips.element(index, node);
            if let Some(address) = self.address(&field, node) {
                self.endpoint_address(&field, node, address);
            }
        }
    }

    /// `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`; gives whether the Service is headless.
    fn cluster_ips(&mut self, spec: &Field, service_type: &str) -> bool {
        let (single, mut several) = (spec.at("clusterIP"), spec.at("clusterIPs"));
        let (families, policy) = (spec.at("ipFamilies"), spec.at("ipFamilyPolicy"));
        let first = self.full_text(&single).and(single.node);
        let listed = self.list(&several);
        let family_names = self.list(&families);
        let policy_name = self.text(&policy);

        // The API makes the list of the single one, and looks at the list.
        let ips: Vec<&Node> = if listed.is_empty() { first.into_iter().collect() } else { listed.iter().collect() };
        if listed.is_empty() {
            several.place = single.position();
        }
        let is_none = |node: &Node| node.text() == Some("None");
        let is_headless = matches!(ips[..], [ip] if is_none(ip));

        if service_type == "ExternalName" {
            const ABSENT: &str = "may not be set for ExternalName services";
            for (field, is_set) in
                [(&several, !ips.is_empty()), (&families, !family_names.is_empty()), (&policy, policy_name.is_some())]
            {
                if is_set {
                    self.add(field, "Forbidden", ABSENT);
                }
            }
            return is_headless;
        }
        if is_headless && ["LoadBalancer", "NodePort"].contains(&service_type) {
            let detail = format!("may not be set to 'None' for {service_type} services");
            self.invalid(&several.element(0, ips[0]), ips[0], &detail);
        }
        if let Some(list) = several.node.filter(|_| !listed.is_empty()) {
            match first {
                None => self.invalid(&several, list, "must be empty when `clusterIP` is not specified"),
                Some(first) if first.value != listed[0].value => {
                    self.invalid(&several, list, "first value must match `clusterIP`");
                }
                Some(_) => {}
            }
        }
        let mut seen = BTreeSet::new();
        for (index, node) in family_names.iter().enumerate() {
            let field = families.element(index, node);
            let family = self.text(&field).unwrap_or_default();
            self.supported(&field, family, &["IPv4", "IPv6"]);
            if !seen.insert(family) {
                self.duplicate(&field, node);
            }
        }
        if let Some(policy_name) = policy_name {
            self.supported(&policy, policy_name, &["PreferDualStack", "RequireDualStack", "SingleStack"]);
        }

        let found = self.0.len();
        let mut addresses = Vec::new();
        for (index, ip) in ips.iter().enumerate() {
            if index == 0 && is_none(ip) {
                if ips.len() > 1 {
                    self.add(&several, "Invalid value", "'None' must be the first and only value");
                }
                continue;
            }
            addresses.extend(self.address(&several.element(index, ip), ip));
        }
        if let Some(list) = several.node.filter(|_| ips.len() > 2) {
            self.invalid(&several, list, "may only hold up to 2 values");
        }
        if self.0.len() > found {
            return is_headless;
        }
        if let ([one, other], Some(list)) = (&addresses[..], several.node)
            && one.is_ipv4() == other.is_ipv4()
        {
            self.invalid(&several, list, "may specify no more than one IP for each IP family");
        }
        for (index, (address, family)) in addresses.iter().zip(family_names).enumerate() {
            let own = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            if let Some(family) = family.text().filter(|family| *family != own) {
                let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                self.invalid(&several.element(index, ips[index]), ips[index], &detail);
            }
        }
        if self.0.len() == found && policy_name.is_none_or(|name| name == "SingleStack") {
            // Without a selector, a headless Service is dual-stack by default.
            let is_dual = policy_name.is_none() && is_headless && spec.at("selector").node.is_none_or(is_empty_map);
            let what = match (ips.len(), family_names.len()) {
                (2, _) => Some("cluster IPs"),
                (_, 2) if !is_dual => Some("IP families"),
                _ => None,
            };
            if let Some(what) = what {
                let detail =
                    format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                self.add(&policy, "Invalid value: \"SingleStack\"", &detail);
            }
        }
        is_headless
    }

    fn service_ports(&mut self, ports: &Field, list: &[Node]) {
        let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for (index, node) in list.iter().enumerate() {
            let field = ports.element(index, node);
            self.map(&field);
            let name = field.at("name");
            match self.full_text(&name) {
                Some(text) => {
                    self.label(&name, text);
                    if !names.insert(text) {
                        self.duplicate(&name, format_args!("{text:?}"));
                    }
                }
                None if list.len() > 1 && name.node.is_none_or(|node| node.text().is_some()) => {
                    self.required(&name, "");
                }
                None => {}
            }
            let protocol = self.protocol(&field.at("protocol"));
            self.app_protocol(&field);
            let port = field.at("port");
            let number = if port.node.is_some() { self.integer(&port) } else { Some(0) };
            let Some(number) = number else { continue };
            if !(1..=65535).contains(&number) {
                let detail = "must be between 1 and 65535, inclusive";
                self.add(&port, &format!("Invalid value: {number}"), detail);
            }
            if !numbers.insert((protocol, number)) {
                self.duplicate(&field, format_args!(r#"{{"protocol":{protocol:?},"port":{number}}}"#));
            }
        }
    }

    /// The protocol of a port; TCP where none is named.
    fn protocol<'a>(&mut self, field: &Field<'_, 'a>) -> &'a str {
        let Some(protocol) = self.full_text(field) else { return "TCP" };
        self.supported(field, protocol, &PROTOCOLS);
        protocol
    }

    /// What is spoken at a port, if that is said.
    fn app_protocol(&mut self, port: &Field) {
        let app_protocol = port.at("appProtocol");
        if let Some(text) = self.text(&app_protocol) {
            self.key(&app_protocol, text, text);
        }
    }
}

fn is_list(node: &Node) -> bool {
    matches!(node.value, Value::List(_))
}

fn is_empty_map(node: &Node) -> bool {
    matches!(&node.value, Value::Map(fields) if fields.is_empty())
}

/// Addresses
impl Causes {
    fn address(&mut self, field: &Field, node: &Node) -> Option<IpAddr> {
        let text = self.text(field).or(field.node.is_none().then_some(""))?;
        let address = translate::address(text);
        if address.is_none() {
            self.invalid(field, node, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
        address
    }

    /// An address that somebody else could mean by it is none of an endpoint.
    fn endpoint_address(&mut self, field: &Field, node: &Node, address: IpAddr) {
        let (is_link_local, is_link_local_multicast) = match address {
            IpAddr::V4(address) => (address.is_link_local(), address.octets()[..3] == [224, 0, 0]),
            IpAddr::V6(address) => (address.is_unicast_link_local(), address.segments()[0] & 0xff0f == 0xff02),
        };
        if address.is_unspecified() {
            self.invalid(field, node, &format!("may not be unspecified ({address})"));
        }
        if address.is_loopback() {
            self.invalid(field, node, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        }
        if is_link_local {
            self.invalid(field, node, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
        }
        if is_link_local_multicast {
            self.invalid(field, node, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
        }
    }
}

/// v1 Pod
impl Causes {
    fn pod_status(&mut self, status: &Field) {
        self.map(status);
        self.text(&status.at("phase"));
        let single = status.at("podIP");
        if let Some(node) = self.full_text(&single).and(single.node) {
            self.address(&single, node);
        }
        let several = status.at("podIPs");
        for (index, node) in self.list(&several).iter().enumerate() {
            let element = several.element(index, node);
            self.map(&element);
            let ip = element.at("ip");
            if let Some(node) = ip.node {
                self.address(&ip, node);
            }
        }
    }
}

/// discovery.k8s.io/v1 EndpointSlice
impl Causes {
    fn endpoint_slice(&mut self, slice: &Field) {
        let address_type = slice.at("addressType");
        let of_type = self.full_text(&address_type);
        match of_type {
            Some(text) => self.supported(&address_type, text, &["FQDN", "IPv4", "IPv6"]),
            None if address_type.node.is_none_or(|node| node.text().is_some()) => self.required(&address_type, ""),
            None => {}
        }
        let ports = slice.at("ports");
        self.slice_ports(&ports);
        let endpoints = slice.at("endpoints");
        let list = self.list(&endpoints);
        if list.len() > MAX_ENDPOINTS {
            self.too_many(&endpoints, list.len(), MAX_ENDPOINTS);
            return;
        }
        for (index, node) in list.iter().enumerate() {
            self.endpoint(&endpoints.element(index, node), of_type.unwrap_or_default());
        }
    }

    fn slice_ports(&mut self, ports: &Field) {
        let list = self.list(ports);
        if list.len() > MAX_SLICE_PORTS {
            self.too_many(ports, list.len(), MAX_SLICE_PORTS);
            return;
        }
        let mut names = BTreeSet::new();
        for (index, node) in list.iter().enumerate() {
            let field = ports.element(index, node);
            self.map(&field);
            let name = field.at("name");
            let text = self.text(&name).unwrap_or_default();
            if !text.is_empty() {
                self.label(&name, text);
            }
            if !names.insert(text) {
                self.duplicate(&name, format_args!("{text:?}"));
            }
            let protocol = field.at("protocol");
            if let Some(text) = self.text(&protocol) {
                self.supported(&protocol, text, &PROTOCOLS);
            }
            self.app_protocol(&field);
            self.integer(&field.at("port"));
        }
    }

    fn endpoint(&mut self, endpoint: &Field, address_type: &str) {
        self.map(endpoint);
        let addresses = endpoint.at("addresses");
        let list = self.list(&addresses);
        if list.is_empty() && addresses.node.is_none_or(is_list) {
            self.required(&addresses, "must contain at least 1 address");
        } else if list.len() > MAX_ADDRESSES {
            self.too_many(&addresses, list.len(), MAX_ADDRESSES);
        }
        for (index, node) in list.iter().enumerate() {
            let field = addresses.element(index, node);
            if !["IPv4", "IPv6"].contains(&address_type) {
                // A host name makes no record.
                self.text(&field);
            } else if let Some(address) = self.address(&field, node) {
                if (address_type == "IPv4") != address.is_ipv4() {
                    self.invalid(&addresses, node, &format!("must be an {address_type} address"));
                }
                self.endpoint_address(&field, node, address);
            }
        }
        let hostname = endpoint.at("hostname");
        if let Some(text) = self.text(&hostname) {
            self.label(&hostname, text);
        }
        let conditions = endpoint.at("conditions");
        self.map(&conditions);
        self.boolean(&conditions.at("ready"));
    }
}

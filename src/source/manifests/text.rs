//! What a manifest's text says: its documents, their Lists, and the objects in them.
//!
//! YAML and JSON are told apart by the text, not by the file's name, as
//! kubectl does: what begins as a JSON object is read as JSON, and as YAML
//! where it is none. Objects become what the cluster keeps of them as soon as
//! they are read: a List of all of a cluster's Services never stands in memory
//! as a tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Options, Spanned};
use tracing::debug;

use super::node::{Node, Position, Value};
use super::side_by_side;
use super::validate::{Cause, shortened, validate};
use crate::cluster::{Kind, Object, ObjectKey};
use crate::source::translate::{self, Item};

/// The namespace of an object that names none, as with kubectl.
const NAMESPACE: &str = "default";

/// From this size on, in octets, a text's documents are read side by side.
const LARGE: usize = 1 << 20;

/// How deep a value may nest: as in JSON for its parser. Each level takes stack.
const DEPTH: usize = 128;

/// What a text says.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) objects: Vec<(ObjectKey, Object)>,
    pub(super) refused: Vec<Refused>,
}

/// An object that is not taken over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    /// None: the text does not say which object it is.
    pub(super) key: Option<ObjectKey>,
    /// What a person calls it.
    title: String,
    causes: Vec<Cause>,
}

/// Something that is wrong with a text, and where.
pub(super) type Fault = (Position, String);

impl Refused {
    /// Everything that is wrong with it.
    pub(super) fn faults(&self) -> impl Iterator<Item = Fault> {
        let colon = if self.title.is_empty() { "" } else { ": " };
        self.causes
            .iter()
            .map(move |cause| (cause.position.unwrap_or((1, 1)), format!("{}{colon}{}", self.title, cause.message)))
    }
}

/// Reads a text; what is no YAML, and no JSON either, makes all of it worth nothing: every such place is told.
pub(super) fn read(text: &str) -> Result<Manifest, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = text.trim_start().starts_with('{').then(|| json_documents(text)).flatten();
    let documents = json.unwrap_or_else(|| yaml_documents(text));
    let said = if text.len() < LARGE {
        documents.iter().map(Document::read).collect()
    } else {
        side_by_side(documents, |document| document.read())
    };
    let mut manifest = Manifest::default();
    let mut faults = Vec::new();
    for said in said {
        match said {
            Ok(said) => {
                for said in said {
                    match said {
                        Said::Object(key, object) => manifest.objects.push((key, object)),
                        Said::Refused(refused) => manifest.refused.push(refused),
                    }
                }
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(manifest) } else { Err(faults) }
}

/// A part of a text that is read alone.
#[derive(Debug)]
struct Document<'t> {
    text: &'t str,
    /// Lines of the whole text before it.
    lines_before: u64,
    is_json: bool,
}

/// The objects of a stream of JSON; none where it is no JSON.
fn json_documents(text: &str) -> Option<Vec<Document<'_>>> {
    let mut documents = Vec::new();
    let (mut lines, mut counted) = (0, 0);
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let document = document.ok()?.get();
        let begin = document.as_ptr().addr() - text.as_ptr().addr();
        lines += newlines(&text[counted..begin]);
        counted = begin;
        documents.push(Document { text: document, lines_before: lines, is_json: true });
    }
    Some(documents)
}

/// The documents of a stream of YAML.
///
/// A line that begins with `---` is a marker wherever it stands: no scalar, quoted or not, may contain one
/// (YAML 1.2 §9.1.2, c-forbidden).
fn yaml_documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut begin, mut lines_before) = (0, 0);
    let (mut offset, mut lines) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with('%') {
            // A directive belongs to the marker after it.
            return vec![Document { text, lines_before: 0, is_json: false }];
        }
        let is_marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if is_marker && offset > begin {
            documents.push(Document { text: &text[begin..offset], lines_before, is_json: false });
            (begin, lines_before) = (offset, lines);
        }
        offset += line.len();
        lines += 1;
    }
    documents.push(Document { text: &text[begin..], lines_before, is_json: false });
    documents
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|octet| *octet == b'\n').count() as u64
}

impl Document<'_> {
    fn read(&self) -> Result<Vec<Said>, Fault> {
        if !self.is_json {
            return self.read_yaml();
        }
        match serde_json::from_str::<Whole>(self.text) {
            Ok(Whole(said)) if !said.iter().any(|said| matches!(said, Said::Refused(_))) => Ok(said),
            // JSON is YAML, too, and YAML's parser knows the places.
            Ok(Whole(said)) => self.read_yaml().or_else(|_| Ok(self.placed(said, (1, 1)))),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let message = error.to_string();
                let message = without(&message, &format!(" at line {line} column {column}"));
                Err(self.fault((line as u64, column as u64), message))
            }
        }
    }

    fn read_yaml(&self) -> Result<Vec<Said>, Fault> {
        let documents: Vec<Spanned<Whole>> =
            serde_saphyr::from_multiple_with_options(self.text, options()).map_err(|error| {
                let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
                let message = error.without_snippet().to_string();
                self.fault((line, column), without(&message, &format!(" at line {line}, column {column}")))
            })?;
        let placed = |document: Spanned<Whole>| {
            let begin = (document.referenced.line(), document.referenced.column());
            self.placed(document.value.0, begin)
        };
        Ok(documents.into_iter().flat_map(placed).collect())
    }

    /// `said`, with places in the whole text; what has none gets that of the document's first value, `begin`.
    fn placed(&self, mut said: Vec<Said>, begin: Position) -> Vec<Said> {
        for said in &mut said {
            if let Said::Refused(refused) = said {
                for cause in &mut refused.causes {
                    let (line, column) = cause.position.unwrap_or(begin);
                    cause.position = Some((line + self.lines_before, column));
                }
            }
        }
        said
    }

    fn fault(&self, (line, column): Position, message: &str) -> Fault {
        let mut message = shortened(message).into_owned();
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        if self.text.lines().nth(index).is_some_and(|line| line.contains("{{")) {
            message += " (a template has to be rendered first)";
        }
        ((line + self.lines_before, column), message)
    }
}

/// A parser's message without its place, which is one in the document.
fn without<'m>(message: &'m str, place: &str) -> &'m str {
    message.strip_suffix(place).unwrap_or(message)
}

/// The parser's limits on a file's length are lifted: a cluster's Services may
/// be in one. Those on its depth and on what aliases repeat do not go.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: usize::MAX,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_depth: DEPTH,
        },
        emit_comments: false,
        // Told with the object they are in, and of no interest in others.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // As kubectl reads them.
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    }
}

/// What a document says of one object.
#[derive(Debug)]
enum Said {
    Object(ObjectKey, Object),
    Refused(Refused),
}

/// What a document says: its object, or those in its List.
#[derive(Debug)]
struct Whole(Vec<Said>);

/// The items of a List, as far as they say by themselves what they are.
struct Items(Vec<Result<Vec<Said>, Node>>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct WholeVisitor;

        impl<'de> Visitor<'de> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with apiVersion and kind")
            }

            fn visit_unit<E>(self) -> Result<Whole, E> {
                Ok(Whole(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Whole, A::Error> {
                let mut items = Items(Vec::new());
                let mut fields = Vec::new();
                while let Some(key) = map.next_key::<Box<str>>()? {
                    if *key == *"items" {
                        items = map.next_value()?;
                    } else {
                        fields.push((key, map.next_value()?));
                    }
                }
                let object = Node { position: None, value: Value::Map(fields) };
                Ok(Whole(said(&object, None, items)))
            }
        }

        from.deserialize_any(WholeVisitor)
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;

        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the items of a List")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let mut items = Vec::new();
                while let Some(node) = list.next_element::<Node>()? {
                    let is_typed = node.get("apiVersion").is_some() && node.get("kind").is_some();
                    items.push(if is_typed { Ok(said_of_item(node, None)) } else { Err(node) });
                }
                Ok(Items(items))
            }

            fn visit_unit<E>(self) -> Result<Items, E> {
                Ok(Items(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Items, A::Error> {
                // Of an object that is no List, and calls something of its own so.
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Items(Vec::new()))
            }
        }

        from.deserialize_any(ItemsVisitor)
    }
}

/// What an item of a List says; `of_list` is the type of a typed list's items, which need not say it.
fn said_of_item(mut item: Node, of_list: Option<(&str, &str)>) -> Vec<Said> {
    let Value::Map(fields) = &mut item.value else {
        return vec![unidentified(&item, &format!("{} is no object", shortened(&item.to_string())))];
    };
    let mut items = Vec::new();
    fields.retain_mut(|(key, node)| {
        let is_items = **key == *"items";
        if let (true, Value::List(nodes)) = (is_items, &mut node.value) {
            items.append(nodes);
        }
        !is_items
    });
    said(&item, of_list, Items(items.into_iter().map(Err).collect()))
}

/// What an object says, or the `items` in it.
fn said(object: &Node, of_list: Option<(&str, &str)>, items: Items) -> Vec<Said> {
    let field = |name| object.get(name).and_then(Node::text);
    let version = field("apiVersion").or(of_list.map(|of| of.0));
    let kind = field("kind").or(of_list.map(|of| of.1));
    let (Some(version), Some(kind)) = (version, kind) else {
        let missing = match (version, kind) {
            (None, None) => "apiVersion and kind",
            (None, Some(_)) => "apiVersion",
            (Some(_), _) => "kind",
        };
        return vec![unidentified(object, &format!("an object without {missing}"))];
    };
    let kind = match (version, kind) {
        ("v1", "Service") => Kind::Service,
        ("v1", "Namespace") => Kind::Namespace,
        ("discovery.k8s.io/v1", "EndpointSlice") => Kind::EndpointSlice,
        // As people write them, Pods have none: a cluster gives them addresses.
        ("v1", "Pod") if object.get("status").is_some() => Kind::Pod,
        (_, list) if list.ends_with("List") => {
            let of_list = Some((version, list.trim_end_matches("List"))).filter(|of| !of.1.is_empty());
            let said = |item: Result<Vec<Said>, Node>| item.unwrap_or_else(|item| said_of_item(item, of_list));
            return items.0.into_iter().flat_map(said).collect();
        }
        (version, kind) => match meant(version, kind) {
            Some(meant) => {
                let message = format!("no matches for kind {kind:?} in version {version:?}: is it {meant}?");
                return vec![unidentified(object, &message)];
            }
            None => {
                debug!(version, kind, "ignored in a manifest");
                return Vec::new();
            }
        },
    };
    let mut causes = validate(kind, object);
    if causes.is_empty() {
        match translate::item(kind, NAMESPACE, object) {
            Ok(Item { identity, object }) => {
                return object.map(|object| Said::Object(identity.key, object)).into_iter().collect();
            }
            Err(error) => causes.push(Cause { position: None, message: error.to_string() }),
        }
    }
    let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
    let title = name.map_or(format!("{kind:?}"), |name| format!("{kind:?} {}", shortened(&name.to_string())));
    vec![Said::Refused(Refused { key: key_of(kind, object), title, causes })]
}

/// Which object it is, as far as it can be told of one that is refused.
fn key_of(kind: Kind, object: &Node) -> Option<ObjectKey> {
    let metadata = object.get("metadata")?;
    let namespace = match (kind, metadata.get("namespace").map_or(Some(""), Node::text)?) {
        (Kind::Namespace, _) => "",
        (_, "") => NAMESPACE,
        (_, namespace) => namespace,
    };
    let name = metadata.get("name")?.text().filter(|name| !name.is_empty())?;
    Some(ObjectKey { kind, namespace: namespace.into(), name: name.into() })
}

fn unidentified(object: &Node, message: &str) -> Said {
    let causes = vec![Cause { position: object.position, message: message.to_owned() }];
    Said::Refused(Refused { key: None, title: String::new(), causes })
}

/// The type that is followed here that somebody will have meant by one that Kubernetes has not.
///
/// Groups of others have Services of their own.
fn meant(version: &str, kind: &str) -> Option<&'static str> {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    if !["", "core", "discovery.k8s.io"].contains(&group) {
        return None;
    }
    let known = [
        ("Service", r#""Service" in "v1""#),
        ("Namespace", r#""Namespace" in "v1""#),
        ("EndpointSlice", r#""EndpointSlice" in "discovery.k8s.io/v1""#),
    ];
    // What it takes grows with the lengths.
    let is_near = |name: &str| name.len().abs_diff(kind.len()) <= 2 && strsim::damerau_levenshtein(name, kind) <= 2;
    let near = known.into_iter().find(|(name, _)| is_near(name));
    near.map(|(_, meant)| meant)
}

#[cfg(test)]
mod tests;

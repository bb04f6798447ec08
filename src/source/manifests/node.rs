//! An object as it stands in a manifest: a tree, with the places of its parts.
//!
//! Nothing is lost that an error would have to tell: a key that stands twice
//! is there twice, and a value of the wrong type is what it is. Text knows its
//! places where YAML was read; JSON's parser does not tell them.

use std::fmt;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_saphyr::Spanned;

/// A line and a column, each from 1.
pub(super) type Position = (u64, u64);

/// A value, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) position: Option<Position>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// Any other number; finite.
    Float(f64),
    Text(Box<str>),
    List(Vec<Node>),
    /// In the order of the text.
    Map(Vec<(Box<str>, Node)>),
}

impl Node {
    /// What stands at `name`: of several, the last. Nothing where this is no map, or what stands there is null.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        let Value::Map(fields) = &self.value else { return None };
        let (_, node) = fields.iter().rfind(|(key, _)| **key == *name)?;
        (node.value != Value::Null).then_some(node)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, also one that is written as `80.0`: JSON, which the API gets, has one number for both.
    pub(super) fn integer(&self) -> Option<i64> {
        match self.value {
            Value::Integer(number) => Some(number),
            // A whole one is printed without a point, of whatever size.
            Value::Float(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }
}

/// Says the same, wherever it stands.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// As the API prints it in an error.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Text(value) => write!(f, "{value:?}"),
            Value::List(nodes) => {
                f.write_str("[")?;
                for (index, node) in nodes.iter().enumerate() {
                    write!(f, "{}{node}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Value::Map(fields) => {
                f.write_str("{")?;
                for (index, (key, node)) in fields.iter().enumerate() {
                    write!(f, "{}{key:?}:{node}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::deserialize(from)?;
        // Line 0: not known.
        let position = Some((referenced.line(), referenced.column())).filter(|(line, _)| *line > 0);
        Ok(Self { position, value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Integer(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                // A commit such as 1234e567 is no number for kubectl, but a text: only which one is lost here.
                Ok(if value.is_finite() { Value::Float(value) } else { Value::Text(value.to_string().into()) })
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.into()))
            }

            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(Value::Text(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Value::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Value::Map(fields))
            }
        }

        from.deserialize_any(AnyValue)
    }
}

/// So that it is translated as what comes from an API.
impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::List(nodes) => visitor.visit_seq(SeqDeserializer::new(nodes.iter())),
            Value::Map(fields) => {
                visitor.visit_map(MapDeserializer::new(fields.iter().map(|(key, node)| (&**key, node))))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.integer() {
            Some(number) => visitor.visit_i64(number),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            // As Go decodes it: `k8s.ooo/publish:` has the value "".
            Value::Null => visitor.visit_borrowed_str(""),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

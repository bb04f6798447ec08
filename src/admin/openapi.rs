//! What the JSON API is, for machines: an OpenAPI 3.1 document, made from the types that answers are made from.
//!
//! The same list makes the router, so that nothing is answered that is not described.

use std::sync::Arc;

use axum::routing::MethodRouter;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::api::{Api, Problem};

/// Something that may be asked for.
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) method: MethodRouter<Arc<Api>>,
    pub(super) summary: &'static str,
    /// What its path and its query may say.
    pub(super) parameters: &'static [Parameter],
    pub(super) answer: Answer,
}

/// What may be said in a request.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) presence: Presence,
    pub(super) value: Kind,
}

/// Where a parameter stands, and whether it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    InPath,
    Required,
    Optional,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Boolean,
    /// A number from 1 to this.
    UpTo(usize),
}

/// What is answered where all is well.
pub(super) enum Answer {
    /// JSON of a type.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// JSON that says itself what it is.
    Document,
    /// A text of this media type.
    Text(&'static str),
}

impl Answer {
    /// JSON of `T`.
    pub(super) fn json<T: JsonSchema>() -> Self {
        Self::Json(SchemaGenerator::subschema_for::<T>)
    }
}

/// The document that describes `operations`.
pub(super) fn document(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut generator =
        settings.with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator();
    let problem = generator.subschema_for::<Problem>();
    let paths: Map<_, _> = operations.iter().map(|operation| path(operation, &mut generator, &problem)).collect();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "kubezone",
            "description": "What the server serves, what it knows of its clusters, and why. It only reads.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn path(operation: &Operation, generator: &mut SchemaGenerator, problem: &Schema) -> (String, Value) {
    let content = match operation.answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Answer::Document => json!({ "application/json": { "schema": { "type": "object" } } }),
        Answer::Text(media) => json!({ media: { "schema": { "type": "string" } } }),
    };
    let problem = json!({
        "description": "What is wrong, and what would be right.",
        "content": { "application/json": { "schema": problem } },
    });
    let described = json!({ "get": {
        "summary": operation.summary,
        "parameters": operation.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": { "200": { "description": operation.summary, "content": content }, "default": problem },
    } });
    (operation.path.to_owned(), described)
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.value {
        Kind::Text => json!({ "type": "string" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::UpTo(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
    };
    json!({
        "name": parameter.name,
        "in": if parameter.presence == Presence::InPath { "path" } else { "query" },
        "required": parameter.presence != Presence::Optional,
        "description": parameter.description,
        "schema": schema,
    })
}

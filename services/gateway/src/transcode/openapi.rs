//! `/openapi.json`: the REST surface as an OpenAPI 3.1 document, made from the descriptors and their comments.
//!
//! Promises: every binding and every message that it reaches is in it, and nothing else. Leaves the fixed pages that
//! are no RPCs to `route::pages`.

use std::collections::BTreeSet;

use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value, json};

use self::comment::Comments;
use super::table::{Binding, Body, Table};

mod comment;
mod schema;
#[cfg(test)]
mod tests;

/// The document as JSON text.
pub fn document(table: &Table) -> String {
    let mut comments = Comments::default();
    let mut reached = BTreeSet::new();
    let mut paths = Map::new();
    for binding in table.bindings() {
        let operation = operation(binding, &mut comments, &mut reached);
        let path = paths.entry(binding.template.to_string()).or_insert_with(|| json!({}));
        path[binding.verb.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas = schema::messages(reached, &mut comments);
    schemas.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lepton",
            "description": "Online analysis, durable tasks and models of a Lepton mesh.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
    .to_string()
}

fn operation(binding: &Binding, comments: &mut Comments, reached: &mut BTreeSet<String>) -> Value {
    let rpc = &binding.rpc;
    let (summary, description) = comments.of(&rpc.parent_service().parent_file(), rpc.path()).summary();
    let mut operation = json!({
        "operationId": format!("{}_{}", rpc.parent_service().name(), rpc.name()),
        "tags": [rpc.parent_service().name()],
        "summary": summary,
        "description": description,
        "parameters": parameters(binding, comments, reached),
        "responses": responses(binding, reached),
    });
    if let Some(body) = request_body(binding, reached) {
        operation["requestBody"] = body;
    }
    operation
}

fn parameters(binding: &Binding, comments: &mut Comments, reached: &mut BTreeSet<String>) -> Vec<Value> {
    let in_path: Vec<&str> = binding.template.fields().collect();
    let fields = binding.rpc.input().fields().collect::<Vec<_>>().into_iter();
    // What neither the path nor the body holds comes in the query.
    let shown = fields.filter(|field| in_path.contains(&field.name()) || matches!(binding.body, Body::None));
    shown
        .map(|field| {
            let is_path = in_path.contains(&field.name());
            // The template names fields as the proto does.
            let name = if is_path { field.name() } else { field.json_name() };
            json!({
                "name": name,
                "in": if is_path { "path" } else { "query" },
                "required": is_path,
                "description": comments.of(&field.parent_message().parent_file(), field.path()).whole(),
                "schema": schema::field(&field, reached),
            })
        })
        .collect()
}

fn request_body(binding: &Binding, reached: &mut BTreeSet<String>) -> Option<Value> {
    let content = match &binding.body {
        Body::None => return None,
        Body::Whole => json!({ "application/json": { "schema": reference(&binding.rpc.input(), reached) } }),
        Body::Field(field) if field.kind() == prost_reflect::Kind::Bytes => json!({ "application/octet-stream": {} }),
        Body::Field(field) => json!({ "application/json": { "schema": schema::field(field, reached) } }),
    };
    Some(json!({ "required": true, "content": content }))
}

fn responses(binding: &Binding, reached: &mut BTreeSet<String>) -> Value {
    let schema = match &binding.answer {
        Some(field) => schema::field(field, reached),
        None => reference(&binding.rpc.output(), reached),
    };
    let kind = if binding.rpc.is_server_streaming() {
        "text/event-stream"
    } else {
        "application/json"
    };
    json!({
        "200": { "description": "Done.", "content": { kind: { "schema": schema } } },
        "default": {
            "description": "Refused or failed.",
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        },
    })
}

/// A reference to a message's schema, which is thereby needed.
fn reference(message: &MessageDescriptor, reached: &mut BTreeSet<String>) -> Value {
    reached.insert(message.full_name().to_owned());
    json!({ "$ref": format!("#/components/schemas/{}", message.full_name()) })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": { "type": "integer", "description": "HTTP status code." },
                "status": { "type": "string", "description": "Canonical status, as NOT_FOUND." },
                "message": { "type": "string", "description": "What was wrong, with which value, and what to do." },
                "details": {
                    "type": "array",
                    "description": "google.rpc.ErrorInfo first, which carries the reason.",
                    "items": { "type": "object" },
                },
            },
        } },
    })
}

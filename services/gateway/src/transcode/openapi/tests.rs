//! The document as a tool reads it.

use super::*;

fn parsed() -> Value {
    let table = Table::of(lepton_proto::descriptors::pool()).expect("the contract's rules are supported");
    serde_json::from_str(&document(&table)).expect("JSON")
}

/// Every `$ref` in a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = parsed();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{}", found.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("local");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn path_parameters_are_those_of_the_path() {
    let document = parsed();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (verb, operation) in operations.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array().expect("parameters");
            for parameter in parameters.iter().filter(|parameter| parameter["in"] == "path") {
                let name = parameter["name"].as_str().expect("named");
                assert!(path.contains(&format!("{{{name}}}")), "{verb} {path}: {name}");
            }
            assert_eq!(
                parameters.iter().filter(|parameter| parameter["in"] == "path").count(),
                path.matches('{').count()
            );
            assert_ne!(operation["summary"], "", "{verb} {path}");
        }
    }
}

#[test]
fn operation_ids_are_unique_and_comments_are_there() {
    let document = parsed();
    let mut ids = BTreeSet::new();
    let operations = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|path| path.as_object().expect("path").values());
    for operation in operations {
        assert!(ids.insert(operation["operationId"].as_str().expect("named").to_owned()));
    }
    let task = &document["components"]["schemas"]["lepton.task.v1.Task"];
    assert_eq!(task["properties"]["tenant"]["description"], "Tenant that owns it.");
    assert_eq!(
        task["properties"]["version"]["$ref"],
        "#/components/schemas/lepton.task.v1.TaskVersion"
    );
}

//! The domain decides and nothing else: no runtime, no store, no clock, no randomness, and no floats in the ledger.

use crate::sources::{none, root, rust_files, short, text};

/// All that the domain may use.
const PURE: &[&str] = &["blake3", "bytes", "thiserror", "uuid"];

/// What must not appear in the domain's code.
const IMPURE: &[&str] = &[
    "tokio",
    "tonic",
    "etcd",
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "HashMap",
    "HashSet",
    "rand::",
    "println!",
    "tracing::",
];

#[test]
fn the_domain_uses_only_pure_crates() {
    let path = root().join("services/domain/Cargo.toml");
    let manifest: toml::Table = text(&path).parse().expect("Cargo.toml is TOML");
    let used = manifest["dependencies"].as_table().expect("a table").keys();
    let breaches: Vec<String> = used
        .filter(|name| !PURE.contains(&name.as_str()))
        .map(|name| format!("the domain may not use {name}"))
        .collect();
    none(&breaches);
}

#[test]
fn the_domain_is_pure() {
    let mut breaches = Vec::new();
    for path in rust_files(&root().join("services/domain/src")) {
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        for (number, line) in text(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                breaches.push(format!("{}:{}: {word}", short(&path), number + 1));
            }
        }
    }
    none(&breaches);
}

#[test]
fn the_ledger_has_no_floats() {
    let mut breaches = Vec::new();
    let src = root().join("services/domain/src");
    let files = rust_files(&src.join("ledger"))
        .into_iter()
        .chain(rust_files(&src.join("task")));
    for path in files.chain([src.join("ledger.rs"), src.join("task.rs")]) {
        for (number, line) in text(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("f64") || code.contains("f32") {
                breaches.push(format!("{}:{}: {line}", short(&path), number + 1));
            }
        }
    }
    none(&breaches);
}

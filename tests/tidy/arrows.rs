//! domain <- proto <- core <- telemetry <- coordination <- {journal, models}, mesh <- services <- cli, tests. No service
//! depends on another.

use crate::sources::{crates, none, short, text};

/// The crates that only decide or compute, and know no other of ours.
const LEAVES: &[&str] = &["lepton-domain", "lepton-analysis", "lepton-embedded-etcd"];

/// The crates below the services, from the bottom up: each may depend on those before it and on the domain.
const LAYERS: &[&str] = &[
    "lepton-proto",
    "lepton-core",
    "lepton-telemetry",
    "lepton-coordination",
    "lepton-journal",
    "lepton-models",
    "lepton-mesh",
];

/// The services, none of which depends on another.
const SERVICES: &[&str] = &["lepton-gateway", "lepton-scheduler", "lepton-worker", "lepton-monitor"];

/// Returns the crates of ours that `name` may depend on.
fn allowed(name: &str) -> Vec<&'static str> {
    if LEAVES.contains(&name) {
        return Vec::new();
    }
    let below = LAYERS.iter().take_while(|layer| **layer != name).copied();
    let mut allowed: Vec<_> = below.chain(["lepton-domain"]).collect();
    match name {
        // Connections and settings know no product: neither its models nor its journal.
        "lepton-mesh" => allowed.retain(|layer| !matches!(*layer, "lepton-journal" | "lepton-models")),
        "lepton-models" => allowed.retain(|layer| *layer != "lepton-journal"),
        "lepton-worker" => allowed.push("lepton-analysis"),
        "lepton" => allowed.extend(SERVICES.iter().chain(["lepton-embedded-etcd"].iter())),
        "lepton-tests" => allowed.extend(SERVICES.iter().chain(LEAVES).chain(["lepton"].iter())),
        name => assert!(
            LAYERS.contains(&name) || SERVICES.contains(&name),
            "{name} has no place in the house: give it one in this file"
        ),
    }
    allowed
}

#[test]
fn arrows_point_down() {
    let mut breaches = Vec::new();
    for folder in crates() {
        let path = folder.join("Cargo.toml");
        let manifest: toml::Table = text(&path).parse().expect("Cargo.toml is TOML");
        let name = manifest["package"]["name"].as_str().expect("a name").to_owned();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest
                .get(section)
                .and_then(toml::Value::as_table)
                .into_iter()
                .flat_map(toml::Table::keys);
            for dependency in names.filter(|name| name.starts_with("lepton")) {
                if !allowed(&name).contains(&dependency.as_str()) {
                    breaches.push(format!("{}: {name} may not depend on {dependency}", short(&path)));
                }
            }
        }
    }
    none(&breaches);
}

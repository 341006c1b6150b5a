//! domain <- proto <- mesh <- services <- cli, tests. No service depends on another.

use crate::sources::{crates, none, short, text};

/// What each crate may depend on among our own.
fn allowed(name: &str) -> &'static [&'static str] {
    match name {
        "lepton-domain" | "lepton-analysis" | "lepton-embedded-etcd" => &[],
        "lepton-proto" => &["lepton-domain"],
        "lepton-mesh" => &["lepton-domain", "lepton-proto"],
        "lepton-gateway" | "lepton-scheduler" | "lepton-monitor" => &["lepton-domain", "lepton-proto", "lepton-mesh"],
        "lepton-worker" => &["lepton-domain", "lepton-proto", "lepton-mesh", "lepton-analysis"],
        "lepton" => &[
            "lepton-domain",
            "lepton-proto",
            "lepton-mesh",
            "lepton-gateway",
            "lepton-scheduler",
            "lepton-worker",
            "lepton-monitor",
            "lepton-embedded-etcd",
        ],
        "lepton-tests" => &[
            "lepton-domain",
            "lepton-proto",
            "lepton-mesh",
            "lepton-gateway",
            "lepton-scheduler",
            "lepton-worker",
            "lepton-monitor",
            "lepton-embedded-etcd",
            "lepton-analysis",
            "lepton",
        ],
        other => panic!("{other} has no place in the house: say in this file what it may depend on"),
    }
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

//! The annotated configurations in `deploy/config` load, and say what the defaults are.

use crate::sources::{root, text};

/// Loads a reference configuration and compares it with the default.
fn same<C>(name: &str)
where
    C: serde::de::DeserializeOwned + serde::Serialize + Default,
{
    let path = root().join(format!("deploy/config/{name}.toml"));
    let written = text(&path);
    let loaded: C = toml::from_str(&written).unwrap_or_else(|error| panic!("{name}.toml does not load: {error}"));
    let loaded = toml::Value::try_from(&loaded).expect("a configuration is TOML");
    let default = toml::Value::try_from(C::default()).expect("a configuration is TOML");
    assert_eq!(loaded, default, "{name}.toml is not the default");
    every_option_is_there(name, &written, &default);
}

/// Every option stands in the file, after a comment that explains it. Options without a default stand commented out.
fn every_option_is_there(name: &str, written: &str, default: &toml::Value) {
    for (section, options) in default.as_table().expect("sections") {
        assert!(
            written.contains(&format!("[{section}]")),
            "{name}.toml lacks [{section}]"
        );
        for option in options.as_table().into_iter().flat_map(toml::Table::keys) {
            let mut lines = written.lines();
            let mut before = "";
            let stands = lines.any(|line| {
                let found = line.starts_with(&format!("{option} =")) || line == format!("[{section}.{option}]");
                let explained = before.starts_with('#');
                before = line;
                found && explained
            });
            assert!(
                stands,
                "{name}.toml: {section}.{option} is missing, or stands without a comment above it"
            );
        }
    }
}

#[test]
fn the_gateways_reference_is_the_default() {
    same::<lepton_gateway::Config>("gateway");
}

#[test]
fn the_schedulers_reference_is_the_default() {
    same::<lepton_scheduler::Config>("scheduler");
}

#[test]
fn the_workers_reference_is_the_default() {
    same::<lepton_worker::Config>("worker");
}

#[test]
fn the_monitors_reference_is_the_default() {
    same::<lepton_monitor::Config>("monitor");
}

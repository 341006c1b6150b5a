//! The map in `ARCHITECTURE.md` is the tree: every crate stands in it, with its name, and nothing else does.

use std::collections::BTreeSet;

use crate::sources::{crates, none, root, short, text};

#[test]
fn the_map_is_the_tree() {
    let found: BTreeSet<(String, String)> = crates()
        .iter()
        .map(|folder| {
            let manifest: toml::Table = text(&folder.join("Cargo.toml")).parse().expect("Cargo.toml is TOML");
            let name = manifest["package"]["name"].as_str().expect("a name").to_owned();
            (short(folder), name)
        })
        .collect();
    let page = text(&root().join("ARCHITECTURE.md"));
    // Rows of the table of crates: | `folder/` | name | purpose |
    let drawn: BTreeSet<(String, String)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let folder = cells.next()?.strip_suffix("/`")?.to_owned();
            Some((folder, cells.next()?.to_owned()))
        })
        .collect();
    let missing = found
        .difference(&drawn)
        .map(|(folder, name)| format!("{folder} ({name}) is not on the map"));
    let dead = drawn
        .difference(&found)
        .map(|(folder, name)| format!("{folder} ({name}) is on the map only"));
    none(&missing.chain(dead).collect::<Vec<_>>());
}

//! Lists that may also be written as one text with commas, as flags and variables have to.
//!
//! For fields with `#[serde(with = "lepton_mesh::config::list")]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    List(Vec<String>),
}

/// Writes a list.
pub fn serialize<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    list.serialize(serializer)
}

/// Reads a list, or a text whose parts are separated by commas. Empty parts are dropped.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let parts = match Written::deserialize(deserializer)? {
        Written::Text(text) => text.split(',').map(str::to_owned).collect(),
        Written::List(list) => list,
    };
    Ok(parts
        .iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect())
}

//! The layers of a configuration and their order.
//!
//! Promises: each layer is checked so that an error can name it. Leaves the meaning of the values to the structs.

use std::collections::BTreeMap;
use std::path::Path;

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::{ConfigError, PREFIX, ServiceConfig, Settings, is_setting};

/// A file's text, if all of it is understood. It is parsed on its own first: only so is the line of an error known.
pub(super) fn read<C: ServiceConfig>(settings: &impl Settings, path: &Path) -> Result<String, ConfigError> {
    let shown = path.display();
    let text = settings
        .file(path)
        .map_err(|error| ConfigError::new(format!("{shown}: cannot be read: {error}")))?;
    match toml::from_str::<C>(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let before = &text[..start.min(text.len())];
            let (line, column) = (
                before.matches('\n').count() + 1,
                before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1,
            );
            Err(ConfigError::new(format!(
                "{shown}:{line}:{column}: {}",
                error.message().trim_end()
            )))
        }
    }
}

/// The settings among the variables: `LEPTON_COMMON__DATA_DIR` is `common.data_dir`.
pub(super) fn environment(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let settings = variables.iter().filter(|(name, _)| is_setting(name));
    settings
        .map(|(name, value)| {
            let path = name[PREFIX.len()..].to_ascii_lowercase();
            (path.replace("__", "."), value.clone())
        })
        .collect()
}

/// Returns whether the configuration has all of these keys, whether or not their values are valid.
pub(super) fn has<C: ServiceConfig>(environment: &BTreeMap<String, String>) -> bool {
    let figment = Figment::from(Serialized::defaults(C::default())).merge(Texts {
        name: ENVIRONMENT,
        texts: environment,
    });
    let unknown = |error: figment::Error| matches!(error.kind, Kind::UnknownField(..));
    match figment.extract_lossy::<C>() {
        Ok(_) => true,
        Err(errors) => !errors.into_iter().any(unknown),
    }
}

/// Lays the layers over the defaults.
pub(super) fn merge<C: ServiceConfig>(
    file: Option<&str>,
    environment: &BTreeMap<String, String>,
    flags: &BTreeMap<String, String>,
) -> Result<C, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(C::default()));
    if let Some(text) = file {
        figment = figment.merge(Toml::string(text));
    }
    figment = figment
        .merge(Texts {
            name: ENVIRONMENT,
            texts: environment,
        })
        .merge(Texts {
            name: FLAGS,
            texts: flags,
        });
    // Lossy: variables and flags are text, which numbers and booleans are read from.
    figment.extract_lossy().map_err(|error| explain(&error))
}

const ENVIRONMENT: &str = "environment";
const FLAGS: &str = "flags";

/// A layer of dotted keys with text for values.
struct Texts<'a> {
    name: &'static str,
    texts: &'a BTreeMap<String, String>,
}

impl Provider for Texts<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let mut dict = Dict::new();
        for (key, text) in self.texts {
            insert(&mut dict, key, text);
        }
        Ok(Profile::Default.collect(dict))
    }
}

/// Puts a text at the end of its path, whose inner dictionaries are made as needed.
fn insert(dict: &mut Dict, key: &str, text: &str) {
    match key.split_once('.') {
        None => {
            dict.insert(key.to_owned(), Value::from(text));
        }
        Some((section, rest)) => {
            let inner = dict
                .entry(section.to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, text);
            }
        }
    }
}

/// Says what is wrong in the words of the layer that it stands in.
fn explain(error: &figment::Error) -> ConfigError {
    let layer = error.metadata.as_ref().map_or("", |metadata| &metadata.name);
    let mut path = error.path.clone();
    if let Kind::UnknownField(field, _) = &error.kind
        && path.last() != Some(field)
    {
        path.push(field.clone());
    }
    let key = match layer {
        ENVIRONMENT => format!("{PREFIX}{}", path.join("__").to_ascii_uppercase()),
        FLAGS => format!("--{}", path.last().map_or("", String::as_str).replace('_', "-")),
        _ => path.join("."),
    };
    ConfigError::new(format!("{key}: {}", error.kind))
}

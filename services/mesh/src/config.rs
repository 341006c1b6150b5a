//! Configuration: flags over `LEPTON_<SECTION>__<KEY>` over a TOML file over defaults.
//!
//! Promises: an unknown key or a wrong value is an error that names its place, with the line if that is a file;
//! whatever is read comes through [`Settings`], so that tests need neither environment nor disk. Leaves each
//! service's options to its own struct.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::redacted;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use lepton_telemetry::{LogConfig, TelemetryConfig, TraceConfig};

pub mod address;
pub mod duration;
mod layers;
pub mod list;
#[cfg(test)]
mod tests;

/// Prefix of every environment variable that is read here.
pub const PREFIX: &str = "LEPTON_";

/// Settings that every service has: section `[common]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    /// URLs of etcd's members.
    #[serde(with = "list")]
    pub etcd: Vec<String>,
    /// The name of the mesh in etcd; meshes of different names share nothing.
    pub cluster: String,
    /// Listen address of the service, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// Listen address of `/metrics`, `/livez` and `/readyz`, `HOST:PORT`.
    pub admin: String,
    /// The address that others reach this instance at; absent: the one that it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// Folder in which the service keeps its files.
    pub data_dir: PathBuf,
    /// The blob store: a directory or a URL; absent: `blobs` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// The name of this instance; absent: a fresh one at each start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// A collector that gets the traces as well (OTLP over gRPC or HTTP); absent: `OTEL_EXPORTER_OTLP_ENDPOINT`, else
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// Settings of the log.
    pub log: LogConfig,
    /// Sampling of traces.
    pub trace: TraceConfig,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            etcd: vec!["http://127.0.0.1:2379".to_owned()],
            cluster: "lepton".to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            admin: "127.0.0.1:0".to_owned(),
            advertise: None,
            data_dir: PathBuf::from("lepton-data"),
            blob: None,
            instance: None,
            otlp_endpoint: None,
            log: LogConfig::default(),
            trace: TraceConfig::default(),
        }
    }
}

impl Common {
    /// Returns the part that telemetry needs.
    pub fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            otlp_endpoint: self.otlp_endpoint.clone(),
            log: self.log.clone(),
            trace: self.trace.clone(),
        }
    }

    /// Refuses what could only fail later, or reach another mesh's keys, and writes etcd's addresses out in full.
    fn settle(&mut self) -> Result<(), ConfigError> {
        self.etcd =
            address::etcd_members(&self.etcd).map_err(|error| ConfigError::new(format!("etcd: {}", error.message)))?;
        if self.cluster.is_empty() || self.cluster.contains('/') {
            let message = format!("cluster: {:?} is no name: give one without slashes", self.cluster);
            return Err(ConfigError::new(message));
        }
        Ok(())
    }

    /// The blob store's URL or directory.
    pub fn blob_store(&self) -> String {
        self.blob
            .clone()
            .unwrap_or_else(|| self.data_dir.join("blobs").display().to_string())
    }
}

/// The whole configuration of one service. Its file has a section for each field.
pub trait ServiceConfig: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The section `[common]`.
    fn common(&self) -> &Common;

    /// The section `[common]`, to fill in what is known only once the sockets are bound.
    fn common_mut(&mut self) -> &mut Common;
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this text, which names the place of the wrong value. URLs in it lose their credentials.
    pub fn new(message: impl AsRef<str>) -> Self {
        Self(redacted(message.as_ref()).into_owned())
    }

    /// The error that callers read.
    pub fn api_error(&self) -> ApiError {
        ApiError::new(Reason::ConfigInvalid, self.0.clone())
    }
}

/// Source of settings: the process's environment and files, or a map in a test.
pub trait Settings {
    /// Every environment variable.
    fn variables(&self) -> BTreeMap<String, String>;

    /// The text of a file.
    fn file(&self, path: &Path) -> std::io::Result<String>;
}

/// The settings of the machine: its environment and its disk.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Settings for Machine {
    fn variables(&self) -> BTreeMap<String, String> {
        // What is not UTF-8 cannot be one of ours.
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// Loads a configuration. `flags` maps dotted keys (`common.listen`) to text, `file` is the TOML file if one is named.
pub fn load<C: ServiceConfig>(
    settings: &impl Settings,
    flags: &BTreeMap<String, String>,
    file: Option<&Path>,
) -> Result<C, ConfigError> {
    let text = file.map(|path| layers::read::<C>(settings, path)).transpose()?;
    let mut config: C = layers::merge(text.as_deref(), &layers::environment(&settings.variables()), flags)?;
    config.common_mut().settle()?;
    Ok(config)
}

/// Returns whether a variable of this name is a setting. Names without `__` belong to the command line.
pub fn is_setting(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|name| name.contains("__"))
}

/// Returns whether this configuration has the setting that a variable gives. Its value may still be wrong, which is
/// for [`load`] to say.
pub fn knows<C: ServiceConfig>(name: &str, value: &str) -> bool {
    layers::has::<C>(&layers::environment(&BTreeMap::from([(
        name.to_owned(),
        value.to_owned(),
    )])))
}

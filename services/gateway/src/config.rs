//! The gateway's configuration.
//!
//! Promises: every option has a default that fits one machine. Leaves what all services share to `mesh::config`.

use std::time::Duration;

use lepton_mesh::config::{Common, ServiceConfig, duration, list};
use lepton_mesh::server::limits::Limits;
use serde::{Deserialize, Serialize};

use crate::data::DataConfig;
use crate::models::config::ModelsConfig;
use crate::proxy::config::OnlineConfig;
use crate::request::caller::CallerConfig;
use crate::tasks::config::TasksConfig;

/// The whole configuration: one field a section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Settings that every service has.
    pub common: Common,
    /// Limits on clients.
    pub edge: EdgeConfig,
    /// Callers without a credential.
    pub caller: CallerConfig,
    /// Online calls.
    pub online: OnlineConfig,
    /// Calls about tasks.
    pub tasks: TasksConfig,
    /// Models.
    pub models: ModelsConfig,
    /// Uploads.
    pub data: DataConfig,
    /// Limits of the listener.
    pub server: Limits,
}

/// Limits on clients: section `[edge]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeConfig {
    /// The largest request body, unpacked, and the largest gRPC message, in bytes.
    pub body_bytes_max: usize,
    /// The bytes of all requests' bodies together, from their arrival until they are answered; more are refused with
    /// OVERLOADED. At least one body of the largest size is always taken.
    pub bodies_bytes_max: usize,
    /// Origins (`https://host:port`) whose pages may use this gateway from a browser; `*` allows all.
    #[serde(with = "list")]
    pub allowed_origins: Vec<String>,
    /// Time for which a gateway that stops still accepts connections, so that balancers notice first.
    #[serde(with = "duration")]
    pub drain_notice: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            common: Common {
                listen: "127.0.0.1:8000".to_owned(),
                ..Common::default()
            },
            edge: EdgeConfig::default(),
            caller: CallerConfig::default(),
            online: OnlineConfig::default(),
            tasks: TasksConfig::default(),
            models: ModelsConfig::default(),
            data: DataConfig::default(),
            server: Limits::default(),
        }
    }
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 * 1024 * 1024,
            bodies_bytes_max: 1024 * 1024 * 1024,
            allowed_origins: Vec::new(),
            drain_notice: Duration::from_millis(200),
        }
    }
}

impl ServiceConfig for Config {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

//! Models: section `[models]`.

use std::path::PathBuf;
use std::time::Duration;

use lepton_mesh::config::duration;
use serde::{Deserialize, Serialize};

/// Settings of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsConfig {
    /// A directory whose models are registered at start, each as `name/version/model.onnx`; empty for none.
    pub directory: PathBuf,
    /// Readiness only when those models are deployed or refused.
    pub directory_first: bool,
    /// Longest wait of a deploy for the workers.
    #[serde(with = "duration")]
    pub deploy_wait: Duration,
    /// Maximum of pushes under way; more are refused with OVERLOADED.
    pub pushes_max: usize,
    /// Interval of the sweeps for files that no version names.
    #[serde(with = "duration")]
    pub sweep_interval: Duration,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            directory_first: false,
            deploy_wait: Duration::from_secs(60),
            pushes_max: 4,
            sweep_interval: Duration::from_secs(60 * 60),
        }
    }
}

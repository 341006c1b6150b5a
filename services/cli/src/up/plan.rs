//! What each service of the mesh is told: pure, from the options alone.

use std::path::Path;

use lepton_gateway::models::config::ModelsConfig;
use lepton_mesh::config::Common;

use super::Options;

/// What the services have in common, before each gets its own addresses.
pub(super) fn common(options: &Options, data: &Path, etcd: Vec<String>) -> Common {
    Common {
        etcd,
        data_dir: data.to_path_buf(),
        blob: Some(data.join("blobs").display().to_string()),
        otlp_endpoint: options.otlp_endpoint.clone(),
        ..Common::default()
    }
}

/// The gateway's configuration.
pub(super) fn gateway(options: &Options, common: &Common) -> lepton_gateway::Config {
    let common = Common {
        listen: options.listen.clone(),
        admin: options.admin.clone(),
        ..common.clone()
    };
    let models = ModelsConfig {
        directory: options.model_dir.clone().unwrap_or_default(),
        // The ready line is for requests to those models too.
        directory_first: true,
        ..ModelsConfig::default()
    };
    lepton_gateway::Config {
        common,
        models,
        ..lepton_gateway::Config::default()
    }
}

/// The monitor's configuration: its listener is the console.
pub(super) fn monitor(options: &Options, common: &Common) -> lepton_monitor::Config {
    let common = Common {
        listen: options.console.clone(),
        ..common.clone()
    };
    let otlp = lepton_monitor::Otlp {
        listen: options.otlp_listen.clone(),
        ..lepton_monitor::Otlp::default()
    };
    lepton_monitor::Config {
        common,
        otlp,
        ..lepton_monitor::Config::default()
    }
}

/// The scheduler's configuration.
pub(super) fn scheduler(common: &Common) -> lepton_scheduler::Config {
    lepton_scheduler::Config {
        common: common.clone(),
        ..lepton_scheduler::Config::default()
    }
}

/// The command line of a worker.
pub(super) fn worker(options: &Options, common: &Common, number: u32) -> Vec<String> {
    let mut line = vec![
        "--etcd".to_owned(),
        common.etcd.join(","),
        "--cluster".to_owned(),
        common.cluster.clone(),
        "--data-dir".to_owned(),
        common.data_dir.join(format!("worker-{number}")).display().to_string(),
    ];
    line.extend(["--place".to_owned(), format!("worker-{number}")]);
    if let Some(blob) = &common.blob {
        line.extend(["--blob".to_owned(), blob.clone()]);
    }
    if let Some(endpoint) = &common.otlp_endpoint {
        line.extend(["--otlp-endpoint".to_owned(), endpoint.clone()]);
    }
    if let Some(slots) = options.slots {
        line.extend(["--slots".to_owned(), slots.to_string()]);
    }
    line
}

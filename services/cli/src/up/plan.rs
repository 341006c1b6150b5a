//! Settings of each service of the mesh: pure, from the options and the variables of the environment.
//!
//! Promises: options go before variables, and these before defaults, as everywhere; a variable reaches the services that
//! have its setting and no others, workers included; one that no service has is refused.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::config::{self, Common, ServiceConfig, Settings};
use lepton_telemetry::TelemetryConfig;

use super::Options;

#[cfg(test)]
mod tests;

/// Variables that stand for options of `up`, which the parser of the command line has read: what they say is not the same
/// for all services.
const OPTIONS: [&str; 5] = [
    "LEPTON_COMMON__ADMIN",
    "LEPTON_COMMON__BLOB",
    "LEPTON_COMMON__DATA_DIR",
    "LEPTON_COMMON__ETCD",
    "LEPTON_COMMON__LISTEN",
];
/// Variables that could be true of one service only.
const SINGULAR: [&str; 2] = ["LEPTON_COMMON__ADVERTISE", "LEPTON_COMMON__INSTANCE"];

/// Settings of the highest layer, by dotted key.
pub(super) type Flags = BTreeMap<String, String>;

/// The options, and the variables that are left for the services.
#[derive(Debug)]
pub(super) struct LaunchPlan {
    /// The command line.
    pub options: Options,
    variables: BTreeMap<String, String>,
}

/// The command line and environment of one worker.
#[derive(Debug)]
pub(super) struct WorkerCommand {
    /// Its command line.
    pub arguments: Vec<String>,
    /// The only settings in its environment.
    pub variables: BTreeMap<String, String>,
}

impl LaunchPlan {
    /// Takes the settings among the variables; refuses one that would change nothing.
    pub fn new(options: Options, variables: BTreeMap<String, String>) -> Result<Self, ApiError> {
        let is = |names: &[&str], name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        let settings = variables.into_iter().filter(|(name, _)| config::is_setting(name));
        let variables: BTreeMap<String, String> = settings.filter(|(name, _)| !is(&OPTIONS, name)).collect();
        for (name, value) in &variables {
            let wrong = if is(&SINGULAR, name) {
                "`lepton up` runs several services, each with its own; unset it"
            } else if !is_known(name, value) {
                "no service has this setting; deploy/config has every one of them"
            } else {
                continue;
            };
            return Err(ApiError::new(Reason::ConfigInvalid, format!("{name}: {wrong}")));
        }
        Ok(Self { options, variables })
    }

    /// The settings of logs and traces of this process.
    pub fn telemetry(&self) -> Result<TelemetryConfig, ApiError> {
        let mut flags = Flags::new();
        self.trace(&mut flags);
        Ok(self.load::<lepton_scheduler::Config>(flags)?.common.telemetry())
    }

    /// The flags that the services share, before each gets its own addresses.
    pub fn shared(&self, data: &Path, etcd: &[String]) -> Flags {
        let blobs = || data.join("blobs").display().to_string();
        let mut flags = Flags::from([
            ("common.etcd".to_owned(), etcd.join(",")),
            ("common.data_dir".to_owned(), data.display().to_string()),
            (
                "common.blob".to_owned(),
                self.options.blob.clone().unwrap_or_else(blobs),
            ),
        ]);
        self.trace(&mut flags);
        flags
    }

    /// The gateway's configuration.
    pub fn gateway(&self, shared: &Flags) -> Result<lepton_gateway::Config, ApiError> {
        let mut flags = shared.clone();
        flags.insert("common.listen".to_owned(), self.options.listen.clone());
        flags.insert("common.admin".to_owned(), self.options.admin.clone());
        if let Some(directory) = &self.options.model_dir {
            flags.insert("models.directory".to_owned(), directory.display().to_string());
        }
        let mut variables = self.of::<lepton_gateway::Config>();
        // A default of `up` alone: the ready line is for requests to those models too.
        let first = variables.entry("LEPTON_MODELS__DIRECTORY_FIRST".to_owned());
        first.or_insert_with(|| true.to_string());
        load(variables, &flags)
    }

    /// The monitor's configuration: its listener is the console.
    pub fn monitor(&self, shared: &Flags) -> Result<lepton_monitor::Config, ApiError> {
        let mut flags = shared.clone();
        flags.insert("common.listen".to_owned(), self.options.console.clone());
        flags.insert("otlp.listen".to_owned(), self.options.otlp_listen.clone());
        self.load(flags)
    }

    /// The scheduler's configuration.
    pub fn scheduler(&self, shared: &Flags) -> Result<lepton_scheduler::Config, ApiError> {
        self.load(shared.clone())
    }

    /// The [`WorkerCommand`] of a worker. Wrong settings are reported here: a worker could only end, again and again.
    pub fn worker(&self, shared: &Flags, number: u32) -> Result<WorkerCommand, ApiError> {
        let mut flags = shared.clone();
        if let Some(slots) = self.options.slots {
            flags.insert("tasks.slots".to_owned(), slots.to_string());
        }
        let Common {
            etcd,
            cluster,
            data_dir,
            blob,
            otlp_endpoint,
            ..
        } = self.load::<lepton_worker::Config>(flags)?.common;
        let place = format!("worker-{number}");
        let data_dir = data_dir.join(&place).display().to_string();
        let given = [
            ("--etcd", Some(etcd.join(","))),
            ("--cluster", Some(cluster)),
            ("--data-dir", Some(data_dir)),
            ("--place", Some(place)),
            ("--blob", blob),
            ("--otlp-endpoint", otlp_endpoint),
            ("--slots", self.options.slots.map(|slots| slots.to_string())),
        ];
        let given = given
            .into_iter()
            .filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        Ok(WorkerCommand {
            arguments: given.flatten().collect(),
            variables: self.of::<lepton_worker::Config>(),
        })
    }

    fn trace(&self, flags: &mut Flags) {
        let endpoint = self.options.otlp_endpoint.clone();
        flags.extend(endpoint.map(|endpoint| ("common.otlp_endpoint".to_owned(), endpoint)));
    }

    fn load<C: ServiceConfig>(&self, flags: Flags) -> Result<C, ApiError> {
        load(self.of::<C>(), &flags)
    }

    /// The variables that concern a service.
    fn of<C: ServiceConfig>(&self) -> BTreeMap<String, String> {
        let concern = |(name, value): &(&String, &String)| config::knows::<C>(name, value);
        let some = self.variables.iter().filter(concern);
        some.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// Returns true if any service has the setting.
fn is_known(name: &str, value: &str) -> bool {
    config::knows::<lepton_gateway::Config>(name, value)
        || config::knows::<lepton_scheduler::Config>(name, value)
        || config::knows::<lepton_worker::Config>(name, value)
        || config::knows::<lepton_monitor::Config>(name, value)
}

fn load<C: ServiceConfig>(variables: BTreeMap<String, String>, flags: &Flags) -> Result<C, ApiError> {
    config::load(&Given(variables), flags, None).map_err(|error| error.api_error())
}

/// The variables of one service; `up` reads no file.
struct Given(BTreeMap<String, String>);

impl Settings for Given {
    fn variables(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

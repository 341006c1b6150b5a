//! A service comes up from flags, says so and drains.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use lepton_domain::reason::Reason;
use serde::{Deserialize, Serialize};

use super::refusal::EXIT_USAGE;
use super::*;
use crate::admin;
use crate::config::{Common, Settings};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    common: Common,
    slots: u32,
}

impl ServiceConfig for Config {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

/// Serves its admin pages only.
struct Probe {
    config: Config,
    context: Context,
    readiness: Readiness,
}

impl Service for Probe {
    const NAME: &'static str = "probe";
    const FLAGS: &'static [Flag] = &[Flag {
        name: "slots",
        key: "slots",
        value: "N",
        help: "Slots",
    }];
    type Config = Config;

    async fn build(config: Config, context: Context) -> Result<Self, ApiError> {
        Ok(Self {
            config,
            context,
            readiness: Readiness::new(),
        })
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    async fn run(self, sockets: Sockets, shutdown: Shutdown) -> Result<(), ApiError> {
        self.readiness.set(true);
        admin::serve(sockets.admin, self.readiness, self.context.metrics, shutdown)
            .await
            .map_err(|error| ApiError::new(Reason::Internal, error.to_string()))
    }
}

struct Nothing;

impl Settings for Nothing {
    fn variables(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn loaded(arguments: &[&str]) -> Config {
    let matches = flags::command::<Probe>("1.2.3")
        .try_get_matches_from(arguments)
        .unwrap();
    flags::load::<Probe>(&matches, &Nothing).unwrap()
}

#[test]
fn flags_reach_the_configuration() {
    let config = loaded(&[
        "probe",
        "--slots",
        "7",
        "--etcd",
        "http://a:1,http://b:2",
        "--data-dir",
        "/x",
    ]);
    assert_eq!((config.slots, config.common.etcd.len()), (7, 2));
    assert_eq!(config.common.data_dir, Path::new("/x"));
    flags::command::<Probe>("1.2.3").debug_assert();
}

#[test]
fn wrong_flags_and_files_end_with_2() {
    let exit = |arguments: &[&str]| main::<Probe>("1.2.3", arguments.iter().map(Into::into));
    assert_eq!(
        format!("{:?}", exit(&["probe", "--nonsense"])),
        format!("{:?}", ExitCode::from(EXIT_USAGE))
    );
    let config = ["probe", "--config", "/nonexistent/a.toml"];
    assert_eq!(
        format!("{:?}", exit(&config)),
        format!("{:?}", ExitCode::from(EXIT_USAGE))
    );
    assert_eq!(
        format!("{:?}", exit(&["probe", "--version"])),
        format!("{:?}", ExitCode::SUCCESS)
    );
    // Found out only where it is used, and a wrong configuration all the same.
    assert_eq!(
        format!("{:?}", exit(&["probe", "--listen", "nowhere"])),
        format!("{:?}", ExitCode::from(EXIT_USAGE))
    );
}

#[tokio::test]
async fn a_service_is_named_bound_run_and_drained() {
    let bound = bootstrap::<Probe>(Config::default(), Context::system()).await.unwrap();
    let common = &bound.service.config.common;
    assert_eq!(common.advertise, Some(bound.address.to_string()));
    assert_eq!(common.instance.as_deref(), Some(bound.instance.as_str()));
    let line = bound.ready_line();
    assert!(line.starts_with(&format!(
        "ready service=probe address=127.0.0.1:{} admin=",
        bound.address.port()
    )));

    let (readiness, shutdown, admin) = (bound.readiness(), Shutdown::new(), bound.admin);
    let running = tokio::spawn(bound.run(shutdown.clone()));
    readiness.wait().await;
    assert!(lepton_core::net::Net::Os.connect(&admin.to_string()).await.is_ok());
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_port_is_refused_by_name() {
    let taken = lepton_core::net::Net::Os.bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::default();
    config.common.listen = taken.local_addr().to_string();
    let error = bootstrap::<Probe>(config, Context::system()).await.err().unwrap();
    assert_eq!(error.reason, Reason::AddressInUse);
}

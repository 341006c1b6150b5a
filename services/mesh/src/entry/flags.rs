//! The command line of a service.
//!
//! Promises: a flag is nothing but the highest layer of the configuration. Leaves its meaning to `config`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, ColorChoice, Command, value_parser};

use super::Service;
use crate::config::{self, ConfigError, Settings};

/// One option of the command line, which sets one key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// The key that it sets, such as `common.listen`.
    pub key: &'static str,
    /// Placeholder of its value in the help.
    pub value: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// The flags of every service.
const COMMON: &[Flag] = &[
    Flag {
        name: "etcd",
        key: "common.etcd",
        value: "URL,...",
        help: "etcd's members",
    },
    Flag {
        name: "cluster",
        key: "common.cluster",
        value: "NAME",
        help: "The name of the mesh in etcd",
    },
    Flag {
        name: "listen",
        key: "common.listen",
        value: "HOST:PORT",
        help: "Where to listen; port 0 takes a free one",
    },
    Flag {
        name: "admin",
        key: "common.admin",
        value: "HOST:PORT",
        help: "Where to serve metrics and probes",
    },
    Flag {
        name: "advertise",
        key: "common.advertise",
        value: "HOST:PORT",
        help: "The address for the others",
    },
    Flag {
        name: "data-dir",
        key: "common.data_dir",
        value: "DIR",
        help: "Where to keep files",
    },
    Flag {
        name: "blob",
        key: "common.blob",
        value: "URL",
        help: "The blob store: a directory or a URL",
    },
    Flag {
        name: "instance",
        key: "common.instance",
        value: "NAME",
        help: "The name of this instance",
    },
    Flag {
        name: "otlp-endpoint",
        key: "common.otlp_endpoint",
        value: "URL",
        help: "A collector that gets the traces as well, by OTLP over gRPC or HTTP",
    },
];

/// The command of a service's binary.
pub(super) fn command<S: Service>(version: &'static str) -> Command {
    let command = Command::new(format!("lepton-{}", S::NAME))
        .version(version)
        .color(colour_choice());
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("A TOML file with more settings");
    let command = command.arg(file.value_parser(value_parser!(PathBuf)));
    all::<S>().fold(command, |command, flag| {
        command.arg(
            Arg::new(flag.name)
                .long(flag.name)
                .value_name(flag.value)
                .help(flag.help),
        )
    })
}

/// Returns the colours of help and usage errors: none on a dumb terminal, which clap would colour all the same where
/// `CI` is set.
pub fn colour_choice() -> ColorChoice {
    match std::env::var_os("TERM").is_some_and(|name| name == "dumb") {
        true => ColorChoice::Never,
        false => ColorChoice::Auto,
    }
}

/// The configuration that a command line asks for.
pub(super) fn load<S: Service>(matches: &ArgMatches, settings: &impl Settings) -> Result<S::Config, ConfigError> {
    let given =
        all::<S>().filter_map(|flag| Some((flag.key.to_owned(), matches.get_one::<String>(flag.name)?.clone())));
    let flags: BTreeMap<String, String> = given.collect();
    config::load(
        settings,
        &flags,
        matches.get_one::<PathBuf>("config").map(PathBuf::as_path),
    )
}

fn all<S: Service>() -> impl Iterator<Item = &'static Flag> {
    COMMON.iter().chain(S::FLAGS)
}

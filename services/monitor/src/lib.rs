//! The monitor: discovers every instance, follows its load, notices losses and shows all of it in a console.
//!
//! Promises: watching changes nothing; memory is bounded by the configuration; it goes on while etcd is away. Leaves
//! the rule when an incident begins and ends to `lepton-domain`.

mod candidacy;
mod config;
mod console;
mod discover;
mod fleet;
mod incidents;
mod otlp;
mod rule;
mod service;
mod stats;
mod store;
mod view;

pub use config::{Config, Otlp};
pub use service::Monitor;

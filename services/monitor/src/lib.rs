//! The monitor: discovers every instance, observes its load, detects losses and shows all of it in a console.
//!
//! Promises: observing changes nothing; memory is bounded by the configuration; outages of etcd do not stop it. Leaves
//! the rule by which an incident opens and closes to [`lepton_domain::incident`].

mod api;
mod config;
mod console;
mod etcd_health;
mod incident_rules;
mod leader_election;
mod monitor_stats;
mod otlp;
mod service;
mod stats;
mod view;
mod watch;

pub use config::{Config, Otlp};
pub use service::Monitor;

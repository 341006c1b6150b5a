//! The environment of a service, as one value that is handed down.
//!
//! Promises: everything in it is cheap to clone and shared by the clones. Leaves each part to its own module.

use crate::clock::Clock;
use crate::conditions::Conditions;
use crate::metrics::Metrics;
use crate::net::Net;
use crate::random::Random;

/// The network, the time, randomness, metrics and conditions of one service.
#[derive(Clone, Debug)]
pub struct Context {
    /// Sockets.
    pub net: Net,
    /// Time.
    pub clock: Clock,
    /// Random numbers.
    pub random: Random,
    /// Registry of metrics.
    pub metrics: Metrics,
    /// Conditions that the instance reports.
    pub conditions: Conditions,
}

impl Context {
    /// The real world.
    pub fn system() -> Self {
        Self {
            net: Net::Os,
            clock: Clock::system(),
            random: Random::from_os(),
            metrics: Metrics::new(),
            conditions: Conditions::default(),
        }
    }
}

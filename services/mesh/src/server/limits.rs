//! Limits on what a peer may take of a server.
//!
//! Promises: everything that a peer can grow has a limit here. Leaves limits of the message size to the tonic services
//! and of the body to the gateway.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::duration;

/// The limits of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time; further ones wait in the system's backlog.
    pub connections_max: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams_max: u32,
    /// Bytes of a request's headers, names and values.
    pub header_list_bytes_max: u32,
    /// Time that a new connection has until its first request, and an HTTP/1 one until the next.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// An HTTP/2 connection that was silent for this long is probed.
    #[serde(with = "duration")]
    pub keep_alive_interval: Duration,
    /// A probe without an answer for this long ends the connection.
    #[serde(with = "duration")]
    pub keep_alive_timeout: Duration,
    /// Time that requests in flight have to finish after a shutdown.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// The pause after the system refused to accept.
    #[serde(with = "duration")]
    pub accept_backoff: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            streams_max: 4_096,
            header_list_bytes_max: 64 << 10,
            idle_timeout: Duration::from_secs(75),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            accept_backoff: Duration::from_millis(50),
        }
    }
}

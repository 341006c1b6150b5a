//! A durable single-node server of the etcd v3 API: KV, transactions, leases and watches, as etcd 3.4 answers them.
//!
//! `lepton up` runs it in place of a cluster, so that one machine and many run the same code. Promises: an answer leaves only
//! after the state that it shows is on disk; after a crash everything that was answered is there; one server at a time uses a
//! directory. Leaves out: more than one member, users, nested transactions.
//!
//! [`Config`] -> [`Config::build`] (locks and recovers) -> [`Server::run`] (serves what the caller's listener accepts, until
//! its shutdown).

use crate::{log::directory::Directory, machine::Machine, owner::Settings, server::MemberInfo};
use std::{path::PathBuf, time::Duration};

mod check;
mod compact;
mod entry;
mod error;
mod handle;
mod index;
mod keyrange;
mod kv;
mod lease;
mod log;
mod machine;
mod owner;
mod revision;
mod rpc_error;
mod server;
mod txn;
mod watch;
mod wire;

pub use error::Error;
pub use server::{Api, Driver, Server};

/// Data directory and behaviour of a [`Server`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory for log and snapshots; made if it is not there. `None` keeps everything in memory: nothing survives the server.
    pub data_dir: Option<PathBuf>,
    /// Name in the member list.
    pub name: String,
    /// Addresses in the member list, such as `http://127.0.0.1:2379`. They are published, not bound.
    pub client_urls: Vec<String>,
    /// Mixed into the lease ids that the server picks. Give each new data directory another one, so that a client of an
    /// older directory cannot meet its lease id again.
    pub seed: u64,
    /// Revisions that stay readable when the server compacts by itself; `None` compacts only when a client asks.
    pub keep_revisions: Option<u64>,
    /// Bytes of keys and values of the revisions that stay readable when the server compacts by itself, so that large values do
    /// not make many revisions too much; up to twice as many are held. `None` compacts by their number only.
    pub keep_bytes: Option<u64>,
    /// Bytes of log after which it is rewritten as a snapshot, if it is also larger than the last snapshot. The disk then holds at
    /// most the last snapshot, twice this much log, and the snapshot being written.
    pub rewrite_bytes: u64,
    /// Interval of progress notifications to watchers that requested them, while there are no events.
    pub progress_interval: Duration,
}

impl Config {
    /// A durable server in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: Some(data_dir.into()),
            ..Self::in_memory()
        }
    }

    /// A server without a disk, for simulation and tests.
    pub fn in_memory() -> Self {
        Self {
            data_dir: None,
            name: "default".into(),
            client_urls: Vec::new(),
            seed: 0,
            keep_revisions: None,
            keep_bytes: None,
            rewrite_bytes: 64 << 20,
            progress_interval: Duration::from_secs(600),
        }
    }

    /// Locks the data directory and recovers what is in it. Blocks on the disk, for as long as the log takes to read.
    ///
    /// # Errors
    ///
    /// The directory is in use, not writable, of another format, or damaged: one variant of [`Error`] each.
    pub fn build(self) -> Result<Server, Error> {
        let settings = Settings {
            keep_revisions: self.keep_revisions,
            keep_bytes: self.keep_bytes,
            progress_interval: self.progress_interval,
        };
        let member = MemberInfo {
            name: self.name,
            client_urls: self.client_urls,
        };
        let Some(path) = &self.data_dir else {
            return Ok(Server::new(Machine::new(self.seed), None, settings, member));
        };
        let (machine, writer) = log::recover(Directory::open(path)?, self.seed, self.rewrite_bytes)?;
        Ok(Server::new(machine, Some(writer), settings, member))
    }
}

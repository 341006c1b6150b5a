//! The embedded store of `lepton up`.
//!
//! Promises: it is bound and recovered before any service starts, and ends after all of them.

use std::path::PathBuf;

use futures::stream;
use lepton_core::context::Context;
use lepton_core::net::Listener;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{ApiError, Reason};
use lepton_embedded_etcd::{Config, Error, Server};
use lepton_mesh::entry::{self, warn_if_open};

/// Revisions that stay readable: followers re-list after that, so a small number is enough.
const KEEP_REVISIONS: u64 = 10_000;
/// Bytes of history that stay readable; large values would make so many revisions gigabytes.
const KEEP_BYTES: u64 = 64 << 20;

/// The bound address of a [`Store`] whose data is untouched yet.
pub(super) struct StoreListener {
    listener: Listener,
}

impl StoreListener {
    /// Binds the address.
    pub async fn bind(address: &str, context: &Context) -> Result<Self, ApiError> {
        let listener = entry::bind(context.net, address).await.map_err(|mut error| {
            error.message = format!("--etcd-listen: {}", error.message);
            error
        })?;
        warn_if_open(context.net, listener.local_addr());
        Ok(Self { listener })
    }

    /// `HOST:PORT` that it listens on.
    pub fn address(&self) -> String {
        self.listener.local_addr().to_string()
    }

    /// Recovers the data in the directory.
    pub fn open(self, directory: PathBuf, seed: u64) -> Result<Store, ApiError> {
        let mut config = Config::new(directory);
        config.client_urls = vec![format!("http://{}", self.address())];
        config.seed = seed;
        config.keep_revisions = Some(KEEP_REVISIONS);
        config.keep_bytes = Some(KEEP_BYTES);
        let server = config.build().map_err(|error| refused(&error))?;
        let listener = self.listener;
        Ok(Store { server, listener })
    }
}

/// A store that is ready to run.
pub(super) struct Store {
    server: Server,
    listener: Listener,
}

impl Store {
    /// Serves until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), ApiError> {
        let Self { server, listener } = self;
        let incoming = stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _peer)| stream);
            Some((accepted, listener))
        });
        server
            .run(incoming, async move { shutdown.triggered().await })
            .await
            .map_err(|error| refused(&error))
    }
}

fn refused(error: &Error) -> ApiError {
    let reason = match error {
        Error::InUse { .. } => Reason::DataDirInUse,
        Error::UnsupportedFormat { .. } => Reason::FormatUnsupported,
        Error::NotWritable { .. } | Error::Disk { .. } => Reason::DataDirNotWritable,
        Error::Corrupt { .. } => Reason::DataCorrupt,
        // Its log does not panic, and its listener was bound before.
        Error::LogBroke | Error::Serve(_) => Reason::Internal,
    };
    ApiError::new(reason, error.to_string())
}

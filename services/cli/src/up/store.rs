//! The embedded store of `lepton up`.
//!
//! Promises: it is bound and recovered before any service starts, and ends after all of them.

use std::path::PathBuf;

use futures::stream;
use lepton_domain::reason::{Fault, Reason};
use lepton_embedded_etcd::{Config, Error, Server};
use lepton_mesh::context::Context;
use lepton_mesh::net::Listener;
use lepton_mesh::shutdown::Shutdown;

/// Revisions that stay readable: followers re-list after that, so a small number is enough.
const KEEP_REVISIONS: u64 = 10_000;

/// A store that is ready to run.
pub(super) struct Store {
    server: Server,
    listener: Listener,
}

impl Store {
    /// Binds and recovers.
    pub async fn open(address: &str, directory: PathBuf, context: &Context) -> Result<Self, Fault> {
        let listener = context.net.bind(address).await.map_err(|error| {
            Fault::new(Reason::AddressInUse, format!("the store cannot listen on {address}: {error}"))
        })?;
        let mut config = Config::new(directory);
        config.client_urls = vec![format!("http://{}", listener.local_addr())];
        config.seed = context.random.next_u64();
        config.keep_revisions = Some(KEEP_REVISIONS);
        let server = config.build().map_err(|error| refused(&error))?;
        Ok(Self { server, listener })
    }

    /// `HOST:PORT` that it listens on.
    pub fn address(&self) -> String {
        self.listener.local_addr().to_string()
    }

    /// Serves until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        let Self { server, listener } = self;
        let incoming = stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _peer)| stream);
            Some((accepted, listener))
        });
        server.run(incoming, async move { shutdown.triggered().await }).await.map_err(|error| refused(&error))
    }
}

fn refused(error: &Error) -> Fault {
    let reason = match error {
        Error::InUse { .. } => Reason::DataDirInUse,
        Error::UnsupportedFormat { .. } => Reason::FormatUnsupported,
        Error::NotWritable { .. } => Reason::DataDirNotWritable,
        Error::Corrupt { .. } => Reason::DataCorrupt,
        _ => Reason::Internal,
    };
    Fault::new(reason, error.to_string())
}

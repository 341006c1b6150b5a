//! Encryption on the way to a collector.
//!
//! Promises: the provider is *ring*, like everywhere in the mesh; a certificate is trusted by the authorities of a file in
//! PEM where one is named, else by the system's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::Protocol;

/// Deadline of one message, and of a connection.
pub(in crate::export) const TIMEOUT: Duration = Duration::from_secs(10);

/// The authorities that may sign a collector's certificate.
#[derive(Clone, Debug)]
pub(super) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Reads the authorities, if anything is encrypted.
    pub fn load(encrypted: bool, file: Option<&str>) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = match file {
            _ if !encrypted => builder.with_root_certificates(RootCertStore::empty()),
            Some(file) => builder.with_root_certificates(authorities(file)?),
            None => builder.with_native_roots()?,
        };
        Ok(Self(Arc::new(builder.with_no_client_auth())))
    }

    /// Connects to `http` and `https` alike, and offers the version of HTTP that the protocol needs.
    pub fn connector(&self, protocol: Protocol) -> HttpsConnector<HttpConnector> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(TIMEOUT));
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&self.0))
            .https_or_http();
        match protocol {
            Protocol::Grpc => builder.enable_http2().wrap_connector(tcp),
            Protocol::Http => builder.enable_http1().wrap_connector(tcp),
        }
    }
}

fn authorities(file: &str) -> io::Result<RootCertStore> {
    let broken = |error: rustls::pki_types::pem::Error| io::Error::other(format!("{file}: {error}"));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(broken)? {
        store.add(certificate.map_err(broken)?).map_err(io::Error::other)?;
    }
    if store.is_empty() {
        return Err(io::Error::other(format!("{file} has no certificate in PEM")));
    }
    Ok(store)
}

//! Errors that keep the server from starting, or end it.

use std::{io, path::PathBuf};

/// A failure of the server as a whole. The error of one request is a [`RpcError`](crate::rpc_error::RpcError).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the data directory.
    #[error("data directory {} is in use by another process: stop it, or choose another directory", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The data directory was written in a format that this version does not read. It was not touched.
    #[error("data directory {} has format {found:?}, this version reads {supported:?}: use the version that wrote it", path.display())]
    UnsupportedFormat {
        /// The data directory.
        path: PathBuf,
        /// The content of its `FORMAT` file.
        found: String,
        /// The content that this version writes.
        supported: &'static str,
    },
    /// The data directory cannot be created or written.
    #[error("data directory {} is not writable: {source}", path.display())]
    NotWritable {
        /// The data directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Data that had been confirmed is damaged or missing. Nothing was changed: restore a copy of the directory.
    #[error("{} is damaged at byte {offset}: {detail}", path.display())]
    Corrupt {
        /// The damaged file, or the directory that lacks one.
        path: PathBuf,
        /// Offset at which the damage begins.
        offset: u64,
        /// Kind of the damage.
        detail: String,
    },
    /// The disk failed. Requests in flight were answered as unavailable: their outcome is unknown until the next start.
    #[error("cannot use {}: {source}", path.display())]
    Disk {
        /// The file in question.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The thread that writes the log panicked. Requests in flight were answered as unavailable.
    #[error("the log's writer broke: its backtrace is on stderr; what was confirmed is on disk, so start again")]
    LogBroke,
    /// The listener or the HTTP server failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] tonic::transport::Error),
}

impl Error {
    /// Wraps an I/O error on `path`.
    pub(crate) fn disk(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }
}

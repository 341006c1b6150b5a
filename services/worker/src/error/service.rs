//! Ends of the service's parts that nobody asked for.

/// The unexpected end of a part of the worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The session or the table of attempts ended before the drain.
    #[error("the worker's session or its slots failed")]
    TasksEnded,
    /// A listener that serves no more.
    #[error("the server failed: {0}")]
    Server(#[from] std::io::Error),
    /// A part that panicked.
    #[error("a part of the worker failed: {0}")]
    Part(#[from] tokio::task::JoinError),
}

//! A request as services read it: its caller, its body and its messages.
//!
//! Promises: what a request holds is bounded before it is read. Leaves the choice of who answers to [`crate::edge`].

pub mod body;
pub mod caller;
pub mod decompression;
pub mod error;
pub mod grpc_framing;
pub mod idempotency_key;
pub mod mistaken_body;
pub mod unary;

pub use caller::Caller;

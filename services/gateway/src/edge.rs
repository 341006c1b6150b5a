//! The edge: everything between the socket and the services.
//!
//! Promises: whatever arrives is answered in the dialect in which it came, within the limits of [`config`](crate::config), on
//! behalf of exactly one [`Caller`]. Leaves the answers to the services.
//!
//! A request comes through [`stack`], which finds its [`Dialect`], its [`Target`] and its [`Caller`], and is dispatched by
//! [`router`]. Its body is read by [`body`], which decompresses it ([`decompression`]) within one budget of memory.

pub mod body;
pub mod caller;
mod cors;
mod decompression;
mod dialect;
pub mod error;
pub mod grpc_framing;
mod grpc_web;
mod mistaken_body;
pub mod offload;
pub mod router;
pub mod services;
pub mod stack;
mod target;
#[cfg(test)]
mod tests;

pub use caller::Caller;

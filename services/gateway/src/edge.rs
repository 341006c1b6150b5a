//! The edge: everything between the socket and the services.
//!
//! Promises: whatever arrives is answered in the dialect in which it came, within the limits of [`config`](crate::config), on
//! behalf of exactly one [`Caller`](crate::request::Caller). Leaves the answers to the services.
//!
//! A request comes through [`stack`], which finds its dialect, its target and its caller, and is dispatched by
//! [`router`]. Its body is read by [`crate::request::body`], which decompresses it within one budget of memory.

mod cors;
mod dialect;
mod grpc_web;
pub mod router;
pub mod services;
pub mod stack;
mod target;
#[cfg(test)]
mod tests;

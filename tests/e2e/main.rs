//! The mesh as its clients see it: real processes, real sockets, peers' own tools.

mod analyze;
mod cli;
mod errors;
mod grpcurl;
mod json;
mod stage;
mod tasks;

//! The mesh as its clients see it: real processes, real sockets, peers' own tools.

mod analyze;
mod cli;
mod errors;
mod grpcurl;
mod infer;
mod json;
mod models;
mod pages;
mod shared_mesh;
mod tasks;
mod traces;
mod train;

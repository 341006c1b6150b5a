//! The mesh as its clients see it: real processes, real sockets, peers' own tools.

mod analyze;
mod stage;

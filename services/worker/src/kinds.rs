//! The kinds that are built in.

pub mod analyze;
pub mod echo;

//! The kinds that are built in.

pub mod analyze;
pub mod echo;
pub mod evaluate;
mod source;
pub mod train;

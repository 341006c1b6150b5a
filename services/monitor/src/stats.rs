//! The load of instances: the stream that brings it and the recent past that is kept.

pub(crate) mod ring;
pub(crate) mod stream;

//! Load of instances: the stream of reports and the ring of recent samples.

pub(crate) mod ring;
pub(crate) mod stream;

//! What the mesh says about itself: metrics, traces and logs.
//!
//! Promises: telling never blocks or fails a request. Leaves serving the metrics to `admin`.

pub mod metrics;
pub mod process;

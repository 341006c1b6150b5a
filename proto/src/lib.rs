//! The wire contract, its bindings and their conversions to domain values.
//!
//! Promises: the only code generation of the mesh; every conversion from the wire checks what it reads and never
//! panics. Leaves decisions to `lepton-domain` and connections to `lepton-mesh`.

mod bindings;
pub mod convert;
pub mod descriptors;
pub mod page;
pub mod proto_json;
pub mod roles;
pub mod validate;

#[cfg(test)]
mod tests;

pub use bindings::inference;
pub use bindings::lepton::{analysis, cluster, data, fleet, journal, model, monitor, options, scheduler, task, worker};

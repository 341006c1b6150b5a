//! Roles by RPC: a table that the build makes from the option `lepton.options.v1.role` of every RPC.
//!
//! Promises: every RPC of the contract has exactly one row. Leaves telling callers apart to `mesh::server`.

pub use crate::options::v1::Role;

/// Path of an RPC, as in `:path` of its request, and the least role that may call it; sorted by path.
pub static TABLE: &[(&str, Role)] = include!(concat!(env!("OUT_DIR"), "/roles.rs"));

/// The role that a call of this path needs, or `None` for an RPC that is not in the contract, which is denied.
pub fn role_of(path: &str) -> Option<Role> {
    TABLE
        .binary_search_by_key(&path, |(row, _)| row)
        .ok()
        .map(|index| TABLE[index].1)
}

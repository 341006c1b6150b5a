//! Roles: a table that the build generates from the option `lepton.options.v1.role` of every RPC.
//!
//! Promises: every RPC of the contract has exactly one row. Leaves identifying callers to the servers.

pub use crate::options::v1::Role;

/// Paths of RPCs with the least [`Role`] that may call each; sorted by path.
pub static TABLE: &[(&str, Role)] = include!(concat!(env!("OUT_DIR"), "/roles.rs"));

/// Returns the row of the RPC of this path, or `None` for an RPC that is not in the contract.
pub fn row(path: &str) -> Option<(&'static str, Role)> {
    let index = TABLE.binary_search_by_key(&path, |(row, _)| row).ok()?;
    Some(TABLE[index])
}

/// Role required by the RPC of this path; `None` for one that is not in the contract, which is denied.
pub fn role_of(path: &str) -> Option<Role> {
    row(path).map(|(_, role)| role)
}

/// Returns whether a caller of role `held` may make a call that requires the role `needed`.
pub fn includes(held: Role, needed: Role) -> bool {
    needed != Role::Unspecified && rank(held) >= rank(needed)
}

/// The name of a role in configurations and messages.
pub fn name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "unspecified",
        Role::Public => "public",
        Role::Viewer => "viewer",
        Role::User => "user",
        Role::Operator => "operator",
        Role::Service => "service",
    }
}

/// The place of a role in their order, which is not that of their numbers: those are by age.
fn rank(role: Role) -> u8 {
    match role {
        Role::Unspecified => 0,
        Role::Public => 1,
        Role::Viewer => 2,
        Role::User => 3,
        Role::Operator => 4,
        Role::Service => 5,
    }
}

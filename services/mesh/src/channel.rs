//! Connections to other instances: to any that serves, and to the one that leads.
//!
//! Promises: an entry in etcd is only a hint; whether an instance is used depends on whether it answers. Leaves
//! retries, deadlines and what to send to the services.

pub mod leader;
pub mod pool;
#[cfg(test)]
mod tests;

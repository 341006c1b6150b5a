//! Coordination through etcd: the client, leases, watches, leader election and the registry of instances.
//!
//! Promises: the last good view stays while etcd is away; leadership is proved by a fenced write and by nothing else.
//! Leaves the journal to `lepton-journal` and connections between instances to `lepton-mesh`.

pub mod blob_store;
pub mod election;
pub mod etcd;
pub mod registry;

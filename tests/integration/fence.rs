//! The journal's fence: one history, whatever is lost, late or repeated.
//!
//! Every case runs against a real etcd, through a proxy where bytes have to be lost or late. The last word is always
//! the journal itself: a replica built from nothing, and the full check.

mod behind;
mod damage;
mod fixture;
mod late;
mod restore;
mod snapshots;
mod stale;
mod verified;

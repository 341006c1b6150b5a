//! Generated messages, clients and servers, as modules that follow the packages of the contract.
//!
//! Promises: nothing here is written by hand. Leaves its documentation to the comments of the proto files.
#![allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    reason = "generated code; the contract's comments are its documentation"
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

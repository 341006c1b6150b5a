//! Server reflection, so that `grpcurl` and its like need no files.
//!
//! Promises: both versions of the protocol, with comments; v1alpha, because older clients speak only that. Leaves the
//! descriptors to `lepton-proto`.

use axum::Router;
use lepton_proto::descriptors::FILE_DESCRIPTOR_SET;
use tonic_reflection::pb::{v1, v1alpha};
use tonic_reflection::server::Builder;

use super::stack::mount;

/// The services that every server has besides its own.
const OWN: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Adds reflection, which lists and describes the gRPC services named, health and itself.
pub fn mount_on(router: Router, services: &[&str]) -> Router {
    let builder = || {
        let builder = Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that clients can show the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false);
        services
            .iter()
            .chain(&OWN)
            .fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let newer = builder()
        .build_v1()
        .expect("the sets are those that the builds encoded");
    let older = builder()
        .build_v1alpha()
        .expect("the sets are those that the builds encoded");
    mount(mount(router, newer), older)
}

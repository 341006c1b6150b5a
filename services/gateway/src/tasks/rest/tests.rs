//! Every RPC of tasks has somebody who serves it over REST.

use std::collections::BTreeSet;

use lepton_proto::descriptors::pool;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use prost_types::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

use super::*;
use crate::transcode::table::Table;

fn task_service(pool: &DescriptorPool) -> ServiceDescriptor {
    let service = pool.get_service_by_name(task_service_server::SERVICE_NAME);
    service.expect("the contract has the service")
}

#[test]
fn every_rpc_of_tasks_is_served_by_its_own_code_or_by_transcoding() {
    let table = Table::of(pool()).expect("the contract's rules are supported");
    let bound: BTreeSet<_> = table
        .bindings()
        .iter()
        .map(|binding| binding.rpc.full_name().to_owned())
        .collect();
    let mut served = Vec::new();
    for rpc in task_service(pool()).methods() {
        match TaskRpc::of(&rpc) {
            Some(own) => served.push(own),
            // The transcoder serves all that have a rule.
            None => assert!(
                bound.contains(rpc.full_name()),
                "{} is not served over REST",
                rpc.full_name()
            ),
        }
    }
    use TaskRpc::{BatchSubmit, Cancel, Get, List, Retry, Submit, Wait, Watch};
    for own in [Submit, BatchSubmit, Get, List, Cancel, Retry, Wait, Watch] {
        assert_eq!(served.iter().filter(|rpc| **rpc == own).count(), 1, "{own:?}");
    }
}

#[test]
fn an_rpc_that_is_added_is_transcoded_and_not_taken_for_another() {
    let method = |name: &str| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(".google.protobuf.Empty".to_owned()),
        output_type: Some(".google.protobuf.Empty".to_owned()),
        ..Default::default()
    };
    let service = |name: &str, methods: &[&str]| ServiceDescriptorProto {
        name: Some(name.to_owned()),
        method: methods.iter().map(|name| method(name)).collect(),
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("later.proto".to_owned()),
        package: Some("lepton.task.v1".to_owned()),
        dependency: vec!["google/protobuf/empty.proto".to_owned()],
        service: vec![
            service("TaskService", &["GetTask", "PurgeTask"]),
            service("OtherService", &["GetTask"]),
        ],
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    };
    let mut later = DescriptorPool::global();
    later.add_file_descriptor_proto(file).expect("well formed");
    let rpcs = |service: &str| {
        let service = later
            .get_service_by_name(&format!("lepton.task.v1.{service}"))
            .expect("added");
        service.methods().map(|rpc| TaskRpc::of(&rpc)).collect::<Vec<_>>()
    };
    assert_eq!(rpcs("TaskService"), [Some(TaskRpc::Get), None]);
    assert_eq!(rpcs("OtherService"), [None]);
}

#[test]
fn a_submit_of_a_batch_keeps_the_name_that_it_has() {
    let body = br#"{"requests":[{"kind":"echo"},{"kind":"echo","requestId":"mine"},{"kind":"echo"}]}"#;
    let mut submits = submit::batch(body).expect("a batch");
    let headers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("idempotency-key"),
        http::HeaderValue::from_static("key"),
    )]);
    name_all(&mut submits, idempotency_key::from_headers(&headers).expect("a key"));
    let names = submits
        .into_iter()
        .map(|submit| submit.expect("a submit").request.request_id);
    assert_eq!(names.collect::<Vec<_>>(), ["key/0", "mine", "key/2"]);
}

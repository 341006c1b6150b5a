//! The contract as a whole: roles, comments, options.

use prost_reflect::Value;

use crate::descriptors::pool;
use crate::roles::{Role, TABLE, includes, name, role_of};

#[test]
fn every_rpc_has_a_role_and_the_table_is_sorted() {
    let ours = |package: &str| package.starts_with("lepton.") || package == "inference";
    let services = pool().services().filter(|service| ours(service.package_name()));
    let mut paths: Vec<String> = services
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    paths.sort();
    assert!(paths.len() > 30, "{} RPCs", paths.len());
    let rows: Vec<String> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(rows, paths);
    assert!(TABLE.iter().all(|(_, role)| *role != Role::Unspecified));
}

#[test]
fn roles_are_found_by_path() {
    assert_eq!(role_of("/lepton.task.v1.TaskService/SubmitTask"), Some(Role::User));
    assert_eq!(
        role_of("/lepton.scheduler.v1.SchedulerService/Intake"),
        Some(Role::Service)
    );
    assert_eq!(
        role_of("/lepton.cluster.v1.ClusterService/ListNodes"),
        Some(Role::Operator)
    );
    assert_eq!(
        role_of("/inference.GRPCInferenceService/ServerLive"),
        Some(Role::Public)
    );
    assert_eq!(role_of("/lepton.task.v1.TaskService/Submit"), None);
    assert_eq!(role_of(""), None);
}

#[test]
fn roles_include_those_below_them() {
    let order = [Role::Public, Role::Viewer, Role::User, Role::Operator, Role::Service];
    for (place, held) in order.iter().enumerate() {
        for (needs, needed) in order.iter().enumerate() {
            assert_eq!(includes(*held, *needed), place >= needs, "{held:?} {needed:?}");
        }
        assert!(!includes(*held, Role::Unspecified) && !includes(Role::Unspecified, *held));
        assert_eq!(held.as_str_name(), format!("ROLE_{}", name(*held).to_uppercase()));
    }
    assert_eq!(role_of("/lepton.task.v1.TaskService/WatchTask"), Some(Role::Viewer));
}

#[test]
fn every_component_of_ours_carries_its_comment() {
    for file in pool().files().filter(|file| file.name().starts_with("lepton/")) {
        let info = file
            .file_descriptor_proto()
            .source_code_info
            .as_ref()
            .expect("compiled with source info");
        let comments = info
            .location
            .iter()
            .filter(|place| place.leading_comments.is_some())
            .count();
        let messages = file.messages().count();
        let fields: usize = file.messages().map(|message| message.fields().count()).sum();
        assert!(comments >= messages + fields, "{}: {comments} comments", file.name());
    }
}

#[test]
fn options_survive_the_compilation() {
    let service = pool().get_service_by_name("lepton.task.v1.TaskService").unwrap();
    let submit = service.methods().find(|method| method.name() == "SubmitTask").unwrap();
    let http = pool().get_extension_by_name("google.api.http").unwrap();
    let options = submit.options();
    let Value::Message(rule) = options.get_extension(&http).into_owned() else {
        panic!("not a message")
    };
    assert_eq!(rule.get_field_by_name("post").unwrap().as_str(), Some("/api/v1/tasks"));
    assert_eq!(rule.get_field_by_name("response_body").unwrap().as_str(), Some("task"));
}

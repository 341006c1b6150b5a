//! The contract's own rules.

use super::*;

fn table() -> Table {
    Table::of(lepton_proto::descriptors::pool()).expect("the contract's rules are supported")
}

#[test]
fn every_rpc_with_a_rule_is_found() {
    let table = table();
    let (binding, fields) = table.find(&Method::POST, "/api/v1/tasks/7:cancel").expect("bound");
    assert_eq!(binding.rpc_path(), "/lepton.task.v1.TaskService/CancelTask");
    assert_eq!(fields, [("id", "7".to_owned())]);
    assert_eq!(
        binding.answer.as_ref().map(|field| field.name().to_owned()).as_deref(),
        Some("task")
    );
    let (binding, _) = table.find(&Method::POST, "/api/v1/models/m:push").expect("bound");
    assert!(matches!(&binding.body, Body::Field(field) if field.name() == "content"));
}

#[test]
fn a_wrong_method_names_the_right_ones() {
    let table = table();
    let miss = table.find(&Method::DELETE, "/api/v1/tasks").expect_err("not bound");
    let error = miss.refusal(&Method::DELETE, "/api/v1/tasks");
    assert_eq!(error.reason, Reason::MethodNotAllowed);
    assert_eq!(error.metadata["allow"], "POST, GET, HEAD");
    assert_eq!(
        table.find(&Method::GET, "/api/v1/nothing").expect_err("not bound"),
        Miss::Path
    );
}

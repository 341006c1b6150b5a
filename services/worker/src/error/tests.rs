//! Every failure has its reason and its details on the wire.

use std::io;

use lepton_domain::model::DataType;

use super::*;
use crate::model::tensor::SharedDimension;

fn on_wire(error: impl Into<Error>) -> ApiError {
    ApiError::from(error.into())
}

fn detail<'a>(error: &'a ApiError, key: &str) -> &'a str {
    error.metadata.get(key).map_or("", String::as_str)
}

#[test]
fn refusals_for_want_of_room_say_when_to_try_again() {
    for error in [AdmissionError::Calls, AdmissionError::Memory] {
        let api_error = on_wire(error);
        assert_eq!(api_error.reason, Reason::Overloaded);
        assert_eq!(api_error.retry_after, Some(error.retry_after()));
    }
    let busy = on_wire(ValidationError::Busy);
    assert_eq!(
        (busy.reason, busy.retry_after),
        (Reason::Overloaded, Some(ValidationError::RETRY_AFTER))
    );
}

#[test]
fn models_that_do_not_answer_have_four_reasons() {
    let name = || "m".to_owned();
    let state = "is being loaded here".to_owned();
    for (error, reason) in [
        (CacheError::NotFound { name: name() }, Reason::ModelNotFound),
        (CacheError::RegistryUnread { name: name() }, Reason::ModelNotReady),
        (CacheError::NotDeployed { name: name() }, Reason::ModelNotDeployed),
    ] {
        let api_error = on_wire(error);
        assert_eq!(
            (api_error.reason, detail(&api_error, "model")),
            (reason, "m"),
            "{api_error}"
        );
        assert_eq!(api_error.retry_after, None);
    }
    let version = 3;
    let name = name();
    let not_ready = on_wire(CacheError::NotReady { name, version, state });
    assert_eq!(not_ready.reason, Reason::ModelNotReady);
    assert_eq!((detail(&not_ready, "model"), detail(&not_ready, "version")), ("m", "3"));
    assert_eq!(not_ready.retry_after, Some(CacheError::RETRY_AFTER));
    assert_eq!(not_ready.message, "version 3 of model \"m\" is being loaded here");
}

/// Expects this reason, the name "x", and these details.
fn tensor_fails(error: TensorError, reason: Reason, details: (&str, &str)) {
    let api_error = on_wire(error);
    assert_eq!(
        (api_error.reason, detail(&api_error, "tensor")),
        (reason, "x"),
        "{api_error}"
    );
    assert_eq!(
        (detail(&api_error, "expected"), detail(&api_error, "given")),
        details,
        "{api_error}"
    );
}

#[test]
fn tensors_have_their_reason_and_name() {
    let (name, known) = ("x".to_owned(), String::new());
    let unknown = TensorError::UnknownInput { name, known };
    tensor_fails(unknown, Reason::TensorUnknown, ("", ""));
    let (name, known) = ("x".to_owned(), String::new());
    let unknown = TensorError::UnknownOutput { name, known };
    tensor_fails(unknown, Reason::TensorUnknown, ("", ""));
    let (name, described) = ("x".to_owned(), String::new());
    let missing = TensorError::Missing { name, described };
    tensor_fails(missing, Reason::TensorMissing, ("", ""));
    let (name, datatype) = ("x".to_owned(), DataType::Bool);
    let not_numeric = TensorError::NotNumeric { name, datatype };
    tensor_fails(not_numeric, Reason::TensorType, ("", ""));
    tensor_fails(TensorError::data("x", "is odd"), Reason::TensorData, ("", ""));
    let name = "x".to_owned();
    let twice = on_wire(TensorError::Twice { name });
    assert_eq!(
        (twice.reason, &*twice.violations[0].field),
        (Reason::FieldInvalid, "inputs")
    );
}

#[test]
fn tensors_name_what_was_expected_and_what_came() {
    let typed = TensorError::Type {
        name: "x".to_owned(),
        expected: DataType::Fp32,
        given: "FP64".to_owned(),
    };
    tensor_fails(typed, Reason::TensorType, ("FP32", "FP64"));
    let shaped = TensorError::Shape {
        name: "x".to_owned(),
        expected: vec![-1, 2],
        given: "[3]".to_owned(),
        problem: "came",
    };
    tensor_fails(shaped, Reason::TensorShape, ("[-1, 2]", "[3]"));
    let shared = SharedDimension {
        first: "z".to_owned(),
        first_shape: vec![2],
        name: "x".to_owned(),
        shape: vec![3],
        dimension: "n".to_owned(),
        expected: 2,
        given: 3,
    };
    let shared = TensorError::SharedDimension(Box::new(shared));
    tensor_fails(shared, Reason::TensorShape, ("2", "3"));
    let memory = on_wire(RunError::from(TensorError::Memory {
        shapes: String::new(),
        halt: String::new(),
        limit: 7,
    }));
    assert_eq!((memory.reason, detail(&memory, "limit")), (Reason::TensorShape, "7"));
}

#[test]
fn inputs_name_the_field_or_the_place() {
    let field = on_wire(InputError::field("seed", "not a number"));
    assert_eq!(
        (field.reason, &*field.message),
        (Reason::FieldInvalid, "seed: not a number")
    );
    let row = on_wire(InputError::Row {
        row: 7,
        column: Some("x".to_owned()),
        problem: "an array: rows are flat".to_owned(),
    });
    assert_eq!(
        (row.reason, &*row.message),
        (Reason::InvalidRow, "data[7].x is an array: rows are flat")
    );
    assert_eq!((detail(&row, "row"), detail(&row, "column")), ("7", "x"));
    let unknown = on_wire(InputError::UnknownField { name: "q".to_owned() });
    assert_eq!((unknown.reason, detail(&unknown, "field")), (Reason::UnknownField, "q"));
    assert_eq!(on_wire(InputError::Consistency).reason, Reason::ConsistencyUnsupported);
    assert_eq!(on_wire(InputError::NoRows("none")).reason, Reason::NoRows);
    assert_eq!(on_wire(InputError::NotJson("x".to_owned())).reason, Reason::InvalidJson);
}

#[test]
fn stopped_work_is_cancelled_wherever_it_was() {
    assert_eq!(
        on_wire(Error::Stopped("the analysis was stopped")).reason,
        Reason::Cancelled
    );
    assert_eq!(on_wire(LoadError::Stopped).reason, Reason::Cancelled);
    assert_eq!(on_wire(RunError::Stopped).reason, Reason::Cancelled);
    assert_eq!(on_wire(lepton_analysis::Error::Cancelled).reason, Reason::Cancelled);
}

#[test]
fn a_system_without_resources_is_overloaded_and_a_broken_invariant_internal() {
    let process = |errno: rustix::io::Errno| on_wire(ValidationError::Process(errno.into()));
    for errno in [
        rustix::io::Errno::AGAIN,
        rustix::io::Errno::NOMEM,
        rustix::io::Errno::MFILE,
    ] {
        let error = process(errno);
        assert_eq!(error.reason, Reason::Overloaded, "{error}");
        assert!(error.retry_after.is_some());
    }
    assert_eq!(process(rustix::io::Errno::NOENT).reason, Reason::Internal);
    assert_eq!(on_wire(ServiceError::TasksEnded).reason, Reason::Internal);
    assert_eq!(
        on_wire(ServiceError::Server(io::Error::other("x"))).reason,
        Reason::Internal
    );
    assert_eq!(on_wire(RunError::Panicked("x".to_owned())).reason, Reason::Internal);
}

#[test]
fn faults_of_other_crates_arrive_as_they_were() {
    let given = ApiError::new(Reason::BlobUnavailable, "away").with("a", "b");
    assert_eq!(on_wire(Error::Api(given.clone())), given);
}

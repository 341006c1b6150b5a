//! Every failure has its reason and its details on the wire.

use std::io;

use lepton_domain::model::DataType;

use super::*;
use crate::model::tensor::SharedDimension;

fn fault(error: impl Into<Error>) -> Fault {
    Fault::from(error.into())
}

fn detail<'a>(fault: &'a Fault, key: &str) -> &'a str {
    fault.metadata.get(key).map_or("", String::as_str)
}

#[test]
fn refusals_for_want_of_room_say_when_to_try_again() {
    for error in [AdmissionError::Calls, AdmissionError::Memory] {
        let fault = fault(error);
        assert_eq!(fault.reason, Reason::Overloaded);
        assert_eq!(fault.retry_after, Some(error.retry_after()));
    }
    let busy = fault(ValidationError::Busy);
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
        let fault = fault(error);
        assert_eq!((fault.reason, detail(&fault, "model")), (reason, "m"), "{fault}");
        assert_eq!(fault.retry_after, None);
    }
    let version = 3;
    let name = name();
    let not_ready = fault(CacheError::NotReady { name, version, state });
    assert_eq!(not_ready.reason, Reason::ModelNotReady);
    assert_eq!((detail(&not_ready, "model"), detail(&not_ready, "version")), ("m", "3"));
    assert_eq!(not_ready.retry_after, Some(CacheError::RETRY_AFTER));
    assert_eq!(not_ready.message, "version 3 of model \"m\" is being loaded here");
}

/// Expects this reason, the name "x", and these details.
fn tensor_fails(error: TensorError, reason: Reason, details: (&str, &str)) {
    let fault = fault(error);
    assert_eq!((fault.reason, detail(&fault, "tensor")), (reason, "x"), "{fault}");
    assert_eq!(
        (detail(&fault, "expected"), detail(&fault, "given")),
        details,
        "{fault}"
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
    let twice = fault(TensorError::Twice { name });
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
    let memory = fault(RunError::from(TensorError::Memory {
        shapes: String::new(),
        halt: String::new(),
        limit: 7,
    }));
    assert_eq!((memory.reason, detail(&memory, "limit")), (Reason::TensorShape, "7"));
}

#[test]
fn inputs_name_the_field_or_the_place() {
    let field = fault(InputError::field("seed", "not a number"));
    assert_eq!(
        (field.reason, &*field.message),
        (Reason::FieldInvalid, "seed: not a number")
    );
    let row = fault(InputError::Row {
        row: 7,
        column: Some("x".to_owned()),
        problem: "an array: rows are flat".to_owned(),
    });
    assert_eq!(
        (row.reason, &*row.message),
        (Reason::InvalidRow, "data[7].x is an array: rows are flat")
    );
    assert_eq!((detail(&row, "row"), detail(&row, "column")), ("7", "x"));
    let unknown = fault(InputError::UnknownField { name: "q".to_owned() });
    assert_eq!((unknown.reason, detail(&unknown, "field")), (Reason::UnknownField, "q"));
    assert_eq!(fault(InputError::Consistency).reason, Reason::ConsistencyUnsupported);
    assert_eq!(fault(InputError::NoRows("none")).reason, Reason::NoRows);
    assert_eq!(fault(InputError::NotJson("x".to_owned())).reason, Reason::InvalidJson);
}

#[test]
fn stopped_work_is_cancelled_wherever_it_was() {
    assert_eq!(
        fault(Error::Stopped("the analysis was stopped")).reason,
        Reason::Cancelled
    );
    assert_eq!(fault(LoadError::Stopped).reason, Reason::Cancelled);
    assert_eq!(fault(RunError::Stopped).reason, Reason::Cancelled);
    assert_eq!(fault(lepton_analysis::Error::Cancelled).reason, Reason::Cancelled);
}

#[test]
fn a_system_without_resources_is_overloaded_and_a_broken_invariant_internal() {
    let process = |errno: rustix::io::Errno| fault(ValidationError::Process(errno.into()));
    for errno in [
        rustix::io::Errno::AGAIN,
        rustix::io::Errno::NOMEM,
        rustix::io::Errno::MFILE,
    ] {
        let fault = process(errno);
        assert_eq!(fault.reason, Reason::Overloaded, "{fault}");
        assert!(fault.retry_after.is_some());
    }
    assert_eq!(process(rustix::io::Errno::NOENT).reason, Reason::Internal);
    assert_eq!(fault(ServiceError::TasksEnded).reason, Reason::Internal);
    assert_eq!(
        fault(ServiceError::Server(io::Error::other("x"))).reason,
        Reason::Internal
    );
    assert_eq!(fault(RunError::Panicked("x".to_owned())).reason, Reason::Internal);
}

#[test]
fn faults_of_other_crates_arrive_as_they_were() {
    let given = Fault::new(Reason::BlobUnavailable, "away").with("a", "b");
    assert_eq!(fault(Error::Fault(given.clone())), given);
}

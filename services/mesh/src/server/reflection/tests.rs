//! What is there, and what is not, in one stream.

use prost::Message as _;
use tonic_reflection::pb::v1::ExtensionRequest;

use super::*;

fn reflection() -> Reflection {
    let index = Index::new(&[FILE_DESCRIPTOR_SET, v1::FILE_DESCRIPTOR_SET]).expect("well formed");
    Reflection {
        services: ["lepton.task.v1.TaskService".to_owned()].into(),
        index: Arc::new(index),
    }
}

fn respond(wanted: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: "x".to_owned(),
        message_request: Some(wanted),
    };
    let response = reflection().respond(request.clone());
    assert_eq!(response.original_request, Some(request));
    response.message_response.expect("there is always one")
}

fn file_name(response: MessageResponse) -> String {
    let MessageResponse::FileDescriptorResponse(files) = response else {
        panic!("not a file: {response:?}")
    };
    let file = prost_types::FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice());
    file.expect("a file").name().to_owned()
}

#[test]
fn files_are_found_by_name_symbol_and_extension() {
    let task = "lepton/task/v1/task.proto";
    assert_eq!(file_name(respond(MessageRequest::FileByFilename(task.into()))), task);
    for symbol in [
        "lepton.task.v1.TaskService",
        "lepton.task.v1.TaskService.SubmitTask",
        "lepton.task.v1.Task",
        "lepton.task.v1.Task.id",
    ] {
        let found = respond(MessageRequest::FileContainingSymbol(symbol.into()));
        assert_eq!(file_name(found), task, "{symbol}");
    }
    let role = ExtensionRequest {
        containing_type: "google.protobuf.MethodOptions".into(),
        extension_number: 50_001,
    };
    let found = respond(MessageRequest::FileContainingExtension(role.clone()));
    assert!(file_name(found).starts_with("lepton/options/v1/"));
    let found = respond(MessageRequest::AllExtensionNumbersOfType(role.containing_type));
    let MessageResponse::AllExtensionNumbersResponse(numbers) = found else {
        panic!("not numbers: {found:?}")
    };
    assert!(numbers.extension_number.contains(&50_001), "{numbers:?}");
}

#[test]
fn what_is_not_there_is_an_answer() {
    let extension = ExtensionRequest {
        containing_type: "google.protobuf.MethodOptions".into(),
        extension_number: 1,
    };
    for wanted in [
        MessageRequest::FileByFilename("nope.proto".into()),
        MessageRequest::FileContainingSymbol("lepton.Nope".into()),
        MessageRequest::FileContainingExtension(extension),
        MessageRequest::AllExtensionNumbersOfType("lepton.Nope".into()),
    ] {
        let MessageResponse::ErrorResponse(error) = respond(wanted) else {
            panic!("it was found")
        };
        assert_eq!(error.error_code, i32::from(tonic::Code::NotFound), "{error:?}");
    }
}

//! Names and labels.

use super::*;

fn request(method: &str, path: &str, grpc: bool) -> Call {
    let kind = if grpc { "application/grpc" } else { "text/plain" };
    let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind);
    Call::of(&request.body(()).unwrap())
}

fn end(status: bool) -> End {
    End {
        code: "OK".to_owned(),
        status,
        error: (!status).then(|| "CANCELLED".to_owned()),
    }
}

#[test]
fn methods_of_the_contract_have_names_and_no_others() {
    for known in [
        "/lepton.task.v1.TaskService/SubmitTask",
        "/inference.GRPCInferenceService/ModelInfer",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let call = request("POST", known, true);
        assert_eq!((call.label(None).as_str(), call.rpc_method()), (known, &known[1..]));
    }
    for made_up in [
        "/lepton.task.v1.TaskService/X1",
        "/no.such.Service/Check",
        "/",
        "/a/b/c",
    ] {
        let call = request("POST", made_up, true);
        assert_eq!(
            (call.label(None).as_str(), call.rpc_method()),
            (OTHER, OTHER),
            "{made_up}"
        );
    }
}

#[test]
fn labels_are_those_of_the_conventions() {
    let labels = |call: &Call, end| {
        let labels = call.conventional("test", &call.label(None), &end);
        labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let call = request("POST", "/grpc.health.v1.Health/Check", true);
    assert_eq!(
        labels(&call, end(true)),
        "service=test rpc_system_name=grpc rpc_method=grpc.health.v1.Health/Check rpc_status_code=OK"
    );
    let odd = request("BREW", "/pot", false);
    let hung_up = "service=test http_request_method=_OTHER http_route=unmatched url_scheme=http error_type=CANCELLED";
    assert_eq!(labels(&odd, end(false)), hung_up, "who hung up has no status");
    assert_eq!(name_of(known(&odd.method)), "HTTP");
}

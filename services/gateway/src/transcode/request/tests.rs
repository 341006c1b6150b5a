//! REST requests and the messages that they become.

use http::Method;
use lepton_proto::descriptors::pool;
use proptest::prelude::*;

use super::super::table::Table;
use super::*;

fn request(verb: Method, path: &str, query: &str, body: &str) -> Result<DynamicMessage, ApiError> {
    let table = Table::of(pool()).expect("the contract's rules are supported");
    let (binding, fields) = table.find(&verb, path).expect("bound");
    message(&binding, &fields, Some(query), &Bytes::copy_from_slice(body.as_bytes()))
}

fn text(message: &DynamicMessage) -> String {
    serde_json::to_string(message).expect("messages are JSON")
}

#[test]
fn query_names_come_in_both_spellings() {
    for query in [
        "pageSize=7&state=STATE_FAILED&kind=a%20b",
        "page_size=7&state=5&kind=a+b",
    ] {
        let message = request(Method::GET, "/api/v1/tasks", query, "").expect("good");
        assert_eq!(text(&message), r#"{"pageSize":7,"state":"STATE_FAILED","kind":"a b"}"#);
    }
}

#[test]
fn durations_come_as_text() {
    let message = request(Method::GET, "/api/v1/tasks/x:wait", "timeout=1.5s", "").expect("good");
    assert_eq!(text(&message), r#"{"id":"x","timeout":"1.500s"}"#);
}

#[test]
fn unknown_and_unfit_parameters_are_named() {
    let error = request(Method::GET, "/api/v1/tasks", "pagesize=7", "").expect_err("unknown");
    assert_eq!(
        (error.reason, error.metadata["field"].as_str()),
        (Reason::UnknownField, "pagesize")
    );
    let error = request(Method::GET, "/api/v1/tasks", "pageSize=many", "").expect_err("not a number");
    assert_eq!(
        (error.reason, error.violations[0].field.as_str()),
        (Reason::FieldInvalid, "pageSize")
    );
    let error = request(Method::GET, "/api/v1/tasks", "kind=%ff", "").expect_err("not UTF-8");
    assert_eq!(error.reason, Reason::FieldInvalid);
}

#[test]
fn a_call_without_parameters_takes_none() {
    for query in [None, Some(""), Some("&")] {
        assert_eq!(no_parameters(query), Ok(()));
    }
    let error = ApiError::from(no_parameters(Some("kind=echo")).expect_err("unknown"));
    assert_eq!(
        (error.reason, error.metadata["field"].as_str()),
        (Reason::UnknownField, "kind")
    );
    assert_eq!(
        no_parameters(Some("%ff")).expect_err("not UTF-8"),
        ParameterError::Escape
    );
}

#[test]
fn a_single_value_is_taken_once() {
    for (path, query, name) in [
        ("/api/v1/tasks", "pageSize=5&pageSize=6", "pageSize"),
        ("/api/v1/tasks", "pageSize=5&kind=a&page_size=5", "pageSize"),
        ("/api/v1/tasks", "kind=&kind=", "kind"),
        ("/api/v1/tasks/x:wait", "timeout=1s&timeout=2s", "timeout"),
        ("/api/v1/tasks/x", "id=y", "id"),
    ] {
        let error = request(Method::GET, path, query, "").expect_err(query);
        assert_eq!(error.code().name(), "INVALID_ARGUMENT", "{query}");
        assert_eq!(error.violations[0].field, name, "{query}");
        assert!(
            error
                .message
                .starts_with(&format!("{name}: it is given more than once")),
            "{error}"
        );
    }
}

#[test]
fn long_texts_are_shortened_where_they_stand() {
    let long = "x".repeat(50_000);
    for query in [format!("{long}=1"), format!("pageSize={long}"), format!("state={long}")] {
        let error = request(Method::GET, "/api/v1/tasks", &query, "").expect_err("unfit");
        assert!(error.message.len() < 1_024, "{} bytes", error.message.len());
    }
}

#[test]
fn the_path_wins_over_the_body() {
    let body = r#"{"name":"other","version":2}"#;
    let message = request(Method::POST, "/api/v1/models/m:deploy", "", body).expect("good");
    assert_eq!(text(&message), r#"{"name":"m","version":2}"#);
    // A body that may be left out.
    let message = request(Method::POST, "/api/v1/models/m:undeploy", "", "").expect("good");
    assert_eq!(text(&message), r#"{"name":"m"}"#);
}

#[test]
fn a_bytes_field_takes_the_body_as_it_is() {
    let message = request(Method::POST, "/api/v1/models/m:push", "", "not json").expect("good");
    assert_eq!(
        message
            .get_field_by_name("content")
            .expect("declared")
            .as_bytes()
            .map(AsRef::as_ref),
        Some(&b"not json"[..])
    );
}

#[test]
fn bodies_are_strict_json() {
    let error = request(Method::POST, "/api/v1/models/m:deploy", "", r#"{"versoin":2}"#).expect_err("unknown");
    assert_eq!(
        (error.reason, error.metadata["field"].as_str()),
        (Reason::UnknownField, "versoin")
    );
    let error = request(Method::POST, "/api/v1/models/m:deploy", "", "{\n\"version\": NaN}").expect_err("not JSON");
    assert_eq!(error.reason, Reason::InvalidJson);
    assert_eq!(
        (error.metadata["line"].as_str(), error.metadata["column"].as_str()),
        ("2", "12")
    );
    let error = request(Method::POST, "/api/v1/models/m:deploy", "", r#"{"version":"x"}"#).expect_err("unfit");
    assert_eq!(error.reason, Reason::FieldInvalid);
}

proptest! {
    #[test]
    fn any_query_and_body_is_taken_without_panic(query in ".{0,64}", body in ".{0,64}") {
        let _ = request(Method::GET, "/api/v1/tasks", &query, "");
        let _ = request(Method::POST, "/api/v1/models/m:deploy", &query, &body);
    }
}

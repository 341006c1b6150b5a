//! Submits as clients write them.

use lepton_domain::reason::Reason;
use proptest::prelude::*;

use super::*;

fn text(submit: &Submit) -> &str {
    std::str::from_utf8(&submit.input).expect("canonical JSON is UTF-8")
}

#[test]
fn the_input_keeps_its_keys_order_and_is_exact() {
    let body = br#"{"kind":"echo", "input" : {"b": 1.50, "a":[9007199254740992, "x\u00e9"]}, "request_id":"r"}"#;
    let submit = one(body).expect("good");
    assert_eq!(text(&submit), r#"{"b":1.5,"a":[9007199254740992,"xé"]}"#);
    assert_eq!(
        (submit.request.kind.as_str(), submit.request.request_id.as_str()),
        ("echo", "r")
    );
    assert!(submit.request.payload.is_none());
}

#[test]
fn absent_and_binary_inputs() {
    assert_eq!(text(&one(br#"{"kind":"echo"}"#).expect("good")), "null");
    let submit = one(br#"{"kind":"echo","inputBytes":"AP8="}"#).expect("good");
    assert_eq!(
        (submit.encoding, submit.input.as_ref()),
        (Encoding::Binary, &b"\x00\xff"[..])
    );
}

#[test]
fn json_and_messages_give_the_same_submit() {
    let body =
        br#"{"kind":"echo","input":{"z":1,"a":{"b":[true,null]}},"priority":2,"timeout":"3s","labels":{"k":"v"}}"#;
    let from_json = one(body).expect("good");
    let descriptor = pool()
        .get_message_by_name("lepton.task.v1.SubmitTaskRequest")
        .expect("declared");
    let request = parse_at(descriptor, body, Position::START)
        .expect("good")
        .transcode_to()
        .expect("same message");
    let from_message = message(request).expect("good");
    // A message has no order of keys; the digest, which makes a repeated submit, knows none either.
    assert_eq!(from_json.digest, from_message.digest);
    assert_eq!(canonical(&from_json.input).expect("JSON"), from_message.input);
    assert_eq!(from_json.request, from_message.request);
}

#[test]
fn refusals_name_what_is_wrong() {
    for (body, reason) in [
        ("", Reason::InvalidJson),
        ("{\"kind\":\"echo\",\"input\":NaN}", Reason::InvalidJson),
        ("[]", Reason::FieldInvalid),
        (r#"{"kind":"echo","inptu":1}"#, Reason::UnknownField),
        (r#"{"kind":"echo","input":1,"inputBytes":"AA=="}"#, Reason::FieldInvalid),
        (r#"{"kind":"echo","input":[1],"input":1}"#, Reason::FieldInvalid),
        (r#"{"kind":"echo","input":1,"input":2}"#, Reason::FieldInvalid),
        (r#"{"kind":"echo","input":9007199254740993}"#, Reason::NumberNotExact),
        (r#"{"input":1}"#, Reason::FieldInvalid),
        (r#"{"kind":"echo","priority":9}"#, Reason::FieldInvalid),
    ] {
        assert_eq!(one(body.as_bytes()).expect_err(body).reason, reason, "{body}");
    }
}

#[test]
fn faults_inside_an_input_are_placed_in_the_body() {
    let error = one(b"{\"kind\":\"echo\",\n \"input\":{\"a\":[1,\n 9007199254740993]}}").expect_err("not exact");
    assert_eq!(
        (error.metadata["line"].as_str(), error.metadata["column"].as_str()),
        ("3", "2")
    );
    let error = one(b"{\"kind\":\"echo\",\n \"input\":\n {}, \"x\":1}").expect_err("unknown");
    assert_eq!(
        (error.reason, error.metadata["line"].as_str()),
        (Reason::UnknownField, "3")
    );
}

#[test]
fn one_bad_submit_of_a_batch_fails_alone() {
    let body = br#"{"requests":[{"kind":"echo","input":1},{"input":2},{"kind":"echo","input":90071992547409930}]}"#;
    let results = batch(body).expect("a batch");
    assert_eq!(results.len(), 3);
    assert_eq!(text(results[0].as_ref().expect("good")), "1");
    assert_eq!(results[1].as_ref().expect_err("no kind").reason, Reason::FieldInvalid);
    assert_eq!(
        results[2].as_ref().expect_err("not exact").reason,
        Reason::NumberNotExact
    );
    assert_eq!(
        batch(br#"{"requests":[]}"#).expect_err("empty").reason,
        Reason::FieldInvalid
    );
    let unknown = br#"{"requests":[{"kind":"echo"}],"all":true}"#;
    assert_eq!(batch(unknown).expect_err("unknown").reason, Reason::UnknownField);
    let twice = br#"{"requests":[{"kind":"a"}],"requests":[{"kind":"b"}]}"#;
    assert_eq!(batch(twice).expect_err("twice").reason, Reason::FieldInvalid);
}

#[test]
fn a_submit_of_a_wrong_shape_fails_alone_and_is_placed_in_the_body() {
    let body = br#"{"requests":[
 {"kind":"echo","input":{"a":1}},
 {"kind":"echo","priority":"high"},
 {"kind":"echo",
  "inptu":1}, {"kind":7}, null, [1], "echo",
 {"kind":"echo","input":1,"inputBytes":"AA=="},
 {"kind":"echo","input":[
   9007199254740993]},
 {"kind":"echo"}]}"#;
    let results = batch(body).expect("a batch");
    let found: Vec<_> = results
        .iter()
        .map(|result| {
            result
                .as_ref()
                .err()
                .map(|error| (error.reason, error.metadata["line"].as_str()))
        })
        .collect();
    let invalid = |line| Some((Reason::FieldInvalid, line));
    let expected = [
        None,
        invalid("3"),
        Some((Reason::UnknownField, "5")),
        invalid("5"),
        invalid("5"),
        invalid("5"),
        invalid("5"),
        invalid("6"),
        Some((Reason::NumberNotExact, "8")),
        None,
    ];
    assert_eq!(found, expected);
    let broken = br#"{"requests":[{"kind":"echo"},{"kind":echo}]}"#;
    assert_eq!(batch(broken).expect_err("no JSON").reason, Reason::InvalidJson);
}

proptest! {
    #[test]
    fn any_text_is_taken_without_panic(text in r#"[{}\[\]",:a-z0-9\n ]{0,60}"#) {
        let _ = one(text.as_bytes());
        let _ = one(format!("{{\"kind\":\"echo\",\"input\":{text}}}").as_bytes());
        let _ = batch(format!("{{\"requests\":[{text}]}}").as_bytes());
    }
}

#[test]
fn too_many_pairs_are_refused_before_they_are_kept() {
    for (pairs, said) in [(40, "labels"), (2_000, "`labels` has 2000 pairs")] {
        let labels: Vec<_> = (0..pairs).map(|number| format!("\"l{number}\":\"\"")).collect();
        let body = format!("{{\"kind\":\"echo\",\"labels\":{{{}}}}}", labels.join(","));
        let error = one(body.as_bytes()).expect_err("refused");
        assert_eq!(error.reason, Reason::FieldInvalid, "{error}");
        assert!(error.message.contains(said), "{error}");
    }
}

#[test]
fn a_batch_keeps_no_more_than_it_takes() {
    let body = format!("{{\"requests\":[{}0]}}", "0,".repeat(3 * REQUESTS_MAX));
    let mut deserializer = serde_json::Deserializer::from_str(&body);
    let (kept, count) = deserializer.deserialize_map(Batch).expect("JSON");
    assert_eq!((kept.len(), count), (REQUESTS_MAX, 3 * REQUESTS_MAX + 1));
    let error = batch(body.as_bytes()).expect_err("refused");
    assert!(error.message.contains("30001 requests, 1 to 10000"), "{error}");
}

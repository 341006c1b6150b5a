//! Bodies of inference requests: fields in any order, binary tensors, and what is refused.

use lepton_domain::reason::Reason;
use lepton_proto::inference::infer_parameter::ParameterChoice;
use proptest::prelude::*;

use super::*;

const ROOM: usize = 1 << 20;

fn take(json: &str) -> Result<Asked, ApiError> {
    read(&Bytes::copy_from_slice(json.as_bytes()), None, ROOM)
}

/// A body with binary data behind its JSON.
fn take_binary(json: &str, binary: &[u8]) -> Result<Asked, ApiError> {
    read(&Bytes::from([json.as_bytes(), binary].concat()), Some(json.len()), ROOM)
}

fn refused(json: &str) -> ApiError {
    take(json).expect_err(json)
}

#[test]
fn the_example_of_the_protocol_is_read() {
    let asked = take(
        r#"{ "id" : "42", "inputs" : [
            { "name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "data" : [ 1, 2, 3, 4 ] },
            { "name" : "input1", "shape" : [ 3 ], "datatype" : "BOOL", "data" : [ true, false, true ] } ],
          "outputs" : [ { "name" : "output0" } ] }"#,
    )
    .expect("the protocol's own");
    assert_eq!(asked.id, "42");
    assert_eq!(
        asked.contents[0].as_ref(),
        [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]
    );
    assert_eq!(asked.contents[1].as_ref(), [1, 0, 1]);
    assert_eq!(asked.inputs[0].shape, [2, 2]);
    assert_eq!(asked.outputs[0].name, "output0");
    assert!(!asked.form.is_binary("output0"));
}

#[test]
fn fields_come_in_any_order_and_null_is_absent() {
    let usual = take(r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[2],"data":[1,-2]}]}"#).expect("usual");
    let sorted = take(
        r#"{"id":null,"inputs":[{"data":[1,-2],"datatype":"INT8","name":"x","parameters":null,"shape":[2]}],"outputs":null,"model_name":"m"}"#,
    )
    .expect("sorted");
    assert_eq!(usual, sorted);
}

#[test]
fn binary_tensors_are_slices_behind_the_json() {
    let json = r#"{"parameters":{"binary_data_output":true,"note":"n","number":-1,"half":0.5,"big":18446744073709551615},
        "inputs":[{"name":"a","shape":[2,2],"datatype":"FP16","parameters":{"binary_data_size":8}},
                  {"name":"b","shape":[1],"datatype":"INT64","data":[9007199254740993]},
                  {"name":"c","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}},
                  {"name":"d","shape":[0],"datatype":"FP32","parameters":{"binary_data_size":0}}],
        "outputs":[{"name":"y","parameters":{"binary_data":false}},{"name":"z"}]}"#;
    let asked = take_binary(json, b"12345678\x02\0\0\0ok").expect("good");
    let expected: [&[u8]; 4] = [
        b"12345678",
        &9_007_199_254_740_993_i64.to_le_bytes(),
        b"\x02\0\0\0ok",
        b"",
    ];
    assert_eq!(asked.contents, expected);
    assert!(asked.form.is_binary("z") && !asked.form.is_binary("y"));
    assert!(asked.inputs.iter().all(|input| input.parameters.is_empty()));
    let choice = |name: &str| asked.parameters[name].parameter_choice.clone();
    assert_eq!(choice("note"), Some(ParameterChoice::StringParam("n".into())));
    assert_eq!(choice("number"), Some(ParameterChoice::Int64Param(-1)));
    assert_eq!(choice("half"), Some(ParameterChoice::DoubleParam(0.5)));
    assert_eq!(choice("big"), Some(ParameterChoice::Uint64Param(u64::MAX)));
    assert!(!asked.parameters.contains_key("binary_data_output"));
}

#[test]
fn binary_tensors_that_do_not_fit_are_refused() {
    let input = |size: &str| {
        format!(
            r#"{{"inputs":[{{"name":"a","shape":[2],"datatype":"FP32","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    let truncated = take_binary(&input("8"), b"1234").expect_err("truncated");
    assert_eq!(truncated.reason, Reason::TensorData);
    assert_eq!(
        truncated.message,
        "input \"a\": binary_data_size is 8, and only 4 bytes are left"
    );
    let short = take_binary(&input("4"), b"1234").expect_err("short");
    assert_eq!(short.message, "input \"a\": FP32 [2] takes 8 bytes; 4 came");
    let more = take_binary(&input("8"), b"12345678more").expect_err("more");
    assert_eq!(more.message, "4 bytes of the body belong to no input");
    for size in ["-1", "1.5", "\"8\"", "18446744073709551615"] {
        let error = take_binary(&input(size), b"12345678").expect_err(size);
        assert_eq!(error.reason, Reason::FieldInvalid, "{error}");
    }
    let body = Bytes::from(input("8"));
    let error = read(&body, None, ROOM).expect_err("no header");
    assert!(error.message.contains(JSON_LENGTH), "{error}");
    let error = read(&body, Some(body.len() + 1), ROOM).expect_err("beyond the body");
    assert!(error.message.contains(JSON_LENGTH), "{error}");
    let error = read(&Bytes::from_static(b"{}\xff\xfe"), None, ROOM).expect_err("not UTF-8");
    assert!(error.message.contains(JSON_LENGTH), "{error}");
}

/// Bodies, why they are refused, and words of the message.
fn refuse_all(cases: &[(&str, Reason, &str)]) {
    for (json, reason, words) in cases {
        let error = refused(json);
        assert_eq!(error.reason, *reason, "{json}: {error}");
        assert!(error.message.contains(words), "{json}: {error}");
    }
}

#[test]
fn wrong_bodies_are_refused_by_name() {
    refuse_all(&[
        ("", Reason::InvalidJson, "ends too early"),
        ("[1]", Reason::InvalidJson, "must be an object"),
        ("{\"inputs\":[\n{\"name\":}]}", Reason::InvalidJson, "line 2, column 9"),
        ("{}", Reason::FieldInvalid, "inputs: is missing"),
        (r#"{"inputs":{}}"#, Reason::InvalidJson, "inputs must be a list"),
        (r#"{"inputs":[],"color":1}"#, Reason::UnknownField, "\"color\""),
        (
            r#"{"inputs":[{"nam":"x"}]}"#,
            Reason::UnknownField,
            "inputs[0] has no field \"nam\"",
        ),
        (
            r#"{"inputs":[{"datatype":"FP32","shape":[1],"data":[1]}]}"#,
            Reason::FieldInvalid,
            "inputs[0].name",
        ),
        (
            r#"{"inputs":[{"name":"x","shape":[1],"data":[1]}]}"#,
            Reason::FieldInvalid,
            "inputs[0].datatype",
        ),
        (
            r#"{"inputs":[{"name":"x","datatype":"FP32","data":[1]}]}"#,
            Reason::FieldInvalid,
            "inputs[0].shape",
        ),
    ]);
}

#[test]
fn wrong_tensors_are_refused_by_name() {
    refuse_all(&[
        (
            r#"{"inputs":[{"name":"x","datatype":"FLOAT","shape":[1],"data":[1]}]}"#,
            Reason::TensorType,
            "\"FLOAT\"",
        ),
        (
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[-1],"data":[1]}]}"#,
            Reason::TensorShape,
            "not -1",
        ),
        (
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1.5],"data":[1]}]}"#,
            Reason::TensorShape,
            "not 1.5",
        ),
        (
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[9223372036854775807,3],"data":[1]}]}"#,
            Reason::TensorShape,
            "more elements than can be counted",
        ),
        (
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]}"#,
            Reason::TensorData,
            "neither `data` nor",
        ),
        (
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1],"parameters":{"binary_data_size":4}}]}"#,
            Reason::TensorData,
            "twice",
        ),
        (
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"shared_memory_region":"r"}}]}"#,
            Reason::NotBuilt,
            "shared memory",
        ),
        (
            r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":3}}]}"#,
            Reason::NotBuilt,
            "classification",
        ),
        (
            r#"{"inputs":[],"outputs":[{}]}"#,
            Reason::FieldInvalid,
            "outputs[0].name",
        ),
        (
            r#"{"inputs":[],"parameters":{"deep":{"er":1}}}"#,
            Reason::InvalidJson,
            "\"deep\"",
        ),
        (r#"{"inputs":[]} {"#, Reason::InvalidJson, "there is more"),
    ]);
}

#[test]
fn everything_has_a_limit() {
    let many = |entry: &str, count: usize| vec![entry; count].join(",");
    let inputs = many(r#"{"name":"x","datatype":"BOOL","shape":[0]}"#, TENSORS_MAX + 1);
    assert!(refused(&format!(r#"{{"inputs":[{inputs}]}}"#)).message.contains("256"));
    let shape = many("1", 17);
    let json = format!(r#"{{"inputs":[{{"name":"x","datatype":"BOOL","shape":[{shape}],"data":[true]}}]}}"#);
    assert!(refused(&json).message.contains("16"));
    let deep = format!(r#"{{"inputs":[{{"data":{}"#, "[".repeat(1_000));
    assert!(refused(&deep).message.contains("deep"));
    let large = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"INT64","shape":[9],"data":[{}]}}]}}"#,
        many("1", 9)
    );
    let error = read(&Bytes::from(large), None, 64).expect_err("72 bytes");
    assert_eq!(error.reason, Reason::RequestTooLarge);
}

proptest! {
    #[test]
    fn any_text_is_taken_without_panic(json in r#"\{"inputs":\[\{[\[\]{}",:0-9a-z_FPINT.-]{0,60}"#, length in any::<Option<usize>>()) {
        let body = Bytes::from(json);
        let _ = read(&body, length, ROOM);
        let _ = read(&body, length.map(|length| length % (body.len() + 1)), ROOM);
    }
}

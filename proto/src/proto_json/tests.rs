//! Answers look as the surface promises.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use prost_reflect::{Kind, MapKey, ReflectMessage as _, SerializeOptions, Value};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions};

use super::*;
use crate::analysis::v1 as analysis;
use crate::task::v1 as task;

fn json(name: &str, message: &impl Message) -> String {
    String::from_utf8(encode(name, message).unwrap()).unwrap()
}

#[test]
fn defaults_are_printed_and_absent_fields_are_not() {
    let summary = analysis::ColumnSummary {
        name: "x".into(),
        mean: Some(2.0),
        max: Some(0.5),
        ..Default::default()
    };
    assert_eq!(
        json("lepton.analysis.v1.ColumnSummary", &summary),
        r#"{"name":"x","type":"COLUMN_TYPE_UNSPECIFIED","count":0,"missing":0,"mean":2,"max":0.5,"top":[]}"#
    );
}

#[test]
fn tasks_print_as_promised() {
    let input = crate::convert::value::to_value(br#"{"n":1.0,"big":1e300,"list":[null]}"#).unwrap();
    let task = task::Task {
        id: "t".into(),
        state: task::State::Succeeded.into(),
        payload: Some(task::task::Payload::Input(input)),
        result: Some(task::task::Result::OutputBytes(vec![1, 2, 3].into())),
        create_time: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 5_000_000,
        }),
        version: Some(task::TaskVersion {
            epoch: 7,
            seq: u64::MAX,
        }),
        ..Default::default()
    };
    assert_eq!(
        json("lepton.task.v1.Task", &task),
        concat!(
            r#"{"id":"t","tenant":"","kind":"","state":"STATE_SUCCEEDED","input":{"big":1e300,"list":[null],"n":1},"#,
            r#""outputBytes":"AQID","attempts":0,"requestId":"","createTime":"2023-11-14T22:13:20.005Z","traceId":"","#,
            r#""version":{"epoch":"7","seq":"18446744073709551615"},"priority":0,"labels":{},"worker":"","retriedFrom":"","pendingReason":""}"#
        )
    );
}

#[test]
fn doubles_print_without_a_needless_fraction() {
    let interval = analysis::ConfidenceInterval {
        low: -3.0,
        high: 1e22,
        method: 2,
    };
    assert_eq!(
        json("lepton.analysis.v1.ConfidenceInterval", &interval),
        r#"{"low":-3,"high":1e22,"method":"CI_METHOD_STUDENT_T"}"#
    );
    let singles = crate::inference::InferTensorContents {
        fp32_contents: vec![1.0, 0.1],
        ..Default::default()
    };
    assert!(json("inference.InferTensorContents", &singles).contains(r#""fp32Contents":[1,0.1]"#));
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    let nothing = task::GetTaskRequest::default();
    assert!(matches!(
        encode("lepton.task.v1.Nothing", &nothing),
        Err(PrintError::UnknownMessage(_))
    ));
    let late = Some(prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    let task = task::Task {
        create_time: late,
        ..Default::default()
    };
    assert!(matches!(
        encode("lepton.task.v1.Task", &task),
        Err(PrintError::Unsayable(_))
    ));
}

/// What `prost-reflect` alone prints.
fn unordered(message: &DynamicMessage) -> Result<Vec<u8>, serde_json::Error> {
    let options = SerializeOptions::new()
        .skip_default_fields(false)
        .stringify_64_bit_integers(true);
    let mut serializer = serde_json::Serializer::with_formatter(Vec::new(), ProtoJson);
    message.serialize_with_options(&mut serializer, &options)?;
    Ok(serializer.into_inner())
}

#[test]
fn maps_and_trees_print_in_the_order_of_their_keys() {
    let keys = || (0..20).rev().map(|index| format!("k{index:02}"));
    let sorted = |value: &str| {
        let entries: Vec<_> = (0..20).map(|index| format!(r#""k{index:02}":{value}"#)).collect();
        format!("{{{}}}", entries.join(","))
    };
    let one = || prost_types::Value {
        kind: Some(prost_types::value::Kind::NumberValue(1.0)),
    };
    let tree = prost_types::Struct {
        fields: keys().map(|key| (key, one())).collect::<BTreeMap<_, _>>(),
    };
    let task = task::Task {
        labels: keys().map(|key| (key, String::new())).collect(),
        payload: Some(task::task::Payload::Input(prost_types::Value {
            kind: Some(prost_types::value::Kind::StructValue(tree)),
        })),
        ..Default::default()
    };
    let text = json("lepton.task.v1.Task", &task);
    assert!(text.contains(&format!(r#""labels":{}"#, sorted(r#""""#))), "{text}");
    assert!(text.contains(&format!(r#""input":{}"#, sorted("1"))), "{text}");
}

/// A field of a message that the contract lacks.
fn field(name: &str, number: i32, label: Label, (kind, of): (Type, Option<&str>)) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        type_name: of.map(Into::into),
        ..Default::default()
    }
}

/// A message with a map of integers to booleans, one of booleans to integers, and a null.
fn odd_message() -> DynamicMessage {
    let entry = |name: &str, key: Type, value: Type| DescriptorProto {
        name: Some(name.into()),
        field: vec![
            field("key", 1, Label::Optional, (key, None)),
            field("value", 2, Label::Optional, (value, None)),
        ],
        options: Some(MessageOptions {
            map_entry: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    };
    let null = (Type::Enum, Some(".google.protobuf.NullValue"));
    let odd = DescriptorProto {
        name: Some("Odd".into()),
        field: vec![
            field(
                "by_int",
                1,
                Label::Repeated,
                (Type::Message, Some(".odd.Odd.ByIntEntry")),
            ),
            field(
                "by_bool",
                2,
                Label::Repeated,
                (Type::Message, Some(".odd.Odd.ByBoolEntry")),
            ),
            field("null", 3, Label::Optional, null),
        ],
        nested_type: vec![
            entry("ByIntEntry", Type::Sint64, Type::Bool),
            entry("ByBoolEntry", Type::Bool, Type::Uint64),
        ],
        ..Default::default()
    };
    let mut pool = pool().clone();
    pool.add_file_descriptor_proto(FileDescriptorProto {
        name: Some("odd.proto".into()),
        package: Some("odd".into()),
        dependency: vec!["google/protobuf/struct.proto".into()],
        message_type: vec![odd],
        syntax: Some("proto3".into()),
        ..Default::default()
    })
    .unwrap();
    DynamicMessage::new(pool.get_message_by_name("odd.Odd").unwrap())
}

#[test]
fn keys_of_every_kind_are_texts_in_the_order_of_what_they_mean() {
    let mut odd = odd_message();
    let by_int = [10, -1, 9, -10].map(|key| (MapKey::I64(key), Value::Bool(key > 0)));
    let by_bool = [true, false].map(|key| (MapKey::Bool(key), Value::U64(1)));
    odd.set_field_by_name("by_int", Value::Map(HashMap::from(by_int)));
    odd.set_field_by_name("by_bool", Value::Map(HashMap::from(by_bool)));
    assert_eq!(
        String::from_utf8(to_vec(&odd).unwrap()).unwrap(),
        r#"{"byInt":{"-10":false,"-1":false,"9":true,"10":true},"byBool":{"false":"1","true":"1"},"null":null}"#
    );
}

/// The payload of an `Any` would be printed with its maps in random order.
#[test]
fn no_message_of_the_contract_holds_an_any() {
    for message in pool().all_messages() {
        for field in message.fields() {
            let holds = matches!(field.kind(), Kind::Message(inner) if inner.full_name() == "google.protobuf.Any");
            assert!(!holds, "{}", field.full_name());
        }
    }
}

proptest! {
    #[test]
    fn messages_print_as_without_an_order(message in arbitrary::message(1)) {
        // A map of one entry has but one order.
        prop_assert_eq!(
            String::from_utf8(to_vec(&message).unwrap()).unwrap(),
            String::from_utf8(unordered(&message).unwrap()).unwrap()
        );
    }

    #[test]
    fn maps_hold_what_they_hold_without_an_order(message in arbitrary::message(6)) {
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        prop_assert_eq!(read(&to_vec(&message).unwrap()), read(&unordered(&message).unwrap()));
    }

    #[test]
    fn equal_messages_print_as_equal_bytes(message in arbitrary::message(6)) {
        // Each reading has its maps in an order of its own.
        let bytes = message.encode_to_vec();
        let reading = || DynamicMessage::decode(message.descriptor(), bytes.as_slice()).unwrap();
        prop_assert_eq!(to_vec(&reading()).unwrap(), to_vec(&reading()).unwrap());
    }
}

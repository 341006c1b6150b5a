//! Events as a browser reads them.

use http_body_util::BodyExt as _;

use super::*;

#[test]
fn events_have_their_fields_in_order() {
    let event = Event {
        name: Some("task"),
        id: Some("3-7".into()),
        data: "{}".into(),
    };
    assert_eq!(event.encode(), "event: task\nid: 3-7\ndata: {}\n\n");
}

#[test]
fn line_breaks_cannot_forge_fields() {
    let event = Event {
        name: None,
        id: Some("1\ndata: x".into()),
        data: "a\nid: 2\r\nb".into(),
    };
    assert_eq!(
        event.encode(),
        "id: 1data: x\ndata: a\ndata: id: 2\ndata: \ndata: b\n\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_shows_that_it_lives() {
    let mut body = response(futures::stream::pending()).into_body();
    let frame = body
        .frame()
        .await
        .expect("a frame")
        .expect("no error")
        .into_data()
        .expect("data");
    assert_eq!(frame, ": alive\n\n");
}

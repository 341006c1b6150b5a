//! The page shows every instance and incident, escapes what they say, and asks nothing of others.

use axum::body::to_bytes;
use lepton_domain::ids::IncidentId;
use lepton_domain::incident::{Incident, IncidentState};
use lepton_domain::time::Timestamp;
use tower::ServiceExt;

use super::*;
use crate::view::{Load, Row, RowState};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

fn row(service: &str, id: &str, leader: bool) -> Row {
    Row {
        id: id.to_owned(),
        service: service.to_owned(),
        address: "127.0.0.1:7000".to_owned(),
        version: "0.1.0".to_owned(),
        started: at(0),
        state: RowState::Ready,
        role: String::new(),
        leader,
        epoch: 17,
        load: Some(Load {
            in_flight: 3,
            slots: 4,
            recent: vec![1.0, 5.0],
            ..Load::default()
        }),
    }
}

fn incident(number: u128, state: IncidentState) -> Incident {
    Incident {
        id: IncidentId::from_u128(number),
        rule: "instance-gone".to_owned(),
        state,
        subject: format!("worker-{number:08x}"),
        opened: at(10),
        closed: (state == IncidentState::Closed).then(|| at(12)),
        summary: format!("worker worker-{number:08x} left without draining"),
    }
}

fn view() -> View {
    let workers = (0..100).map(|number| row("worker", &format!("worker-{number:08x}"), false));
    View {
        at: at(60),
        rows: [row("scheduler", "scheduler-1", true)]
            .into_iter()
            .chain(workers)
            .collect(),
        incidents: vec![incident(2, IncidentState::Open), incident(1, IncidentState::Closed)],
    }
}

async fn fetch(view: View, method: &str, path: &str) -> (http::response::Parts, String) {
    let (_sender, view) = watch::channel(Arc::new(view));
    let router = router(view, "lepton", Duration::from_secs(2));
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, 16 << 20).await.unwrap();
    (parts, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn every_instance_and_open_incident_is_on_the_page() {
    let (parts, page) = fetch(view(), "GET", "/").await;
    assert_eq!(parts.status, 200);
    for row in view().rows {
        assert!(page.contains(&format!("<code>{}</code>", row.id)), "{}", row.id);
    }
    assert_eq!(page.matches("★ leader").count(), 1);
    assert!(page.contains("OPEN") && page.contains("worker worker-00000002 left without draining"));
    assert!(page.contains("CLOSED") && page.contains("One incident is open") && page.contains("(1) Lepton"));
    let (_, fragment) = fetch(view(), "GET", "/overview").await;
    assert!(page.contains(&fragment) && !fragment.contains("<head"));
}

#[tokio::test]
async fn what_an_instance_says_of_itself_is_escaped() {
    let mut view = view();
    let evil = "<script>alert(1)</script>\"'&";
    view.rows = vec![Row {
        address: evil.to_owned(),
        version: evil.to_owned(),
        role: evil.to_owned(),
        ..row(evil, evil, false)
    }];
    view.incidents[0].summary = evil.to_owned();
    view.incidents[0].subject = evil.to_owned();
    let (_, page) = fetch(view, "GET", "/").await;
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("version <") && !page.contains("alert(1)</script>\""));
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_have_no_inline_code() {
    for path in ["/", "/overview", "/console.css", "/console.js", "/mark.svg", "/nowhere"] {
        let (parts, text) = fetch(view(), "GET", path).await;
        let policy = parts.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}"
        );
        let text = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path} names another server"
        );
        assert!(
            !text.contains(" style=") && !text.contains(" onclick=") && !text.contains("<style"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_quiet_mesh_says_so_and_an_empty_one_does_not() {
    let rows = vec![row("worker", "worker-1", false)];
    let (_, page) = fetch(
        View {
            rows,
            at: at(1),
            ..View::default()
        },
        "GET",
        "/",
    )
    .await;
    assert!(page.contains("Everything works") && page.contains("<title>Lepton</title>"));
    let (_, page) = fetch(View::default(), "GET", "/").await;
    assert!(page.contains("No instance has been found yet"));
}

#[tokio::test]
async fn unknown_paths_and_methods_get_the_error_of_the_surface() {
    let (parts, body) = fetch(view(), "GET", "/nowhere").await;
    assert_eq!(parts.status, 404);
    assert!(
        body.contains("\"ROUTE_NOT_FOUND\"") && body.contains("\"NOT_FOUND\""),
        "{body}"
    );
    let (parts, body) = fetch(view(), "POST", "/").await;
    assert_eq!(parts.status, 405);
    assert!(body.contains("\"METHOD_NOT_ALLOWED\""), "{body}");
}

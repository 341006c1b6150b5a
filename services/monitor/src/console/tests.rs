//! The pages show every instance and incident, escape what they say, ask nothing of others, and name what is missing.

use axum::body::to_bytes;
use axum::response::Response;
use futures::StreamExt;
use http::header::HOST;
use lepton_core::context::Context;
use lepton_domain::condition::Severity;
use lepton_domain::ids::IncidentId;
use lepton_domain::incident::{Incident, IncidentState};
use lepton_domain::time::Timestamp;
use tower::ServiceExt;

use super::*;

mod opened;
use crate::stats::ring::{Point, Rates};
use crate::view::{InstanceLoad, InstanceRow};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

fn rising(finished_per_s: f64) -> Point {
    let rates = Rates {
        finished_per_s,
        ..Rates::default()
    };
    Point {
        rates,
        ..Point::default()
    }
}

fn row(service: &str, id: &str, leader: bool) -> InstanceRow {
    InstanceRow {
        id: id.to_owned(),
        started: at(0),
        leader,
        epoch: 17,
        load: Some(InstanceLoad {
            in_flight: 3,
            slots: 4,
            recent: vec![rising(1.0), rising(5.0)],
            ..InstanceLoad::default()
        }),
        ..InstanceRow::of(service)
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
        severity: Severity::Ticket,
        summary: format!("worker worker-{number:08x} left without draining"),
    }
}

fn view() -> MeshView {
    let workers = (0..100).map(|number| row("worker", &format!("worker-{number:08x}"), false));
    MeshView {
        at: at(60),
        rows: [row("scheduler", "scheduler-1", true)]
            .into_iter()
            .chain(workers)
            .collect(),
        incidents: vec![incident(2, IncidentState::Open), incident(1, IncidentState::Closed)],
    }
}

/// A console of this view, and what keeps it alive. No gateway answers.
fn console(view: MeshView, live_max: usize) -> (Router, Shutdown, watch::Sender<Arc<MeshView>>) {
    let (sender, view) = watch::channel(Arc::new(view));
    let (_, etcd_health) = watch::channel(EtcdHealth::Healthy);
    let mut config = config::Config::default();
    config.console.refresh = Duration::from_millis(10);
    config.console.live_max = live_max;
    let context = Context::system();
    let sources = ConsoleSources {
        view,
        etcd_health,
        traces: Traces::new(config.traces.clone(), &context),
        net: Net::Os,
    };
    let shutdown = Shutdown::new();
    (router(sources, &config, shutdown.clone()), shutdown, sender)
}

async fn ask(router: Router, request: http::request::Builder, body: &'static str) -> (http::response::Parts, String) {
    let request = request.body(Body::from(body)).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, 16 << 20).await.unwrap();
    (parts, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn fetch(view: MeshView, method: &str, path: &str) -> (http::response::Parts, String) {
    let (router, _shutdown, _sender) = console(view, 8);
    ask(router, Request::builder().method(method).uri(path), "").await
}

/// As a browser asks.
async fn open(path: &str) -> (http::response::Parts, String) {
    let (router, _shutdown, _sender) = console(view(), 8);
    ask(router, Request::builder().uri(path).header(ACCEPT, "text/html"), "").await
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
    assert!(page.contains("One incident is open") && page.contains("<title>(1) Overview · Lepton</title>"));
    assert!(
        page.contains("and 96 more") && page.contains("leader, epoch 17"),
        "the picture"
    );
    let (_, page) = fetch(view(), "GET", "/incidents").await;
    assert!(page.contains("OPEN") && page.contains("CLOSED") && page.contains("worker-00000001"));
}

#[tokio::test]
async fn what_an_instance_says_of_itself_is_escaped() {
    let mut view = view();
    let evil = "<script>alert(1)</script>\"'&";
    view.rows = ["worker", evil]
        .map(|service| InstanceRow {
            address: evil.to_owned(),
            version: evil.to_owned(),
            role: evil.to_owned(),
            ..row(service, evil, false)
        })
        .into();
    for incident in &mut view.incidents {
        incident.summary = evil.to_owned();
        incident.subject = evil.to_owned();
    }
    for path in ["/", "/workers", "/incidents"] {
        let (_, page) = fetch(view.clone(), "GET", path).await;
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{path}");
        assert!(
            !page.contains("version <") && !page.contains("alert(1)</script>\""),
            "{path}"
        );
    }
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_have_no_inline_code() {
    let pages = [
        "/",
        "/tasks",
        "/models",
        "/workers",
        "/incidents",
        "/traces",
        "/nowhere",
    ];
    for path in pages.into_iter().chain(["/console.css", "/console.js", "/mark.svg"]) {
        let (parts, text) = open(path).await;
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
    let quiet = MeshView {
        rows,
        at: at(1),
        ..MeshView::default()
    };
    let (_, page) = fetch(quiet, "GET", "/").await;
    assert!(page.contains("All instances are ready") && page.contains("<title>Overview · Lepton</title>"));
    let (_, page) = fetch(MeshView::default(), "GET", "/").await;
    assert!(page.contains("No instances found yet"));
}

#[tokio::test]
async fn pages_render_without_a_gateway_and_say_so() {
    let mut view = view();
    // With more than one, traces are requested from all of them.
    view.rows
        .extend(["monitor-1", "monitor-2"].map(|id| row("monitor", id, false)));
    for path in [
        "/tasks?state=running&kind=echo",
        "/models",
        "/workers",
        "/traces?show=slow",
    ] {
        let (router, _shutdown, _sender) = console(view.clone(), 8);
        let request = Request::builder().uri(path).header(ACCEPT, "text/html");
        let (parts, page) = ask(router, request, "").await;
        assert_eq!(parts.status, 200, "{path}");
        assert!(
            page.contains("GATEWAY_UNREACHABLE") && page.contains("aria-current"),
            "{path}: {page}"
        );
    }
}

#[tokio::test]
async fn a_page_that_may_come_yet_is_kept_up_to_date() {
    let trace = format!("/traces/{}", "0a".repeat(16));
    let passing = [
        (
            "/tasks/0192d3e4-0000-7000-8000-000000000001",
            503,
            "GATEWAY_UNREACHABLE",
        ),
        (trace.as_str(), 404, "TRACE_NOT_FOUND"),
    ];
    for (path, status, reason) in passing {
        let (parts, page) = open(path).await;
        assert_eq!(parts.status, status, "{path}");
        assert!(page.contains(reason), "{path}: {page}");
        assert!(
            page.contains("src=\"/console.js\"") && page.contains("http-equiv=\"refresh\""),
            "{path} stays as it is: {page}"
        );
    }
    let (_, page) = open("/traces/xyz").await;
    assert!(!page.contains("src=\"/console.js\""), "a wrong address stays wrong");
    let (_, page) = open("/tasks").await;
    assert!(
        page.contains("src=\"/console.js\"") && !page.contains("http-equiv=\"refresh\""),
        "a reload would wipe what is typed into the filter: {page}"
    );
}

#[tokio::test]
async fn the_figures_of_the_mesh_are_of_those_who_tell_them_now() {
    let gateway = |id: &str, latency_us: u64| {
        let load = InstanceLoad {
            queued: 1,
            latency_us,
            latency_p99_us: 10 * latency_us,
            recent: vec![Point {
                latency_us,
                latency_p99_us: 10 * latency_us,
                ..rising(2.0)
            }],
            ..InstanceLoad::default()
        };
        InstanceRow {
            load: Some(load),
            ..row("gateway", id, false)
        }
    };
    let silent = InstanceRow {
        state: crate::view::RowState::Silent,
        load: None,
        ..row("scheduler", "scheduler-1", false)
    };
    let view = MeshView {
        at: at(60),
        rows: vec![gateway("gateway-1", 1_000), gateway("gateway-2", 2_000), silent],
        ..MeshView::default()
    };
    let (_, page) = fetch(view, "GET", "/").await;
    for shown in [
        "<strong>2.0 ms</strong> <span>median, p99 20 ms</span>",
        "<small>p99 10 ms</small>",
        "<strong>2</strong> <span>requests and tasks</span>",
        "p99 at most 20 ms",
        "class=\"line far\"",
        "no report",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[tokio::test]
async fn a_wrong_address_is_a_page_for_people_and_an_error_for_programs() {
    let wrong = [
        ("/nowhere", 404, "ROUTE_NOT_FOUND"),
        ("/tasks/1", 404, "TASK_NOT_FOUND"),
        ("/traces/xyz", 404, "TRACE_NOT_FOUND"),
        ("/tasks?state=asleep", 400, "FIELD_INVALID"),
        ("/tasks?state=a&state=b", 400, "FIELD_INVALID"),
        ("/incidents?page=x", 400, "FIELD_INVALID"),
    ];
    for (path, status, reason) in wrong {
        let (parts, page) = open(path).await;
        assert_eq!(parts.status, status, "{path}");
        assert!(page.contains("<nav") && page.contains(reason), "{path}: {page}");
        let (parts, body) = fetch(view(), "GET", path).await;
        assert_eq!(parts.status, status, "{path}");
        assert!(
            body.starts_with("{\"error\"") && body.contains(reason),
            "{path}: {body}"
        );
    }
    let (parts, body) = fetch(view(), "POST", "/").await;
    assert_eq!(parts.status, 405);
    assert!(body.contains("\"METHOD_NOT_ALLOWED\""), "{body}");
}

#[tokio::test]
async fn a_form_of_another_site_cancels_nothing() {
    let path = "/tasks/0192d3e4-0000-7000-8000-000000000001/cancel";
    let form = || {
        Request::builder()
            .method("POST")
            .uri(path)
            .header(HOST, "127.0.0.1:8080")
    };
    let (router, _shutdown, _sender) = console(view(), 8);
    for request in [form(), form().header("origin", "http://evil.example")] {
        let (parts, body) = ask(router.clone(), request, "token=0").await;
        assert_eq!(parts.status, 403);
        assert!(body.contains("ORIGIN_REFUSED") && body.contains("not sent by a page of this console"));
    }
    let own = form().header("origin", "http://127.0.0.1:8080");
    let (parts, body) = ask(router, own, "token=0123456789abcdef0123456789abcdef").await;
    assert_eq!(parts.status, 403);
    assert!(body.contains("older than this monitor"), "{body}");
}

async fn follow(router: &Router) -> Response {
    let request = Request::builder().uri("/incidents").header(ACCEPT, "text/event-stream");
    router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_open_page_follows_until_the_monitor_drains() {
    let (router, shutdown, sender) = console(MeshView::default(), 1);
    let mut events = follow(&router).await.into_body().into_data_stream();
    let mut next = async || Some(String::from_utf8(events.next().await?.unwrap().to_vec()).unwrap());
    let first = next().await.unwrap();
    assert!(first.starts_with("event: page\ndata: <div id=\"content\"") && first.contains("No open incidents"));
    assert_eq!(
        follow(&router).await.status(),
        503,
        "one more than the configuration allows"
    );
    sender.send_replace(Arc::new(view()));
    let second = next().await.unwrap();
    assert!(second.contains("worker-00000002 left without draining"), "{second}");
    shutdown.trigger();
    assert_eq!(next().await, None);
}

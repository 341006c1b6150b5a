//! Models that ask for more than there is, and models that take long: the worker lives, and its processor is free again.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use lepton_tests::mesh::{Options, Up};
use lepton_tests::process::{children, cpu_used, is_alive, memory_peak, signal};
use lepton_tests::wait::eventually;
use serde_json::json;

use super::{refused, tensor};

const SOON: Duration = Duration::from_secs(30);
/// The processor time of a worker at rest within one look.
const QUIET: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_millis(500);

/// A field of a protobuf message, by its number (https://protobuf.dev/programming-guides/encoding).
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// An input or output of FP32 with one column; `rows` is the other dimension.
fn value(name: &str, rows: &[u8]) -> Vec<u8> {
    let one = field(1, b"\x08\x01");
    let shape = field(2, [field(1, rows), one].concat());
    let kind = field(1, [vec![0x08, 1], shape].concat());
    [field(1, name), field(2, kind)].concat()
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(1, input)).collect();
    field(
        1,
        [inputs, field(2, output), field(3, output), field(4, operator)].concat(),
    )
}

/// The sum of a column times itself, after so many cosines; of n numbers it makes n * n. `rows` is the dimension.
fn square(rows: &[u8], cosines: usize) -> Bytes {
    let names: Vec<String> = (0..=cosines).map(|step| format!("s{step}")).collect();
    let mut nodes = [node("Transpose", &["x"], "row"), node("MatMul", &["x", "row"], "s0")].concat();
    nodes.extend(names.windows(2).flat_map(|pair| node("Cos", &[&pair[0]], &pair[1])));
    nodes.extend(node("ReduceSum", &[&names[cosines]], "y"));
    let graph = [
        nodes,
        field(2, "g"),
        field(11, value("x", rows)),
        field(12, value("y", b"\x08\x01")),
    ]
    .concat();
    let opset = field(8, b"\x10\x0d");
    [vec![0x08, 8], field(7, graph), opset].concat().into()
}

/// The dimension `n`, which may have any length.
fn any() -> Vec<u8> {
    field(2, "n")
}

/// A mesh of one worker, and that worker's process id.
async fn alone() -> (Up, u32) {
    let up = Up::start(Options {
        workers: 1,
        ..Options::default()
    });
    let up = up.await;
    let worker = children(up.process.pid())[0].0;
    (up, worker)
}

async fn serve(up: &Up, name: &str, file: Bytes) {
    for (action, body) in [("push", file), ("deploy", Bytes::from_static(b"{}"))] {
        let answer = up.rest().post(&format!("/api/v1/models/{name}:{action}"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{action}: {}", answer.text());
    }
}

/// A request for so many rows.
fn body(rows: i64) -> String {
    json!({"inputs": [tensor("x", "FP32", &[rows, 1], json!(vec![0.5; rows as usize]))]}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_request_for_a_huge_answer_is_refused_and_the_worker_lives() {
    let (up, worker) = alone().await;
    serve(&up, "square", square(&any(), 0)).await;
    let rest = up.rest();
    let infer = |rows: i64| rest.post("/v2/models/square/infer", body(rows));
    for _ in 0..3 {
        let answer = infer(60_000).await;
        refused(&answer, 400, "TENSOR_SHAPE", &["\"x\" FP32 [60000, 1]", "1073741824"]);
    }
    let honest = infer(1_000).await;
    assert_eq!(honest.status, StatusCode::OK, "{}", honest.text());
    assert!(is_alive(worker) && children(up.process.pid())[0].0 == worker);
    let peak = memory_peak(worker).expect("it lives");
    assert!(peak < 512 << 20, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_frees_the_processor() {
    let (up, worker) = alone().await;
    serve(&up, "long", square(&any(), 400)).await;
    let (rest, before) = (up.rest(), cpu_used(worker));
    let call = tokio::spawn(async move { rest.post("/v2/models/long/infer", body(4_000)).await });
    eventually(SOON, || async { cpu_used(worker) - before > Duration::from_secs(1) }).await;
    assert!(!call.is_finished(), "it takes long");
    call.abort();
    eventually(SOON, || async {
        let before = cpu_used(worker);
        tokio::time::sleep(LOOK).await;
        cpu_used(worker) - before < QUIET
    })
    .await;
    // The whole of it takes a multiple of this.
    let spent = cpu_used(worker) - before;
    println!("hung up: {spent:.1?} of the processor");
    assert!(spent < Duration::from_secs(5), "{spent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_file_ends_with_its_worker() {
    let (up, worker) = alone().await;
    // Four thousand rows in any case, so that the look itself takes long.
    let file = square(b"\x08\xa0\x1f", 400);
    let rest = up.rest();
    let push = tokio::spawn(async move { rest.post("/api/v1/models/slow:push", file).await });
    let look = eventually(SOON, || async { children(worker).first().map(|(pid, _)| *pid) }).await;
    signal(worker, "KILL");
    eventually(SOON / 10, || async { !is_alive(look) }).await;
    push.abort();
}

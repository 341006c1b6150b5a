//! A request on a connection of its own that shows whether the server has taken it up: it holds its body back until the
//! server says `100 Continue`.
//!
//! Promises: what was taken up and is not answered whole fails the test. What was not taken up has had no effect, for its
//! body was never sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lepton_core::net::{Net, Stream};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);
const GO_ON: &str = "HTTP/1.1 100 ";

/// How a request went.
#[derive(Debug)]
pub enum Exchange {
    /// Nobody listens.
    Refused,
    /// The connection ended without a word: it was still waiting to be accepted.
    Unheard,
    /// There is an answer.
    Answered(Answer),
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body.
    pub body: String,
    /// Whether the server was told to go before it took the request up.
    pub late: bool,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Posts JSON to a server that may be told to go, which `told` says. Panics unless what was taken up is answered.
pub async fn post(authority: &str, path: &str, body: &str, told: &AtomicBool) -> Exchange {
    let exchange = async {
        let Ok(mut stream) = Net::Os.connect(authority).await else {
            return Exchange::Refused;
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // What goes wrong here goes wrong with the first word of the answer too.
        let _ = stream.write_all(head.as_bytes()).await;
        let Some(mut head) = next_head(&mut stream).await else {
            return Exchange::Unheard;
        };
        let late = told.load(Ordering::SeqCst);
        if head.starts_with(GO_ON) {
            let sent = stream.write_all(body.as_bytes()).await;
            sent.unwrap_or_else(|error| panic!("{path}: taken up, and then: {error}"));
            head = next_head(&mut stream)
                .await
                .unwrap_or_else(|| panic!("{path}: taken up, and not answered"));
        }
        let mut body = String::new();
        let read = stream.read_to_string(&mut body).await;
        read.unwrap_or_else(|error| panic!("{path}: broken off: {error}: {head}{body}"));
        assert_eq!(
            length(&head),
            Some(body.len()),
            "{path}: the whole answer: {head}{body}"
        );
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{path}: {head}"));
        Exchange::Answered(Answer { status, body, late })
    };
    let exchanged = tokio::time::timeout(ANSWER_MAX, exchange).await;
    exchanged.unwrap_or_else(|_| panic!("{path}: no answer within {ANSWER_MAX:?}"))
}

/// The next head; `None` when the connection ends without one. Panics when it ends in the middle of it.
async fn next_head(stream: &mut Stream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return None,
            Err(error) => panic!("broken off after {}: {error}", String::from_utf8_lossy(&head)),
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn length(head: &str) -> Option<usize> {
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = headers.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next()?.1.parse().ok()
}

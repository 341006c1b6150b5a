//! A small HTTP client that shows everything of an answer, and server-sent events one by one.
//!
//! Promises: one connection a request, so that nothing is shared between tests; every call ends within a deadline.
//! Leaves what answers mean to the tests.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lepton_core::net::Net;
use serde_json::Value;
use tokio::task::JoinSet;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// A server that speaks HTTP.
#[derive(Debug, Clone)]
pub struct Rest {
    authority: String,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Rest {
    /// The server at this URL or `HOST:PORT`.
    pub fn at(url: &str) -> Self {
        Self {
            authority: url.trim_start_matches("http://").to_owned(),
        }
    }

    /// `HOST:PORT`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, Bytes::new())).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(self.request(Method::POST, path, body.into())).await
    }

    /// POST with a JSON body. Panics unless it succeeds; gives the JSON of the answer.
    #[track_caller]
    pub fn submit(&self, path: &str, body: &Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        let body = body.to_string();
        async move {
            let answer = self.post(path, body).await;
            assert_eq!(answer.status, StatusCode::OK, "{caller}: {path}: {}", answer.text());
            answer.json()
        }
    }

    /// A request to this server with a JSON body.
    pub fn request(&self, method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority);
        let request = if body.is_empty() {
            request
        } else {
            request.header("content-type", "application/json")
        };
        request
            .body(Full::new(body))
            .expect("the tests' requests are well-formed")
    }

    /// Sends a request and reads the answer. Panics when there is none.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        match self.attempt(request).await {
            Ok(answer) => answer,
            Err(error) => panic!("{what} at {}: {error}", self.authority),
        }
    }

    /// Sends a request and reads the answer, if one comes.
    pub async fn attempt(&self, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        let answer = async {
            let (response, _connection) = self.open(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(ANSWER_MAX, answer)
            .await
            .unwrap_or(Err(Broken::Late))
    }

    /// Opens a stream of server-sent events. Panics unless it succeeds.
    pub async fn events(&self, path: &str) -> Events {
        let (response, connection) = self
            .open(self.request(Method::GET, path, Bytes::new()))
            .await
            .expect(path);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream", "{path}");
        Events {
            body: response.into_body(),
            pending: BytesMut::new(),
            _connection: connection,
        }
    }

    async fn open(&self, request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, JoinSet<()>), Broken> {
        let stream = Net::Os.connect(&self.authority).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut task = JoinSet::new();
        task.spawn(async {
            // What goes wrong on the connection goes wrong in the answer too.
            let _ = connection.await;
        });
        Ok((sender.send_request(request).await?, task))
    }
}

/// No answer came.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// No connection.
    #[error("no connection: {0}")]
    Connection(#[from] std::io::Error),
    /// The connection ended before the answer did.
    #[error("no whole answer: {0:?}")]
    Answer(#[from] hyper::Error),
    /// It took too long.
    #[error("no answer within {ANSWER_MAX:?}")]
    Late,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text, cut where it is long.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(2_000).collect()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The reason of a failed call, from its `google.rpc.ErrorInfo`.
    pub fn reason(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let info = detail(&body["error"], "ErrorInfo")?;
        Some(info["reason"].as_str()?.to_owned())
    }

    /// The detail of this type of a failed call.
    pub fn detail(&self, name: &str) -> Option<Value> {
        detail(&self.json()["error"], name).cloned()
    }
}

/// The detail of this `google.rpc` type in an error.
pub fn detail<'a>(error: &'a Value, name: &str) -> Option<&'a Value> {
    let full = format!("type.googleapis.com/google.rpc.{name}");
    error["details"]
        .as_array()?
        .iter()
        .find(|detail| detail["@type"] == full)
}

/// A stream of server-sent events.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    pending: BytesMut,
    _connection: JoinSet<()>,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// What it carries.
    pub data: String,
}

impl Events {
    /// The next event, or `None` when the server has closed the stream. Comments are passed over.
    pub async fn next(&mut self) -> Option<Event> {
        let next = async {
            loop {
                if let Some(event) = self.take() {
                    return Some(event);
                }
                let frame = self.body.frame().await?.expect("the stream breaks off");
                self.pending
                    .extend_from_slice(frame.data_ref().expect("events have no trailers"));
            }
        };
        tokio::time::timeout(ANSWER_MAX, next).await.expect("no event in time")
    }

    /// All events until the server closes the stream.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    fn take(&mut self) -> Option<Event> {
        loop {
            let end = self.pending.windows(2).position(|pair| pair == b"\n\n")?;
            let block = self.pending.split_to(end + 2);
            let event = parse(&String::from_utf8_lossy(&block));
            if event != Event::default() {
                return Some(event);
            }
        }
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(':') {
            Some(("event", value)) => event.name = value.trim().to_owned(),
            Some(("id", value)) => event.id = value.trim().to_owned(),
            Some(("data", value)) => event.data.push_str(value.trim()),
            _ => {}
        }
    }
    event
}

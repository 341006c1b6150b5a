//! Finds out what a request is and who answers it.
//!
//! Promises: one port for gRPC, gRPC-Web, REST and `/v2`; every refusal is in the form that its caller reads. Leaves the
//! answers to the services, and what surrounds every request to `stack`.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use lepton_core::error;
use lepton_domain::reason::{Code, Fault, Reason};
use lepton_mesh::server::health::Readiness;
use lepton_mesh::server::stack::Route;
use lepton_proto::roles;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, ServiceExt as _};

use crate::body::Incoming;
use crate::bulk;
use crate::config::EdgeConfig;
use crate::fleet::Meter;
use crate::online::analyze::{self, Online};
use crate::online::answer;
use crate::origin::{self, Origin};
use crate::packing;
use crate::room::{Held, Room};
use crate::stack::FRAMING_BYTES_MAX;
use crate::tasks::{self, Tasks};
use crate::transcode::table::{Binding, Table};
use crate::transcode::{self, Bound, request, response};
use crate::v2::{self, V2};

mod pages;

/// Everything that answers requests.
pub struct Front {
    /// Limits of the edge.
    pub config: EdgeConfig,
    /// Room for bodies.
    pub room: Room,
    /// The REST surface.
    pub table: Table,
    /// `/openapi.json`.
    pub openapi: Bytes,
    /// Every gRPC service.
    pub grpc: Router,
    /// Online calls, whose REST bodies are decoded while they arrive.
    pub online: Online,
    /// Tasks, whose payloads are copied, not parsed.
    pub tasks: Tasks,
    /// The Open Inference Protocol.
    pub v2: V2,
    /// Whether a request would succeed.
    pub readiness: Readiness,
    /// Counts requests.
    pub meter: Meter,
}

/// What a gRPC request takes of the room.
enum Taken {
    Nothing,
    Metered(#[expect(dead_code, reason = "it is kept for its drop")] Arc<Mutex<Held>>),
    Unpacked(#[expect(dead_code, reason = "it is kept for its drop")] Incoming),
}

/// The form in which a caller reads refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Grpc,
    GrpcWeb,
    Rest,
    V2,
}

impl Dialect {
    fn of<B>(request: &Request<B>) -> Self {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .map_or(&b""[..], HeaderValue::as_bytes);
        if kind.starts_with(b"application/grpc-web") {
            Self::GrpcWeb
        } else if kind.starts_with(b"application/grpc") {
            Self::Grpc
        } else if v2::serves(request.uri().path()) {
            Self::V2
        } else {
            Self::Rest
        }
    }

    fn refuse(self, fault: &Fault) -> Response<Body> {
        let mut response = match self {
            Self::Grpc | Self::GrpcWeb => return error::status(fault).into_http(),
            Self::Rest => error::rest(fault),
            Self::V2 => error::v2(fault),
        };
        let allow = fault
            .metadata
            .get("allow")
            .filter(|_| fault.reason == Reason::MethodNotAllowed);
        if let Some(allow) = allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

impl Front {
    /// Answers one request.
    pub async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let dialect = Dialect::of(&request);
        let origin = match origin::check(&request, &self.config.allowed_origins) {
            Ok(origin) => origin,
            Err(fault) => return dialect.refuse(&fault),
        };
        if origin != Origin::Own && origin::is_preflight(request.method(), request.headers()) {
            return origin::preflight(&origin, request.headers());
        }
        let is_head = request.method() == Method::HEAD;
        let mut response = match dialect {
            Dialect::Grpc | Dialect::GrpcWeb => self.grpc(dialect, request).await,
            Dialect::Rest | Dialect::V2 => self.rest(dialect, request).await,
        };
        origin::note(&origin, response.headers_mut());
        if is_head {
            response.map(|_| Body::empty())
        } else {
            response
        }
    }

    async fn grpc(&self, dialect: Dialect, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let known = roles::role_of(path).map(|_| Arc::<str>::from(path));
        // Streams of health and stats last for ever and are not load.
        let measured = known.is_some().then(|| self.meter.begin());
        let grpc = self.grpc.clone();
        let (request, _held) = match self.taken(request).await {
            Ok(taken) => taken,
            Err(fault) => return dialect.refuse(&fault),
        };
        let Ok(mut response) = match dialect {
            Dialect::GrpcWeb => GrpcWebLayer::new()
                .layer(grpc)
                .oneshot(request)
                .await
                .map(|it| it.map(Body::new)),
            _ => grpc.oneshot(request).await,
        };
        if let Some(mut measured) = measured.filter(|_| failed(response.headers())) {
            measured.fail();
        }
        if let Some(path) = known {
            response.extensions_mut().insert(Route(path));
        }
        response
    }

    /// The request, whose message takes room as long as the second value lives. Messages on the streams of health and
    /// reflection are small, and come for ever.
    async fn taken(&self, request: Request<Body>) -> Result<(Request<Body>, Taken), Fault> {
        if request.uri().path().starts_with("/grpc.") {
            return Ok((request, Taken::Nothing));
        }
        // Before the library sees it, which cannot say what it unpacks, nor unpack all of it.
        if Dialect::of(&request) == Dialect::Grpc && packing::is_packed(&request) {
            let bytes_max = self.config.body_bytes_max.saturating_add(FRAMING_BYTES_MAX);
            let (request, unpacked) = packing::unpacked(request, bytes_max, &self.room).await?;
            return Ok((request, Taken::Unpacked(unpacked)));
        }
        let (head, body) = request.into_parts();
        let (body, held) = self.room.meter(body);
        Ok((Request::from_parts(head, body), Taken::Metered(held)))
    }

    async fn rest(&self, dialect: Dialect, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let mut body = Incoming::new(&head.headers, body, self.config.body_bytes_max).within(&self.room);
        let request = Request::from_parts(head, ());
        let result = match dialect {
            Dialect::V2 => self.inference(&request, &mut body).await,
            _ => match pages::answer(self, &request) {
                Some(result) => result,
                None => self.bound(&request, &mut body).await,
            },
        };
        match result {
            Ok(response) => response,
            Err(fault) => {
                body.discard().await;
                dialect.refuse(&fault)
            }
        }
    }

    async fn inference(&self, request: &Request<()>, body: &mut Incoming) -> Result<Response<Body>, Fault> {
        // Probes come for ever and are not load.
        let measured = request.uri().path().ends_with("/infer").then(|| self.meter.begin());
        let result = self.v2.answer(request, body).await;
        let failed = result.as_ref().is_err_and(|fault| fault.reason.http_status() >= 500);
        if let Some(mut measured) = measured.filter(|_| failed) {
            measured.fail();
        }
        result
    }

    /// Answers a request that is bound to an RPC.
    async fn bound(&self, request: &Request<()>, body: &mut Incoming) -> Result<Response<Body>, Fault> {
        let (verb, path) = (request.method(), request.uri().path());
        let asked = if verb == Method::HEAD { &Method::GET } else { verb };
        let (binding, fields) = self.table.find(asked, path).map_err(|miss| miss.fault(verb, path))?;
        let mut measured = self.meter.begin();
        body.check(request.headers())?;
        let deadline = request.extensions().get().copied();
        let bound = Bound {
            binding,
            path: fields,
            query: request.uri().query(),
            key: key(binding, request.headers())?,
            deadline,
        };
        let result = self.dispatch(bound, body).await;
        if result.as_ref().is_err_and(|fault| fault.reason.http_status() >= 500) {
            measured.fail();
        }
        result.map(|mut response| {
            response
                .extensions_mut()
                .insert(Route(format!("{verb} {}", binding.template).into()));
            response
        })
    }

    async fn dispatch(&self, bound: Bound<'_>, body: &mut Incoming) -> Result<Response<Body>, Fault> {
        let is_analysis = bound.binding.rpc_path() == analyze::PATH;
        if is_analysis || tasks::rest::submits(bound.binding.rpc.full_name()) {
            request::no_parameters(bound.query)?;
        }
        if is_analysis {
            let answer = self.online.analyze_json(body, bound.deadline).await?;
            let printed = bulk::run(answer.len(), || answer::json(answer)).await;
            return printed.map(response::json);
        }
        let body = body.all().await?;
        if tasks::rest::serves(bound.binding.rpc.full_name()) {
            return tasks::rest::serve(&self.tasks, bound, body).await;
        }
        transcode::serve(self.grpc.clone(), bound, body).await
    }
}

/// What names the submits of a request; other calls know no such header.
fn key<'a>(binding: &Binding, headers: &'a HeaderMap) -> Result<Option<&'a str>, Fault> {
    match tasks::rest::submits(binding.rpc.full_name()) {
        true => tasks::key::of(headers),
        false => Ok(None),
    }
}

/// Whether a gRPC answer says at once that the gateway, or what is behind it, failed.
fn failed(headers: &HeaderMap) -> bool {
    let status = headers
        .get("grpc-status")
        .and_then(|number| number.to_str().ok()?.parse().ok());
    status
        .and_then(Code::from_number)
        .is_some_and(|code| code.http_status() >= 500)
}

/// The answer to a gRPC call of a service that is not there. The protocol wants UNIMPLEMENTED.
pub fn unknown_service<B>(request: &Request<B>) -> Response<Body> {
    let path = request.uri().path();
    let reason = Reason::RouteNotFound.as_str();
    let metadata = [("path".to_owned(), path.to_owned())];
    let details = ErrorDetails::with_error_info(reason, error::DOMAIN, metadata);
    let code = tonic::Code::from_i32(Code::Unimplemented.number());
    Status::with_error_details(
        code,
        format!("there is no RPC {path}; list the services by reflection"),
        details,
    )
    .into_http()
}

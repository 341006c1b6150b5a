//! Dispatch: which service answers a request, by its dialect and its path.
//!
//! Promises: one port for gRPC, gRPC-Web, REST and `/v2`; every RPC, however it is spelled, is checked against its caller's
//! role, and named by its route however it ends. Leaves the answers to the services, and what surrounds every
//! request to [`super::stack`].

use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use lepton_domain::reason::ApiError;
use lepton_mesh::memory_budget::{MemoryBudget, Reservation};
use lepton_mesh::server::health::Readiness;
use lepton_mesh::server::refusal::{is_failure, refuse};
use lepton_mesh::server::stack::report_status;
use tonic_web::GrpcWebLayer;
use tower::{ServiceBuilder, ServiceExt as _};

use super::dialect::Dialect;
use super::grpc_web;
use super::services::FRAMING_BYTES_MAX;
use super::target::Target;
use crate::config::EdgeConfig;
use crate::offload;
use crate::proxy::analyze::{self, Online};
use crate::proxy::answer;
use crate::request::body::{self, Incoming};
use crate::request::caller::Caller;
use crate::request::error::EdgeError;
use crate::request::idempotency_key::{self, IdempotencyKey};
use crate::request::{decompression, mistaken_body};
use crate::request_stats::RequestStats;
use crate::tasks::rest::TaskRpc;
use crate::tasks::{self, Tasks};
use crate::transcode::table::{Binding, Table};
use crate::transcode::{self, Bound, request, response};
use crate::v2::V2;

mod pages;

/// Bytes of a request that take no memory of the budget, so that what is small, as a cancel, is taken whatever others send.
const FREE_BYTES: u64 = 16 * 1024;

/// Everything that answers requests.
pub struct Router {
    /// Limits of the edge.
    pub config: EdgeConfig,
    /// Memory of all bodies together.
    pub memory: MemoryBudget,
    /// The REST surface.
    pub table: Table,
    /// `/openapi.json`.
    pub openapi: Bytes,
    /// Every gRPC service.
    pub grpc: axum::Router,
    /// Online calls, whose REST bodies are decoded while they arrive.
    pub online: Online,
    /// Tasks, whose payloads are copied, not parsed.
    pub tasks: Tasks,
    /// The Open Inference Protocol.
    pub v2: V2,
    /// [`Readiness`] for requests, as the probes show it.
    pub readiness: Readiness,
    /// Statistics of requests.
    pub stats: RequestStats,
}

/// The memory that the body of a gRPC request holds.
enum Held {
    Nothing,
    Metered(#[expect(dead_code, reason = "it is kept for its drop")] Arc<Mutex<Reservation>>),
    Whole(#[expect(dead_code, reason = "it is kept for its drop")] Incoming),
}

/// The budget of all bodies: of the configured size, and so large that a body of the largest size fits in.
pub fn memory(config: &EdgeConfig) -> MemoryBudget {
    let bytes = config.bodies_bytes_max.max(config.body_bytes_max);
    MemoryBudget::new(bytes as u64).with_free_bytes(FREE_BYTES)
}

impl Router {
    /// Notes among a request's extensions which dialect it is in, which [`Target`] it has, and the name of its route, by which
    /// its span and metrics go however it ends.
    pub fn resolve(&self, request: Request<Body>) -> Request<Body> {
        let mut request = Dialect::note(request);
        let target = match Dialect::of(&request) {
            Dialect::Grpc | Dialect::GrpcWeb | Dialect::GrpcWebText => Target::of_rpc(request.uri().path()),
            Dialect::V2 => Target::of_v2(&request),
            Dialect::Rest => self.rest_target(&request),
        };
        let extensions = request.extensions_mut();
        if let Some(route) = target.route() {
            extensions.insert(route);
        }
        extensions.insert(target);
        request
    }

    /// Answers one request.
    pub async fn answer(self: Arc<Self>, mut request: Request<Body>) -> Response<Body> {
        let (dialect, is_head) = (Dialect::of(&request), request.method() == Method::HEAD);
        let Some(target) = request.extensions_mut().remove::<Target>() else {
            return refuse(EdgeError::NoTarget);
        };
        let response = match dialect {
            Dialect::Grpc | Dialect::GrpcWeb | Dialect::GrpcWebText => self.grpc(dialect, &target, request).await,
            Dialect::Rest | Dialect::V2 => self.rest(target, request).await,
        };
        if is_head {
            response.map(|_| Body::empty())
        } else {
            response
        }
    }

    fn rest_target(&self, request: &Request<Body>) -> Target {
        let (verb, path) = (request.method(), request.uri().path());
        if pages::serves(path) {
            return Target::Page;
        }
        let wanted = if verb == Method::HEAD { &Method::GET } else { verb };
        match self.table.find(wanted, path) {
            Ok((binding, _)) => Target::Rest(binding),
            Err(miss) => Target::Missing(miss.refusal(verb, path)),
        }
    }

    async fn grpc(&self, dialect: Dialect, target: &Target, request: Request<Body>) -> Response<Body> {
        // Streams of health and stats last for ever and are not load.
        let measured = matches!(target, Target::Rpc(_)).then(|| self.stats.begin());
        let response = match self.call(dialect, target, request).await {
            Ok(response) => response,
            Err(error) => refuse(error),
        };
        if let Some(mut measured) = measured.filter(|_| is_failure(&response)) {
            measured.fail();
        }
        response
    }

    async fn call(
        &self,
        dialect: Dialect,
        target: &Target,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, EdgeError> {
        authorize(&Caller::of(request.extensions())?, target)?;
        if dialect != Dialect::Grpc {
            grpc_web::check(&mut request)?;
        }
        let (request, _held) = self.held(dialect, request).await?;
        let grpc = self.grpc.clone();
        let Ok(response) = match dialect {
            Dialect::GrpcWeb | Dialect::GrpcWebText => {
                let web = ServiceBuilder::new()
                    .layer(GrpcWebLayer::new())
                    .map_response(report_status);
                let answered = web.service(grpc).oneshot(request).await;
                answered.map(|response| response.map(Body::new))
            }
            _ => grpc.oneshot(request).await,
        };
        Ok(response)
    }

    /// The request, whose message holds memory as long as the second value lives. Messages on the streams of health and
    /// reflection are small, and come for ever.
    async fn held(&self, dialect: Dialect, request: Request<Body>) -> Result<(Request<Body>, Held), EdgeError> {
        if request.uri().path().starts_with("/grpc.") && dialect == Dialect::Grpc {
            return Ok((request, Held::Nothing));
        }
        let bytes_max = self.config.body_bytes_max.saturating_add(FRAMING_BYTES_MAX);
        // Before the library sees it, which cannot count what it decompresses, nor decompress all of it.
        if dialect == Dialect::Grpc && decompression::is_compressed(&request) {
            let (request, held) = decompression::decompressed(request, bytes_max, &self.memory).await?;
            return Ok((request, Held::Whole(held)));
        }
        if dialect == Dialect::GrpcWebText {
            let (request, held) = grpc_web::decoded(request, bytes_max, &self.memory).await?;
            return Ok((request, Held::Whole(held)));
        }
        let (head, body) = request.into_parts();
        let (body, held) = body::metered(body, &self.memory);
        Ok((Request::from_parts(head, body), Held::Metered(held)))
    }

    async fn rest(&self, target: Target, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let mut body = Incoming::new(&head.headers, body, self.config.body_bytes_max).within(&self.memory);
        let request = Request::from_parts(head, ());
        match self.serve(target, &request, &mut body).await {
            Ok(response) => response,
            Err(error) => {
                let error = mistaken_body::explained(error, body.beginning());
                body.discard().await;
                refuse(error)
            }
        }
    }

    async fn serve(
        &self,
        target: Target,
        request: &Request<()>,
        body: &mut Incoming,
    ) -> Result<Response<Body>, ApiError> {
        let caller = Caller::of(request.extensions())?;
        authorize(&caller, &target)?;
        // Probes come for ever and are not load.
        let mut measured = target.is_load().then(|| self.stats.begin());
        let result = match target {
            Target::Rest(binding) => self.bound(&binding, &caller, request, body).await,
            Target::V2(target) => self.v2.answer(&target, &caller, request, body).await,
            Target::Page => pages::answer(self, request),
            Target::Missing(error) => Err(error),
            Target::Rpc(_) | Target::Unlisted => Err(EdgeError::NoTarget.into()),
        };
        let failed = result.as_ref().is_err_and(|error| error.reason.http_status() >= 500);
        if let Some(measured) = measured.as_mut().filter(|_| failed) {
            measured.fail();
        }
        result
    }

    /// Answers a request that is bound to an RPC.
    async fn bound(
        &self,
        binding: &Binding,
        caller: &Caller,
        request: &Request<()>,
        body: &mut Incoming,
    ) -> Result<Response<Body>, ApiError> {
        body.check(request.headers())?;
        let path = binding.template.matches(request.uri().path());
        let bound = Bound {
            binding,
            caller,
            path: path.unwrap_or_default(),
            query: request.uri().query(),
            key: key(binding, request.headers())?,
            deadline: request.extensions().get().copied(),
        };
        let is_analysis = binding.rpc_path() == analyze::PATH;
        let task_rpc = TaskRpc::of(&binding.rpc);
        if is_analysis || task_rpc.is_some_and(TaskRpc::submits) {
            request::no_parameters(bound.query)?;
        }
        if is_analysis {
            let answer = self.online.analyze_json(caller, body, bound.deadline).await?;
            let printed = offload::run(answer.len(), || Ok(answer::json(answer)?)).await;
            return printed.map(response::json);
        }
        let body = body.all().await?;
        match task_rpc {
            Some(rpc) => tasks::rest::serve(&self.tasks, rpc, bound, body).await,
            None => transcode::serve(self.grpc.clone(), bound, body).await,
        }
    }
}

/// The idempotency key of a submit; other calls know no such header.
fn key<'a>(binding: &Binding, headers: &'a HeaderMap) -> Result<Option<IdempotencyKey<'a>>, ApiError> {
    match TaskRpc::of(&binding.rpc).is_some_and(TaskRpc::submits) {
        true => idempotency_key::from_headers(headers),
        false => Ok(None),
    }
}

/// Refuses a target whose RPC needs a higher role than the caller has. Pages, health and reflection are open to all.
fn authorize(caller: &Caller, target: &Target) -> Result<(), EdgeError> {
    target.rpc().map_or(Ok(()), |rpc| caller.authorize(&rpc))
}

//! The gRPC services of the worker, and their limits.
//!
//! Promises: requests between services may be larger than what clients may send, since a packed table can be; responses
//! are not limited. Leaves the layers around every call to `lepton_mesh::server::stack`.

use axum::Router;
use lepton_core::shutdown::Shutdown;
use lepton_mesh::server::stack::{StackConfig, apply, mount, mount_protocol};
use lepton_mesh::server::{health, reflection};
use lepton_mesh::stats_service::StatsService;
use lepton_proto::analysis::v1::analysis_service_server::{AnalysisServiceServer, SERVICE_NAME as ANALYSIS};
use lepton_proto::fleet::v1::fleet_service_server::{FleetServiceServer, SERVICE_NAME as FLEET};
use lepton_proto::inference::grpc_inference_service_server::{GrpcInferenceServiceServer, SERVICE_NAME as INFERENCE};
use lepton_proto::worker::v1::model_host_service_server::{ModelHostServiceServer, SERVICE_NAME as MODEL_HOST};

use super::Worker;
use crate::admission::Admission;
use crate::cpu_pool::CpuPool;
use crate::infer::{Inference, InferenceMetrics};
use crate::model::sandbox::Sandbox;
use crate::online::OnlineAnalysis;
use crate::stats::fleet::WorkerStats;
use crate::validation::ModelValidation;

/// The gRPC services of a worker.
const SERVICES: &[&str] = &[ANALYSIS, FLEET, INFERENCE, MODEL_HOST];
/// Streams of statistics stay open, too long for a span.
const UNTRACED: &[&str] = &["/lepton.fleet.v1.FleetService/"];

/// Routes of the gRPC port. Watchers see `draining`; `closing` ends their streams.
pub(super) fn router(worker: &Worker, draining: &Shutdown, closing: &Shutdown) -> Router {
    let message_bytes_max = usize::try_from(worker.config.online.message_bytes_max).unwrap_or(usize::MAX);
    let online = online(worker);
    let inference = GrpcInferenceServiceServer::new(inference(worker, &online))
        .max_decoding_message_size(message_bytes_max)
        .max_encoding_message_size(usize::MAX);
    let validation = ModelHostServiceServer::new(ModelValidation {
        sandbox: Sandbox::new(worker.config.models.sandbox_limits()),
        opened: worker.models.opened.clone(),
    });
    let source = WorkerStats {
        instance: worker.instance_id(),
        stats: worker.stats.clone(),
        readiness: worker.readiness.clone(),
    };
    let analysis = AnalysisServiceServer::new(online)
        .max_decoding_message_size(message_bytes_max)
        .max_encoding_message_size(usize::MAX);
    let stats = StatsService::new(source, draining.clone(), closing.clone());
    let fleet = FleetServiceServer::new(stats.with_conditions(worker.context.conditions.clone()));
    let health = health::service(worker.readiness.clone(), SERVICES, draining.clone());
    let router = mount_protocol(mount(mount(Router::new(), analysis), fleet), health);
    let router = mount(mount(router, inference), validation);
    let router = reflection::mount_on(router, SERVICES);
    let (clock, metrics) = (worker.context.clock, worker.context.metrics.clone());
    apply(
        router,
        StackConfig {
            untraced: UNTRACED,
            ..StackConfig::new("worker", clock, metrics)
        },
    )
}

fn online(worker: &Worker) -> OnlineAnalysis {
    let config = &worker.config.online;
    let concurrency = config.concurrency_here();
    let queue = usize::try_from(config.queue).unwrap_or(usize::MAX);
    OnlineAnalysis {
        models: worker.models.cache.clone(),
        admission: Admission::new(concurrency.saturating_add(queue), config.table_bytes_max),
        cpu_pool: CpuPool::new(concurrency),
        stats: worker.stats.clone(),
        clock: worker.context.clock,
    }
}

/// Inference, which shares [`Admission`] and [`CpuPool`] with analyses.
fn inference(worker: &Worker, online: &OnlineAnalysis) -> Inference {
    Inference {
        models: worker.models.cache.clone(),
        admission: online.admission.clone(),
        cpu_pool: online.cpu_pool.clone(),
        stats: worker.stats.clone(),
        metrics: InferenceMetrics::new(&worker.context.metrics),
        readiness: worker.readiness.clone(),
        clock: worker.context.clock,
    }
}

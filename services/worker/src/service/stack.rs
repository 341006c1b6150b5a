//! What the worker serves on its gRPC port, and with which limits.
//!
//! Promises: requests between services may be larger than what clients may send, since a packed table can be; answers
//! are not limited. Leaves the layers around every call to `lepton_mesh::server::stack`.

use axum::Router;
use lepton_mesh::fleet::Fleet;
use lepton_mesh::server::stack::{StackConfig, apply, mount};
use lepton_mesh::server::{health, reflection};
use lepton_mesh::shutdown::Shutdown;
use lepton_proto::analysis::v1::analysis_service_server::{AnalysisServiceServer, SERVICE_NAME as ANALYSIS};
use lepton_proto::fleet::v1::fleet_service_server::{FleetServiceServer, SERVICE_NAME as FLEET};

use super::Worker;
use crate::compute::Compute;
use crate::online::Online;
use crate::online::room::Room;
use crate::stats::fleet::Own;

/// The gRPC services of a worker.
const SERVICES: &[&str] = &[ANALYSIS, FLEET];

/// Everything on the gRPC port. `draining` is told to watchers, `closing` ends their streams.
pub(super) fn router(worker: &Worker, draining: &Shutdown, closing: &Shutdown) -> Router {
    let message_bytes_max = usize::try_from(worker.config.online.message_bytes_max).unwrap_or(usize::MAX);
    let analysis = AnalysisServiceServer::new(online(worker))
        .max_decoding_message_size(message_bytes_max)
        .max_encoding_message_size(usize::MAX);
    let own = Own {
        instance: worker.instance_id(),
        stats: worker.stats.clone(),
        readiness: worker.readiness.clone(),
    };
    let fleet = FleetServiceServer::new(Fleet::new(own, draining.clone(), closing.clone()));
    let health = health::service(worker.readiness.clone(), SERVICES, draining.clone());
    let router = mount(mount(mount(Router::new(), analysis), fleet), health);
    let router = reflection::mount_on(router, SERVICES);
    let (clock, metrics) = (worker.context.clock, worker.context.metrics.clone());
    apply(
        router,
        StackConfig {
            service: "worker",
            clock,
            metrics,
        },
    )
}

fn online(worker: &Worker) -> Online {
    let config = &worker.config.online;
    let concurrency = config.concurrency_here();
    let queue = usize::try_from(config.queue).unwrap_or(usize::MAX);
    Online {
        room: Room::new(concurrency.saturating_add(queue), config.table_bytes_max),
        compute: Compute::new(concurrency),
        stats: worker.stats.clone(),
        clock: worker.context.clock,
    }
}

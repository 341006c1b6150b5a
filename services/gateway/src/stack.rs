//! The layers of the gateway, from the outside in:
//!
//! 1. `mesh::server`: connections, their limits and their end;
//! 2. `mesh::server::stack`: a span, metrics, panics, deadlines;
//! 3. `route`: whose page asks, and whether gRPC, gRPC-Web, REST or `/v2` is spoken;
//! 4. the gRPC services, which REST reaches too.
//!
//! Promises: every service is discoverable by reflection and has a health of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_mesh::server::health::{self, Readiness};
use lepton_mesh::server::reflection;
use lepton_mesh::server::stack::{self, StackConfig, mount};
use lepton_mesh::stats_service::StatsService;
use lepton_proto::cluster::v1::cluster_service_server::{self as cluster_service, ClusterServiceServer};
use lepton_proto::cluster::v1::journal_service_server::{self as journal_service, JournalServiceServer};
use lepton_proto::data::v1::data_service_server::{self as data_service, DataServiceServer};
use lepton_proto::fleet::v1::fleet_service_server::{self as fleet_service, FleetServiceServer};
use lepton_proto::model::v1::model_service_server::{self as model_service, ModelServiceServer};
use lepton_proto::monitor::v1::monitor_service_server::{self as monitor_service, MonitorServiceServer};
use lepton_proto::task::v1::task_service_server::{self as task_service, TaskServiceServer};
use tonic::codec::CompressionEncoding::Gzip;

use crate::cluster::Cluster;
use crate::data::Data;
use crate::fleet::Own;
use crate::incidents::Incidents;
use crate::models::Models;
use crate::online::analyze::Online;
use crate::online::grpc::{Bytewise as _, Server};
use crate::online::infer::Inference;
use crate::route::{Front, unknown_service};
use crate::tasks::Tasks;

/// What the message of a file is longer than the file: its name and the framing. REST counts the file alone.
pub const FRAMING_BYTES_MAX: usize = 1_024;

/// The full names of the gRPC services.
const NAMES: [&str; 9] = [
    Online::NAME,
    task_service::SERVICE_NAME,
    cluster_service::SERVICE_NAME,
    journal_service::SERVICE_NAME,
    monitor_service::SERVICE_NAME,
    model_service::SERVICE_NAME,
    data_service::SERVICE_NAME,
    fleet_service::SERVICE_NAME,
    Inference::NAME,
];

/// What stands behind the gRPC services.
pub struct Services {
    /// The largest message, in bytes.
    pub bytes_max: usize,
    /// Analyses.
    pub online: Online,
    /// Inference on models.
    pub inference: Inference,
    /// Tasks.
    pub tasks: Tasks,
    /// Models.
    pub models: Models,
    /// Uploads.
    pub data: Data,
    /// Instances and journal.
    pub cluster: Cluster,
    /// Incidents.
    pub incidents: Incidents,
    /// Our own load.
    pub fleet: StatsService<Own>,
    /// Whether a request would succeed.
    pub readiness: Readiness,
    /// Triggered when the gateway leaves.
    pub draining: Shutdown,
}

/// A tonic server with our limits.
macro_rules! limited {
    ($server:ident, $service:expr, $bytes_max:expr) => {
        $server::new($service)
            .max_decoding_message_size($bytes_max)
            .accept_compressed(Gzip)
    };
}

/// Every gRPC service, reflection and health.
pub fn grpc(services: Services) -> Router {
    let Services {
        bytes_max,
        online,
        inference,
        tasks,
        models,
        data,
        cluster,
        incidents,
        fleet,
        readiness,
        draining,
    } = services;
    let file_bytes_max = bytes_max.saturating_add(FRAMING_BYTES_MAX);
    let router = reflection::mount_on(Router::new(), &NAMES);
    let router = mount(router, health::service(readiness, &NAMES, draining));
    let router = mount(router, Server::new(online, bytes_max));
    let router = mount(router, limited!(TaskServiceServer, tasks, bytes_max));
    let router = mount(router, limited!(ClusterServiceServer, cluster.clone(), bytes_max));
    let router = mount(router, limited!(JournalServiceServer, cluster, bytes_max));
    let router = mount(router, limited!(MonitorServiceServer, incidents, bytes_max));
    let router = mount(router, limited!(ModelServiceServer, models, file_bytes_max));
    let router = mount(router, limited!(DataServiceServer, data, file_bytes_max));
    let router = mount(router, limited!(FleetServiceServer, fleet, bytes_max));
    let router = mount(router, Server::new(inference, bytes_max));
    router.fallback(async |request: Request<Body>| unknown_service(&request))
}

/// The whole application.
pub fn apply(context: &Context, front: Front) -> Router {
    let front = Arc::new(front);
    let app = Router::new().fallback(move |request: Request<Body>| front.clone().answer(request));
    let config = StackConfig {
        service: "gateway",
        clock: context.clock,
        metrics: context.metrics.clone(),
    };
    stack::apply(app, config)
}

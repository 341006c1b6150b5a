//! The gRPC services of the gateway, which REST reaches too.
//!
//! Promises: every service is discoverable by reflection and has a health of its own. Leaves the layers around them to
//! [`super::stack`].

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use lepton_core::error;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{ApiError, Code, Reason};
use lepton_domain::text::excerpt;
use lepton_mesh::server::health::{self, Readiness};
use lepton_mesh::server::reflection;
use lepton_mesh::server::stack::{mount, mount_protocol};
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
use crate::incidents::Incidents;
use crate::models::Models;
use crate::proxy::analyze::Online;
use crate::proxy::grpc::{Bytewise as _, Server};
use crate::proxy::infer::Inference;
use crate::request_stats::GatewayStats;
use crate::tasks::Tasks;

/// Bytes by which the message of a file is longer than the file: its name and the framing. REST counts the file alone.
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

/// Everything behind the gRPC services.
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
    pub fleet: StatsService<GatewayStats>,
    /// [`Readiness`] for requests.
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
    let router = mount_protocol(router, health::service(readiness, &NAMES, draining));
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

/// The answer to an RPC of a service that is not there. The protocol wants UNIMPLEMENTED, whatever the reason's code is.
fn unknown_service(request: &Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let message = format!("there is no RPC {}; list the services by reflection", excerpt(path));
    let error = ApiError::new(Reason::RouteNotFound, message).with("path", path);
    error::status_with(Code::Unimplemented, &error).into_http()
}

//! The service that lists incidents.
//!
//! Leaves finding them to `rule`.

use std::sync::Arc;

use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::error::status;
use lepton_proto::convert::incident::read_state;
use lepton_proto::monitor::v1::monitor_service_server::MonitorService;
use lepton_proto::monitor::v1::{GetTraceRequest, GetTraceResponse, ListIncidentsRequest, ListIncidentsResponse};
use lepton_proto::monitor::v1::{ListTracesRequest, ListTracesResponse};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::view::View;

/// Answers from the present view.
#[derive(Debug)]
pub(crate) struct Listing {
    view: watch::Receiver<Arc<View>>,
}

impl Listing {
    /// Of the incidents in this view.
    pub fn new(view: watch::Receiver<Arc<View>>) -> Self {
        Self { view }
    }
}

#[tonic::async_trait]
impl MonitorService for Listing {
    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let wanted = read_state("state", request.get_ref().state).map_err(|error| status(&error.into()))?;
        let view = self.view.borrow().clone();
        let matching = view
            .incidents
            .iter()
            .filter(|incident| wanted.is_none_or(|state| incident.state == state));
        Ok(Response::new(ListIncidentsResponse {
            incidents: matching.map(Into::into).collect(),
        }))
    }

    async fn get_trace(&self, request: Request<GetTraceRequest>) -> Result<Response<GetTraceResponse>, Status> {
        let message = format!("trace {} is not kept", request.get_ref().trace_id);
        Err(status(&Fault::new(Reason::TraceNotFound, message)))
    }

    async fn list_traces(&self, _: Request<ListTracesRequest>) -> Result<Response<ListTracesResponse>, Status> {
        Ok(Response::new(ListTracesResponse::default()))
    }
}

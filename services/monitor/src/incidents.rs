//! The service that shows incidents and traces.
//!
//! Leaves finding incidents to `rule` and keeping traces to `otlp`.

use std::sync::Arc;

use lepton_core::error::status;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::convert::incident::read_state;
use lepton_proto::monitor::v1::monitor_service_server::MonitorService;
use lepton_proto::monitor::v1::{GetTraceRequest, GetTraceResponse, ListIncidentsRequest, ListIncidentsResponse};
use lepton_proto::monitor::v1::{ListTracesRequest, ListTracesResponse};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::otlp::{Filter, Traces};
use crate::view::View;

/// Traces of a list where no number is asked for.
const PAGE_SIZE: usize = 100;
/// The most traces of a list.
const PAGE_SIZE_MAX: usize = 1_000;

/// Answers from the present view and the kept traces.
#[derive(Debug)]
pub(crate) struct Listing {
    view: watch::Receiver<Arc<View>>,
    traces: Traces,
}

impl Listing {
    /// Of the incidents in this view, and of these traces.
    pub fn new(view: watch::Receiver<Arc<View>>, traces: Traces) -> Self {
        Self { view, traces }
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
        let id = &request.get_ref().trace_id;
        let trace = self.traces.get(id).ok_or_else(|| {
            let message = format!("trace {id} is not kept here");
            status(&Fault::new(Reason::TraceNotFound, message))
        })?;
        Ok(Response::new(GetTraceResponse { trace: Some(trace) }))
    }

    async fn list_traces(&self, request: Request<ListTracesRequest>) -> Result<Response<ListTracesResponse>, Status> {
        let ListTracesRequest {
            page_size,
            failed,
            duration_us_min,
        } = request.into_inner();
        let limit = match usize::try_from(page_size).unwrap_or(PAGE_SIZE_MAX) {
            0 => PAGE_SIZE,
            size => size.min(PAGE_SIZE_MAX),
        };
        let traces = self.traces.list(Filter {
            limit,
            failed,
            duration_us_min,
        });
        Ok(Response::new(ListTracesResponse { traces }))
    }
}

//! gRPC service for incidents and traces.
//!
//! Promises: pages of a listing by [`lepton_proto::page`]. Leaves opening incidents to [`crate::incident_rules`] and
//! storing traces to [`crate::otlp`].

use std::sync::Arc;

use lepton_core::error::status;
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::convert::ConvertError;
use lepton_proto::convert::incident::{self, read_state};
use lepton_proto::monitor::v1::monitor_service_server::MonitorService;
use lepton_proto::monitor::v1::{GetTraceRequest, GetTraceResponse, Incident, ListIncidentsRequest};
use lepton_proto::monitor::v1::{ListIncidentsResponse, ListTracesRequest, ListTracesResponse, Trace};
use lepton_proto::page::{Page, PageRequest};
use lepton_proto::validate;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::otlp::Traces;
use crate::view::MeshView;

/// Handler of [`MonitorService`], over the present [`MeshView`] and the stored [`Traces`].
#[derive(Debug)]
pub(crate) struct MonitorApi {
    view: watch::Receiver<Arc<MeshView>>,
    traces: Traces,
}

impl MonitorApi {
    /// Handler over these incidents and traces.
    pub fn new(view: watch::Receiver<Arc<MeshView>>, traces: Traces) -> Self {
        Self { view, traces }
    }

    /// Returns the page of incidents that a request asks for.
    fn incidents(&self, request: &ListIncidentsRequest) -> Result<Page<Incident>, QueryError> {
        validate::check_typed("lepton.monitor.v1.ListIncidentsRequest", request)?;
        let state = read_state("state", request.state)?;
        let page = PageRequest::new(incident::listing(request), request.page_size, &request.page_token)?;
        let view = self.view.borrow().clone();
        let matching = view
            .incidents
            .iter()
            .filter(|incident| state.is_none_or(|state| incident.state == state));
        Ok(page.cut(matching, |incident| incident::key(incident)).map(Into::into))
    }

    /// Returns the page of traces that a request asks for.
    fn traces(&self, request: &ListTracesRequest) -> Result<Page<Trace>, QueryError> {
        validate::check_typed("lepton.monitor.v1.ListTracesRequest", request)?;
        Ok(self.traces.list(request)?)
    }
}

/// Rejection of a request.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    /// Field or page token that breaks the contract.
    #[error(transparent)]
    Request(#[from] ApiError),
    /// Field without a meaning.
    #[error(transparent)]
    Field(#[from] ConvertError),
    /// Trace that is not in this monitor's store.
    #[error("trace {0} is not kept here")]
    TraceNotStored(String),
}

impl From<QueryError> for Status {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        status(&match error {
            QueryError::Request(api_error) => api_error,
            QueryError::Field(error) => error.into(),
            QueryError::TraceNotStored(_) => ApiError::new(Reason::TraceNotFound, message),
        })
    }
}

#[tonic::async_trait]
impl MonitorService for MonitorApi {
    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let page = self.incidents(request.get_ref())?;
        Ok(Response::new(ListIncidentsResponse {
            incidents: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_trace(&self, request: Request<GetTraceRequest>) -> Result<Response<GetTraceResponse>, Status> {
        let GetTraceRequest { trace_id } = request.into_inner();
        let trace = self.traces.get(&trace_id);
        let trace = trace.ok_or(QueryError::TraceNotStored(trace_id))?;
        Ok(Response::new(GetTraceResponse { trace: Some(trace) }))
    }

    async fn list_traces(&self, request: Request<ListTracesRequest>) -> Result<Response<ListTracesResponse>, Status> {
        let page = self.traces(request.get_ref())?;
        Ok(Response::new(ListTracesResponse {
            traces: page.items,
            next_page_token: page.next_page_token,
        }))
    }
}

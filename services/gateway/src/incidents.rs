//! `lepton.monitor.v1.MonitorService`, passed on to a monitor.
//!
//! Promises: the leading monitor is asked first for incidents, the others when it does not answer. Leaves incidents to the
//! monitor, and putting traces together to `traces`.

use std::time::Duration;

use lepton_coordination::registry::{Directory, Instance, NodeState};
use lepton_core::error;
use lepton_core::net::Net;
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::monitor::v1::monitor_service_client::MonitorServiceClient;
use lepton_proto::monitor::v1::monitor_service_server::MonitorService;
use lepton_proto::monitor::v1::{GetTraceRequest, GetTraceResponse, ListIncidentsRequest, ListIncidentsResponse};
use lepton_proto::monitor::v1::{ListTracesRequest, ListTracesResponse};
use lepton_proto::validate;
use lepton_telemetry::propagate::Propagate;
use tonic::{Request, Response};

use crate::cluster::Cluster;
use crate::request::Caller;
use crate::request::unary::{Answer, answer};
use crate::traces;

/// Timeout of one monitor.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Retry delay when none answered.
const RETRY: Duration = Duration::from_secs(2);

/// The service.
#[derive(Debug, Clone)]
pub struct Incidents {
    net: Net,
    directory: Directory,
    cluster: Cluster,
}

impl Incidents {
    /// Asks the monitors in this directory.
    pub fn new(net: Net, directory: Directory, cluster: Cluster) -> Self {
        Self {
            net,
            directory,
            cluster,
        }
    }

    /// The monitors, the leader first, those that drain last.
    fn monitors(&self) -> Vec<Instance> {
        let leader = self.cluster.leader("monitor").map(|leader| leader.instance);
        let view = self.directory.view();
        let mut monitors: Vec<Instance> = view
            .borrow()
            .values()
            .filter(|instance| instance.service == "monitor")
            .cloned()
            .collect();
        monitors.sort_by_key(|monitor| {
            (
                Some(&monitor.id) != leader.as_ref(),
                monitor.state == NodeState::Draining,
            )
        });
        monitors
    }

    async fn list(&self, _caller: &Caller, request: ListIncidentsRequest) -> Result<ListIncidentsResponse, ApiError> {
        validate::check_typed("lepton.monitor.v1.ListIncidentsRequest", &request)?;
        let message = "no monitor answers; start one, or try again shortly";
        let mut last = ApiError::new(Reason::LeaderUnavailable, message).retry_after(RETRY);
        for monitor in self.monitors() {
            match self.ask(&monitor, request.clone()).await {
                Err(error) if error::is_retryable(&error) => {
                    let delay = error.retry_after.unwrap_or(RETRY);
                    last = error.retry_after(delay);
                }
                decided => return decided,
            }
        }
        Err(last)
    }

    async fn ask(&self, monitor: &Instance, request: ListIncidentsRequest) -> Result<ListIncidentsResponse, ApiError> {
        let channel = Propagate::to("monitor", self.net.channel(&monitor.address));
        let mut client = MonitorServiceClient::new(channel);
        match tokio::time::timeout(ANSWER_WAIT, client.list_incidents(request)).await {
            Ok(answer) => answer
                .map(Response::into_inner)
                .map_err(|status| error::from_status(&status)),
            Err(_) => Err(ApiError::new(
                Reason::OutcomeUnknown,
                format!("{} did not answer in time", monitor.id),
            )),
        }
    }
}

#[tonic::async_trait]
impl MonitorService for Incidents {
    async fn list_incidents(&self, request: Request<ListIncidentsRequest>) -> Answer<ListIncidentsResponse> {
        answer(request, async |caller, request| self.list(&caller, request).await).await
    }

    async fn get_trace(&self, request: Request<GetTraceRequest>) -> Answer<GetTraceResponse> {
        answer(request, async |caller, request| {
            validate::check_typed("lepton.monitor.v1.GetTraceRequest", &request)?;
            let trace = traces::get(self.net, &self.monitors(), &caller, &request).await?;
            Ok(GetTraceResponse { trace: Some(trace) })
        })
        .await
    }

    async fn list_traces(&self, request: Request<ListTracesRequest>) -> Answer<ListTracesResponse> {
        answer(request, async |caller, request| {
            validate::check_typed("lepton.monitor.v1.ListTracesRequest", &request)?;
            let page = traces::list(self.net, &self.monitors(), &caller, &request).await?;
            Ok(ListTracesResponse {
                traces: page.items,
                next_page_token: page.next_page_token,
            })
        })
        .await
    }
}

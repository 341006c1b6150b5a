//! `lepton.cluster.v1`: the instances from the registry, the journal from etcd.
//!
//! Promises: reads only. Leaves what the journal's figures mean to `lepton_journal::inspect`.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use lepton_coordination::election::{Leader, LeaderWatch};
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{self, Directory, Instance};
use lepton_core::error;
use lepton_domain::reason::ApiError;
use lepton_journal::follow::FollowError;
use lepton_journal::inspect;
use lepton_proto::cluster::v1::cluster_service_server::ClusterService;
use lepton_proto::cluster::v1::journal_service_server::JournalService;
use lepton_proto::cluster::v1::*;
use lepton_proto::convert::time::timestamp;
use lepton_proto::page::{Listing, PageRequest};
use lepton_proto::validate;
use tonic::{Request, Response, Status};

use crate::request::Caller;
use crate::request::unary::{Answer, answer};

/// The services that elect a leader.
pub const ELECTING: [&str; 2] = ["scheduler", "monitor"];

/// Both services.
#[derive(Debug, Clone)]
pub struct Cluster {
    etcd: Etcd,
    directory: Directory,
    leaders: Vec<(&'static str, LeaderWatch)>,
}

impl Cluster {
    /// Shows what this directory and these leaders say.
    pub fn new(etcd: Etcd, directory: Directory, leaders: Vec<(&'static str, LeaderWatch)>) -> Self {
        Self {
            etcd,
            directory,
            leaders,
        }
    }

    /// Leader of a service, as far as is known.
    pub fn leader(&self, service: &str) -> Option<Leader> {
        let (_, watch) = self.leaders.iter().find(|(name, _)| *name == service)?;
        watch.view().borrow().clone()
    }

    fn nodes(&self, _caller: &Caller, request: &ListNodesRequest) -> Result<ListNodesResponse, ApiError> {
        let request = nodes_page(request)?;
        let mut nodes: Vec<_> = self
            .directory
            .view()
            .borrow()
            .values()
            .map(|instance| self.node(instance))
            .collect();
        nodes.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        let page = request.cut(nodes, |node| (node.service.clone(), node.id.clone()));
        Ok(ListNodesResponse {
            nodes: page.items,
            next_page_token: page.next_page_token,
        })
    }

    fn node(&self, instance: &Instance) -> Node {
        let leads = self
            .leader(&instance.service)
            .filter(|leader| leader.instance == instance.id);
        Node {
            id: instance.id.to_string(),
            service: instance.service.clone(),
            address: instance.address.clone(),
            state: state(instance.state).into(),
            version: instance.version.clone(),
            start_time: Some(timestamp(instance.started)),
            leader: leads.is_some(),
            epoch: leads.map_or(0, |leader| leader.epoch.0),
        }
    }
}

fn state(state: registry::NodeState) -> NodeState {
    match state {
        registry::NodeState::Starting => NodeState::Starting,
        registry::NodeState::Ready => NodeState::Ready,
        registry::NodeState::Draining => NodeState::Draining,
    }
}

#[tonic::async_trait]
impl ClusterService for Cluster {
    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Answer<ListNodesResponse> {
        answer(request, async |caller, request| self.nodes(&caller, &request)).await
    }
}
/// Returns the page of instances, which are listed by service and id, that a request asks for.
fn nodes_page(request: &ListNodesRequest) -> Result<PageRequest<(String, String)>, ApiError> {
    validate::check_typed("lepton.cluster.v1.ListNodesRequest", request)?;
    PageRequest::new(Listing::new("ListNodes", &[]), request.page_size, &request.page_token)
}

#[tonic::async_trait]
impl JournalService for Cluster {
    async fn get_journal_status(&self, _: Request<GetJournalStatusRequest>) -> Answer<GetJournalStatusResponse> {
        let status = inspect::status(&self.etcd).await.map_err(refused)?;
        Ok(Response::new(status.into()))
    }

    async fn verify_journal(&self, _: Request<VerifyJournalRequest>) -> Answer<VerifyJournalResponse> {
        let found = inspect::verify(&self.etcd).await.map_err(refused)?;
        Ok(Response::new(found.into()))
    }

    type DumpJournalStream = Pin<Box<dyn Stream<Item = Result<DumpJournalResponse, Status>> + Send>>;

    async fn dump_journal(&self, request: Request<DumpJournalRequest>) -> Answer<Self::DumpJournalStream> {
        let DumpJournalRequest { from_segment, limit } = request.into_inner();
        let entries = inspect::dump(self.etcd.clone(), from_segment, limit);
        Ok(Response::new(
            entries
                .map(|entry| entry.map(|entry| (&entry).into()).map_err(refused))
                .boxed(),
        ))
    }
}

fn refused(failure: FollowError) -> Status {
    let error: ApiError = failure.api_error();
    error::status(&error)
}

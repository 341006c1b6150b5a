//! The same listings over gRPC.

use lepton_core::net::Net;
use lepton_proto::cluster::v1::ListNodesRequest;
use lepton_proto::cluster::v1::cluster_service_client::ClusterServiceClient;
use lepton_proto::model::v1::ListModelsRequest;
use lepton_proto::model::v1::model_service_client::ModelServiceClient;
use lepton_proto::monitor::v1::monitor_service_client::MonitorServiceClient;
use lepton_proto::monitor::v1::{ListIncidentsRequest, ListTracesRequest};
use lepton_tests::rest::Rest;
use tonic::Status;
use tonic::transport::Channel;

use super::List;

/// The ids of all pages of a listing.
pub(super) async fn walk(list: List, rest: &Rest, page_size: u32) -> Vec<String> {
    let channel = Net::Os.channel(rest.authority());
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let (items, next) = page(list, channel.clone(), page_size, token).await.expect("a page");
        found.extend(items);
        token = next;
        if token.is_empty() {
            return found;
        }
        assert!(found.len() < 20_000, "the listing does not end");
    }
}

async fn page(
    list: List,
    channel: Channel,
    page_size: u32,
    page_token: String,
) -> Result<(Vec<String>, String), Status> {
    let ids = match list.items {
        "nodes" => {
            let request = ListNodesRequest { page_size, page_token };
            let page = ClusterServiceClient::new(channel)
                .list_nodes(request)
                .await?
                .into_inner();
            (
                page.nodes.into_iter().map(|node| node.id).collect(),
                page.next_page_token,
            )
        }
        "models" => {
            let request = ListModelsRequest { page_size, page_token };
            let page = ModelServiceClient::new(channel)
                .list_models(request)
                .await?
                .into_inner();
            (
                page.models.into_iter().map(|model| model.name).collect(),
                page.next_page_token,
            )
        }
        "incidents" => {
            let request = ListIncidentsRequest {
                page_size,
                page_token,
                ..ListIncidentsRequest::default()
            };
            let page = MonitorServiceClient::new(channel)
                .list_incidents(request)
                .await?
                .into_inner();
            (
                page.incidents.into_iter().map(|incident| incident.id).collect(),
                page.next_page_token,
            )
        }
        _ => {
            let request = ListTracesRequest {
                page_size,
                page_token,
                ..ListTracesRequest::default()
            };
            let page = MonitorServiceClient::new(channel)
                .list_traces(request)
                .await?
                .into_inner();
            (
                page.traces.into_iter().map(|trace| trace.trace_id).collect(),
                page.next_page_token,
            )
        }
    };
    Ok(ids)
}

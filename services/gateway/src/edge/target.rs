//! The target of a request: what it asks for, whichever dialect it is in.
//!
//! Promises: found once, before any layer can refuse the request, so that its span and metrics are named by its route; the RPC
//! of a target is the row of the role table that its caller needs. Leaves answering to [`super::router`].

use std::borrow::Cow;
use std::sync::Arc;

use http::Request;
use lepton_domain::reason::ApiError;
use lepton_mesh::server::stack::Route;
use lepton_proto::roles;

use crate::transcode::table::Binding;
use crate::v2;

/// The subject of a request: an RPC, a page, or nothing that is there.
#[derive(Debug, Clone)]
pub enum Target {
    /// An RPC of the contract over gRPC, by its path.
    Rpc(&'static str),
    /// Another RPC: of health or reflection, or one that is not there.
    Unlisted,
    /// An RPC over REST.
    Rest(Arc<Binding>),
    /// A path of the Open Inference Protocol.
    V2(Arc<v2::Target>),
    /// A fixed page.
    Page,
    /// Nothing that is there.
    Missing(ApiError),
}

impl Target {
    /// The target of a gRPC request.
    pub fn of_rpc(path: &str) -> Self {
        roles::row(path).map_or(Self::Unlisted, |(path, _)| Self::Rpc(path))
    }

    /// The target of a request under `/v2`.
    pub fn of_v2<B>(request: &Request<B>) -> Self {
        match v2::Target::of(request.method(), request.uri().path()) {
            Ok(target) => Self::V2(Arc::new(target)),
            Err(error) => Self::Missing(error),
        }
    }

    /// The path of its RPC, by which the role table knows it.
    pub fn rpc(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Rpc(path) => Some(Cow::Borrowed(path)),
            Self::Rest(binding) => Some(Cow::Owned(binding.rpc_path())),
            Self::V2(target) => Some(Cow::Borrowed(target.rpc())),
            Self::Unlisted | Self::Page | Self::Missing(_) => None,
        }
    }

    /// The name of its route, of which there are few.
    pub fn route(&self) -> Option<Route> {
        match self {
            Self::Rpc(path) => Some(Route((*path).into())),
            Self::Rest(binding) => Some(Route(format!("{} {}", binding.verb, binding.template).into())),
            Self::V2(target) => Some(Route(target.route().into())),
            Self::Unlisted | Self::Page | Self::Missing(_) => None,
        }
    }

    /// Distinguishes load from probes and pages, which come for ever.
    pub fn is_load(&self) -> bool {
        match self {
            Self::Rpc(_) | Self::Rest(_) => true,
            Self::V2(target) => target.is_inference(),
            Self::Unlisted | Self::Page | Self::Missing(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_and_reflection_need_no_role() {
        assert!(Target::of_rpc("/grpc.health.v1.Health/Check").rpc().is_none());
        assert!(Target::of_rpc("/lepton.task.v1.TaskService/SubmitTask").rpc().is_some());
    }
}

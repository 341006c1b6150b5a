//! The caller of a request: whose data it may touch and what it may do there.
//!
//! Promises: every request has exactly one caller, found before it is routed and carried among its extensions; an RPC whose
//! role is above the caller's is PERMISSION_DENIED in every dialect. Leaves the roles of the RPCs to [`lepton_proto::roles`],
//! the table that the contract is built with.

use std::sync::Arc;

use axum::body::Body;
use http::{Extensions, Request};
use lepton_domain::ids::{NotTenant, Tenant};
use lepton_mesh::config::ConfigError;
use lepton_proto::roles::{self, Role};
use serde::{Deserialize, Serialize};

use crate::request::error::EdgeError;

/// Callers without a credential: section `[caller]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallerConfig {
    /// Their role: the most that they may do.
    pub anonymous_role: AnonymousRole,
    /// The tenant whose tasks and uploads they see.
    pub anonymous_tenant: String,
}

/// Role of callers without a credential, as [`Role`] has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnonymousRole {
    /// Look at tasks and models, change nothing.
    Viewer,
    /// Work with their tenant's tasks, models and data.
    User,
    /// See and steer the whole mesh.
    Operator,
}

impl Default for CallerConfig {
    fn default() -> Self {
        Self {
            anonymous_role: AnonymousRole::Operator,
            anonymous_tenant: "default".to_owned(),
        }
    }
}

impl From<AnonymousRole> for Role {
    fn from(role: AnonymousRole) -> Self {
        match role {
            AnonymousRole::Viewer => Self::Viewer,
            AnonymousRole::User => Self::User,
            AnonymousRole::Operator => Self::Operator,
        }
    }
}

/// The identity behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant whose tasks and uploads it sees.
    pub tenant: Tenant,
    /// The most that it may do, by the table of [`roles`].
    pub role: Role,
}

impl Caller {
    /// The caller of a request, as [`Callers`] found it.
    pub fn of(extensions: &Extensions) -> Result<Self, EdgeError> {
        extensions.get().cloned().ok_or(EdgeError::NoCaller)
    }

    /// Refuses an RPC, by its path, that needs a higher role than the caller has.
    ///
    /// RPCs that only services use among themselves pass: nothing distinguishes services from clients until both authenticate.
    /// The gateway has one, the stream of its own statistics.
    pub fn authorize(&self, rpc: &str) -> Result<(), EdgeError> {
        match roles::role_of(rpc) {
            Some(Role::Service) => Ok(()),
            Some(needed) if roles::includes(self.role, needed) => Ok(()),
            Some(needed) => Err(EdgeError::RoleTooLow {
                rpc: rpc.trim_start_matches('/').to_owned(),
                role: self.role,
                needed,
            }),
            None => Err(EdgeError::RoleUnknown(rpc.to_owned())),
        }
    }
}

/// Finds the callers of requests. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Callers {
    anonymous: Arc<Caller>,
}

impl Callers {
    /// All callers are anonymous, as nothing authenticates yet. Fails where the configured tenant is no name.
    pub fn new(config: &CallerConfig) -> Result<Self, ConfigError> {
        let tenant = config.anonymous_tenant.parse();
        let named = |error: NotTenant| ConfigError::new(format!("caller.anonymous_tenant: {error}"));
        let caller = Caller {
            tenant: tenant.map_err(named)?,
            role: config.anonymous_role.into(),
        };
        let anonymous = Arc::new(caller);
        Ok(Self { anonymous })
    }

    /// Notes the caller of a request among its extensions.
    pub fn note(&self, mut request: Request<Body>) -> Request<Body> {
        request.extensions_mut().insert(Caller::clone(&self.anonymous));
        request
    }
}

#[cfg(test)]
mod tests {
    use lepton_domain::reason::Reason;

    use super::*;

    const SUBMIT: &str = "/lepton.task.v1.TaskService/SubmitTask";
    const GET: &str = "/lepton.task.v1.TaskService/GetTask";
    const NODES: &str = "/lepton.cluster.v1.ClusterService/ListNodes";
    const STATS: &str = "/lepton.fleet.v1.FleetService/WatchStats";

    fn may(role: AnonymousRole, rpc: &str) -> bool {
        let config = CallerConfig {
            anonymous_role: role,
            ..CallerConfig::default()
        };
        let callers = Callers::new(&config).expect("the default tenant");
        let request = callers.note(Request::new(Body::empty()));
        let caller = Caller::of(request.extensions()).expect("it was noted");
        caller.authorize(rpc).is_ok()
    }

    #[test]
    fn a_role_includes_those_below_it() {
        use AnonymousRole::{Operator, User, Viewer};
        let allowed = [Viewer, User, Operator].map(|role| [GET, SUBMIT, NODES].map(|rpc| may(role, rpc)));
        assert_eq!(allowed, [[true, false, false], [true, true, false], [true, true, true]]);
        // Of services among themselves.
        assert!(may(Viewer, STATS));
        assert!(
            !may(Operator, "/lepton.task.v1.TaskService/Unknown"),
            "no row in the table"
        );
    }

    #[test]
    fn an_anonymous_tenant_has_a_name() {
        let named = |tenant: &str| {
            let config = CallerConfig {
                anonymous_tenant: tenant.to_owned(),
                ..CallerConfig::default()
            };
            Callers::new(&config).map(drop).map_err(|error| error.api_error())
        };
        let longest = "t".repeat(64);
        for tenant in ["default", "team-7_a.b", "Team", &longest] {
            assert_eq!(named(tenant), Ok(()), "{tenant}");
        }
        let long = "t".repeat(65);
        for tenant in ["", " ", "a/b", "a\nb", "\u{e9}", &long] {
            let error = named(tenant).expect_err(tenant);
            assert_eq!(error.reason, Reason::ConfigInvalid, "{tenant:?}");
            assert!(error.message.starts_with("caller.anonymous_tenant: "), "{error}");
        }
    }

    #[test]
    fn a_request_without_a_caller_is_a_defect() {
        assert!(matches!(Caller::of(&Extensions::new()), Err(EdgeError::NoCaller)));
    }
}

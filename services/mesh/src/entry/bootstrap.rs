//! A service with its sockets, ready to run.
//!
//! Promises: what is taken or not allowed is found out here, before anything runs. Leaves running to the service.

use std::io::ErrorKind;
use std::net::SocketAddr;

use lepton_domain::ids::InstanceId;
use lepton_domain::reason::{ApiError, Reason};
use tracing::Instrument;

use super::{Service, Sockets, name_instance};
use crate::config::ServiceConfig;
use crate::server::health::Readiness;
use lepton_core::conditions::Conditions;
use lepton_core::context::Context;
use lepton_core::net::{Listener, Net};
use lepton_core::shutdown::Shutdown;

/// A service that only has to be run.
#[derive(Debug)]
pub struct Bound<S> {
    pub(super) service: S,
    sockets: Sockets,
    /// Its name.
    pub instance: InstanceId,
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The address of its admin listener.
    pub admin: SocketAddr,
}

/// Binds the sockets of a service, names it and builds it.
pub async fn bootstrap<S: Service>(mut config: S::Config, context: Context) -> Result<Bound<S>, ApiError> {
    let instance = name_instance::<S>(&mut config, &context);
    let common = config.common_mut();
    let sockets = Sockets {
        serve: bind(context.net, &common.listen).await?,
        admin: bind(context.net, &common.admin).await?,
    };
    let (address, admin) = (sockets.serve.local_addr(), sockets.admin.local_addr());
    let scope = lepton_telemetry::scope(S::NAME, &instance);
    scope.in_scope(|| {
        [address, admin]
            .iter()
            .for_each(|address| warn_if_open(context.net, *address))
    });
    common.advertise.get_or_insert_with(|| reachable(address));
    // Services of one process report their own conditions.
    let conditions = Conditions::default();
    let context = Context { conditions, ..context };
    let service = S::build(config, context).instrument(scope).await?;
    Ok(Bound {
        service,
        sockets,
        instance,
        address,
        admin,
    })
}

impl<S: Service> Bound<S> {
    /// Readiness: true when a request would succeed.
    pub fn readiness(&self) -> Readiness {
        self.service.readiness()
    }

    /// The line that a process which runs this service alone prints once it is ready.
    pub(super) fn ready_line(&self) -> String {
        let (name, address, admin, pid) = (S::NAME, self.address, self.admin, std::process::id());
        format!("ready service={name} address={address} admin={admin} pid={pid}")
    }

    /// Serves until `shutdown`, then drains. Logs and spans name the service.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), ApiError> {
        let scope = lepton_telemetry::scope(S::NAME, &self.instance);
        self.service.run(self.sockets, shutdown).instrument(scope).await
    }
}

/// Says so when other machines can reach an address.
pub fn warn_if_open(net: Net, address: SocketAddr) {
    if !address.ip().is_loopback() && net == Net::Os {
        tracing::warn!(%address, "reachable from other machines, while nothing authenticates the callers");
    }
}

/// Binds an address; the error names it and its defect.
pub async fn bind(net: Net, address: &str) -> Result<Listener, ApiError> {
    net.bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            let message = format!("{address} is taken; stop the process that listens there, or choose another address");
            ApiError::new(Reason::AddressInUse, message).with("address", address)
        }
        _ => ApiError::new(Reason::ConfigInvalid, format!("cannot listen on {address}: {error}")),
    })
}

/// The address that others reach us at. One that listens everywhere is known by the machine's name.
fn reachable(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if name.trim().is_empty() {
        "localhost"
    } else {
        name.trim()
    };
    format!("{name}:{}", address.port())
}

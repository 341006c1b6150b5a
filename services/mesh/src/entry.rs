//! The way from a command line to a running service, shared by all of them.
//!
//! Promises: sockets are bound before anything else starts; the line on stdout comes when a request would succeed;
//! SIGTERM drains. [`bootstrap()`] is the same way for a caller that has a process already. Leaves what runs to the
//! [`Service`].

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use lepton_domain::reason::ApiError;

use crate::config::{Machine, ServiceConfig};
use crate::server::health::Readiness;
use crate::{collector, memory};
use lepton_coordination::etcd::Etcd;
use lepton_core::context::Context;
use lepton_core::net::Listener;
use lepton_core::shutdown::Shutdown;
use refusal::fail;

pub use bootstrap::{Bound, bind, bootstrap, warn_if_open};
pub use flags::{Flag, colour_choice};
pub use process::{runtime, shutdown_on_signals};

mod bootstrap;
mod flags;
mod process;
pub mod refusal;
#[cfg(test)]
mod tests;

/// The listeners of a service, bound.
#[derive(Debug)]
pub struct Sockets {
    /// For the service itself.
    pub serve: Listener,
    /// For `/livez`, `/readyz` and `/metrics`; see [`crate::admin::serve`].
    pub admin: Listener,
}

/// A service of the mesh.
pub trait Service: Sized + Send + 'static {
    /// Its name in the registry, in metrics and in the name of its instances, such as `gateway`.
    const NAME: &'static str;
    /// Flags beyond those that every service has.
    const FLAGS: &'static [Flag] = &[];
    /// Its configuration.
    type Config: ServiceConfig;

    /// Makes the service from its configuration, in which `instance` and `advertise` are filled in. Must not wait
    /// for others: etcd may be away.
    fn build(config: Self::Config, context: Context) -> impl Future<Output = Result<Self, ApiError>> + Send;

    /// Readiness: true when a request would succeed.
    fn readiness(&self) -> Readiness;

    /// Serves until `shutdown`, then drains. Everything that it started has ended when it returns.
    fn run(self, sockets: Sockets, shutdown: Shutdown) -> impl Future<Output = Result<(), ApiError>> + Send;
}

/// The `main` of a service. `arguments` are those of the process, its name first; `version` is what `--version` prints,
/// which the caller knows, so that a new commit does not compile this crate and all above it anew.
pub fn main<S: Service>(version: &'static str, arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let command = flags::command::<S>(version);
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return refusal::usage(&error),
    };
    let config = match flags::load::<S>(&matches, &Machine) {
        Ok(config) => config,
        Err(error) => return fail(&error.api_error()),
    };
    memory::settle();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(api_error) => return fail(&api_error),
    };
    let ended = runtime.block_on(run::<S>(config));
    // A computation that was stopped may take long to notice; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_millis(500));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(api_error) => fail(&api_error),
    }
}

/// Runs a service to its end in a process of its own.
async fn run<S: Service>(mut config: S::Config) -> Result<(), ApiError> {
    let context = Context::system();
    let instance = name_instance::<S>(&mut config, &context);
    let common = config.common();
    let mut guard = lepton_telemetry::init(S::NAME, &instance, &common.telemetry(), &context);
    let etcd = Etcd::connect(&context, &common.etcd, &common.cluster);
    guard.follow(|addresses| collector::follow(etcd, context.clone(), addresses));
    let result = run_bound::<S>(config, context).await;
    guard.finish().await;
    result
}

async fn run_bound<S: Service>(config: S::Config, context: Context) -> Result<(), ApiError> {
    let shutdown = shutdown_on_signals()?;
    let bound = bootstrap::<S>(config, context).await?;
    let (readiness, line) = (bound.readiness(), bound.ready_line());
    let mut running = std::pin::pin!(bound.run(shutdown));
    tokio::select! {
        result = &mut running => return result,
        () = readiness.wait() => announce(&line),
    }
    running.await
}

/// Says on stdout that the program is ready. A closed stdout must not end it.
pub fn announce(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// The name that the configuration gives, else a fresh one, which is written into it.
fn name_instance<S: Service>(config: &mut S::Config, context: &Context) -> InstanceId {
    let chosen = &mut config.common_mut().instance;
    InstanceId::new(
        chosen
            .get_or_insert_with(|| context.random.instance(S::NAME).to_string())
            .as_str(),
    )
}

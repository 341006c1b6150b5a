//! `lepton up`: the whole mesh on one machine, in the foreground.
//!
//! The same services as in a cluster, over the same wire: the store, gateway, scheduler and monitor run in this process
//! on loopback sockets, workers are its children. Promises: one line on stdout when a request would succeed; what is
//! wrong with addresses or the data directory is reported before anything is touched; SIGTERM and Ctrl-C drain.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lepton_core::context::Context;
use lepton_domain::reason::ApiError;
use lepton_mesh::config::{Machine, Settings};
use lepton_mesh::{collector, entry, memory};

use crate::advice::{EXIT_DONE, fail};

mod directory;
mod mesh;
mod plan;
mod store;
mod supervise;

use plan::LaunchPlan;
pub use supervise::WORKER;

/// Options of `lepton up`. Options that services have too share their environment variables.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Address of the gateway; port 0 takes a free one.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "LEPTON_COMMON__LISTEN",
        default_value = "127.0.0.1:8000"
    )]
    pub listen: String,
    /// Address of the console.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub console: String,
    /// Address of metrics and probes.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "LEPTON_COMMON__ADMIN",
        default_value = "127.0.0.1:8002"
    )]
    pub admin: String,
    /// Directory for all data.
    #[arg(
        long,
        value_name = "DIR",
        env = "LEPTON_COMMON__DATA_DIR",
        default_value = "lepton-data"
    )]
    pub data_dir: PathBuf,
    /// Number of workers.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: u32,
    /// Attempts that each worker runs at once; absent: the worker's default.
    #[arg(long, value_name = "N")]
    pub slots: Option<u32>,
    /// An etcd to use instead of the embedded store.
    #[arg(long, value_name = "URL,...", env = "LEPTON_COMMON__ETCD", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// The blob store: a directory or a URL; absent: `blobs` in the data directory.
    #[arg(long, value_name = "URL", env = "LEPTON_COMMON__BLOB")]
    pub blob: Option<String>,
    /// Address of the embedded store; absent: a free port.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub etcd_listen: String,
    /// Address for traces by OTLP, over gRPC and HTTP; port 0 takes a free one.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "LEPTON_OTLP__LISTEN",
        default_value = "127.0.0.1:0"
    )]
    pub otlp_listen: String,
    /// Models to register at start, as DIR/name/version/model.onnx.
    #[arg(long, value_name = "DIR")]
    pub model_dir: Option<PathBuf>,
    /// A collector that gets the traces as well (OTLP over gRPC or HTTP); absent: OTEL_EXPORTER_OTLP_ENDPOINT, else none.
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

/// Longest rest of stopped work after everything else has ended.
const LEFT_OVER_MAX: Duration = Duration::from_millis(500);

/// Runs the mesh until a signal.
pub fn run(options: Options) -> ExitCode {
    memory::settle();
    let runtime = match entry::runtime() {
        Ok(runtime) => runtime,
        Err(api_error) => return fail(&api_error),
    };
    let ended = runtime.block_on(observed(options));
    // What computes and was stopped may take long to notice; nobody waits for it.
    runtime.shutdown_timeout(LEFT_OVER_MAX);
    match ended {
        Ok(()) => EXIT_DONE,
        Err(api_error) => fail(&api_error),
    }
}

async fn observed(options: Options) -> Result<(), ApiError> {
    let context = Context::system();
    let plan = LaunchPlan::new(options, Machine.variables())?;
    let mut guard = lepton_telemetry::init(
        "lepton",
        &context.random.instance("lepton"),
        &plan.telemetry()?,
        &context,
    );
    let result = serve(plan, context, &mut guard).await;
    guard.finish().await;
    result
}

async fn serve(plan: LaunchPlan, context: Context, traces: &mut lepton_telemetry::Guard) -> Result<(), ApiError> {
    let shutdown = entry::shutdown_on_signals()?;
    let mesh = mesh::Mesh::assemble(&plan, context.clone()).await?;
    traces.follow(|addresses| collector::follow(mesh.etcd(), context.clone(), addresses));
    mesh.run(shutdown).await
}

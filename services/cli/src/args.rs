//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lepton_mesh::entry::refusal;

use crate::up;
use model::{BenchInfer, Infer, Model, Train};
use page::Page;

pub mod model;
pub mod page;

/// The release with the commit, which the build script finds out.
pub(crate) const VERSION: &str = env!("LEPTON_VERSION");

/// A mesh for AI tasks and inference.
#[derive(Debug, Parser)]
#[command(name = "lepton", version = VERSION, arg_required_else_help = true)]
pub struct Parsed {
    /// The gateway.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "LEPTON_ADDRESS",
        default_value = "http://127.0.0.1:8000"
    )]
    pub address: String,
    /// Tables for people, or exactly what REST answers.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    Table,
    /// Exactly the REST body.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole mesh on this machine, in the foreground.
    Up(Box<up::Options>),
    /// Analyse the rows of a file.
    Analyze(Analyze),
    /// Submit tasks and follow them.
    #[command(subcommand)]
    Task(Task),
    /// Train a model on the rows of a file.
    Train(Train),
    /// Keep models and choose which version is served.
    #[command(subcommand)]
    Model(Model),
    /// Run a deployed model.
    Infer(Infer),
    /// List instances, by service and id.
    Nodes(Page),
    /// List incidents, newest first.
    Incidents(Page),
    /// Draw a request and everything that was done for it.
    Trace(Trace),
    /// Read the journal.
    Journal(Journal),
    /// Measure this mesh.
    #[command(subcommand)]
    Bench(Bench),
}

/// Analyse the rows of a file.
#[derive(Debug, Args)]
pub struct Analyze {
    /// A CSV file with a header, or JSON: an array of rows or a whole request.
    pub file: PathBuf,
    /// The column to fit by least squares.
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
    /// A deployed model that predicts one number a row.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
}

/// Draw a request and everything that was done for it.
#[derive(Debug, Args)]
pub struct Trace {
    /// The trace's id, as answers name it in `traceId`.
    pub id: String,
    /// How long to wait for a trace that has not arrived, as 5s.
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub wait: String,
}

/// Submit tasks and follow them.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Submit a task; prints it once it is durable.
    Submit(Submit),
    /// Show a task.
    Get {
        /// The task's id.
        id: String,
    },
    /// List tasks, newest first.
    List {
        /// Only in this state, as succeeded.
        #[arg(long)]
        state: Option<String>,
        /// Only of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Where to go on: `nextPageToken` of the page before.
        #[arg(long)]
        page_token: Option<String>,
    },
    /// Show every change of a task until it has ended.
    Watch {
        /// The task's id.
        id: String,
    },
    /// Wait until a task has ended; exits 1 unless it succeeded.
    Wait {
        /// The task's id.
        id: String,
        /// How long to wait, as 30s; exits 3 when it has not ended by then.
        #[arg(long, default_value = "30s")]
        timeout: String,
    },
    /// Cancel a task, also while it runs.
    Cancel {
        /// The task's id.
        id: String,
    },
}

/// Submit a task.
#[derive(Debug, Args)]
pub struct Submit {
    /// What runs it: echo, analyze, train, evaluate.
    pub kind: String,
    /// Its input as JSON; `@FILE` reads a file, `-` standard input.
    #[arg(default_value = "null", allow_negative_numbers = true)]
    pub input: String,
    /// The idempotency key; a repeated submit with the same one never makes a second task.
    #[arg(long)]
    pub request_id: Option<String>,
    /// 1 (first) to 5 (last).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub priority: Option<u32>,
    /// How long an attempt may run, as 30s.
    #[arg(long)]
    pub timeout: Option<String>,
    /// Attempts that may fail before the task does.
    #[arg(long)]
    pub max_attempts: Option<u32>,
    /// Wait until it has ended.
    #[arg(long)]
    pub wait: bool,
}

/// Read the journal.
#[derive(Debug, Args)]
pub struct Journal {
    /// What to read.
    #[command(subcommand)]
    pub read: JournalRead,
    /// Read etcd itself instead of asking the gateway.
    #[arg(long, global = true, value_name = "URL,...", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// The name of the mesh in etcd.
    #[arg(long, global = true, default_value = "lepton")]
    pub cluster: String,
}

/// What to read of the journal.
#[derive(Debug, Subcommand)]
pub enum JournalRead {
    /// Its extent.
    Status,
    /// Replay all of it and check every promise; exits 1 on any breach.
    Verify,
    /// Print its events.
    Dump {
        /// First segment; absent: the oldest kept.
        #[arg(long, default_value_t = 0)]
        from_segment: u64,
        /// At most this many events; 0 for all.
        #[arg(long, default_value_t = 0)]
        limit: u64,
    },
}

/// Measure this mesh.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Submit `echo` tasks, wait for their results, and count what was lost or doubled in the journal.
    Tasks(BenchTasks),
    /// Analyse the same rows again and again.
    Analyze(BenchAnalyze),
    /// Call a deployed model again and again, over gRPC.
    Infer(BenchInfer),
}

/// Submit `echo` tasks.
#[derive(Debug, Args)]
pub struct BenchTasks {
    /// How many tasks.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// How many are submitted, and awaited, at once.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// How long each task runs.
    #[arg(long, default_value_t = 0)]
    pub delay_ms: u32,
}

/// Analyse the same rows again and again.
#[derive(Debug, Args)]
pub struct BenchAnalyze {
    /// Rows of a request.
    #[arg(long, default_value_t = 10)]
    pub rows: u32,
    /// How many requests.
    #[arg(long, default_value_t = 1_000)]
    pub count: u32,
    /// How many at once.
    #[arg(long, default_value_t = 1)]
    pub concurrency: u32,
}

/// Parses the command line; the exit code says that there is nothing left to do.
pub fn parse(arguments: Vec<OsString>) -> Result<Parsed, ExitCode> {
    Parsed::try_parse_from(arguments).map_err(|error| refusal::usage(&error))
}

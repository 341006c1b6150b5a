//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches as _, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use lepton_mesh::entry::{colour_choice, refusal};

use self::filters::TaskFilters;
use crate::up;
use model::{BenchInfer, Infer, Model, Train};
use page::Page;

mod examples;
pub mod filters;
pub mod model;
pub mod page;
#[cfg(test)]
mod tests;

/// The release with the commit, as the build script sets it.
pub(crate) const VERSION: &str = env!("LEPTON_VERSION");

/// A mesh for AI tasks and inference.
#[derive(Debug, Parser)]
#[command(name = "lepton", version = VERSION, arg_required_else_help = true, after_help = examples::LEPTON)]
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
    /// Tables for people, or exactly the REST body.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The form of answers on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    Table,
    /// Exactly the REST body.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole mesh on this machine, in the foreground.
    #[command(after_help = examples::UP)]
    Up(Box<up::Options>),
    /// Analyse the rows of a file.
    #[command(after_help = examples::ANALYZE)]
    Analyze(Analyze),
    /// Submit tasks and follow them.
    #[command(subcommand, after_help = examples::TASK)]
    Task(Task),
    /// Train a model on the rows of a file.
    #[command(after_help = examples::TRAIN)]
    Train(Train),
    /// Keep models and choose which version is served.
    #[command(subcommand, after_help = examples::MODEL)]
    Model(Model),
    /// Run a deployed model.
    #[command(after_help = examples::INFER)]
    Infer(Infer),
    /// List instances, by service and id.
    #[command(after_help = examples::NODES)]
    Nodes(Page),
    /// List incidents, newest first.
    #[command(after_help = examples::INCIDENTS)]
    Incidents(Page),
    /// Draw a request and everything that was done for it.
    #[command(after_help = examples::TRACE)]
    Trace(Trace),
    /// Read the journal.
    #[command(after_help = examples::JOURNAL)]
    Journal(Journal),
    /// Let a mesh go on whose etcd was restored from an older state.
    #[command(after_help = examples::RESTORE)]
    Restore(Restore),
    /// Measure this mesh.
    #[command(subcommand, after_help = examples::BENCH)]
    Bench(Bench),
    /// Print a script by which a shell completes commands, flags and file names.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Analyse the rows of a file.
#[derive(Debug, Args)]
pub struct Analyze {
    /// Rows with a header line (CSV, TSV) or in JSON (an array, or one row a line), or a whole request in JSON; also
    /// gzipped. `-` reads standard input.
    #[arg(value_hint = ValueHint::FilePath)]
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
    /// The trace's id, from `traceId` of an answer.
    pub id: String,
    /// Longest wait for a trace that has not arrived, as 5s.
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub wait: String,
}

/// Submit tasks and follow them.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Submit a task; prints it once it is durable.
    #[command(after_help = examples::SUBMIT)]
    Submit(Submit),
    /// Show a task.
    #[command(after_help = examples::GET)]
    Get {
        /// The task's id.
        id: String,
    },
    /// List tasks, newest first.
    #[command(after_help = examples::LIST)]
    List {
        #[command(flatten)]
        filters: TaskFilters,
        /// The oldest first.
        #[arg(long)]
        oldest_first: bool,
        /// At most this many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// The page to list: `nextPageToken` of the page before.
        #[arg(long)]
        page_token: Option<String>,
    },
    /// Count tasks by state.
    #[command(after_help = examples::COUNT)]
    Count {
        #[command(flatten)]
        filters: TaskFilters,
    },
    /// Show every change of a task until it has ended.
    #[command(after_help = examples::WATCH)]
    Watch {
        /// The task's id.
        id: String,
    },
    /// Wait until a task has ended; exits 1 unless it succeeded.
    #[command(after_help = examples::WAIT)]
    Wait {
        /// The task's id.
        id: String,
        /// Longest wait, as 30s; exits 3 when it has not ended by then.
        #[arg(long, default_value = "30s")]
        timeout: String,
    },
    /// Cancel tasks, also while they run: these, or all that fit the filters.
    #[command(after_help = examples::CANCEL)]
    Cancel(Chosen),
    /// Run ended tasks again, each as a new task with the same kind, input and options: these, or all that fit the filters.
    #[command(after_help = examples::RETRY)]
    Retry(Chosen),
    /// Delete the records of all ended tasks that fit the filters, from ten minutes after their ends.
    #[command(after_help = examples::PURGE)]
    Purge {
        #[command(flatten)]
        filters: TaskFilters,
    },
    /// Show the attempts at a task: where each ran, and how it ended.
    #[command(after_help = examples::ATTEMPTS)]
    Attempts {
        /// The task's id.
        id: String,
    },
    /// Delete the record of an ended task, from ten minutes after its end.
    #[command(after_help = examples::DELETE_TASK)]
    Delete {
        /// The task's id.
        id: String,
    },
}

/// Tasks by id, or all that fit filters.
#[derive(Debug, Args)]
pub struct Chosen {
    /// The tasks' ids.
    pub ids: Vec<String>,
    #[command(flatten)]
    pub filters: TaskFilters,
}

/// Submit a task.
#[derive(Debug, Args)]
pub struct Submit {
    /// The kind of task: echo, analyze, train, evaluate.
    pub kind: String,
    /// Its input as JSON; `@FILE` reads a file, `@-` and `-` standard input.
    #[arg(default_value = "null", allow_negative_numbers = true)]
    pub input: String,
    /// The idempotency key; a repeated submit with the same one never makes a second task.
    #[arg(long)]
    pub request_id: Option<String>,
    /// 1 (first) to 5 (last).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub priority: Option<u32>,
    /// Longest run of an attempt, as 30s.
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
    /// The part to read.
    #[command(subcommand)]
    pub read: JournalRead,
    /// Read etcd itself instead of calling the gateway.
    #[arg(long, global = true, value_name = "URL,...", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// The name of the mesh in etcd.
    #[arg(long, global = true, default_value = "lepton")]
    pub cluster: String,
}

/// Let a mesh go on whose etcd was restored from an older state.
#[derive(Debug, Args)]
pub struct Restore {
    /// The members of etcd, which hold the state to go on with.
    #[arg(long, required = true, value_name = "URL,...", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// The name of the mesh in etcd.
    #[arg(long, default_value = "lepton")]
    pub cluster: String,
    /// Give up what was acknowledged after that state; without it nothing is changed, and the loss is described.
    #[arg(long)]
    pub accept_loss: bool,
    /// Begin another blob store too, because the old one is lost.
    #[arg(long)]
    pub new_blob_store: bool,
}

/// The readable parts of the journal.
#[derive(Debug, Subcommand)]
pub enum JournalRead {
    /// Describe its extent: leader, events, segments, snapshot.
    #[command(after_help = examples::STATUS)]
    Status,
    /// Replay all of it and check every promise; exits 1 on any breach.
    #[command(after_help = examples::VERIFY)]
    Verify,
    /// Print its events.
    #[command(after_help = examples::DUMP)]
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
    #[command(after_help = examples::BENCH_TASKS)]
    Tasks(BenchTasks),
    /// Analyse the same rows again and again.
    #[command(after_help = examples::BENCH_ANALYZE)]
    Analyze(BenchAnalyze),
    /// Call a deployed model again and again, over gRPC.
    #[command(after_help = examples::BENCH_INFER)]
    Infer(BenchInfer),
}

/// Submit `echo` tasks.
#[derive(Debug, Args)]
pub struct BenchTasks {
    /// Number of tasks.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Tasks that are submitted, and awaited, at once.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// Run time of each task, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub delay_ms: u32,
}

/// Analyse the same rows again and again.
#[derive(Debug, Args)]
pub struct BenchAnalyze {
    /// Rows of a request.
    #[arg(long, default_value_t = 10)]
    pub rows: u32,
    /// Number of requests.
    #[arg(long, default_value_t = 1_000)]
    pub count: u32,
    /// Requests at once.
    #[arg(long, default_value_t = 1)]
    pub concurrency: u32,
}

/// Parses the command line into [`Parsed`]; an exit code means that there is nothing left to do.
pub fn parse(arguments: Vec<OsString>) -> Result<Parsed, ExitCode> {
    let mut command = Parsed::command().color(colour_choice());
    let matches = command.try_get_matches_from_mut(arguments);
    let parsed =
        matches.and_then(|matches| Parsed::from_arg_matches(&matches).map_err(|error| error.format(&mut command)));
    parsed.map_err(|error| refusal::usage(&error))
}

/// Returns the script by which a [`Shell`] completes this command line.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Parsed::command(), "lepton", &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}

//! The command lines about models.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::examples;
use super::page::Page;

/// Keep models and choose which version is served.
#[derive(Debug, Subcommand)]
pub enum Model {
    /// Add a version; the same file again gives the same version.
    #[command(after_help = examples::PUSH)]
    Push {
        /// The model's name.
        name: String,
        /// The ONNX file; `-` reads standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Serve it at once.
        #[arg(long)]
        deploy: bool,
    },
    /// List models, by name.
    #[command(after_help = examples::MODELS)]
    List(Page),
    /// Show one model's versions.
    #[command(after_help = examples::VERSIONS)]
    Get {
        /// The model's name.
        name: String,
    },
    /// Serve a version; answers when a request would succeed.
    #[command(after_help = examples::DEPLOY)]
    Deploy {
        /// The model's name.
        name: String,
        /// The version; 0 for the newest.
        #[arg(long, default_value_t = 0)]
        version: u32,
    },
    /// Serve no version any more.
    #[command(after_help = examples::UNDEPLOY)]
    Undeploy {
        /// The model's name.
        name: String,
    },
    /// Serve the version that was served before.
    #[command(after_help = examples::ROLLBACK)]
    Rollback {
        /// The model's name.
        name: String,
    },
    /// Delete a version that is not served.
    #[command(after_help = examples::DELETE)]
    Delete {
        /// The model's name.
        name: String,
        /// The version.
        version: u32,
    },
}

/// Run a deployed model.
#[derive(Debug, Args)]
pub struct Infer {
    /// The model's name.
    pub model: String,
    /// Rows with a header line (CSV, TSV) or in JSON (an array, or one row a line), of which each gets a prediction, or a
    /// request of the Open Inference Protocol in JSON (an object with `inputs`); also gzipped. `-` reads standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// The version; absent: the deployed one. Only for tensors.
    #[arg(long)]
    pub version: Option<u32>,
    /// Send tensors over gRPC instead of REST.
    #[arg(long)]
    pub grpc: bool,
}

/// Train a model on the rows of a file.
#[derive(Debug, Args)]
pub struct Train {
    /// Rows with a header line (CSV, TSV) or in JSON (an array, or one row a line); also gzipped. `-` reads standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The column to predict.
    #[arg(long, value_name = "COLUMN")]
    pub target: String,
    /// The columns to predict from; absent: every other numeric one.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub features: Vec<String>,
    /// The method by which the coefficients are found.
    #[arg(long, value_enum, default_value_t = Method::ClosedForm)]
    pub method: Method,
    /// Step of the gradient descent.
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Most passes of the gradient descent.
    #[arg(long)]
    pub epochs: Option<u32>,
    /// The gradient descent ends when its loss improves by less.
    #[arg(long)]
    pub tolerance: Option<f64>,
    /// Share of the rows that is kept back to test on.
    #[arg(long)]
    pub test_share: Option<f64>,
    /// Seed of the split.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Register the result as a version of this model.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Serve that version at once.
    #[arg(long, requires = "model")]
    pub deploy: bool,
}

/// The methods by which the coefficients of a linear model are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// By QR decomposition.
    ClosedForm,
    /// By gradient descent.
    GradientDescent,
}

impl Method {
    /// Its name in a task's input.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClosedForm => "closed_form",
            Self::GradientDescent => "gradient_descent",
        }
    }
}

/// Call a deployed model again and again.
#[derive(Debug, Args)]
pub struct BenchInfer {
    /// The model's name.
    pub model: String,
    /// Rows of a request; the model's inputs are filled with numbers of a fixed seed.
    #[arg(long, default_value_t = 1)]
    pub rows: u32,
    /// Number of requests.
    #[arg(long, default_value_t = 10_000)]
    pub count: u32,
    /// Requests at once.
    #[arg(long, default_value_t = 1)]
    pub concurrency: u32,
    /// Calls a second in all, begun by the clock; absent: each begins when one has ended.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
}

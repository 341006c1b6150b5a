//! Push of a model: its file is stored, validated by a worker and registered as a version.
//!
//! Promises: what a worker refuses, and what is broken off before it is registered, leaves nothing behind. Leaves the
//! validation itself to the workers.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lepton_core::blob::{Blobs, digest_of};
use lepton_core::error;
use lepton_domain::model::{Model, Signature, check_name};
use lepton_domain::reason::{ApiError, Code};
use lepton_mesh::channel::pool::Pool;
use lepton_models::{File, Models, discard};
use lepton_proto::convert::model::read_signature;
use lepton_proto::worker::v1::InspectModelRequest;
use lepton_proto::worker::v1::model_host_service_client::ModelHostServiceClient;
use lepton_telemetry::propagate::Propagate;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::Request;
use tracing::Instrument as _;

use super::error::{PushError, RoutingError};
use super::whole;
use crate::tasks::payloads::Payloads;

/// Longest validation of a file by a worker.
const VALIDATION_MAX: Duration = Duration::from_secs(150);
/// Workers that are asked for one file.
const VALIDATIONS_MAX: usize = 2;
/// Bytes of an answer: signatures are limited, yet far from small.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Takes files in, a bounded number at a time. Clones share the bound.
#[derive(Debug, Clone)]
pub struct Intake {
    models: Models,
    store: Payloads,
    workers: Pool,
    permits: Arc<Semaphore>,
}

/// A file that is deleted unless it becomes needed.
struct Draft {
    blobs: Blobs,
    /// Goes on without us: what is half written cannot be deleted yet.
    writing: Option<JoinHandle<Result<File, ApiError>>>,
    file: Option<File>,
}

impl Draft {
    fn write(models: Models, blobs: Blobs, name: String, content: Bytes) -> Self {
        let store = blobs.clone();
        let writing = async move { models.store(&store, &name, content).await };
        Self {
            blobs,
            writing: Some(tokio::spawn(writing.in_current_span())),
            file: None,
        }
    }

    /// Waits until it is written; gives its name.
    async fn written(&mut self) -> Result<String, ApiError> {
        if let Some(writing) = &mut self.writing {
            let file = writing.await.unwrap_or_else(|panic| Err(lost(panic)));
            self.writing = None;
            self.file = Some(file?);
        }
        let file = self.file.as_ref();
        file.map(|file| file.blob.clone())
            .ok_or_else(|| lost("it was not written"))
    }

    /// The file, which is somebody else's from now on.
    fn take(&mut self) -> Result<File, ApiError> {
        self.file.take().ok_or_else(|| lost("it was not written"))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let (writing, file) = (self.writing.take(), self.file.take());
        if writing.is_none() && file.is_none() {
            return;
        }
        // Also when the caller has gone: nobody else knows of the file. What this misses is swept later.
        let blobs = self.blobs.clone();
        let delete = async move {
            let file = match writing {
                Some(writing) => writing.await.ok().and_then(Result::ok),
                None => file,
            };
            if let Some(file) = file {
                discard(&blobs, &file.blob).await;
            }
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(delete.in_current_span());
        }
    }
}

fn lost(why: impl Display) -> ApiError {
    PushError::FileLost(why.to_string()).into()
}

impl Intake {
    /// Takes at most so many files at a time.
    pub fn new(models: Models, store: Payloads, workers: Pool, pushes_max: usize) -> Self {
        Self {
            models,
            store,
            workers,
            permits: Arc::new(Semaphore::new(pushes_max.max(1))),
        }
    }

    /// Makes a file a version; gives the model, the version's number, and whether it is new.
    pub async fn push(&self, name: &str, content: Bytes, number: Option<u32>) -> Result<(Model, u32, bool), ApiError> {
        check_name(name)?;
        if content.is_empty() {
            return Err(PushError::Empty.into());
        }
        let _permit = self.permits.try_acquire().map_err(|_| PushError::Busy)?;
        let blobs = self.store.store()?;
        let before = self.models.read(name).await?;
        let digest = digest_of(&content).await;
        if let Some(model) = before
            && let Some(version) = model.with_digest(digest)
        {
            let number = version.number;
            return Ok((model, number, false));
        }
        let mut draft = Draft::write(self.models.clone(), blobs.clone(), name.to_owned(), content);
        let blob = draft.written().await?;
        let signature = self.validate(&blob).await?;
        // From here on the registry decides what becomes of the file.
        let (file, models, name) = (draft.take()?, self.models.clone(), name.to_owned());
        let (model, version) = whole(async move {
            let lineage = BTreeMap::new();
            models.register(&blobs, &name, file, signature, lineage, number).await
        })
        .await?;
        Ok((model, version, true))
    }

    /// Has a worker validate a stored file.
    async fn validate(&self, blob: &str) -> Result<Signature, ApiError> {
        let mut tried = Vec::new();
        loop {
            let picked = self.workers.pick(&tried).ok_or(RoutingError::NoWorker)?;
            tried.push(picked.instance.clone());
            let mut request = Request::new(InspectModelRequest { blob: blob.to_owned() });
            request.set_timeout(VALIDATION_MAX);
            let channel = Propagate::to("worker", picked.channel);
            let mut worker = ModelHostServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
            let answer = worker.inspect_model(request).await;
            let api_error = match answer {
                Ok(answer) => {
                    picked.lease.succeed();
                    let answer = answer.into_inner();
                    let signature = read_signature(&answer.inputs, &answer.outputs);
                    return signature.map_err(|error| PushError::Invalid(error.to_string()).into());
                }
                Err(status) => error::from_status(&status),
            };
            if api_error.code() != Code::Unavailable {
                picked.lease.succeed();
                return Err(api_error);
            }
            picked.lease.fail();
            if tried.len() >= VALIDATIONS_MAX {
                return Err(PushError::NotValidated(api_error.message).into());
            }
        }
    }
}

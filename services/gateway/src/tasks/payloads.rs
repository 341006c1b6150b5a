//! Large inputs and outputs, which lie in the blob store instead of the journal.
//!
//! Promises: an input is on disk before the submit that names it is sent. Leaves deleting a purged task's blobs to the
//! leader.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use lepton_domain::ids::TaskId;
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::{Content, Encoding, Payload, Task};
use lepton_mesh::blob::Blobs;
use lepton_mesh::context::Context;
use lepton_mesh::etcd::{self, Etcd};
use lepton_proto::convert::task::Resolved;
use tokio::sync::watch;

/// The pause before etcd is asked again for the incarnation, which names the store.
const PAUSE: Duration = Duration::from_millis(500);
/// When a caller may try again while the store is not open.
const RETRY: Duration = Duration::from_secs(1);

/// The blob store, once it is open. Clones share it.
#[derive(Debug, Clone)]
pub struct Payloads {
    blobs: watch::Receiver<Option<Blobs>>,
}

impl Payloads {
    /// Makes the handle and the task that opens the store, which the caller runs. The task fails when the store belongs
    /// to another cluster.
    pub fn new(
        location: String,
        etcd: Etcd,
        context: Context,
    ) -> (Self, impl Future<Output = Result<(), Fault>> + Send) {
        let (sender, blobs) = watch::channel(None);
        (Self { blobs }, open(location, etcd, context, sender))
    }

    /// Puts an input where it belongs by its size.
    pub async fn keep(&self, task: TaskId, encoding: Encoding, content: Bytes) -> Result<Payload, Fault> {
        if content.len() <= Payload::INLINE_BYTES_MAX {
            return Ok(Payload {
                encoding,
                content: Content::Inline(content),
            });
        }
        let size = content.len() as u64;
        let digest = self.store()?.put(task, content).await?;
        Ok(Payload {
            encoding,
            content: Content::Blob { digest, size },
        })
    }

    /// Deletes the input of a submit that turned out to be a repetition.
    pub async fn forget(&self, task: TaskId) {
        if let Ok(blobs) = self.store()
            && let Err(fault) = blobs.delete_task(task).await
        {
            tracing::warn!(%task, %fault, "the input of a repeated submit stays in the blob store");
        }
    }

    /// Fetches what a task has in the store, except an input that is at hand.
    pub async fn resolve(&self, task: &Task, input: Option<Bytes>) -> Result<Resolved, Fault> {
        let output = match &task.output {
            Some(output) => self.fetch(task.id, output).await?,
            None => None,
        };
        let input = match input {
            Some(input) => Some(input),
            None => self.fetch(task.id, &task.spec.input).await?,
        };
        Ok(Resolved { input, output })
    }

    async fn fetch(&self, task: TaskId, payload: &Payload) -> Result<Option<Bytes>, Fault> {
        match payload.content {
            Content::Inline(_) => Ok(None),
            Content::Blob { digest, .. } => self.store()?.get(task, digest).await.map(Some),
        }
    }

    /// The store itself; refused while it is not open.
    pub fn store(&self) -> Result<Blobs, Fault> {
        self.blobs.borrow().clone().ok_or_else(|| {
            let message = "the blob store is not open yet, as etcd has not answered since this gateway started";
            Fault::new(Reason::JournalUnavailable, message).retry_after(RETRY)
        })
    }
}

async fn open(
    location: String,
    etcd: Etcd,
    context: Context,
    sender: watch::Sender<Option<Blobs>>,
) -> Result<(), Fault> {
    let incarnation = loop {
        match etcd::incarnation(&etcd, &context.random).await {
            Ok(incarnation) => break incarnation,
            Err(error) => tracing::debug!(%error, "etcd does not tell the incarnation yet"),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let blobs = Blobs::open(&location, &incarnation).await?;
    sender.send_replace(Some(blobs));
    Ok(())
}

/// How many bytes a task has in the blob store.
pub fn stored_bytes(task: &Task) -> u64 {
    let payloads = [Some(&task.spec.input), task.output.as_ref()];
    payloads
        .into_iter()
        .flatten()
        .filter(|payload| payload.is_blob())
        .map(Payload::size)
        .sum()
}

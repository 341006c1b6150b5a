//! Large inputs and outputs, which lie in the blob store instead of the journal.
//!
//! Promises: an input is on disk before the submit that names it is sent. Leaves deleting a purged task's blobs to the
//! leader.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use lepton_coordination::blob_store;
use lepton_coordination::etcd::Etcd;
use lepton_core::blob::Blobs;
use lepton_core::blob::health::BlobHealth;
use lepton_core::context::Context;
use lepton_domain::ids::{ContentDigest, TaskId};
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::task::{Content, Encoding, Payload, Task};
use lepton_proto::convert::task::Resolved;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::dispatch_state::DispatchState;
use super::error::CallError;

/// Pause between two tries to open the store.
const PAUSE: Duration = Duration::from_millis(500);

/// The blob store, once it is open. Clones share it.
#[derive(Debug, Clone)]
pub struct Payloads {
    blobs: watch::Receiver<Option<Blobs>>,
}

/// A large input that is at hand, so that it need not be fetched.
#[derive(Debug, Clone)]
pub struct KnownInput {
    digest: ContentDigest,
    content: Bytes,
}

impl KnownInput {
    /// The input of a payload whose content this is; `None` where it is not in the blob store.
    pub fn new(payload: &Payload, content: Bytes) -> Option<Self> {
        match payload.content {
            Content::Blob { digest, .. } => Some(Self { digest, content }),
            Content::Inline(_) => None,
        }
    }

    /// The input of a task as it was resolved.
    pub fn of(task: &Task, resolved: &Resolved) -> Option<Self> {
        Self::new(&task.spec.input, resolved.input.clone()?)
    }
}

/// A large input whose submit may come to nothing.
#[derive(Debug)]
pub struct Draft {
    payloads: Payloads,
    task: TaskId,
    dispatch: DispatchState,
}

impl Draft {
    /// Deletes it: no task has come of it.
    pub async fn discard(self) {
        self.payloads.discard(self.task).await;
    }
}

impl Drop for Draft {
    /// Deletes an input whose submit was never dispatched, also when its caller has gone. One that was may be a task's.
    fn drop(&mut self) {
        if self.dispatch.withdraw()
            && let Ok(runtime) = Handle::try_current()
        {
            let (payloads, task) = (self.payloads.clone(), self.task);
            runtime.spawn(async move { payloads.discard(task).await }.in_current_span());
        }
    }
}

impl Payloads {
    /// Makes the handle and the task that opens the store, which the caller runs. The task fails when the store belongs
    /// to another cluster.
    pub fn new(
        location: String,
        etcd: Etcd,
        context: Context,
    ) -> (Self, impl Future<Output = Result<(), ApiError>> + Send) {
        let (sender, blobs) = watch::channel(None);
        (Self { blobs }, open(location, etcd, context, sender))
    }

    /// Stores an input where it belongs by its size: inline, or in the blob store.
    pub async fn store_input(&self, task: TaskId, encoding: Encoding, content: Bytes) -> Result<Payload, ApiError> {
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

    /// The draft of a large input whose submit is about to be dispatched.
    pub fn draft(&self, task: TaskId, input: &Payload, dispatch: &DispatchState) -> Option<Draft> {
        input.is_blob().then(|| Draft {
            payloads: self.clone(),
            task,
            dispatch: dispatch.clone(),
        })
    }

    /// Deletes the input of a submit of which no task has come.
    pub async fn discard(&self, task: TaskId) {
        if let Ok(blobs) = self.store()
            && let Err(error) = blobs.delete_task(task).await
        {
            tracing::warn!(%task, %error, "the input of a submit without a task stays in the blob store");
        }
    }

    /// Fetches the payloads of a task from the store, except an input that is at hand.
    pub async fn resolve(&self, task: &Task, known: Option<&KnownInput>) -> Result<Resolved, ApiError> {
        let output = match &task.output {
            Some(output) => self.fetch(task.id, output).await?,
            None => None,
        };
        let input = match (&task.spec.input.content, known) {
            (Content::Blob { digest, .. }, Some(known)) if *digest == known.digest => Some(known.content.clone()),
            _ => self.fetch(task.id, &task.spec.input).await?,
        };
        Ok(Resolved { input, output })
    }

    async fn fetch(&self, task: TaskId, payload: &Payload) -> Result<Option<Bytes>, ApiError> {
        match payload.content {
            Content::Inline(_) => Ok(None),
            Content::Blob { digest, .. } => self.store()?.get(task, digest).await.map(Some),
        }
    }

    /// The store itself; refused while it is not open.
    pub fn store(&self) -> Result<Blobs, ApiError> {
        let store = self.blobs.borrow().clone();
        store.ok_or_else(|| CallError::StoreNotOpen.into())
    }
}

async fn open(
    location: String,
    etcd: Etcd,
    context: Context,
    sender: watch::Sender<Option<Blobs>>,
) -> Result<(), ApiError> {
    let health = BlobHealth::new(context.conditions, &location);
    loop {
        let opened = blob_store::open(&etcd, &context.random, &location).await;
        health.record(&opened);
        match opened {
            Ok((_incarnation, blobs)) => {
                sender.send_replace(Some(blobs.clone()));
                match health.watch(blobs).await {}
            }
            Err(api_error) if matches!(api_error.reason, Reason::JournalUnavailable | Reason::JournalFull) => {
                tracing::debug!(%api_error, "etcd does not name the blob store yet")
            }
            Err(api_error) if api_error.reason == Reason::BlobUnavailable => {
                tracing::error!(%api_error, "waiting for the blob store")
            }
            Err(lasting) => return Err(lasting),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Bytes of a task in the blob store.
pub fn stored_bytes(task: &Task) -> u64 {
    let payloads = [Some(&task.spec.input), task.output.as_ref()];
    payloads
        .into_iter()
        .flatten()
        .filter(|payload| payload.is_blob())
        .map(Payload::size)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_there(blobs: &Blobs, task: TaskId, payload: &Payload) -> bool {
        let Content::Blob { digest, .. } = payload.content else {
            panic!("it is small")
        };
        blobs.get(task, digest).await.is_ok()
    }

    fn payloads(blobs: &Blobs) -> Payloads {
        let (_sender, receiver) = watch::channel(Some(blobs.clone()));
        Payloads { blobs: receiver }
    }

    #[tokio::test]
    async fn an_input_at_hand_is_not_read_back() {
        let directory = std::env::temp_dir().join(format!("lepton-known-input-{}", std::process::id()));
        let blobs = Blobs::open(directory.to_str().expect("a path in UTF-8"), "a")
            .await
            .expect("opened");
        let payloads = payloads(&blobs);
        let content = Bytes::from(vec![b'7'; Payload::INLINE_BYTES_MAX + 1]);
        let mut task = super::super::view::tests::task(Payload::json("7"));
        let stored = payloads.store_input(task.id, Encoding::Json, content.clone()).await;
        task.spec.input = stored.expect("stored");
        let known = KnownInput::new(&task.spec.input, content.clone());
        // Nothing is left that could be read.
        blobs.delete_task(task.id).await.expect("deleted");
        let resolved = payloads.resolve(&task, known.as_ref()).await.expect("at hand");
        assert_eq!(
            resolved.input.as_ref().map(|input| input.as_ptr()),
            Some(content.as_ptr()),
            "a copy"
        );
        // The task of an earlier submit with the same request id may have its keys in another order.
        let other = Bytes::from(vec![b'8'; Payload::INLINE_BYTES_MAX + 1]);
        task.spec.input = payloads
            .store_input(task.id, Encoding::Json, other.clone())
            .await
            .expect("stored");
        let resolved = payloads.resolve(&task, known.as_ref()).await.expect("fetched");
        assert_eq!(resolved.input, Some(other));
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    #[tokio::test]
    async fn an_input_goes_unless_its_submit_has_left() {
        let directory = std::env::temp_dir().join(format!("lepton-drafts-{}", std::process::id()));
        let location = directory.to_str().expect("a path in UTF-8");
        let blobs = Blobs::open(location, "a").await.expect("opened");
        let (_sender, receiver) = watch::channel(Some(blobs.clone()));
        let payloads = Payloads { blobs: receiver };
        let (left, stayed) = (TaskId::from_u128(1), TaskId::from_u128(2));
        let mut inputs = Vec::new();
        for task in [left, stayed] {
            let content = Bytes::from(vec![7; Payload::INLINE_BYTES_MAX + 1]);
            let payload = payloads
                .store_input(task, Encoding::Binary, content)
                .await
                .expect("kept");
            let dispatch = DispatchState::new();
            let draft = payloads.draft(task, &payload, &dispatch).expect("it is large");
            assert!(task != left || dispatch.dispatch());
            drop(draft);
            assert_eq!(dispatch.dispatch(), task == left, "what is deleted must not be sent");
            inputs.push(payload);
        }
        let gone = async {
            while is_there(&blobs, stayed, &inputs[1]).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone)
            .await
            .expect("deleted");
        assert!(is_there(&blobs, left, &inputs[0]).await);
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}

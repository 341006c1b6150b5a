//! Large inputs and outputs, which lie in the blob store instead of the journal.
//!
//! Promises: an input is on disk before the submit that names it is sent. Leaves deleting a purged task's blobs to the
//! leader.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use lepton_coordination::etcd::{self, Etcd};
use lepton_core::blob::Blobs;
use lepton_core::context::Context;
use lepton_domain::ids::TaskId;
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::{Content, Encoding, Payload, Task};
use lepton_proto::convert::task::Resolved;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::sent::Sent;

/// The pause before etcd is asked again for the incarnation, which names the store.
const PAUSE: Duration = Duration::from_millis(500);
/// When a caller may try again while the store is not open.
const RETRY: Duration = Duration::from_secs(1);

/// The blob store, once it is open. Clones share it.
#[derive(Debug, Clone)]
pub struct Payloads {
    blobs: watch::Receiver<Option<Blobs>>,
}

/// A large input whose submit may come to nothing.
#[derive(Debug)]
pub struct Draft {
    payloads: Payloads,
    task: TaskId,
    sent: Sent,
}

impl Draft {
    /// Deletes it: no task has come of it.
    pub async fn forget(self) {
        self.payloads.forget(self.task).await;
    }
}

impl Drop for Draft {
    /// Also when its caller has gone: an input whose submit never left is nobody's. One that left may be a task's.
    fn drop(&mut self) {
        if self.sent.withdraw()
            && let Ok(runtime) = Handle::try_current()
        {
            let (payloads, task) = (self.payloads.clone(), self.task);
            runtime.spawn(async move { payloads.forget(task).await }.in_current_span());
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

    /// What becomes of the input of a task whose submit is about to be sent; nothing of a small one.
    pub fn draft(&self, task: TaskId, input: &Payload, sent: &Sent) -> Option<Draft> {
        input.is_blob().then(|| Draft {
            payloads: self.clone(),
            task,
            sent: sent.clone(),
        })
    }

    /// Deletes the input of a submit of which no task has come.
    async fn forget(&self, task: TaskId) {
        if let Ok(blobs) = self.store()
            && let Err(fault) = blobs.delete_task(task).await
        {
            tracing::warn!(%task, %fault, "the input of a submit without a task stays in the blob store");
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_there(blobs: &Blobs, task: TaskId, payload: &Payload) -> bool {
        let Content::Blob { digest, .. } = payload.content else {
            panic!("it is small")
        };
        blobs.get(task, digest).await.is_ok()
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
            let payload = payloads.keep(task, Encoding::Binary, content).await.expect("kept");
            let sent = Sent::no();
            let draft = payloads.draft(task, &payload, &sent).expect("it is large");
            assert!(task != left || sent.leave());
            drop(draft);
            assert_eq!(sent.leave(), task == left, "what is deleted must not be sent");
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

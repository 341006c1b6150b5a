//! The gate at which answers wait for a proof of leadership, as in the read-only requests of
//! [etcd's raft](https://github.com/etcd-io/raft/blob/main/read_only.go).
//!
//! Promises: what waits at the gate comes out, in order, after a fenced write that was sent after it had arrived; one
//! write proves all that arrived before it. This holds for reads, for refusals, which read a state too, and for the
//! answers of commands: their events are in the open batch, and so in the same write. Leaves sending writes to the
//! [`CommitPipeline`](super::commit_pipeline::CommitPipeline).

use super::release::{Release, Reply};

#[cfg(test)]
mod tests;

/// Releases before and behind the last write sent.
#[derive(Default)]
pub(crate) struct ReadGate {
    /// Arrived after the last write was sent: the next one proves them.
    waiting: Vec<Release>,
    /// Arrived before the write in flight was sent.
    confirming: Vec<Release>,
    proof_requested: bool,
}

impl ReadGate {
    /// Holds a release back until the next write has succeeded.
    pub fn wait(&mut self, release: Release) {
        self.waiting.push(release);
    }

    /// Holds several releases back, in their order.
    pub fn wait_all(&mut self, releases: impl IntoIterator<Item = Release>) {
        self.waiting.extend(releases);
    }

    /// Requests a write for its own sake: it shows whether this leader still leads.
    pub fn request_proof(&mut self) {
        self.proof_requested = true;
    }

    /// Returns true when a write is wanted, with events or without.
    pub fn wants_write(&self) -> bool {
        self.proof_requested || !self.waiting.is_empty()
    }

    /// Marks everything that has arrived as depending on the write that is being sent.
    pub fn write_sent(&mut self) {
        self.confirming.append(&mut self.waiting);
        self.proof_requested = false;
    }

    /// Opens the gate for what depended on the write that has succeeded.
    pub fn write_confirmed(&mut self) -> Vec<Release> {
        std::mem::take(&mut self.confirming)
    }

    /// Takes out every answer to a caller, when etcd has not answered for too long. A refusal is taken out too: it is
    /// as unproved as any answer. The rest stays, since the write may yet succeed.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        for held in [&mut self.confirming, &mut self.waiting] {
            for release in std::mem::take(held) {
                match release {
                    Release::Reply(reply) => replies.push(reply),
                    other => held.push(other),
                }
            }
        }
        replies
    }
}

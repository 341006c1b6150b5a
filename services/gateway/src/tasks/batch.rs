//! Batches of submits.
//!
//! Promises: a bounded number is under way; a batch is one sampled request, with its own span and those of a few members,
//! and not a thousand. Leaves one submit to [`Tasks::submit`].

use futures::{Stream, StreamExt as _};
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_telemetry::trace::{self, TraceContext};

use super::view::View;
use super::{Submit, Tasks};
use crate::request::Caller;

/// Members of a sampled batch that have spans of their own.
const MEMBERS_TRACED_MAX: usize = 4;

impl Tasks {
    /// Submits many, a bounded number at a time; the results come in the order of the submits.
    pub fn submit_all(
        &self,
        caller: &Caller,
        submits: Vec<Result<Submit, ApiError>>,
        deadline: Option<Deadline>,
    ) -> impl Stream<Item = Result<View, ApiError>> + Send {
        // One deadline for all: the caller waits for the batch.
        let deadline = deadline.unwrap_or_else(|| Deadline::after(self.config.deadline, &self.context.clock));
        let submits = futures::stream::iter(submits);
        let results = submits.enumerate().map(move |(position, submit)| async move {
            let parent = member_parent(trace::current(), position);
            self.submit_below(parent, caller, submit?, Some(deadline)).await
        });
        results.buffered(self.config.batch_in_flight.max(1))
    }
}

/// Returns the parent of a batch's member. Members beyond the first few carry the trace's id along and are not exported.
fn member_parent(batch: Option<TraceContext>, position: usize) -> Option<TraceContext> {
    if position < MEMBERS_TRACED_MAX {
        batch
    } else {
        batch.map(TraceContext::unsampled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_a_thousand_is_not_a_thousand_traces() {
        let batch = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let members: Vec<TraceContext> = (0..1_000)
            .filter_map(|position| member_parent(batch, position))
            .collect();
        assert_eq!(members.len(), 1_000);
        assert_eq!(
            members.iter().filter(|member| member.is_sampled()).count(),
            MEMBERS_TRACED_MAX
        );
        assert!(
            members
                .iter()
                .all(|member| member.trace_id() == "0af7651916cd43dd8448eb211c80319c")
        );
        assert_eq!(member_parent(None, 0), None);
    }
}

//! Ended tasks: run again, or deleted.
//!
//! Promises: a retry is a submit of its own, with a request id and a copy of the input, so that neither task depends on the
//! other. Leaves whether a record may go to the leader.

use bytes::Bytes;
use lepton_domain::ids::{RequestId, TaskId};
use lepton_domain::reason::ApiError;
use lepton_domain::task::Content;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::convert::task::{Envelope, resubmission, sha256};
use lepton_proto::convert::task_id_bytes;
use lepton_proto::scheduler::v1::PurgeCommand;
use lepton_proto::scheduler::v1::intake_request::Request;
use lepton_telemetry::trace;

use super::dispatch_state::DispatchState;
use super::error::CallError;
use super::snapshot::TaskSnapshot;
use super::view::View;
use super::{Tasks, kinds, parse_id, with_request_id};
use crate::request::Caller;

impl Tasks {
    /// Runs an ended task again and answers when the new one is durable.
    pub async fn retry(
        &self,
        caller: &Caller,
        id: &str,
        request_id: String,
        deadline: Option<Deadline>,
    ) -> Result<View, ApiError> {
        let TaskSnapshot { task: ended, .. } = self.record(caller, id, deadline).await?;
        if !ended.state.is_final() {
            let (task, state) = (ended.id, ended.state);
            return Err(CallError::NotEnded { task, state }.into());
        }
        kinds::check(ended.spec.kind.as_str(), &self.directory)?;
        let input = match &ended.spec.input.content {
            Content::Inline(content) => content.clone(),
            Content::Blob { .. } => self.payloads.resolve(&ended, None).await?.input.unwrap_or_default(),
        };
        let request_id = match request_id.is_empty() {
            true => self.context.random.token(),
            false => request_id,
        };
        let retried = self.resubmit(caller, &ended, input, &request_id, deadline).await;
        let task = retried.map_err(|error| with_request_id(error, &request_id))?;
        self.view(task).await
    }

    async fn resubmit(
        &self,
        caller: &Caller,
        ended: &lepton_domain::task::Task,
        input: Bytes,
        request_id: &str,
        deadline: Option<Deadline>,
    ) -> Result<TaskSnapshot, ApiError> {
        let id = TaskId::v7(self.context.clock.now().as_millis(), self.context.random.next_u128());
        let envelope = Envelope {
            id,
            tenant: caller.tenant.clone(),
            request_id: RequestId::new(request_id),
            traceparent: trace::current().map(|parent| parent.to_string().into()),
            input_digest: sha256(&input),
        };
        let payload = self.payloads.store_input(id, ended.spec.input.encoding, input).await?;
        let submission = resubmission(ended, envelope, payload);
        self.hand_in(&submission, deadline).await
    }

    /// Deletes the record of an ended task.
    pub async fn delete(&self, caller: &Caller, id: &str, deadline: Option<Deadline>) -> Result<(), ApiError> {
        let command = PurgeCommand {
            task: task_id_bytes(parse_id(id)?),
            tenant: caller.tenant.as_str().to_owned(),
        };
        self.ask(Request::Purge(command), DispatchState::new(), deadline)
            .await
            .map(|_record| ())
    }
}

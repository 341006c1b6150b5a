//! Calls: what commands and reads of callers mean to the ledger.

use std::sync::Arc;

use lepton_domain::admission;
use lepton_domain::ids::{Kind, TaskId, Tenant};
use lepton_domain::ledger::{Command, Ledger, Rejection, Submission};
use lepton_domain::task::Task;

use super::Decider;
use crate::error::CallError;
use crate::leader::clock::Now;
use crate::leader::release::{Release, Reply};
use crate::leader::watchers::WatcherNumber;
use crate::message::Call;

impl Decider {
    /// Handles a call; its answer waits at the gate. While etcd does not answer, commands and watches are refused at
    /// once.
    pub fn call(&mut self, call: Call, now: Now) {
        let stalled = self.pipeline.is_stalled(now.monotonic);
        let reply = match call {
            Call::Submit { responder, .. } | Call::Cancel { responder, .. } | Call::Purge { responder, .. }
                if stalled =>
            {
                return responder(Err(CallError::JournalUnavailable));
            }
            Call::PausedKinds { reply, .. } if stalled => {
                return drop(reply.send(Err(CallError::JournalUnavailable)));
            }
            Call::Watch { reply, .. } if stalled => return drop(reply.send(Err(CallError::JournalUnavailable))),
            Call::Submit { submission, responder } => {
                let outcome = self.submit(submission, now);
                Reply::Task { responder, outcome }
            }
            Call::Cancel {
                tenant,
                task,
                message,
                responder,
            } => {
                let outcome = self.cancel(&tenant, task, message, now);
                Reply::Task { responder, outcome }
            }
            Call::Purge {
                tenant,
                task,
                responder,
            } => {
                let outcome = self.purge(&tenant, task, now);
                Reply::Task { responder, outcome }
            }
            Call::PausedKinds { tenant, change, reply } => {
                let outcome = self.paused_kinds(&tenant, change, now);
                Reply::Kinds { reply, outcome }
            }
            Call::Get {
                tenant,
                task,
                responder,
            } => {
                let outcome = owned(&self.ledger, &tenant, &task);
                Reply::Task { responder, outcome }
            }
            Call::List { search, count, reply } => return self.list(search, count, reply),
            Call::Count { filter, reply } => return self.count(filter, reply),
            Call::Watch { tenant, task, reply } => {
                let outcome = self.watch(&tenant, &task);
                Reply::Watch { reply, outcome }
            }
        };
        self.reads.wait(Release::Reply(reply));
    }

    /// Takes a task, or returns the earlier one when it was submitted before.
    pub(super) fn submit(&mut self, submission: Box<Submission>, now: Now) -> Result<Arc<Task>, CallError> {
        let (id, tenant) = (submission.id, &submission.tenant);
        if self.ledger.find_request(tenant, &submission.request_id).is_none() {
            admission::admit(&self.ledger.usage(tenant), &self.policy.limits).map_err(Rejection::QuotaExceeded)?;
        }
        match self.execute(Command::Submit(submission), now) {
            Ok(()) => record(&self.ledger, &id),
            Err(Rejection::Duplicate(existing)) => record(&self.ledger, &existing),
            Err(rejection) => Err(rejection.into()),
        }
    }

    /// Withdraws a task of this tenant.
    fn cancel(&mut self, tenant: &Tenant, id: TaskId, message: String, now: Now) -> Result<Arc<Task>, CallError> {
        owned(&self.ledger, tenant, &id)?;
        self.execute(Command::Cancel { task: id, message }, now)?;
        record(&self.ledger, &id)
    }

    /// Deletes the record of an ended task of this tenant, and returns it.
    fn purge(&mut self, tenant: &Tenant, id: TaskId, now: Now) -> Result<Arc<Task>, CallError> {
        let task = owned(&self.ledger, tenant, &id)?;
        self.execute(Command::Purge { task: id }, now)?;
        Ok(task)
    }

    /// Pauses or resumes a kind of this tenant, if one is named, and returns the paused ones.
    fn paused_kinds(
        &mut self,
        tenant: &Tenant,
        change: Option<(Kind, bool)>,
        now: Now,
    ) -> Result<Vec<Kind>, CallError> {
        if let Some((kind, paused)) = change {
            let tenant = tenant.clone();
            self.execute(Command::SetPaused { tenant, kind, paused }, now)?;
        }
        let own = self.ledger.paused().iter().filter(|(owner, _)| owner == tenant);
        Ok(own.map(|(_, kind)| kind.clone()).collect())
    }

    /// Registers a watcher of a task of this tenant.
    fn watch(&mut self, tenant: &Tenant, id: &TaskId) -> Result<(Arc<Task>, WatcherNumber), CallError> {
        let task = owned(&self.ledger, tenant, id)?;
        let number = self.views.watch(task.id)?;
        Ok((task, number))
    }
}

/// Another tenant's task is as good as absent: its existence is nobody else's business.
fn owned(ledger: &Ledger, tenant: &Tenant, id: &TaskId) -> Result<Arc<Task>, CallError> {
    let task = record(ledger, id)?;
    if task.tenant == *tenant {
        Ok(task)
    } else {
        Err(Rejection::TaskNotFound(*id).into())
    }
}

fn record(ledger: &Ledger, id: &TaskId) -> Result<Arc<Task>, CallError> {
    let task = ledger.task(id).cloned();
    task.ok_or_else(|| Rejection::TaskNotFound(*id).into())
}

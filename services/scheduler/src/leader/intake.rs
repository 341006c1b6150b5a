//! Commands and reads: what a message means to the ledger.
//!
//! Promises: a command is decided against everything decided before it, committed or not; its answer, a refusal
//! included, waits for the commit of whatever it depends on. Reads are answered after a fenced write that was sent
//! after they arrived.

use std::sync::Arc;

use lepton_domain::admission;
use lepton_domain::ids::{TaskId, Tenant};
use lepton_domain::ledger::{Command, Rejection, Submission};
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::Task;
use lepton_proto::journal::v1::Mark;
use tokio::sync::oneshot;

use super::batch::Release;
use super::message::{Answer, Filter, Message, Page, Watched};
use super::{Leader, journal_unavailable};

/// How many records one listing looks at: it must not hold up the leader.
const SCAN_MAX: usize = 20_000;

impl Leader {
    /// Handles one message. An error means that somebody has seen more of the journal than this leader.
    pub(super) fn handle(&mut self, message: Message) -> Result<(), String> {
        match message {
            Message::Submit { submission, answer } => self.submit(submission, answer),
            Message::Cancel {
                tenant,
                task,
                message,
                answer,
            } => self.cancel(&tenant, task, message, answer),
            Message::Get { tenant, task, answer } => self.get(&tenant, &task, answer),
            Message::List { filter, answer } => self.list(&filter, answer),
            Message::Watch { tenant, task, answer } => self.watch(&tenant, task, answer),
            Message::Opened {
                number,
                hello,
                outgoing,
            } => self.opened(number, hello, outgoing),
            Message::Heard { number } => self.heard(number),
            Message::Advanced {
                number,
                attempt,
                progress,
            } => self.advanced(number, attempt, progress),
            Message::Draining { number } => self.draining(number),
            Message::Reported {
                number,
                attempt,
                outcome,
            } => self.reported(number, attempt, outcome),
            Message::Closed { number } => self.closed(number),
            Message::Marked(mark) => return self.compare(&mark),
            // An empty batch is a fenced write: it tells whether this leader still leads.
            Message::Doubted => drop(self.gather()),
        }
        Ok(())
    }

    fn submit(&mut self, submission: Box<Submission>, answer: Answer) {
        if self.stalled() {
            return answer(Err(journal_unavailable()));
        }
        let id = submission.id;
        let outcome = self.decide_submit(submission).map(|existing| existing.unwrap_or(id));
        let outcome = outcome.and_then(|id| self.record_of(&id));
        self.release(Release::Answer { answer, outcome });
    }

    /// Decides a submit; gives the earlier task when it was submitted before.
    fn decide_submit(&mut self, submission: Box<Submission>) -> Result<Option<TaskId>, Fault> {
        let known = self
            .ledger
            .find_request(&submission.tenant, &submission.request_id)
            .is_some();
        if !known {
            admission::admit(&self.ledger.usage(&submission.tenant), &self.world.policy.limits)?;
        }
        match self.carry_out(Command::Submit(submission)) {
            Ok(()) => Ok(None),
            Err(Rejection::Duplicate(existing)) => Ok(Some(existing)),
            Err(rejection) => Err(rejection.fault()),
        }
    }

    fn cancel(&mut self, tenant: &Tenant, task: TaskId, message: String, answer: Answer) {
        if self.stalled() {
            return answer(Err(journal_unavailable()));
        }
        let outcome = self.owned(tenant, &task).and_then(|_task| {
            self.carry_out(Command::Cancel { task, message })
                .map_err(|rejection| rejection.fault())?;
            self.record_of(&task)
        });
        self.release(Release::Answer { answer, outcome });
    }

    fn get(&mut self, tenant: &Tenant, task: &TaskId, answer: Answer) {
        let outcome = self.owned(tenant, task);
        self.release(Release::Answer { answer, outcome });
    }

    fn list(&mut self, filter: &Filter, answer: oneshot::Sender<Result<Page, Fault>>) {
        let page = self.page(filter);
        self.release(Release::Listing { answer, page });
    }

    fn page(&self, filter: &Filter) -> Page {
        let mut page = Page {
            tasks: Vec::new(),
            next: None,
        };
        for (seen, task) in self.ledger.newest(filter.before).enumerate() {
            if page.tasks.len() == filter.count || seen == SCAN_MAX {
                break;
            }
            // The next page begins below the last record looked at; a listing that reaches the end clears this.
            page.next = Some(task.created_seq);
            let fits = task.tenant == filter.tenant
                && filter.state.is_none_or(|state| task.state == state)
                && filter.kind.as_ref().is_none_or(|kind| task.spec.kind == *kind);
            if fits {
                page.tasks.push(task.clone());
            }
        }
        if page
            .next
            .is_some_and(|last| self.ledger.newest(Some(last)).next().is_none())
        {
            page.next = None;
        }
        page
    }

    fn watch(&mut self, tenant: &Tenant, task: TaskId, answer: oneshot::Sender<Result<Watched, Fault>>) {
        if self.stalled() {
            return drop(answer.send(Err(journal_unavailable())));
        }
        let opened = self
            .owned(tenant, &task)
            .and_then(|task| match self.watchers.add(task.id) {
                Some(number) => Ok((task, number)),
                None => Err(Fault::new(
                    Reason::Overloaded,
                    "too many tasks are being watched; close some watches first",
                )),
            });
        match opened {
            Ok((task, number)) => self.release(Release::Watching { answer, task, number }),
            Err(fault) => self.release(Release::Refusal { answer, fault }),
        }
    }

    /// Compares somebody's mark with our own position: whoever has seen more, or another history, proves that etcd is
    /// not what it was. The mark is remembered, so that this scheduler does not lead again without what it stands for.
    fn compare(&self, mark: &Mark) -> Result<(), String> {
        let ours = self.world.progress.borrow().mark.clone();
        if mark.incarnation != self.incarnation {
            return Ok(());
        }
        let (seen, last) = (mark.segment, ours.segment);
        let why = if seen > last {
            format!("a peer has seen segment {seen}, this leader only {last}")
        } else if seen == last && mark.segment_hash != ours.segment_hash {
            format!("a peer has seen another segment {seen}")
        } else {
            return Ok(());
        };
        self.world.known.raise(mark);
        Err(why)
    }

    fn owned(&self, tenant: &Tenant, id: &TaskId) -> Result<Arc<Task>, Fault> {
        let task = self.record_of(id)?;
        // Another tenant's task is as good as absent: its existence is nobody else's business.
        if task.tenant == *tenant {
            Ok(task)
        } else {
            Err(not_found(id))
        }
    }

    fn record_of(&self, id: &TaskId) -> Result<Arc<Task>, Fault> {
        self.ledger.task(id).cloned().ok_or_else(|| not_found(id))
    }

    /// Lets something wait for the gathering batch.
    pub(super) fn release(&mut self, release: Release) {
        self.gather().releases.push(release);
    }
}

fn not_found(id: &TaskId) -> Fault {
    Rejection::TaskNotFound(*id).fault()
}

//! Searches of callers, a part at a time between other work.
//!
//! Promises: however much a search passes over, it holds up nothing else for longer than one part; its answer waits for a proof
//! that was requested after it was found. Leaves the walk itself to the domain's [`Search`].

use std::collections::VecDeque;
use std::sync::Arc;

use lepton_domain::ledger::{Filter, Ledger, Order, Search};
use lepton_domain::task::Task;
use tokio::sync::oneshot::Sender;

use super::Decider;
use crate::error::CallError;
use crate::leader::release::{Release, Reply};
use crate::message::{TaskCounts, TaskPage};

#[cfg(test)]
mod tests;

/// Looks into sets of tasks that are taken at a time: about a millisecond.
const STEPS: usize = 4_096;

/// Each [`Search`] under way; the first one has its turn next.
#[derive(Default)]
pub(crate) struct Searches(VecDeque<Ongoing>);

/// [`Search`] under way, with its [`Answer`].
struct Ongoing {
    search: Search,
    answer: Answer,
}

/// [`Reply`] that is being gathered.
enum Answer {
    Page {
        count: usize,
        tasks: Vec<Arc<Task>>,
        more: bool,
        reply: Sender<Result<TaskPage, CallError>>,
    },
    Counts {
        counts: TaskCounts,
        reply: Sender<Result<TaskCounts, CallError>>,
    },
}

impl Searches {
    /// Returns true while any is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Decider {
    /// Lists a page; most are found at once.
    pub(super) fn list(&mut self, search: Search, count: usize, reply: Sender<Result<TaskPage, CallError>>) {
        let answer = Answer::Page {
            count,
            tasks: Vec::new(),
            more: false,
            reply,
        };
        self.go_on(Ongoing { search, answer });
    }

    /// Counts tasks by state, from the sizes of their sets where those suffice.
    pub(super) fn count(&mut self, filter: Filter, reply: Sender<Result<TaskCounts, CallError>>) {
        if let Some(counts) = self.ledger.count(&filter) {
            return self.reads.wait(Release::Reply(Reply::Counts { reply, counts }));
        }
        let search = Search::new(filter, Order::OldestFirst, None);
        let counts = TaskCounts::new();
        let answer = Answer::Counts { counts, reply };
        self.go_on(Ongoing { search, answer });
    }

    /// Goes on with the search whose turn it is.
    pub fn continue_searches(&mut self) {
        if let Some(ongoing) = self.searches.0.pop_front() {
            self.go_on(ongoing);
        }
    }

    fn go_on(&mut self, mut ongoing: Ongoing) {
        if ongoing.is_abandoned() {
            return;
        }
        match ongoing.step(&self.ledger) {
            true => self.reads.wait(Release::Reply(ongoing.answer.into())),
            false => self.searches.0.push_back(ongoing),
        }
    }
}

impl Ongoing {
    /// Returns true when nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match &self.answer {
            Answer::Page { reply, .. } => reply.is_closed(),
            Answer::Counts { reply, .. } => reply.is_closed(),
        }
    }

    /// Does a part; true when the answer is complete.
    fn step(&mut self, ledger: &Ledger) -> bool {
        match &mut self.answer {
            Answer::Page { count, tasks, more, .. } => {
                // One more than fits shows that another page follows.
                let room = *count + 1 - tasks.len();
                tasks.extend(self.search.advance(ledger, room, STEPS));
                *more = tasks.len() > *count;
                tasks.truncate(*count);
                *more || self.search.has_ended()
            }
            Answer::Counts { counts, .. } => {
                for task in self.search.advance(ledger, STEPS, STEPS) {
                    *counts.entry(task.state).or_default() += 1;
                }
                self.search.has_ended()
            }
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Page { tasks, more, reply, .. } => Self::Page { reply, tasks, more },
            Answer::Counts { counts, reply } => Self::Counts { reply, counts },
        }
    }
}

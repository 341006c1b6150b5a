//! Search: the tasks of a tenant that a [`Filter`] selects, in the order of their submits.
//!
//! The sets of the properties asked for are intersected by [leapfrogging](https://arxiv.org/abs/1210.0481): each moves the
//! candidate on to its own next member, until all agree.
//!
//! Promises: a search passes over no task that its filter selects and that exists throughout; it may be continued at any later
//! state of the ledger, so that no caller holds it up. Leaves pages and their tokens to its callers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Ledger;
use super::index::{ByState, Facets};
use crate::ids::{InstanceId, Kind, RequestId, Seq, Tenant};
use crate::task::{State, StateSet, Task};
use crate::time::Timestamp;

/// Selection of tasks; what is absent selects all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Owner.
    pub tenant: Tenant,
    /// States.
    pub states: StateSet,
    /// Kind.
    pub kind: Option<Kind>,
    /// Labels, each of which a task must have with this value.
    pub labels: BTreeMap<String, String>,
    /// Reason of the last error.
    pub reason: Option<String>,
    /// Worker of the current or last attempt.
    pub worker: Option<InstanceId>,
    /// Idempotency key.
    pub request_id: Option<RequestId>,
    /// Earliest time of the submit.
    pub created_from: Option<Timestamp>,
    /// Time before which it was submitted.
    pub created_before: Option<Timestamp>,
}

impl Filter {
    /// Selects all tasks of a tenant.
    pub fn all(tenant: Tenant) -> Self {
        Self {
            tenant,
            states: StateSet::ALL,
            kind: None,
            labels: BTreeMap::new(),
            reason: None,
            worker: None,
            request_id: None,
            created_from: None,
            created_before: None,
        }
    }

    /// Reports whether it selects a task.
    pub fn selects(&self, task: &Task) -> bool {
        let (error, attempt) = (task.error.as_ref(), task.attempt.as_ref());
        let label = |(key, value)| task.spec.labels.get(key) == Some(value);
        task.tenant == self.tenant
            && self.states.contains(task.state)
            && self.kind.as_ref().is_none_or(|kind| *kind == task.spec.kind)
            && self.labels.iter().all(label)
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| error.is_some_and(|error| error.reason == *reason))
            && self
                .worker
                .as_ref()
                .is_none_or(|worker| attempt.is_some_and(|it| it.worker == *worker))
            && self.request_id.as_ref().is_none_or(|id| *id == task.request_id)
            && self.created_from.is_none_or(|time| time <= task.created)
            && self.created_before.is_none_or(|time| task.created < time)
    }

    /// The sets whose intersection it is but for times and the request; `None` where one has no member.
    fn sets<'a>(&self, facets: &'a Facets) -> Option<Vec<&'a ByState>> {
        let mut sets = Vec::new();
        if let Some(kind) = &self.kind {
            sets.push(facets.kinds.get(kind)?);
        }
        for (key, value) in &self.labels {
            sets.push(facets.labels.get(key)?.get(value)?);
        }
        if let Some(reason) = &self.reason {
            sets.push(facets.reasons.get(reason)?);
        }
        if let Some(worker) = &self.worker {
            sets.push(facets.workers.get(worker)?);
        }
        if sets.is_empty() {
            sets.push(&facets.all);
        }
        Some(sets)
    }
}

/// Order of a [`Search`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest submit first.
    #[default]
    NewestFirst,
    /// The oldest submit first.
    OldestFirst,
}

/// Progress of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    filter: Filter,
    order: Order,
    /// Submit at which it goes on; none once it has ended.
    at: Option<Seq>,
}

impl Search {
    /// A search that begins behind this submit, or at the first one of its order.
    pub fn new(filter: Filter, order: Order, behind: Option<Seq>) -> Self {
        let at = match (order, behind) {
            (Order::NewestFirst, None) => Some(Seq(u64::MAX)),
            (Order::OldestFirst, None) => Some(Seq(0)),
            (_, Some(seq)) => order.behind(seq),
        };
        Self { filter, order, at }
    }

    /// Reports whether everything was found.
    pub fn has_ended(&self) -> bool {
        self.at.is_none()
    }

    /// Goes on: gives at most `room` tasks, and takes about `steps` looks into the sets.
    pub fn advance(&mut self, ledger: &Ledger, room: usize, steps: usize) -> Vec<Arc<Task>> {
        let mut found = Vec::new();
        let Some(facets) = ledger.index.facets(&self.filter.tenant) else {
            self.at = None;
            return found;
        };
        if self.filter.request_id.is_some() {
            found.extend(self.requested(ledger).cloned());
            self.at = None;
            return found;
        }
        let Some(sets) = self.filter.sets(facets) else {
            self.at = None;
            return found;
        };
        let (first, end) = self.bounds(ledger);
        // So many that each set has its turn: then either all agree, or the search has moved.
        let mut left = steps.max(sets.len());
        while found.len() < room && left > 0 {
            let Some(at) = self.at else { break };
            let at = self.order.later(at, first);
            match self.leap(&sets, at, &mut left) {
                Leap::Unfinished(at) => self.at = Some(at),
                Leap::Found(seq) if self.order.is_within(seq, end) => {
                    let id = ledger.index.submitted(seq);
                    found.extend(id.and_then(|id| ledger.task(&id)).cloned());
                    self.at = self.order.behind(seq);
                }
                Leap::Found(_) | Leap::End => self.at = None,
            }
        }
        found
    }

    /// The one task with the request id, where the search has not passed it and the filter selects it.
    fn requested<'a>(&self, ledger: &'a Ledger) -> Option<&'a Arc<Task>> {
        let task = ledger.find_request(&self.filter.tenant, self.filter.request_id.as_ref()?)?;
        let ahead = self.at.is_some_and(|at| self.order.is_within(at, task.created_seq));
        (ahead && self.filter.selects(task)).then_some(task)
    }

    /// Moves from `at` to the next submit in all sets.
    fn leap(&self, sets: &[&ByState], at: Seq, left: &mut usize) -> Leap {
        let (mut at, mut agreed) = (at, 0);
        for set in sets.iter().cycle() {
            if agreed == sets.len() {
                break;
            }
            if *left == 0 {
                return Leap::Unfinished(at);
            }
            *left -= 1;
            let next = match self.order {
                Order::NewestFirst => set.at_or_before(self.filter.states, at),
                Order::OldestFirst => set.at_or_after(self.filter.states, at),
            };
            agreed = match next {
                None => return Leap::End,
                Some(next) if next == at => agreed + 1,
                Some(next) => {
                    at = next;
                    1
                }
            };
        }
        Leap::Found(at)
    }

    /// The first submit that the filter's times allow, and the last one, both in this order.
    fn bounds(&self, ledger: &Ledger) -> (Seq, Seq) {
        let from = self
            .filter
            .created_from
            .map_or(Seq(0), |time| ledger.first_submit(time));
        let before = self.filter.created_before.map(|time| ledger.first_submit(time));
        let to = before.map_or(Seq(u64::MAX), |seq| Seq(seq.0.saturating_sub(1)));
        match self.order {
            Order::OldestFirst => (from, to),
            Order::NewestFirst => (to, from),
        }
    }
}

/// Outcome of [`Search::leap`].
enum Leap {
    /// A submit in all sets.
    Found(Seq),
    /// None is left.
    End,
    /// Steps ran out here.
    Unfinished(Seq),
}

impl Order {
    /// The submit next to this one; none behind the last.
    fn behind(self, seq: Seq) -> Option<Seq> {
        match self {
            Self::NewestFirst => seq.0.checked_sub(1).map(Seq),
            Self::OldestFirst => seq.0.checked_add(1).map(Seq),
        }
    }

    /// The one of two submits that comes later.
    fn later(self, one: Seq, other: Seq) -> Seq {
        match self {
            Self::NewestFirst => one.min(other),
            Self::OldestFirst => one.max(other),
        }
    }

    /// Reports whether a submit does not come later than another.
    fn is_within(self, seq: Seq, end: Seq) -> bool {
        self.later(seq, end) == end
    }
}

impl Ledger {
    /// Number of selected tasks by state, where no search is needed: at most one property is asked for.
    pub fn count(&self, filter: &Filter) -> Option<BTreeMap<State, u64>> {
        let timed = filter.created_from.is_some() || filter.created_before.is_some();
        if timed || filter.request_id.is_some() {
            return None;
        }
        let Some(sets) = self.index.facets(&filter.tenant).and_then(|facets| filter.sets(facets)) else {
            return Some(BTreeMap::new());
        };
        let [set] = sets.as_slice() else { return None };
        Some(
            set.counts()
                .filter(|(state, _)| filter.states.contains(*state))
                .collect(),
        )
    }

    /// The first submit at or after this time. Journal time never decreases, so that it is found by halving.
    fn first_submit(&self, time: Timestamp) -> Seq {
        let (mut low, mut high) = (0, self.seq.next().0);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.index.submitted_from(Seq(middle));
            match found.and_then(|(seq, id)| Some((seq, self.task(&id)?))) {
                Some((seq, task)) if task.created < time => low = seq.0 + 1,
                _ => high = middle,
            }
        }
        Seq(low)
    }
}

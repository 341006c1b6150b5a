//! Sets of tasks by property, from which searches are answered.
//!
//! Promises: a task is in the set of each of its properties under its present state, and nowhere else; a property that no task
//! has any more takes no room. Leaves combining sets to [`Search`](crate::ledger::Search).

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use crate::ids::{InstanceId, Kind, Seq};
use crate::task::{State, StateSet, Task};

/// Tasks of one tenant, by property, for [`Search`](crate::ledger::Search).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::ledger) struct Facets {
    /// Every task.
    pub all: ByState,
    /// By kind.
    pub kinds: BTreeMap<Kind, ByState>,
    /// By label: key, then value.
    pub labels: BTreeMap<String, BTreeMap<String, ByState>>,
    /// By the reason of their last error.
    pub reasons: BTreeMap<String, ByState>,
    /// By the worker of their current or last attempt.
    pub workers: BTreeMap<InstanceId, ByState>,
}

impl Facets {
    /// Adds a task as these [`Facts`] have it.
    pub fn add(&mut self, facts: &Facts, task: &Task) {
        self.edit(facts, task, |tasks, state, seq| tasks.add(state, seq));
        self.edit_changing(facts, task.created_seq, |tasks, state, seq| tasks.add(state, seq));
    }

    /// Removes a task that was added with these [`Facts`].
    pub fn remove(&mut self, facts: &Facts, task: &Task) {
        self.edit(facts, task, |tasks, state, seq| tasks.remove(state, seq));
        self.edit_changing(facts, task.created_seq, |tasks, state, seq| tasks.remove(state, seq));
    }

    /// Moves a task that was added with the [`Facts`] of `before`.
    pub fn change(&mut self, before: &Facts, after: &Facts, task: &Task) {
        if before.state != after.state {
            self.edit(after, task, |tasks, state, seq| tasks.add(state, seq));
            self.edit(before, task, |tasks, state, seq| tasks.remove(state, seq));
        }
        self.edit_changing(before, task.created_seq, |tasks, state, seq| tasks.remove(state, seq));
        self.edit_changing(after, task.created_seq, |tasks, state, seq| tasks.add(state, seq));
    }

    /// Edits the sets of what a task is submitted with.
    fn edit(&mut self, facts: &Facts, task: &Task, edit: impl Fn(&mut ByState, State, Seq)) {
        let edit = |tasks: &mut ByState| edit(tasks, facts.state, task.created_seq);
        edit(&mut self.all);
        at(&mut self.kinds, &task.spec.kind, edit, ByState::is_empty);
        for (key, value) in &task.spec.labels {
            let values = |values: &mut BTreeMap<_, _>| at(values, value, edit, ByState::is_empty);
            at(&mut self.labels, key, values, BTreeMap::is_empty);
        }
    }

    /// Edits the sets of what changes by itself.
    fn edit_changing(&mut self, facts: &Facts, seq: Seq, edit: impl Fn(&mut ByState, State, Seq)) {
        let edit = |tasks: &mut ByState| edit(tasks, facts.state, seq);
        if let Some(reason) = &facts.reason {
            at(&mut self.reasons, reason, edit, ByState::is_empty);
        }
        if let Some(worker) = &facts.worker {
            at(&mut self.workers, worker, edit, ByState::is_empty);
        }
    }
}

/// Edits the value of a key. The key is copied only where it is new, and goes with a value that is empty afterwards.
fn at<K: Ord + Clone, V: Default>(
    map: &mut BTreeMap<K, V>,
    key: &K,
    edit: impl FnOnce(&mut V),
    is_empty: impl FnOnce(&V) -> bool,
) {
    if let Some(value) = map.get_mut(key) {
        edit(value);
        if is_empty(value) {
            map.remove(key);
        }
        return;
    }
    let mut value = V::default();
    edit(&mut value);
    if !is_empty(&value) {
        map.insert(key.clone(), value);
    }
}

/// Tasks with one property of [`Facets`]: a set of submits for each state that occurs. Most properties occur in one state or two, so that
/// the states stand in a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::ledger) struct ByState(Vec<(State, BTreeSet<Seq>)>);

impl ByState {
    fn add(&mut self, state: State, seq: Seq) {
        let at = match self.0.binary_search_by_key(&state, |(state, _)| *state) {
            Ok(at) => at,
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (state, BTreeSet::new()));
                at
            }
        };
        self.0[at].1.insert(seq);
    }

    fn remove(&mut self, state: State, seq: Seq) {
        let Ok(at) = self.0.binary_search_by_key(&state, |(state, _)| *state) else {
            return;
        };
        self.0[at].1.remove(&seq);
        if self.0[at].1.is_empty() {
            self.0.remove(at);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sets(&self, states: StateSet) -> impl Iterator<Item = &BTreeSet<Seq>> {
        let chosen = self.0.iter().filter(move |(state, _)| states.contains(*state));
        chosen.map(|(_, set)| set)
    }

    /// The earliest submit at or after this one, in one of the states.
    pub fn at_or_after(&self, states: StateSet, seq: Seq) -> Option<Seq> {
        let firsts = self.sets(states).filter_map(|set| set.range(seq..).next());
        firsts.min().copied()
    }

    /// The latest submit at or before this one, in one of the states.
    pub fn at_or_before(&self, states: StateSet, seq: Seq) -> Option<Seq> {
        let lasts = self.sets(states).filter_map(|set| set.range(..=seq).next_back());
        lasts.max().copied()
    }

    /// Number of tasks in each state that occurs.
    pub fn counts(&self) -> impl Iterator<Item = (State, u64)> {
        self.0.iter().map(|(state, set)| (*state, set.len() as u64))
    }
}

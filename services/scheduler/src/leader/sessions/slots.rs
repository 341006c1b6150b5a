//! Slots of the workers: what a placement sees of them, and how it takes them.
//!
//! Promises: a suspect gets a worker for itself, and suspects get at most half of the workers, but one. Leaves the choice to
//! `assign`.

use std::collections::BTreeSet;

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::placement::Node;
use lepton_domain::placement::unplaceable::Abilities;
use lepton_domain::session::Session;

use super::Sessions;

impl Sessions {
    /// Workers that have a free slot, as [`Node`]s of a placement.
    pub fn free_nodes(&self) -> Vec<Node> {
        let free = self.sessions.values().filter(|session| session.credits() > 0);
        free.map(node).collect()
    }

    /// Workers that run nothing, as nodes for a suspect.
    pub fn idle_nodes(&self) -> Vec<Node> {
        let idle = self
            .sessions
            .values()
            .filter(|session| session.is_idle() && session.exclusive.is_none());
        idle.map(node).collect()
    }

    /// Abilities of the workers that do not drain, free or not.
    pub fn abilities(&self) -> impl Iterator<Item = Abilities<'_>> + Clone {
        let staying = self.sessions.values().filter(|session| !session.draining);
        staying.map(|Session { kinds, labels, .. }| Abilities { kinds, labels })
    }

    /// Workers that do not drain.
    pub fn nodes(&self) -> Vec<Node> {
        let staying = self.sessions.values().filter(|session| !session.draining);
        staying.map(node).collect()
    }

    /// Returns true while another worker may be given to a suspect: at most half of them are, but one.
    pub fn takes_suspect(&self) -> bool {
        self.suspects_room() > 0
    }

    fn suspects_room(&self) -> usize {
        let staying = self.sessions.values().filter(|session| !session.draining).count();
        let alone = self
            .sessions
            .values()
            .filter(|session| session.exclusive.is_some())
            .count();
        (staying / 2).max(1).saturating_sub(alone)
    }

    /// Has workers become idle for suspects that wait, each with the workers that suit it: those that run least, and as
    /// many as [may be given](Self::takes_suspect) to suspects.
    pub fn reserve(&mut self, suited: &[Vec<InstanceId>]) {
        let (mut chosen, room) = (BTreeSet::new(), self.suspects_room());
        for workers in suited {
            if chosen.len() == room {
                break;
            }
            let free = workers.iter().filter(|worker| !chosen.contains(*worker));
            let free = free.filter_map(|worker| self.sessions.get(worker));
            let free = free.filter(|session| session.exclusive.is_none() && !session.draining);
            let least = free.min_by_key(|session| (!session.reserved, session.running.len()));
            chosen.extend(least.map(|session| session.worker.clone()));
        }
        for (worker, session) in &mut self.sessions {
            session.reserved = chosen.contains(worker);
        }
    }

    /// Gives a slot of a worker to an attempt, or the whole worker; false when it has none free, or does other work.
    #[must_use]
    pub fn take_slot(&mut self, worker: &InstanceId, attempt: AttemptId, alone: bool) -> bool {
        let session = self.sessions.get_mut(worker);
        session.is_some_and(|session| match alone {
            true => session.assign_alone(attempt),
            false => session.assign(attempt),
        })
    }
}

fn node(session: &Session) -> Node {
    Node {
        id: session.worker.clone(),
        capacity: session.slots,
        used: session.slots - session.credits(),
        labels: session.labels.clone(),
        kinds: session.kinds.clone(),
    }
}

//! Reasons for which no worker could run a task, whatever else it runs.
//!
//! Promises: one sentence for submitters and operators, of bounded size. Leaves free slots to [`solve`](super::solve).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::ids::Kind;
use crate::text::excerpt;

#[cfg(test)]
mod tests;

/// Labels that a reason names.
const LABELS_MAX: usize = 8;

/// Abilities of a worker, whether or not it has a free slot.
#[derive(Debug, Clone, Copy)]
pub struct Abilities<'a> {
    /// Kinds that it runs.
    pub kinds: &'a BTreeSet<Kind>,
    /// Labels that requirements are matched with.
    pub labels: &'a BTreeMap<String, String>,
}

/// Reason for which no worker could run a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplaceable {
    /// No worker is connected.
    NoWorker,
    /// No worker runs this kind.
    NoKind(Kind),
    /// No worker at all carries these of the required labels.
    NoLabels(BTreeMap<String, String>),
    /// Workers carry the required labels, but none that runs the kind carries these, or all of them together.
    NoLabelsOfKind(Kind, BTreeMap<String, String>),
}

impl Abilities<'_> {
    /// Reports whether such a worker could run a task of this kind with these requirements if it had a free slot.
    pub fn suit(&self, kind: &Kind, requirements: &BTreeMap<String, String>) -> bool {
        self.kinds.contains(kind) && requirements.iter().all(|label| self.carry(label))
    }

    fn carry(&self, (name, value): (&String, &String)) -> bool {
        self.labels.get(name) == Some(value)
    }
}

/// Finds out why none of the workers could run a task of this kind with these requirements; `None` if one could.
pub fn unplaceable<'a>(
    kind: &Kind,
    requirements: &BTreeMap<String, String>,
    workers: impl Iterator<Item = Abilities<'a>> + Clone,
) -> Option<Unplaceable> {
    if workers.clone().any(|worker| worker.suit(kind, requirements)) {
        return None;
    }
    if workers.clone().next().is_none() {
        return Some(Unplaceable::NoWorker);
    }
    let mut of_kind = workers.clone().filter(|worker| worker.kinds.contains(kind)).peekable();
    if of_kind.peek().is_none() {
        return Some(Unplaceable::NoKind(kind.clone()));
    }
    let missing = |among: &mut dyn FnMut((&String, &String)) -> bool| -> BTreeMap<String, String> {
        let absent = requirements.iter().filter(|label| !among(*label));
        absent.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let nowhere = missing(&mut |label| workers.clone().any(|worker| worker.carry(label)));
    if !nowhere.is_empty() {
        return Some(Unplaceable::NoLabels(nowhere));
    }
    let of_kind_lack = missing(&mut |label| of_kind.clone().any(|worker| worker.carry(label)));
    let lacked = if of_kind_lack.is_empty() {
        requirements.clone()
    } else {
        of_kind_lack
    };
    Some(Unplaceable::NoLabelsOfKind(kind.clone(), lacked))
}

impl fmt::Display for Unplaceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorker => f.write_str("no worker is connected"),
            Self::NoKind(kind) => write!(f, "no worker runs the kind {:?}", excerpt(kind.as_str())),
            Self::NoLabels(labels) => write!(f, "no worker carries the labels {}", listed(labels)),
            Self::NoLabelsOfKind(kind, labels) => {
                let kind = excerpt(kind.as_str());
                write!(
                    f,
                    "no worker that runs the kind {kind:?} carries the labels {}",
                    listed(labels)
                )
            }
        }
    }
}

/// Labels as `name=value`, separated by commas; the first few of many.
pub fn listed(labels: &BTreeMap<String, String>) -> String {
    let shown = labels.iter().take(LABELS_MAX);
    let mut shown: Vec<String> = shown
        .map(|(name, value)| format!("{}={}", excerpt(name), excerpt(value)))
        .collect();
    if labels.len() > LABELS_MAX {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

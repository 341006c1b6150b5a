//! The promises that a run must have kept, checked against all that is known of it afterwards.
//!
//! Promises: pure, and every violation in words. G1: nothing acknowledged is lost. G3: one success a task, the same for
//! everybody. G4: one task a request id. G5: no read goes back. G6: the journal is one history, and everything that was
//! seen stands in it. Replicas have the same state.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lepton_domain::ledger::Event;
use lepton_journal::inspect::{Entry, Verification};
use lepton_proto::task::v1::State;

use super::operations::{Action, Answer, Observation, Operation, Operations, acknowledged};

#[cfg(test)]
mod tests;

/// Everything that is known of a run.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What callers did and saw.
    pub operations: Operations,
    /// The journal's events, oldest first.
    pub entries: Vec<Entry>,
    /// The check of the journal itself.
    pub verification: Verification,
    /// The state digest that replaying the journal gives.
    pub digest: Option<Bytes>,
    /// The schedulers, each after the journal's last segment.
    pub replicas: Vec<Replica>,
}

/// A scheduler's state.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Its host.
    pub host: String,
    /// Its state digest.
    pub digest: Bytes,
}

/// Every violation.
pub fn violations(evidence: &Evidence) -> Vec<String> {
    let checks = [
        nothing_is_lost,
        one_success,
        one_end,
        one_task_a_request,
        no_read_goes_back,
        everything_seen_is_committed,
        one_journal,
        equal_replicas,
    ];
    checks.iter().flat_map(|check| check(evidence)).collect()
}

/// G1: every acknowledged task is in the journal, and has ended.
fn nothing_is_lost(evidence: &Evidence) -> Vec<String> {
    let tasks = &evidence.verification.tasks;
    let ends: BTreeMap<String, bool> = tasks
        .iter()
        .map(|(id, state)| (id.to_string(), state.is_final()))
        .collect();
    let acknowledged = evidence.operations.iter().filter_map(acknowledged);
    let lost = acknowledged.filter_map(|(request, id)| match ends.get(&id) {
        None => Some(format!(
            "G1: task {id} of {request:?} was acknowledged and is not in the journal"
        )),
        Some(false) => Some(format!(
            "G1: task {id} of {request:?} was acknowledged and has not ended"
        )),
        Some(true) => None,
    });
    lost.collect()
}

/// G3: at most one success a task.
fn one_success(evidence: &Evidence) -> Vec<String> {
    let mut successes: BTreeMap<_, u32> = BTreeMap::new();
    for entry in &evidence.entries {
        if let Event::Succeeded { attempt, .. } = &entry.event {
            *successes.entry(attempt.task).or_default() += 1;
        }
    }
    let twice = successes.iter().filter(|(_, count)| **count > 1);
    twice
        .map(|(id, count)| format!("G3: task {id} succeeded {count} times"))
        .collect()
}

/// G3: an end that was seen is the end, for everybody and in the journal, and a success has its output.
fn one_end(evidence: &Evidence) -> Vec<String> {
    let journal = &evidence.verification.tasks;
    let journal: BTreeMap<String, String> = journal
        .iter()
        .map(|(id, state)| (id.to_string(), state.to_string()))
        .collect();
    let mut first: BTreeMap<&str, &Observation> = BTreeMap::new();
    let mut found = Vec::new();
    for seen in observations(evidence)
        .map(|(_, seen)| seen)
        .filter(|seen| seen.is_final())
    {
        let earlier = *first.entry(&seen.id).or_insert(seen);
        if earlier != seen {
            found.push(format!("G3: {seen:?} was seen after {earlier:?}"));
        }
        if (seen.state == State::Succeeded) != seen.has_output {
            found.push(format!("G3: {seen:?} has an output without a success, or the reverse"));
        }
        let committed = journal.get(&seen.id).map(String::as_str);
        if committed.is_some_and(|state| seen.state.as_str_name() != format!("STATE_{}", state.to_uppercase())) {
            found.push(format!("G3: {seen:?}, but the journal says {committed:?}"));
        }
    }
    found
}

/// G4: a request id is one task, whoever asks and however often; other content under it is refused.
fn one_task_a_request(evidence: &Evidence) -> Vec<String> {
    let mut tasks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (request, id) in evidence.operations.iter().filter_map(acknowledged) {
        tasks.entry(request).or_default().insert(id);
    }
    for entry in &evidence.entries {
        if let Event::Submitted(submission) = &entry.event {
            let request = tasks.entry(submission.request_id.to_string()).or_default();
            request.insert(submission.id.to_string());
        }
    }
    let several = tasks.iter().filter(|(_, ids)| ids.len() > 1);
    let mut found: Vec<String> = several
        .map(|(request, ids)| format!("G4: request {request:?} became {ids:?}"))
        .collect();
    for operation in &evidence.operations {
        match (&operation.action, &operation.answer) {
            (Action::Conflict(_), Answer::Task(_)) => found.push(format!("G4: other content was taken: {operation:?}")),
            (Action::Submit(_) | Action::Get(_), Answer::Reused) => {
                found.push(format!("G4: the same content was refused: {operation:?}"));
            }
            _ => {}
        }
    }
    found
}

/// G5: an answer shows everything that any answer had shown before it was asked for.
fn no_read_goes_back(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    for later in &evidence.operations {
        let before = evidence.operations.iter().filter(|earlier| earlier.end < later.start);
        let shown = before.filter_map(|earlier| match &earlier.answer {
            Answer::Task(seen) => Some(seen),
            _ => None,
        });
        match (&later.action, &later.answer) {
            (_, Answer::Task(seen)) => {
                let newer = shown.filter(|shown| shown.id == seen.id && shown.version > seen.version);
                found.extend(newer.map(|newer| format!("G5: {later:?} was asked for after {newer:?} was shown")));
            }
            (Action::Get(id) | Action::Cancel(id), Answer::NotFound) => {
                let known = shown.filter(|shown| shown.id == *id).take(1);
                found.extend(known.map(|known| format!("G5: {later:?} was asked for after {known:?} was shown")));
            }
            _ => {}
        }
    }
    found
}

/// G6: each state that was shown is one that the journal's history went through.
fn everything_seen_is_committed(evidence: &Evidence) -> Vec<String> {
    let committed: BTreeSet<(u64, u64, String)> = evidence
        .entries
        .iter()
        .filter_map(|entry| Some((entry.epoch.0, entry.seq.0, entry.task()?.to_string())))
        .collect();
    let unknown = observations(evidence).filter(|(_, seen)| {
        let (epoch, seq) = seen.version;
        !committed.contains(&(epoch, seq, seen.id.clone()))
    });
    unknown
        .map(|(operation, _)| format!("G6: {operation:?} shows what is not in the journal"))
        .collect()
}

/// G6: the journal keeps its chain, and epochs only grow.
fn one_journal(evidence: &Evidence) -> Vec<String> {
    let breaches = evidence
        .verification
        .breaches
        .iter()
        .map(|breach| format!("G6: {breach}"));
    let back = evidence.entries.windows(2).filter(|pair| {
        let [before, after] = pair else { return false };
        before.epoch > after.epoch || after.seq != before.seq.next()
    });
    breaches
        .chain(back.map(|pair| format!("G6: {:?} follows {:?}", pair[1], pair[0])))
        .collect()
}

/// Every scheduler has the state that replaying the journal gives.
fn equal_replicas(evidence: &Evidence) -> Vec<String> {
    let different = evidence
        .replicas
        .iter()
        .filter(|replica| evidence.digest.as_ref() != Some(&replica.digest));
    different
        .map(|replica| format!("{} has another state than the journal gives", replica.host))
        .collect()
}

/// Every state that was shown, with the call that showed it.
fn observations(evidence: &Evidence) -> impl Iterator<Item = (&Operation, &Observation)> {
    evidence
        .operations
        .iter()
        .filter_map(|operation| match &operation.answer {
            Answer::Task(seen) => Some((operation, seen)),
            _ => None,
        })
}

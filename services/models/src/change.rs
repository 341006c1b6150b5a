//! Changing a model's record.
//!
//! Promises: a change is decided on the record that it replaces, and made once: after an unanswered try the same swap
//! is repeated, which changes nothing if the first one came through, and the nonce in the record shows that it did.
//! When etcd gives no answer at all the outcome is unknown and reported as such. Leaves waiting for workers to `deploy`.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, TxnOp};
use lepton_domain::model::{Change, Decision, Model, check_name, decide};
use lepton_domain::reason::{ApiError, Reason};

use super::record::{self, CHANGES_MAX, Record};
use super::{MODELS_MAX, Models};
use lepton_coordination::etcd::first_key;

/// Attempts to decide a change anew after another writer was faster.
const CONFLICTS_MAX: u32 = 20;
/// The longest pause after such a conflict; the real one is random, so that rivals part.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);
/// Repetitions of a swap without an answer. Each try has etcd's deadline.
const TRIES_MAX: u32 = 3;

/// A change that was made, or was not needed.
#[derive(Debug)]
pub(super) struct Made {
    /// The model that it was decided on.
    pub(super) before: Option<Model>,
    pub(super) decision: Decision,
}

/// Result of a compare-and-swap of a record.
enum Swap {
    Done,
    /// The record is another one by now, and this change was not made.
    Lost,
}

impl Models {
    /// Changes the model called `name` and gives it as it is then.
    pub async fn change(&self, name: &str, change: Change) -> Result<Model, ApiError> {
        Ok(self.make(name, change).await?.decision.model)
    }

    pub(super) async fn make(&self, name: &str, change: Change) -> Result<Made, ApiError> {
        check_name(name)?;
        for _ in 0..CONFLICTS_MAX {
            let found = self.fetch(name).await?;
            let before = found.as_ref().map(|(record, _)| record.model.clone());
            let decision = decide(name, before.as_ref(), change.clone())?;
            if !decision.changed {
                return Ok(Made { before, decision });
            }
            if before.as_ref().is_none_or(Model::is_deleted) {
                self.check_room()?;
            }
            match self.swap(found, &decision.model).await? {
                Swap::Done => return Ok(Made { before, decision }),
                Swap::Lost => {
                    let pause_us = CONFLICT_PAUSE.as_micros() as u64;
                    tokio::time::sleep(Duration::from_micros(self.random.below(pause_us))).await;
                }
            }
        }
        let message = format!("model {name:?} is changed by others all the time; look at it, then try again");
        Err(ApiError::new(Reason::ModelChanged, message).with("model", name))
    }

    /// Refuses a further model when there are enough. The view may lag, so some more may come through.
    fn check_room(&self) -> Result<(), ApiError> {
        let count = self.view.borrow().len();
        if count < MODELS_MAX {
            return Ok(());
        }
        let message = format!("the mesh keeps {count} models, which is the most; delete some");
        Err(ApiError::new(Reason::QuotaExceeded, message).quota("models", format!("{count} of {MODELS_MAX} models")))
    }

    async fn swap(&self, base: Option<(Record, i64)>, model: &Model) -> Result<Swap, ApiError> {
        let (mut changes, revision) = base.map_or((Vec::new(), 0), |(record, revision)| (record.changes, revision));
        let last = changes.last().cloned();
        let nonce = self.random.token();
        changes.push(nonce.clone());
        changes.drain(..changes.len().saturating_sub(CHANGES_MAX));
        let record = Record {
            model: model.clone(),
            changes,
        };
        let (key, value) = (self.etcd.keys().model(&model.name), record::encode(&record)?);
        let mut unanswered = None;
        for _ in 0..TRIES_MAX {
            let compares = vec![Compare::mod_revision(key.as_str(), CompareOp::Equal, revision)];
            let put = vec![TxnOp::put(key.as_str(), value.as_slice(), None)];
            let look = vec![TxnOp::get(key.as_str(), None)];
            let answer = match self.etcd.txn(compares, put, look).await {
                Ok(answer) => answer,
                Err(error) if error.is_unknown() => {
                    unanswered = Some(error);
                    continue;
                }
                // This try did nothing, yet an earlier one may have.
                Err(error) if unanswered.is_none() => return Err(error.api_error()),
                Err(error) => return Err(unknown(&model.name, &error)),
            };
            if answer.succeeded() {
                return Ok(Swap::Done);
            }
            let Some(found) = first_key(&answer) else {
                return Ok(Swap::Lost);
            };
            let now = record::decode(&model.name, found.value())?;
            return match (now.changes.contains(&nonce), &unanswered) {
                (true, _) => Ok(Swap::Done),
                (false, Some(error)) if !remembers(&now, last.as_deref()) => Err(unknown(&model.name, error)),
                (false, _) => Ok(Swap::Lost),
            };
        }
        let error = unanswered.map_or_else(String::new, |error| error.to_string());
        Err(unknown(&model.name, &error))
    }
}

/// Returns whether a record lists every change since the one called `last`, or since its beginning.
fn remembers(record: &Record, last: Option<&str>) -> bool {
    last.map_or(record.changes.len() < CHANGES_MAX, |last| {
        record.changes.iter().any(|change| change == last)
    })
}

fn unknown(name: &str, why: &dyn std::fmt::Display) -> ApiError {
    let message = format!("whether model {name:?} was changed is not known: {why}; look at it before trying again");
    let error = ApiError::new(Reason::OutcomeUnknown, message).with("model", name);
    error.retry_after(Duration::from_secs(1))
}

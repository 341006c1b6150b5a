//! Filters of tasks, as the requests that take them have them.
//!
//! Promises: a filter that cannot be meant is refused by its name. Leaves finding the tasks to the leader.

use std::collections::BTreeMap;

use lepton_domain::reason::ApiError;
use lepton_domain::task::{State, StateSet};
use lepton_proto::convert::snapshot::state_number;
use lepton_proto::convert::time::read_timestamp;
use lepton_proto::page::Listing;
use lepton_proto::scheduler::v1::ListTasksRequest as Selection;
use lepton_proto::task::v1::{
    BatchCancelTasksRequest, BatchRetryTasksRequest, CountTasksRequest, ListTasksRequest, PurgeTasksRequest,
};
use prost::Message as _;
use prost_types::Timestamp;

use crate::request::Caller;

/// Filters of a request, read by [`Filters::selection`]; what is empty selects all.
#[derive(Debug, Clone, Copy)]
pub struct Filters<'a> {
    state: i32,
    kind: &'a str,
    label: &'a [String],
    reason: &'a str,
    worker: &'a str,
    request_id: &'a str,
    created_after: Option<&'a Timestamp>,
    created_before: Option<&'a Timestamp>,
}

macro_rules! filters_of {
    ($($request:ty),*) => {$(
        impl<'a> From<&'a $request> for Filters<'a> {
            fn from(request: &'a $request) -> Self {
                Self {
                    state: request.state,
                    kind: &request.kind,
                    label: &request.label,
                    reason: &request.reason,
                    worker: &request.worker,
                    request_id: &request.request_id,
                    created_after: request.created_after.as_ref(),
                    created_before: request.created_before.as_ref(),
                }
            }
        }
    )*};
}

filters_of!(
    ListTasksRequest,
    CountTasksRequest,
    BatchCancelTasksRequest,
    BatchRetryTasksRequest,
    PurgeTasksRequest
);

impl Filters<'_> {
    /// Reports whether every task of the tenant fits.
    pub fn is_empty(&self) -> bool {
        let texts = [self.kind, self.reason, self.worker, self.request_id];
        let times = [self.created_after, self.created_before];
        self.state == 0
            && self.label.is_empty()
            && texts.iter().all(|text| text.is_empty())
            && times.iter().all(Option::is_none)
    }

    /// Selection for the leader. Fails with FIELD_INVALID.
    pub fn selection(&self, caller: &Caller) -> Result<Selection, ApiError> {
        let micros = |name, time: Option<&Timestamp>| {
            let time = time.map(|time| read_timestamp(name, time)).transpose()?;
            Ok::<_, ApiError>(time.map(lepton_domain::time::Timestamp::as_micros))
        };
        Ok(Selection {
            tenant: caller.tenant.as_str().to_owned(),
            state: u32::try_from(self.state).unwrap_or_default(),
            kind: self.kind.to_owned(),
            labels: self.labels()?,
            reason: self.reason.to_owned(),
            worker: self.worker.to_owned(),
            request_id: self.request_id.to_owned(),
            created_from_micros: micros("createdAfter", self.created_after)?,
            created_before_micros: micros("createdBefore", self.created_before)?,
            ..Selection::default()
        })
    }

    /// Selection of tasks in some states: all of `allowed`, or the one that is asked for, which must be among them.
    pub fn selection_among(
        &self,
        caller: &Caller,
        allowed: StateSet,
        default: StateSet,
    ) -> Result<Selection, ApiError> {
        let mut selection = self.selection(caller)?;
        let asked = State::ALL.iter().find(|state| state_number(**state) == selection.state);
        let states = match asked {
            None => default,
            Some(state) if allowed.contains(*state) => StateSet::EMPTY.with(*state),
            Some(state) => {
                let among: Vec<&str> = chosen(allowed).map(State::name).collect();
                let message = format!("STATE_{state} does not fit this call; give one of {}", among.join(", "));
                return Err(ApiError::field("state", message));
            }
        };
        selection.state = 0;
        selection.states = chosen(states).map(state_number).collect();
        Ok(selection)
    }

    fn labels(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let mut labels = BTreeMap::new();
        for label in self.label {
            let Some((key, value)) = label.split_once('=') else {
                return Err(ApiError::field("label", format!("{label:?} is not key=value")));
            };
            let before = labels.insert(key.to_owned(), value.to_owned());
            if before.is_some_and(|before| before != value) {
                let message = format!("{key:?} is given two values, and no task has both");
                return Err(ApiError::field("label", message));
            }
        }
        Ok(labels)
    }
}

/// Listing whose tokens hold for this selection alone, by whichever page it is read.
pub fn listing(rpc: &str, selection: &Selection) -> Listing {
    let whole = Selection {
        page_size: 0,
        before_seq: 0,
        after_seq: 0,
        ..selection.clone()
    };
    Listing::new(rpc, &[&format!("{:?}", whole.encode_to_vec())])
}

/// The states of a set.
fn chosen(states: StateSet) -> impl Iterator<Item = State> {
    State::ALL.iter().copied().filter(move |state| states.contains(*state))
}

#[cfg(test)]
mod tests {
    use lepton_domain::ids::Tenant;
    use lepton_domain::reason::Reason;
    use lepton_proto::roles::Role;

    use super::*;

    fn caller() -> Caller {
        Caller {
            tenant: Tenant::new("default"),
            role: Role::User,
        }
    }

    #[test]
    fn labels_have_a_key_and_one_value() {
        let mut request = CountTasksRequest {
            label: vec!["a=b=c".to_owned(), "empty=".to_owned(), "a=b=c".to_owned()],
            ..CountTasksRequest::default()
        };
        let selection = Filters::from(&request).selection(&caller()).expect("it is good");
        let wanted = [("a", "b=c"), ("empty", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(selection.labels, wanted.into());
        for wrong in [vec!["a".to_owned()], vec!["a=1".to_owned(), "a=2".to_owned()]] {
            request.label = wrong;
            let refused = Filters::from(&request).selection(&caller()).expect_err("it is refused");
            assert_eq!(refused.reason, Reason::FieldInvalid, "{refused}");
        }
    }

    #[test]
    fn a_token_belongs_to_its_selection() {
        let of = |tenant: &str, kind: &str| Selection {
            tenant: tenant.to_owned(),
            kind: kind.to_owned(),
            ..Selection::default()
        };
        let made = listing("ListTasks", &of("default", "echo")).token(&42_u64);
        let paged = Selection {
            page_size: 7,
            before_seq: 9,
            ..of("default", "echo")
        };
        assert_eq!(listing("ListTasks", &paged).key(&made), Ok(Some(42_u64)));
        for (rpc, other) in [
            ("ListTasks", of("other", "echo")),
            ("ListTasks", of("default", "train")),
            ("PurgeTasks", of("default", "echo")),
        ] {
            let refused = listing(rpc, &other).key::<u64>(&made).expect_err("foreign");
            assert_eq!(refused.reason, Reason::PageTokenInvalid);
        }
    }

    #[test]
    fn a_state_must_fit_the_call() {
        let mut request = BatchCancelTasksRequest::default();
        let states = |request: &BatchCancelTasksRequest| {
            Filters::from(request)
                .selection_among(&caller(), StateSet::LIVE, StateSet::LIVE)
                .map(|it| it.states)
        };
        assert_eq!(states(&request).map(|states| states.len()), Ok(3));
        request.set_state(lepton_proto::task::v1::State::Running);
        assert_eq!(states(&request), Ok(vec![3]));
        request.set_state(lepton_proto::task::v1::State::Failed);
        let refused = states(&request).expect_err("it has ended");
        assert!(refused.message.contains("PENDING"), "{refused}");
    }
}

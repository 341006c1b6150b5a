//! Addresses of pages and their parameters.
//!
//! Promises: parameters are checked and bounded before anything is done with them.

use axum::extract;
use http::Uri;
use lepton_domain::ids::TaskId;
use lepton_domain::text::excerpt;
use lepton_proto::task::v1::State;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::error::ConsoleError;

/// Most bytes of a task kind, as in the contract.
const KIND_BYTES_MAX: usize = 64;
/// Most bytes of a label with its value, as in the contract.
const LABEL_BYTES_MAX: usize = 320;
/// Most bytes of a reason, as in the contract.
const REASON_BYTES_MAX: usize = 64;
/// Most bytes of a worker's instance id, as in the contract.
const WORKER_BYTES_MAX: usize = 128;
/// Most bytes of a page token; those of the gateway are far shorter.
const TOKEN_BYTES_MAX: usize = 512;

/// Characters that a query parameter has escaped: all but the unreserved ones of
/// [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Page of the console with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Tasks(TaskFilter),
    Task(String),
    Models,
    Workers,
    Incidents(IncidentPage),
    Traces(TraceFilter),
    Trace(String),
}

/// Filter and position of the list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TaskFilter {
    /// Only tasks in this state.
    pub state: Option<State>,
    /// Only tasks of this kind; empty for all.
    pub kind: String,
    /// Only tasks with this label, as `key=value`; empty for all.
    pub label: String,
    /// Only tasks whose last error has this reason; empty for all.
    pub reason: String,
    /// Only tasks whose current or last attempt has this worker; empty for all.
    pub worker: String,
    /// Page token of the gateway; empty for the first page.
    pub token: String,
}

/// Position in the list of closed incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct IncidentPage {
    /// Number of the page, from 0.
    pub page: usize,
}

/// Filter of the list of traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum TraceFilter {
    #[default]
    Recent,
    Slow,
    Failed,
}

/// Query parameters before they are checked. Unknown ones are ignored.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct PageQuery {
    state: String,
    kind: String,
    label: String,
    reason: String,
    worker: String,
    token: String,
    page: String,
    show: String,
}

/// Task states in the order of a task's life, with their words in addresses.
pub(super) const STATES: [(State, &str); 7] = [
    (State::Blocked, "blocked"),
    (State::Pending, "pending"),
    (State::Running, "running"),
    (State::Succeeded, "succeeded"),
    (State::Failed, "failed"),
    (State::Cancelled, "cancelled"),
    (State::Expired, "expired"),
];

impl PageQuery {
    /// Parses the query of an address.
    pub fn parse(uri: &Uri) -> Result<Self, ConsoleError> {
        let read = extract::Query::try_from_uri(uri);
        read.map(|extract::Query(query)| query)
            .map_err(|error| invalid("query", uri.query().unwrap_or_default(), &error.body_text()))
    }
}

impl Page {
    pub fn tasks(query: PageQuery) -> Result<Self, ConsoleError> {
        let state = match query.state.as_str() {
            "" => None,
            word => {
                let found = STATES.iter().find(|(_, name)| *name == word);
                Some(
                    found
                        .ok_or_else(|| invalid("state", word, "a state of tasks, as running"))?
                        .0,
                )
            }
        };
        if query.token.len() > TOKEN_BYTES_MAX {
            return Err(invalid("token", &query.token, "a token that this console made"));
        }
        let label = bounded("label", &query.label, LABEL_BYTES_MAX)?;
        if !label.is_empty() && label.find('=').is_none_or(|key_end| key_end == 0) {
            return Err(invalid("label", &label, "a label with its value, as team=red"));
        }
        Ok(Self::Tasks(TaskFilter {
            state,
            kind: bounded("kind", &query.kind, KIND_BYTES_MAX)?,
            label,
            reason: bounded("reason", &query.reason, REASON_BYTES_MAX)?,
            worker: bounded("worker", &query.worker, WORKER_BYTES_MAX)?,
            token: query.token,
        }))
    }

    pub fn task(id: String) -> Result<Self, ConsoleError> {
        match id.parse::<TaskId>() {
            Ok(_) if id.len() <= 36 => Ok(Self::Task(id)),
            _ => Err(ConsoleError::TaskId(excerpt(&id).into_owned())),
        }
    }

    pub fn trace(id: String) -> Result<Self, ConsoleError> {
        if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Trace(id.to_ascii_lowercase()));
        }
        Err(ConsoleError::TraceId(excerpt(&id).into_owned()))
    }

    pub fn traces(query: PageQuery) -> Result<Self, ConsoleError> {
        Ok(Self::Traces(match query.show.as_str() {
            "" => TraceFilter::Recent,
            "slow" => TraceFilter::Slow,
            "failed" => TraceFilter::Failed,
            other => return Err(invalid("show", other, "slow or failed")),
        }))
    }

    pub fn incidents(query: PageQuery) -> Result<Self, ConsoleError> {
        let page = match query.page.as_str() {
            "" => 0,
            text => text
                .parse::<u16>()
                .map_err(|_| invalid("page", text, "a page's number"))?,
        };
        Ok(Self::Incidents(IncidentPage { page: page.into() }))
    }

    /// Address of the navigation entry that the page belongs to.
    pub fn navigation(&self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Tasks(_) | Self::Task(_) => "/tasks",
            Self::Models => "/models",
            Self::Workers => "/workers",
            Self::Incidents(_) => "/incidents",
            Self::Traces(_) | Self::Trace(_) => "/traces",
        }
    }
}

impl TaskFilter {
    /// Address of this list, the inverse of [`Page::tasks`].
    pub fn address(&self) -> String {
        let state = self
            .state
            .and_then(|state| STATES.iter().find(|(other, _)| *other == state));
        let pairs = [
            ("state", state.map_or("", |(_, word)| word)),
            ("kind", &self.kind),
            ("label", &self.label),
            ("reason", &self.reason),
            ("worker", &self.worker),
            ("token", &self.token),
        ];
        let written: Vec<String> = pairs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={}", escape(value)))
            .collect();
        if written.is_empty() {
            return "/tasks".to_owned();
        }
        format!("/tasks?{}", written.join("&"))
    }
}

/// A text without the spaces around it, which a copied one often has.
fn bounded(name: &'static str, text: &str, bytes_max: usize) -> Result<String, ConsoleError> {
    let trimmed = text.trim();
    match trimmed.len() <= bytes_max {
        true => Ok(trimmed.to_owned()),
        false => Err(invalid(name, text, &format!("at most {bytes_max} bytes"))),
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn invalid(name: &'static str, value: &str, expected: &str) -> ConsoleError {
    ConsoleError::Parameter {
        name,
        value: excerpt(value).into_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lepton_domain::reason::{ApiError, Reason};

    use super::*;

    fn query(state: &str, kind: &str, show: &str, page: &str) -> PageQuery {
        let [state, kind, show, page] = [state, kind, show, page].map(str::to_owned);
        PageQuery {
            state,
            kind,
            show,
            page,
            ..PageQuery::default()
        }
    }

    #[test]
    fn a_filter_survives_its_address() {
        let filter = TaskFilter {
            state: Some(State::Failed),
            kind: "train".to_owned(),
            label: "team=red & blue".to_owned(),
            reason: "HANDLER_FAILED".to_owned(),
            worker: "worker-1".to_owned(),
            token: "abc".to_owned(),
        };
        let uri: Uri = filter.address().parse().expect("an address");
        let read = PageQuery::parse(&uri).and_then(Page::tasks);
        assert_eq!(read.expect("it is right"), Page::Tasks(filter));
        for label in ["team", "=red"] {
            let query = PageQuery {
                label: label.to_owned(),
                ..PageQuery::default()
            };
            assert!(Page::tasks(query).is_err(), "{label}");
        }
    }

    #[test]
    fn parameters_are_checked() {
        let Ok(Page::Tasks(filter)) = Page::tasks(query("running", "a&b ", "", "")) else {
            panic!("a list of tasks")
        };
        assert_eq!(filter.address(), "/tasks?state=running&kind=a%26b");
        assert_eq!(TaskFilter::default().address(), "/tasks");
        for bad in [query("Running", "", "", ""), query("", &"k".repeat(65), "", "")] {
            let error = ApiError::from(Page::tasks(bad).unwrap_err());
            assert_eq!(error.reason, Reason::FieldInvalid, "{error:?}");
            assert_eq!(error.violations.len(), 1, "{error:?}");
        }
        assert!(Page::traces(query("", "", "quick", "")).is_err());
        assert!(Page::incidents(query("", "", "", "-1")).is_err());
        assert!(Page::task("../../etc".to_owned()).is_err() && Page::trace("0".repeat(33)).is_err());
        let long = Page::task("ä".repeat(1_000)).unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
    }
}

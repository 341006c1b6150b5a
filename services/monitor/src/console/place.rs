//! Where a reader is: the pages, and what was asked of them.
//!
//! Promises: whatever stands in an address is checked and bounded before anything is done with it.

use axum::extract::Query;
use http::Uri;
use lepton_domain::ids::TaskId;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::task::v1::State;
use serde::Deserialize;

/// Bytes of a task kind, as the contract has it.
const KIND_BYTES_MAX: usize = 64;
/// Bytes of a page token; those of the gateway are far shorter.
const TOKEN_BYTES_MAX: usize = 512;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Tasks(Wanted),
    Task(String),
    Models,
    Workers,
    Incidents(Past),
    Traces(Which),
    Trace(String),
}

/// Which tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this kind; empty for all.
    pub kind: String,
    /// The gateway's token of a later page; empty for the first.
    pub token: String,
}

/// Which closed incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Past {
    /// The page, from 0.
    pub page: usize,
}

/// Which traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Which {
    #[default]
    Recent,
    Slow,
    Failed,
}

/// What may stand after the question mark, before it is checked. Other words are passed over.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Asked {
    state: String,
    kind: String,
    token: String,
    page: String,
    show: String,
}

/// The states in the order of a task's life, with the word in the address.
pub(super) const STATES: [(State, &str); 7] = [
    (State::Blocked, "blocked"),
    (State::Pending, "pending"),
    (State::Running, "running"),
    (State::Succeeded, "succeeded"),
    (State::Failed, "failed"),
    (State::Cancelled, "cancelled"),
    (State::Expired, "expired"),
];

impl Asked {
    /// What this address asks for.
    pub fn of(uri: &Uri) -> Result<Self, Fault> {
        let read = Query::try_from_uri(uri);
        read.map(|Query(asked)| asked)
            .map_err(|error| wrong("query", uri.query().unwrap_or_default(), &error.body_text()))
    }
}

impl Place {
    pub fn tasks(asked: Asked) -> Result<Self, Fault> {
        let state = match asked.state.as_str() {
            "" => None,
            word => {
                let known = STATES.iter().find(|(_, name)| *name == word);
                Some(
                    known
                        .ok_or_else(|| wrong("state", word, "a state of tasks, as running"))?
                        .0,
                )
            }
        };
        if asked.kind.len() > KIND_BYTES_MAX {
            return Err(wrong("kind", &asked.kind, "a kind of at most 64 bytes"));
        }
        if asked.token.len() > TOKEN_BYTES_MAX {
            return Err(wrong("token", &asked.token, "a token that this console made"));
        }
        let (kind, token) = (asked.kind.trim().to_owned(), asked.token);
        Ok(Self::Tasks(Wanted { state, kind, token }))
    }

    pub fn task(id: String) -> Result<Self, Fault> {
        let known = id.len() <= 36 && id.parse::<TaskId>().is_ok();
        known.then_some(Self::Task(id.clone())).ok_or_else(|| {
            let message = format!("{:?} is not the id of a task, a UUID", cut(&id));
            Fault::new(Reason::TaskNotFound, message)
        })
    }

    pub fn trace(id: String) -> Result<Self, Fault> {
        let known = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        known.then(|| Self::Trace(id.to_ascii_lowercase())).ok_or_else(|| {
            let message = format!("{:?} is not the id of a trace, 32 hexadecimal digits", cut(&id));
            Fault::new(Reason::TraceNotFound, message)
        })
    }

    pub fn traces(asked: Asked) -> Result<Self, Fault> {
        Ok(Self::Traces(match asked.show.as_str() {
            "" => Which::Recent,
            "slow" => Which::Slow,
            "failed" => Which::Failed,
            other => return Err(wrong("show", other, "slow or failed")),
        }))
    }

    pub fn incidents(asked: Asked) -> Result<Self, Fault> {
        let page = match asked.page.as_str() {
            "" => 0,
            text => text
                .parse::<u16>()
                .map_err(|_| wrong("page", text, "a page's number"))?,
        };
        Ok(Self::Incidents(Past { page: page.into() }))
    }

    /// The entry of the navigation that this page is below.
    pub fn tab(&self) -> &'static str {
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

impl Wanted {
    /// The address of this list.
    pub fn address(&self) -> String {
        let state = self
            .state
            .and_then(|state| STATES.iter().find(|(known, _)| *known == state));
        let pairs = [
            ("state", state.map_or("", |(_, word)| word)),
            ("kind", &self.kind),
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

/// A text as part of an address.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn wrong(name: &str, value: &str, wanted: &str) -> Fault {
    let message = format!("{name}={:?} in the address; it takes {wanted}", cut(value));
    Fault::new(Reason::FieldInvalid, message).violation(name, format!("takes {wanted}"))
}

/// As much of a wrong value as is needed to recognise it.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(state: &str, kind: &str, show: &str, page: &str) -> Asked {
        let [state, kind, show, page] = [state, kind, show, page].map(str::to_owned);
        Asked {
            state,
            kind,
            show,
            page,
            token: String::new(),
        }
    }

    #[test]
    fn what_an_address_says_is_checked() {
        let Ok(Place::Tasks(wanted)) = Place::tasks(asked("running", "a&b ", "", "")) else {
            panic!("a list of tasks")
        };
        assert_eq!(wanted.address(), "/tasks?state=running&kind=a%26b");
        assert_eq!(Wanted::default().address(), "/tasks");
        for bad in [asked("Running", "", "", ""), asked("", &"k".repeat(65), "", "")] {
            let fault = Place::tasks(bad).unwrap_err();
            assert_eq!(fault.reason, Reason::FieldInvalid, "{fault:?}");
        }
        assert!(Place::traces(asked("", "", "quick", "")).is_err());
        assert!(Place::incidents(asked("", "", "", "-1")).is_err());
        assert!(Place::task("../../etc".to_owned()).is_err() && Place::trace("0".repeat(33)).is_err());
        let long = Place::task("ä".repeat(1_000)).unwrap_err();
        assert!(long.message.len() < 200, "{}", long.message);
    }
}

//! `lepton journal`: its extent, a full check, its events; from etcd itself or through the gateway.

use std::process::ExitCode;

use futures::StreamExt;
use lepton_coordination::etcd::Etcd;
use lepton_domain::reason::ApiError;
use lepton_journal::inspect;
use lepton_mesh::config::address::etcd_members;
use lepton_proto::cluster::v1::{DumpJournalResponse, GetJournalStatusResponse, VerifyJournalResponse};
use lepton_proto::proto_json;

use super::Session;
use crate::advice::{DONE, EXIT_DONE, EXIT_FAILED};
use crate::args::{Format, Journal, JournalRead};
use crate::client::{read_json, unwritable};
use crate::output::line;
use crate::output::table::text;

mod words;

/// Reads what is asked for.
pub(super) async fn run(session: &Session, args: &Journal) -> Result<ExitCode, ApiError> {
    let etcd = match args.etcd.is_empty() {
        true => None,
        false => {
            let members = etcd_members(&args.etcd)?;
            Some(Etcd::connect(&session.context, &members, &args.cluster))
        }
    };
    match args.read {
        JournalRead::Status => status(session, etcd).await,
        JournalRead::Verify => verify(session, etcd).await,
        JournalRead::Dump { from_segment, limit } => dump(session, etcd, from_segment, limit).await,
    }
}

async fn status(session: &Session, etcd: Option<Etcd>) -> Result<ExitCode, ApiError> {
    let body = match etcd {
        Some(etcd) => {
            let status = inspect::status(&etcd).await.map_err(|error| error.api_error())?;
            encode(
                "lepton.cluster.v1.GetJournalStatusResponse",
                &GetJournalStatusResponse::from(status),
            )?
        }
        None => session.client.get("/api/v1/journal").await?.to_vec(),
    };
    session.conclude(&body, DONE, words::status)
}

async fn verify(session: &Session, etcd: Option<Etcd>) -> Result<ExitCode, ApiError> {
    let body = match etcd {
        Some(etcd) => {
            let found = inspect::verify(&etcd).await.map_err(|error| error.api_error())?;
            encode(
                "lepton.cluster.v1.VerifyJournalResponse",
                &VerifyJournalResponse::from(found),
            )?
        }
        None => session.client.get("/api/v1/journal:verify").await?.to_vec(),
    };
    let holds = read_json(&body)?["ok"] == true;
    session.conclude(&body, if holds { DONE } else { EXIT_FAILED }, words::verification)
}

async fn dump(session: &Session, etcd: Option<Etcd>, from: u64, limit: u64) -> Result<ExitCode, ApiError> {
    if let Some(etcd) = etcd {
        let mut entries = std::pin::pin!(inspect::dump(etcd, from, limit));
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(|error| error.api_error())?;
            event(
                session,
                &encode(
                    "lepton.cluster.v1.DumpJournalResponse",
                    &DumpJournalResponse::from(&entry),
                )?,
            )?;
        }
        return Ok(EXIT_DONE);
    }
    let path = format!("/api/v1/journal:dump?fromSegment={from}&limit={limit}");
    let mut events = std::pin::pin!(session.client.events(&path).await?);
    while let Some(data) = events.next().await {
        event(session, data?.as_bytes())?;
    }
    Ok(EXIT_DONE)
}

fn event(session: &Session, body: &[u8]) -> Result<(), ApiError> {
    if session.format == Format::Json {
        line(&String::from_utf8_lossy(body));
        return Ok(());
    }
    let event = read_json(body)?;
    let place = format!("{}/{}", text(&event["segment"]), text(&event["seq"]));
    line(&format!(
        "{place:<14} {:<16} {}  {}",
        text(&event["event"]),
        text(&event["taskId"]),
        text(&event["text"])
    ));
    Ok(())
}

fn encode(name: &str, message: &impl prost::Message) -> Result<Vec<u8>, ApiError> {
    proto_json::encode(name, message).map_err(unwritable)
}

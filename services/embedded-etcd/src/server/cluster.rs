//! `Cluster`, `Maintenance` and `Auth`: what one node without users has to say.
//!
//! Membership, snapshots over the wire and hashes are left out on purpose and say so. Authentication is never enabled.

use super::{
    About,
    call::{refuse, unary, unknown},
};
use crate::{
    handle::{Answer, Call, Handle},
    machine::MEMBER_ID,
    refusal::Refusal,
    wire::{AlarmRequest, HeaderOnly, Member, MemberListResponse, ResponseHeader, Unread},
};
use http::{Request, Response};
use tonic::body::Body;

/// `AlarmRequest.action` that raises an alarm.
const ACTIVATE: i32 = 1;

/// Answers a method of the three services; their names do not overlap.
pub(super) async fn route(handle: Handle, about: &About, method: &str, request: Request<Body>) -> Response<Body> {
    let handle = &handle;
    match method {
        "MemberList" => unary(request, |_: Unread| members(handle, about)).await,
        "Status" => unary(request, |_: Unread| handle.ask(Call::Status)).await,
        "Alarm" => unary(request, |request: AlarmRequest| alarm(handle, request)).await,
        "Defragment" => unary(request, |_: Unread| header(handle, Call::Defragment)).await,
        "AuthDisable" | "AuthStatus" => unary(request, |_: Unread| header(handle, Call::Header)).await,
        "MemberAdd" | "MemberRemove" | "MemberUpdate" | "MemberPromote" | "MoveLeader" => {
            refuse(Refusal::Unsupported("there is one member, and it stays"))
        }
        "Snapshot" => refuse(Refusal::Unsupported(
            "copy the data directory of a stopped server instead",
        )),
        "Hash" | "HashKV" => refuse(Refusal::Unsupported("there is no second member to compare a hash with")),
        name if name.starts_with("Auth") || name.starts_with("User") || name.starts_with("Role") => {
            refuse(Refusal::AuthDisabled)
        }
        _ => unknown(),
    }
}

async fn header(handle: &Handle, call: impl FnOnce(Answer<ResponseHeader>) -> Call) -> Result<HeaderOnly, Refusal> {
    Ok(HeaderOnly {
        header: Some(handle.ask(call).await?),
    })
}

async fn members(handle: &Handle, about: &About) -> Result<MemberListResponse, Refusal> {
    let header = handle.ask(Call::Header).await?;
    let peer_urls = Vec::new();
    let member = Member {
        id: MEMBER_ID,
        name: about.name.clone(),
        peer_urls,
        client_urls: about.client_urls.clone(),
    };
    Ok(MemberListResponse {
        header: Some(header),
        members: vec![member],
    })
}

async fn alarm(handle: &Handle, request: AlarmRequest) -> Result<HeaderOnly, Refusal> {
    if request.action == ACTIVATE {
        return Err(Refusal::Unsupported("alarms cannot be raised by hand"));
    }
    header(handle, Call::Header).await
}

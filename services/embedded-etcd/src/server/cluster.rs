//! `Cluster`, `Maintenance` and `Auth`, as far as one node without users serves them.
//!
//! Membership, snapshots over the wire and hashes are left out on purpose: [`RpcError::Unsupported`]. Authentication is never enabled.

use super::{
    MemberInfo,
    call::{refuse, unary, unknown},
};
use crate::{
    handle::{Call, Handle, Reply},
    machine::MEMBER_ID,
    rpc_error::RpcError,
    wire::{AlarmRequest, HeaderOnly, Member, MemberListResponse, ResponseHeader, Unread},
};
use http::{Request, Response};
use tonic::body::Body;

/// `AlarmRequest.action` that raises an alarm.
const ACTIVATE: i32 = 1;

/// Answers a method of the three services; their names do not overlap.
pub(super) async fn route(handle: Handle, member: &MemberInfo, method: &str, request: Request<Body>) -> Response<Body> {
    let handle = &handle;
    match method {
        "MemberList" => unary(request, |_: Unread| members(handle, member)).await,
        "Status" => unary(request, |_: Unread| handle.call(Call::Status)).await,
        "Alarm" => unary(request, |request: AlarmRequest| alarm(handle, request)).await,
        "Defragment" => unary(request, |_: Unread| header(handle, Call::Defragment)).await,
        "AuthDisable" | "AuthStatus" => unary(request, |_: Unread| header(handle, Call::Header)).await,
        "MemberAdd" | "MemberRemove" | "MemberUpdate" | "MemberPromote" | "MoveLeader" => {
            refuse(RpcError::Unsupported("there is one member, and it stays"))
        }
        "Snapshot" => refuse(RpcError::Unsupported(
            "copy the data directory of a stopped server instead",
        )),
        "Hash" | "HashKV" => refuse(RpcError::Unsupported(
            "there is no second member to compare a hash with",
        )),
        name if name.starts_with("Auth") || name.starts_with("User") || name.starts_with("Role") => {
            refuse(RpcError::AuthDisabled)
        }
        _ => unknown(),
    }
}

async fn header(handle: &Handle, call: impl FnOnce(Reply<ResponseHeader>) -> Call) -> Result<HeaderOnly, RpcError> {
    Ok(HeaderOnly {
        header: Some(handle.call(call).await?),
    })
}

async fn members(handle: &Handle, member: &MemberInfo) -> Result<MemberListResponse, RpcError> {
    let header = handle.call(Call::Header).await?;
    let peer_urls = Vec::new();
    let member = Member {
        id: MEMBER_ID,
        name: member.name.clone(),
        peer_urls,
        client_urls: member.client_urls.clone(),
    };
    Ok(MemberListResponse {
        header: Some(header),
        members: vec![member],
    })
}

async fn alarm(handle: &Handle, request: AlarmRequest) -> Result<HeaderOnly, RpcError> {
    if request.action == ACTIVATE {
        return Err(RpcError::Unsupported("alarms cannot be raised by hand"));
    }
    header(handle, Call::Header).await
}

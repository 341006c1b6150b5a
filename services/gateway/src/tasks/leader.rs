//! Calls to the scheduler's leader, whichever instance it is.
//!
//! Promises: a call that finds no leader, or another one, is made again; one that a frozen leader holds is given up as
//! soon as another leads. Leaves the time limit to the caller.

use std::future::Future;
use std::time::Duration;

use lepton_core::error;
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::channel::leader::{LeaderChannel, LeaderLink};
use lepton_proto::scheduler::v1::scheduler_service_client::SchedulerServiceClient;
use lepton_telemetry::propagate::Propagate;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// A client that carries the trace on.
pub type Client = SchedulerServiceClient<Propagate<Channel>>;

/// Pause before the next call after a refusal.
const PAUSE: Duration = Duration::from_millis(50);

/// A client of this leader.
pub fn client(link: &LeaderLink) -> Client {
    client_on(link.channel.clone())
}

/// A client for watches of this leader, on the connection for streams that last.
pub fn watch_client(link: &LeaderLink) -> Client {
    client_on(link.streams.clone())
}

/// A client without a limit of its own: pages and records are bounded by the leader, and are no messages of strangers.
fn client_on(channel: Channel) -> Client {
    SchedulerServiceClient::new(Propagate::to("scheduler", channel)).max_decoding_message_size(usize::MAX)
}

/// Calls the leader until one answers or refuses for good.
pub async fn call<T, F>(
    leader: &LeaderChannel,
    client: fn(&LeaderLink) -> Client,
    make: impl Fn(Client) -> F,
) -> Result<(LeaderLink, T), ApiError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    loop {
        let changed = leader.changed();
        let Some(link) = leader.current() else {
            changed.await;
            continue;
        };
        let answer = tokio::select! {
            answer = make(client(&link)) => answer,
            () = changed => continue,
        };
        match answer {
            Ok(answer) => return Ok((link, answer.into_inner())),
            Err(status) => {
                let error = error::from_status(&status);
                if !is_elsewhere(error.reason) {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// True where the request belongs to another leader, so that it is sent again rather than answered.
pub fn is_elsewhere(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NotLeader
            | Reason::StaleEpoch
            | Reason::LeaderUnavailable
            | Reason::InstanceDraining
            | Reason::OutcomeUnknown
    )
}

//! Calls to the scheduler's leader, whoever it is.
//!
//! Promises: a call that finds no leader, or another one, is made again; one that a frozen leader holds is given up as
//! soon as another leads. Leaves how long to go on to the caller.

use std::future::Future;
use std::time::Duration;

use lepton_core::error;
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::channel::leader::{LeaderChannel, LeaderLink};
use lepton_proto::scheduler::v1::scheduler_service_client::SchedulerServiceClient;
use lepton_telemetry::propagate::Propagate;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// A client that carries the trace on.
pub type Client = SchedulerServiceClient<Propagate<Channel>>;

/// The pause before a leader that refused is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// A client of this leader. What it sends is bounded where it is made: pages and records, not messages of strangers.
pub fn client(link: &LeaderLink) -> Client {
    SchedulerServiceClient::new(Propagate::to("scheduler", link.channel.clone())).max_decoding_message_size(usize::MAX)
}

/// Calls the leader until one answers or refuses for good.
pub async fn call<T, F>(leader: &LeaderChannel, make: impl Fn(Client) -> F) -> Result<(LeaderLink, T), Fault>
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
                let fault = error::fault(&status);
                if !is_elsewhere(fault.reason) {
                    return Err(fault);
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the request belongs to another leader, so that it is asked again rather than answered.
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

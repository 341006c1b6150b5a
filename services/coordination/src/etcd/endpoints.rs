//! The member of etcd to talk to.
//!
//! Promises: one connection per member; everybody stays with one member while it answers and moves on together
//! when it does not. The client library's own balancing keeps handing out dead members, hence this.

use std::sync::atomic::{AtomicUsize, Ordering};

use etcd_client::{Channel, Client, ConnectOptions};
use futures::FutureExt;

use lepton_core::net::Net;

/// The members of the etcd cluster, one of which is current.
pub(super) struct Endpoints {
    clients: Vec<Client>,
    /// Counts up; the member is this modulo their number.
    generation: AtomicUsize,
}

impl Endpoints {
    /// A client per endpoint, none of which dials before it is used. Without endpoints each call fails.
    pub(super) fn new(net: Net, endpoints: &[String]) -> Self {
        let mut channels: Vec<_> = endpoints.iter().map(|endpoint| net.channel(endpoint)).collect();
        if channels.is_empty() {
            channels.push(net.rotating_channel(Vec::new()));
        }
        let clients = channels.into_iter().map(client).collect();
        Self {
            clients,
            generation: AtomicUsize::new(0),
        }
    }

    /// Returns the current member, and the generation to give to [`Endpoints::rotate_from`].
    pub(super) fn current(&self) -> (usize, Client) {
        let generation = self.generation.load(Ordering::Relaxed);
        (generation, self.clients[generation % self.clients.len()].clone())
    }

    /// Moves on to the next member unless somebody else already has.
    pub(super) fn rotate_from(&self, generation: usize) {
        let next = generation.wrapping_add(1);
        // Losing the race means that the generation has changed, which is all that was wanted.
        let _ = self
            .generation
            .compare_exchange(generation, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn client(channel: tonic::transport::Channel) -> Client {
    // A member that has lost its leader must break streams instead of keeping them silent.
    let options = ConnectOptions::new().with_require_leader(true);
    Client::from_channel(Channel::Tonic(channel), Some(options))
        .now_or_never()
        .expect("without credentials nothing is awaited")
        .expect("without credentials nothing is called")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_first_complaint_moves_on() {
        let members = ["a:1", "b:1", "c:1"].map(str::to_owned);
        let endpoints = Endpoints::new(Net::Os, &members);
        let (first, _) = endpoints.current();
        endpoints.rotate_from(first);
        endpoints.rotate_from(first);
        assert_eq!(endpoints.current().0, first + 1);
    }

    #[tokio::test]
    async fn without_endpoints_calls_fail() {
        let (_, client) = Endpoints::new(Net::Os, &[]).current();
        assert!(client.kv_client().get("k", None).await.is_err());
    }
}

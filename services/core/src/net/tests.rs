//! Sockets connect, and a channel leaves a dead endpoint behind.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;

#[tokio::test]
async fn bytes_cross_a_bound_socket() {
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let (mut client, (mut server, peer)) = tokio::try_join!(Net::Os.connect(&address), listener.accept()).unwrap();
    assert_eq!(client.local_addr().unwrap(), peer);
    client.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

/// An address that nothing listens on.
async fn closed_address() -> String {
    Net::Os.bind("127.0.0.1:0").await.unwrap().local_addr().to_string()
}

#[tokio::test]
async fn a_call_that_cannot_connect_is_unavailable() {
    for address in [closed_address().await, String::new(), "not a name".to_owned()] {
        let mut client = HealthClient::new(Net::Os.channel(&address));
        let error = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{address:?}: {error}");
    }
}

#[tokio::test]
async fn a_rotating_channel_dials_the_next_endpoint() {
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let live = format!("http://{}/", listener.local_addr());
    let mut client = HealthClient::new(Net::Os.rotating_channel(vec![closed_address().await, live]));
    client.check(HealthCheckRequest::default()).await.unwrap_err();
    // The second call must reach the listener, which need not speak gRPC for that.
    let call = tokio::spawn(async move { client.check(HealthCheckRequest::default()).await });
    tokio::time::timeout(Duration::from_secs(5), listener.accept())
        .await
        .unwrap()
        .unwrap();
    call.abort();
}

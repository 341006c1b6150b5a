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

#[tokio::test]
async fn answers_with_large_headers_arrive() {
    use crate::server::{limits::Limits, serve};
    use crate::shutdown::Shutdown;

    let (listener, shutdown) = (Net::Os.bind("127.0.0.1:0").await.unwrap(), Shutdown::new());
    let address = listener.local_addr().to_string();
    let large = || async {
        let response = http::Response::builder().header("content-type", "application/grpc");
        let response = response
            .header("grpc-status", "5")
            .header("grpc-message", "x".repeat(40_000));
        response.body(axum::body::Body::empty()).unwrap()
    };
    let router = axum::Router::new().fallback(large);
    let serving = tokio::spawn(serve(listener, router, Limits::default(), shutdown.clone()));
    let mut client = HealthClient::new(Net::Os.channel(&address));
    let error = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message().len()),
        (Code::NotFound, 40_000),
        "{error}"
    );
    shutdown.trigger();
    serving.await.unwrap().unwrap();
}

/// The same server and channel as everywhere, on the simulator's network and time.
#[cfg(feature = "simulation")]
#[test]
fn a_simulated_host_serves_a_channel() {
    use crate::server::{self, health, limits::Limits, stack};
    use crate::shutdown::Shutdown;

    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(60))
        .build();
    sim.host("server", || async {
        let listener = Net::Simulated.bind("0.0.0.0:80").await?;
        let (readiness, shutdown) = (health::Readiness::new(), Shutdown::new());
        readiness.set(true);
        let health = health::service(readiness, &[], shutdown.clone());
        let router = stack::mount(axum::Router::new(), health);
        Ok(server::serve(listener, router, Limits::default(), shutdown).await?)
    });
    sim.client("client", async {
        let mut client = HealthClient::new(Net::Simulated.channel("server:80"));
        let answer = client.check(HealthCheckRequest::default()).await?;
        assert_eq!(answer.into_inner().status, 1);
        // A partition is an error, not a hang: the keep-alive of the channel notices it.
        turmoil::partition("client", "server");
        let error = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(
            crate::error::fault(&error).reason,
            lepton_domain::reason::Reason::OutcomeUnknown,
            "{error}"
        );
        turmoil::repair("client", "server");
        client.check(HealthCheckRequest::default()).await?;
        Ok(())
    });
    sim.run().unwrap();
}

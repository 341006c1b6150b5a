//! Channels and servers of the mesh understand each other, on real sockets and on simulated ones.

use lepton_core::net::Net;
use lepton_core::shutdown::Shutdown;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::server::limits::Limits;
use crate::server::serve;

#[tokio::test]
async fn answers_with_large_headers_arrive() {
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
    use std::time::Duration;

    use crate::server::{health, stack};

    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(60))
        .build();
    sim.host("server", || async {
        let listener = Net::Simulated.bind("0.0.0.0:80").await?;
        let (readiness, shutdown) = (health::Readiness::new(), Shutdown::new());
        readiness.set(true);
        let health = health::service(readiness, &[], shutdown.clone());
        let router = stack::mount(axum::Router::new(), health);
        Ok(serve(listener, router, Limits::default(), shutdown).await?)
    });
    sim.client("client", async {
        let mut client = HealthClient::new(Net::Simulated.channel("server:80"));
        let answer = client.check(HealthCheckRequest::default()).await?;
        assert_eq!(answer.into_inner().status, 1);
        // A partition is an error, not a hang: the keep-alive of the channel notices it.
        turmoil::partition("client", "server");
        let error = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(
            lepton_core::error::from_status(&error).reason,
            lepton_domain::reason::Reason::OutcomeUnknown,
            "{error}"
        );
        turmoil::repair("client", "server");
        client.check(HealthCheckRequest::default()).await?;
        Ok(())
    });
    sim.run().unwrap();
}

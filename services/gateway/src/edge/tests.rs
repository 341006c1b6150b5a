//! The edge over its sockets: a gateway whose etcd is away refuses as one that works, and answers what needs nobody.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lepton_core::context::Context;
use lepton_core::error;
use lepton_core::metrics::Metrics;
use lepton_core::net::Net;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::entry::{Service as _, Sockets};
use lepton_proto::model::v1::ListModelsRequest;
use lepton_proto::model::v1::model_service_client::ModelServiceClient;
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_proto::task::v1::{GetTaskRequest, SubmitTaskRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::request::caller::AnonymousRole;
use crate::{Config, Gateway};

mod requests;
mod roles;

/// A gateway without a mesh.
struct Running {
    address: String,
    metrics: Metrics,
    shutdown: Shutdown,
    serving: JoinHandle<Result<(), ApiError>>,
}

impl Running {
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        // Nobody listens there.
        config.common.etcd = vec!["http://127.0.0.1:1".to_owned()];
        config.tasks.deadline = Duration::from_millis(200);
        change(&mut config);
        let (context, shutdown) = (Context::system(), Shutdown::new());
        let sockets = Sockets {
            serve: Net::Os.bind("127.0.0.1:0").await.expect("a port"),
            admin: Net::Os.bind("127.0.0.1:0").await.expect("a port"),
        };
        let address = sockets.serve.local_addr().to_string();
        let metrics = context.metrics.clone();
        let gateway = Gateway::build(config, context).await.expect("built");
        let serving = tokio::spawn(gateway.run(sockets, shutdown.clone()));
        Self {
            address,
            metrics,
            shutdown,
            serving,
        }
    }

    /// The answer to a request of these very bytes, after which the connection is closed by the server.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = Net::Os.connect(&self.address).await.expect("connected");
        stream.write_all(request).await.expect("sent");
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        read.expect("in time").expect("read");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The answer to a request with these headers and this body.
    async fn http(&self, line: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
        self.raw(format!("{head}{body}").as_bytes()).await
    }

    fn channel(&self) -> tonic::transport::Channel {
        Net::Os.channel(&self.address)
    }

    async fn stop(self) {
        self.shutdown.trigger();
        let ended = tokio::time::timeout(Duration::from_secs(20), self.serving).await;
        ended.expect("in time").expect("no panic").expect("drained");
    }
}

/// The reason of a refused gRPC call.
fn reason<T: std::fmt::Debug>(result: Result<T, tonic::Status>) -> Reason {
    error::from_status(&result.expect_err("refused")).reason
}

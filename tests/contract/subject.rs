//! Servers under test, and what a case works with.
//!
//! Every case has its own prefix, so that cases share a server; revisions in expectations count from where the case began.

use etcd_client::{Client, Error, GetOptions};
use futures::{Stream, stream};
use lepton_core::net::{Listener, Net};
use lepton_embedded_etcd::Config;
use std::{
    io,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::Code;

/// What a case returns; a call that should have worked ends it.
pub(super) type Outcome = Result<(), Error>;

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client and a name space of its own.
pub(super) struct Bench {
    pub client: Client,
    prefix: String,
}

impl Bench {
    pub fn new(client: Client, name: &str) -> Self {
        Self {
            client,
            prefix: format!("/{name}/"),
        }
    }

    /// A key of this case.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Puts and returns the revision of the put.
    pub async fn put(&mut self, name: &str, value: &str) -> Result<i64, Error> {
        let response = self.client.put(self.key(name), value, None).await?;
        Ok(response.header().expect("every answer has a header").revision())
    }

    /// Deletes one key and returns the revision after it.
    pub async fn delete(&mut self, name: &str) -> Result<i64, Error> {
        let response = self.client.delete(self.key(name), None).await?;
        Ok(response.header().expect("every answer has a header").revision())
    }

    /// The store's revision.
    pub async fn revision(&mut self) -> Result<i64, Error> {
        let response = self.client.get(self.key("none"), None).await?;
        Ok(response.header().expect("every answer has a header").revision())
    }

    /// Reads all keys of this case, with more options, as `name=value` words.
    pub async fn list(&mut self, options: GetOptions) -> Result<String, Error> {
        let response = self
            .client
            .get(self.prefix.clone(), Some(options.with_prefix()))
            .await?;
        let words: Vec<String> = response
            .kvs()
            .iter()
            .map(|kv| self.word(kv.key(), kv.value()))
            .collect();
        Ok(words.join(" "))
    }

    /// `name=value` of one key.
    pub fn word(&self, key: &[u8], value: &[u8]) -> String {
        let key = String::from_utf8_lossy(key);
        let name = key.strip_prefix(&self.prefix).expect("keys of the case").to_owned();
        if value.is_empty() {
            name
        } else {
            format!("{name}={}", String::from_utf8_lossy(value))
        }
    }
}

/// The code and message of a refusal.
pub(super) fn refusal<T>(result: Result<T, Error>) -> (Code, String) {
    match result {
        Err(Error::GRpcStatus(status)) => (status.code(), status.message().to_owned()),
        Err(other) => panic!("refused in another way: {other}"),
        Ok(_) => panic!("was not refused"),
    }
}

/// Waits for something that is expected to happen.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A client of `authority` that has got an answer.
pub(super) async fn connect(authority: &str) -> Client {
    let answers = async {
        loop {
            let channel = etcd_client::Channel::Tonic(Net::Os.channel(authority));
            let mut client = Client::from_channel(channel, None)
                .await
                .expect("no password, so no call is made");
            // Linearizable, so that it also waits for a leader.
            if client.get("ready", None).await.is_ok() {
                return client;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the server's first answer", answers).await
}

/// Connections of a listener.
pub(super) fn incoming(listener: Listener) -> impl Stream<Item = io::Result<lepton_core::net::Stream>> {
    stream::unfold(listener, async |listener| {
        let connection = listener.accept().await.map(|(stream, _)| stream);
        Some((connection, listener))
    })
}

/// The embedded server, in this process, on a disk.
pub(super) struct Embedded {
    authority: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), lepton_embedded_etcd::Error>>,
    _data: TempDir,
}

impl Embedded {
    pub async fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let server = Config::new(data.path()).build().expect("a fresh directory");
        let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
        let authority = listener.local_addr().to_string();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(incoming(listener), async { drop(stopped.await) }));
        Self {
            authority,
            stop,
            running,
            _data: data,
        }
    }

    /// Where it listens, as `HOST:PORT`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub async fn client(&self) -> Client {
        connect(&self.authority).await
    }

    pub async fn stop(self) {
        drop(self.stop);
        let result = soon("the server's end", self.running).await;
        result
            .expect("the server does not panic")
            .expect("the server ends well");
    }
}

/// A real etcd, as a process of its own.
pub(super) struct Real {
    authority: String,
    process: Child,
    _data: TempDir,
}

impl Real {
    pub async fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        // etcd must be told its ports, so two free ones are found, and freed just before it takes them.
        let listeners = [
            Net::Os.bind("127.0.0.1:0").await.expect("a free port"),
            Net::Os.bind("127.0.0.1:0").await.expect("a free port"),
        ];
        let [client, peer] = listeners.each_ref().map(|listener| listener.local_addr().to_string());
        drop(listeners);
        let process = Command::new("etcd")
            .arg(format!("--data-dir={}", data.path().display()))
            .arg(format!("--listen-client-urls=http://{client}"))
            .arg(format!("--advertise-client-urls=http://{client}"))
            .arg(format!("--listen-peer-urls=http://{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
            .arg(format!("--initial-cluster=default=http://{peer}"))
            .arg("--log-level=error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`etcd` starts: install Debian's etcd-server");
        Self {
            authority: client,
            process,
            _data: data,
        }
    }

    pub async fn client(&mut self) -> Client {
        let client = connect(&self.authority).await;
        // Had another process taken the port meanwhile, it would have answered in etcd's place, and been written to.
        let ended = self.process.try_wait().expect("it is ours");
        assert_eq!(ended, None, "etcd could not start");
        client
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

//! A TCP proxy that a test can make misbehave: hold or lose bytes in either direction, cut connections, refuse new ones.
//!
//! Promises: bytes that it passes stay in order and unchanged; it knows no protocol. Commands apply to all connections
//! or to one, and hold from the moment that the call returns for bytes read afterwards.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lepton_core::net::{Listener, Net, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::wait::eventually;

/// How long a connection that a test waits for may take.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Answers.
    ToClient,
}

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Pass,
    /// They wait until they may pass.
    Hold,
    /// They vanish.
    Drop,
}

/// A proxy in front of one address. It ends when it is dropped, with its connections.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    shared: Arc<Mutex<Shared>>,
    _task: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    fresh: [Flow; 2],
    refusing: bool,
    connections: Vec<Connection>,
}

/// One connection through the proxy.
#[derive(Debug, Clone)]
pub struct Connection {
    flows: [watch::Sender<Flow>; 2],
    /// Bytes read and not passed.
    held: [watch::Sender<usize>; 2],
    passed: [watch::Sender<usize>; 2],
    /// Lets what is held pass once.
    steps: [Arc<Notify>; 2],
    cut: CancellationToken,
}

impl Proxy {
    /// Listens on a free port and forwards to `target` (`host:port`), dialled for each connection.
    pub async fn start(target: impl Into<String>) -> Self {
        let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
        let shared = Shared {
            fresh: [Flow::Pass; 2],
            refusing: false,
            connections: Vec::new(),
        };
        let shared = Arc::new(Mutex::new(shared));
        let address = listener.local_addr().to_string();
        let mut task = JoinSet::new();
        task.spawn(accept(listener, target.into(), shared.clone()));
        Self {
            address,
            shared,
            _task: task,
        }
    }

    /// Where clients connect, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Says what happens to bytes of all connections, present and future.
    pub fn set(&self, direction: Direction, flow: Flow) {
        self.with(|shared| {
            shared.fresh[direction as usize] = flow;
            shared
                .connections
                .iter()
                .for_each(|connection| connection.set(direction, flow));
        });
    }

    /// Says what happens to bytes of connections that are yet to come.
    pub fn set_fresh(&self, direction: Direction, flow: Flow) {
        self.with(|shared| shared.fresh[direction as usize] = flow);
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuse: bool) {
        self.with(|shared| shared.refusing = refuse);
    }

    /// Closes all connections; what they held is lost.
    pub fn cut(&self) {
        self.with(|shared| shared.connections.iter().for_each(Connection::cut));
    }

    /// Every connection so far, in the order in which they came, also those that have ended.
    pub fn connections(&self) -> Vec<Connection> {
        self.with(|shared| shared.connections.clone())
    }

    /// Waits for the connection of this number, from 0.
    pub async fn connection(&self, number: usize) -> Connection {
        eventually(CONNECTION_MAX, || async { self.connections().get(number).cloned() }).await
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connection {
    /// Says what happens to this connection's bytes.
    pub fn set(&self, direction: Direction, flow: Flow) {
        self.flows[direction as usize].send_replace(flow);
    }

    /// Lets the bytes pass that it holds, and holds those that come after them.
    pub fn pass_held(&self, direction: Direction) {
        self.steps[direction as usize].notify_one();
    }

    /// Closes it; what it held is lost.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// How many bytes it has passed.
    pub fn passed(&self, direction: Direction) -> usize {
        *self.passed[direction as usize].borrow()
    }

    /// Whether bytes have arrived that it holds.
    pub fn holds(&self, direction: Direction) -> bool {
        self.held(direction) > 0
    }

    /// How many bytes it holds.
    pub fn held(&self, direction: Direction) -> usize {
        *self.held[direction as usize].borrow()
    }
}

async fn accept(listener: Listener, target: String, shared: Arc<Mutex<Shared>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let connection = {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.refusing {
                continue;
            }
            let connection = Connection {
                flows: shared.fresh.map(watch::Sender::new),
                held: [0, 0].map(watch::Sender::new),
                steps: Default::default(),
                passed: [0, 0].map(watch::Sender::new),
                cut: CancellationToken::new(),
            };
            shared.connections.push(connection.clone());
            connection
        };
        connections.spawn(serve(client, target.clone(), connection));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(client: Stream, target: String, connection: Connection) {
    let cut = connection.cut.clone();
    let pass = async {
        let Ok(server) = Net::Os.connect(&target).await else {
            return;
        };
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = tokio::io::split(server);
        tokio::join!(
            pump(from_client, to_server, &connection, Direction::ToServer),
            pump(from_server, to_client, &connection, Direction::ToClient),
        );
    };
    tokio::select! {
        () = pass => {}
        () = cut.cancelled() => {}
    }
}

async fn pump(mut from: ReadHalf<Stream>, mut to: WriteHalf<Stream>, connection: &Connection, way: Direction) {
    let mut flow = connection.flows[way as usize].subscribe();
    let (held, step) = (&connection.held[way as usize], &connection.steps[way as usize]);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        held.send_replace(read);
        let now = tokio::select! {
            flow = flow.wait_for(|flow| *flow != Flow::Hold) => flow.map(|flow| *flow),
            () = step.notified() => Ok(Flow::Pass),
        };
        let Ok(now) = now else { return };
        held.send_replace(0);
        if now == Flow::Pass {
            if to.write_all(&buffer[..read]).await.is_err() {
                break;
            }
            connection.passed[way as usize].send_modify(|passed| *passed += read);
        }
    }
    // The other side learns of the end; it may have closed first.
    let _ = to.shutdown().await;
    if way == Direction::ToServer {
        // A client that is gone wants no answers either.
        connection.cut();
    }
}

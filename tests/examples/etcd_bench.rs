//! How fast an etcd server is for what the mesh asks of it: fenced appends one after the other, and many small writes at once.
//!
//! `cargo run --release -p lepton-tests --example etcd_bench` measures the embedded server and the `etcd` in the path, each in a
//! temporary directory under the current one, so that both use the disk at hand.

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};
use futures::stream;
use lepton_core::net::Net;
use lepton_embedded_etcd::Config;
use std::{
    error::Error,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    for _ in 0..2 {
        embedded().await?;
        real().await?;
    }
    Ok(())
}

async fn embedded() -> Result<(), Failure> {
    let data = tempfile::tempdir_in(".")?;
    let server = Config::new(data.path()).build()?;
    let listener = Net::Os.bind("127.0.0.1:0").await?;
    let authority = listener.local_addr().to_string();
    let incoming = stream::unfold(listener, async |listener| {
        let connection = listener.accept().await.map(|(stream, _)| stream);
        Some((connection, listener))
    });
    let (stop, stopped) = oneshot::channel::<()>();
    // A runtime of its own stands for the process that it would be.
    let running = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime
            .block_on(server.run(incoming, async { drop(stopped.await) }))
            .map_err(Failure::from)
    });
    measure("embedded", &authority).await?;
    drop(stop);
    running.join().map_err(|_| "the server panicked")??;
    Ok(())
}

async fn real() -> Result<(), Failure> {
    let data = tempfile::tempdir_in(".")?;
    // etcd must be told its ports, so two free ones are found, and freed just before it takes them.
    let listeners = [Net::Os.bind("127.0.0.1:0").await?, Net::Os.bind("127.0.0.1:0").await?];
    let [client, peer] = listeners.each_ref().map(|listener| listener.local_addr().to_string());
    drop(listeners);
    let mut process = Command::new("etcd")
        .arg(format!("--data-dir={}", data.path().display()))
        .arg(format!("--listen-client-urls=http://{client}"))
        .arg(format!("--advertise-client-urls=http://{client}"))
        .arg(format!("--listen-peer-urls=http://{peer}"))
        .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
        .arg(format!("--initial-cluster=default=http://{peer}"))
        .args(["--log-level=error", "--snapshot-count=5000"])
        .stderr(Stdio::null())
        .spawn()?;
    drop(connect(&client).await?);
    if process.try_wait()?.is_some() {
        return Err("etcd ended: another process has its port".into());
    }
    let result = measure("etcd", &client).await;
    process.kill()?;
    process.wait()?;
    result
}

async fn measure(name: &str, authority: &str) -> Result<(), Failure> {
    let client = connect(authority).await?;
    for (count, bytes) in [(2000, 256), (500, 64 << 10)] {
        let mut times = appends(client.clone(), count, bytes).await?;
        times.sort();
        let at = |part: usize| times[times.len() * part / 100].as_micros();
        println!(
            "{name:9} fenced append {bytes:6} B: p50 {} us, p99 {} us",
            at(50),
            at(99)
        );
    }
    for writers in [64, 256] {
        let done = rate(authority, writers, 20_000, Write::Put).await?;
        println!("{name:9} puts of 256 B, {writers} at once: {done:.0}/s");
        let done = rate(authority, writers, 20_000, Write::Fenced).await?;
        println!("{name:9} fenced puts of 256 B, {writers} at once: {done:.0}/s");
    }
    Ok(())
}

async fn connect(authority: &str) -> Result<Client, Failure> {
    loop {
        let channel = etcd_client::Channel::Tonic(Net::Os.channel(authority));
        let mut client = Client::from_channel(channel, None).await?;
        if client.put("leader", "me", None).await.is_ok() {
            return Ok(client);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn append(n: usize, value: Vec<u8>) -> Txn {
    let slot = format!("segment/{}/{n:020}", value.len());
    Txn::new()
        .when([
            Compare::create_revision("leader", CompareOp::Greater, 0),
            Compare::create_revision(slot.clone(), CompareOp::Equal, 0),
        ])
        .and_then([TxnOp::put(slot.clone(), value, None)])
        .or_else([TxnOp::get("leader", None), TxnOp::get(slot, None)])
}

/// Appends one after the other; the time of each.
#[allow(clippy::disallowed_methods, reason = "a stopwatch of real time is the point")]
async fn appends(mut client: Client, count: usize, bytes: usize) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        let txn = append(n, vec![7; bytes]);
        let start = Instant::now();
        let response = client.txn(txn).await?;
        if !response.succeeded() {
            return Err(format!("append {n} of {bytes} bytes was refused: {:?}", response.op_responses()).into());
        }
        times.push(start.elapsed());
    }
    Ok(times)
}

#[derive(Clone, Copy)]
enum Write {
    Put,
    Fenced,
}

impl Write {
    async fn send(self, client: &mut Client, key: String) -> Result<(), etcd_client::Error> {
        let value = vec![7; 256];
        match self {
            Write::Put => client.put(key, value, None).await.map(drop),
            Write::Fenced => {
                let fence = Compare::create_revision("leader", CompareOp::Greater, 0);
                client
                    .txn(Txn::new().when([fence]).and_then([TxnOp::put(key, value, None)]))
                    .await
                    .map(drop)
            }
        }
    }
}

/// Writes per second of `writers` that share four connections.
#[allow(clippy::disallowed_methods, reason = "a stopwatch of real time is the point")]
async fn rate(authority: &str, writers: usize, total: usize, write: Write) -> Result<f64, Failure> {
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(connect(authority).await?);
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let mut client = clients[writer % clients.len()].clone();
        tasks.spawn(async move {
            for n in 0..total / writers {
                write.send(&mut client, format!("key/{writer}/{n}")).await?;
            }
            Ok::<_, etcd_client::Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

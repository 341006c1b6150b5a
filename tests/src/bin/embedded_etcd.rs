//! The embedded etcd alone, for tests that need it as a process: to kill it, to trace it, to point `etcdctl` at it.
//!
//! `embedded_etcd DATA_DIR` prints `ready HOST:PORT` and serves until its standard input closes.

use futures::stream;
use lepton_core::net::Net;
use lepton_embedded_etcd::Config;
use std::{
    error::Error,
    io::{self, Read},
};
use tokio::task::spawn_blocking;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data_dir = std::env::args_os().nth(1).ok_or("usage: embedded_etcd DATA_DIR")?;
    let server = Config::new(data_dir).build()?;
    let listener = Net::Os.bind("127.0.0.1:0").await?;
    println!("ready {}", listener.local_addr());
    let incoming = stream::unfold(listener, async |listener| {
        let connection = listener.accept().await.map(|(stream, _)| stream);
        Some((connection, listener))
    });
    let parent_gone = async {
        // Whatever is written is not meant for us; the end of it is.
        drop(spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await);
    };
    Ok(server.run(incoming, parent_gone).await?)
}

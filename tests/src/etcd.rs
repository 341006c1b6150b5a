//! Real etcd members for a test.
//!
//! Promises: on free ports, in a directory that goes with it; members can be killed, started again, frozen and thawed;
//! nothing is left behind when it is dropped, also by a failing or a killed test. A missing `etcd` binary fails the test.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use etcd_client::{Channel, Client};
use lepton_coordination::etcd::Etcd;
use lepton_core::context::Context;
use lepton_core::net::Net;
use tempfile::TempDir;

use crate::child_guard;
use crate::process;
use crate::wait::eventually;

/// How long a cluster may take to answer.
const START_MAX: Duration = Duration::from_secs(20);

/// How often other ports are tried when one was taken meanwhile.
const ATTEMPTS: u32 = 3;

/// What a test says whose etcd does not run.
const ENDS: &str = "etcd ends at once: see its output above, and whether it is installed (Debian: etcd-server)";

/// A cluster of etcd processes.
#[derive(Debug)]
pub struct RealEtcd {
    members: Vec<Member>,
    directory: TempDir,
    /// What all members are told of each other.
    cluster: String,
}

#[derive(Debug)]
struct Member {
    name: String,
    client_port: u16,
    peer_port: u16,
    process: Option<Child>,
}

impl RealEtcd {
    /// Starts so many members and waits until they answer.
    pub async fn start(members: usize) -> Self {
        for _ in 1..ATTEMPTS {
            let mut etcd = Self::spawn(members).await;
            if etcd.answers_or_dies().await {
                return etcd;
            }
        }
        let mut last = Self::spawn(members).await;
        assert!(last.answers_or_dies().await, "{ENDS}");
        last
    }

    async fn spawn(members: usize) -> Self {
        let mut cluster = Self {
            members: Vec::new(),
            directory: directory(),
            cluster: String::new(),
        };
        for number in 0..members {
            let (client_port, peer_port) = (free_port().await, free_port().await);
            cluster.members.push(Member {
                name: format!("m{number}"),
                client_port,
                peer_port,
                process: None,
            });
        }
        let peers = cluster
            .members
            .iter()
            .map(|member| format!("{}={}", member.name, url(member.peer_port)));
        cluster.cluster = peers.collect::<Vec<_>>().join(",");
        (0..members).for_each(|number| cluster.launch(number));
        cluster
    }

    /// `host:port` of every member.
    pub fn endpoints(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| format!("127.0.0.1:{}", member.client_port))
            .collect()
    }

    /// A handle on all members, for the mesh called `cluster`.
    pub fn connect(&self, context: &Context, cluster: &str) -> Etcd {
        Etcd::connect(context, &self.endpoints(), cluster)
    }

    /// The client library itself, on the first member, for what the mesh's handle does not do.
    pub async fn client(&self) -> Client {
        let channel = Channel::Tonic(Net::Os.channel(&self.endpoints()[0]));
        Client::from_channel(channel, None)
            .await
            .expect("without credentials nothing is called")
    }

    /// Where a member keeps its data, to be copied or replaced while it does not run.
    pub fn data(&self, member: usize) -> PathBuf {
        self.directory.path().join(&self.members[member].name)
    }

    /// Kills a member as a power cut would.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut process) = self.members[member].process.take() {
            // It may have ended by itself; either way it is gone afterwards.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts a member that was killed, on its old ports and data, and waits until it listens: as soon as the ports are
    /// free again, which somebody may have taken meanwhile.
    pub async fn restart(&mut self, member: usize) {
        for _ in 1..ATTEMPTS {
            if self.listens_or_dies(member).await {
                return;
            }
        }
        assert!(self.listens_or_dies(member).await, "{ENDS}");
    }

    /// `false` when the member has ended, as it does when somebody was faster at its port.
    async fn listens_or_dies(&mut self, member: usize) -> bool {
        let this = &self.members[member];
        let ports = [this.client_port, this.peer_port].map(|port| format!("127.0.0.1:{port}"));
        eventually(START_MAX, || async {
            Net::Os.bind(&ports[0]).await.is_ok() && Net::Os.bind(&ports[1]).await.is_ok()
        })
        .await;
        self.launch(member);
        let process = &mut self.members[member].process;
        // The port for its peers is open whether or not there are enough of them.
        eventually(START_MAX, || {
            let dead = process.as_mut().is_none_or(has_ended);
            let peers = Net::Os.connect(&ports[1]);
            async move {
                if dead {
                    Some(false)
                } else {
                    peers.await.ok().map(|_| true)
                }
            }
        })
        .await
    }

    fn launch(&mut self, member: usize) {
        let this = &self.members[member];
        let (client, peer) = (url(this.client_port), url(this.peer_port));
        let mut command = child_guard::command("etcd");
        command.args([
            "--name",
            &this.name,
            "--snapshot-count",
            "5000",
            "--log-level",
            "error",
            "--logger",
            "zap",
        ]);
        command.arg("--data-dir").arg(self.directory.path().join(&this.name));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args([
            "--initial-cluster",
            &self.cluster,
            "--initial-cluster-token",
            &self.cluster,
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = child_guard::spawn(command).expect("setpriv can be started");
        self.members[member].process = Some(process);
    }

    /// Freezes a member: it keeps its sockets and answers nothing.
    pub fn freeze(&self, member: usize) {
        self.signal(member, "STOP");
    }

    /// Lets a frozen member go on.
    pub fn thaw(&self, member: usize) {
        self.signal(member, "CONT");
    }

    /// Waits until a read through all members succeeds.
    pub async fn answers(&self) {
        let etcd = self.connect(&Context::system(), "probe");
        eventually(START_MAX, || etcd.get("probe")).await;
    }

    fn signal(&self, member: usize, signal: &str) {
        if let Some(member) = &self.members[member].process {
            process::signal(member.id(), signal);
        }
    }

    /// `false` when a member has ended, as it does when its port is taken.
    async fn answers_or_dies(&mut self) -> bool {
        let etcd = self.connect(&Context::system(), "probe");
        let members = &mut self.members;
        let mut ended = || {
            members
                .iter_mut()
                .filter_map(|member| member.process.as_mut())
                .any(has_ended)
        };
        eventually(START_MAX, || {
            let (dead, read) = (ended(), etcd.get("probe"));
            async move {
                if dead {
                    Some(false)
                } else {
                    read.await.ok().map(|_| true)
                }
            }
        })
        .await
    }
}

impl Drop for RealEtcd {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|member| self.kill(member));
    }
}

fn has_ended(process: &mut Child) -> bool {
    !matches!(process.try_wait(), Ok(None))
}

fn directory() -> TempDir {
    tempfile::Builder::new()
        .prefix("lepton-etcd-")
        .tempdir()
        .expect("a temporary directory can be made")
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().port()
}

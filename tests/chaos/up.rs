//! kill -9 under `lepton up`: of a worker, which is started again, and of the whole mesh, which a new start continues.

use std::sync::Arc;
use std::time::Duration;

use lepton_tests::mesh::{Options, Up};
use lepton_tests::process::{children, is_alive, signal};
use lepton_tests::wait::eventually;

use crate::audit::{Audit, settled};
use crate::load::{Load, Plan};
use crate::serial::{PATIENCE, Watch, exclusive};

/// When to strike: in the middle of the load.
const STRIKE_AT: usize = 3_000;
/// Seconds, not minutes.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_and_another_takes_its_place() {
    let _exclusive = exclusive().await;
    let up = Up::fresh().await;
    let before = children(up.process.pid());
    assert_eq!(before.len(), 2, "{before:?}");
    let load = Load::start(&[up.rest().authority().to_owned()], Plan::FULL);
    load.reached(STRIKE_AT).await;
    let victim = before[0].0;
    signal(victim, "KILL");
    let killed = Watch::start();
    let again = || async {
        let now = children(up.process.pid());
        now.len() == before.len() && now.iter().all(|(pid, _)| *pid != victim)
    };
    eventually(PATIENCE, again).await;
    let respawned = killed.elapsed();
    let tally = load.done().await;
    settled(&up.rest()).await;
    let audit = Audit::of(&up.etcd).await;
    audit.ended_once(&tally);
    let lost = audit.events("attempt_lost").count();
    println!("a worker of `lepton up` died: {lost} attempts lost, another process after {respawned:.1?}");
    assert!(respawned < RECOVERY_MAX, "{respawned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_mesh_dies_and_a_new_start_goes_on() {
    let _exclusive = exclusive().await;
    let mut up = Up::fresh().await;
    let (data, pid) = (Arc::clone(&up.data), up.process.pid());
    let listen = up.rest().authority().to_owned();
    let load = Load::start(std::slice::from_ref(&listen), Plan::FULL);
    load.reached(STRIKE_AT).await;
    let workers = children(pid);
    let killed = load.elapsed();
    up.process.kill();
    let orphans = || async { !workers.iter().any(|(worker, _)| is_alive(*worker)) };
    eventually(PATIENCE, orphans).await;
    drop(up);
    // On the same address, so that the client finds it by itself.
    let up = Up::start(Options {
        data: Some(data),
        listen,
        ..Options::default()
    })
    .await;
    let ready = load.elapsed().saturating_sub(killed);
    let tally = load.done().await;
    let pause = tally.pause_after(killed);
    settled(&up.rest()).await;
    Audit::of(&up.etcd).await.ended_once(&tally);
    println!("`lepton up` died: ready again after {ready:.1?}, {pause:.1?} without an acknowledgement");
    assert!(pause < RECOVERY_MAX, "{pause:?}");
}

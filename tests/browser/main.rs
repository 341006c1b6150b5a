//! The console in a real browser: headless Chromium, driven by a Python script, against separate services on a real etcd.
//!
//! The script reads pages and presses buttons; what happens to processes is asked of this program, a line at a time.
//! Screenshots of every page, light and dark, wide and narrow, are left in `screenshots/` of the target directory.

mod drive;

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};

use drive::Drive;

const SIZES: Sizes = Sizes {
    gateways: 1,
    schedulers: 2,
    workers: 2,
    monitors: 1,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_the_mesh_to_people() {
    let mut cluster = Cluster::start_on(RealEtcd::start(1).await, SIZES, Special::default()).await;
    let gateway = cluster.rest(0).authority().to_owned();
    let console = cluster.of("monitor")[0].address.clone();
    let victim = cluster.of("worker")[0].instance.clone();
    let mut drive = Drive::start("console.py", &[&console, &gateway, &victim]);
    while let Some(line) = drive.line().await {
        match line.split_once(' ') {
            Some(("kill", instance)) => cluster.instance(instance).process.kill(),
            Some(("revive", instance)) => drop(cluster.revive(instance).await),
            Some(("said", words)) => {
                println!("{words}");
                continue;
            }
            _ => panic!("the script asks for {line:?}"),
        }
        drive.answer().await;
    }
    drive.end().await;
}

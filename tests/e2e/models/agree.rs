//! Two gateways, one registry.

use std::collections::BTreeSet;

use http::Method;
use lepton_tests::mesh::{Cluster, Sizes};

use super::{call, deploy, push, slope};

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_agree_and_do_not_undo_each_other() {
    let mesh = Cluster::start(Sizes {
        gateways: 2,
        schedulers: 1,
        workers: 2,
        monitors: 0,
    });
    let mesh = mesh.await;
    let (one, two) = (&mesh.rest(0), &mesh.rest(1));
    let (left, right) = tokio::join!(push(one, "same", 1.0), push(two, "same", 1.0));
    assert_eq!(left, right, "one file, one version");
    let pushes = (0..6_u32).map(|n| push([one, two][n as usize % 2], "many", f64::from(n)));
    let versions = futures::future::join_all(pushes).await;
    let numbers: BTreeSet<u64> = versions.iter().filter_map(|it| it["version"].as_u64()).collect();
    assert_eq!(numbers, (1..=6).collect());
    for (at, other, version) in [(one, two, 1), (two, one, 2), (one, two, 3)] {
        let model = deploy(at, "many", version).await;
        assert_eq!(
            call(other, Method::GET, "many", "").await["deployedVersion"],
            model["deployedVersion"]
        );
        let wanted = versions
            .iter()
            .position(|it| it["version"] == version)
            .map(|index| index as f64);
        assert_eq!(Some(slope(at, "many").await), wanted);
    }
    let (left, right) = tokio::join!(deploy(one, "many", 4), deploy(two, "many", 4));
    assert_eq!(left["deployedVersion"], right["deployedVersion"]);
}

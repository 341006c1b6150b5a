//! A member that takes connections and says nothing, as one that is cut off from the network.

use super::*;
use lepton_core::net::Net;

#[tokio::test]
async fn a_silent_member_is_left_for_the_next_one_although_its_deadline_is_far() {
    let silent = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
    let address = silent.local_addr().to_string();
    let etcd = Etcd::connect(&Context::system(), &[address.clone(), address], "test");
    let (before, _client) = etcd.shared.unary.current();
    assert!(!etcd.answers(Duration::from_millis(20)).await);
    assert_eq!(etcd.shared.unary.current().0, before + 1);
}

//! Deadlines and keys of leases.

use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn ends_in_order_of_deadline() {
    let mut leases = Leases::default();
    assert_eq!(leases.next_deadline(), None);
    leases.grant(1, 10, seconds(0)).unwrap();
    leases.grant(2, 5, seconds(1)).unwrap();
    leases.grant(3, 5, seconds(2)).unwrap();
    assert_eq!(
        (leases.next_deadline(), leases.expired(seconds(5))),
        (Some(seconds(6)), None)
    );
    leases.renew(2, seconds(5)).unwrap();
    assert_eq!(leases.expired(seconds(8)), Some(3));
    leases.revoke(3).unwrap();
    assert_eq!(leases.expired(seconds(8)), None);
    assert_eq!(leases.list().collect::<Vec<_>>(), [(1, 10), (2, 5)]);
    leases.renew_all(seconds(100));
    assert_eq!(leases.next_deadline(), Some(seconds(105)));
}

#[test]
fn keeps_to_its_limits() {
    let mut leases = Leases::default();
    assert_eq!(leases.grant(1, -3, seconds(0)), Ok(TTL_MIN_SECONDS));
    assert_eq!(leases.grant(1, 10, seconds(0)), Err(RpcError::LeaseExists));
    assert_eq!(leases.grant(2, TTL_MAX_SECONDS, seconds(0)), Ok(TTL_MAX_SECONDS));
    assert_eq!(
        leases.grant(3, TTL_MAX_SECONDS + 1, seconds(0)),
        Err(RpcError::LeaseTtlTooLarge)
    );
    assert_eq!(leases.renew(3, seconds(0)), Err(RpcError::LeaseNotFound));
    assert_eq!(
        leases.remaining(1, seconds(1)),
        Some(Remaining {
            seconds: 1,
            granted_seconds: 2
        })
    );
    assert_eq!(
        leases.remaining(1, seconds(9)),
        Some(Remaining {
            seconds: 0,
            granted_seconds: 2
        })
    );
}

#[test]
fn a_key_hangs_on_one_lease() {
    let mut leases = Leases::default();
    leases.grant(1, 10, seconds(0)).unwrap();
    leases.grant(2, 10, seconds(0)).unwrap();
    let (a, b) = (Bytes::from("a"), Bytes::from("b"));
    leases.reattach(&b, 0, 1);
    leases.reattach(&a, 0, 1);
    assert_eq!(leases.keys(1), [a.clone(), b.clone()]);
    leases.reattach(&a, 1, 2);
    leases.reattach(&b, 1, 0);
    assert_eq!((leases.keys(1), leases.keys(2)), (vec![], vec![a.clone()]));
    assert_eq!(leases.revoke(2).unwrap().into_iter().collect::<Vec<_>>(), [a]);
}

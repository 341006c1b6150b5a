//! Replay and snapshots give the same state; ids and errors of leases.

use super::*;
use crate::wire::{Operation, RequestOp};
use bytes::Bytes;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Put { key: u8, lease: i64 },
    Delete { from: u8, to: u8 },
    Txn { put: u8, delete: u8 },
    Grant(i64),
    Revoke(i64),
    Compact,
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..6u8, 0..4i64).prop_map(|(key, lease)| Act::Put { key, lease }),
        1 => (0..6u8, 0..7u8).prop_map(|(from, to)| Act::Delete { from, to }),
        2 => (0..6u8, 0..6u8).prop_map(|(put, delete)| Act::Txn { put, delete }),
        2 => (1..4i64).prop_map(Act::Grant),
        1 => (1..4i64).prop_map(Act::Revoke),
        1 => Just(Act::Compact),
        1 => (0..4u64).prop_map(Act::Wait),
    ];
    proptest::collection::vec(act, 1..80)
}

fn key(number: u8) -> Bytes {
    Bytes::from(vec![b'a' + number])
}

/// Runs `acts`; refusals are part of the game.
fn play(machine: &mut Machine, acts: &[Act]) {
    let mut now = Duration::ZERO;
    for act in acts {
        match act {
            Act::Put { key: number, lease } => {
                let value = Bytes::from_static(b"value");
                machine
                    .put(&PutRequest {
                        key: key(*number),
                        value,
                        lease: *lease,
                        ..PutRequest::default()
                    })
                    .ok();
            }
            Act::Delete { from, to } => {
                let request = DeleteRangeRequest {
                    key: key(*from),
                    range_end: key(*to),
                    prev_kv: false,
                };
                machine.delete(&request).ok();
            }
            Act::Txn { put, delete } => {
                let put = PutRequest {
                    key: key(*put),
                    ..PutRequest::default()
                };
                let delete = DeleteRangeRequest {
                    key: key(*delete),
                    ..DeleteRangeRequest::default()
                };
                let op = |operation| RequestOp {
                    request: Some(operation),
                };
                let success = vec![op(Operation::Put(put)), op(Operation::Delete(delete))];
                machine
                    .txn(&TxnRequest {
                        success,
                        ..TxnRequest::default()
                    })
                    .ok();
            }
            Act::Grant(id) => drop(machine.grant(&LeaseGrantRequest { ttl: 5, id: *id }, now)),
            Act::Revoke(id) => drop(machine.revoke(&LeaseRevokeRequest { id: *id })),
            Act::Compact => drop(machine.compact(&CompactionRequest {
                revision: machine.store.revision() - 1,
            })),
            Act::Wait(seconds) => {
                now += Duration::from_secs(*seconds);
                machine.expire(now);
            }
        }
    }
}

/// Keys by lease.
type Attached = Vec<(i64, Vec<Bytes>)>;

/// All that is recorded of a machine, in a form that can be compared.
fn state(machine: &Machine) -> (Base, Vec<Granted>, Vec<Version>, Attached) {
    let image = machine.image();
    let mut leases = image.leases;
    leases.sort_by_key(|granted| granted.id);
    let keys = leases
        .iter()
        .map(|granted| (granted.id, machine.leases.keys(granted.id)))
        .collect();
    let versions = image
        .versions
        .iter()
        .map(|version| Version::from(Change::from(version.as_ref())))
        .collect();
    (image.base, leases, versions, keys)
}

fn history(machine: &Machine) -> Vec<Change> {
    machine
        .store
        .changes_since(machine.store.compacted())
        .map(|version| Change::from(version.as_ref()))
        .collect()
}

proptest! {
    #[test]
    fn replay_gives_the_same_state(acts in acts()) {
        let mut machine = Machine::new(0);
        play(&mut machine, &acts);
        let entries = machine.take_fresh();
        prop_assert_eq!(machine.index(), entries.len() as u64);
        let mut replayed = Machine::new(0);
        entries.into_iter().for_each(|entry| replayed.replay(entry));
        prop_assert_eq!(state(&replayed), state(&machine));
        prop_assert_eq!(history(&replayed), history(&machine));
        prop_assert!(replayed.take_fresh().is_empty());
    }

    #[test]
    fn an_image_gives_the_same_state(before in acts(), after in acts()) {
        let mut machine = Machine::new(0);
        play(&mut machine, &before);
        let (base, leases, versions, _) = state(&machine);
        let mut restored = Machine::restore(0, base, leases, versions);
        prop_assert_eq!(state(&restored), state(&machine));
        prop_assert_eq!(history(&restored), history(&machine));
        machine.renew_leases(Duration::ZERO);
        restored.renew_leases(Duration::ZERO);
        play(&mut machine, &after);
        play(&mut restored, &after);
        prop_assert_eq!(state(&restored), state(&machine));
    }
}

#[test]
fn picked_lease_ids_are_new_over_restarts() {
    let mut machine = Machine::new(7);
    let mut ids = std::collections::BTreeSet::new();
    for round in 0..100 {
        let granted = machine
            .grant(&LeaseGrantRequest { ttl: 5, id: 0 }, Duration::ZERO)
            .expect("a fresh id");
        assert!(granted.id > 0 && ids.insert(granted.id));
        machine
            .revoke(&LeaseRevokeRequest { id: granted.id })
            .expect("it was granted");
        if round % 10 == 0 {
            let (base, leases, versions, _) = state(&machine);
            machine = Machine::restore(7, base, leases, versions);
        }
    }
    let other = Machine::new(8)
        .grant(&LeaseGrantRequest { ttl: 5, id: 0 }, Duration::ZERO)
        .expect("a fresh id");
    assert!(!ids.contains(&other.id), "another seed picks others");
}

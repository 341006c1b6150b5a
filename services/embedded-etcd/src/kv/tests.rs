//! The store against a model that keeps a whole map for every revision.

use super::*;
use crate::keyrange::KeyRange;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Value and create revision, version, mod revision by key.
type Map = BTreeMap<Bytes, (Bytes, i64, i64, i64)>;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8, u8),
}

#[derive(Clone, Debug)]
enum Act {
    Txn(Vec<Step>),
    Compact(u8),
}

fn key(number: u8) -> Bytes {
    Bytes::from(vec![b'a' + number])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6u8, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
        (0..6u8, 0..7u8).prop_map(|(a, b)| Step::Delete(a, b))
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let txn = proptest::collection::vec(step(), 0..4).prop_map(Act::Txn);
    let act = prop_oneof![5 => txn, 1 => (0..20u8).prop_map(Act::Compact)];
    proptest::collection::vec(act, 1..60)
}

/// Runs a transaction on both; a key that it changed already is left alone, as `check` would refuse it.
fn run(store: &mut Store, model: &mut Vec<Map>, steps: &[Step]) {
    let mut map = model.last().expect("the empty store at least").clone();
    let revision = model.len() as i64;
    let mut changed = std::collections::BTreeSet::new();
    for step in steps {
        match step {
            Step::Put(k, v) if changed.insert(key(*k)) => {
                store.put(&key(*k), &[*v], 0);
                let (created, version) = map.get(&key(*k)).map_or((revision, 1), |old| (old.1, old.2 + 1));
                map.insert(key(*k), (Bytes::from(vec![*v]), created, version, revision));
            }
            Step::Put(..) => {}
            Step::Delete(from, to) => {
                let range = KeyRange::Between(key(*from), key(*to));
                let doomed: Vec<Bytes> = map.keys().filter(|key| range.contains(key)).cloned().collect();
                if doomed.iter().any(|key| changed.contains(key)) {
                    continue;
                }
                let deleted: Vec<Bytes> = store.delete(&range).iter().map(|version| version.key.clone()).collect();
                assert_eq!(deleted, doomed);
                for key in doomed {
                    map.remove(&key);
                    changed.insert(key);
                }
            }
        }
        let seen = read(store, 0).expect("the head is readable");
        assert_eq!(seen, map, "an open transaction reads its own writes");
    }
    if store.close().is_empty() {
        assert_eq!(&map, model.last().expect("the empty store at least"));
    } else {
        model.push(map);
    }
}

fn read(store: &Store, revision: i64) -> Result<Map, RpcError> {
    let request = RangeRequest {
        key: Bytes::from_static(&[0]),
        range_end: Bytes::from_static(&[0]),
        revision,
        ..RangeRequest::default()
    };
    let kvs = store.range(&request)?.kvs.into_iter();
    Ok(kvs
        .map(|kv| (kv.key, (kv.value, kv.create_revision, kv.version, kv.mod_revision)))
        .collect())
}

/// What a watch from `from` on would hear, by the model: keys that differ between neighbouring revisions.
fn changes(model: &[Map], from: i64) -> Vec<(i64, Bytes)> {
    let mut found = Vec::new();
    for revision in from.max(2)..model.len() as i64 {
        let (old, new) = (&model[revision as usize - 1], &model[revision as usize]);
        let written = new.iter().filter(|(_, value)| value.3 == revision).map(|(key, _)| key);
        let deleted = old.keys().filter(|key| !new.contains_key(*key));
        let mut keys: Vec<_> = written.chain(deleted).map(|key| (revision, key.clone())).collect();
        keys.sort();
        found.extend(keys);
    }
    found
}

proptest! {
    #[test]
    fn every_readable_revision_is_what_it_was(acts in acts()) {
        // Revision 0 does not exist, 1 is empty.
        let mut model = vec![Map::new(), Map::new()];
        let mut store = Store::default();
        for act in &acts {
            match act {
                Act::Txn(steps) => run(&mut store, &mut model, steps),
                Act::Compact(back) => {
                    let at = store.revision() - i64::from(*back);
                    let allowed = at > store.compacted();
                    prop_assert_eq!(store.compact(at).is_ok(), allowed);
                }
            }
            prop_assert_eq!(store.revision(), model.len() as i64 - 1);
        }
        for revision in 1..model.len() as i64 {
            if revision < store.compacted() {
                prop_assert_eq!(read(&store, revision), Err(RpcError::Compacted));
            } else {
                prop_assert_eq!(read(&store, revision), Ok(model[revision as usize].clone()));
            }
        }
        prop_assert_eq!(read(&store, model.len() as i64), Err(RpcError::FutureRevision));
        let from = store.compacted() + 1;
        let mut received: Vec<_> = store.changes_since(from).map(|v| (v.modified.main, v.key.clone())).collect();
        received.sort();
        prop_assert_eq!(received, changes(&model, from));
        let held: usize = store.versions().map(|version| version.size()).sum();
        prop_assert_eq!(store.bytes(), held);
        let readable: usize = store.changes_since(0).map(|version| version.size()).sum();
        prop_assert_eq!(store.history_bytes(), readable as u64);
    }

    #[test]
    fn a_whole_compaction_leaves_only_what_lives(steps in proptest::collection::vec(step(), 1..60)) {
        let mut model = vec![Map::new(), Map::new()];
        let mut store = Store::default();
        for step in steps {
            run(&mut store, &mut model, &[step]);
        }
        store.compact(store.revision()).expect("never compacted before");
        let living = model.last().expect("the empty store at least").len();
        prop_assert_eq!(store.versions().count(), living);
    }
}

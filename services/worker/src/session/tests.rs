//! The worker's hello.

use super::*;

#[test]
fn a_hello_declares_the_identity() {
    let identity = WorkerIdentity {
        instance: InstanceId::new("worker-1"),
        slots: 4,
        kinds: vec!["echo".to_owned()],
        labels: [("zone".to_owned(), "a".to_owned())].into(),
    };
    let hello = identity.hello();
    assert_eq!((hello.worker.as_str(), hello.slots), ("worker-1", 4));
    assert_eq!((hello.kinds, hello.labels), (identity.kinds, identity.labels));
}

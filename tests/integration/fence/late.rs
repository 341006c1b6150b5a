//! Answers that do not come, and requests that come late.

use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use lepton_domain::ledger::Command;
use lepton_journal::Replica;
use lepton_journal::append::AppendError;
use lepton_journal::takeover::take_over;
use lepton_proto::journal::v1::Mark;
use lepton_tests::proxy::{Connection, Direction, Flow, Proxy};
use lepton_tests::wait::eventually;

use super::fixture::{Fixture, Leader, PATIENCE, submit};

/// Less than the deadline of a call to etcd, more than etcd needs.
const A_WHILE: Duration = Duration::from_millis(300);
/// An append is larger, the words of a connection about itself (acknowledgements, windows) are smaller.
const APPEND_BYTES_MIN: usize = 200;

/// A leader behind a proxy; the undisturbed way is its second choice if `two_ways`.
async fn behind_proxy(fixture: &Fixture, two_ways: bool) -> (Proxy, Leader) {
    let proxy = Proxy::start(fixture.address()).await;
    let direct = fixture.address();
    let addresses = if two_ways {
        vec![proxy.address(), &direct]
    } else {
        vec![proxy.address()]
    };
    let etcd: Etcd = fixture.through(&addresses);
    let leader = fixture.lead_through(&etcd, "scheduler-1").await;
    (proxy, leader)
}

/// The connection that carries the leader's calls: the one that has been opened last.
fn carrier(proxy: &Proxy) -> Connection {
    proxy.connections().pop().expect("the leader has called")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_answer_settles_by_repetition() {
    let fixture = Fixture::start().await;
    let (proxy, mut leader) = behind_proxy(&fixture, false).await;
    leader.submit(1).await.unwrap();
    let next = leader.writer.position().segment + 1;

    let connection = carrier(&proxy);
    connection.set(Direction::ToClient, Flow::Hold);
    let draft = leader.submission(2);
    let mut writer = leader.writer;
    let append = tokio::spawn(async move {
        let outcome = writer.append(draft).await;
        (writer, outcome)
    });
    fixture.segment(next).await;
    eventually(PATIENCE, || async { connection.holds(Direction::ToClient) }).await;
    assert!(!append.is_finished(), "no answer, no commit");
    // What it held is lost; the repetition goes through a new connection.
    connection.cut();

    let (mut writer, outcome) = append.await.unwrap();
    assert_eq!(outcome.unwrap().segment, next);
    assert_eq!(writer.position().segment, next);
    writer.confirm().await.unwrap();
    let verification = fixture.verified().await;
    assert_eq!(
        (verification.segment_count, verification.tasks.len()),
        (next, 2),
        "once, not twice"
    );
    assert_eq!(fixture.replica().await.ledger.digest(), leader.ledger.digest());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_was_given_up_is_settled_before_anything_else() {
    let fixture = Fixture::start().await;
    let (proxy, mut leader) = behind_proxy(&fixture, false).await;
    let next = leader.writer.position().segment + 1;
    let connection = carrier(&proxy);
    connection.set(Direction::ToClient, Flow::Hold);
    let draft = leader.submission(1);
    let gave_up = tokio::time::timeout(A_WHILE, leader.writer.append(draft)).await;
    assert!(gave_up.is_err());
    fixture.segment(next).await;

    let second = leader.submission(2);
    assert_eq!(leader.writer.append(second.clone()).await, Err(AppendError::Unsettled));
    assert_eq!(leader.writer.confirm().await, Err(AppendError::Unsettled));
    connection.cut();
    leader.writer.settle().await.unwrap();
    assert_eq!(leader.writer.position().segment, next);
    leader.writer.append(second).await.unwrap();
    assert_eq!(fixture.replica().await.ledger.digest(), leader.digest());
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_lands_after_its_leader_was_deposed_changes_nothing() {
    let fixture = Fixture::start().await;
    let (proxy, mut old) = behind_proxy(&fixture, false).await;
    old.submit(1).await.unwrap();

    let connection = carrier(&proxy);
    connection.set(Direction::ToServer, Flow::Hold);
    let (epoch, draft) = (old.leadership.epoch, old.submission(2));
    let append = tokio::spawn(async move { old.writer.append(draft).await });
    eventually(PATIENCE, || async { connection.holds(Direction::ToServer) }).await;

    fixture.evict(epoch).await;
    let mut new = fixture.lead("scheduler-2").await;
    new.submit(3).await.unwrap();
    connection.set(Direction::ToServer, Flow::Pass);

    assert_eq!(
        append.await.unwrap(),
        Err(AppendError::Fenced {
            definitely_not_committed: true
        })
    );
    let replica = fixture.replica().await;
    assert_eq!(replica.ledger.digest(), new.digest());
    assert_eq!(replica.position.segment, new.writer.position().segment);
    fixture.verified().await;
}

/// Waits until the connection holds an append and nothing else: what a connection says of itself may come first, and is
/// small.
async fn hold_append(connection: &Connection) {
    let mut passed = None;
    eventually(PATIENCE, || {
        let held = connection.held(Direction::ToServer);
        let before = connection.passed(Direction::ToServer);
        // Once for each piece: a second word would let the append pass.
        if (1..APPEND_BYTES_MIN).contains(&held) && passed != Some(before) {
            passed = Some(before);
            connection.pass_held(Direction::ToServer);
        }
        std::future::ready(held >= APPEND_BYTES_MIN)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_lands_after_its_slot_was_trimmed_changes_nothing() {
    let fixture = Fixture::start().await;
    let (proxy, mut leader) = behind_proxy(&fixture, true).await;
    leader.submit(1).await.unwrap();

    // The first copy is on its way for a long time; the second, through the other door, commits.
    let connection = carrier(&proxy);
    connection.set(Direction::ToServer, Flow::Hold);
    let submit = tokio::spawn(async move {
        let late = leader.submit(2).await.unwrap().segment;
        (leader, late)
    });
    hold_append(&connection).await;
    let (mut leader, late) = submit.await.unwrap();
    leader.submit_all(3..6).await;
    leader.snapshot().await;
    leader.submit(6).await.unwrap();
    leader.snapshot().await;
    assert!(leader.writer.position().floor > late);
    assert!(leader.trim().await >= late);
    let key = fixture.etcd.keys().segment(late);
    assert!(fixture.etcd.get(key.as_str()).await.unwrap().is_none(), "trimmed");

    // The copy lands, the cancellation that the client sent behind it does not.
    assert!(connection.holds(Direction::ToServer));
    connection.set(Direction::ToClient, Flow::Hold);
    connection.pass_held(Direction::ToServer);
    eventually(PATIENCE, || async { connection.holds(Direction::ToClient) }).await;

    assert!(
        fixture.etcd.get(key.as_str()).await.unwrap().is_none(),
        "the slot stays empty"
    );
    leader.submit(7).await.unwrap();
    assert_eq!(fixture.replica().await.ledger.digest(), leader.digest());
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_whose_answer_was_lost_is_repeated() {
    let fixture = Fixture::start().await;
    let (proxy, mut leader) = behind_proxy(&fixture, false).await;
    for number in 1..4 {
        leader.submit(number).await.unwrap();
        leader.snapshot().await;
    }
    let before = fixture.etcd.get(fixture.etcd.keys().manifest()).await.unwrap().unwrap();
    leader.submit(4).await.unwrap();

    let connection = carrier(&proxy);
    connection.set(Direction::ToClient, Flow::Hold);
    let swap = tokio::spawn(async move {
        leader.snapshot().await;
        leader
    });
    // The writer looks at the chunks first: those answers pass, that to the swap is lost.
    loop {
        eventually(PATIENCE, || async { connection.holds(Direction::ToClient) }).await;
        let now = fixture.etcd.get(fixture.etcd.keys().manifest()).await.unwrap().unwrap();
        if now.mod_revision() > before.mod_revision() {
            break;
        }
        connection.pass_held(Direction::ToClient);
    }
    assert!(!swap.is_finished(), "no answer, no swap");
    connection.cut();
    let mut leader = swap.await.unwrap();
    leader.submit(5).await.unwrap();
    let replica = fixture.replica().await;
    assert_eq!(replica.ledger.digest(), leader.digest());
    assert_eq!(
        replica.position.manifest_revision,
        leader.writer.position().manifest_revision
    );
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_was_given_up_is_found_and_used() {
    let fixture = Fixture::start().await;
    let leadership = fixture.win(&fixture.etcd, "scheduler-1").await;
    let now = fixture.context.clock.now();
    let mark = Mark::default();
    take_over(&fixture.etcd, &leadership, &mut Replica::new(), now, &mark)
        .await
        .unwrap();

    // The caller never learnt of it and tries again, at another time.
    let etcd = fixture.etcd.clone();
    let mut leader = fixture.take_over(&etcd, leadership, Replica::new()).await.unwrap();
    let draft = leader.batch(vec![submit(1), Command::Tick]);
    leader.writer.append(draft).await.unwrap();
    assert_eq!(fixture.replica().await.ledger.digest(), leader.digest());
    assert_eq!(fixture.verified().await.segment_count, 2);
}

//! The contract between the embedded server and a real etcd: one list of cases, the same expectations, both servers.
//!
//! What the real one does is right; a case that only the embedded server passes is wrong. The tests need `etcd`, `etcdctl` and
//! `strace` and fail without them.

mod admin;
mod durable;
mod etcdctl;
mod kv;
mod lease;
mod limits;
mod subject;
mod txn;
mod watch;

use etcd_client::{AlarmAction, AlarmType, Txn, TxnOp};
use futures::future::BoxFuture;
use subject::{Bench, Embedded, Outcome, Real, refusal};
use tonic::Code;

type Case = fn(Bench) -> BoxFuture<'static, Outcome>;

/// Names the cases of a room and boxes their futures.
macro_rules! cases {
    ($($room:ident: $($case:ident)*;)*) => {
        &[$($((concat!(stringify!($room), "::", stringify!($case)), |bench| Box::pin($room::$case(bench)))),*),*]
    };
}

const CASES: &[(&str, Case)] = cases! {
    kv: put_counts_versions put_keeps_parts ranges_select_keys limits_and_counts sorts_by_every_field
        filters_by_revision reads_the_past deletes_ranges deletes_nothing;
    txn: compares_every_target compares_ranges takes_the_other_branch is_one_revision reads_its_own_writes
        reads_only refuses_duplicates refuses_before_it_changes;
    lease: grants_and_lists refuses_ids deletes_on_revoke keeps_alive expires follows_its_keys;
    watch: starts_now starts_in_the_past carries_previous_values filters_kinds serves_several cancels
        reports_progress keeps_revisions_whole refuses_ids;
    limits: refuses_empty_keys refuses_contradictions refuses_large_requests refuses_many_operations
        refuses_huge_messages;
    admin: answers_about_itself answers_without_users compacts watches_end_at_compaction compacts_a_deletion;
};

/// Runs every case, then fails with the names of those that failed.
async fn run(bench: impl Fn(&str) -> Bench) {
    let mut failed = Vec::new();
    for (name, case) in CASES {
        match tokio::spawn(case(bench(name))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed.push(format!("{name}: {error}")),
            Err(panic) => failed.push(format!("{name}: {panic}")),
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n{}",
        failed.len(),
        CASES.len(),
        failed.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_server_keeps_the_contract() {
    let server = Embedded::start().await;
    let client = server.client().await;
    run(|name| Bench::new(client.clone(), name)).await;
    server.stop().await;
}

/// What the embedded server leaves out, it refuses by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_server_names_what_it_leaves_out() {
    let server = Embedded::start().await;
    let mut client = server.client().await;
    let nested = TxnOp::txn(Txn::new().and_then([TxnOp::get("a", None)]));
    let (code, message) = refusal(client.txn(Txn::new().and_then([nested])).await);
    assert_eq!(
        (code, message),
        (
            Code::Unimplemented,
            "embedded etcd: nested transactions are not supported".into()
        )
    );
    for (code, message) in [
        refusal(client.auth_enable().await),
        refusal(client.user_add("root", "secret", None).await),
        refusal(client.role_list().await),
    ] {
        assert_eq!(
            (code, &*message),
            (Code::FailedPrecondition, "etcdserver: authentication is not enabled")
        );
    }
    let left_out = [
        refusal(client.member_add(["http://127.0.0.1:1"], None).await).0,
        refusal(client.move_leader(1).await).0,
        refusal(client.snapshot().await).0,
        refusal(client.hash_kv(0).await).0,
        refusal(client.alarm(AlarmAction::Activate, AlarmType::Nospace, None).await).0,
    ];
    assert_eq!(left_out, [Code::Unimplemented; 5]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_etcd_keeps_the_contract() {
    let mut server = Real::start().await;
    let client = server.client().await;
    run(|name| Bench::new(client.clone(), name)).await;
}

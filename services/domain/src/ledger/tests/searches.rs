//! Searches against a plain look at every task.

use proptest::prelude::*;

use super::properties::{Move, command, moves};
use super::*;
use crate::task::StateSet;

/// Gives a submit a kind and labels that a few others share.
fn described(command: Command) -> Command {
    let Command::Submit(mut new) = command else {
        return command;
    };
    let number = new.id.as_u128();
    new.spec.kind = Kind::new(["echo", "train", "analyze"][(number % 3) as usize]);
    new.spec.labels.insert("parity".to_owned(), (number % 2).to_string());
    new.spec.labels.insert("tenant".to_owned(), new.tenant.to_string());
    Command::Submit(new)
}

fn world_of(steps: Vec<Move>) -> World {
    let mut world = World::new();
    for step in steps {
        let command = command(&mut world, step);
        let _refused = world.run(described(command));
    }
    world
}

fn filters() -> impl Strategy<Value = Filter> {
    let states = prop::sample::subsequence(State::ALL, 0..=State::ALL.len());
    let kind = prop::option::of(prop::sample::select(vec!["echo", "train", "infer"]));
    let parity = prop::option::of(0u8..3);
    let tenant = prop::option::weighted(0.2, 0u8..2);
    let reason = prop::option::weighted(0.2, prop::sample::select(vec!["HANDLER_FAILED", "CANCELLED", "POISON"]));
    let by = prop::option::weighted(0.2, 0u32..3);
    let request = prop::option::weighted(0.1, 0u8..5);
    let time = || prop::option::weighted(0.2, 0u64..20_000);
    (
        0u8..2,
        states,
        kind,
        (parity, tenant),
        reason,
        by,
        request,
        (time(), time()),
    )
        .prop_map(
            |(owner, states, kind, (parity, tenant), reason, by, request, (from, before))| {
                let mut filter = Filter::all(Tenant::new(format!("t{owner}")));
                if !states.is_empty() {
                    filter.states = states.into_iter().collect::<StateSet>();
                }
                filter.kind = kind.map(Kind::new);
                let labels = [
                    ("parity", parity.map(|it| it.to_string())),
                    ("tenant", tenant.map(|it| format!("t{it}"))),
                ];
                let given = labels
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value?)));
                filter.labels = given.collect();
                filter.reason = reason.map(str::to_owned);
                filter.worker = by.map(worker);
                filter.request_id = request.map(|number| RequestId::new(format!("r{number}")));
                filter.created_from = from.map(at);
                filter.created_before = before.map(at);
                filter
            },
        )
}

/// All that is found, a few tasks and steps at a time.
fn found(ledger: &Ledger, mut search: Search, room: usize, steps: usize) -> Vec<u128> {
    let mut tasks = Vec::new();
    while !search.has_ended() {
        let more = search.advance(ledger, room, steps);
        assert!(more.len() <= room);
        tasks.extend(more.iter().map(|task| task.id.as_u128()));
    }
    tasks
}

proptest! {
    #[test]
    fn a_search_finds_what_a_look_at_every_task_finds(
        steps in moves(), filter in filters(), room in 1usize..4, looks in 1usize..4,
    ) {
        let ledger = world_of(steps).ledger;
        let mut wanted: Vec<_> = ledger.tasks().filter(|task| filter.selects(task)).collect();
        wanted.sort_by_key(|task| task.created_seq);
        let wanted: Vec<u128> = wanted.iter().map(|task| task.id.as_u128()).collect();
        let oldest = Search::new(filter.clone(), Order::OldestFirst, None);
        prop_assert_eq!(&found(&ledger, oldest, room, looks), &wanted);
        let newest = Search::new(filter.clone(), Order::NewestFirst, None);
        let reversed: Vec<u128> = wanted.iter().rev().copied().collect();
        prop_assert_eq!(&found(&ledger, newest, room, looks), &reversed);
        if let Some(counts) = ledger.count(&filter) {
            prop_assert_eq!(counts.values().sum::<u64>(), wanted.len() as u64);
        }
    }

    #[test]
    fn a_page_begins_behind_the_last_task_of_the_one_before(steps in moves(), filter in filters()) {
        let ledger = world_of(steps).ledger;
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let whole = Search::new(filter.clone(), order, None).advance(&ledger, usize::MAX, usize::MAX);
            let seqs: Vec<Seq> = whole.iter().map(|task| task.created_seq).collect();
            for (place, seq) in seqs.iter().enumerate() {
                let mut rest = Search::new(filter.clone(), order, Some(*seq));
                let rest = rest.advance(&ledger, usize::MAX, usize::MAX);
                let rest: Vec<Seq> = rest.iter().map(|task| task.created_seq).collect();
                prop_assert_eq!(&rest, &seqs[place + 1..]);
            }
        }
    }
}

#[test]
fn a_search_goes_on_over_tasks_that_come_and_change() {
    let mut world = World::new();
    for number in [5, 3, 9] {
        world.submit(submission(number, &format!("r{number}"))).unwrap();
    }
    let mut waiting = Filter::all(Tenant::new("default"));
    waiting.states = StateSet::EMPTY.with(State::Pending);
    let mut search = Search::new(waiting, Order::NewestFirst, None);
    let ids = |tasks: Vec<Arc<Task>>| tasks.iter().map(|task| task.id.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(search.advance(&world.ledger, 1, 100)), [9]);
    world.submit(submission(1, "r1")).unwrap();
    world.start(3, 1, 1).unwrap();
    assert_eq!(
        ids(search.advance(&world.ledger, 9, 100)),
        [5],
        "3 has started, 1 is newer"
    );
    assert!(search.has_ended());
}

#[test]
fn tasks_are_found_by_every_property_that_changes() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    let all = || Filter::all(Tenant::new("default"));
    let by_worker = |number| Filter {
        worker: Some(worker(number)),
        ..all()
    };
    let by_reason = || Filter {
        reason: Some("HANDLER_FAILED".to_owned()),
        ..all()
    };
    let count = |world: &World, filter: Filter| world.ledger.count(&filter).unwrap();
    world.start(1, 1, 1).unwrap();
    assert_eq!(count(&world, by_worker(1)), [(State::Running, 1)].into());
    let fail = Command::Fail {
        attempt: attempt(1, 1),
        worker: worker(1),
        error: error("no"),
        retryable: true,
        checkpoint: None,
    };
    world.run(fail).unwrap();
    assert_eq!(
        count(&world, by_reason()),
        [(State::Pending, 1)].into(),
        "also while another attempt follows"
    );
    world.start(1, 2, 2).unwrap();
    assert_eq!(count(&world, by_worker(1)), [].into());
    world.succeed(1, 2, 2).unwrap();
    assert_eq!(
        count(&world, by_worker(2)),
        [(State::Succeeded, 1)].into(),
        "kept after the end"
    );
    assert_eq!(count(&world, by_reason()), [].into(), "the error went with the success");
}

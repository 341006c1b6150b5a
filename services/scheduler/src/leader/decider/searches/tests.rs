//! Searches are answered whole, a part at a time.

use std::time::Duration;

use lepton_domain::ids::{Kind, Seq};
use lepton_domain::ledger::{Command, Submission};
use lepton_domain::task::{State, StateSet};
use tokio::sync::oneshot;

use super::*;
use crate::leader::fixtures::{Bench, at, attempt, start, submission, tenant, worker};
use crate::message::Call;

fn submit(number: u128) -> Command {
    Command::Submit(submission(number))
}

/// Lists a page of the tasks that are in one of the states.
fn list(bench: &mut Bench, behind: Option<Seq>, count: usize, states: StateSet) -> oneshot::Receiver<Listed> {
    let filter = Filter {
        states,
        kind: Some(Kind::new("echo")),
        ..Filter::all(tenant())
    };
    let search = Search::new(filter, Order::NewestFirst, behind);
    let (reply, page) = oneshot::channel();
    bench.decider.call(Call::List { search, count, reply }, at(0));
    page
}

type Listed = Result<TaskPage, CallError>;

#[test]
fn a_listing_is_filtered_and_goes_on_where_it_ended() {
    let mut bench = Bench::after((1..=5).map(submit));
    bench.execute(start(attempt(2, 1), &worker("a")), at(0));
    let mut page = |behind, count, states| {
        let mut page = list(&mut bench, behind, count, states);
        bench.commit(at(0));
        page.try_recv().expect("it is answered").expect("it is legal")
    };
    let numbers = |page: &TaskPage| -> Vec<u128> { page.tasks.iter().map(|view| view.task.id.as_u128()).collect() };
    let first = page(None, 3, StateSet::ALL);
    assert_eq!((numbers(&first), first.more), (vec![5, 4, 3], true));
    let last = first.tasks.last().map(|view| view.task.created_seq);
    let second = page(last, 3, StateSet::ALL);
    assert_eq!((numbers(&second), second.more), (vec![2, 1], false));
    let exact = page(last, 2, StateSet::ALL);
    assert_eq!(
        (numbers(&exact), exact.more),
        (vec![2, 1], false),
        "no page follows that would be empty"
    );
    assert_eq!(numbers(&page(None, 3, StateSet::EMPTY.with(State::Running))), [2]);
}

#[test]
fn a_long_search_is_done_in_parts_and_found_whole() {
    let kinds = ["echo", "train"];
    let mut tasks: Vec<Box<Submission>> = (0..20_000).map(submission).collect();
    for (number, task) in tasks.iter_mut().enumerate() {
        task.spec.kind = Kind::new(kinds[number % 2]);
        let label = (number % 2 == 0 || number == 1).then(|| ("even".to_owned(), "yes".to_owned()));
        task.spec.labels = label.into_iter().collect();
    }
    let mut bench = Bench::after(tasks.into_iter().map(Command::Submit));
    let filter = Filter {
        kind: Some(Kind::new("train")),
        labels: [("even".to_owned(), "yes".to_owned())].into(),
        ..Filter::all(tenant())
    };
    let (reply, mut page) = oneshot::channel();
    let search = Search::new(filter.clone(), Order::NewestFirst, None);
    bench.decider.call(
        Call::List {
            search,
            count: 3,
            reply,
        },
        at(0),
    );
    let (reply, mut counts) = oneshot::channel();
    bench.decider.call(Call::Count { filter, reply }, at(0));
    let mut parts = 0;
    while bench.decider.pause(at(0)) == Some(Duration::ZERO) {
        bench.decider.tick(None, at(0));
        parts += 1;
    }
    assert!(parts > 4, "{parts} parts");
    bench.commit(at(0));
    let page = page.try_recv().expect("it is answered").expect("it is legal");
    assert_eq!((page.tasks.len(), page.more), (1, false));
    let counts = counts.try_recv().expect("it is answered").expect("it is legal");
    assert_eq!(counts, [(State::Pending, 1)].into());
}

#[test]
fn a_search_that_nobody_waits_for_ends() {
    let mut bench = Bench::after([submit(1)]);
    drop(list(&mut bench, None, 3, StateSet::ALL));
    let filter = Filter::all(tenant());
    let search = Search::new(filter, Order::NewestFirst, None);
    let (reply, page) = oneshot::channel();
    drop(page);
    bench.decider.call(
        Call::List {
            search,
            count: 3,
            reply,
        },
        at(0),
    );
    assert_ne!(bench.decider.pause(at(0)), Some(Duration::ZERO));
}

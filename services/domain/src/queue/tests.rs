//! Fair by weight, ordered within a tenant, bounded per take; nothing is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn now(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}

fn ticket(task: u64, tenant: &str, priority: u8) -> Ticket {
    Ticket {
        task: TaskId::from_u128(task.into()),
        tenant: Tenant::new(tenant),
        kind: Kind::new("echo"),
        priority: Priority::new(priority).unwrap(),
        since: now(0),
        not_before: None,
        requirements: BTreeMap::new(),
        order: Seq(task),
    }
}

fn take(queue: &mut Queue) -> Option<u128> {
    queue.take(now(0), &mut |_| true).map(|ticket| ticket.task.as_u128())
}

#[test]
fn priority_then_age_within_a_tenant() {
    let mut queue = Queue::new();
    for (task, priority) in [(1, 3), (2, 1), (3, 3), (4, 5), (5, 1)] {
        queue.push(ticket(task, "a", priority));
    }
    let order: Vec<_> = std::iter::from_fn(|| take(&mut queue)).collect();
    assert_eq!(order, [2, 5, 1, 3, 4]);
    assert!(queue.is_empty());
}

fn aged(task: u64, priority: u8, since: u64) -> Ticket {
    Ticket {
        since: now(since),
        ..ticket(task, "a", priority)
    }
}

#[test]
fn the_lowest_priority_has_its_turn_under_a_stream_of_the_highest() {
    let mut queue = Queue::with_ageing(Duration::from_secs(60));
    queue.push(aged(0, 5, 0));
    // Saturated: one comes for each that starts, and ten wait.
    (1..=10).for_each(|task| queue.push(aged(task, 1, 0)));
    let started = (1..1_000).find(|second| {
        queue.push(aged(10 + second, 1, *second));
        let taken = queue.take(now(*second), &mut |_| true).unwrap();
        taken.task.as_u128() == 0
    });
    // All that came within four minutes is before it, and nothing else: ten that were there, and 240 more.
    assert_eq!(started, Some(251));
}

#[test]
fn a_step_of_priority_is_worth_the_ageing_time() {
    let mut queue = Queue::with_ageing(Duration::from_secs(60));
    for (task, priority, since) in [(1, 4, 0), (2, 3, 59), (3, 3, 61), (4, 1, 179), (5, 1, 181)] {
        queue.push(aged(task, priority, since));
    }
    let order: Vec<_> = std::iter::from_fn(|| take(&mut queue)).collect();
    assert_eq!(order, [4, 2, 1, 5, 3]);
}

#[test]
fn an_idle_tenant_gets_no_credit() {
    let mut queue = Queue::new();
    queue.set_weight(&Tenant::new("idle"), 3);
    (0..1_000).for_each(|task| queue.push(ticket(task, "busy", 3)));
    queue.push(ticket(1_000, "idle", 3));
    (0..500).for_each(|_| assert!(take(&mut queue).is_some()));
    // Back after 499 starts of the other one, it has its share, and no more.
    (2_000..2_200).for_each(|task| queue.push(ticket(task, "idle", 3)));
    let idle = (0..100).filter(|_| take(&mut queue).unwrap() >= 2_000).count();
    assert!((74..=76).contains(&idle), "{idle} of 100 starts at weight 3 against 1");
}

#[test]
fn a_ticket_that_does_not_start_costs_its_tenant_nothing() {
    let mut queue = Queue::new();
    for task in 0..300 {
        queue.push(ticket(task, "a", 3));
        queue.push(ticket(1_000 + task, "b", 3));
    }
    let (mut started, mut retried) = ((0, 0), BTreeSet::new());
    while started.0 + started.1 < 200 {
        let taken = queue.take(now(0), &mut |_| true).unwrap();
        match taken.task.as_u128() {
            // Each one of a finds its worker at the second try only.
            task if task < 1_000 && retried.insert(task) => queue.put_back(taken),
            task if task < 1_000 => started.0 += 1,
            _ => started.1 += 1,
        }
    }
    assert!((98..=102).contains(&started.0), "{started:?}");
}

#[test]
fn flows_count_what_is_due_by_need() {
    let mut queue = Queue::new();
    (0..3).for_each(|task| queue.push(ticket(task, "a", 3)));
    queue.push(ticket(3, "b", 3));
    queue.push(Ticket {
        kind: Kind::new("train"),
        ..ticket(4, "b", 1)
    });
    queue.push(Ticket {
        not_before: Some(now(10)),
        ..ticket(5, "c", 1)
    });
    let flows = |queue: &Queue| {
        let flows = queue.flows();
        let flows = flows.map(|flow| (flow.first.tenant.to_string(), flow.first.kind.to_string(), flow.count));
        flows.collect::<Vec<_>>()
    };
    let echo = |tenant: &str, count| (tenant.to_owned(), "echo".to_owned(), count);
    let train = ("b".to_owned(), "train".to_owned(), 1);
    assert_eq!(flows(&queue), [echo("a", 3), echo("b", 1), train]);
    while take(&mut queue).is_some() {}
    assert_eq!(flows(&queue), []);
}

#[test]
fn starts_are_shared_by_weight() {
    let mut queue = Queue::new();
    queue.set_weight(&Tenant::new("big"), 3);
    for task in 0..400 {
        queue.push(ticket(task, "big", 3));
        queue.push(ticket(1_000 + task, "small", 1));
    }
    let big = (0..400).filter(|_| take(&mut queue).unwrap() < 1_000).count();
    assert!((299..=301).contains(&big), "{big} of 400 starts at weight 3 against 1");
}

#[test]
fn a_late_tenant_neither_catches_up_nor_waits() {
    let mut queue = Queue::new();
    (0..100).for_each(|task| queue.push(ticket(task, "early", 3)));
    (0..50).for_each(|_| assert!(take(&mut queue).is_some()));
    (100..200).for_each(|task| queue.push(ticket(task, "late", 3)));
    let late = (0..20).filter(|_| take(&mut queue).unwrap() >= 100).count();
    assert!((9..=11).contains(&late), "{late} of 20");
}

#[test]
fn leaving_and_returning_gains_nothing() {
    let mut queue = Queue::new();
    (0..100).for_each(|task| queue.push(ticket(task, "steady", 3)));
    let mut hopper = 0;
    for task in 100..200 {
        // Its queue is empty after each start.
        queue.push(ticket(task, "hopper", 3));
        hopper += usize::from(take(&mut queue).unwrap() >= 100);
        queue.remove(&TaskId::from_u128(task.into()));
    }
    assert!(hopper <= 51, "{hopper} of 100 starts");
}

#[test]
fn a_tenant_no_worker_could_serve_does_not_hoard() {
    let mut queue = Queue::new();
    for task in 0..1_000 {
        queue.push(Ticket {
            kind: Kind::new("rare"),
            ..ticket(task, "rare", 1)
        });
        queue.push(ticket(1_000 + task, "common", 3));
    }
    for _ in 0..500 {
        queue
            .take(now(0), &mut |ticket| ticket.kind.as_str() == "echo")
            .unwrap();
    }
    let rare = (0..100).filter(|_| take(&mut queue).unwrap() < 1_000).count();
    assert!(rare < 65, "{rare} of 100 starts after a worker came");
}

#[test]
fn tickets_wait_for_their_time() {
    let mut queue = Queue::new();
    queue.push(Ticket {
        not_before: Some(now(20)),
        ..ticket(1, "a", 1)
    });
    queue.push(Ticket {
        not_before: Some(now(10)),
        ..ticket(2, "a", 3)
    });
    assert_eq!((queue.len(), queue.ready(), queue.next_due()), (2, 0, Some(now(10))));
    assert_eq!(queue.take(now(9), &mut |_| true), None);
    assert_eq!(queue.take(now(10), &mut |_| true).unwrap().task.as_u128(), 2);
    assert!(queue.remove(&TaskId::from_u128(1)).is_some());
    assert_eq!((queue.len(), queue.next_due()), (0, None));
}

#[test]
fn unplaceable_tickets_cost_one_look_per_need() {
    let mut queue = Queue::new();
    (0..10_000).for_each(|task| {
        queue.push(Ticket {
            kind: Kind::new("gpu"),
            ..ticket(task, "a", 1)
        })
    });
    queue.push(ticket(10_000, "a", 5));
    let mut looks = 0;
    let taken = queue.take(now(0), &mut |ticket| {
        looks += 1;
        ticket.kind.as_str() == "echo"
    });
    assert_eq!((taken.unwrap().task.as_u128(), looks), (10_000, 2));
}

#[test]
fn no_ticket_starves_behind_a_thousand_odd_ones() {
    let mut queue = Queue::new();
    for task in 0..1_000 {
        let requirements = [("host".to_owned(), format!("gone-{task}"))].into();
        let tenant = format!("t{}", task % 20);
        queue.push(Ticket {
            requirements,
            ..ticket(task, &tenant, 1)
        });
    }
    queue.push(ticket(1_000, "t7", 5));
    let mut looks_max = 0;
    let found = (0..10).find_map(|_| {
        let mut looks = 0;
        let taken = queue.take(now(0), &mut |ticket| {
            looks += 1;
            ticket.requirements.is_empty()
        });
        looks_max = looks_max.max(looks);
        taken
    });
    assert_eq!(found.unwrap().task.as_u128(), 1_000);
    assert!(looks_max <= SCAN_MAX, "{looks_max}");
}

#[test]
fn nor_behind_the_odd_ones_of_its_own_tenant() {
    let mut queue = Queue::new();
    for task in 0..300 {
        let requirements = [("host".to_owned(), format!("gone-{task}"))].into();
        queue.push(Ticket {
            requirements,
            ..ticket(task, "a", 1)
        });
    }
    queue.push(ticket(300, "a", 5));
    let found = (0..10).find_map(|_| queue.take(now(0), &mut |ticket| ticket.requirements.is_empty()));
    assert_eq!(found.unwrap().task.as_u128(), 300);
}

#[test]
fn rested_lanes_are_forgotten() {
    let mut queue = Queue::new();
    for task in 0..5_000 {
        queue.push(ticket(task, &format!("tenant-{task}"), 3));
        take(&mut queue).unwrap();
        queue.push(ticket(10_000 + task, "steady", 3));
        take(&mut queue).unwrap();
    }
    assert!(queue.queues.len() < 10, "{} queues", queue.queues.len());
}

#[derive(Debug, Clone)]
enum Move {
    Push {
        task: u64,
        tenant: u8,
        priority: u8,
        kind: u8,
        delay: Option<u64>,
    },
    Remove {
        task: u64,
    },
    Take {
        kinds: u8,
        seconds: u64,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0u64..40, 0u8..4, 1u8..6, 0u8..3, prop::option::weighted(0.3, 0u64..50))
            .prop_map(|(task, tenant, priority, kind, delay)| Move::Push { task, tenant, priority, kind, delay }),
        1 => (0u64..40).prop_map(|task| Move::Remove { task }),
        4 => (0u8..8, 0u64..60).prop_map(|(kinds, seconds)| Move::Take { kinds, seconds }),
    ];
    prop::collection::vec(one, 1..200)
}

proptest! {
    /// Against a plain list: what comes out was in, fits, is due, is the first of its tenant among those that fit, by priority and age; and
    /// `None` means that nothing fits.
    #[test]
    fn it_holds_exactly_what_was_pushed(steps in moves()) {
        let mut queue = Queue::new();
        let mut model: BTreeMap<TaskId, Ticket> = BTreeMap::new();
        let mut clock = 0;
        for step in steps {
            match step {
                Move::Push { task, tenant, priority, kind, delay } => {
                    let mut new = ticket(task, &format!("t{tenant}"), priority);
                    new.kind = Kind::new(format!("k{kind}"));
                    new.not_before = delay.map(|delay| now(clock + delay));
                    new.since = new.not_before.unwrap_or(now(clock));
                    model.insert(new.task, new.clone());
                    queue.push(new);
                }
                Move::Remove { task } => {
                    let task = TaskId::from_u128(task.into());
                    prop_assert_eq!(queue.remove(&task), model.remove(&task));
                }
                Move::Take { kinds, seconds } => {
                    clock += seconds;
                    let fits = |ticket: &Ticket| kinds >> (ticket.kind.as_str().as_bytes()[1] - b'0') & 1 == 1;
                    let due = |ticket: &&Ticket| fits(ticket) && ticket.not_before.is_none_or(|at| at <= now(clock));
                    match queue.take(now(clock), &mut |ticket| fits(ticket)) {
                        None => prop_assert_eq!(model.values().find(due), None),
                        Some(taken) => {
                            prop_assert_eq!(Some(&taken), model.get(&taken.task));
                            let rank = |ticket: &Ticket| ticket.since.plus(AGEING * u32::from(ticket.priority.get() - 1));
                            let key = |ticket: &Ticket| (rank(ticket), ticket.priority, ticket.order);
                            let rivals = model.values().filter(due).filter(|ticket| ticket.tenant == taken.tenant);
                            prop_assert_eq!(rivals.map(key).min(), Some(key(&taken)));
                            model.remove(&taken.task);
                        }
                    }
                }
            }
            prop_assert_eq!(queue.len(), model.len());
        }
        let rest: BTreeSet<_> =
            std::iter::from_fn(|| queue.take(Timestamp::MAX, &mut |_| true)).map(|ticket| ticket.task).collect();
        prop_assert_eq!(rest, model.into_keys().collect::<BTreeSet<_>>());
        prop_assert!(queue.active.is_empty() && queue.waiting.is_empty() && queue.places.is_empty());
    }

    /// The bound: whatever the arrivals, nothing starts before a ticket of its tenant that came so much earlier.
    #[test]
    fn nothing_overtakes_beyond_the_ageing_bound(
        arrivals in prop::collection::vec((1u8..6, 0u64..120, any::<bool>()), 1..100),
        ageing in 1u64..90,
    ) {
        let ageing = Duration::from_secs(ageing);
        let mut queue = Queue::with_ageing(ageing);
        let mut waiting: BTreeMap<TaskId, Ticket> = BTreeMap::new();
        let mut clock = 0;
        for (number, (priority, seconds, takes)) in (0u64..).zip(arrivals) {
            clock += seconds;
            let new = aged(number, priority, clock);
            waiting.insert(new.task, new.clone());
            queue.push(new);
            if takes && let Some(taken) = queue.take(now(clock), &mut |_| true) {
                waiting.remove(&taken.task);
                for other in waiting.values() {
                    let bound = other.since.plus(ageing * u32::from(other.priority.get() - 1));
                    prop_assert!(taken.since <= bound, "{taken:?} started before {other:?}");
                }
            }
        }
    }

    #[test]
    fn backlogged_tenants_share_by_weight(weights in prop::collection::vec(1u32..8, 2..5)) {
        let mut queue = Queue::new();
        for (tenant, weight) in weights.iter().enumerate() {
            queue.set_weight(&Tenant::new(format!("t{tenant}")), *weight);
            (0..700).for_each(|n| queue.push(ticket(tenant as u64 * 1_000 + n, &format!("t{tenant}"), 3)));
        }
        let mut starts = vec![0u32; weights.len()];
        (0..600).for_each(|_| starts[take(&mut queue).unwrap() as usize / 1_000] += 1);
        let total: u32 = weights.iter().sum();
        for (started, weight) in starts.iter().zip(&weights) {
            let share = 600 * weight / total;
            prop_assert!(started.abs_diff(share) <= weights.len() as u32 + 1, "{starts:?} by {weights:?}");
        }
    }
}

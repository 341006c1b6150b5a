//! Faults: what may happen to hosts and links, a plan of it drawn from a seed, and carrying that out.
//!
//! Promises: the plan is repaired at its end, so that whatever is wrong later is the product's fault. One round ends
//! before the next begins, because the simulator cannot combine two states of one link.

use std::time::Duration;

use lepton_coordination::election;
use lepton_coordination::etcd::Etcd;
use lepton_core::random::Random;
use lepton_journal::LEADER_SERVICE;

use crate::client::History;
use crate::cluster::{CLIENT, Control, ETCD, Size};

/// How many rounds of faults there are.
const ROUNDS: u64 = 4;
/// Time from one round to the next.
const LULL_MS_MAX: u64 = 1_500;
/// The shortest and the longest round: some end before anybody notices, some outlast every lease.
const LENGTH_MS: (u64, u64) = (50, 5_000);
/// The most that a slow link adds.
const DELAY_MS_MAX: u64 = 400;
/// When the look for a leader is given up.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The host that a fault meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Whoever leads at the time.
    Leader,
    /// This one.
    Host(String),
}

/// Something that happens to the mesh for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The process dies, and another starts on the same disk at the end.
    Crash(Target),
    /// Nothing passes between the host and any other.
    Isolation(Target),
    /// Nothing passes between the host and this one.
    Partition(Target, String),
    /// Nothing passes from the host to this one; the other direction works.
    OneWay(Target, String),
    /// Messages from and to the host take longer.
    Delay(Target, Duration),
    /// The process stops and goes on at the end: others hear nothing from it meanwhile, its clocks show at once that
    /// time has passed, and what it does on the strength of what it knew arrives late.
    Freeze(Target),
}

/// Faults that begin and end together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The pause before it.
    pub after: Duration,
    /// How long it lasts.
    pub length: Duration,
    /// What happens.
    pub faults: Vec<Fault>,
}

/// Draws the rounds.
pub fn plan(random: &Random, size: Size) -> Vec<Round> {
    (0..ROUNDS).map(|_| round(random, size)).collect()
}

fn round(random: &Random, size: Size) -> Round {
    let after = Duration::from_millis(random.below(LULL_MS_MAX));
    // Uniform in magnitude: short rounds are as likely as long ones.
    let (shortest, longest) = LENGTH_MS;
    let magnitude = random.below(u64::from((longest / shortest).ilog2()) + 1);
    let scale = shortest << magnitude;
    let length = Duration::from_millis((scale + random.below(scale)).min(longest));
    let mut faults = vec![link_fault(random, size)];
    if random.below(3) == 0 {
        faults.push(Fault::Crash(target(random, size)));
    }
    if random.below(6) == 0 {
        faults.remove(0);
    }
    Round { after, length, faults }
}

/// A fault that is not a crash.
fn link_fault(random: &Random, size: Size) -> Fault {
    let target = target(random, size);
    match random.below(6) {
        0 => Fault::Isolation(target),
        1 => Fault::Partition(target, ETCD.to_owned()),
        2 => Fault::Partition(target, host(random, size)),
        3 => Fault::OneWay(
            target,
            if random.below(2) == 0 {
                ETCD.to_owned()
            } else {
                host(random, size)
            },
        ),
        4 => Fault::Delay(target, Duration::from_millis(random.below(DELAY_MS_MAX))),
        _ => Fault::Freeze(target),
    }
}

/// The leader as often as any other host.
fn target(random: &Random, size: Size) -> Target {
    match random.below(2) {
        0 => Target::Leader,
        _ => Target::Host(host(random, size)),
    }
}

/// Any host but the store, which keeps nothing over a crash, and the client.
fn host(random: &Random, size: Size) -> String {
    let hosts = [size.scheduler_names(), size.worker_names(), size.gateway_names()].concat();
    let index = usize::try_from(random.below(hosts.len() as u64)).expect("a small number");
    hosts[index].clone()
}

/// Carries the rounds out, one after the other.
pub async fn inject(rounds: Vec<Round>, size: Size, etcd: &Etcd, control: &Control, history: &History) {
    let scene = Scene {
        size,
        etcd,
        control,
        history,
    };
    for round in rounds {
        tokio::time::sleep(round.after).await;
        let mut begun = Vec::new();
        for fault in &round.faults {
            begun.push((fault, scene.host_of(fault).await));
        }
        for (fault, host) in &begun {
            scene.begin(fault, host, round.length);
        }
        tokio::time::sleep(round.length).await;
        for (fault, host) in &begun {
            scene.end(fault, host);
        }
    }
}

struct Scene<'a> {
    size: Size,
    etcd: &'a Etcd,
    control: &'a Control,
    history: &'a History,
}

impl Scene<'_> {
    /// The host that a fault meets now.
    async fn host_of(&self, fault: &Fault) -> String {
        let target = match fault {
            Fault::Crash(target)
            | Fault::Isolation(target)
            | Fault::Partition(target, _)
            | Fault::OneWay(target, _)
            | Fault::Delay(target, _)
            | Fault::Freeze(target) => target,
        };
        match target {
            Target::Host(host) => host.clone(),
            Target::Leader => {
                let found = tokio::time::timeout(LOOK_MAX, election::current(self.etcd, LEADER_SERVICE)).await;
                let leader = found.ok().and_then(Result::ok).flatten();
                leader.map_or_else(|| "scheduler-1".to_owned(), |leader| leader.instance.to_string())
            }
        }
    }

    fn begin(&self, fault: &Fault, host: &str, length: Duration) {
        self.history.note(format_args!("{host}: {fault:?} for {length:?}"));
        match fault {
            Fault::Crash(_) => self.control.crash(host),
            Fault::Isolation(_) => self
                .others(host)
                .for_each(|other| turmoil::partition(host, other.as_str())),
            Fault::Partition(_, other) if other != host => turmoil::partition(host, other.as_str()),
            Fault::OneWay(_, other) if other != host => turmoil::partition_oneway(host, other.as_str()),
            Fault::Partition(..) | Fault::OneWay(..) => {}
            Fault::Delay(_, more) => self.control.delay(host, *more),
            Fault::Freeze(_) => {
                self.others(host).for_each(|other| turmoil::hold(host, other.as_str()));
                self.control.jump(host, length);
            }
        }
    }

    fn end(&self, fault: &Fault, host: &str) {
        self.history.note(format_args!("{host}: {fault:?} ends"));
        match fault {
            Fault::Crash(_) => self.control.restart(host),
            Fault::Isolation(_) => self
                .others(host)
                .for_each(|other| turmoil::repair(host, other.as_str())),
            Fault::Partition(_, other) if other != host => turmoil::repair(host, other.as_str()),
            Fault::OneWay(_, other) if other != host => turmoil::repair_oneway(host, other.as_str()),
            Fault::Partition(..) | Fault::OneWay(..) => {}
            Fault::Delay(..) => self.control.delay(host, Duration::ZERO),
            Fault::Freeze(_) => self
                .others(host)
                .for_each(|other| turmoil::release(host, other.as_str())),
        }
    }

    /// The hosts that this one speaks with: the client, which also reads the store, only where it is a gateway.
    fn others(&self, host: &str) -> impl Iterator<Item = String> {
        let all = self.size.names().into_iter();
        all.filter(move |other| other != host && (other != CLIENT || host.starts_with("gateway")))
    }
}

//! How the mesh is connected, as a picture.
//!
//! Promises: as many instances of a service as fit, the leader always among them, and the number of the rest. It is
//! drawn twice, side by side for wide windows and one below the other for narrow ones; the style sheet shows one.

use maud::{Markup, html};

use super::figure::{count, cut, rate};
use super::instances::words;
use crate::store::Store;
use crate::view::{Row, RowState, View};

/// Instances of a service that are drawn.
const DRAWN_MAX: usize = 4;
/// Characters of a name that fit into a box; the middle of a longer one is left out.
const NAME_MAX: usize = 24;

const BOX_WIDTH: i32 = 226;
const BOX_HEIGHT: i32 = 44;
const GAP: i32 = 8;
/// From the edge of a lane to its boxes.
const PAD: i32 = 12;
/// The line with the lane's name.
const HEAD: i32 = 30;
const LANE_WIDTH: i32 = BOX_WIDTH + 2 * PAD;
/// Between lanes: room for an arrow and its word.
const BETWEEN: i32 = 112;
const BELOW: i32 = 40;
/// Above the lanes, and beside them in the narrow drawing: room for the way past the schedulers.
const OVER: i32 = 32;
const BESIDE: i32 = 66;
/// Where the way past the schedulers runs, from the edge of the drawing and of the lanes.
const PAST: i32 = 16;

/// A box.
struct Node {
    class: String,
    title: String,
    note: String,
}

/// All boxes of a service.
struct Lane {
    name: String,
    /// Who leads it, in words; empty without a leader.
    led: String,
    nodes: Vec<Node>,
}

/// A lane with its place.
struct Placed<'a> {
    lane: &'a Lane,
    x: i32,
    y: i32,
    height: i32,
}

impl Lane {
    fn height(&self) -> i32 {
        let nodes = self.nodes.len().max(1) as i32;
        HEAD + nodes * (BOX_HEIGHT + GAP) - GAP + PAD
    }
}

/// The picture, twice.
pub(super) fn picture(view: &View, store: Store, etcd: &[String]) -> Markup {
    let lanes = [
        service(view, "gateway", "Gateways"),
        service(view, "scheduler", "Schedulers"),
        service(view, "worker", "Workers"),
        service(view, "monitor", "Monitors"),
        stored(store, etcd),
    ];
    html! {
        (wide(&lanes))
        (narrow(&lanes))
    }
}

fn service(view: &View, name: &str, title: &str) -> Lane {
    let mut rows: Vec<&Row> = view.rows.iter().filter(|row| row.service == name).collect();
    // The leader first, then what is not well: those are the ones that somebody looks for.
    rows.sort_by_key(|row| (!row.leader, row.state == RowState::Ready));
    let hidden = rows.len().saturating_sub(DRAWN_MAX);
    let mut nodes: Vec<Node> = rows.iter().take(DRAWN_MAX).map(|row| node(row)).collect();
    if hidden > 0 {
        nodes.push(Node {
            class: "more".to_owned(),
            title: format!("and {} more", count(hidden as u64)),
            note: "in the table below".to_owned(),
        });
    }
    let leader = rows.iter().find(|row| row.leader);
    let led = leader.map(|row| format!(" led by {} in epoch {}", cut(&row.id, 128), row.epoch));
    Lane {
        name: format!("{title} {}", rows.len()),
        led: led.unwrap_or_default(),
        nodes,
    }
}

fn node(row: &Row) -> Node {
    let (class, word) = words(row.state);
    let note = match &row.load {
        _ if row.leader => format!("leader, epoch {}", row.epoch),
        _ if row.state != RowState::Ready => word.to_owned(),
        Some(load) if load.slots > 0 => format!("{} of {} slots in use", load.in_flight, load.slots),
        Some(_) if !row.role.is_empty() => cut(&row.role, NAME_MAX),
        Some(load) => format!("{} per second", rate(load.rates.finished_per_s)),
        None => word.to_owned(),
    };
    Node {
        class: if row.leader {
            format!("{class} leads")
        } else {
            class.to_owned()
        },
        title: shortened(&row.id),
        note,
    }
}

fn stored(store: Store, etcd: &[String]) -> Lane {
    let (class, note) = match store {
        Store::Answers => ("good", "answers"),
        Store::Silent => ("bad", "does not answer"),
        Store::Unknown => ("unsure", "not asked yet"),
    };
    let members = match etcd {
        [only] => shortened(only.trim_start_matches("http://").trim_start_matches("https://")),
        more => format!("{} endpoints", more.len()),
    };
    Lane {
        name: "etcd".to_owned(),
        led: String::new(),
        nodes: vec![Node {
            class: class.to_owned(),
            title: members,
            note: note.to_owned(),
        }],
    }
}

/// A name that fits: its beginning and its end say more than its middle.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= NAME_MAX {
        return name.to_owned();
    }
    let half = NAME_MAX / 2 - 1;
    let (head, tail) = (&letters[..half], &letters[letters.len() - half..]);
    head.iter().chain(['…'].iter()).chain(tail).collect()
}

/// Requests flow from left to right; what they rest on is below.
fn wide(lanes: &[Lane; 5]) -> Markup {
    let column = |number: i32| 1 + number * (LANE_WIDTH + BETWEEN);
    let [gateways, schedulers, workers, monitors, etcd] = lanes;
    let tallest = |row: &[&Lane]| row.iter().map(|lane| lane.height()).max().unwrap_or(0);
    let (top, row) = (tallest(&[gateways, schedulers, workers]), tallest(&[monitors, etcd]));
    let (middle, below) = (OVER + top / 2, OVER + top + BELOW);
    let placed = [
        centred(gateways, column(0), middle),
        centred(schedulers, column(1), middle),
        centred(workers, column(2), middle),
        centred(monitors, column(0), below + row / 2),
        centred(etcd, column(1), below + row / 2),
    ];
    let edge = |number: i32| column(number) + LANE_WIDTH;
    let centre = column(1) + LANE_WIDTH / 2;
    let under = placed[1].y + placed[1].height;
    let [from, to] = [column(0), column(2)].map(|x| x + LANE_WIDTH / 2);
    let links = html! {
        (past(&[(from, placed[0].y), (from, PAST), (to, PAST), (to, placed[2].y)], (centre, PAST - 6), "middle"))
        (arrow((edge(0), middle), (column(1), middle), "submits"))
        (arrow((edge(1), middle), (column(2), middle), "attempts"))
        (arrow((centre, under), (centre, placed[4].y), "journal"))
    };
    drawn(
        "topology wide",
        (column(2) + LANE_WIDTH + 1, below + row + 1),
        &placed,
        &links,
    )
}

/// A lane around a height.
fn centred(lane: &Lane, x: i32, middle: i32) -> Placed<'_> {
    let height = lane.height();
    let y = middle - height / 2;
    Placed { lane, x, y, height }
}

/// The same, one below the other.
fn narrow(lanes: &[Lane; 5]) -> Markup {
    let [gateways, schedulers, workers, monitors, etcd] = lanes;
    let mut y = 1;
    let placed = [gateways, schedulers, workers, etcd, monitors].map(|lane| {
        let height = lane.height();
        let at = Placed { lane, x: 1, y, height };
        // What has an arrow needs room for it.
        let is_linked = std::ptr::eq(lane, gateways) || std::ptr::eq(lane, schedulers);
        y += height + if is_linked { BELOW } else { PAD };
        at
    });
    let x = 1 + LANE_WIDTH / 2;
    let link = |from: usize, word: &'static str| {
        let start = placed[from].y + placed[from].height;
        arrow((x, start), (x, start + BELOW), word)
    };
    let [from, to] = [0, 2].map(|at: usize| placed[at].y + placed[at].height / 2);
    let edge = 1 + LANE_WIDTH;
    let way = [(edge, from), (edge + PAST, from), (edge + PAST, to), (edge, to)];
    let links = html! {
        (past(&way, (edge + PAST + 8, (from + to) / 2), "start"))
        (link(0, "submits"))
        (link(1, "attempts"))
    };
    drawn("topology narrow", (LANE_WIDTH + BESIDE, y - PAD + 1), &placed, &links)
}

fn drawn(class: &str, (width, height): (i32, i32), placed: &[Placed], links: &Markup) -> Markup {
    let said = |placed: &Placed| format!("{}{}", placed.lane.name, placed.lane.led);
    let summary: Vec<String> = placed.iter().map(said).collect();
    html! {
        svg class=(class) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(summary.join(", ")) {
            @for placed in placed { (lane(placed)) }
            (links)
        }
    }
}

fn lane(placed: &Placed) -> Markup {
    let Placed { lane, x, y, height } = placed;
    html! {
        g.lane {
            rect x=(x) y=(y) width=(LANE_WIDTH) height=(height) rx="10" {}
            text.head x=(x + PAD) y=(y + 20) { (lane.name) }
            @if lane.nodes.is_empty() {
                text.note x=(x + PAD) y=(y + HEAD + 26) { "none" }
            }
            @for (number, node) in lane.nodes.iter().enumerate() {
                @let top = y + HEAD + number as i32 * (BOX_HEIGHT + GAP);
                g class={ "node " (node.class) } {
                    rect x=(x + PAD) y=(top) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="7" {}
                    circle cx=(x + PAD + 16) cy=(top + BOX_HEIGHT / 2) r="4" {}
                    text.name x=(x + PAD + 32) y=(top + 19) { (node.title) }
                    text.note x=(x + PAD + 32) y=(top + 35) { (node.note) }
                }
            }
        }
    }
}

/// The way of requests that are answered at once: from the gateways to the workers, past the schedulers.
fn past(way: &[(i32, i32); 4], (x, y): (i32, i32), anchor: &str) -> Markup {
    let points: Vec<String> = way.iter().map(|(x, y)| format!("{x},{y}")).collect();
    html! {
        g.link {
            polyline points=(points.join(" ")) {}
            polygon points=(tip(way[2], way[3])) {}
            text x=(x) y=(y) text-anchor=(anchor) { "online" }
        }
    }
}

/// The head of an arrow between two points of which one is beside or below the other.
fn tip((x1, y1): (i32, i32), (x2, y2): (i32, i32)) -> String {
    let (dx, dy) = ((x2 - x1).signum(), (y2 - y1).signum());
    let corner = |back: i32, aside: i32| {
        let (x, y) = (x2 - back * dx + aside * dy, y2 - back * dy + aside * dx);
        format!("{x},{y}")
    };
    [corner(9, -4), corner(2, 0), corner(9, 4)].join(" ")
}

/// An arrow to the right or down, with a word beside it.
fn arrow((x1, y1): (i32, i32), (x2, y2): (i32, i32), word: &str) -> Markup {
    let (x, y, anchor) = if y1 == y2 {
        ((x1 + x2) / 2, y1 - 8, "middle")
    } else {
        (x1 + 10, (y1 + y2) / 2 + 4, "start")
    };
    html! {
        g.link {
            line x1=(x1) y1=(y1) x2=(x2) y2=(y2) {}
            polygon points=(tip((x1, y1), (x2, y2))) {}
            text x=(x) y=(y) text-anchor=(anchor) { (word) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_counted_and_a_long_name_fits() {
        let row = |number: usize| Row {
            id: format!("worker-{}-{number}", "x".repeat(40)),
            leader: number == 99,
            ..Row::of("worker")
        };
        let view = View {
            rows: (0..100).map(row).collect(),
            ..View::default()
        };
        let lane = service(&view, "worker", "Workers");
        assert_eq!((lane.nodes.len(), lane.name.as_str()), (DRAWN_MAX + 1, "Workers 100"));
        assert_eq!(lane.nodes[DRAWN_MAX].title, "and 96 more");
        assert!(lane.nodes[0].class.contains("leads") && lane.nodes[0].title.ends_with("-99"));
        assert!(lane.nodes.iter().all(|node| node.title.chars().count() <= NAME_MAX));
        let drawn = picture(&view, Store::Silent, &["http://a:1".to_owned()]).0;
        assert!(drawn.contains("does not answer") && drawn.contains("none"), "{drawn}");
        let leader = format!("Workers 100 led by {} in epoch 0", view.rows[99].id);
        assert!(drawn.contains(&leader), "for those who cannot see it: {drawn}");
        assert_eq!(drawn.matches(">online<").count(), 2, "the way past the schedulers");
    }

    #[test]
    fn arrows_point_where_they_go() {
        assert_eq!(tip((0, 0), (20, 0)), "11,-4 18,0 11,4");
        assert_eq!(tip((0, 0), (0, 20)), "-4,11 0,18 4,11");
        assert_eq!(tip((20, 0), (0, 0)), "9,4 2,0 9,-4");
    }
}

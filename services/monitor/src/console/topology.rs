//! Drawing of the mesh's connections.
//!
//! Promises: as many instances of a service as fit, its leader always among them, and the number of the others. It is
//! drawn in two layouts, for wide and narrow windows; the style sheet shows one.

use maud::{Markup, html};

use super::format::{count, rate, truncate};
use super::instances::words;
use crate::etcd_health::EtcdHealth;
use crate::view::{InstanceRow, MeshView, RowState};

/// Instances of a service in the drawing.
const DRAWN_MAX: usize = 4;
/// Characters of a name in a box; [`shortened`] omits the middle of longer ones.
const NAME_MAX: usize = 24;

const BOX_WIDTH: i32 = 226;
const BOX_HEIGHT: i32 = 44;
const GAP: i32 = 8;
/// Padding between a lane and its boxes.
const PAD: i32 = 12;
/// Height of the lane's title.
const HEAD: i32 = 30;
const LANE_WIDTH: i32 = BOX_WIDTH + 2 * PAD;
/// Gap between lanes, wide enough for an arrow and its label.
const BETWEEN: i32 = 112;
const BELOW: i32 = 40;
/// Room above the lanes, and beside them in the narrow drawing, for the online path.
const OVER: i32 = 32;
const BESIDE: i32 = 66;
/// Position of the online path, which bypasses the schedulers, from the edge of the drawing and of the lanes.
const PAST: i32 = 16;

/// Box of an instance.
struct Node {
    class: String,
    title: String,
    note: String,
}

/// Boxes of a service.
struct Lane {
    name: String,
    /// Leader and epoch as text; empty without a leader.
    leadership: String,
    nodes: Vec<Node>,
}

/// [`Lane`] with its position.
struct PlacedLane<'a> {
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

/// Drawing of the mesh in two layouts, of which the style sheet shows one.
pub(super) fn picture(view: &MeshView, etcd_health: EtcdHealth, etcd: &[String]) -> Markup {
    let lanes = [
        service(view, "gateway", "Gateways"),
        service(view, "scheduler", "Schedulers"),
        service(view, "worker", "Workers"),
        service(view, "monitor", "Monitors"),
        etcd_lane(etcd_health, etcd),
    ];
    html! {
        (wide(&lanes))
        (narrow(&lanes))
    }
}

fn service(view: &MeshView, name: &str, title: &str) -> Lane {
    let mut rows: Vec<&InstanceRow> = view.rows.iter().filter(|row| row.service == name).collect();
    // The leader first, then what is not ready: those are what a reader looks for.
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
    let leadership = leader.map(|row| format!(" led by {} in epoch {}", truncate(&row.id, 128), row.epoch));
    Lane {
        name: format!("{title} {}", rows.len()),
        leadership: leadership.unwrap_or_default(),
        nodes,
    }
}

fn node(row: &InstanceRow) -> Node {
    let (class, word) = words(row.state);
    let note = match &row.load {
        _ if row.leader => format!("leader, epoch {}", row.epoch),
        _ if row.state != RowState::Ready => word.to_owned(),
        Some(load) if load.slots > 0 => format!("{} of {} slots in use", load.in_flight, load.slots),
        Some(_) if !row.role.is_empty() => truncate(&row.role, NAME_MAX),
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

fn etcd_lane(etcd_health: EtcdHealth, etcd: &[String]) -> Lane {
    let (class, note) = match etcd_health {
        EtcdHealth::Healthy => ("good", "answers"),
        EtcdHealth::Unreachable => ("bad", "does not answer"),
        EtcdHealth::Unknown => ("unsure", "not checked yet"),
    };
    let members = match etcd {
        [only] => shortened(only.trim_start_matches("http://").trim_start_matches("https://")),
        more => format!("{} endpoints", more.len()),
    };
    Lane {
        name: "etcd".to_owned(),
        leadership: String::new(),
        nodes: vec![Node {
            class: class.to_owned(),
            title: members,
            note: note.to_owned(),
        }],
    }
}

/// Name that fits into a box: its beginning and its end, which say more than its middle.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= NAME_MAX {
        return name.to_owned();
    }
    let half = NAME_MAX / 2 - 1;
    let (head, tail) = (&letters[..half], &letters[letters.len() - half..]);
    head.iter().chain(['…'].iter()).chain(tail).collect()
}

/// Layout in columns: requests flow from left to right.
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
    drawing(
        "topology wide",
        (column(2) + LANE_WIDTH + 1, below + row + 1),
        &placed,
        &links,
    )
}

/// Lane centred at a height.
fn centred(lane: &Lane, x: i32, middle: i32) -> PlacedLane<'_> {
    let height = lane.height();
    let y = middle - height / 2;
    PlacedLane { lane, x, y, height }
}

/// Layout in one column.
fn narrow(lanes: &[Lane; 5]) -> Markup {
    let [gateways, schedulers, workers, monitors, etcd] = lanes;
    let mut y = 1;
    let placed = [gateways, schedulers, workers, etcd, monitors].map(|lane| {
        let height = lane.height();
        let at = PlacedLane { lane, x: 1, y, height };
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
    drawing("topology narrow", (LANE_WIDTH + BESIDE, y - PAD + 1), &placed, &links)
}

fn drawing(class: &str, (width, height): (i32, i32), placed: &[PlacedLane], links: &Markup) -> Markup {
    let label = |placed: &PlacedLane| format!("{}{}", placed.lane.name, placed.lane.leadership);
    let summary: Vec<String> = placed.iter().map(label).collect();
    html! {
        svg class=(class) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(summary.join(", ")) {
            @for placed in placed { (lane(placed)) }
            (links)
        }
    }
}

fn lane(placed: &PlacedLane) -> Markup {
    let PlacedLane { lane, x, y, height } = placed;
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

/// Online path: from the gateways to the workers, without the schedulers.
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

/// Head of an arrow between two points, one beside or below the other.
fn tip((x1, y1): (i32, i32), (x2, y2): (i32, i32)) -> String {
    let (dx, dy) = ((x2 - x1).signum(), (y2 - y1).signum());
    let corner = |back: i32, aside: i32| {
        let (x, y) = (x2 - back * dx + aside * dy, y2 - back * dy + aside * dx);
        format!("{x},{y}")
    };
    [corner(9, -4), corner(2, 0), corner(9, 4)].join(" ")
}

/// Arrow to the right or down with its label.
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
        let row = |number: usize| InstanceRow {
            id: format!("worker-{}-{number}", "x".repeat(40)),
            leader: number == 99,
            ..InstanceRow::of("worker")
        };
        let view = MeshView {
            rows: (0..100).map(row).collect(),
            ..MeshView::default()
        };
        let lane = service(&view, "worker", "Workers");
        assert_eq!((lane.nodes.len(), lane.name.as_str()), (DRAWN_MAX + 1, "Workers 100"));
        assert_eq!(lane.nodes[DRAWN_MAX].title, "and 96 more");
        assert!(lane.nodes[0].class.contains("leads") && lane.nodes[0].title.ends_with("-99"));
        assert!(lane.nodes.iter().all(|node| node.title.chars().count() <= NAME_MAX));
        let drawn = picture(&view, EtcdHealth::Unreachable, &["http://a:1".to_owned()]).0;
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

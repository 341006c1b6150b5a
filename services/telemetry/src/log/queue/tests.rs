//! Lines flow, wait, are dropped and are asked for at the end.

use std::io::{PipeReader, Read, pipe};

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// A queue into a pipe that reports how many lines were dropped, as the process does.
fn queue(metrics: &Metrics) -> (Lines, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    let reporting: Arc<Mutex<Option<Lines>>> = Arc::default();
    let of_writer = reporting.clone();
    let report = move |dropped| {
        let lines = of_writer.lock().unwrap().clone();
        lines.unwrap().push(&format!("{dropped} lines were dropped\n"));
    };
    let lines = Lines::start(writer, metrics, report);
    *reporting.lock().unwrap() = Some(lines.clone());
    (lines, reader)
}

/// Reads until the text has this in it.
fn read_until(reader: &mut PipeReader, end: &str) -> String {
    let mut text = String::new();
    let mut some = vec![0; 1 << 16];
    while !text.contains(end) {
        let length = reader.read(&mut some).unwrap();
        text.push_str(std::str::from_utf8(&some[..length]).unwrap());
    }
    text
}

#[test]
fn lines_come_out_in_order_and_are_waited_for() {
    let (lines, mut reader) = queue(&Metrics::new());
    (0..100).for_each(|number| lines.push(&format!("line {number}\n")));
    lines.flush(SOON);
    // Everything is in the pipe already: nothing else has to happen.
    let text = read_until(&mut reader, "line 99\n");
    let expected: String = (0..100).map(|number| format!("line {number}\n")).collect();
    assert_eq!(text, expected);
}

#[test]
fn a_pipe_that_nobody_reads_stops_nobody() {
    let metrics = Metrics::new();
    let (lines, mut reader) = queue(&metrics);
    let line = format!("{}\n", "x".repeat(1_023));
    // Many times what a pipe and the queue hold: this ends only as nobody waits.
    (0..10_000).for_each(|_| lines.push(&line));
    lines.flush(Duration::from_millis(50));
    let lost = lines.backlog.dropped.get();
    let held = 10_000 - lost;
    assert!((2_048..3_000).contains(&held), "{held} lines of 1 KiB wait");
    let text = read_until(&mut reader, "lines were dropped\n");
    assert!(
        text.ends_with(&format!("{lost} lines were dropped\n")),
        "{}",
        &text[text.len() - 100..]
    );
    assert_eq!(text.lines().count() as u64, held + 1, "all that waited came out");
}

#[test]
fn a_closed_pipe_ends_nobody() {
    let (lines, reader) = queue(&Metrics::new());
    drop(reader);
    (0..1_000).for_each(|_| lines.push("to nobody\n"));
    lines.flush(SOON);
    assert!(lines.backlog.lock().lines == 0);
}

//! Recovery from every kind of end, and the errors of a directory that cannot be used.

use super::*;
use crate::{Config, Error, log::directory::Directory, wire::PutRequest};
use bytes::Bytes;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// Rewrites only when requested to.
const NEVER: u64 = u64::MAX;

fn open(path: &Path, rewrite_bytes: u64) -> Result<(Machine, Log), Error> {
    let (machine, writer) = recover(Directory::open(path)?, 0, rewrite_bytes)?;
    Ok((machine, Log::start(writer)?))
}

/// Puts `key`, waits until it is durable, and returns what the log knows then.
async fn put(machine: &mut Machine, log: &Log, key: &str, size: usize) -> Progress {
    let request = PutRequest {
        key: Bytes::from(key.to_owned()),
        value: vec![7; size].into(),
        ..PutRequest::default()
    };
    machine.put(&request).unwrap();
    let (release, released) = oneshot::channel();
    let batch = Batch {
        entries: machine.take_fresh(),
        index: machine.index(),
        revision: machine.store().revision(),
        answers: vec![Box::new(move || release.send(()).expect("the test waits"))],
    };
    log.append(batch).await.unwrap();
    released.await.unwrap();
    let progress = *log.progress().borrow();
    assert!(
        progress.index >= machine.index(),
        "progress is published before the answer is sent"
    );
    progress
}

fn keys(machine: &Machine) -> Vec<String> {
    machine
        .store()
        .versions()
        .map(|version| String::from_utf8(version.key.to_vec()).unwrap())
        .collect()
}

/// A directory with one key in each of three frames, and where its segment's frames end.
async fn three_frames(path: &Path) -> (PathBuf, Vec<u64>) {
    let (mut machine, log) = open(path, NEVER).unwrap();
    let segment = path.join("log-00000000000000000001");
    let mut ends = Vec::new();
    for key in ["a", "b", "c"] {
        put(&mut machine, &log, key, 30).await;
        ends.push(fs::metadata(&segment).unwrap().len());
    }
    log.close().await.unwrap();
    (segment, ends)
}

#[tokio::test]
async fn a_cut_at_any_byte_loses_only_what_was_not_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (segment, ends) = three_frames(directory.path()).await;
    let whole = fs::read(&segment).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&segment, &whole[..cut]).unwrap();
        let (mut machine, log) = open(directory.path(), NEVER).unwrap();
        let left = ends.iter().filter(|end| **end <= cut as u64).count();
        assert_eq!(keys(&machine), ["a", "b", "c"][..left], "cut at {cut}");
        put(&mut machine, &log, "d", 30).await;
        log.close().await.unwrap();
        let (machine, log) = open(directory.path(), NEVER).unwrap();
        assert_eq!(keys(&machine).last().unwrap(), "d");
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_torn_last_frame_is_cut_off_and_an_earlier_one_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (segment, ends) = three_frames(directory.path()).await;
    let whole = fs::read(&segment).unwrap();
    for at in 0..whole.len() {
        let mut torn = whole.clone();
        torn[at] ^= 0x55;
        fs::write(&segment, &torn).unwrap();
        let opened = recover(Directory::open(directory.path()).unwrap(), 0, NEVER);
        if (at as u64) < ends[1] {
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "byte {at}");
            assert_eq!(fs::read(&segment).unwrap(), torn, "damage is left as it is");
        } else {
            assert_eq!(keys(&opened.unwrap().0), ["a", "b"], "byte {at}");
        }
    }
    // Zeros or rubbish behind the last frame are what a power cut may leave.
    for tail in [vec![0; 4096], vec![0xab; 5000]] {
        fs::write(&segment, &whole).unwrap();
        OpenOptions::new()
            .append(true)
            .open(&segment)
            .unwrap()
            .write_all(&tail)
            .unwrap();
        let (machine, _) = recover(Directory::open(directory.path()).unwrap(), 0, NEVER).unwrap();
        assert_eq!(keys(&machine), ["a", "b", "c"]);
        assert_eq!(fs::metadata(&segment).unwrap().len(), whole.len() as u64);
    }
}

#[tokio::test]
async fn rewriting_bounds_the_disk_and_keeps_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let rewrite_bytes = 64 << 10;
    let (mut machine, log) = open(directory.path(), rewrite_bytes).unwrap();
    let mut requested = None;
    for n in 0..2000 {
        let progress = put(&mut machine, &log, &format!("{}", n % 10), 1000).await;
        if n % 100 == 0 {
            machine
                .compact(&crate::wire::CompactionRequest {
                    revision: machine.store().revision(),
                })
                .unwrap();
        }
        if progress.rewrite_due && requested != Some(progress.segment) {
            requested = Some(progress.segment);
            log.rewrite(machine.image(), None).await.unwrap();
        }
    }
    log.close().await.unwrap();
    let files = fs::read_dir(directory.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len());
    let used: u64 = files.sum();
    assert!(
        used < 1 << 20,
        "{used} bytes for 2 MB of puts, of which at most 110 versions are held"
    );
    let before = machine.image();
    let (machine, log) = open(directory.path(), rewrite_bytes).unwrap();
    let after = machine.image();
    assert_eq!((after.base, after.versions), (before.base, before.versions));
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_crash_while_rewriting_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (mut machine, log) = open(path, NEVER).unwrap();
    put(&mut machine, &log, "a", 10).await;
    log.rewrite(machine.image(), None).await.unwrap();
    put(&mut machine, &log, "b", 10).await;
    log.close().await.unwrap();
    let first = path.join("log-00000000000000000001");
    let snapshot = path.join("snapshot-00000000000000000002");
    assert!(!first.exists() && snapshot.exists());
    // As if it had crashed with the snapshot half written: both segments, no snapshot.
    let (mut older, log) = open(&path.join("older"), NEVER).unwrap();
    put(&mut older, &log, "a", 10).await;
    log.close().await.unwrap();
    let saved = fs::read(&snapshot).unwrap();
    fs::rename(path.join("older/log-00000000000000000001"), &first).unwrap();
    fs::rename(&snapshot, path.join("snapshot-00000000000000000002.tmp")).unwrap();
    let (machine, _) = recover(Directory::open(path).unwrap(), 0, NEVER).unwrap();
    assert_eq!(keys(&machine), ["a", "b"]);
    assert!(!path.join("snapshot-00000000000000000002.tmp").exists());
    // As if it had crashed before the old segment was removed.
    fs::write(&snapshot, &saved).unwrap();
    let (machine, _) = recover(Directory::open(path).unwrap(), 0, NEVER).unwrap();
    assert_eq!(keys(&machine), ["a", "b"]);
    assert!(!first.exists());
    // A snapshot that is cut was whole once.
    fs::write(&snapshot, &saved[..saved.len() - 1]).unwrap();
    assert!(matches!(
        recover(Directory::open(path).unwrap(), 0, NEVER),
        Err(Error::Corrupt { .. })
    ));
    fs::write(&snapshot, &saved).unwrap();
    fs::remove_file(path.join("log-00000000000000000002")).unwrap();
    assert!(matches!(
        recover(Directory::open(path).unwrap(), 0, NEVER),
        Err(Error::Corrupt { .. })
    ));
}

#[tokio::test]
async fn a_rewrite_is_done_when_its_snapshot_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let (mut machine, log) = open(directory.path(), NEVER).unwrap();
    put(&mut machine, &log, "a", 10).await;
    let requested = || {
        let (release, released) = oneshot::channel();
        (
            Some(Box::new(move || release.send(()).expect("the test waits")) as Release),
            released,
        )
    };
    // The second one comes while the first is being written.
    let ((first, first_done), (second, second_done)) = (requested(), requested());
    log.rewrite(machine.image(), first).await.unwrap();
    log.rewrite(machine.image(), second).await.unwrap();
    first_done.await.unwrap();
    second_done.await.unwrap();
    assert!(directory.path().join("snapshot-00000000000000000003").exists());
    // One that cannot be put in place is not done, and leaves nothing half written.
    fs::create_dir_all(directory.path().join("snapshot-00000000000000000004/in the way")).unwrap();
    let (third, third_done) = requested();
    log.rewrite(machine.image(), third).await.unwrap();
    assert!(third_done.await.is_err());
    assert!(!directory.path().join("snapshot-00000000000000000004.tmp").exists());
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_writer_that_panics_is_no_good_end() {
    let (commands, _inbox) = mpsc::channel(1);
    let (_publish, progress) = watch::channel(Progress::default());
    let (ended, end) = oneshot::channel();
    drop(ended);
    let log = Log::Disk {
        commands,
        progress,
        end,
    };
    assert!(matches!(log.close().await, Err(Error::LogBroke)));
}

#[test]
fn a_directory_that_cannot_be_used_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let held = Config::new(&path).build().unwrap();
    assert!(matches!(Config::new(&path).build(), Err(Error::InUse { .. })));
    drop(held);
    Config::new(&path).build().unwrap();
    fs::write(path.join("FORMAT"), "lepton-embedded-etcd 2\n").unwrap();
    match Config::new(&path).build() {
        Err(Error::UnsupportedFormat { found, .. }) => assert_eq!(found, "lepton-embedded-etcd 2"),
        other => panic!("{:?}", other.err()),
    }
    fs::remove_file(path.join("FORMAT")).unwrap();
    assert!(matches!(
        Config::new(&path).build(),
        Err(Error::UnsupportedFormat { .. })
    ));
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Config::new(file).build(), Err(Error::NotWritable { .. })));
}

//! Programs of the workspace as child processes: started, watched for their ready line, killed, frozen and drained.
//!
//! Promises: the programs are those that were built beside the running test; a process is gone when its handle is
//! dropped or the test killed, and what it said on stderr is shown when the test fails. Leaves what to start to `mesh`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::child_guard;
use crate::wait::eventually;

/// The program that is the command and, by other names, every service.
const PROGRAM: &str = "lepton";
/// How long a process may take to be ready.
pub const READY_MAX: Duration = Duration::from_secs(30);
/// How long a process may take to end after SIGTERM: the drain's own cap and a little.
pub const END_MAX: Duration = Duration::from_secs(35);
/// How much of a log is shown.
const LOG_TAIL_LINES: usize = 200;
/// The unit in which Linux tells CPU time to programs: a hundredth of a second on every machine.
const MILLIS_PER_TICK: u64 = 10;

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// What it writes to stdout and stderr.
    output: TempDir,
    status: Option<ExitStatus>,
}

/// The program of this name beside the running test. A service's name is a link to the one program, as `make build`
/// makes it.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("tests lie in deps/ of the target directory");
    let is_service = name.starts_with("lepton-");
    let program = folder.join(if is_service { PROGRAM } else { name });
    assert!(
        program.is_file(),
        "{} is missing: `make test` builds it, as does `cargo build --bins`",
        program.display()
    );
    if is_service { link(folder, name) } else { program }
}

/// Makes the link of a service beside the program, unless it is there. A file of that name, left by an older build, gives
/// way.
fn link(folder: &Path, name: &str) -> PathBuf {
    let link = folder.join(name);
    if !fs::read_link(&link).is_ok_and(|program| program == Path::new(PROGRAM)) {
        // Other tests make the same link at the same time: a rename replaces theirs, or an older file, in one step.
        let fresh = tempfile::tempdir_in(folder).expect("the target directory is writable");
        let fresh = fresh.path().join(name);
        // The link leads to a sibling of where it will lie, not of where it is made.
        std::os::unix::fs::symlink(PROGRAM, &fresh).expect("a link in a fresh directory");
        fs::rename(&fresh, &link).unwrap_or_else(|error| panic!("{}: {error}", link.display()));
    }
    link
}

impl Process {
    /// Starts a program of the workspace.
    pub fn start(program: &str, arguments: &[String]) -> Self {
        let mut command = child_guard::command(binary(program));
        command.args(arguments);
        Self::spawn(program, command)
    }

    /// Starts a command, such as [`child_guard`] makes. Its stdin is empty.
    pub fn spawn(name: &str, mut command: Command) -> Self {
        let output = tempfile::Builder::new()
            .prefix("lepton-output-")
            .tempdir()
            .expect("a temporary directory");
        let file = |name: &str| File::create(output.path().join(name)).expect("a file in a fresh directory");
        command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        let child = child_guard::spawn(command).unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self {
            name: name.to_owned(),
            child,
            output,
            status: None,
        }
    }

    /// Waits for the line on stdout that begins with `ready`, and gives its `key=value` pairs.
    #[track_caller]
    pub fn ready(&mut self) -> impl Future<Output = BTreeMap<String, String>> {
        eventually(READY_MAX, || {
            assert!(
                self.ended().is_none(),
                "{} has ended before it was ready; its log is below",
                self.name
            );
            std::future::ready(ready_line(&self.stdout()))
        })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child of ours can be waited for");
        }
        self.status
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn end(&mut self) -> impl Future<Output = ExitStatus> {
        eventually(END_MAX, || std::future::ready(self.ended()))
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            // It may end by itself meanwhile; either way it is gone afterwards.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }

    /// Asks it to drain and end.
    pub fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Stops it where it stands; its sockets stay open.
    pub fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets a frozen one go on.
    pub fn thaw(&self) {
        signal(self.pid(), "CONT");
    }

    /// What it has written to stdout.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has written to stderr.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// The most memory that it has held at once, in bytes, as the system counts it.
    pub fn memory_peak(&self) -> u64 {
        memory_peak(self.pid()).expect("the process runs")
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path().join(name)).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.stderr();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
            eprintln!("--- {} (pid {}) said last:\n{tail}\n---", self.name, self.pid());
        }
        self.kill();
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: &str) {
    // The shell's own kill: the program of that name is not on every machine.
    let told = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{signal} {pid}"))
        .status();
    assert!(
        told.is_ok_and(|status| status.success()),
        "signal {signal} to process {pid}"
    );
}

/// The processes that this one has started and that still run, by name.
pub fn children(pid: u32) -> Vec<(u32, String)> {
    let all = fs::read_dir("/proc").expect("Linux shows its processes");
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|child| Some((child, stat(child)?)))
        .filter(|(_, stat)| stat.parent == pid && stat.state != 'Z')
        .map(|(child, stat)| (child, stat.name))
        .collect()
}

/// Whether a process runs (one that has ended and was not waited for does not).
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != 'Z')
}

/// The most memory that a process has held at once, in bytes; `None` when it has ended.
pub fn memory_peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>();
    Some(kib.expect("a number of KiB") * 1024)
}

/// The CPU time that a process has used, all of its threads together.
pub fn cpu_used(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let (_, tail) = text.rsplit_once(')').expect("the name stands in parentheses");
    // After the name: state is the first field, user and system time are the twelfth and thirteenth.
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|field| field.parse::<u64>().expect("a number of ticks"))
        .sum();
    Duration::from_millis(ticks * MILLIS_PER_TICK)
}

struct Stat {
    name: String,
    state: char,
    parent: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name stands in parentheses and may hold any character.
    let (head, tail) = text.rsplit_once(')')?;
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Stat {
        name: head.split_once('(')?.1.to_owned(),
        state,
        parent,
    })
}

fn ready_line(stdout: &str) -> Option<BTreeMap<String, String>> {
    // Only whole lines: the last one may still be on its way.
    let (whole, _) = stdout.rsplit_once('\n')?;
    let line = whole.lines().find_map(|line| line.strip_prefix("ready "))?;
    let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
    Some(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

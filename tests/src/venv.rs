//! A Python virtual environment with what the tests compare with: numpy and its kin, the stock gRPC tools, grpcurl.
//!
//! Promises: made once, below the target directory, whichever of several test processes comes first; the versions are
//! those of `python/requirements.txt`, and another list gives another environment, as `python/clients.txt` does for
//! peers' clients and `python/models.txt` for what makes models. Every command has a deadline. What is missing fails the
//! test, and an installation that failed is not tried again by every other one.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use crate::process::signal;

/// How long a command may take: longer than the slowest script on a busy machine.
const COMMAND_MAX: Duration = Duration::from_secs(900);
/// Where, in an environment, the packages lie that are there for the files in them.
const SHIPPED_FOLDER: &str = "shipped";

/// A list of packages: its file and its text.
type List = (&'static str, &'static str);

const REQUIREMENTS: List = ("requirements.txt", include_str!("../python/requirements.txt"));
const CLIENTS: List = ("clients.txt", include_str!("../python/clients.txt"));
const MODELS: List = ("models.txt", include_str!("../python/models.txt"));
const SHIPPED: List = ("shipped.txt", include_str!("../python/shipped.txt"));

/// What an environment has.
#[derive(Debug, Clone, Copy)]
struct Packages {
    /// What its scripts import, with all that this needs.
    imported: List,
    /// What it has for the files in it alone, without what it would need to run.
    shipped: Option<List>,
}

/// The environment.
#[derive(Debug, Clone)]
pub struct Venv {
    root: PathBuf,
}

/// The environment, made if it is not there yet.
pub fn venv() -> &'static Venv {
    static VENV: OnceLock<Result<Venv, String>> = OnceLock::new();
    kept(&VENV, REQUIREMENTS, None)
}

/// The environment with peers' clients, made if it is not there yet.
pub fn clients() -> &'static Venv {
    static VENV: OnceLock<Result<Venv, String>> = OnceLock::new();
    kept(&VENV, CLIENTS, None)
}

/// The environment that makes and runs models, with packages that ship some, made if it is not there yet.
pub fn models() -> &'static Venv {
    static VENV: OnceLock<Result<Venv, String>> = OnceLock::new();
    kept(&VENV, MODELS, Some(SHIPPED))
}

/// The folder of the tests' scripts.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// The folder of the contract.
pub fn contract() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("proto")
}

impl Venv {
    /// The interpreter.
    pub fn python(&self) -> PathBuf {
        self.root.join("bin/python")
    }

    /// grpcurl.
    pub fn grpcurl(&self) -> PathBuf {
        self.root.join("bin/grpcurl")
    }

    /// A script of the tests, ready to run.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.python());
        // Nothing is to be written beside the sources.
        command
            .arg("-B")
            .arg(scripts().join(name))
            .env("OPENBLAS_NUM_THREADS", "1");
        command
    }
}

/// Runs a command with this text on its stdin. Panics with its stderr unless it succeeds in time.
pub fn run(mut command: Command, stdin: &[u8]) -> Output {
    succeed(&mut command, stdin).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Runs a command with this text on its stdin. Panics when it does not end in time.
pub fn attempt(command: &mut Command, stdin: &[u8]) -> Output {
    end(command, stdin).unwrap_or_else(|failure| panic!("{failure}"))
}

fn succeed(command: &mut Command, stdin: &[u8]) -> Result<Output, String> {
    let output = end(command, stdin)?;
    if output.status.success() {
        return Ok(output);
    }
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    Err(format!("{command:?}: {}\n{stdout}\n{stderr}", output.status))
}

fn end(command: &mut Command, stdin: &[u8]) -> Result<Output, String> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| format!("{command:?} cannot be started: {error}"))?;
    let (pid, stdin) = (child.id(), stdin.to_vec());
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    // One that ends early closes its stdin; its status says why.
    std::thread::spawn(move || pipe.write_all(&stdin));
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let output = end.recv_timeout(COMMAND_MAX).map_err(|_| {
        signal(pid, "KILL");
        format!("{command:?} does not end within {COMMAND_MAX:?}")
    })?;
    Ok(output.expect("a child of ours can be waited for"))
}

/// The environment, or what went wrong when it was made: a failure is kept too, for it would only repeat itself.
#[track_caller]
fn kept(venv: &'static OnceLock<Result<Venv, String>>, imported: List, shipped: Option<List>) -> &'static Venv {
    let made = venv.get_or_init(|| make(Packages { imported, shipped }));
    made.as_ref().unwrap_or_else(|failure| panic!("{failure}"))
}

fn make(packages: Packages) -> Result<Venv, String> {
    let test = std::env::current_exe().expect("a test has a file");
    let target = test.ancestors().nth(3).expect("tests lie in the target directory");
    let lists = [Some(packages.imported), packages.shipped].into_iter().flatten();
    let text: String = lists.map(|list| list.1).collect();
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let root = target.join(format!("venv-tests-{:08x}", hasher.finish() as u32));
    let lock = File::create(root.with_extension("lock")).expect("the target directory is writable");
    // Held until the environment is whole; the end of the process frees it too.
    lock.lock().expect("files can be locked");
    let whole = root.join("whole");
    if !whole.exists() {
        install(&root, packages)?;
        fs::write(whole, text).expect("the target directory is writable");
    }
    Ok(Venv { root })
}

fn install(root: &Path, packages: Packages) -> Result<(), String> {
    // What an interrupted run left behind is of no use.
    let _ = fs::remove_dir_all(root);
    let system = Path::new("/usr/bin/python3");
    let mut venv = Command::new(if system.exists() { system } else { Path::new("python3") });
    venv.args(["-m", "venv"]).arg(root);
    succeed(&mut venv, b"")?;
    let pip = |list: List| {
        let mut pip = Command::new(root.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        pip.arg(scripts().join(list.0));
        pip
    };
    succeed(&mut pip(packages.imported), b"")?;
    if let Some(shipped) = packages.shipped {
        let mut pip = pip(shipped);
        pip.args(["--no-deps", "--no-compile", "--only-binary", ":all:", "--target"]);
        succeed(pip.arg(root.join(SHIPPED_FOLDER)), b"")?;
    }
    Ok(())
}

//! A Python virtual environment with what the tests compare with: numpy and its kin, the stock gRPC tools, grpcurl.
//!
//! Promises: made once, below the target directory, whichever of several test processes comes first; the versions are
//! those of `python/requirements.txt`, and another list gives another environment, as `python/clients.txt` does for
//! peers' clients and `python/models.txt` for what makes models. What is missing fails the test.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A list of what an environment has: its file and its text.
type List = (&'static str, &'static str);

const REQUIREMENTS: List = ("requirements.txt", include_str!("../python/requirements.txt"));
const CLIENTS: List = ("clients.txt", include_str!("../python/clients.txt"));
const MODELS: List = ("models.txt", include_str!("../python/models.txt"));

/// The environment.
#[derive(Debug, Clone)]
pub struct Venv {
    root: PathBuf,
}

/// The environment, made if it is not there yet.
pub fn venv() -> &'static Venv {
    static VENV: OnceLock<Venv> = OnceLock::new();
    VENV.get_or_init(|| make(REQUIREMENTS))
}

/// The environment with peers' clients, made if it is not there yet.
pub fn clients() -> &'static Venv {
    static VENV: OnceLock<Venv> = OnceLock::new();
    VENV.get_or_init(|| make(CLIENTS))
}

/// The environment that makes and runs models, made if it is not there yet.
pub fn models() -> &'static Venv {
    static VENV: OnceLock<Venv> = OnceLock::new();
    VENV.get_or_init(|| make(MODELS))
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

/// Runs a command with this text on its stdin. Panics with its stderr unless it succeeds.
pub fn run(mut command: Command, stdin: &[u8]) -> Output {
    let output = attempt(&mut command, stdin);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}\n{stderr}",
        output.status
    );
    output
}

/// Runs a command with this text on its stdin.
pub fn attempt(command: &mut Command, stdin: &[u8]) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    std::thread::scope(|scope| {
        // One that ends early closes its stdin; its status says why.
        scope.spawn(move || pipe.write_all(stdin));
        child.wait_with_output().expect("a child of ours can be waited for")
    })
}

fn make(list: List) -> Venv {
    let test = std::env::current_exe().expect("a test has a file");
    let target = test.ancestors().nth(3).expect("tests lie in the target directory");
    let mut hasher = DefaultHasher::new();
    list.1.hash(&mut hasher);
    let root = target.join(format!("venv-tests-{:08x}", hasher.finish() as u32));
    let lock = File::create(root.with_extension("lock")).expect("the target directory is writable");
    // Held until the environment is whole; the end of the process frees it too.
    lock.lock().expect("files can be locked");
    let whole = root.join("whole");
    if !whole.exists() {
        install(&root, list.0);
        fs::write(whole, list.1).expect("the target directory is writable");
    }
    Venv { root }
}

fn install(root: &Path, list: &str) {
    // What an interrupted run left behind is of no use.
    let _ = fs::remove_dir_all(root);
    let system = Path::new("/usr/bin/python3");
    let mut venv = Command::new(if system.exists() { system } else { Path::new("python3") });
    venv.args(["-m", "venv"]).arg(root);
    run(venv, b"");
    let mut pip = Command::new(root.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    pip.arg(scripts().join(list));
    run(pip, b"");
}

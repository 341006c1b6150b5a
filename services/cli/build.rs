//! The text of `--version`: the release, and the commit that it was built from.
//!
//! `LEPTON_VERSION` gives it where there is no repository, as in an image: all of it, or the commit. Runs again when HEAD
//! moves, and only then.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=LEPTON_VERSION");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("LEPTON_VERSION").ok().filter(|given| !given.is_empty());
    let (given, release) = (given.unwrap_or_else(commit), env!("CARGO_PKG_VERSION"));
    let version = match given.starts_with(release) {
        true => given,
        false => format!("{release} ({given})"),
    };
    println!("cargo::rustc-env=LEPTON_VERSION={version}");
}

/// The commit of the work tree.
fn commit() -> String {
    // The log of HEAD gets a line with every commit and checkout; HEAD itself only names the branch.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file]).map(PathBuf::from);
        // A file that is missing would make every build run this again.
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

/// The output of git, if there is a git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let answer = output.status.success().then_some(output.stdout)?;
    Some(String::from_utf8(answer).ok()?.trim().to_owned())
}

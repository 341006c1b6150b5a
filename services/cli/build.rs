//! Finds out what `--version` says: the release, and the commit that it was built from.
//!
//! `LEPTON_VERSION` says it where there is no repository, as in an image: all of it, or the commit. Runs again when HEAD
//! moves, and only then.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=LEPTON_VERSION");
    println!("cargo::rerun-if-changed=build.rs");
    let told = std::env::var("LEPTON_VERSION").ok().filter(|told| !told.is_empty());
    let (told, release) = (told.unwrap_or_else(commit), env!("CARGO_PKG_VERSION"));
    let version = match told.starts_with(release) {
        true => told,
        false => format!("{release} ({told})"),
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

/// What git answers, if there is a git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let answer = output.status.success().then_some(output.stdout)?;
    Some(String::from_utf8(answer).ok()?.trim().to_owned())
}

//! Golden transcripts of the domain: scripts in, text out, reviewed as diffs.
//!
//! Promises: a decision of Lepton that changes shows up as a changed line of a transcript. `UPDATE_GOLDEN=1` writes
//! what comes out as what is expected. Leaves what holds for every history to the property tests of the domain.
//!
//! A script is made of blocks: lines of commands, `----`, what they print, an empty line. Lines that begin with `#`
//! are for the reader.

use std::fs;
use std::path::{Path, PathBuf};

mod fixture;
mod ledger;
mod line;
mod placing;
mod print;
mod queueing;
mod script;
mod sessions;

#[test]
fn transcripts_come_out_as_written() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let scripts = scripts();
    assert!(!scripts.is_empty(), "there are no scripts");
    let mut different = Vec::new();
    for path in scripts {
        let written = fs::read_to_string(&path).expect("a listed script is readable");
        let played = script::play(&written);
        if played == written {
            continue;
        }
        if update {
            fs::write(&path, played).expect("the source tree is writable for an update");
        } else {
            different.push(format!("{}\n{}", path.display(), script::difference(&written, &played)));
        }
    }
    assert!(
        different.is_empty(),
        "read the differences, then UPDATE_GOLDEN=1:\n{}",
        different.join("\n")
    );
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/scripts");
    let entries = fs::read_dir(folder).expect("the folder of scripts exists");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the folder is readable").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
}

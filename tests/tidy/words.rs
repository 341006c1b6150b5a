//! The language of documentation: a comment begins with its subject or with what the item does, and data is sent, received
//! and reported by it, not told and heard.

use std::path::Path;

use crate::sources::{all_rust_files, none, short, text};

/// Words that begin a relative clause without a head.
const HEADLESS: &[&str] = &[
    "What", "Who", "Whom", "Whose", "Whether", "How", "Where", "When", "Which",
];
/// Verbs of people.
const SPOKEN: &[&str] = &[
    "told", "tell", "tells", "telling", "hear", "hears", "heard", "says", "said",
];

#[test]
fn documentation_begins_with_its_subject() {
    let mut breaches = Vec::new();
    for path in all_rust_files().iter().filter(|path| !is_test(path)) {
        for (line, block) in blocks(&text(path)) {
            let first = block.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            if HEADLESS.contains(&first) {
                breaches.push(format!("{}:{line}: begins with {first:?}: {block}", short(path)));
            }
            let spoken = block
                .split(|c: char| !c.is_alphanumeric())
                .find(|word| SPOKEN.contains(word));
            if let Some(word) = spoken {
                breaches.push(format!("{}:{line}: {word:?}: {block}", short(path)));
            }
        }
    }
    none(&breaches);
}

/// Tests are named and documented by what they show.
fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Returns each documentation comment of a file with the line that it begins on.
fn blocks(source: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut before = None;
    for (number, line) in source.lines().enumerate() {
        let line = line.trim_start();
        let kind = ["///", "//!"].into_iter().find(|kind| line.starts_with(kind));
        let Some(kind) = kind else {
            before = None;
            continue;
        };
        let content = line[kind.len()..].trim();
        match blocks.last_mut().filter(|_| before == Some(kind)) {
            Some((_, block)) => *block = format!("{block} {content}"),
            None => blocks.push((number + 1, content.to_owned())),
        }
        before = Some(kind);
    }
    blocks
}

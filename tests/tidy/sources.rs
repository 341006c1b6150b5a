//! The files of the house, as the other rules see them.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests' folder is in the root")
        .to_path_buf()
}

/// Every crate's folder.
pub fn crates() -> Vec<PathBuf> {
    let services = fs::read_dir(root().join("services")).expect("services/ is readable");
    let mut folders: Vec<PathBuf> = services.map(|entry| entry.expect("readable").path()).collect();
    folders.extend([root().join("proto"), root().join("tests")]);
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    assert!(folders.len() >= 11, "the house has lost a crate: {folders:?}");
    folders
}

/// Every Rust file below a folder.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("folders of the house are readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file of the house.
pub fn all_rust_files() -> Vec<PathBuf> {
    crates().iter().flat_map(|folder| rust_files(folder)).collect()
}

/// A file's text.
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path as people write it.
pub fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Fails with every breach at once.
pub fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

//! Writing a file into a directory that must be there.
//!
//! Promises: a file is whole and durable when the call returns, and replaces another in one step; directories on the way
//! to it are made, the root never is: where it is gone, the write fails. Leaves names, and reading, to `object_store`,
//! which would make the root anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Times that a directory is made which somebody else removes again, because it has become empty.
const ATTEMPTS: u32 = 3;

/// Writes `file`, which lies below `root`.
pub(super) fn write(root: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    let parent = file.parent().filter(|parent| parent.starts_with(root)).unwrap_or(root);
    let (staged, out) = stage(root, parent, file)?;
    let published = publish(out, &staged, file, content);
    if published.is_err() {
        // Whoever lists the store takes no notice of what stays behind.
        let _ = fs::remove_file(&staged);
    }
    published?;
    sync(parent)
}

fn publish(mut out: File, staged: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    out.write_all(content)?;
    out.sync_all()?;
    fs::rename(staged, file)
}

/// Opens a file of its own beside `file`, under a name that `object_store` keeps for unfinished ones.
fn stage(root: &Path, parent: &Path, file: &Path) -> io::Result<(PathBuf, File)> {
    let (mut attempt, mut number) = (1, 1);
    loop {
        make_below(root, parent)?;
        let mut staged = file.as_os_str().to_owned();
        staged.push(format!("#{number}"));
        let staged = PathBuf::from(staged);
        match OpenOptions::new().write(true).create_new(true).open(&staged) {
            Ok(out) => return Ok((staged, out)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Makes the directories from `root`, exclusive, to `directory`.
fn make_below(root: &Path, directory: &Path) -> io::Result<()> {
    if directory == root || directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().unwrap_or(root);
    make_below(root, above)?;
    match fs::create_dir(directory) {
        Ok(()) => sync(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the entries of a directory durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_gone_is_not_made() {
        let root = std::env::temp_dir().join(format!("lepton-directory-{}", std::process::id()));
        let file = root.join("task/digest");
        let missing = write(&root, &file, b"rows").expect_err("there is no root");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(!root.exists());
        fs::create_dir(&root).unwrap();
        for content in [b"rows", b"more"] {
            write(&root, &file, content).unwrap();
            assert_eq!(fs::read(&file).unwrap(), content);
        }
        write(&root, &root.join("top"), b"file").unwrap();
        let names = |directory: &Path| fs::read_dir(directory).unwrap().count();
        assert_eq!(
            (names(&root), names(&root.join("task"))),
            (2, 1),
            "nothing unfinished is left"
        );
        fs::remove_dir_all(root).unwrap();
    }
}

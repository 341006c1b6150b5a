//! The data directory: one mesh at a time, readable by its owner only, and of a format that this version knows.
//!
//! Promises: a directory that cannot be used is left as it was.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use lepton_domain::reason::{ApiError, Reason};

/// The format of the directory: the content of the file `VERSION`.
const FORMAT: &str = "1";

/// Files of a start that was interrupted, and of a fresh file system's root.
const LEFTOVERS: [&str; 3] = ["LOCK", "VERSION.tmp", "lost+found"];

/// The lock on a directory, until this is dropped.
#[derive(Debug)]
pub(super) struct DataDirectory {
    _lock: File,
}

impl DataDirectory {
    /// Checks the format ([`FORMAT`]), makes the directory if it is absent, and locks it.
    pub fn open(path: &Path) -> Result<Self, ApiError> {
        let unwritable = |error: io::Error| unwritable(path, &error);
        check_format(path)?;
        create(path).map_err(unwritable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("LOCK"))
            .map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unwritable)?;
        write_version(path).map_err(unwritable)?;
        Ok(Self { _lock: lock })
    }
}

fn check_format(path: &Path) -> Result<(), ApiError> {
    match fs::read_to_string(path.join("VERSION")) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        Ok(found) => {
            let (found, path) = (found.trim(), path.display());
            let message =
                format!("{path} has format {found}, this version reads {FORMAT}; use a newer version of lepton");
            Err(ApiError::new(Reason::FormatUnsupported, message).with("format", found))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_strangers(path),
        Err(error) => Err(unwritable(path, &error)),
    }
}

/// Refuses a directory with other data ([`Reason::DataDirNotWritable`]): it would become ours alone, down to its mode.
fn check_strangers(path: &Path) -> Result<(), ApiError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unwritable(path, &error)),
    };
    for entry in entries {
        let name = entry.map_err(|error| unwritable(path, &error))?.file_name();
        if !LEFTOVERS.iter().any(|ours| name == *ours) {
            let (path, name) = (path.display(), name.display());
            let message =
                format!("{path} holds {name} and no data of lepton; choose an empty directory with --data-dir");
            return Err(ApiError::new(Reason::DataDirNotWritable, message));
        }
    }
    Ok(())
}

/// Makes the directory and those above it, with every name on the disk: a power cut must not remove its content.
fn create(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    missing.iter().filter_map(|made| made.parent()).try_for_each(sync)
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Writes the format whole or not at all: half of it would be an unknown format.
fn write_version(path: &Path) -> io::Result<()> {
    let version = path.join("VERSION");
    if version.exists() {
        return Ok(());
    }
    let unfinished = path.join("VERSION.tmp");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    fs::rename(unfinished, version)?;
    sync(path)
}

fn unwritable(path: &Path, error: &io::Error) -> ApiError {
    let message = format!("{}: {error}; choose another directory with --data-dir", path.display());
    ApiError::new(Reason::DataDirNotWritable, message)
}

fn in_use(path: &Path) -> ApiError {
    let message = format!(
        "{} is used by another lepton; stop it, or choose another with --data-dir",
        path.display()
    );
    ApiError::new(Reason::DataDirInUse, message)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lepton-directory-{}-{name}", std::process::id()));
        let _absent = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_directory_is_private_and_used_once() {
        let path = scratch("once");
        let first = DataDirectory::open(&path).expect("a fresh directory");
        assert_eq!(
            fs::metadata(&path).expect("it is there").permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(
            DataDirectory::open(&path).expect_err("in use").reason,
            Reason::DataDirInUse
        );
        drop(first);
        DataDirectory::open(&path).expect("free again");
        fs::remove_dir_all(path).expect("it can be removed");
    }

    #[test]
    fn a_start_that_got_no_further_is_continued_and_a_stranger_is_left_alone() {
        let path = scratch("strangers").join("above");
        fs::create_dir_all(&path).expect("a folder");
        fs::write(path.join("LOCK"), "").expect("a file");
        fs::write(path.join("VERSION.tmp"), "").expect("a file");
        drop(DataDirectory::open(&path).expect("our own leftovers"));
        assert_eq!(fs::read_to_string(path.join("VERSION")).expect("a format"), "1\n");
        assert!(!path.join("VERSION.tmp").exists());

        let above = path.parent().expect("it has one");
        let mode = || fs::metadata(above).expect("it is there").permissions().mode();
        let before = mode();
        let error = DataDirectory::open(above).expect_err("somebody's directory");
        assert!(
            error.reason == Reason::DataDirNotWritable && error.message.contains("holds above"),
            "{error:?}"
        );
        assert_eq!((mode(), fs::read_dir(above).expect("it is there").count()), (before, 1));
        fs::remove_dir_all(above).expect("it can be removed");
    }

    #[test]
    fn a_newer_format_is_left_alone() {
        let path = scratch("newer");
        fs::create_dir_all(&path).expect("a folder");
        fs::write(path.join("VERSION"), "7\n").expect("a file");
        assert_eq!(
            DataDirectory::open(&path).expect_err("newer").reason,
            Reason::FormatUnsupported
        );
        assert_eq!(
            fs::read_dir(&path).expect("it is there").count(),
            1,
            "nothing was added"
        );
        fs::remove_dir_all(path).expect("it can be removed");
    }
}

//! The data directory: one mesh at a time, readable by its owner only, and of a format that this version knows.
//!
//! Promises: a directory that cannot be used is left as it was.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use lepton_domain::reason::{Fault, Reason};

/// The format of the directory: what the file `VERSION` says.
const FORMAT: &str = "1";

/// A directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct DataDirectory {
    _lock: File,
}

impl DataDirectory {
    /// Makes it if need be, checks its format and locks it.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let unwritable = |error: io::Error| unwritable(path, &error);
        check_format(path)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unwritable)?;
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

fn check_format(path: &Path) -> Result<(), Fault> {
    match fs::read_to_string(path.join("VERSION")) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        Ok(found) => {
            let (found, path) = (found.trim(), path.display());
            let message =
                format!("{path} has format {found}, this version reads {FORMAT}; use a newer version of lepton");
            Err(Fault::new(Reason::FormatUnsupported, message).with("format", found))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unwritable(path, &error)),
    }
}

fn write_version(path: &Path) -> io::Result<()> {
    let version = path.join("VERSION");
    if version.exists() {
        return Ok(());
    }
    let mut file = File::create(version)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    let message = format!("{}: {error}; choose another directory with --data-dir", path.display());
    Fault::new(Reason::DataDirNotWritable, message)
}

fn in_use(path: &Path) -> Fault {
    let message = format!(
        "{} is used by another lepton; stop it, or choose another with --data-dir",
        path.display()
    );
    Fault::new(Reason::DataDirInUse, message)
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

//! The data directory: its lock, its format, and the names of what lies in it.
//!
//! ```text
//! LOCK          locked (flock) while a server uses the directory
//! FORMAT        one line: the program that wrote it, and the format
//! log-N         segment N: frames of entries
//! snapshot-N    the state before the first entry of segment N
//! *.tmp         unfinished; removed at the next start
//! ```

use crate::error::Error;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The content of `FORMAT`.
pub(crate) const FORMAT: &str = "lepton-embedded-etcd 1";

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";

/// A locked data directory of a format that we read.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Held for its lock alone; the system frees it when the process ends, however it ends.
    _lock: File,
}

impl Directory {
    /// Locks `path` and checks its format; makes both if they are not there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let not_writable = |source| Error::NotWritable {
            path: path.into(),
            source,
        };
        create(path).map_err(not_writable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE));
        let lock = lock.map_err(not_writable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(not_writable(source)),
        }
        let directory = Self {
            path: path.into(),
            _lock: lock,
        };
        directory.check_format()?;
        Ok(directory)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("log-{number:020}"))
    }

    pub fn snapshot(&self, number: u64) -> PathBuf {
        self.path.join(format!("snapshot-{number:020}"))
    }

    /// Numbers of the segments, ascending.
    pub fn segments(&self) -> Result<Vec<u64>, Error> {
        self.numbers("log-")
    }

    /// Numbers of the snapshots, ascending.
    pub fn snapshots(&self) -> Result<Vec<u64>, Error> {
        self.numbers("snapshot-")
    }

    /// Puts a file in place so that it is there whole, or not at all, after a crash.
    pub fn replace(&self, unfinished: &Path, target: &Path) -> io::Result<()> {
        fs::rename(unfinished, target)?;
        self.sync()
    }

    /// Makes names durable: creations, renames and removals.
    pub fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Removes the segments and snapshots that snapshot `number` replaces, and unfinished files.
    pub fn remove_below(&self, number: u64) -> Result<(), Error> {
        let segments = self
            .segments()?
            .into_iter()
            .filter(|old| *old < number)
            .map(|old| self.segment(old));
        let snapshots = self
            .snapshots()?
            .into_iter()
            .filter(|old| *old < number)
            .map(|old| self.snapshot(old));
        for path in segments.chain(snapshots) {
            fs::remove_file(&path).map_err(Error::disk(path))?;
        }
        Ok(())
    }

    /// Removes files that a crash left unfinished.
    pub fn remove_unfinished(&self) -> Result<(), Error> {
        for name in self.names()?.iter().filter(|name| name.ends_with(".tmp")) {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(Error::disk(path))?;
        }
        Ok(())
    }

    fn check_format(&self) -> Result<(), Error> {
        let path = self.path.join(FORMAT_FILE);
        let found = match fs::read(&path) {
            Ok(found) => String::from_utf8_lossy(&found).trim_end().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.claim(&path),
            Err(source) => return Err(Error::Disk { path, source }),
        };
        if found == FORMAT {
            return Ok(());
        }
        Err(Error::UnsupportedFormat {
            path: self.path.clone(),
            found,
            supported: FORMAT,
        })
    }

    /// Writes `FORMAT` into an empty directory. Data without a format is refused: it is not ours.
    fn claim(&self, path: &Path) -> Result<(), Error> {
        if !self.segments()?.is_empty() || !self.snapshots()?.is_empty() {
            return Err(Error::UnsupportedFormat {
                path: self.path.clone(),
                found: String::new(),
                supported: FORMAT,
            });
        }
        let unfinished = self.path.join("FORMAT.tmp");
        let write = || {
            let mut file = File::create(&unfinished)?;
            writeln!(file, "{FORMAT}")?;
            file.sync_all()?;
            self.replace(&unfinished, path)
        };
        write().map_err(|source| Error::NotWritable {
            path: self.path.clone(),
            source,
        })
    }

    fn numbers(&self, prefix: &str) -> Result<Vec<u64>, Error> {
        let names = self.names()?;
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|name| name.strip_prefix(prefix)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = fs::read_dir(&self.path).map_err(Error::disk(&self.path))?;
        let name =
            |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
        entries
            .map(name)
            .collect::<io::Result<_>>()
            .map_err(Error::disk(&self.path))
    }
}

/// Makes a directory and those above it, with every name on the disk: a power cut must not remove its content.
fn create(path: &Path) -> io::Result<()> {
    let above = path.ancestors().filter(|path| !path.as_os_str().is_empty());
    let missing: Vec<&Path> = above.take_while(|path| !path.exists()).collect();
    fs::create_dir_all(path)?;
    for parent in missing.iter().filter_map(|made| made.parent()) {
        let here = parent.as_os_str().is_empty();
        File::open(if here { Path::new(".") } else { parent })?.sync_all()?;
    }
    Ok(())
}

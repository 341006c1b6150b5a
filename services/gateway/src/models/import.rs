//! Models that lie in a directory, registered at start: `name/version/model.onnx`, as Triton lays them out
//! (https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_repository.md).
//!
//! Promises: versions keep the numbers of their directories; what is already registered is left as it is; a file that is no
//! model is named in the log and skipped, whatever the others are. Leaves what a model is to the workers.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lepton_coordination::registry::Directory;
use lepton_domain::model::{Model, check_name};
use lepton_domain::reason::{ApiError, Code, Reason};
use lepton_models::Models;
use tokio::fs;
use tokio::sync::watch;

use super::config::ModelsConfig;
use super::{Intake, Routing};

/// The file's name in a version's directory.
const FILE: &str = "model.onnx";
/// Entries that are looked at in one directory.
const ENTRIES_MAX: usize = 10_000;
/// The pause before something is tried again that may work later.
const PAUSE: Duration = Duration::from_millis(300);

/// Registers the models of a directory.
#[derive(Debug, Clone)]
pub struct Import {
    /// The intake of files.
    pub intake: Intake,
    /// The registered models.
    pub registry: Models,
    /// The workers, as they are registered.
    pub workers: Directory,
    /// The choice of workers, see [`Routing`].
    pub routing: Routing,
    /// The directory, and its settings.
    pub config: ModelsConfig,
    /// The largest file, in bytes.
    pub bytes_max: usize,
}

/// Reason why a model of the directory is left out.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the file has {bytes} bytes; at most {limit} are taken")]
    TooLarge { bytes: u64, limit: usize },
    #[error("{} has more than {ENTRIES_MAX} entries", .0.display())]
    TooManyEntries(PathBuf),
}

impl ImportError {
    fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Unreadable { path, source }
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let reason = match error {
            ImportError::Unreadable { .. } | ImportError::TooManyEntries(_) => Reason::FileUnreadable,
            ImportError::TooLarge { .. } => Reason::RequestTooLarge,
        };
        Self::new(reason, error.to_string())
    }
}

/// Versions of each model, by number.
type Found = BTreeMap<String, BTreeMap<u32, PathBuf>>;

impl Import {
    /// Registers all models of the directory, then sets `done`.
    pub async fn run(self, done: watch::Sender<bool>) {
        if !self.config.directory.as_os_str().is_empty() {
            match find(&self.config.directory).await {
                Ok(found) => {
                    for (name, versions) in found {
                        self.register(&name, versions).await;
                    }
                }
                Err(error) => tracing::error!(%error, "no model of the directory is registered"),
            }
        }
        done.send_replace(true);
    }

    /// Registers the versions of one model, and deploys the newest where nobody has decided otherwise before.
    async fn register(&self, name: &str, versions: BTreeMap<u32, PathBuf>) {
        let mut newest = None;
        for (number, path) in versions {
            match self.push(name, number, &path).await {
                Ok((model, version, new)) => {
                    tracing::info!(model = name, version, new, path = %path.display(), "a model of the directory is registered");
                    newest = Some((model, version, new)).or(newest);
                }
                Err(error) => tracing::error!(model = name, path = %path.display(), %error, "a model is left out"),
            }
        }
        let Some((model, version, new)) = newest else { return };
        if !new && !never_deployed(&model) {
            return;
        }
        let deployed = patiently(|| {
            let wait = self.config.deploy_wait;
            self.registry.deploy(&self.workers, name, Some(version), wait)
        });
        match deployed.await {
            Ok(model) => self.routing.settled(&model).await,
            Err(error) => {
                tracing::error!(model = name, version, %error, "a model of the directory is not deployed");
            }
        }
    }

    async fn push(&self, name: &str, number: u32, path: &Path) -> Result<(Model, u32, bool), ApiError> {
        check_name(name)?;
        let bytes = fs::metadata(path).await.map_err(ImportError::unreadable(path))?.len();
        let limit = self.bytes_max;
        if bytes > limit as u64 {
            return Err(ImportError::TooLarge { bytes, limit }.into());
        }
        let content = bytes::Bytes::from(fs::read(path).await.map_err(ImportError::unreadable(path))?);
        patiently(|| self.intake.push(name, content.clone(), Some(number))).await
    }
}

fn never_deployed(model: &Model) -> bool {
    model.deployed.is_none() && model.previous.is_none()
}

/// Repeats what fails only because something is not there yet.
async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(mut work: impl FnMut() -> F) -> Result<T, ApiError> {
    loop {
        match work().await {
            Err(error) if error.code() == Code::Unavailable || error.reason == Reason::Overloaded => {
                tracing::debug!(%error, "a model of the directory is tried again");
                tokio::time::sleep(PAUSE).await;
            }
            decided => return decided,
        }
    }
}

/// The versions in a directory, by model. Hidden entries, and versions that are no numbers, are left out, as Triton does.
async fn find(directory: &Path) -> Result<Found, ApiError> {
    let mut found = Found::new();
    for name in entries(directory).await? {
        let path = directory.join(&name);
        let versions = match entries(&path).await {
            Ok(versions) => versions,
            // A file beside the models is no model.
            Err(_) if !path.is_dir() => continue,
            Err(error) => {
                tracing::error!(model = name, %error, "a model is left out");
                continue;
            }
        };
        let numbered = versions.into_iter().filter_map(|version| {
            let number = version.parse().ok().filter(|number: &u32| *number > 0)?;
            let file = path.join(version).join(FILE);
            file.is_file().then_some((number, file))
        });
        let numbered: BTreeMap<u32, PathBuf> = numbered.collect();
        if numbered.is_empty() {
            tracing::warn!(model = name, "there is no <version>/{FILE} in {}", path.display());
        }
        found.insert(name, numbered);
    }
    Ok(found)
}

/// The names in a directory, the first so many.
async fn entries(directory: &Path) -> Result<Vec<String>, ImportError> {
    let unreadable = || ImportError::unreadable(directory);
    let mut entries = fs::read_dir(directory).await.map_err(unreadable())?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(unreadable())? {
        match entry.file_name().into_string() {
            Ok(name) if !name.starts_with('.') => names.push(name),
            Ok(_) => {}
            Err(name) => tracing::warn!(?name, "a name that is not UTF-8 is left out"),
        }
        if names.len() > ENTRIES_MAX {
            return Err(ImportError::TooManyEntries(directory.to_owned()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn versions_are_found_by_number_and_everything_else_is_left_out() {
        let root = std::env::temp_dir().join(format!("lepton-import-{}", std::process::id()));
        for file in [
            "a/1/model.onnx",
            "a/10/model.onnx",
            "a/2/model.plan",
            "a/x/model.onnx",
            "a/0/model.onnx",
        ] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, b"x").expect("written");
        }
        std::fs::create_dir_all(root.join(".git/1")).expect("made");
        std::fs::write(root.join("README"), b"x").expect("written");
        let found = find(&root).await;
        let absent = find(&root.join("nowhere")).await;
        std::fs::remove_dir_all(&root).expect("removed");
        let found = found.expect("readable");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(found["a"].keys().copied().collect::<Vec<_>>(), [1, 10]);
        assert_eq!(absent.expect_err("absent").reason, Reason::FileUnreadable);
    }
}

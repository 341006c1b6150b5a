//! Loads end once, take their space while they last, and leave nothing behind where they fail.

use lepton_coordination::etcd::Etcd;
use lepton_core::blob::Area;
use lepton_domain::ids::ContentDigest;
use lepton_domain::model::{Model, Signature};
use tokio::time::timeout;

use super::*;
use crate::model::{LoadError, RunError, Tensor};

/// A backend that panics on the file "panic", refuses "refuse", and takes everything else.
#[derive(Debug)]
struct Fake;

#[derive(Debug)]
struct FakeModel(Signature, BTreeMap<String, String>);

impl Backend for Fake {
    fn load(&self, file: &[u8], _stop: &dyn Fn() -> bool) -> Result<Arc<dyn LoadedModel>, LoadError> {
        match file {
            b"panic" => panic!("broken"),
            b"refuse" => Err(LoadError::Unsupported("odd".to_owned())),
            _ => Ok(Arc::new(FakeModel(Signature::default(), BTreeMap::new()))),
        }
    }
}

impl LoadedModel for FakeModel {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.1
    }

    fn run(&self, _inputs: Vec<Tensor>, _stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, RunError> {
        Err(RunError::Stopped)
    }
}

struct Bench {
    loader: Loader,
    cache: ModelCache,
    blobs: Blobs,
    _opened: watch::Sender<Option<Blobs>>,
    _directory: tempfile::TempDir,
}

/// A loader with room for 10 bytes of files.
async fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path().to_str().unwrap(), "b7e7").await.unwrap();
    let context = Context::system();
    // Nothing listens there, and nothing is requested.
    let etcd = Etcd::connect(&context, &["http://127.0.0.1:1".to_owned()], "test");
    let limits = CacheLimits {
        files_bytes_max: 10,
        loads_max: 1,
    };
    let (opened, seen) = watch::channel(Some(blobs.clone()));
    let registry = Models::start(etcd, &context);
    let (loader, cache) = Loader::new(registry, seen, Arc::new(Fake), limits, &context);
    Bench {
        loader,
        cache,
        blobs,
        _opened: opened,
        _directory: directory,
    }
}

fn key(number: u32) -> Key {
    ("m".to_owned(), number)
}

fn version(number: u32, file: &'static str) -> Version {
    Version {
        number,
        digest: lepton_proto::convert::task::sha256(file.as_bytes()),
        blob: format!("m/{number}"),
        bytes: file.len() as u64,
        created: Default::default(),
        signature: Default::default(),
        lineage: Default::default(),
    }
}

/// A registry of "m" that has these versions, the last of which is deployed.
fn deployed(versions: Vec<Version>) -> ModelMap {
    let mut model = Model::new("m");
    model.deployed = versions.last().map(|version| version.number);
    model.versions = versions;
    [("m".to_owned(), Arc::new(model))].into_iter().collect()
}

impl Bench {
    async fn store(&self, number: u32, file: &'static str) -> Version {
        let version = version(number, file);
        let stored = self.blobs.put_object(Area::Models, &version.blob, file.into());
        stored.await.unwrap();
        version
    }

    /// Waits for the end of a load and publishes.
    async fn finish(&mut self) {
        let ended = timeout(Duration::from_secs(10), self.loader.loads.join_next());
        let ended = ended.await.unwrap().expect("a load is under way");
        self.loader.finish_load(ended);
        self.loader.publish(None);
    }

    /// Numbers, states and messages, as the registry gets them.
    fn status(&self) -> Vec<(u32, State, String)> {
        let status = self.cache.status().borrow().clone();
        status
            .into_iter()
            .map(|it| (it.version, it.state, it.message))
            .collect()
    }

    fn answers(&self, number: u32) -> bool {
        self.cache.find_now("m", Some(number)).is_ok()
    }
}

#[tokio::test]
async fn a_loaded_version_answers_and_an_unloaded_one_does_not() {
    let mut bench = bench().await;
    let version = bench.store(1, "file").await;
    bench.loader.follow(&deployed(vec![version]));
    bench.loader.publish(None);
    assert_eq!(bench.status(), [(1, State::Loading, String::new())]);
    assert!(!bench.answers(1));
    bench.finish().await;
    assert_eq!(bench.status(), [(1, State::Ready, String::new())]);
    assert!(bench.answers(1));
    bench.loader.unload(&key(1));
    bench.loader.publish(None);
    assert!(!bench.answers(1) && bench.status().is_empty());
}

#[tokio::test]
async fn loads_that_panic_or_are_refused_are_failed_and_take_no_space() {
    let mut bench = bench().await;
    for (number, file, words) in [(1, "panic", "the load panicked: broken"), (2, "refuse", "odd")] {
        let version = bench.store(number, file).await;
        bench.loader.load(key(number), version);
        bench.finish().await;
        let (found, state, message) = bench.status().pop().unwrap();
        assert_eq!((found, state), (number, State::Failed));
        assert!(message.contains(words), "{message}");
    }
    assert!(bench.loader.entries.values().all(|entry| entry.bytes == 0));
}

#[tokio::test]
async fn a_file_that_does_not_match_its_digest_is_not_loaded() {
    let mut bench = bench().await;
    let version = bench.store(1, "file").await;
    let forged = Version {
        digest: ContentDigest([7; 32]),
        ..version
    };
    bench.loader.load(key(1), forged);
    bench.finish().await;
    assert_eq!(bench.status()[0].1, State::Failed);
    assert!(!bench.answers(1));
}

#[tokio::test]
async fn versions_share_the_space_and_one_too_many_is_tried_again_later() {
    let mut bench = bench().await;
    let (first, second) = (bench.store(1, "six666").await, bench.store(2, "five5").await);
    bench.loader.load(key(1), first.clone());
    // The space is taken as soon as the load begins.
    bench.loader.load(key(2), second.clone());
    bench.loader.publish(None);
    let (_, state, message) = bench.status().pop().unwrap();
    assert_eq!(state, State::Failed);
    assert!(message.contains("5 bytes do not fit"), "{message}");
    assert!(matches!(
        bench.loader.entries[&key(2)].content,
        Content::Failed { retry_at: Some(_), .. }
    ));
    bench.finish().await;
    // A version that is loaded again does not count twice.
    bench.loader.load(key(1), first);
    bench.finish().await;
    assert!(bench.answers(1));
    bench.loader.unload(&key(1));
    bench.loader.load(key(2), second);
    bench.finish().await;
    assert!(bench.answers(2));
}

#[tokio::test]
async fn failures_in_a_row_are_counted_until_a_load_succeeds() {
    let mut bench = bench().await;
    let version = version(1, "file");
    for failures in 1..=3 {
        // The store does not have it yet.
        bench.loader.load(key(1), version.clone());
        bench.finish().await;
        assert_eq!(bench.loader.entries[&key(1)].failures, failures);
    }
    bench.store(1, "file").await;
    bench.loader.load(key(1), version);
    bench.finish().await;
    assert_eq!(bench.loader.entries[&key(1)].failures, 0);
    assert!(bench.answers(1));
}

#[tokio::test]
async fn the_end_of_a_load_that_was_given_up_is_not_that_of_its_successor() {
    let mut bench = bench().await;
    let version = bench.store(1, "file").await;
    bench.loader.load(key(1), version.clone());
    let Content::Loading { ticket: earlier, .. } = bench.loader.entries[&key(1)].content else {
        panic!("it loads")
    };
    bench.loader.unload(&key(1));
    bench.loader.load(key(1), version);
    let late = Err(FetchError::Panicked("late".to_owned()));
    bench.loader.finish_load(Ok((key(1), earlier, late)));
    bench.loader.publish(None);
    assert_eq!(bench.status(), [(1, State::Loading, String::new())]);
}

#[tokio::test]
async fn a_former_version_leaves_the_registry_before_it_stops_answering() {
    let mut bench = bench().await;
    let (first, second) = (bench.store(1, "1").await, bench.store(2, "2").await);
    bench.loader.follow(&deployed(vec![first.clone()]));
    bench.finish().await;
    let both = deployed(vec![first, second]);
    bench.loader.follow(&both);
    bench.finish().await;
    bench.loader.follow(&both);
    bench.loader.publish(None);
    assert_eq!(bench.status().len(), 2, "gateways still find it");
    // As if its time had come.
    bench.loader.entries.get_mut(&key(1)).unwrap().leaves_at = Some(Duration::ZERO);
    bench.loader.publish(None);
    assert_eq!(bench.status(), [(2, State::Ready, String::new())]);
    assert!(
        bench.answers(1) && bench.answers(2),
        "requests to it may be on their way"
    );
}

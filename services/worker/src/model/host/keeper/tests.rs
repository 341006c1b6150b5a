//! A load that breaks down is a load that failed.

use lepton_coordination::etcd::Etcd;
use lepton_core::blob::Area;
use lepton_domain::model::Version;

use super::*;

#[derive(Debug)]
struct Breaks;

impl Backend for Breaks {
    fn name(&self) -> &'static str {
        "breaks"
    }

    fn load(&self, _file: &[u8], _stop: &dyn Fn() -> bool) -> Result<Arc<dyn Runs>, Fault> {
        panic!("broken")
    }
}

#[tokio::test]
async fn a_load_that_panics_is_told_as_failed() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path().to_str().unwrap(), "b7e7").await.unwrap();
    blobs.put_object(Area::Models, "m/1", "file".into()).await.unwrap();
    let context = Context::system();
    // Nobody is there, and nobody is asked.
    let etcd = Etcd::connect(&context, &["http://127.0.0.1:1".to_owned()], "test");
    let room = Room {
        files_bytes_max: 1 << 20,
        loads_max: 1,
    };
    let (_sender, opened) = watch::channel(Some(blobs));
    let models = Models::start(etcd, &context);
    let (mut keeper, host) = Keeper::new(models, opened, Arc::new(Breaks), room, &context);
    let version = Version {
        number: 1,
        digest: lepton_proto::convert::task::sha256(b"file"),
        blob: "m/1".to_owned(),
        bytes: 4,
        created: Default::default(),
        signature: Default::default(),
        lineage: Default::default(),
    };
    keeper.load(("m".to_owned(), 1), version);
    let ended = keeper.loads.join_next().await.unwrap();
    keeper.settle(ended);
    keeper.tell();
    let told = host.told().borrow().clone();
    assert_eq!((told[0].state, told.len()), (State::Failed, 1));
    assert!(told[0].message.contains("broken"), "{told:?}");
}

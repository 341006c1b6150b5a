//! The store on a local directory.

use super::*;

fn task(number: u128) -> TaskId {
    TaskId::from_u128(number)
}

/// A directory of this test, removed at its end.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("lepton-blob-{name}-{}", std::process::id())))
    }

    async fn open(&self, incarnation: &str) -> Result<Blobs, ApiError> {
        Blobs::open(self.0.to_str().expect("a path in UTF-8"), incarnation).await
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_content_is_kept_per_task_and_goes_with_it() {
    let directory = Directory::new("keep");
    let blobs = directory.open("a").await.expect("opened");
    let content = Bytes::from_static(b"rows");
    let digest = blobs.put(task(1), content.clone()).await.expect("stored");
    assert_eq!(blobs.put(task(2), content.clone()).await.expect("stored"), digest);
    blobs.delete_task(task(1)).await.expect("deleted");
    let gone = blobs.get(task(1), digest).await.expect_err("deleted before");
    assert_eq!(gone.reason, Reason::BlobNotFound);
    assert_eq!(blobs.get(task(2), digest).await.expect("kept"), content);
}

#[tokio::test]
async fn a_changed_content_is_noticed() {
    let directory = Directory::new("changed");
    let blobs = directory.open("a").await.expect("opened");
    let digest = blobs.put(task(1), Bytes::from_static(b"rows")).await.expect("stored");
    let file = directory.0.join(task(1).to_string()).join(digest.to_string());
    std::fs::write(file, b"rots").expect("overwritten");
    let error = blobs.get(task(1), digest).await.expect_err("changed");
    assert_eq!(error.reason, Reason::DataCorrupt);
}

#[tokio::test]
async fn a_store_belongs_to_one_incarnation() {
    let directory = Directory::new("marker");
    let blobs = directory.open("a").await.expect("opened");
    blobs
        .put_named("journal/1", Bytes::from_static(b"segment"))
        .await
        .expect("stored");
    drop(blobs);
    assert_eq!(
        directory.open("b").await.expect_err("another's").reason,
        Reason::BlobStoreMismatch
    );
    let again = directory.open("a").await.expect("ours");
    assert_eq!(
        again.get_named("journal/1").await.expect("read").as_deref(),
        Some(&b"segment"[..])
    );
    assert_eq!(again.get_named("journal/2").await.expect("read"), None);
}

#[tokio::test]
async fn a_store_that_goes_away_takes_nothing_and_has_lost_nothing() {
    let directory = Directory::new("away");
    let elsewhere = directory.0.with_extension("elsewhere");
    let blobs = directory.open("a").await.expect("opened");
    let content = Bytes::from_static(b"rows");
    let digest = blobs.put(task(1), content.clone()).await.expect("stored");
    std::fs::rename(&directory.0, &elsewhere).expect("it goes away");
    // As a share that is not mounted, and as the empty directory on which it would be.
    for round in 0..2 {
        let refusals = [
            blobs.put(task(2), content.clone()).await.map(drop),
            blobs.put_named("journal/1", content.clone()).await,
            blobs.put_object(Area::Models, "m/1", content.clone()).await,
            blobs.get(task(1), digest).await.map(drop),
            blobs.get_object(Area::Models, "m/1").await.map(drop),
            blobs.get_named("journal/1").await.map(drop),
            blobs.delete_task(task(1)).await,
        ];
        for refusal in refusals {
            let error = refusal.expect_err("it is away");
            assert_eq!(error.reason, Reason::BlobUnavailable, "{error}");
        }
        match round {
            0 => {
                assert!(!directory.0.exists(), "nothing is made in its place");
                std::fs::create_dir(&directory.0).expect("the mount point");
            }
            _ => std::fs::remove_dir(&directory.0).expect("nothing was written into it"),
        }
    }
    std::fs::rename(&elsewhere, &directory.0).expect("it is back");
    assert_eq!(blobs.get(task(1), digest).await.expect("kept"), content);
    blobs.put(task(2), content).await.expect("stored");
}

#[tokio::test]
async fn another_store_in_the_place_of_ours_takes_nothing() {
    let directory = Directory::new("replaced");
    let blobs = directory.open("a").await.expect("opened");
    std::fs::remove_dir_all(&directory.0).expect("removed");
    directory.open("b").await.expect("another's");
    let error = blobs.put(task(1), Bytes::from_static(b"rows")).await;
    assert_eq!(error.expect_err("refused").reason, Reason::BlobUnavailable);
    assert!(!directory.0.join(task(1).to_string()).exists());
}

#[tokio::test]
async fn a_store_that_was_marked_is_not_made_again() {
    let directory = Directory::new("reopen");
    let location = directory.0.to_str().expect("a path in UTF-8").to_owned();
    let reopened = async |marker: &str| Blobs::reopen(&location, marker).await.map_err(|error| error.reason);
    assert_eq!(reopened("a").await.expect_err("no directory"), Reason::BlobUnavailable);
    assert!(!directory.0.exists());
    std::fs::create_dir(&directory.0).expect("made");
    assert_eq!(reopened("a").await.expect_err("no marker"), Reason::BlobUnavailable);
    assert_eq!(std::fs::read_dir(&directory.0).expect("there").count(), 0);
    directory.open("a").await.expect("marked");
    reopened("a").await.expect("ours");
    assert_eq!(reopened("b").await.expect_err("another's"), Reason::BlobStoreMismatch);
}

#[tokio::test]
async fn an_unknown_scheme_says_so() {
    let error = Blobs::open("gopher://bucket", "a").await.expect_err("refused");
    assert_eq!(error.reason, Reason::ConfigInvalid);
}

#[tokio::test]
async fn objects_are_named_listed_and_deleted_within_their_area() {
    let directory = Directory::new("objects");
    let blobs = directory.open("a").await.expect("opened");
    let content = Bytes::from_static(b"file");
    let put = |area, name| blobs.put_object(area, name, content.clone());
    put(Area::Models, "churn/1").await.expect("stored");
    put(Area::Uploads, "../models/churn/2").await.expect("stored");
    let names = async |area| {
        let objects = blobs.list_objects(area).await.expect("listed");
        objects.into_iter().map(|object| object.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Area::Models).await, ["churn/1"]);
    assert_eq!(names(Area::Uploads).await.len(), 1);
    let digest = sha256(&content);
    let got = blobs.get_object_checked(Area::Models, "churn/1", digest).await;
    assert_eq!(got.expect("kept"), content);
    let other = blobs
        .get_object_checked(Area::Models, "churn/1", sha256(b"other"))
        .await;
    assert_eq!(other.expect_err("another").reason, Reason::DataCorrupt);
    for _ in 0..2 {
        blobs.delete_object(Area::Models, "churn/1").await.expect("deleted");
    }
    let gone = blobs.get_object(Area::Models, "churn/1").await.expect_err("deleted");
    assert_eq!(gone.reason, Reason::BlobNotFound);
}

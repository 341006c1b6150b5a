//! Models that lie in a directory at start.

use std::path::Path;

use http::Method;
use lepton_tests::mesh::{Options, Up};

use super::{call, deploy, file, refused, slope};

fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("it lies in a directory")).expect("made");
    std::fs::write(path, content).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_registered_at_start_and_what_is_no_model_is_left_out() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    write(folder.path(), "price/2/model.onnx", &file(2.0));
    write(folder.path(), "price/10/model.onnx", &file(10.0));
    write(folder.path(), "broken/1/model.onnx", b"no model");
    write(folder.path(), "Bad Name/1/model.onnx", &file(1.0));
    write(folder.path(), "README", b"no model either");
    let options = |data| Options {
        data,
        more: vec!["--model-dir".to_owned(), folder.path().display().to_string()],
        ..Options::default()
    };
    let first = Up::start(options(None)).await;
    assert_eq!(
        slope(&first.rest(), "price").await,
        10.0,
        "it answers as soon as the mesh is ready"
    );
    let model = call(&first.rest(), Method::GET, "price", "").await;
    let numbers = |model: &serde_json::Value| {
        let versions = model["versions"].as_array().into_iter().flatten();
        versions.filter_map(|it| it["version"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&model), [10, 2]);
    refused(&first.rest().get("/api/v1/models/broken").await, 404, "MODEL_NOT_FOUND");

    // What somebody decided since is left alone by the next start.
    deploy(&first.rest(), "price", 2).await;
    let data = first.data.clone();
    drop(first);
    let second = Up::start(options(Some(data))).await;
    assert_eq!(slope(&second.rest(), "price").await, 2.0);
    let data = second.data.clone();
    drop(second);
    write(folder.path(), "price/11/model.onnx", &file(11.0));
    let third = Up::start(options(Some(data))).await;
    assert_eq!(slope(&third.rest(), "price").await, 11.0);
    assert_eq!(
        numbers(&call(&third.rest(), Method::GET, "price", "").await),
        [11, 10, 2]
    );
}

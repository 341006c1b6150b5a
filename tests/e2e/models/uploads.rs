//! Tables that are uploaded for tasks.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::refused;
use crate::shared_mesh::shared;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_on_disk_when_it_is_answered_and_can_be_deleted() {
    let mesh = shared().await;
    let rest = &mesh.rest();
    let table = "a,b\n1,2\n";
    let upload = || async {
        let mut request = rest.request(Method::POST, "/api/v1/blobs", table.into());
        request
            .headers_mut()
            .insert("content-type", "text/csv".parse().expect("a header"));
        let answer = rest.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let (one, two) = (upload().await, upload().await);
    assert_ne!(one["blob"], two["blob"], "each upload is a blob of its own");
    assert_eq!((&one["digest"], &one["bytes"]), (&two["digest"], &json!("8")));
    assert!(one["createTime"].is_string(), "{one}");
    let name = one["blob"].as_str().expect("a name");
    assert!(name.starts_with("upload-"), "{name}");
    let stored = mesh.data.path().join("blobs/uploads").join(name);
    assert_eq!(std::fs::read(&stored).expect("on disk"), table.as_bytes());
    for _ in 0..2 {
        let request = rest.request(Method::DELETE, &format!("/api/v1/blobs/{name}"), Bytes::new());
        assert_eq!(rest.send(request).await.json(), json!({}));
    }
    assert!(!stored.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_uploads_and_names_of_none_are_refused() {
    let mesh = shared().await;
    let rest = &mesh.rest();
    refused(&rest.post("/api/v1/blobs", "").await, 400, "FIELD_INVALID");
    for name in ["nope", "..%2Fmodels%2Fa", "upload-1"] {
        let request = rest.request(Method::DELETE, &format!("/api/v1/blobs/{name}"), Bytes::new());
        refused(&rest.send(request).await, 400, "FIELD_INVALID");
    }
}

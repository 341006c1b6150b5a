//! Paths under `/v2`.

use super::*;

fn model(name: &str, version: Option<u32>, about: About) -> Target {
    let name = name.to_owned();
    Target::Model(Wanted { name, version }, about)
}

#[test]
fn paths_name_the_server_and_models() {
    let cases = [
        ("/v2", Target::Server),
        ("/v2/", Target::Server),
        ("/v2/health/live", Target::Live),
        ("/v2/health/ready", Target::Ready),
        ("/v2/models/m", model("m", None, About::Signature)),
        ("/v2/models/m/ready", model("m", None, About::Readiness)),
        ("/v2/models/m/infer", model("m", None, About::Answer)),
        ("/v2/models/a%2Eb/versions/7", model("a.b", Some(7), About::Signature)),
        ("/v2/models/m/versions/7/ready", model("m", Some(7), About::Readiness)),
        ("/v2/models/m/versions/7/infer", model("m", Some(7), About::Answer)),
    ];
    for (path, expected) in cases {
        assert_eq!(target(path), Ok(expected), "{path}");
    }
}

#[test]
fn other_paths_are_refused() {
    let reason = |path| target(path).expect_err(path).reason;
    for path in [
        "/v2/nothing",
        "/v2/models/",
        "/v2/models/m/config",
        "/v2/models/%zz",
        "/v2/repository/index",
    ] {
        assert_eq!(reason(path), Reason::RouteNotFound, "{path}");
    }
    for path in ["/v2/models/m/versions/x", "/v2/models/m/versions/-1/infer"] {
        assert_eq!(reason(path), Reason::FieldInvalid, "{path}");
    }
}

#[test]
fn the_length_of_the_json_is_a_number() {
    let length = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(JSON_LENGTH, text.parse().expect("a header value"));
        json_length(&headers)
    };
    assert_eq!(json_length(&HeaderMap::new()), Ok(None));
    assert_eq!(length("12"), Ok(Some(12)));
    for text in ["", "-1", "1e3", "99999999999999999999999"] {
        assert_eq!(length(text).expect_err(text).reason, Reason::FieldInvalid);
    }
}

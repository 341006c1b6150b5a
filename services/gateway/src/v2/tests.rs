//! Paths under `/v2`.

use lepton_domain::reason::Reason;

use super::target::parse;
use super::*;

fn model(name: &str, version: Option<u32>, about: About) -> Target {
    let name = name.to_owned();
    Target::Model(ModelRef { name, version }, about)
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
        assert_eq!(parse(path), Ok(expected), "{path}");
    }
}

#[test]
fn other_paths_are_refused() {
    let reason = |path| parse(path).expect_err(path).reason;
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
fn targets_have_one_method_and_the_role_of_their_rpc() {
    use http::Method;
    for (method, path) in [
        (Method::GET, "/v2"),
        (Method::HEAD, "/v2/health/live"),
        (Method::GET, "/v2/health/ready"),
        (Method::GET, "/v2/models/m"),
        (Method::GET, "/v2/models/m/ready"),
        (Method::POST, "/v2/models/m/infer"),
    ] {
        let target = Target::of(&method, path).expect(path);
        assert!(lepton_proto::roles::role_of(target.rpc()).is_some(), "{}", target.rpc());
        let wrong = Target::of(&Method::DELETE, path).expect_err(path);
        assert_eq!(wrong.reason, Reason::MethodNotAllowed, "{path}");
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

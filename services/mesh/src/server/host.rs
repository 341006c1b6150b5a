//! The `Host` of HTTP/1 requests, as RFC 9112 section 3.2 wants it checked.
//!
//! Promises: a request of HTTP/1.1 without `Host`, and one of any HTTP/1 with two of them or with one that names no host, is
//! refused: a proxy in front may have read another one than we would. Leaves HTTP/2 to hyper, which checks `:authority`, and
//! the layer around [`validate`] to `tower_http`.

use axum::body::Body;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, Version};
use lepton_domain::reason::ApiError;

use super::refusal::refuse;

/// Errors of the `Host` of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is none.
    #[error("an HTTP/1.1 request needs one; send the HOST:PORT that you connect to")]
    Missing,
    /// There are several.
    #[error("{0} of them; send one")]
    Repeated(usize),
    /// It names no host.
    #[error("{0:?} is no HOST or HOST:PORT")]
    Invalid(HeaderValue),
}

impl From<HostError> for ApiError {
    fn from(error: HostError) -> Self {
        Self::field("Host", error.to_string())
    }
}

/// Checks the `Host` of a request.
pub fn check<B>(request: &Request<B>) -> Result<(), HostError> {
    if request.version() > Version::HTTP_11 {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.count()) {
        (None, _) if request.version() == Version::HTTP_11 => Err(HostError::Missing),
        (None, _) => Ok(()),
        (Some(_), more @ 1..) => Err(HostError::Repeated(more + 1)),
        (Some(host), _) if is_host(host) => Ok(()),
        (Some(host), _) => Err(HostError::Invalid(host.clone())),
    }
}

/// Refuses a request whose `Host` is wrong.
#[expect(clippy::result_large_err, reason = "the signature of tower_http's ValidateRequest")]
pub fn validate(request: &mut Request<Body>) -> Result<(), Response<Body>> {
    check(request).map_err(refuse)
}

/// Recognises `uri-host [ ":" port ]` of RFC 3986. An empty host is none for `http` (RFC 9110, section 4.2.1).
fn is_host(value: &HeaderValue) -> bool {
    let Ok(authority) = Authority::try_from(value.as_bytes()) else {
        return false;
    };
    let Some(port) = authority.as_str().strip_prefix(authority.host()) else {
        // Before the host stands a user, which only a URL may name.
        return false;
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    !authority.host().is_empty() && (digits.is_empty() || digits.parse::<u16>().is_ok() && port.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(version: Version, hosts: &[&'static str]) -> Result<(), HostError> {
        let request = hosts.iter().fold(Request::get("/").version(version), |request, host| {
            request.header(HOST, *host)
        });
        check(&request.body(()).expect("a request"))
    }

    #[test]
    fn one_host_is_right() {
        for host in [
            "x",
            "x:80",
            "x:",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::1]",
            "a-b.example",
            "a_b",
        ] {
            assert_eq!(checked(Version::HTTP_11, &[host]), Ok(()), "{host}");
        }
        assert_eq!(checked(Version::HTTP_10, &[]), Ok(()));
        assert_eq!(checked(Version::HTTP_2, &[]), Ok(()));
    }

    #[test]
    fn none_two_and_malformed_ones_are_refused() {
        assert_eq!(checked(Version::HTTP_11, &[]), Err(HostError::Missing));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert_eq!(checked(version, &["x", "x"]), Err(HostError::Repeated(2)));
            for host in [
                "", "a b", "user@x", "x:port", "x:99999", "http://x", "x/y", ":80", "x,y z",
            ] {
                let invalid = HostError::Invalid(HeaderValue::from_static(host));
                assert_eq!(checked(version, &[host]), Err(invalid), "{host}");
            }
        }
    }
}

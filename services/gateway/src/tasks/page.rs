//! Page tokens of listings: where the next page begins, opaque to clients.
//!
//! Promises: a token works only with the filter that it was made for; a forged or foreign one is PAGE_TOKEN_INVALID.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::convert::task::sha256;
use lepton_proto::task::v1::ListTasksRequest;

/// First byte of every token, for the day that its form changes.
const FORMAT: u8 = 1;
/// Bytes of the filter's digest.
const FILTER_BYTES: usize = 8;

/// The token of the page that holds only tasks before this event.
pub fn token(before_seq: u64, tenant: &str, request: &ListTasksRequest) -> String {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&before_seq.to_be_bytes());
    bytes.extend_from_slice(&filter(tenant, request));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The event before which the page of this request begins; 0 for the newest.
pub fn before_seq(tenant: &str, request: &ListTasksRequest) -> Result<u64, Fault> {
    if request.page_token.is_empty() {
        return Ok(0);
    }
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(&request.page_token).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (seq, digest) = rest.split_first_chunk::<8>()?;
        (*format == FORMAT && digest == filter(tenant, request)).then(|| u64::from_be_bytes(*seq))
    };
    read().filter(|seq| *seq > 0).ok_or_else(|| {
        let message = "pageToken is not the nextPageToken of a listing with the same state and kind; begin without one";
        Fault::new(Reason::PageTokenInvalid, message)
    })
}

fn filter(tenant: &str, request: &ListTasksRequest) -> [u8; FILTER_BYTES] {
    let text = format!("{tenant}\n{}\n{}", request.state, request.kind);
    let mut digest = [0; FILTER_BYTES];
    digest.copy_from_slice(&sha256(text.as_bytes()).0[..FILTER_BYTES]);
    digest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_token(page_token: String) -> ListTasksRequest {
        ListTasksRequest {
            page_token,
            kind: "echo".into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_token_belongs_to_its_filter() {
        let made = token(42, "default", &with_token(String::new()));
        assert_eq!(before_seq("default", &with_token(made.clone())), Ok(42));
        assert!(before_seq("other", &with_token(made.clone())).is_err());
        let other = ListTasksRequest {
            kind: "train".into(),
            ..with_token(made)
        };
        assert_eq!(
            before_seq("default", &other).expect_err("foreign").reason,
            Reason::PageTokenInvalid
        );
    }

    proptest! {
        #[test]
        fn forged_tokens_are_refused(token in ".{1,40}") {
            prop_assert!(before_seq("default", &with_token(token)).is_err());
        }
    }
}

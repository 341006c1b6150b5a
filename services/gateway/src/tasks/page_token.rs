//! Page tokens of the listing of tasks.
//!
//! Promises: a page begins at the task after the last one that was given, whatever is submitted meanwhile. Leaves the form of
//! a token to [`lepton_proto::page`].

use lepton_domain::reason::ApiError;
use lepton_proto::page::Listing;
use lepton_proto::task::v1::ListTasksRequest;
use prost::Message as _;

/// Returns the token of the page behind the task that has this first event.
pub fn token(behind_seq: u64, tenant: &str, request: &ListTasksRequest) -> String {
    listing(tenant, request).token(&behind_seq)
}

/// Returns the first event of the task behind which the page of this request begins; 0 for the first page. Fails with
/// PAGE_TOKEN_INVALID.
pub fn behind_seq(tenant: &str, request: &ListTasksRequest) -> Result<u64, ApiError> {
    let behind = listing(tenant, request).key(&request.page_token)?;
    Ok(behind.unwrap_or(0))
}

/// The listing of a request: its filters and its order, whatever is shown of each task and however many there are on a page.
fn listing(tenant: &str, request: &ListTasksRequest) -> Listing {
    let filters = ListTasksRequest {
        page_size: 0,
        page_token: String::new(),
        view: 0,
        // Both words for the same order give the same listing.
        order: request.order.replace("desc", ""),
        ..request.clone()
    };
    Listing::new("ListTasks", &[&tenant, &format!("{:?}", filters.encode_to_vec())])
}

#[cfg(test)]
mod tests {
    use lepton_domain::reason::Reason;

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
        assert_eq!(behind_seq("default", &with_token(made.clone())), Ok(42));
        assert!(behind_seq("other", &with_token(made.clone())).is_err());
        let other = ListTasksRequest {
            kind: "train".into(),
            ..with_token(made)
        };
        assert_eq!(
            behind_seq("default", &other).expect_err("foreign").reason,
            Reason::PageTokenInvalid
        );
    }
}

//! Page tokens of the listing of tasks.
//!
//! Promises: a page begins at the task after the last one that was given, whatever is submitted meanwhile. Leaves the form of
//! a token to [`lepton_proto::page`].

use lepton_domain::reason::ApiError;
use lepton_proto::page::Listing;
use lepton_proto::task::v1::ListTasksRequest;

/// Returns the token of the page that holds only tasks from before this event.
pub fn token(before_seq: u64, tenant: &str, request: &ListTasksRequest) -> String {
    listing(tenant, request).token(&before_seq)
}

/// Returns the event before which the page of this request begins; 0 for the newest. Fails with PAGE_TOKEN_INVALID.
pub fn before_seq(tenant: &str, request: &ListTasksRequest) -> Result<u64, ApiError> {
    let before = listing(tenant, request).key(&request.page_token)?;
    Ok(before.unwrap_or(0))
}

fn listing(tenant: &str, request: &ListTasksRequest) -> Listing {
    Listing::new("ListTasks", &[&tenant, &request.state, &request.kind])
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
}

//! Errors arrive as they left.

use super::*;

#[test]
fn every_reason_arrives() {
    for reason in Reason::ALL {
        let error = ApiError::new(*reason, "no").with("key", "value");
        assert_eq!(ApiError::from(Refusal::from(&error)), error);
    }
}

#[test]
fn all_details_arrive() {
    let error = ApiError::field("kind", "is empty")
        .violation("retry.max_attempts", "0 is not in 1..=1000")
        .quota("tenant:default", "1000000 tasks stored")
        .retry_after(Duration::from_millis(1_500));
    assert_eq!(ApiError::from(Refusal::from(&error)), error);
}

#[test]
fn a_reason_of_a_later_version_keeps_its_meaning() {
    let refusal = |code| Refusal {
        code,
        reason: "BRAND_NEW".into(),
        message: "no".into(),
        ..Default::default()
    };
    let retryable = ApiError::from(refusal(14));
    assert_eq!(
        (retryable.code(), retryable.metadata["reason"].as_str()),
        (Code::Unavailable, "BRAND_NEW")
    );
    assert_eq!(ApiError::from(refusal(5)).reason, Reason::Internal);
    assert_eq!(ApiError::from(refusal(u32::MAX)).reason, Reason::Internal);
}

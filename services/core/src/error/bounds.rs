//! Limits of an error on the wire.
//!
//! Promises: an error stays small however long the texts are that a caller sent, over every protocol alike. Leaves short
//! texts as they are.

use std::borrow::Cow;

use lepton_domain::reason::{ApiError, FieldViolation, QuotaViolation};
use lepton_domain::text::cut;

/// Bytes of the message. In a gRPC status it travels in headers, escaped, and peers take only so many of those.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_024;
/// Bytes of each other text, such as a name that a caller sent.
pub(super) const TEXT_BYTES_MAX: usize = 256;
/// Entries of the metadata.
const METADATA_MAX: usize = 32;
/// Violations of one error.
pub(super) const VIOLATIONS_MAX: usize = 16;

/// The error, or a copy of it that keeps the limits.
pub(super) fn bounded(error: &ApiError) -> Cow<'_, ApiError> {
    if is_bounded(error) {
        return Cow::Borrowed(error);
    }
    let text = |text: &str| cut(text, TEXT_BYTES_MAX).into_owned();
    let metadata = error.metadata.iter().take(METADATA_MAX);
    let violations = error.violations.iter().take(VIOLATIONS_MAX);
    Cow::Owned(ApiError {
        reason: error.reason,
        message: cut(&error.message, MESSAGE_BYTES_MAX).into_owned(),
        metadata: metadata.map(|(key, value)| (text(key), text(value))).collect(),
        retry_after: error.retry_after,
        violations: violations
            .map(|it| FieldViolation {
                field: text(&it.field),
                description: text(&it.description),
            })
            .collect(),
        quota: error.quota.as_ref().map(|it| {
            Box::new(QuotaViolation {
                subject: text(&it.subject),
                description: text(&it.description),
            })
        }),
    })
}

fn is_bounded(error: &ApiError) -> bool {
    let short = |text: &String| text.len() <= TEXT_BYTES_MAX;
    error.message.len() <= MESSAGE_BYTES_MAX
        && error.metadata.len() <= METADATA_MAX
        && error.metadata.iter().all(|(key, value)| short(key) && short(value))
        && error.violations.len() <= VIOLATIONS_MAX
        && error
            .violations
            .iter()
            .all(|it| short(&it.field) && short(&it.description))
        && error
            .quota
            .iter()
            .all(|it| short(&it.subject) && short(&it.description))
}

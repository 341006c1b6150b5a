//! Names of fields as callers of REST write them.
//!
//! Promises: what an error names as the proto does (`page_size`) is named as its JSON does (`pageSize`), in the violations
//! and in the message. Leaves `/v2` alone, whose protocol has the proto's names in JSON too.

use std::borrow::Cow;

use lepton_domain::reason::ApiError;

/// The path of a field by JSON names. Keys of maps, in brackets, are values and stay.
pub(super) fn path(field: &str) -> Cow<'_, str> {
    if !field.contains('_') {
        return Cow::Borrowed(field);
    }
    let mut name = String::with_capacity(field.len());
    let (mut depth, mut raised) = (0_usize, false);
    for letter in field.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            // The rule of protoc: the underscore goes, and the letter behind it becomes a capital.
            '_' if depth == 0 => {
                raised = true;
                continue;
            }
            _ => {}
        }
        match std::mem::take(&mut raised) {
            true => name.push(letter.to_ascii_uppercase()),
            false => name.push(letter),
        }
    }
    Cow::Owned(name)
}

/// The message, in which `page_size: ...` of a violation reads `pageSize: ...`.
pub(super) fn message(error: &ApiError) -> Cow<'_, str> {
    let mut message = Cow::Borrowed(error.message.as_str());
    for violation in &error.violations {
        if let Cow::Owned(name) = path(&violation.field) {
            message = Cow::Owned(named(&message, &violation.field, &name));
        }
    }
    message
}

/// The message with the other name of a field at the beginning of its sentences, which semicolons divide.
fn named(message: &str, field: &str, name: &str) -> String {
    let sentences =
        message.split("; ").map(
            |sentence| match sentence.strip_prefix(field).filter(|rest| rest.starts_with(':')) {
                Some(rest) => format!("{name}{rest}"),
                None => sentence.to_owned(),
            },
        );
    sentences.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use lepton_domain::reason::Reason;

    use super::*;

    #[test]
    fn paths_have_json_names_and_keys_stay() {
        for (field, expected) in [
            ("page_size", "pageSize"),
            ("retry.max_attempts", "retry.maxAttempts"),
            ("requests[3].request_id", "requests[3].requestId"),
            ("labels[\"a_b\"].x_y", "labels[\"a_b\"].xY"),
            ("kind", "kind"),
        ] {
            assert_eq!(path(field), expected);
        }
    }

    #[test]
    fn a_message_names_its_fields_and_keeps_its_values() {
        let error = ApiError::new(
            Reason::FieldInvalid,
            "page_size: \"page_size\" is none; page_token: page_size",
        )
        .violation("page_size", "...")
        .violation("page_token", "...");
        assert_eq!(message(&error), "pageSize: \"page_size\" is none; pageToken: page_size");
    }
}

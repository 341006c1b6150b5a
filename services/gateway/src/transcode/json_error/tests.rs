//! Broken JSON and what is said about it.

use proptest::prelude::*;

use super::*;

fn error(text: &str) -> ApiError {
    let error = serde_json::from_str::<serde_json::Value>(text).expect_err("broken");
    JsonBodyError::from_serde(&error, text.as_bytes(), Position::START).into()
}

#[test]
fn bare_nan_and_infinity_get_advice() {
    for text in ["[NaN]", "[1,\n -Infinity]", "{\"a\": Infinity}", "[-NaN]", "[nan]"] {
        let error = error(text);
        assert_eq!(error.reason, Reason::InvalidJson);
        assert!(error.message.contains("write null"), "{text}: {}", error.message);
    }
    assert!(!error("[nil]").message.contains("write null"));
}

#[test]
fn line_and_column_are_given() {
    let error = error("{\n  \"a\" 1}");
    assert_eq!(
        (error.metadata["line"].as_str(), error.metadata["column"].as_str()),
        ("2", "7")
    );
}

#[test]
fn positions_add_up() {
    let text = b"ab\ncd";
    let end = Position::START.behind(text);
    assert_eq!(end, Position { line: 2, column: 3 });
    assert_eq!(
        end.plus(Position { line: 1, column: 2 }),
        Position { line: 2, column: 4 }
    );
    assert_eq!(
        end.plus(Position { line: 2, column: 2 }),
        Position { line: 3, column: 2 }
    );
}

proptest! {
    #[test]
    fn any_text_is_described_without_panic(text in ".{0,80}") {
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
            let error = JsonBodyError::from_serde(&error, text.as_bytes(), Position::START);
            prop_assert_eq!(ApiError::from(error).reason, Reason::InvalidJson);
        }
    }
}

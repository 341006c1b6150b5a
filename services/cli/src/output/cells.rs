//! Text by the cells of a terminal that it takes, not by its characters.
//!
//! Promises: Chinese and emoji count two cells, combining marks none, emoji joined by zero-width joiners as one; a cut never
//! splits such a group. Nothing printed by way of [`plain`] moves the cursor, colours text or reverses its direction.

use unicode_truncate::{Alignment, UnicodeTruncateStr};
use unicode_width::UnicodeWidthStr;

/// Cells that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Fills `text` up to `cells`, with the text at the left.
pub(crate) fn left(text: &str, cells: usize) -> String {
    text.unicode_pad(cells, Alignment::Left, false).into_owned()
}

/// Fills `text` up to `cells`, with the text at the right.
pub(crate) fn right(text: &str, cells: usize) -> String {
    text.unicode_pad(cells, Alignment::Right, false).into_owned()
}

/// The part of `text` that `cells` hold, with `mark` at the end of a longer one.
pub(crate) fn cut(text: &str, cells: usize, mark: &str) -> String {
    if text.width() <= cells {
        return text.to_owned();
    }
    let (start, _) = text.unicode_truncate(cells.saturating_sub(mark.width()));
    format!("{start}{mark}")
}

/// A text without characters that would break a table or command the terminal: it may come from anybody.
pub(crate) fn plain(text: &str) -> String {
    let shown = |character: char| match character.is_control() || is_format(character) {
        true => char::REPLACEMENT_CHARACTER,
        false => character,
    };
    text.chars().map(shown).collect()
}

/// Line separators, and marks that change the direction of what follows.
fn is_format(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_as_a_terminal_does() {
        for (text, cells) in [
            ("abc", 3),
            ("模型", 4),
            ("ｱｲ", 2),
            ("한글", 4),
            ("🚀", 2),
            ("e\u{301}", 1),
            ("👩\u{200d}👩\u{200d}👧", 2),
            ("a\u{200b}b", 2),
            ("🇩🇪", 2),
        ] {
            assert_eq!(width(text), cells, "{text}");
            assert_eq!(width(&left(text, 9)), 9, "{text}");
            assert_eq!(width(&right(text, 9)), 9, "{text}");
        }
    }

    #[test]
    fn a_cut_splits_no_character() {
        assert_eq!(cut("模型模型", 8, "…"), "模型模型");
        assert_eq!(cut("模型模型", 7, "…"), "模型模…");
        assert_eq!(cut("模型模型", 6, "…"), "模型…");
        assert_eq!(cut("ae\u{301}bcd", 3, "…"), "ae\u{301}…");
        assert_eq!(
            cut("👩\u{200d}👩\u{200d}👧👩\u{200d}👩\u{200d}👧x", 4, "…"),
            "👩\u{200d}👩\u{200d}👧…"
        );
    }

    #[test]
    fn control_and_direction_marks_are_shown_and_not_obeyed() {
        assert_eq!(plain("a\nb\u{1b}[31mc\u{85}"), "a\u{fffd}b\u{fffd}[31mc\u{fffd}");
        assert_eq!(plain("a\u{202e}b\u{2066}c\u{2028}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(plain("e\u{301} 👩\u{200d}👧"), "e\u{301} 👩\u{200d}👧");
    }
}

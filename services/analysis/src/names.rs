//! Names of a table's columns in messages.

use std::fmt;

/// Most names that a message lists.
const NAMES_MAX: usize = 20;
/// Most characters of a name: hostile ones are megabytes long.
const NAME_CHARS_MAX: usize = 80;
/// Most characters of all names: a gRPC status travels in a header.
const TOTAL_CHARS_MAX: usize = 400;

/// Names of the columns that a [`Table`](crate::Table) has, the first ones in full, so that a caller finds a misspelt one.
///
/// Bounded in number and length, whatever the table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNames {
    shown: Vec<String>,
    count: usize,
}

impl ColumnNames {
    /// Takes the first of these names.
    pub(crate) fn of<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let mut left = TOTAL_CHARS_MAX;
        let fits = |name: &String| {
            let chars = name.chars().count();
            let fits = chars <= left;
            left = left.saturating_sub(chars);
            fits
        };
        let count = names.len();
        let shown = names.map(quoted).take(NAMES_MAX).take_while(fits).collect();
        Self { shown, count }
    }
}

impl fmt::Display for ColumnNames {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown.join(", ");
        match self.count - self.shown.len() {
            0 if self.count == 0 => write!(out, "the table has no columns"),
            0 => write!(out, "the columns are {shown}"),
            more => write!(out, "the columns are {shown} and {more} more"),
        }
    }
}

/// A name in quotes, with its control characters escaped; a long one is cut.
pub(crate) fn quoted(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &name[..end]),
        None => format!("{name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Cell, Table, TableBuilder};

    fn table(names: impl IntoIterator<Item = String>) -> Table {
        let mut table = TableBuilder::new();
        for name in names {
            table.set(&name, Cell::Number(1.0)).expect("a column");
        }
        table.end_row().expect("a row");
        table.finish()
    }

    #[test]
    fn the_columns_are_listed() {
        let names = |names: &[&str]| table(names.iter().map(|name| (*name).to_owned())).names().to_string();
        assert_eq!(
            names(&["a", "b c", "\u{1b}[2J"]),
            r#"the columns are "a", "b c", "\u{1b}[2J""#
        );
        assert_eq!(names(&[]), "the table has no columns");
    }

    #[test]
    fn the_list_is_bounded_in_number_and_length() {
        let many = table((0..19_000).map(|number| format!("c{number}")))
            .names()
            .to_string();
        assert!(many.ends_with(r#""c19" and 18980 more"#), "{many}");
        let long = table((0..100).map(|number| format!("{number}{}", "模".repeat(10_000))))
            .names()
            .to_string();
        assert!(long.chars().count() < 500 && long.contains("and 9"), "{long}");
        let escaped = table((0..100).map(|number| format!("{number}{}", "\u{1}".repeat(100))))
            .names()
            .to_string();
        assert!(escaped.chars().count() < 500, "{escaped}");
    }
}

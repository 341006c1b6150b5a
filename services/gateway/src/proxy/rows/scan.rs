//! Finds where a piece of JSON ends, in text that is still arriving.
//!
//! Promises: every byte is looked at once, however the text is cut; it goes on where it stopped. Leaves the grammar to
//! the reader that gets the piece: brackets are only counted here.

/// A search for the end of one piece.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    seen: usize,
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl From<usize> for Scan {
    /// A search that begins behind the first bytes of the piece.
    fn from(seen: usize) -> Self {
        Self {
            seen,
            ..Self::default()
        }
    }
}

impl Scan {
    /// The position of the first of `ends` in `piece` outside of quotes, brackets and braces. `piece` is the text of
    /// the calls before, and more. `None` when it has not arrived yet.
    pub fn find(&mut self, piece: &[u8], ends: &[u8]) -> Option<usize> {
        while let Some(&byte) = piece.get(self.seen) {
            if self.quoted {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.quoted = false,
                    _ => {}
                }
            } else {
                if self.depth == 0 && ends.contains(&byte) {
                    return Some(self.seen);
                }
                match byte {
                    b'"' => self.quoted = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            self.seen += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_and_brackets_hide_what_is_inside() {
        let piece = br#"{"a,]":[1,2],"b\"}":"\\"} , 7"#;
        assert_eq!(Scan::default().find(piece, b",]"), Some(26));
        assert_eq!(Scan::default().find(b"[1,2", b","), None);
    }

    proptest! {
        #[test]
        fn a_cut_text_gives_the_same_end(text in r#"[\[\]{}",:\\a ]{0,40}"#, cut in 0_usize..40) {
            let bytes = text.as_bytes();
            let whole = Scan::default().find(bytes, b",]}");
            let mut scan = Scan::default();
            let first = scan.find(&bytes[..cut.min(bytes.len())], b",]}");
            let parted = first.or_else(|| scan.find(bytes, b",]}"));
            prop_assert_eq!(parted, whole);
        }
    }
}

//! Reader of JSON text, token by token ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)).
//!
//! Promises: accepts exactly what the standard allows; numbers are rounded correctly; an error names the byte at which
//! the text becomes invalid. Leaves the use of the tokens to the caller.

use std::borrow::Cow;

use lepton_domain::reason::Reason;
use lepton_domain::text::cut;

use super::{DEPTH_MAX, INTEGER_MAX, JsonError, too_deep};

/// Bytes of a number in a message.
const LITERAL_BYTES_MAX: usize = 43;

/// A position in a text. Every method skips the space before its token. A copy reads on from the same place.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Set once the innermost array or object has had an element.
    begun: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning; a byte order mark is not JSON. Fails on text that is not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self {
                text,
                at: 0,
                begun: false,
            }),
            Err(error) => Err(invalid(bytes, error.valid_up_to(), "the text is not UTF-8 here")),
        }
    }

    /// The first byte of the next token.
    pub fn peek(&mut self) -> Result<u8, JsonError> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes
            .get(self.at)
            .copied()
            .ok_or_else(|| self.error("the text ends too early"))
    }

    /// Succeeds when nothing but space is left.
    pub fn end(mut self) -> Result<(), JsonError> {
        match self.peek() {
            Ok(_) => Err(self.error("there is more after the end of the value")),
            Err(_) => Ok(()),
        }
    }

    /// Steps into the array or object that begins here and lies within `depth` others.
    pub fn open(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth == DEPTH_MAX {
            return Err(self.error(&too_deep()));
        }
        self.at += 1;
        self.begun = false;
        Ok(())
    }

    /// Steps to the next element, or, at `close`, out of the array or object; returns whether there is one.
    pub fn element(&mut self, close: u8) -> Result<bool, JsonError> {
        let next = self.peek()?;
        if next == close {
            self.at += 1;
            // The closed one was an element of what is around it.
            self.begun = true;
            return Ok(false);
        }
        if self.begun {
            if next != b',' {
                return Err(self.error(&format!("expected ',' or '{}'", close as char)));
            }
            self.at += 1;
            self.peek()?;
        }
        self.begun = true;
        Ok(true)
    }

    /// An object's key and its colon.
    pub fn key(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let key = self.text()?;
        if self.peek()? != b':' {
            return Err(self.error("expected ':' after the key"));
        }
        self.at += 1;
        Ok(key)
    }

    /// `true`, `false` or `null`.
    pub fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.not_a_value());
        }
        self.at += word.len();
        Ok(())
    }

    /// A text, unescaped; borrowed when nothing was escaped.
    pub fn text(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek()? != b'"' {
            return Err(self.error("expected a text in double quotes"));
        }
        self.at += 1;
        let plain = self.plain_text()?;
        if self.text.as_bytes()[self.at] == b'"' {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            // Here stands a quote or a backslash: nothing else ends plain text.
            self.at += 1;
            if self.text.as_bytes()[self.at - 1] == b'"' {
                return Ok(Cow::Owned(text));
            }
            text.push(self.escaped()?);
            text.push_str(self.plain_text()?);
        }
    }

    /// The text up to the next quote or backslash.
    fn plain_text(&mut self) -> Result<&'a str, JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let Some(length) = length else {
            self.at = self.text.len();
            return Err(self.error("the text in quotes does not end"));
        };
        // Ends at an ASCII byte, so never inside a character.
        let plain = &self.text[self.at..self.at + length];
        self.at += length;
        if self.text.as_bytes()[self.at] < 0x20 {
            return Err(self.error("a control character must be escaped, as \\n"));
        }
        Ok(plain)
    }

    /// Character after a backslash.
    fn escaped(&mut self) -> Result<char, JsonError> {
        let letter = self.text.as_bytes().get(self.at).copied();
        let unescaped = match letter {
            Some(b'"' | b'\\' | b'/') => letter.map_or('/', char::from),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(),
            _ => return Err(self.error("no such escape: write \\\\ for a backslash")),
        };
        self.at += 1;
        Ok(unescaped)
    }

    /// `u` and four hexadecimal digits, or two of these that make one character.
    fn code_point(&mut self) -> Result<char, JsonError> {
        let first = self.code_unit()?;
        let code = match first {
            0xd800..=0xdbff if self.text[self.at..].starts_with("\\u") => {
                self.at += 1;
                match self.code_unit()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => first,
                }
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| self.error("half of a surrogate pair stands alone"))
    }

    fn code_unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).unwrap_or_default();
        let hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(digits).unwrap_or_default();
        match u32::from_str_radix(text, 16) {
            Ok(unit) if hex => {
                self.at += 5;
                Ok(unit)
            }
            _ => Err(self.error("\\u needs four hexadecimal digits")),
        }
    }

    /// A number: as the nearest double. Integers beyond 2^53 are refused, for they would change silently.
    pub fn number(&mut self) -> Result<f64, JsonError> {
        let start = self.at;
        let literal = self.literal()?;
        self.exact(start, !literal.contains(['.', 'e', 'E']))
    }

    /// The text of a number, for those who know what it has to fit into.
    pub fn literal(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        let negative = usize::from(self.eat(b'-'));
        if self.digits() == 0 {
            self.at = start;
            return Err(self.not_a_value());
        }
        if self.text.as_bytes()[start + negative] == b'0' && self.at > start + negative + 1 {
            return Err(self.fault_at(start, "a number must not begin with 0"));
        }
        if self.eat(b'.') {
            self.some_digits("a digit must follow the point")?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.some_digits("a digit must follow the exponent's sign")?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Steps over the value that begins here, whatever it is, and lies within `depth` arrays and objects.
    pub fn skip(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.peek()? {
            open @ (b'{' | b'[') => {
                let close = if open == b'{' { b'}' } else { b']' };
                self.open(depth)?;
                while self.element(close)? {
                    if open == b'{' {
                        self.key()?;
                    }
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
            b'"' => self.text().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.literal().map(drop),
        }
    }

    /// An error about what stands here, in the words of a caller who knows what was expected.
    pub fn refuse(&self, message: &str) -> JsonError {
        self.error(message)
    }

    /// The double that the number from `start` to here is, if it may be taken for it.
    fn exact(&self, start: usize, integer: bool) -> Result<f64, JsonError> {
        let literal = &self.text[start..self.at];
        let digits = literal.trim_start_matches('-');
        if integer && digits.parse::<u64>().map_or(true, |value| value > INTEGER_MAX) {
            let advice = "write it as a text, or with an exponent if it need not be exact";
            let message = format!(
                "the integer {} is beyond 2^53: {advice}",
                cut(literal, LITERAL_BYTES_MAX)
            );
            return Err(JsonError {
                reason: Reason::NumberNotExact,
                ..self.fault_at(start, &message)
            });
        }
        match literal.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => {
                let message = format!("{} is beyond the largest double", cut(literal, LITERAL_BYTES_MAX));
                Err(JsonError {
                    reason: Reason::NumberNotExact,
                    ..self.fault_at(start, &message)
                })
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Skips digits and counts them.
    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn some_digits(&mut self, message: &str) -> Result<(), JsonError> {
        if self.digits() == 0 {
            Err(self.error(message))
        } else {
            Ok(())
        }
    }

    /// Something that begins like no value. The usual suspects get their advice.
    fn not_a_value(&self) -> JsonError {
        let rest = &self.text[self.at..];
        let numbers = ["NaN", "nan", "-NaN", "-nan", "Infinity", "-Infinity", "inf", "-inf"];
        match numbers.iter().find(|word| rest.starts_with(**word)) {
            Some(word) => self.error(&format!("{word} is not JSON: write null for a missing value")),
            None => self.error("expected a value: text, number, object, array, true, false or null"),
        }
    }

    fn error(&self, message: &str) -> JsonError {
        self.fault_at(self.at, message)
    }

    fn fault_at(&self, at: usize, message: &str) -> JsonError {
        invalid(self.text.as_bytes(), at, message)
    }
}

fn invalid(text: &[u8], at: usize, message: &str) -> JsonError {
    let before = &text[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |index| index + 1);
    JsonError {
        reason: Reason::InvalidJson,
        message: message.to_owned(),
        line,
        column: before.len() - line_start + 1,
    }
}

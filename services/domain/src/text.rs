//! Texts of others, made fit to be shown: shortened, and without credentials.
//!
//! Promises: cuts fall between characters; what is short and has no credentials is passed through without a copy. Leaves
//! where a limit lies to the callers.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Longest [`excerpt`], in bytes: enough to recognise a value.
pub const EXCERPT_BYTES_MAX: usize = 128;

/// Mark behind a text that went on.
const ELLIPSIS: &str = "...";
/// Stand-in for a credential.
const HIDDEN: &str = "***";

/// The text, or its beginning and `...`, in at most `bytes_max` bytes.
pub fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    cut_with(text, bytes_max, ELLIPSIS)
}

/// The text, or its beginning and this mark, in at most `bytes_max` bytes.
pub fn cut_with<'a>(text: &'a str, bytes_max: usize, mark: &str) -> Cow<'a, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    match bytes_max.checked_sub(mark.len()) {
        Some(kept) => Cow::Owned(format!("{}{mark}", head(text, kept))),
        None => Cow::Borrowed(head(text, bytes_max)),
    }
}

/// The beginning of the text, in at most `bytes_max` bytes, without a mark: for values that programs compare.
pub fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// As much of a caller's text as an error needs: [`cut`] at [`EXCERPT_BYTES_MAX`].
pub fn excerpt(text: &str) -> Cow<'_, str> {
    cut(text, EXCERPT_BYTES_MAX)
}

/// A message in which the URLs have neither user nor password nor query: `http://***@host:2379`.
///
/// Passwords of etcd, of a collector or of a store stand in URLs, and errors, logs and the command line show URLs.
pub fn redacted(message: &str) -> Cow<'_, str> {
    if !message.contains(['@', '?']) {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len());
    // Quotes, blanks and commas end a URL wherever one is written down.
    for piece in message.split_inclusive(|letter: char| letter.is_whitespace() || "\"'`,".contains(letter)) {
        redact(piece, &mut out);
    }
    Cow::Owned(out)
}

/// A single address, redacted also where it is no URL: `root:pw@host`, `http://root:pw` of a list that was split.
pub fn redacted_address(address: &str) -> Cow<'_, str> {
    let scheme = address.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(scheme);
    if let Some((_, host)) = rest.rsplit_once('@') {
        return Cow::Owned(format!("{scheme}{HIDDEN}@{}", without_query(host)));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        // Not a port, so it may be the password in front of a comma or a slash.
        Some((host, port)) if !authority.ends_with(']') && port.bytes().any(|byte| !byte.is_ascii_digit()) => {
            Cow::Owned(format!("{scheme}{host}:{HIDDEN}"))
        }
        _ if rest.contains('?') => Cow::Owned(format!("{scheme}{}", without_query(rest))),
        _ => Cow::Borrowed(address),
    }
}

/// Appends a piece of a message, without the credentials of a URL that begins in it.
fn redact(piece: &str, out: &mut String) {
    let scheme = piece.find("://").map(|at| at + 3);
    let (head, rest) = piece.split_at(scheme.unwrap_or(0));
    match rest.rsplit_once('@') {
        Some((user, host)) if scheme.is_some() || user.contains(':') => {
            let host = if scheme.is_some() {
                without_query(host)
            } else {
                host.into()
            };
            out.extend([head, HIDDEN, "@", &*host]);
        }
        _ if scheme.is_some() => out.extend([head, &*without_query(rest)]),
        _ => out.push_str(piece),
    }
}

/// The text up to its query, of which only the end that is no part of it stays.
fn without_query(text: &str) -> Cow<'_, str> {
    let Some((path, query)) = text.split_once('?') else {
        return Cow::Borrowed(text);
    };
    let end = query.trim_end_matches(|letter: char| letter.is_whitespace() || "\"'`,".contains(letter));
    Cow::Owned(format!("{path}?{HIDDEN}{}", &query[end.len()..]))
}

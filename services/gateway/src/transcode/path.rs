//! Path templates of `google.api.http`: literals, `{field}` and a `:verb` at the end.
//!
//! Promises: a template that this gateway cannot honour is refused when the table is built, never at a request.
//! Leaves finding the template for a request to `transcode::table`.

use std::fmt;

use super::url;

#[cfg(test)]
mod tests;

/// (Field path, decoded value) pairs that a request path binds.
pub type Fields<'a> = Vec<(&'a str, String)>;

/// A parsed template such as `/api/v1/tasks/{id}:cancel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// Matches one whole segment and binds it to this field path.
    Field(String),
}

/// A template that is not supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path template {template:?}: {why}")]
pub struct BadTemplate {
    template: String,
    why: &'static str,
}

impl Template {
    /// Parses a template. Wildcards and `{field=pattern}` are not supported, as no RPC of the contract uses them.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let bad = |why| BadTemplate {
            template: text.to_owned(),
            why,
        };
        let path = text.strip_prefix('/').ok_or_else(|| bad("does not start with '/'"))?;
        let (path, verb) = split_verb(path);
        let segment = |part: &str| match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(field) if field.contains('=') => Err(bad("patterns inside a field are not supported")),
            Some(field) => Ok(Segment::Field(field.to_owned())),
            None if part.is_empty() || part.contains(['{', '}', '*']) => Err(bad("has a malformed segment")),
            None => Ok(Segment::Literal(part.to_owned())),
        };
        let segments = path.split('/').map(segment).collect::<Result<_, _>>()?;
        Ok(Self {
            segments,
            verb: verb.map(str::to_owned),
        })
    }

    /// The fields that a request path binds; `None` where it does not fit.
    pub fn matches(&self, path: &str) -> Option<Fields<'_>> {
        let (path, verb) = split_verb(path.strip_prefix('/')?);
        // A verb that nobody declared must not be taken for a part of the last field.
        if verb != self.verb.as_deref() {
            return None;
        }
        let mut fields = Vec::new();
        let mut parts = path.split('/');
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Field(field) if !part.is_empty() => fields.push((field.as_str(), url::decode(part)?)),
                _ => return None,
            }
        }
        parts.next().is_none().then_some(fields)
    }

    /// The field paths that the path binds, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field(field) => Some(field.as_str()),
            Segment::Literal(_) => None,
        })
    }
}

/// Splits `a/b:verb`; a colon that is part of a value comes percent-encoded.
fn split_verb(path: &str) -> (&str, Option<&str>) {
    match path.rfind([':', '/']) {
        Some(at) if path.as_bytes()[at] == b':' => (&path[..at], Some(&path[at + 1..])),
        _ => (path, None),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => write!(out, "/{literal}")?,
                Segment::Field(field) => write!(out, "/{{{field}}}")?,
            }
        }
        match &self.verb {
            Some(verb) => write!(out, ":{verb}"),
            None => Ok(()),
        }
    }
}

//! Positions of the parts of a submit in its text.
//!
//! Promises: nothing but positions is kept, and of no more parts than are taken. Leaves what is wrong inside of a part to
//! whoever reads it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::REQUESTS_MAX;

/// Pairs of a map that are parsed at all. The contract's rules allow far fewer, yet see them only once they lie in memory.
const PAIRS_MAX: usize = 1_024;

/// Range of a value that was borrowed from `text`.
pub fn span(text: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + value.get().len()
}

/// Finds the input of one submit.
pub struct One<'a> {
    /// The submit.
    pub text: &'a [u8],
}

impl<'de> Visitor<'de> for One<'de> {
    type Value = Option<Range<usize>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with the fields of a submit")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match &*key.0 {
                "input" => {
                    let input: &'de RawValue = map.next_value()?;
                    // Only one can be blanked out for those who parse the rest.
                    if found.replace(span(self.text, input)).is_some() {
                        return Err(A::Error::duplicate_field("input"));
                    }
                }
                "labels" | "requirements" => {
                    let pairs = pairs(map.next_value()?);
                    if pairs > PAIRS_MAX {
                        return Err(A::Error::custom(format!("`{}` has {pairs} pairs", key.0)));
                    }
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Finds the submits of a batch, as many as are taken, and counts them all.
pub struct Batch;

impl<'de> Visitor<'de> for Batch {
    type Value = (Vec<&'de RawValue>, usize);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with `requests`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut submits = None;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if key.0 != "requests" {
                return Err(A::Error::unknown_field(&key.0, &["requests"]));
            }
            if submits.replace(map.next_value_seed(Requests)?).is_some() {
                return Err(A::Error::duplicate_field("requests"));
            }
        }
        Ok(submits.unwrap_or_default())
    }
}

/// The list of a batch.
struct Requests;

impl<'de> DeserializeSeed<'de> for Requests {
    type Value = (Vec<&'de RawValue>, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Requests {
    type Value = (Vec<&'de RawValue>, usize);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of submits")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut submits = Vec::new();
        while submits.len() < REQUESTS_MAX {
            match list.next_element()? {
                Some(submit) => submits.push(submit),
                None => break,
            }
        }
        let mut count = submits.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((submits, count))
    }
}

/// Pairs of a map; none where it is no map, which is refused elsewhere.
fn pairs(map: &RawValue) -> usize {
    let counted = serde_json::Deserializer::from_str(map.get()).deserialize_map(Pairs);
    counted.unwrap_or_default()
}

/// Counts the pairs of a map.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = usize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut count = 0;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

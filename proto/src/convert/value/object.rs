//! Objects in canonical form, without a tree.
//!
//! Promises: an object whose keys are sorted already is copied straight through. Leaves its values to the parent.

use std::borrow::Cow;
use std::ops::Range;

use super::read::Reader;
use super::write::write_text;
use super::{JsonFault, write_canonical as write_any};

/// A member that lies somewhere in the output, as `"key":value`.
struct Member<'a> {
    key: Cow<'a, str>,
    at: Range<usize>,
}

/// Copies the object that begins here.
pub(super) fn write_canonical(reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonFault> {
    reader.open(depth)?;
    out.push(b'{');
    let start = out.len();
    let mut members = Vec::new();
    while reader.element(b'}')? {
        if out.len() > start {
            out.push(b',');
        }
        let from = out.len();
        let key = reader.key()?;
        write_text(&key, out);
        out.push(b':');
        write_any(reader, depth + 1, out)?;
        members.push(Member {
            key,
            at: from..out.len(),
        });
    }
    if !members.is_sorted_by(|a, b| a.key < b.key) {
        sort(members, start, out);
    }
    out.push(b'}');
    Ok(())
}

/// Puts the members, which fill the output from `start` on, in order of their keys; of equal keys the last stays.
fn sort(mut members: Vec<Member<'_>>, start: usize, out: &mut Vec<u8>) {
    // Stable, so that equal keys keep their order.
    members.sort_by(|a, b| a.key.cmp(&b.key));
    let mut sorted = Vec::with_capacity(out.len() - start);
    for (index, member) in members.iter().enumerate() {
        if members.get(index + 1).is_some_and(|next| next.key == member.key) {
            continue;
        }
        if !sorted.is_empty() {
            sorted.push(b',');
        }
        sorted.extend_from_slice(&out[member.at.clone()]);
    }
    out.truncate(start);
    out.extend_from_slice(&sorted);
}

//! JSON objects without a tree, their keys sorted or in the order of the input.
//!
//! Promises: an object whose keys are in order already is copied straight through; of equal keys the last one stands.
//! Leaves its values to the parent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::read::Reader;
use super::write::write_text;
use super::{JsonError, Order, write as write_any};

/// A member that lies somewhere in the output, as `"key":value`.
struct Member<'a> {
    key: Cow<'a, str>,
    at: Range<usize>,
}

/// Copies the object that begins here.
pub(super) fn write(reader: &mut Reader<'_>, order: Order, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonError> {
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
        write_any(reader, order, depth + 1, out)?;
        members.push(Member {
            key,
            at: from..out.len(),
        });
    }
    if !members.is_sorted_by(|a, b| a.key < b.key) {
        match order {
            Order::Sorted => sort(members, start, out),
            Order::Given => drop_repeated(&members, start, out),
        }
    }
    out.push(b'}');
    Ok(())
}

/// Puts the members, which fill the output from `start` on, in order of their keys; of equal keys the last stays.
fn sort(mut members: Vec<Member<'_>>, start: usize, out: &mut Vec<u8>) {
    // Stable, so that equal keys keep their order.
    members.sort_by(|a, b| a.key.cmp(&b.key));
    members.dedup_by(|later, earlier| {
        let same = later.key == earlier.key;
        if same {
            earlier.at = later.at.clone();
        }
        same
    });
    keep(members.iter(), start, out);
}

/// Leaves members in their order, but for those whose key comes again.
fn drop_repeated(members: &[Member<'_>], start: usize, out: &mut Vec<u8>) {
    let last: BTreeMap<&str, usize> = members
        .iter()
        .enumerate()
        .map(|(index, member)| (member.key.as_ref(), index))
        .collect();
    if last.len() < members.len() {
        let stands = |(index, member): &(usize, &Member<'_>)| last.get(member.key.as_ref()) == Some(index);
        keep(
            members.iter().enumerate().filter(stands).map(|(_, member)| member),
            start,
            out,
        );
    }
}

/// Replaces the output from `start` on by these members.
fn keep<'a, 'b: 'a>(members: impl Iterator<Item = &'a Member<'b>>, start: usize, out: &mut Vec<u8>) {
    let mut kept = Vec::with_capacity(out.len() - start);
    for member in members {
        if !kept.is_empty() {
            kept.push(b',');
        }
        kept.extend_from_slice(&out[member.at.clone()]);
    }
    out.truncate(start);
    out.extend_from_slice(&kept);
}

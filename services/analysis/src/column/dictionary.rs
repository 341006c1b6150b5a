//! Distinct strings, numbered in order of first appearance.
//!
//! All text lies in one buffer and the hash table holds only codes, so a distinct string costs its bytes and some
//! sixteen more, where a map of owned strings costs a hundred. The hash is keyed at random: keys come from clients.

use std::hash::{BuildHasher, RandomState};

const FREE: u32 = u32::MAX;
const SLOTS_MIN: usize = 16;

/// An append-only set of strings with dense codes.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    text: String,
    /// End of each string in `text`.
    ends: Vec<usize>,
    /// Open addressing with linear probing; a power of two long, at most half full.
    slots: Vec<u32>,
    hasher: RandomState,
}

impl Dictionary {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The string with this code, if there is one.
    pub(crate) fn get(&self, code: u32) -> Option<&str> {
        let index = code as usize;
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.text[start..end])
    }

    /// The code of `text`, which is added when it is new.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if self.ends.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let slot = self.slot_of(text);
        if self.slots[slot] == FREE {
            self.slots[slot] = u32::try_from(self.ends.len()).expect("fewer distinct strings than 2^32 rows");
            self.text.push_str(text);
            self.ends.push(self.text.len());
        }
        self.slots[slot]
    }

    /// The slot that holds `text`, or the free one where it belongs.
    fn slot_of(&self, text: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.home(text);
        while self.slots[slot] != FREE && self.get(self.slots[slot]) != Some(text) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn home(&self, text: &str) -> usize {
        // Only the low bits matter, so cutting the hash to the word size is fine.
        self.hasher.hash_one(text) as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(SLOTS_MIN);
        self.slots = vec![FREE; length];
        for index in 0..self.ends.len() {
            let code = index as u32;
            let mut slot = self.home(self.get(code).expect("codes below len have a string"));
            while self.slots[slot] != FREE {
                slot = (slot + 1) & (length - 1);
            }
            self.slots[slot] = code;
        }
    }
}

//! Automatic compaction: pure rules over revisions and bytes. Compaction itself is in [`crate::kv`].

#[cfg(test)]
mod tests;

/// The revision to compact at now, if `keep` revisions are to stay readable.
///
/// Waits until twice as many have gathered, so that the work is shared by many writes.
pub(crate) fn due(revision: i64, compacted: i64, keep: u64) -> Option<i64> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    let held = revision - compacted.max(0);
    (held > keep.saturating_mul(2).max(1)).then(|| revision - keep)
}

/// Returns true if history of so many bytes is to shrink to `keep`; waits as long as [`due`] does.
pub(crate) fn too_large(bytes: u64, keep: u64) -> bool {
    bytes > keep.saturating_mul(2)
}

//! Settings of the process's allocator.
//!
//! Promises: large buffers go back to the system as soon as they are freed. Leaves how many there may be at once to the
//! limits of each service.

use std::ffi::c_int;

/// From this size on a buffer is a mapping of its own, in bytes. Tables and large bodies are; what requests of usual
/// size take is not, as mappings cost a page fault for each 4 KiB.
const MAPPED_BYTES_MIN: c_int = 1 << 20;
/// Free memory that an arena of smaller buffers keeps at its end, in bytes.
const KEPT_BYTES_MAX: c_int = 2 << 20;

/// Settles it for the whole process; call it before there are threads.
///
/// By itself glibc raises the size from which buffers are mappings to that of the largest that was freed, 32 MiB at
/// most. Columns then come from arenas: they are copied when they grow, and the holes that they leave are not given
/// back, so that the peak of a large analysis is half as high again from the second one on.
#[cfg(target_env = "gnu")]
pub fn settle() {
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN),
        (libc::M_TRIM_THRESHOLD, KEPT_BYTES_MAX),
    ] {
        // SAFETY: `mallopt` takes two numbers and a lock of its own; both values are in its range.
        #[allow(unsafe_code, reason = "the allocator of the system has no safe interface")]
        let taken = unsafe { libc::mallopt(parameter, value) };
        debug_assert_eq!(taken, 1, "glibc knows parameter {parameter}");
    }
}

/// Other allocators have no such habit.
#[cfg(not(target_env = "gnu"))]
pub fn settle() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;
    use lepton_core::process::usage;

    #[test]
    fn a_large_buffer_goes_back_although_a_later_one_stays() {
        const LARGE: usize = 24 << 20;
        settle();
        // Freeing the first is what makes glibc take the second from an arena.
        drop(vec![1_u8; LARGE]);
        let large = vec![1_u8; LARGE];
        let stays: Vec<Box<[u8]>> = (0..64).map(|_| vec![1; 64 << 10].into()).collect();
        let before = usage().resident_bytes;
        drop(large);
        let after = usage().resident_bytes;
        assert!(after + (LARGE as u64) * 3 / 4 < before, "{before} bytes, then {after}");
        drop(stays);
    }
}

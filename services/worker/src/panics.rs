//! Panics as errors.
//!
//! Promises: whatever panicked is not used again where it could be half done: the caller drops it, or it was only read.
//! Leaves aborts, which nothing can catch, to [`model::sandbox`](crate::model::sandbox).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a piece of a backend and returns its panic as a text.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_message(&*panic).to_owned())
}

/// The message of a caught panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_keep_their_message() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        assert_eq!(catch_panic(|| -> u8 { panic!("at {}", 3) }), Err("at 3".to_owned()));
    }
}

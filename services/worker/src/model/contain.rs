//! A backend's panic as an error.
//!
//! Promises: what the backend was at is not used again where it could be half done: the caller drops it or it was only
//! read. Leaves aborts, which nothing can catch, to `inspect`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a piece of a backend; its panic comes back as a text.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| said(&*panic).to_owned())
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told() {
        assert_eq!(contained(|| 7), Ok(7));
        assert_eq!(contained(|| -> u8 { panic!("at {}", 3) }), Err("at 3".to_owned()));
    }
}

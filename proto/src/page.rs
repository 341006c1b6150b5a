//! Pages of listings: their size, their tokens and where they end.
//!
//! Promises: a token carries the sort key of its page's last item, so that items which come or go between two pages
//! neither repeat nor hide others; it is valid only for the [`Listing`] that made it, and every other text is
//! PAGE_TOKEN_INVALID. A token is opaque but not secret: it gives access to nothing that the listing itself does not
//! give. Leaves the limit of `page_size` to the rules of the contract, which [`crate::validate`] applies.

use std::cmp::Reverse;
use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lepton_domain::reason::{ApiError, Reason};
use sha2::{Digest as _, Sha256};

#[cfg(test)]
mod tests;

/// First byte of every token, for a later change of the format.
const FORMAT: u8 = 2;
/// Bytes of a listing's digest inside a token.
const DIGEST_BYTES: usize = 8;

/// Sort key of an item. Keys ascend in the order of the listing; [`Reverse`] makes those of a listing that descends.
pub trait PageKey: Ord + Sized {
    /// Returns the key as bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// Returns the key that these bytes stand for; `None` if they are no key.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// Identity of a listing: its method, and every request field that decides which items it has and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    digest: [u8; DIGEST_BYTES],
}

/// Request for one page of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<K> {
    listing: Listing,
    /// Most items of the page; `None` for all.
    size: Option<usize>,
    /// Key of the last item of the page before.
    after: Option<K>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of the listing.
    pub items: Vec<T>,
    /// Token of the next page; empty on the last one.
    pub next_page_token: String,
}

impl Listing {
    /// Listing of `method` under `filter`.
    pub fn new(method: &str, filter: &[&dyn Display]) -> Self {
        let mut text = method.to_owned();
        for value in filter {
            let value = value.to_string();
            // With its length, so that no value can pass for two.
            let _ = write!(text, "\n{}:{value}", value.len());
        }
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&Sha256::digest(text.as_bytes())[..DIGEST_BYTES]);
        Self { digest }
    }

    /// Returns the token of the page that begins after this key.
    pub fn token(&self, last: &impl PageKey) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(&last.to_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the key in a token of this listing; `None` for the empty token of a first page. Fails with
    /// PAGE_TOKEN_INVALID.
    pub fn key<K: PageKey>(&self, page_token: &str) -> Result<Option<K>, ApiError> {
        if page_token.is_empty() {
            return Ok(None);
        }
        let decode = || {
            let bytes = URL_SAFE_NO_PAD.decode(page_token).ok()?;
            let (format, rest) = bytes.split_first()?;
            let (digest, key) = rest.split_first_chunk::<DIGEST_BYTES>()?;
            (*format == FORMAT && *digest == self.digest).then(|| K::from_bytes(key))?
        };
        decode().map(Some).ok_or_else(|| {
            let rule = "is not the nextPageToken of a listing with the same filter; begin without one";
            ApiError::new(Reason::PageTokenInvalid, format!("pageToken {rule}")).violation("page_token", rule)
        })
    }
}

impl<K: PageKey> PageRequest<K> {
    /// Page that a request asks for; `page_size` 0 stands for all items. Fails with PAGE_TOKEN_INVALID.
    pub fn new(listing: Listing, page_size: u32, page_token: &str) -> Result<Self, ApiError> {
        Ok(Self {
            listing,
            size: usize::try_from(page_size).ok().filter(|size| *size > 0),
            after: listing.key(page_token)?,
        })
    }

    /// Sets the size where the request leaves it open.
    pub fn or_size(mut self, size: usize) -> Self {
        self.size = self.size.or(Some(size));
        self
    }

    /// Reports whether an item with this key stands behind the page before.
    pub fn includes(&self, key: &K) -> bool {
        self.after.as_ref().is_none_or(|after| key > after)
    }

    /// Cuts the page out of the listing's items, which must be in the order of their keys.
    pub fn cut<T>(&self, items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Page<T> {
        self.cut_until(items, None, key)
    }

    /// Cuts the page as [`PageRequest::cut`] does, where `items` are all items of the listing up to the key `end` only.
    pub fn cut_until<T>(&self, items: impl IntoIterator<Item = T>, end: Option<&K>, key: impl Fn(&T) -> K) -> Page<T> {
        let is_within = |key: K| self.includes(&key) && end.is_none_or(|end| key <= *end);
        let mut rest = items.into_iter().filter(|item| is_within(key(item)));
        let items: Vec<T> = rest.by_ref().take(self.size.unwrap_or(usize::MAX)).collect();
        let token = |key: &K| self.listing.token(key);
        let next_page_token = match (rest.next(), items.last()) {
            (Some(_), Some(last)) => token(&key(last)),
            _ => end.map_or_else(String::new, token),
        };
        Page { items, next_page_token }
    }
}

impl<T> Page<T> {
    /// Converts every item.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_page_token: self.next_page_token,
        }
    }
}

impl PageKey for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl PageKey for u128 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl PageKey for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

impl<K: PageKey> PageKey for Reverse<K> {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        K::from_bytes(bytes).map(Reverse)
    }
}

/// The first key's length in four bytes, the first key, the second key.
impl<A: PageKey, B: PageKey> PageKey for (A, B) {
    fn to_bytes(&self) -> Vec<u8> {
        let (first, second) = (self.0.to_bytes(), self.1.to_bytes());
        let length = u32::try_from(first.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], &first, &second].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (first, second) = rest.split_at_checked(length)?;
        Some((A::from_bytes(first)?, B::from_bytes(second)?))
    }
}

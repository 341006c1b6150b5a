//! The key under which leaders seal their marks, so that a mark that comes back is known for one that a leader made.
//!
//! Promises: a mark holds only with every field as it was sealed, and only under the secret of its own incarnation.
//! Workers and gateways carry sealed marks and never have the key. Leaves comparing marks to `high_water_mark`.

use std::fmt;

use lepton_coordination::election::Leadership;
use lepton_coordination::etcd::{Etcd, EtcdError, identity};
use lepton_proto::journal::v1::Mark;

#[cfg(test)]
mod tests;

/// Begin of what is hashed: no other use of the secret gives the same code.
const DOMAIN: &[u8] = b"lepton mark 1\0";

/// The key of one incarnation's marks.
#[derive(Clone)]
pub struct MarkKey([u8; blake3::KEY_LEN]);

impl MarkKey {
    /// A key with this secret.
    pub fn new(secret: [u8; blake3::KEY_LEN]) -> Self {
        Self(secret)
    }

    /// Returns the key of the leadership's incarnation, made where there is none. `None` when the leadership has ended.
    pub async fn of(etcd: &Etcd, leadership: &Leadership) -> Result<Option<Self>, EtcdError> {
        let secret = identity::mark_secret(etcd, &leadership.incarnation, leadership.fence()).await?;
        Ok(secret.map(Self))
    }

    /// Seals a mark.
    pub fn seal(&self, mark: Mark) -> Mark {
        let mac = self.code(&mark).as_bytes().to_vec().into();
        Mark { mac, ..mark }
    }

    /// Returns true for a mark that was sealed under this key and not changed since.
    pub fn holds(&self, mark: &Mark) -> bool {
        // `blake3::Hash` compares in constant time.
        blake3::Hash::from_slice(&mark.mac).is_ok_and(|mac| mac == self.code(mark))
    }

    /// Keyed BLAKE3 of the fields, each of a fixed length or behind its length.
    fn code(&self, mark: &Mark) -> blake3::Hash {
        let Mark {
            incarnation,
            revision,
            segment,
            seq,
            segment_hash,
            mac: _,
        } = mark;
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(DOMAIN);
        for text in [incarnation.as_bytes(), segment_hash] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text);
        }
        for number in [revision, segment, seq] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize()
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MarkKey")
    }
}

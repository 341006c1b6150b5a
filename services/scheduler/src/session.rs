//! Worker sessions as the wire carries them. What is handed to whom is the leader's choice: see `leader::assign`.

pub(crate) mod stream;

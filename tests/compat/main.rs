//! Models that others made: what they answer, what hostile files get, and versions that change.

mod hostile;
mod others;
mod versions;

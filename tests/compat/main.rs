//! Models that others made: what they answer, and what hostile files get.

mod hostile;
mod others;

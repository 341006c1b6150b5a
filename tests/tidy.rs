//! The house rules as a test: who may depend on whom, what stays pure, how long things may be, what nobody uses, and
//! that the example configurations are the defaults. Absolute: there is no list of exceptions.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/config.rs"]
mod config;
#[path = "tidy/dead.rs"]
mod dead;
#[path = "tidy/length.rs"]
mod length;
#[path = "tidy/map.rs"]
mod map;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/words.rs"]
mod words;

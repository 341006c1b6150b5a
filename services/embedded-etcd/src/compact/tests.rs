//! Tests of `compact`.

//! Remembers: one trait, one write method. It does not decide.

//! What the tests of this module share: an authority with fixed keys, and the vectors that hold the encodings still.

pub(crate) mod authority;
mod vectors;

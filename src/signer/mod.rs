//! Private keys: bytes in, signature out.

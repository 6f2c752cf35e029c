//! An ACME client, the relying service of `demo` and the library of `sote-client`.

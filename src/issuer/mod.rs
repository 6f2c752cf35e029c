//! The only module that may use a CA key: prepare, lint, record, sign, check, publish.

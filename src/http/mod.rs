//! Listeners: hostile bytes in, rendered answers out.

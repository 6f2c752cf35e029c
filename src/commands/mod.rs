//! One file per sub-command; the only place that knows every part.

pub mod dns_responder;
pub mod hierarchy;

//! What we keep and how it may change: records and pure rules. No async, no clock, no log; time is an argument.

pub mod evidence;

//! Listeners: hostile bytes in, rendered answers out. ACME over TLS, public status over plain HTTP, administration over Unix
//! sockets. Nothing is decided here, and no secret is held but the nonces' key. A request's way: `server.rs` accepts the
//! connection, `pipeline` bounds and logs it, `acme/` finds its route and proves its sender (`authenticate`), a handler calls
//! the authority, and `reply` renders what came of it.

mod acme;
mod activity;
mod admin;
mod app;
mod authenticate;
mod connection;
mod framing;
mod limits;
mod nonces;
mod officers;
mod organisation;
mod pipeline;
mod problem_table;
mod public;
mod query;
mod rate_limits;
mod register;
mod reply;
mod request;
mod server;
mod texts;
mod tls;
mod watched;

pub use app::{About, App, Parts};
pub use nonces::Nonces;
pub use officers::{Officer, OfficerRole, Officers};
pub use register::{SyncError, checked_sync};
pub use server::{Addresses, BindError, Listeners, Server};
pub use tls::{Tls, TlsError};

pub use crate::config::{HttpSettings as Settings, Rate, RateLimits};

//! xapi: XenAPI over XML-RPC and JSON-RPC on a unix socket.

mod call;
mod events;
mod fields;
mod filter;
mod forwarding;
mod host;
mod methods;
mod private;
mod server;
mod session;
mod vm;

pub use server::{serve, serve_control};

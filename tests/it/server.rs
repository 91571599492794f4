//! The server over real TLS on loopback: what each kind of request and client gets.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod admin;
mod connections;
mod drain;
mod overload;
mod requests;
mod tls;

//! Integration tests: everything that needs a socket, a file or the binary.

mod http;
mod server;

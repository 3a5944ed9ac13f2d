//! The addresses on which commands listen.

use std::net::SocketAddr;

/// Parses an address such as `127.0.0.1:50051`.
///
/// # Errors
/// Says what to write instead.
pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write IP:PORT, such as 127.0.0.1:50051; port 0 is any free port".to_owned())
}

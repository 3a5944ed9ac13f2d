//! Signals to the calls of a connection that the connection should end.

use tokio_util::sync::CancellationToken;

/// Cancelled when a connection should end, because it has reached its maximum age, the gateway
/// shuts down, or another client gets the connection slot. Calls that would stay open as long as
/// the connection, such as health watches, then end.
#[derive(Clone, Debug, Default)]
pub struct Leaving(CancellationToken);

impl Leaving {
    /// Returns the token that is cancelled.
    pub fn token(&self) -> &CancellationToken {
        &self.0
    }
}

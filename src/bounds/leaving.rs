//! Tells the calls of a connection that it should end.

use tokio_util::sync::CancellationToken;

/// Cancelled when a connection should end: it is old enough, the gateway stops, or its place goes
/// to another client. Calls that would stay open for as long as the connection does end themselves
/// then.
#[derive(Clone, Debug, Default)]
pub struct Leaving(CancellationToken);

impl Leaving {
    /// Returns what is cancelled.
    pub fn token(&self) -> &CancellationToken {
        &self.0
    }
}

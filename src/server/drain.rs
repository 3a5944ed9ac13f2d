//! Drains the gateway: open streams may end within `drain.limit`, then the remaining streams end
//! with a status, then connections are closed.
//!
//! [`super::run`] handles the lame-duck phase before the drain: for `drain.lame_duck`, it reports
//! NOT_SERVING but still accepts connections.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::worker::Worker;

/// How long the gateway waits after a second stop signal until the clients of open calls have
/// received their status. Only clients that read nothing use all of this time.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long the gateway waits when the drain expires until the clients of open calls have received
/// their status. The time is sufficient for many streams on a busy machine. Only clients that read
/// nothing use all of this time.
const CUT_GRACE: Duration = Duration::from_secs(4);

/// The stop signals of a gateway.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Starts the drain: no further calls are accepted, and open calls may end.
    pub drain: CancellationToken,
    /// Ends open calls immediately.
    pub now: CancellationToken,
}

/// Waits until open streams have ended or the drain expires. Ends the remaining streams with a
/// status.
pub(super) async fn drain(
    workers: &[Worker],
    cut: &CancellationToken,
    stop: &Stop,
    limit: Duration,
) {
    for worker in workers {
        worker.go_away();
    }
    let all_ended = async {
        for worker in workers {
            worker.ended().await;
        }
    };
    tokio::pin!(all_ended);
    let ended = tokio::select! {
        () = &mut all_ended => true,
        () = tokio::time::sleep(limit) => false,
        () = stop.now.cancelled() => false,
    };
    if !ended {
        tracing::warn!("the drain has expired; ending the open streams");
        cut.cancel();
        tokio::select! {
            () = all_ended => {}
            () = tokio::time::sleep(CUT_GRACE) => tracing::warn!("the drain has expired; closing the open connections"),
            () = async {
                stop.now.cancelled().await;
                tokio::time::sleep(LAST_WORDS).await;
            } => {}
        }
    }
}

//! The end of a gateway: open streams may end within `drain.limit`; then the rest is cut with a status, then connections are closed.
//!
//! What comes before that is in [`super::run`]: readiness turns, and new connections are accepted for `drain.lame_duck`.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::worker::Worker;

/// How long connections have to tell their clients after a second request to stop. Only clients that read nothing use it up.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// What streams that are cut may take to tell their clients: on a busy machine, and many of them. Only clients that take nothing use it up.
const CUT_GRACE: Duration = Duration::from_secs(4);

/// How a gateway is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Stop taking calls, let the open ones end.
    pub drain: CancellationToken,
    /// Don't wait for them.
    pub now: CancellationToken,
}

/// Lets open streams end, then cuts the rest with a status, then stops waiting.
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
        tracing::warn!("streams are still open and are cut");
        cut.cancel();
        tokio::select! {
            () = all_ended => {}
            () = tokio::time::sleep(CUT_GRACE) => tracing::warn!("connections are still open and are closed"),
            () = async {
                stop.now.cancelled().await;
                tokio::time::sleep(LAST_WORDS).await;
            } => {}
        }
    }
}

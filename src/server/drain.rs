//! The drain: open streams may end within `drain.limit`; then the rest ends with a status, then
//! connections are closed.
//!
//! [`super::run`] does what precedes it: it reports NOT_SERVING, and still accepts connections for
//! `drain.lame_duck`.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::worker::Worker;

/// How long connections have to notify their clients after a second stop signal. Only clients that
/// read nothing use it up.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long streams may take to notify their clients when the drain expires: on a busy machine, and
/// many streams. Only clients that read nothing use it up.
const CUT_GRACE: Duration = Duration::from_secs(4);

/// The stop signals of a gateway.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Accept no more calls, let the open ones end.
    pub drain: CancellationToken,
    /// Do not wait for open calls.
    pub now: CancellationToken,
}

/// Lets open streams end, then ends the rest with a status, then stops waiting.
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

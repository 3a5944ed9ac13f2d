//! The failures of a call in progress.

use std::{fmt, time::Duration};

use crate::{
    error::{Failure, Phase, Reason, Upstream},
    routing::Route,
};

/// Returns the failure for an event from Bedrock that cannot be decoded.
pub(super) fn unreadable(event_type: &str, error: &dyn fmt::Display) -> Failure {
    Failure::new(
        Reason::UpstreamCorrupt,
        format!("the gateway cannot decode Bedrock's {event_type} event: {error}"),
    )
    .in_phase(Phase::BeforeFirstEvent)
    .with_upstream(Upstream::default())
}

/// Returns the failure of a call for which Bedrock sent nothing for this time.
pub(crate) fn silent_for(limit: Duration) -> Failure {
    Failure::new(
        Reason::UpstreamIdle,
        format!("Bedrock sent nothing for {} s", limit.as_secs_f32()),
    )
    .in_phase(Phase::BeforeFirstEvent)
    .with_upstream(Upstream::default())
}

/// Returns the failure of an answer for which there is not enough memory. Clients do not retry for
/// this reason: Bedrock would bill the retry, too.
pub(crate) fn no_memory() -> Failure {
    Failure::new(
        Reason::MessageTooLarge,
        "this replica has no memory for the rest of the answer; ask the operator to raise limits.memory. StreamInvoke needs less memory than Invoke",
    )
    .in_phase(Phase::BeforeFirstEvent)
}

/// Returns the failure of a call whose deadline has passed.
pub(crate) fn deadline_exceeded() -> Failure {
    Failure::new(
        Reason::DeadlineExceeded,
        "the call's deadline has passed; the gateway closed the call to Bedrock",
    )
    .in_phase(Phase::BeforeFirstEvent)
}

/// Adds the inference profile of this route to the failure of a model that requires one.
pub(super) fn name_profile(failure: &mut Failure, route: Option<&Route>) {
    if failure.reason == Reason::InferenceProfileRequired
        && let Some(profile) = route.and_then(Route::inference_profile)
    {
        failure.message = format!(
            "{}; call it as `{profile}`",
            failure.message.trim_end_matches('.')
        );
    }
}

/// Returns the failure for a stream that Bedrock ended before the answer was complete. `missing` is
/// the event that would have completed the answer.
pub(super) fn truncated(missing: &str) -> Failure {
    Failure::new(
        Reason::UpstreamTruncated,
        format!("Bedrock's stream ended before the answer did (no {missing})"),
    )
    .in_phase(Phase::BeforeFirstEvent)
    .with_upstream(Upstream::default())
}

/// Returns the failure of a call whose client read nothing for this time.
pub(super) fn client_stalled(limit: Duration) -> Failure {
    Failure::new(
        Reason::ClientStalled,
        format!(
            "the client read no message for {} s; the gateway closed the call to Bedrock",
            limit.as_secs_f32()
        ),
    )
}

/// Returns the failure of a call whose credential was revoked, or whose connection is no longer
/// accepted.
pub(crate) fn revoked() -> Failure {
    Failure::new(
        Reason::CallerUnauthenticated,
        "the credential of this call was revoked, or the certificate of its connection is no longer accepted; ask the operator for another one",
    )
    .in_phase(Phase::BeforeFirstEvent)
}

/// Returns the failure of a call that was still open when the drain expired.
pub(crate) fn draining() -> Failure {
    Failure::new(
        Reason::Draining,
        "this replica is shutting down and its drain limit has expired; retry the call",
    )
    .in_phase(Phase::BeforeFirstEvent)
}

//! Defines the failures that can occur while a message is received.

use crate::{
    bounds::Limited,
    error::{Failure, Reason},
};

/// Returns the failure of a call whose slot was given to another client.
pub(super) fn slot_taken() -> Failure {
    Failure::new(
        Reason::ReplicaSaturated,
        "this replica is full, and another client got this call's slot before the message was complete; retry on another replica",
    )
}

/// Returns the failure of a call for which there is not enough memory.
pub(crate) fn saturated(limited: Limited) -> Failure {
    Failure::new(
        Reason::ReplicaSaturated,
        match limited {
            Limited::Full => {
                "this replica has no memory for another request; retry on another replica"
            }
            Limited::Share => {
                "this client already uses its share of this replica's memory, and other clients are waiting; retry the call"
            }
        },
    )
}

/// Returns the failure for a message that cannot be decoded.
pub(super) fn unreadable(why: &str) -> Failure {
    Failure::new(
        Reason::MessageUnreadable,
        format!("the request's message cannot be decoded: {why}"),
    )
}

/// Returns the failure for a message that is too large.
pub(super) fn too_large(found: std::fmt::Arguments<'_>) -> Failure {
    Failure::new(
        Reason::MessageTooLarge,
        format!(
            "the request is larger than this gateway allows ({found}); send less, send media as s3_location, or ask the operator to raise limits.max_request_size"
        ),
    )
}

//! What can be wrong with a message, or with the room for it.

use crate::{
    bounds::Limited,
    error::{Failure, Reason},
};

/// Returns why a call ends whose place went to another client.
pub(super) fn slot_taken() -> Failure {
    Failure::new(
        Reason::ReplicaSaturated,
        "this replica is full, and the call gave its place to another client before its message was complete; try again",
    )
}

/// Returns why a call is refused for which there is no memory.
pub(crate) fn saturated(limited: Limited) -> Failure {
    Failure::new(
        Reason::ReplicaSaturated,
        match limited {
            Limited::Full => {
                "this replica is receiving as much as its memory allows; try another one"
            }
            Limited::Share => {
                "this client has its share of this replica's memory, and others are waiting; try again"
            }
        },
    )
}

/// Returns why a message can't be read.
pub(super) fn unreadable(why: &str) -> Failure {
    Failure::new(
        Reason::MessageUnreadable,
        format!("the request's message can't be read: {why}"),
    )
}

/// Returns why a message is refused for its size.
pub(super) fn too_large(found: std::fmt::Arguments<'_>) -> Failure {
    Failure::new(
        Reason::MessageTooLarge,
        format!(
            "the request is larger than this gateway allows ({found}); send less, give media by s3_location, or ask \
             the operator to raise limits.max_request_size"
        ),
    )
}

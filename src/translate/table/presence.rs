//! Defines which members may be absent, and which are required.

/// Whether a member must be present when an object is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The member may be absent.
    Optional,
    /// The member is required in requests. It may be absent in events from Bedrock.
    InRequests,
    /// The member is required in requests and in events, because the object has no meaning without
    /// it.
    Always,
}

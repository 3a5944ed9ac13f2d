//! Which fields may be absent, and which are required.

/// Whether a member must be present when an object is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The member may be absent.
    Optional,
    /// The member is required in requests. Events from Bedrock may lack it.
    InRequests,
    /// The member is required in requests and in events: without it, the object has no meaning.
    Always,
}

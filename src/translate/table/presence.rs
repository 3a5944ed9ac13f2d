//! Which fields may be absent, and which are required.

/// Whether an object must have a member when it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It need not.
    Optional,
    /// Required in requests. Events from Bedrock may lack it.
    InRequests,
    /// Required in events, too: without it the object has no meaning.
    Always,
}

//! Which fields are left out, and which have to be there.

/// Whether an object must have a member when it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It need not.
    Optional,
    /// In requests. Events of Bedrock's may lack it.
    InRequests,
    /// In events, too: without it the object has no meaning.
    Always,
}

//! Selects the HTTP version of a connection to Bedrock, for tests.

/// The protocol between the gateway and Bedrock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http {
    One,
    Two,
}

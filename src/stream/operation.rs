//! The interface of the Bedrock operations that stream their answers.

use std::sync::Arc;

use tokio::time::Instant;

use super::report::CallReport;
use crate::{
    bedrock::{self, Bedrock, BedrockEvent, RequestBody},
    error::Failure,
    pb,
    routing::Route,
};

/// A Bedrock operation that streams its answer. It makes the call, and converts Bedrock's events to
/// messages of a gRPC stream. Each call has its own value. When a call ends, the default value
/// replaces it.
pub(crate) trait Operation: Default + Send + 'static {
    /// The messages for the client.
    type Message: Send;
    /// The settings of an attempt in addition to the body.
    type Settings: Clone + Send + 'static;
    /// The contents of the response headers.
    type Head: Send + 'static;
    /// An event after it was decoded.
    type Decoded: Send + 'static;

    /// Returns the settings of all attempts of the call.
    fn settings(&self) -> Self::Settings;

    /// Makes an attempt, and waits for its first event.
    fn open(
        bedrock: Bedrock,
        route: Arc<Route>,
        settings: Self::Settings,
        body: RequestBody,
    ) -> impl Future<Output = Result<(bedrock::Opened, Self::Head), Failure>> + Send + 'static;

    /// Handles the response headers, before the first event.
    fn begin(&mut self, head: Self::Head, origin: AnswerOrigin);

    /// Returns whether an event must be decoded. Others cannot be forwarded any more.
    fn expects(&mut self, _event: &BedrockEvent) -> bool {
        true
    }

    /// Decodes an event. This is the only work that grows with the size of the event, so it may run
    /// on another thread.
    ///
    /// # Errors
    /// Fails if the event cannot be decoded.
    fn decode(event: &BedrockEvent) -> Result<Self::Decoded, Failure>;

    /// Handles an event that arrived at this time: adds its messages, and records it.
    fn take(&mut self, event: Self::Decoded, at: Instant, report: Option<&mut CallReport>);

    /// Records an event that the client does not receive.
    fn count(&mut self, event: Self::Decoded, report: &mut CallReport) -> Counted;

    /// Returns whether the answer is complete. If so, the call cannot fail any more.
    fn is_complete(&self) -> bool;

    /// Returns whether the last message has been added.
    fn is_finished(&self) -> bool;

    /// Handles the end of Bedrock's stream, if it does not end within a frame.
    ///
    /// # Errors
    /// Fails if the answer is not complete.
    fn end(&mut self) -> Result<(), Failure>;

    /// Adds the last message of a complete answer for which no more events will be read.
    fn finish(&mut self, report: Option<&mut CallReport>);

    /// Removes the next message that can be sent now.
    fn next(&mut self) -> Option<Outgoing<Self::Message>>;

    /// Removes the message that is held back, to send it now.
    fn flush(&mut self) -> Option<Outgoing<Self::Message>> {
        None
    }

    /// Returns the time at which [`Self::flush`] must be called, if a message is held back.
    fn flush_at(&self) -> Option<Instant> {
        None
    }

    /// Returns a heartbeat as a message.
    fn heartbeat(event: pb::HeartbeatEvent) -> Self::Message;
}

/// What the first message reports about an answer: the target, the request IDs and the attempts.
#[derive(Debug)]
pub(crate) struct AnswerOrigin {
    pub(super) target: pb::ResolvedTarget,
    pub(super) request_id: Arc<str>,
    pub(super) bedrock_request_id: String,
    pub(super) attempts: Vec<pb::Attempt>,
}

/// A message to send.
#[derive(Debug)]
pub(crate) struct Outgoing<M> {
    pub(super) message: M,
    /// The number of deltas from Bedrock in the message.
    pub(super) deltas: u64,
}

/// The kind of an event of which the gateway reads only the usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// A part of the answer, with at least one token.
    Delta,
    /// The end of the answer.
    Complete,
    /// Something else.
    Other,
}

//! Calls ConverseStream for `Invoke` and `StreamInvoke`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    failure::{truncated, unreadable},
    grammar::{self, Grammar},
    operation::{AnswerOrigin, Counted, Operation, Outgoing},
    outbox::Outbox,
    report::CallReport,
};
use crate::{
    bedrock::{self, Bedrock, BedrockEvent, RequestBody},
    error::Failure,
    pb::{self, StreamInvokeResponse, stream_invoke_response::Event},
    routing::Route,
    translate,
};

/// A call of ConverseStream.
pub(crate) struct Converse {
    events: translate::event::Reader,
    grammar: Grammar,
    outbox: Outbox,
    /// The origin of the answer, until it is moved into `message_start`.
    origin: Option<AnswerOrigin>,
}

impl Converse {
    /// Begins a call in which each delta becomes a message.
    pub(crate) fn new() -> Self {
        Self {
            events: translate::event::Reader::default(),
            grammar: Grammar::default(),
            outbox: Outbox::new(),
            origin: None,
        }
    }

    /// Begins a call with this deadline. Deltas of a block that arrive within this time after a
    /// message are joined. If the time is zero, no deltas are joined.
    pub(crate) fn coalescing(coalesce: Duration, deadline: Instant) -> Self {
        Self {
            outbox: Outbox::coalescing(coalesce, deadline),
            ..Self::new()
        }
    }

    fn accept(
        &mut self,
        mut response: StreamInvokeResponse,
        at: Instant,
        report: Option<&mut CallReport>,
    ) {
        if let Some(report) = report {
            report.event(&mut response);
            if matches!(response.event, Some(Event::ContentBlockDelta(_))) {
                report.token(at);
            }
        }
        self.grammar.accept(response, &mut self.outbox.queue);
        if let Some(first) = self.outbox.queue.front_mut()
            && let Some(Event::MessageStart(start)) = &mut first.event
            && let Some(origin) = self.origin.take()
        {
            start.target = Some(origin.target);
            origin.request_id.as_ref().clone_into(&mut start.request_id);
            start.bedrock_request_id = origin.bedrock_request_id;
            start.attempts = origin.attempts;
        }
    }
}

impl Default for Converse {
    fn default() -> Self {
        Self::new()
    }
}

impl Operation for Converse {
    type Message = StreamInvokeResponse;
    type Settings = ();
    type Head = ();
    type Decoded = translate::event::Decoded;

    fn settings(&self) {}

    async fn open(
        bedrock: Bedrock,
        route: Arc<Route>,
        (): (),
        body: RequestBody,
    ) -> Result<(bedrock::Opened, ()), Failure> {
        let opened = bedrock.open(&route.source_region, &route.model_id, body);
        Ok((opened.await?, ()))
    }

    fn begin(&mut self, (): (), origin: AnswerOrigin) {
        self.origin = Some(origin);
    }

    fn expects(&mut self, event: &BedrockEvent) -> bool {
        self.grammar.expects(&event.event_type)
    }

    fn decode(event: &BedrockEvent) -> Result<Self::Decoded, Failure> {
        translate::event::Decoded::read(&event.event_type, &event.payload)
            .map_err(|error| unreadable(&event.event_type, &error))
    }

    fn take(&mut self, event: Self::Decoded, at: Instant, mut report: Option<&mut CallReport>) {
        let translated = self.events.join(event);
        for unpaired in translated.unpaired {
            self.accept(unpaired, at, report.as_deref_mut());
        }
        self.accept(translated.response, at, report);
    }

    fn count(&mut self, event: Self::Decoded, report: &mut CallReport) -> Counted {
        let mut event = event.response;
        report.event(&mut event);
        match event.event {
            Some(Event::ContentBlockDelta(_)) => Counted::Delta,
            Some(Event::MessageStop(_)) => Counted::Complete,
            _ => Counted::Other,
        }
    }

    fn is_complete(&self) -> bool {
        self.grammar.is_complete()
    }

    fn is_finished(&self) -> bool {
        self.grammar.is_finished()
    }

    fn end(&mut self) -> Result<(), Failure> {
        if self.grammar.is_complete() {
            Ok(())
        } else {
            Err(truncated("messageStop"))
        }
    }

    fn finish(&mut self, _: Option<&mut CallReport>) {
        self.grammar.finish(&mut self.outbox.queue);
    }

    fn next(&mut self) -> Option<Outgoing<StreamInvokeResponse>> {
        self.outbox.next()
    }

    fn flush(&mut self) -> Option<Outgoing<StreamInvokeResponse>> {
        self.outbox.flush()
    }

    fn flush_at(&self) -> Option<Instant> {
        self.outbox.flush_at()
    }

    fn heartbeat(event: pb::HeartbeatEvent) -> StreamInvokeResponse {
        grammar::message(Event::Heartbeat(event))
    }
}

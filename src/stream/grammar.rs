//! Enforces the grammar of a stream: `message_start (start delta* stop)* message_stop metadata`.
//!
//! Bedrock announces only some kinds of blocks, and does not guarantee the order of the other
//! events. This module adds missing events and reorders early ones, so that every client can rely
//! on the grammar. The result depends only on the order of Bedrock's events.

use std::collections::VecDeque;

use crate::pb::{
    self, CitationsContentBlockStart, ContentBlockStartEvent, ContentBlockStopEvent,
    MessageStartEvent, ReasoningContentBlockStart, Role, StreamInvokeResponse, TextBlockStart,
    content_block_delta_event::Delta, content_block_start_event::Start,
    stream_invoke_response::Event,
};

/// The position of a stream in the grammar.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    started: bool,
    complete: bool,
    finished: bool,
    /// `metadata` that arrived before `message_stop`.
    early_metadata: Option<StreamInvokeResponse>,
    /// The indices of the open blocks. More than one is rare.
    open: Vec<i32>,
    /// Whether an event was dropped before. Only the first dropped event is logged.
    dropped: bool,
}

impl Grammar {
    /// Returns whether `message_stop` has been accepted. From then on the answer is complete, even
    /// if the stream fails later.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns whether `metadata`, the last message of the stream, is in the queue.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns whether an event of this type can still be forwarded. After `message_stop`, only
    /// `metadata` and unknown events can.
    pub(super) fn expects(&mut self, event_type: &str) -> bool {
        if !self.complete {
            return true;
        }
        let is_content = matches!(
            event_type,
            "messageStart"
                | "contentBlockStart"
                | "contentBlockDelta"
                | "contentBlockStop"
                | "messageStop"
        );
        let expected = !self.finished && !is_content;
        if !expected {
            self.drop_event(event_type);
        }
        expected
    }

    /// Logs the first event of a stream that violates the grammar.
    fn drop_event(&mut self, event: &str) {
        if !std::mem::replace(&mut self.dropped, true) {
            tracing::warn!(
                event,
                "dropped an event that violates the grammar of the stream"
            );
        }
    }

    /// Appends an event to the queue, after the missing events that must precede it.
    ///
    /// `metadata` is held back until `message_stop`; if there are several, the last one is used.
    /// Events that violate the grammar are dropped.
    pub(super) fn accept(
        &mut self,
        response: StreamInvokeResponse,
        queue: &mut VecDeque<StreamInvokeResponse>,
    ) {
        let Some(event) = &response.event else {
            return;
        };
        if !self.expects(event_type(event)) {
            return;
        }
        if matches!(event, Event::Metadata(_)) && !self.complete {
            self.early_metadata = Some(response);
            return;
        }
        if !self.started {
            self.started = true;
            if !matches!(event, Event::MessageStart(_)) {
                queue.push_back(message(Event::MessageStart(MessageStartEvent {
                    role: Role::Assistant.into(),
                    ..MessageStartEvent::default()
                })));
            }
        } else if matches!(event, Event::MessageStart(_)) {
            self.drop_event("messageStart");
            return;
        }
        match event {
            Event::ContentBlockStart(start) => {
                let index = start.content_block_index;
                if self.open.contains(&index) {
                    queue.push_back(stop(index));
                } else {
                    self.open.push(index);
                }
            }
            Event::ContentBlockDelta(delta) => {
                self.open(
                    delta.content_block_index,
                    start_of(delta.delta.as_ref()),
                    queue,
                );
            }
            Event::ContentBlockStop(stop) => {
                let index = stop.content_block_index;
                self.open(index, None, queue);
                self.open.retain(|open| *open != index);
            }
            Event::MessageStop(_) => {
                self.complete = true;
                queue.extend(self.open.drain(..).map(stop));
            }
            Event::Metadata(_) => self.finished = true,
            Event::MessageStart(_) | Event::Heartbeat(_) | Event::Unknown(_) => {}
        }
        queue.push_back(response);
        if self.complete
            && let Some(metadata) = self.early_metadata.take()
        {
            self.finished = true;
            queue.push_back(metadata);
        }
    }

    /// Adds an empty `metadata` to a complete answer for which Bedrock sent no usage.
    pub(super) fn finish(&mut self, queue: &mut VecDeque<StreamInvokeResponse>) {
        let metadata = pb::MetadataEvent {
            metadata: Some(pb::ConverseStreamMetadata::default()),
            ..pb::MetadataEvent::default()
        };
        self.accept(message(Event::Metadata(metadata)), queue);
    }

    fn open(
        &mut self,
        index: i32,
        start: Option<Start>,
        queue: &mut VecDeque<StreamInvokeResponse>,
    ) {
        if !self.open.contains(&index) {
            self.open.push(index);
            queue.push_back(message(Event::ContentBlockStart(ContentBlockStartEvent {
                content_block_index: index,
                start,
            })));
        }
    }
}

/// Returns the start event of a block that begins with this delta. `None` for tool uses, tool
/// results and images: Bedrock announces these blocks. Without its announcement, their IDs and
/// formats are unknown.
fn start_of(delta: Option<&Delta>) -> Option<Start> {
    match delta? {
        Delta::Text(_) => Some(Start::Text(TextBlockStart {})),
        Delta::ReasoningContent(_) => Some(Start::ReasoningContent(ReasoningContentBlockStart {})),
        Delta::Citation(_) => Some(Start::CitationsContent(CitationsContentBlockStart {})),
        Delta::ToolUse(_) => Some(Start::ToolUse(pb::ToolUseBlockStart::default())),
        Delta::ToolResult(_) => Some(Start::ToolResult(pb::ToolResultBlockStart::default())),
        Delta::Image(_) => Some(Start::Image(pb::ImageBlockStart::default())),
    }
}

fn stop(content_block_index: i32) -> StreamInvokeResponse {
    message(Event::ContentBlockStop(ContentBlockStopEvent {
        content_block_index,
    }))
}

/// Returns a message that contains only this event.
pub(super) fn message(event: Event) -> StreamInvokeResponse {
    StreamInvokeResponse {
        event: Some(event),
        raw_members: Vec::new(),
    }
}

/// Returns the name that Bedrock uses for an event.
fn event_type(event: &Event) -> &'static str {
    match event {
        Event::MessageStart(_) => "messageStart",
        Event::ContentBlockStart(_) => "contentBlockStart",
        Event::ContentBlockDelta(_) => "contentBlockDelta",
        Event::ContentBlockStop(_) => "contentBlockStop",
        Event::MessageStop(_) => "messageStop",
        Event::Metadata(_) => "metadata",
        Event::Heartbeat(_) => "heartbeat",
        Event::Unknown(_) => "unknown",
    }
}

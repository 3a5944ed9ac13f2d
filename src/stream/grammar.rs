//! The grammar of a stream: `message_start (start delta* stop)* message_stop metadata`.
//!
//! Bedrock announces only some kinds of blocks, and does not promise the rest. What is missing is put in here, so that every client
//! can rely on the grammar.

use std::collections::VecDeque;

use crate::pb::{
    self, CitationsContentBlockStart, ContentBlockStartEvent, ContentBlockStopEvent,
    MessageStartEvent, ReasoningContentBlockStart, Role, StreamInvokeResponse, TextBlockStart,
    content_block_delta_event::Delta, content_block_start_event::Start,
    stream_invoke_response::Event,
};

/// Where a stream is in its grammar.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    started: bool,
    stopped: bool,
    described: bool,
    /// Indices of the blocks that are open. Rarely more than one.
    open: Vec<i32>,
}

impl Grammar {
    /// Whether `message_stop` was seen: the answer is whole.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Whether `metadata` was seen: nothing more is to come.
    pub(super) fn described(&self) -> bool {
        self.described
    }

    /// Puts an event, and before it whatever has to come first, into the queue. What can't come any more is dropped.
    pub(super) fn accept(
        &mut self,
        response: StreamInvokeResponse,
        queue: &mut VecDeque<StreamInvokeResponse>,
    ) {
        let Some(event) = &response.event else {
            return;
        };
        let is_in_answer = !matches!(
            event,
            Event::Metadata(_) | Event::Unknown(_) | Event::Heartbeat(_)
        );
        if self.described || (self.stopped && is_in_answer) {
            tracing::warn!(
                event = event_name(event),
                "dropped: the answer was complete already"
            );
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
            tracing::warn!("dropped: a second messageStart");
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
                self.stopped = true;
                queue.extend(self.open.drain(..).map(stop));
            }
            Event::Metadata(_) => self.described = true,
            Event::MessageStart(_) | Event::Heartbeat(_) | Event::Unknown(_) => {}
        }
        queue.push_back(response);
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

/// What a block is that begins with this delta. Tool uses, tool results and images are announced by Bedrock; without the
/// announcement their IDs and formats are not known.
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

/// A message that holds nothing but an event.
pub(super) fn message(event: Event) -> StreamInvokeResponse {
    StreamInvokeResponse {
        event: Some(event),
        raw_members: Vec::new(),
    }
}

fn event_name(event: &Event) -> &'static str {
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

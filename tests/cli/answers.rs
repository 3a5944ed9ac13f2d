//! The events of answers.

use bedrock_grpc::pb::{
    ContentBlockDeltaEvent, ContentBlockStartEvent, ContentBlockStopEvent, ConverseStreamMetadata,
    MessageStartEvent, MessageStopEvent, MetadataEvent, ResolvedTarget, Role, StopReason,
    TokenUsage, content_block_delta_event::Delta, content_block_start_event::Start,
    stream_invoke_response::Event,
};

/// The `message_start` of an answer from a fixed target.
pub(crate) fn start() -> Event {
    Event::MessageStart(MessageStartEvent {
        role: Role::Assistant.into(),
        target: Some(ResolvedTarget {
            name: "claude".to_owned(),
            model_id: "us.anthropic.claude".to_owned(),
            source_region: "us-east-1".to_owned(),
            ..ResolvedTarget::default()
        }),
        ..MessageStartEvent::default()
    })
}

/// A block with these deltas.
pub(crate) fn block(
    index: i32,
    start: Option<Start>,
    deltas: impl IntoIterator<Item = Delta>,
) -> Vec<Event> {
    let mut events = vec![Event::ContentBlockStart(ContentBlockStartEvent {
        content_block_index: index,
        start,
    })];
    events.extend(deltas.into_iter().map(|delta| {
        Event::ContentBlockDelta(ContentBlockDeltaEvent {
            content_block_index: index,
            delta: Some(delta),
        })
    }));
    events.push(Event::ContentBlockStop(ContentBlockStopEvent {
        content_block_index: index,
    }));
    events
}

/// A piece of the text of block 0.
pub(crate) fn text(text: &str) -> Event {
    Event::ContentBlockDelta(ContentBlockDeltaEvent {
        content_block_index: 0,
        delta: Some(Delta::Text(text.to_owned())),
    })
}

/// The model has stopped for a reason.
pub(crate) fn stop(reason: StopReason, name: &str) -> Event {
    Event::MessageStop(MessageStopEvent {
        stop_reason: reason.into(),
        stop_reason_name: name.to_owned(),
        ..MessageStopEvent::default()
    })
}

/// The `metadata` of an answer with 12 input tokens and 87 output tokens.
pub(crate) fn metadata() -> Event {
    Event::Metadata(MetadataEvent {
        metadata: Some(usage()),
        ..MetadataEvent::default()
    })
}

/// 12 tokens in and 87 out.
pub(crate) fn usage() -> ConverseStreamMetadata {
    ConverseStreamMetadata {
        usage: Some(TokenUsage {
            input_tokens: Some(12),
            output_tokens: Some(87),
            total_tokens: Some(99),
            ..TokenUsage::default()
        }),
        ..ConverseStreamMetadata::default()
    }
}

/// The end of a complete answer.
pub(crate) fn end() -> [Event; 2] {
    [stop(StopReason::EndTurn, "end_turn"), metadata()]
}

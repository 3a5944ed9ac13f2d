//! Characters that Bedrock split between two deltas of a content block.
//!
//! A character beyond U+FFFF is two `\\u` escapes in JSON, and a model may emit them in two deltas.
//! Text cannot contain one of them alone.

use pb::{
    content_block_delta_event::Delta, reasoning_content_block_delta::Delta as ReasoningDelta,
    stream_invoke_response::Event,
};

use super::json::LoneHalves;
use crate::pb;

/// The text of a content block to which a delta appends. A reasoning block has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextField {
    Text,
    ToolInput,
    ReasoningText,
    Signature,
}

/// The first half of a character whose other half has not arrived yet.
#[derive(Clone, Copy, Debug)]
struct HeldHalf {
    content_block_index: i32,
    field: TextField,
    high: u16,
}

/// The first halves of characters that are held back.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<HeldHalf>);

impl Held {
    /// Completes the delta's text with the half that is held for it, and holds back the half at its
    /// end.
    pub(super) fn join(&mut self, event: &mut pb::ContentBlockDeltaEvent, lone: LoneHalves) {
        if self.0.is_empty() && lone.is_empty() {
            return;
        }
        let content_block_index = event.content_block_index;
        let Some((field, text)) = text_of(event) else {
            return;
        };
        if text.is_empty() {
            // Not the next piece yet.
            return;
        }
        let is_held = |half: &HeldHalf| {
            half.content_block_index == content_block_index && half.field == field
        };
        if let Some(position) = self.0.iter().position(is_held) {
            let high = self.0.remove(position).high;
            match lone.first {
                Some(low) => {
                    let pair = char::decode_utf16([high, low]).next();
                    let joined = pair.and_then(Result::ok);
                    let joined = joined.unwrap_or(char::REPLACEMENT_CHARACTER);
                    let placeholder = ..char::REPLACEMENT_CHARACTER.len_utf8();
                    text.replace_range(placeholder, joined.encode_utf8(&mut [0; 4]));
                }
                None => text.insert(0, char::REPLACEMENT_CHARACTER),
            }
        }
        if let Some(high) = lone.last {
            text.pop();
            self.0.push(HeldHalf {
                content_block_index,
                field,
                high,
            });
        }
    }

    /// Releases the halves of a block that ends: each becomes a delta of U+FFFD.
    pub(super) fn end(&mut self, content_block_index: i32) -> Vec<pb::StreamInvokeResponse> {
        let of_block = |half: &mut HeldHalf| half.content_block_index == content_block_index;
        self.0.extract_if(.., of_block).map(unpaired).collect()
    }

    /// Releases all halves, because the message ends.
    pub(super) fn end_all(&mut self) -> Vec<pb::StreamInvokeResponse> {
        self.0.drain(..).map(unpaired).collect()
    }
}

fn text_of(event: &mut pb::ContentBlockDeltaEvent) -> Option<(TextField, &mut String)> {
    match event.delta.as_mut()? {
        Delta::Text(text) => Some((TextField::Text, text)),
        Delta::ToolUse(delta) => Some((TextField::ToolInput, &mut delta.input)),
        Delta::ReasoningContent(delta) => match delta.delta.as_mut()? {
            ReasoningDelta::Text(text) => Some((TextField::ReasoningText, text)),
            ReasoningDelta::Signature(text) => Some((TextField::Signature, text)),
            ReasoningDelta::RedactedContent(_) => None,
        },
        // The parts of these are complete texts.
        Delta::ToolResult(_) | Delta::Citation(_) | Delta::Image(_) => None,
    }
}

/// Returns where in the event's JSON the text is to which the delta appends. Empty if there is
/// none.
pub(super) fn pointer(event: &pb::ContentBlockDeltaEvent) -> &'static str {
    match &event.delta {
        Some(Delta::Text(_)) => "/delta/text",
        Some(Delta::ToolUse(_)) => "/delta/toolUse/input",
        Some(Delta::ReasoningContent(delta)) => match &delta.delta {
            Some(ReasoningDelta::Text(_)) => "/delta/reasoningContent/text",
            Some(ReasoningDelta::Signature(_)) => "/delta/reasoningContent/signature",
            Some(ReasoningDelta::RedactedContent(_)) | None => "",
        },
        Some(Delta::ToolResult(_) | Delta::Citation(_) | Delta::Image(_)) | None => "",
    }
}

fn unpaired(half: HeldHalf) -> pb::StreamInvokeResponse {
    let text = char::REPLACEMENT_CHARACTER.to_string();
    let reasoning =
        |delta| Delta::ReasoningContent(pb::ReasoningContentBlockDelta { delta: Some(delta) });
    let delta = match half.field {
        TextField::Text => Delta::Text(text),
        TextField::ToolInput => Delta::ToolUse(pb::ToolUseBlockDelta { input: text }),
        TextField::ReasoningText => reasoning(ReasoningDelta::Text(text)),
        TextField::Signature => reasoning(ReasoningDelta::Signature(text)),
    };
    pb::StreamInvokeResponse {
        event: Some(Event::ContentBlockDelta(pb::ContentBlockDeltaEvent {
            content_block_index: half.content_block_index,
            delta: Some(delta),
        })),
        raw_members: Vec::new(),
    }
}

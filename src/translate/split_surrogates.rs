//! Joins characters that Bedrock split between two deltas of a content block.
//!
//! JSON writes a character beyond U+FFFF as two `\\u` escapes, a surrogate pair. A model may send
//! the two surrogates in separate deltas, but text cannot contain a single one.

use pb::{
    content_block_delta_event::Delta, reasoning_content_block_delta::Delta as ReasoningDelta,
    stream_invoke_response::Event,
};

use super::json::UnpairedSurrogates;
use crate::pb;

/// The text field of a content block to which a delta appends text. A reasoning block has two such
/// fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextField {
    Text,
    ToolInput,
    ReasoningText,
    Signature,
}

/// The first surrogate of a character whose second surrogate has not arrived yet.
#[derive(Clone, Copy, Debug)]
struct HeldSurrogate {
    content_block_index: i32,
    field: TextField,
    high: u16,
}

/// The first surrogates that are held back, at most one for each text field.
#[derive(Debug, Default)]
pub(super) struct HeldSurrogates(Vec<HeldSurrogate>);

impl HeldSurrogates {
    /// Joins the surrogate that is held back for the delta's text field with the start of the
    /// delta's text. Holds back an unpaired surrogate at the end of the text.
    pub(super) fn join(
        &mut self,
        event: &mut pb::ContentBlockDeltaEvent,
        lone: UnpairedSurrogates,
    ) {
        if self.0.is_empty() && lone.is_empty() {
            return;
        }
        let content_block_index = event.content_block_index;
        let Some((field, text)) = text_of(event) else {
            return;
        };
        if text.is_empty() {
            // The text of this delta does not begin with a second surrogate.
            return;
        }
        let is_held = |half: &HeldSurrogate| {
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
            self.0.push(HeldSurrogate {
                content_block_index,
                field,
                high,
            });
        }
    }

    /// Releases the surrogates of a block that ends. Each becomes a delta with U+FFFD.
    pub(super) fn end(&mut self, content_block_index: i32) -> Vec<pb::StreamInvokeResponse> {
        let of_block = |half: &mut HeldSurrogate| half.content_block_index == content_block_index;
        self.0.extract_if(.., of_block).map(unpaired).collect()
    }

    /// Releases all surrogates, because the message ends.
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
        // Bedrock does not split these texts between deltas.
        Delta::ToolResult(_) | Delta::Citation(_) | Delta::Image(_) => None,
    }
}

/// Returns the JSON Pointer of the text to which the delta appends, relative to the event. Empty if
/// the delta has no such text.
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

fn unpaired(half: HeldSurrogate) -> pb::StreamInvokeResponse {
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

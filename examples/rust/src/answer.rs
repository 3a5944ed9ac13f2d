//! A streamed answer, combined as it arrives.

use std::collections::BTreeMap;

use tonic::{Status, Streaming};

use crate::{
    conversation,
    pb::{
        ContentBlockDeltaEvent, ContentBlockStartEvent, Message, ReasoningContentBlock,
        ReasoningContentBlockDelta, ReasoningTextBlock, Role, StreamInvokeResponse, TokenUsage,
        ToolUseBlock, content_block::Content, content_block_delta_event::Delta,
        content_block_start_event::Start, reasoning_content_block,
        reasoning_content_block_delta as reasoning_delta, stream_invoke_response::Event,
        tool_use_block::Input,
    },
};

/// What has arrived so far. It is complete when `usage` is set: `metadata` ends every successful
/// stream.
#[derive(Default)]
pub struct Answer {
    pub text: String,
    pub deltas: usize,
    /// By index, which is their order.
    blocks: BTreeMap<i32, Block>,
    pub stop_reason: String,
    pub usage: Option<TokenUsage>,
}

/// A content block: text, reasoning, or a tool use.
#[derive(Default)]
struct Block {
    text: String,
    reasoning: String,
    signature: String,
    redacted: Vec<u8>,
    tool_use: Option<ToolUse>,
}

/// A tool use. Its input arrives in fragments of JSON; parse them only when all have arrived.
#[derive(Default)]
pub struct ToolUse {
    pub id: String,
    pub name: String,
    pub input: String,
}

impl Answer {
    /// Reads until the stream ends, or until `on_text` returns false. What arrived before an error
    /// is kept.
    pub async fn read(
        &mut self,
        mut events: Streaming<StreamInvokeResponse>,
        mut on_text: impl FnMut(&str) -> Reading,
    ) -> Result<Reading, Status> {
        while let Some(response) = events.message().await? {
            match response.event {
                Some(Event::ContentBlockStart(ContentBlockStartEvent {
                    content_block_index,
                    start: Some(Start::ToolUse(start)),
                })) => {
                    let tool_use = ToolUse {
                        id: start.tool_use_id,
                        name: start.name,
                        input: String::new(),
                    };
                    let block = self.blocks.entry(content_block_index).or_default();
                    block.tool_use = Some(tool_use);
                }
                Some(Event::ContentBlockDelta(ContentBlockDeltaEvent {
                    content_block_index,
                    delta,
                })) => {
                    let block = self.blocks.entry(content_block_index).or_default();
                    match delta {
                        Some(Delta::Text(text)) => {
                            block.text.push_str(&text);
                            self.text.push_str(&text);
                            self.deltas += 1;
                            if on_text(&text) == Reading::Enough {
                                // Dropping the stream cancels the call.
                                return Ok(Reading::Enough);
                            }
                        }
                        Some(Delta::ToolUse(delta)) => {
                            let tool_use = block.tool_use.get_or_insert_default();
                            tool_use.input.push_str(&delta.input);
                        }
                        Some(Delta::ReasoningContent(delta)) => block.reason(delta),
                        _ => {}
                    }
                }
                Some(Event::ContentBlockStop(stop)) => {
                    let block = self.blocks.get_mut(&stop.content_block_index);
                    let tool_use = block.and_then(|block| block.tool_use.as_mut());
                    // A tool that takes no input gets no fragments.
                    if let Some(tool_use) = tool_use.filter(|it| it.input.is_empty()) {
                        tool_use.input.push_str("{}");
                    }
                }
                Some(Event::MessageStop(stop)) => self.stop_reason = stop.stop_reason_name,
                Some(Event::Metadata(event)) => {
                    self.usage = event.metadata.and_then(|metadata| metadata.usage);
                }
                // Heartbeats, and events that a later version of the API adds.
                _ => {}
            }
        }
        Ok(Reading::On)
    }

    pub fn tool_uses(&self) -> impl Iterator<Item = &ToolUse> {
        self.blocks
            .values()
            .filter_map(|block| block.tool_use.as_ref())
    }

    /// The answer as a turn of the conversation, to send with the next request. It includes the
    /// reasoning, unchanged and in its place: Claude rejects a tool result without the signed
    /// reasoning before the tool use.
    pub fn message(&self) -> Message {
        let blocks = self.blocks.values().filter_map(Block::content);
        conversation::message(Role::Assistant, blocks)
    }
}

impl Block {
    fn reason(&mut self, delta: ReasoningContentBlockDelta) {
        match delta.delta {
            Some(reasoning_delta::Delta::Text(text)) => self.reasoning.push_str(&text),
            Some(reasoning_delta::Delta::Signature(piece)) => self.signature.push_str(&piece),
            Some(reasoning_delta::Delta::RedactedContent(bytes)) => self.redacted.extend(bytes),
            None => {}
        }
    }

    /// `None` for an empty text, which Bedrock rejects.
    fn content(&self) -> Option<Content> {
        use reasoning_content_block::Content as Reasoning;
        let reasoning = |content| {
            Some(Content::ReasoningContent(ReasoningContentBlock {
                content: Some(content),
            }))
        };
        if let Some(tool_use) = &self.tool_use {
            return Some(Content::ToolUse(ToolUseBlock {
                tool_use_id: tool_use.id.clone(),
                name: tool_use.name.clone(),
                input: Some(Input::InputJson(tool_use.input.clone())),
                r#type: None,
            }));
        }
        if !self.redacted.is_empty() {
            return reasoning(Reasoning::RedactedContent(self.redacted.clone()));
        }
        if !self.reasoning.is_empty() || !self.signature.is_empty() {
            return reasoning(Reasoning::ReasoningText(ReasoningTextBlock {
                text: self.reasoning.clone(),
                signature: Some(self.signature.clone()).filter(|it| !it.is_empty()),
            }));
        }
        (!self.text.is_empty()).then(|| Content::Text(self.text.clone()))
    }
}

/// Whether to continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    On,
    Enough,
}

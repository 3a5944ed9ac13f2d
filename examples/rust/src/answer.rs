//! A streamed answer, put together while it comes.

use std::collections::BTreeMap;

use tonic::{Status, Streaming};

use crate::{
    conversation,
    pb::{
        ContentBlockDeltaEvent, ContentBlockStartEvent, Message, Role, StreamInvokeResponse,
        TokenUsage, ToolUseBlock, content_block::Content, content_block_delta_event::Delta,
        content_block_start_event::Start, stream_invoke_response::Event, tool_use_block::Input,
    },
};

/// What has come so far. It is complete when `usage` is there: `metadata` ends every stream that is OK.
#[derive(Default)]
pub struct Answer {
    pub text: String,
    pub deltas: usize,
    pub tool_uses: BTreeMap<i32, ToolUse>,
    pub stop_reason: String,
    pub usage: Option<TokenUsage>,
}

/// A call of a tool. Its input comes in fragments of JSON, which can be parsed only together.
#[derive(Default)]
pub struct ToolUse {
    pub id: String,
    pub name: String,
    pub input: String,
}

impl Answer {
    /// Reads until the stream ends, or `on_text` has enough. What came before an error is kept.
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
                    self.tool_uses.insert(content_block_index, tool_use);
                }
                Some(Event::ContentBlockDelta(ContentBlockDeltaEvent {
                    content_block_index,
                    delta,
                })) => match delta {
                    Some(Delta::Text(text)) => {
                        self.text.push_str(&text);
                        self.deltas += 1;
                        if on_text(&text) == Reading::Enough {
                            // Dropping the stream cancels the call.
                            return Ok(Reading::Enough);
                        }
                    }
                    Some(Delta::ToolUse(delta)) => {
                        let tool_use = self.tool_uses.entry(content_block_index).or_default();
                        tool_use.input.push_str(&delta.input);
                    }
                    _ => {}
                },
                Some(Event::ContentBlockStop(stop)) => {
                    let tool_use = self.tool_uses.get_mut(&stop.content_block_index);
                    // A tool that takes no input gets no fragments.
                    if let Some(tool_use) = tool_use.filter(|it| it.input.is_empty()) {
                        tool_use.input.push_str("{}");
                    }
                }
                Some(Event::MessageStop(stop)) => self.stop_reason = stop.stop_reason_name,
                Some(Event::Metadata(event)) => {
                    self.usage = event.metadata.and_then(|metadata| metadata.usage);
                }
                // Heartbeats, and what a later version of the API brings.
                _ => {}
            }
        }
        Ok(Reading::On)
    }

    /// The answer as a turn of the conversation, to be sent back with the next one.
    pub fn message(&self) -> Message {
        let text = (!self.text.is_empty()).then(|| Content::Text(self.text.clone()));
        let tool_uses = self.tool_uses.values().map(|tool_use| {
            Content::ToolUse(ToolUseBlock {
                tool_use_id: tool_use.id.clone(),
                name: tool_use.name.clone(),
                input: Some(Input::InputJson(tool_use.input.clone())),
                r#type: None,
            })
        });
        conversation::message(Role::Assistant, text.into_iter().chain(tool_uses))
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    On,
    Enough,
}

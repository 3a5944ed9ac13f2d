//! Extracts the parts of a valid request from which the answer is generated.

use serde_json::Value;

use super::json::{at, list, member, only, text_at};

/// A request, with the parts that several modules use.
pub(super) struct Request<'a> {
    pub(super) model_id: &'a str,
    pub(super) body: &'a Value,
    /// The text of the last user message. Its blocks are joined by newlines.
    pub(super) prompt: String,
}

/// A block other than text in the last user message.
pub(super) struct Attachment<'a> {
    /// `image`, `document`, `video` or `audio`.
    pub(super) kind: &'a str,
    pub(super) format: &'a str,
    /// The name of a document. `None` for other attachments.
    pub(super) name: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(super) fn new(model_id: &'a str, body: &'a Value) -> Self {
        let last = list(body, "messages").iter().rev();
        let mut users = last.filter(|message| text_at(message, &["role"]) == Some("user"));
        let prompt = users
            .next()
            .map(|message| texts(list(message, "content")))
            .unwrap_or_default();
        Self {
            model_id,
            body,
            prompt,
        }
    }

    pub(super) fn messages(&self) -> &'a [Value] {
        list(self.body, "messages")
    }

    /// Returns the content of the message to answer. Ignores `system` messages.
    pub(super) fn last_content(&self) -> &'a [Value] {
        let mut spoken = self
            .messages()
            .iter()
            .rev()
            .filter(|message| text_at(message, &["role"]) != Some("system"));
        spoken
            .next()
            .map_or(&[], |message| list(message, "content"))
    }

    /// Returns the system prompt.
    pub(super) fn system(&self) -> String {
        texts(list(self.body, "system"))
    }

    pub(super) fn attachments(&self) -> Vec<Attachment<'a>> {
        self.last_content()
            .iter()
            .filter_map(only)
            .filter(|(kind, _)| matches!(*kind, "image" | "document" | "video" | "audio"))
            .map(|(kind, content)| Attachment {
                kind,
                format: text_at(content, &["format"]).unwrap_or("txt"),
                name: text_at(content, &["name"]),
            })
            .collect()
    }

    /// Returns the tool results in the last message.
    pub(super) fn tool_results(&self) -> Vec<&'a Value> {
        self.last_content()
            .iter()
            .filter_map(|block| member(block, "toolResult"))
            .collect()
    }

    /// Returns the name of the tool that was called with this tool use ID.
    pub(super) fn tool_called(&self, id: &str) -> Option<&'a str> {
        self.messages()
            .iter()
            .flat_map(|message| list(message, "content"))
            .filter_map(|block| member(block, "toolUse"))
            .find(|call| text_at(call, &["toolUseId"]) == Some(id))
            .and_then(|call| text_at(call, &["name"]))
    }

    pub(super) fn max_tokens(&self) -> Option<u64> {
        at(self.body, &["inferenceConfig", "maxTokens"])?
            .as_f64()
            .map(|tokens| tokens.max(1.0) as u64)
    }

    pub(super) fn stop_sequences(&self) -> impl Iterator<Item = &'a str> {
        at(self.body, &["inferenceConfig"])
            .map_or(&[][..], |config| list(config, "stopSequences"))
            .iter()
            .filter_map(Value::as_str)
    }
}

/// Returns the text of text blocks and guarded blocks.
fn texts(blocks: &[Value]) -> String {
    let text = |block| {
        text_at(block, &["text"]).or_else(|| text_at(block, &["guardContent", "text", "text"]))
    };
    blocks
        .iter()
        .filter_map(text)
        .collect::<Vec<_>>()
        .join("\n")
}

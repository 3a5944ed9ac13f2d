//! Builds one content block of an answer from its deltas.

use pb::{
    content_block::Content, content_block_delta_event::Delta, content_block_start_event::Start,
    reasoning_content_block_delta::Delta as ReasoningDelta,
};

use crate::pb;

/// A content block, built from the deltas that have arrived so far.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) index: i32,
    /// Whether the block contains raw members.
    pub(super) has_raw: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// No content with a field in the API has arrived yet.
    Nothing,
    Text(pb::CitationsContentBlock, String),
    ToolUse(pb::ToolUseBlockStart, String),
    ToolResult(pb::ToolResultBlock),
    Reasoning(Option<pb::ReasoningTextBlock>, Vec<u8>),
    Image(pb::ImageBlock),
}

impl Block {
    pub(super) const fn new(index: i32) -> Self {
        Self {
            index,
            has_raw: false,
            kind: Kind::Nothing,
        }
    }

    pub(super) fn begin(event: pb::ContentBlockStartEvent) -> Self {
        let kind = match event.start {
            Some(Start::Text(_) | Start::CitationsContent(_)) => Kind::text(),
            Some(Start::ReasoningContent(_)) => Kind::reasoning(),
            Some(Start::ToolUse(start)) => Kind::ToolUse(start, String::new()),
            Some(Start::ToolResult(start)) => Kind::ToolResult(pb::ToolResultBlock {
                tool_use_id: start.tool_use_id,
                content: Vec::new(),
                status: start.status,
                r#type: start.r#type,
            }),
            Some(Start::Image(start)) => Kind::Image(pb::ImageBlock {
                format: start.format,
                format_name: start.format_name,
                ..Default::default()
            }),
            None => Kind::Nothing,
        };
        Self {
            kind,
            ..Self::new(event.content_block_index)
        }
    }

    /// Creates the block that begins with this delta.
    pub(super) fn of(index: i32, delta: Delta) -> Self {
        Self {
            kind: Kind::of(delta),
            ..Self::new(index)
        }
    }

    /// Appends a delta. If it becomes an item of a list, returns the item's index.
    ///
    /// # Errors
    /// Returns the delta if it does not belong in this kind of block.
    pub(super) fn push(&mut self, delta: Delta) -> Result<usize, Delta> {
        match (&mut self.kind, delta) {
            (kind @ Kind::Nothing, delta) => *kind = Kind::of(delta),
            (Kind::Text(_, text), Delta::Text(piece)) => append(text, piece),
            (Kind::Text(cited, _), Delta::Citation(citation)) => {
                cited.citations.push(citation);
                return Ok(cited.citations.len() - 1);
            }
            (Kind::ToolUse(_, input), Delta::ToolUse(piece)) => append(input, piece.input),
            (Kind::ToolResult(result), Delta::ToolResult(piece)) => {
                let first = result.content.len();
                result
                    .content
                    .extend(piece.content.into_iter().map(tool_result));
                return Ok(first);
            }
            (Kind::Reasoning(readable, redacted), Delta::ReasoningContent(piece)) => {
                match piece.delta {
                    Some(ReasoningDelta::Text(piece)) => {
                        append(&mut readable.get_or_insert_default().text, piece);
                    }
                    Some(ReasoningDelta::Signature(piece)) => {
                        let readable = readable.get_or_insert_default();
                        append(readable.signature.get_or_insert_default(), piece);
                    }
                    Some(ReasoningDelta::RedactedContent(piece)) => {
                        redacted.extend_from_slice(&piece);
                    }
                    None => {}
                }
            }
            (Kind::Image(image), Delta::Image(piece)) => {
                image.source = piece.source.or(image.source.take());
                image.error = piece.error.or(image.error.take());
            }
            (_, other) => return Err(other),
        }
        Ok(0)
    }

    /// Converts the block to content blocks of a message. An empty block returns none, unless it
    /// has raw members. A block with both readable and redacted reasoning returns two.
    ///
    /// Empty texts are dropped, because Bedrock rejects them in a conversation although answers can
    /// contain them.
    pub(super) fn finish(self) -> Vec<pb::ContentBlock> {
        let contents = match self.kind {
            Kind::Nothing => return self.empty(),
            Kind::Text(ref cited, ref text) if cited.citations.is_empty() && text.is_empty() => {
                return self.empty();
            }
            Kind::Text(cited, text) if cited.citations.is_empty() => vec![Content::Text(text)],
            Kind::Text(mut cited, text) => {
                let content = (!text.is_empty()).then_some(pb::CitationGeneratedContent {
                    content: Some(pb::citation_generated_content::Content::Text(text)),
                });
                cited.content = content.into_iter().collect();
                vec![Content::CitationsContent(cited)]
            }
            Kind::ToolUse(start, input) => {
                // For a tool without input, the text is empty, which is not JSON.
                let json = if input.is_empty() {
                    "{}".to_owned()
                } else {
                    input
                };
                vec![Content::ToolUse(pb::ToolUseBlock {
                    tool_use_id: start.tool_use_id,
                    name: start.name,
                    input: Some(pb::tool_use_block::Input::InputJson(json)),
                    r#type: start.r#type,
                })]
            }
            Kind::ToolResult(result) => vec![Content::ToolResult(result)],
            Kind::Reasoning(readable, redacted) => reasoning(readable, redacted, self.has_raw),
            Kind::Image(image) => vec![Content::Image(image)],
        };
        let blocks = contents.into_iter().map(|content| pb::ContentBlock {
            content: Some(content),
        });
        blocks.collect()
    }

    fn empty(&self) -> Vec<pb::ContentBlock> {
        let kept = self.has_raw.then(pb::ContentBlock::default);
        kept.into_iter().collect()
    }
}

impl Kind {
    /// Creates the kind of block that begins with this delta, with the delta's content. The match
    /// has no default arm, so that the compiler reports a missing kind.
    fn of(delta: Delta) -> Self {
        match delta {
            Delta::Text(text) => Self::Text(pb::CitationsContentBlock::default(), text),
            Delta::Citation(citation) => {
                let cited = pb::CitationsContentBlock {
                    citations: vec![citation],
                    ..Default::default()
                };
                Self::Text(cited, String::new())
            }
            Delta::ToolUse(piece) => Self::ToolUse(pb::ToolUseBlockStart::default(), piece.input),
            Delta::ToolResult(piece) => Self::ToolResult(pb::ToolResultBlock {
                content: piece.content.into_iter().map(tool_result).collect(),
                ..Default::default()
            }),
            Delta::ReasoningContent(piece) => match piece.delta {
                None => Self::reasoning(),
                Some(ReasoningDelta::RedactedContent(bytes)) => Self::Reasoning(None, bytes.into()),
                Some(ReasoningDelta::Text(text)) => {
                    let readable = pb::ReasoningTextBlock {
                        text,
                        signature: None,
                    };
                    Self::Reasoning(Some(readable), Vec::new())
                }
                Some(ReasoningDelta::Signature(signature)) => {
                    let readable = pb::ReasoningTextBlock {
                        text: String::new(),
                        signature: Some(signature),
                    };
                    Self::Reasoning(Some(readable), Vec::new())
                }
            },
            Delta::Image(piece) => Self::Image(pb::ImageBlock {
                source: piece.source,
                error: piece.error,
                ..Default::default()
            }),
        }
    }

    fn text() -> Self {
        Self::Text(pb::CitationsContentBlock::default(), String::new())
    }

    fn reasoning() -> Self {
        Self::Reasoning(None, Vec::new())
    }
}

fn reasoning(
    readable: Option<pb::ReasoningTextBlock>,
    redacted: Vec<u8>,
    has_raw: bool,
) -> Vec<Content> {
    use pb::reasoning_content_block::Content as Reasoning;
    let readable = readable.filter(|block| !block.text.is_empty() || block.signature.is_some());
    if readable.is_none() && redacted.is_empty() && !has_raw {
        return Vec::new();
    }
    let redacted = (!redacted.is_empty()).then(|| Reasoning::RedactedContent(redacted.into()));
    let kinds = match (readable.map(Reasoning::ReasoningText), redacted) {
        (Some(readable), Some(redacted)) => vec![Some(readable), Some(redacted)],
        (readable, redacted) => vec![readable.or(redacted)],
    };
    let blocks = kinds
        .into_iter()
        .map(|content| Content::ReasoningContent(pb::ReasoningContentBlock { content }));
    blocks.collect()
}

fn tool_result(piece: pb::ToolResultBlockDeltaContent) -> pb::ToolResultContentBlock {
    use pb::{
        tool_result_block_delta_content::Content as Piece,
        tool_result_content_block::Content as Part,
    };
    pb::ToolResultContentBlock {
        content: piece.content.map(|piece| match piece {
            Piece::Text(text) => Part::Text(text),
            Piece::Json(json) => Part::Json(json),
        }),
    }
}

/// Appends a piece of text. The first piece is moved, not copied.
fn append(text: &mut String, piece: String) {
    if text.is_empty() {
        *text = piece;
    } else {
        text.push_str(&piece);
    }
}

/// Converts a pointer into a delta event to a pointer into the content block. `piece` is the result
/// of [`Block::push`] for the delta.
pub(super) fn reroot(pointer: &str, piece: usize) -> String {
    let Some(pointer) = pointer.strip_prefix("/delta") else {
        return pointer.to_owned();
    };
    if let Some(rest) = pointer.strip_prefix("/citation/") {
        return format!("/citationsContent/citations/{piece}/{rest}");
    }
    let part = pointer.strip_prefix("/toolResult/").and_then(|way| {
        let (index, rest) = way.split_once('/').unwrap_or((way, ""));
        let index: usize = index.parse().ok()?;
        let position = piece + index;
        Some(if rest.is_empty() {
            format!("/toolResult/content/{position}")
        } else {
            format!("/toolResult/content/{position}/{rest}")
        })
    });
    part.unwrap_or_else(|| pointer.to_owned())
}

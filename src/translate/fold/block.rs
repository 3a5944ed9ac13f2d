//! One content block of an answer, while its pieces come in.

use pb::{
    content_block::Content, content_block_delta_event::Delta, content_block_start_event::Start,
    reasoning_content_block_delta::Delta as ReasoningDelta,
};

use crate::pb;

/// A content block, as far as its pieces have come.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) index: i32,
    /// Whether raw members stand in it.
    pub(super) has_raw: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Nothing that is known has come.
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

    /// Appends a piece; gives its position in the list that it joins, if it joins one. `Err`: it does not go with this kind of block.
    pub(super) fn push(&mut self, delta: Delta) -> Result<usize, Delta> {
        if matches!(self.kind, Kind::Nothing) {
            self.kind = Kind::of(&delta);
        }
        match (&mut self.kind, delta) {
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

    /// The block as messages have it. Readable and redacted reasoning in one block become two; a block that nothing was said of, none.
    pub(super) fn finish(self) -> Vec<pb::ContentBlock> {
        let contents = match self.kind {
            Kind::Nothing if self.has_raw => return vec![pb::ContentBlock::default()],
            Kind::Nothing => return Vec::new(),
            Kind::Text(cited, text) if cited.citations.is_empty() => vec![Content::Text(text)],
            Kind::Text(mut cited, text) => {
                cited.content = vec![pb::CitationGeneratedContent {
                    content: Some(pb::citation_generated_content::Content::Text(text)),
                }];
                vec![Content::CitationsContent(cited)]
            }
            Kind::ToolUse(start, input) => {
                // A tool that takes no input gets an empty text, which is no JSON.
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
            Kind::Reasoning(readable, redacted) => reasoning(readable, redacted),
            Kind::Image(image) => vec![Content::Image(image)],
        };
        let blocks = contents.into_iter().map(|content| pb::ContentBlock {
            content: Some(content),
        });
        blocks.collect()
    }
}

impl Kind {
    fn of(delta: &Delta) -> Self {
        match delta {
            Delta::Text(_) | Delta::Citation(_) => Self::text(),
            Delta::ToolUse(_) => Self::ToolUse(pb::ToolUseBlockStart::default(), String::new()),
            Delta::ToolResult(_) => Self::ToolResult(pb::ToolResultBlock::default()),
            Delta::ReasoningContent(_) => Self::reasoning(),
            Delta::Image(_) => Self::Image(pb::ImageBlock::default()),
        }
    }

    fn text() -> Self {
        Self::Text(pb::CitationsContentBlock::default(), String::new())
    }

    fn reasoning() -> Self {
        Self::Reasoning(None, Vec::new())
    }
}

fn reasoning(readable: Option<pb::ReasoningTextBlock>, redacted: Vec<u8>) -> Vec<Content> {
    use pb::reasoning_content_block::Content as Reasoning;
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

/// Appends; the first piece is taken over as it is.
fn append(text: &mut String, piece: String) {
    if text.is_empty() {
        *text = piece;
    } else {
        text.push_str(&piece);
    }
}

/// A pointer into a delta event, as a pointer into the content block. `piece` is what [`Block::push`] gave for the delta.
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

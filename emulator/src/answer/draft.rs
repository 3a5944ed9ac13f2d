//! Represents an answer under construction: first as complete [`Content`], then as [`Piece`]s of
//! about one token each.

use serde_json::{Value, json};

use super::text::tokens::tokens;

/// A content block before it is split into tokens.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Text, with the citations that support it.
    Text { text: String, citations: Vec<Value> },
    /// Readable reasoning, with its signature.
    Reasoning { text: String, signature: String },
    /// Reasoning that the provider encrypted, as base64.
    Redacted(String),
    /// A tool call; `input` is JSON text.
    ToolUse {
        id: String,
        name: String,
        input: String,
    },
    /// An image that the model generated, in base64.
    Image { format: &'static str, bytes: String },
}

impl Content {
    /// Creates text without citations.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            citations: Vec::new(),
        }
    }
}

/// The content of one `contentBlockDelta`.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(String),
    Reasoning(String),
    Signature(String),
    Redacted(String),
    Citation(Value),
    ToolInput(String),
    Image(String),
}

impl Piece {
    /// Returns how many output tokens the piece counts as. The emulator bills one token for each
    /// delta with generated text.
    pub(super) const fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Reasoning(text) | Self::ToolInput(text) => {
                !text.is_empty() as u64
            }
            Self::Signature(_) | Self::Redacted(_) | Self::Citation(_) | Self::Image(_) => 0,
        }
    }

    /// Returns the `delta` member of the event.
    pub(super) fn delta(self) -> Value {
        match self {
            Self::Text(text) => json!({ "text": text }),
            Self::Reasoning(text) => json!({"reasoningContent": {"text": text}}),
            Self::Signature(signature) => json!({"reasoningContent": {"signature": signature}}),
            Self::Redacted(bytes) => json!({"reasoningContent": {"redactedContent": bytes}}),
            Self::Citation(citation) => json!({ "citation": citation }),
            Self::ToolInput(input) => json!({"toolUse": {"input": input}}),
            Self::Image(bytes) => json!({"image": {"source": {"bytes": bytes}}}),
        }
    }
}

/// A content block that is split into pieces.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The `start` of the `contentBlockStart` event, if blocks of this kind have such an event.
    pub(super) start: Option<Value>,
    pub(super) pieces: Vec<Piece>,
}

impl Block {
    pub(super) fn tokens(&self) -> u64 {
        self.pieces.iter().map(Piece::tokens).sum()
    }
}

impl From<Content> for Block {
    fn from(content: Content) -> Self {
        match content {
            Content::Text { text, citations } => Self {
                start: None,
                pieces: citations
                    .into_iter()
                    .map(Piece::Citation)
                    .chain(in_tokens(&text, Piece::Text))
                    .collect(),
            },
            Content::Reasoning { text, signature } => Self {
                start: None,
                pieces: in_tokens(&text, Piece::Reasoning)
                    .chain([Piece::Signature(signature)])
                    .collect(),
            },
            Content::Redacted(bytes) => Self {
                start: None,
                pieces: vec![Piece::Redacted(bytes)],
            },
            // In real streams, a tool's input begins with an empty fragment.
            Content::ToolUse { id, name, input } => Self {
                start: Some(json!({"toolUse": {"toolUseId": id, "name": name}})),
                pieces: std::iter::once(Piece::ToolInput(String::new()))
                    .chain(in_tokens(&input, Piece::ToolInput))
                    .collect(),
            },
            Content::Image { format, bytes } => Self {
                start: Some(json!({"image": {"format": format}})),
                pieces: vec![Piece::Image(bytes)],
            },
        }
    }
}

/// An answer that is split into pieces, and its stop reason.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) blocks: Vec<Block>,
    pub(super) stop_reason: &'static str,
    /// The stop sequence that ended the text.
    pub(super) stop_sequence: Option<String>,
}

impl Draft {
    pub(super) fn tokens(&self) -> u64 {
        self.blocks.iter().map(Block::tokens).sum()
    }
}

/// Splits a text into tokens, and converts each token to a piece of this kind.
fn in_tokens(text: &str, piece: fn(String) -> Piece) -> impl Iterator<Item = Piece> {
    tokens(text).map(move |token| piece(token.to_owned()))
}

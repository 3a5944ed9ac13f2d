//! The request that all calls send, in both of its forms.

use bedrock_grpc::pb::{ContentBlock, ConverseInput, Message, Role, content_block};

pub(crate) const MODEL: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
/// The emulator answers this prompt with the tokens of the scenario, at the pace of the scenario.
pub(crate) const LONG: &str = "Why is the sky blue?";
/// The emulator answers this prompt at once, without a token.
pub(crate) const SILENT: &str = "Say nothing.";

/// Returns the request to the gateway.
pub(crate) fn input(prompt: &str) -> ConverseInput {
    ConverseInput {
        messages: vec![Message {
            role: Role::User.into(),
            content: vec![ContentBlock {
                content: Some(content_block::Content::Text(prompt.to_owned())),
            }],
        }],
        ..ConverseInput::default()
    }
}

/// Returns the path of the request to Bedrock.
pub(crate) fn path() -> String {
    format!("/model/{}/converse-stream", MODEL.replace(':', "%3A"))
}

/// Returns the request to Bedrock: what the gateway turns [`input`] into.
pub(crate) fn body(prompt: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":[{{"text":"{prompt}"}}]}}]}}"#)
}

//! Builders for requests.

use bedrock_grpc::pb::{
    ContentBlock, ConverseInput, InvokeRequest, Message, Role, StreamInvokeRequest, content_block,
};

/// A model that the emulator serves on demand.
pub(crate) const MODEL: &str = "amazon.nova-lite-v1:0";

pub(crate) fn text(text: &str) -> ContentBlock {
    ContentBlock {
        content: Some(content_block::Content::Text(text.to_owned())),
    }
}

/// A conversation with one question from the user.
pub(crate) fn question(words: &str) -> ConverseInput {
    ConverseInput {
        messages: vec![Message {
            role: Role::User.into(),
            content: vec![text(words)],
        }],
        ..ConverseInput::default()
    }
}

/// A simple request to this target, to be streamed.
pub(crate) fn ask(target: &str) -> StreamInvokeRequest {
    StreamInvokeRequest {
        target: target.to_owned(),
        input: Some(question("Why is the sky blue?")),
        ..StreamInvokeRequest::default()
    }
}

/// The same with a fault of the emulator, such as `throttling` or `reset-after-3`.
pub(crate) fn faulty(fault: &str) -> StreamInvokeRequest {
    ask(&format!("{MODEL}.fault-{fault}"))
}

/// The same as a unary request.
pub(crate) fn invoke(request: StreamInvokeRequest) -> InvokeRequest {
    InvokeRequest {
        target: request.target,
        input: request.input,
    }
}

//! The input: messages, images, tools.

use crate::pb::{
    ContentBlock, ConverseInput, ImageBlock, ImageFormat, MediaSource, Message, Role, Tool,
    ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock, ToolSpecification,
    content_block::Content, media_source::Source, tool, tool_input_schema::Schema,
    tool_result_content_block,
};

pub fn user(blocks: impl IntoIterator<Item = Content>) -> Message {
    message(Role::User, blocks)
}

pub fn message(role: Role, blocks: impl IntoIterator<Item = Content>) -> Message {
    let block = |content| ContentBlock {
        content: Some(content),
    };
    Message {
        role: role.into(),
        content: blocks.into_iter().map(block).collect(),
    }
}

pub fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

/// The raw bytes of the file, not base64.
pub fn png(bytes: Vec<u8>) -> Content {
    Content::Image(ImageBlock {
        format: ImageFormat::Png.into(),
        source: Some(MediaSource {
            source: Some(Source::Bytes(bytes)),
        }),
        ..ImageBlock::default()
    })
}

/// The schema reaches the model as this text, so prompt caches hit. Use `json!` with serde_json's
/// `preserve_order`, or a `RawValue`.
pub fn tool(name: &str, description: &str, input_schema: impl ToString) -> Tool {
    let spec = ToolSpecification {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        input_schema: Some(ToolInputSchema {
            schema: Some(Schema::Json(input_schema.to_string())),
        }),
        strict: None,
    };
    Tool {
        tool: Some(tool::Tool::ToolSpec(spec)),
    }
}

pub fn tool_result(tool_use_id: &str, result: impl ToString) -> Content {
    let json = tool_result_content_block::Content::Json(result.to_string());
    Content::ToolResult(ToolResultBlock {
        tool_use_id: tool_use_id.to_owned(),
        content: vec![ToolResultContentBlock {
            content: Some(json),
        }],
        ..ToolResultBlock::default()
    })
}

pub fn conversation(messages: Vec<Message>, tools: Vec<Tool>) -> ConverseInput {
    let tool_config = (!tools.is_empty()).then_some(ToolConfiguration {
        tools,
        tool_choice: None,
    });
    ConverseInput {
        messages,
        tool_config,
        ..ConverseInput::default()
    }
}

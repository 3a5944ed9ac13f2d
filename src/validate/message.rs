//! Rules for the conversation and the system prompt, and for the blocks that each role can contain.

use super::common::required_enum_item;
use super::path::Violations;
use super::{citation, guardrail, inference, media, tool};
use crate::pb::{self, Role, content_block::Content};

/// Checks all messages. The current path must be the path of the input.
pub(super) fn messages(messages: &[pb::Message], out: &mut Violations) {
    out.items("messages", messages, check);
}

fn check(message: &pb::Message, out: &mut Violations) {
    const ROLES: &str = "ROLE_USER, ROLE_ASSISTANT or ROLE_SYSTEM";
    out.field("role", |out| {
        required_enum_item::<Role>(message.role, ROLES, out);
    });
    let role = Role::try_from(message.role).unwrap_or_default();

    // A model can answer without any block, and callers send such answers back in the history.
    if message.content.is_empty() && role != Role::Assistant {
        out.no_items_at("content", "is required: add at least one block");
    }
    out.items("content", &message.content, |block, out| {
        content(block, role, out);
    });

    let has = |wanted: fn(&Content) -> bool| {
        message
            .content
            .iter()
            .any(|block| block.content.as_ref().is_some_and(wanted))
    };
    if has(|content| matches!(content, Content::Document(_)))
        && !has(|content| matches!(content, Content::Text(_) | Content::GuardContent(_)))
    {
        out.add_at(
            "content",
            "has a document but no text: add a text block to the message",
        );
    }
}

fn content(block: &pb::ContentBlock, role: Role, out: &mut Violations) {
    let Some(content) = &block.content else {
        out.missing(
            "is empty: set one of text, image, document, video, audio, tool_use, tool_result, guard_content, \
             cache_point, reasoning_content, citations_content, search_result, tool_addition, tool_removal",
        );
        return;
    };
    // `ANY` means that all roles can contain a kind of block. Whether Bedrock accepts it depends on
    // the model.
    match content {
        Content::Text(text) => {
            if text.is_empty() {
                out.add_at("text", "is empty: set a text or remove the block");
            }
        }
        // An image in an answer may lack fields that images of callers must have.
        Content::Image(_) if role == Role::Assistant => {}
        Content::Image(block) => in_role(role, USER, "image", out, |out| {
            media::image(block, out);
        }),
        Content::Document(block) => in_role(role, USER, "document", out, |out| {
            media::document(block, out);
        }),
        Content::Video(block) => {
            in_role(role, USER, "video", out, |out| media::video(block, out));
        }
        Content::Audio(block) => {
            in_role(role, USER, "audio", out, |out| media::audio(block, out));
        }
        Content::ToolUse(block) => in_role(role, ASSISTANT, "tool_use", out, |out| {
            tool::tool_use(block, out);
        }),
        Content::ToolResult(block) => {
            in_role(role, USER_OR_ASSISTANT, "tool_result", out, |out| {
                tool::tool_result(block, out);
            });
        }
        Content::GuardContent(block) => in_role(role, ANY, "guard_content", out, |out| {
            guardrail::content(block, out);
        }),
        Content::CachePoint(point) => in_role(role, ANY, "cache_point", out, |out| {
            inference::cache_point(point, out);
        }),
        Content::ReasoningContent(block) => {
            in_role(role, ASSISTANT, "reasoning_content", out, |out| {
                if block.content.is_none() {
                    out.missing("is empty: set one of reasoning_text, redacted_content");
                }
            });
        }
        Content::CitationsContent(block) => {
            in_role(role, ASSISTANT, "citations_content", out, |out| {
                citation::citations_content(block, out);
            });
        }
        Content::SearchResult(block) => in_role(role, USER, "search_result", out, |out| {
            citation::search_result(block, out);
        }),
        Content::ToolAddition(block) => in_role(role, SYSTEM, "tool_addition", out, |out| {
            tool::change(block.tool.as_ref(), out);
        }),
        Content::ToolRemoval(block) => in_role(role, SYSTEM, "tool_removal", out, |out| {
            tool::change(block.tool.as_ref(), out);
        }),
    }
}

const ANY: &[Role] = &[Role::User, Role::Assistant, Role::System];
const USER: &[Role] = &[Role::User];
const ASSISTANT: &[Role] = &[Role::Assistant];
const USER_OR_ASSISTANT: &[Role] = &[Role::User, Role::Assistant];
const SYSTEM: &[Role] = &[Role::System];

/// Checks a block, and whether its role can contain it. An unknown role is not reported again.
fn in_role(
    role: Role,
    allowed: &[Role],
    kind: &'static str,
    out: &mut Violations,
    check: impl FnOnce(&mut Violations),
) {
    out.field(kind, |out| {
        if role != Role::Unspecified && !allowed.contains(&role) {
            let found = role.as_str_name();
            match allowed {
                [only] => out.add(format_args!(
                    "is not allowed in a message of {found}: only in one of {}",
                    only.as_str_name()
                )),
                _ => out.add(format_args!("is not allowed in a message of {found}")),
            }
        }
        check(out);
    });
}

pub(super) fn system(blocks: &[pb::SystemContentBlock], out: &mut Violations) {
    use pb::system_content_block::Content;

    out.items("system", blocks, |block, out| match &block.content {
        None => out.missing("is empty: set one of text, guard_content, cache_point"),
        Some(Content::Text(text)) => {
            if text.is_empty() {
                out.add_at("text", "is empty: set a text or remove the block");
            }
        }
        Some(Content::GuardContent(block)) => {
            out.field("guard_content", |out| guardrail::content(block, out));
        }
        Some(Content::CachePoint(point)) => {
            out.field("cache_point", |out| inference::cache_point(point, out));
        }
    });
}

//! Rules for tools, for tool uses of the model, and for tool results.

use std::collections::HashSet;

use super::common::{Word, optional_enum, optional_text, required_text};
use super::path::{Shown, Violations};
use super::{citation, inference, json, media};
use crate::pb;

/// The rule for the name of a tool. Source of all limits in this file: Bedrock's service model.
const TOOL_NAME: Word = Word {
    max: 64,
    set: "`[a-zA-Z0-9_-]`",
    allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
};
const MAX_REFERENCE_TYPE_CHARS: usize = 64;
const MAX_REFERENCE_NAME_CHARS: usize = 128;

pub(super) fn config(config: &pb::ToolConfiguration, out: &mut Violations) {
    use pb::{tool::Tool, tool_choice::Choice};

    if config.tools.is_empty() {
        out.no_items_at(
            "tools",
            "is required: add at least one tool, or remove `tool_config`",
        );
    }
    let mut names = HashSet::new();
    out.items("tools", &config.tools, |tool, out| match &tool.tool {
        None => out.missing("is empty: set one of tool_spec, system_tool, cache_point"),
        Some(Tool::ToolSpec(spec)) => out.field("tool_spec", |out| {
            name(&spec.name, &mut names, out);
            specification(spec, out);
        }),
        Some(Tool::SystemTool(tool)) => {
            out.field("system_tool", |out| name(&tool.name, &mut names, out));
        }
        Some(Tool::CachePoint(point)) => {
            out.field("cache_point", |out| inference::cache_point(point, out));
        }
    });

    let Some(choice) = &config.tool_choice else {
        return;
    };
    // `names` does not contain tools that are raw members.
    let mut has_others = false;
    out.field("tools", |out| has_others = out.is_raw_here());
    out.field("tool_choice", |out| match &choice.choice {
        None => out.missing("is empty: set one of auto, any, tool"),
        Some(Choice::Auto(_) | Choice::Any(_)) => {}
        Some(Choice::Tool(tool)) => out.field("tool", |out| {
            if !names.contains(tool.name.as_str()) && !has_others {
                out.add_at(
                    "name",
                    format_args!(
                        "{} is not a tool of the request: use the name of one of its tools",
                        Shown(&tool.name)
                    ),
                );
            }
        }),
    });
}

fn name<'a>(name: &'a str, names: &mut HashSet<&'a str>, out: &mut Violations) {
    TOOL_NAME.required("name", name, out);
    if !names.insert(name) && !name.is_empty() {
        out.add_at(
            "name",
            format_args!(
                "{} is the name of an earlier tool: names must be unique",
                Shown(name)
            ),
        );
    }
}

fn specification(spec: &pb::ToolSpecification, out: &mut Violations) {
    use pb::tool_input_schema::Schema;

    if spec.description.as_deref() == Some("") {
        out.add_at("description", "is empty: set a text or remove it");
    }
    let Some(schema) = &spec.input_schema else {
        out.missing_at(
            "input_schema",
            "is required: set a JSON Schema, such as `{\"type\":\"object\"}`",
        );
        return;
    };
    out.field("input_schema", |out| match &schema.schema {
        None => out.missing("is empty: set one of json, json_struct"),
        Some(Schema::Json(text)) => json::object("json", text, out),
        Some(Schema::JsonStruct(value)) => json::structure("json_struct", value, out),
    });
}

/// Checks a tool use. Models use other characters in IDs and names than Bedrock documents, so
/// Bedrock itself must check them. The same applies to tool results.
pub(super) fn tool_use(block: &pb::ToolUseBlock, out: &mut Violations) {
    use pb::tool_use_block::Input;

    required_text("tool_use_id", &block.tool_use_id, out);
    required_text("name", &block.name, out);
    match &block.input {
        None => out.missing_at(
            "input",
            "is required: set input_json (such as `{}`) or input_struct",
        ),
        Some(Input::InputJson(text)) => json::tool_input("input_json", text, out),
        Some(Input::InputStruct(value)) => json::structure("input_struct", value, out),
    }
}

pub(super) fn tool_result(block: &pb::ToolResultBlock, out: &mut Violations) {
    required_text("tool_use_id", &block.tool_use_id, out);
    optional_enum::<pb::ToolResultStatus>("status", block.status, out);
    out.items("content", &block.content, result_part);
}

fn result_part(part: &pb::ToolResultContentBlock, out: &mut Violations) {
    use pb::tool_result_content_block::Content;

    match &part.content {
        None => out.missing(
            "is empty: set one of json, json_struct, text, image, document, video, search_result",
        ),
        Some(Content::Json(text)) => json::text("json", text, out),
        Some(Content::JsonStruct(value)) => json::structure("json_struct", value, out),
        // An empty text is allowed, because many tools return one.
        Some(Content::Text(_)) => {}
        Some(Content::Image(block)) => out.field("image", |out| media::image(block, out)),
        Some(Content::Document(block)) => {
            out.field("document", |out| media::document(block, out));
        }
        Some(Content::Video(block)) => out.field("video", |out| media::video(block, out)),
        Some(Content::SearchResult(block)) => {
            out.field("search_result", |out| citation::search_result(block, out));
        }
    }
}

/// Checks the tool of a `tool_addition` or a `tool_removal`.
pub(super) fn change(tool: Option<&pb::ToolReference>, out: &mut Violations) {
    let Some(tool) = tool else {
        out.missing_at("tool", "is required: set the tool to add or remove");
        return;
    };
    out.field("tool", |out| {
        optional_text(
            "type",
            tool.r#type.as_deref(),
            MAX_REFERENCE_TYPE_CHARS,
            out,
        );
        for (field, value) in [("name", &tool.name), ("server_name", &tool.server_name)] {
            optional_text(field, value.as_deref(), MAX_REFERENCE_NAME_CHARS, out);
        }
    });
}

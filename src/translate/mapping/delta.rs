//! Contains the tables for the events and deltas of streams.

use crate::{
    pb,
    translate::table::{
        Json,
        codec::{BlockIndex, Choice, Named, OneOf, Optional, Required},
        object, plain_list, union,
    },
};

// The gateway adds the other fields of `message_start`.
object!(MessageStartEvent {
    "role" => role: Choice<pb::Role>,
});

object!(ContentBlockStartEvent {
    "contentBlockIndex" => content_block_index: BlockIndex,
    "start" => start: OneOf,
});

union!(content_block_start_event::Start {
    "toolUse" => ToolUse,
    "toolResult" => ToolResult,
    "image" => Image,
} nothing { Text, ReasoningContent, CitationsContent });

object!(ToolUseBlockStart {
    "toolUseId" => tool_use_id: Required,
    "name" => name: Required,
    "type" => r#type: Optional,
});

object!(ToolResultBlockStart {
    "toolUseId" => tool_use_id: Required,
    "type" => r#type: Optional,
    "status" => status: Choice<pb::ToolResultStatus>,
});

object!(ImageBlockStart {
    "format" => format + format_name: Named<pb::ImageFormat>,
});

object!(ContentBlockDeltaEvent {
    "contentBlockIndex" => content_block_index: BlockIndex,
    "delta" => delta: OneOf,
});

union!(content_block_delta_event::Delta {
    "text" => Text,
    "toolUse" => ToolUse,
    "toolResult" => ToolResult,
    "reasoningContent" => ReasoningContent,
    "citation" => Citation,
    "image" => Image,
});

object!(ToolUseBlockDelta {
    "input" => input: Required,
});

plain_list!(ToolResultBlockDelta.content);

union!(tool_result_block_delta_content::Content in ToolResultBlockDeltaContent.content {
    "text" => Text,
} json {
    "json" => Json: "json"
});

union!(reasoning_content_block_delta::Delta in ReasoningContentBlockDelta.delta {
    "text" => Text,
    "redactedContent" => RedactedContent,
    "signature" => Signature,
});

object!(ImageBlockDelta {
    "source" => source: Optional,
    "error" => error: Optional,
});

object!(ContentBlockStopEvent {
    "contentBlockIndex" => content_block_index: BlockIndex,
});

object!(MessageStopEvent {
    "stopReason" => stop_reason + stop_reason_name: Named<pb::StopReason>,
    "additionalModelResponseFields" => additional_model_response_fields_json: Json,
});

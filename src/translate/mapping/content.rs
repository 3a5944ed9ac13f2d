//! Contains the tables for messages, their content blocks, the system prompt and reasoning.

use crate::{
    pb,
    translate::table::{
        codec::{Choice, Optional, Required, RequiredList},
        object, union, words,
    },
};

object!(Message {
    "role" => role: Choice<pb::Role>,
    "content" => content: RequiredList,
});

words!(Role {
    "user" => User,
    "assistant" => Assistant,
    "system" => System,
});

union!(content_block::Content in ContentBlock.content {
    "text" => Text,
    "image" => Image,
    "document" => Document,
    "video" => Video,
    "audio" => Audio,
    "toolUse" => ToolUse,
    "toolResult" => ToolResult,
    "guardContent" => GuardContent,
    "cachePoint" => CachePoint,
    "reasoningContent" => ReasoningContent,
    "citationsContent" => CitationsContent,
    "searchResult" => SearchResult,
    "toolAddition" => ToolAddition,
    "toolRemoval" => ToolRemoval,
});

union!(system_content_block::Content in SystemContentBlock.content {
    "text" => Text,
    "guardContent" => GuardContent,
    "cachePoint" => CachePoint,
});

union!(reasoning_content_block::Content in ReasoningContentBlock.content {
    "reasoningText" => ReasoningText,
    "redactedContent" => RedactedContent,
});

object!(ReasoningTextBlock {
    "text" => text: Required,
    "signature" => signature: Optional,
});

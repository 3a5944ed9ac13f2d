//! Contains the tables for tools, tool uses and tool results.

use crate::{
    pb,
    translate::table::{
        JsonOrStruct,
        codec::{Choice, Optional, Required, RequiredList},
        json_oneof, object, union, words,
    },
};

object!(ToolConfiguration {
    "tools" => tools: RequiredList,
    "toolChoice" => tool_choice: Optional,
});

union!(tool::Tool in Tool.tool {
    "toolSpec" => ToolSpec,
    "systemTool" => SystemTool,
    "cachePoint" => CachePoint,
});

object!(ToolSpecification {
    "name" => name: Required,
    "description" => description: Optional,
    "inputSchema" => input_schema: Optional,
    "strict" => strict: Optional,
});

union!(tool_input_schema::Schema in ToolInputSchema.schema {} json {
    "json" => Json: "json", JsonStruct: "json_struct"
});

object!(SystemTool {
    "name" => name: Required,
});

union!(tool_choice::Choice in ToolChoice.choice {
    "auto" => Auto,
    "any" => Any,
    "tool" => Tool,
});

object!(AutoToolChoice {});

object!(AnyToolChoice {});

object!(SpecificToolChoice {
    "name" => name: Required,
});

object!(ToolUseBlock {
    "toolUseId" => tool_use_id: Required,
    "name" => name: Required,
    "input" => input: JsonOrStruct,
    "type" => r#type: Optional,
});

json_oneof!(tool_use_block::Input {
    InputJson: "input_json",
    InputStruct: "input_struct"
});

object!(ToolResultBlock {
    "toolUseId" => tool_use_id: Required,
    "content" => content: RequiredList,
    "status" => status: Choice<pb::ToolResultStatus>,
    "type" => r#type: Optional,
});

words!(ToolResultStatus {
    "success" => Success,
    "error" => Error,
});

union!(tool_result_content_block::Content in ToolResultContentBlock.content {
    "text" => Text,
    "image" => Image,
    "document" => Document,
    "video" => Video,
    "searchResult" => SearchResult,
} json {
    "json" => Json: "json", JsonStruct: "json_struct"
});

object!(ToolAdditionBlock {
    "tool" => tool: Optional,
});

object!(ToolRemovalBlock {
    "tool" => tool: Optional,
});

object!(ToolReference {
    "type" => r#type: Optional,
    "name" => name: Optional,
    "serverName" => server_name: Optional,
});

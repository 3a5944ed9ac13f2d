//! Contains the tables for the Converse request and its parameters.

use crate::{
    pb,
    translate::table::{
        JsonOrStruct,
        codec::{Defaulted, List, Map, OpenChoice, Optional, Required},
        json_oneof, object, union, words,
    },
};

// Prompt caches compare requests from their beginning: tools, system prompt, messages. So these
// members are written first, in that order.
object!(ConverseInput {
    "toolConfig" => tool_config: Optional,
    "system" => system: List,
    "messages" => messages: List,
    "inferenceConfig" => inference_config: Optional,
    "guardrailConfig" => guardrail_config: Optional,
    "additionalModelRequestFields" => additional_model_request_fields: JsonOrStruct,
    "promptVariables" => prompt_variables: Map,
    "additionalModelResponseFieldPaths" => additional_model_response_field_paths: List,
    "requestMetadata" => request_metadata: Map,
    "performanceConfig" => performance_config: Optional,
    "serviceTier" => service_tier: Optional,
    "outputConfig" => output_config: Optional,
    "projectIdentifier" => project_identifier: Optional,
});

json_oneof!(converse_input::AdditionalModelRequestFields {
    AdditionalModelRequestFieldsJson: "additional_model_request_fields_json",
    AdditionalModelRequestFieldsStruct: "additional_model_request_fields_struct"
});

object!(InferenceConfiguration {
    "maxTokens" => max_tokens: Optional,
    "temperature" => temperature: Optional,
    "topP" => top_p: Optional,
    "stopSequences" => stop_sequences: List,
});

union!(prompt_variable_values::Value in PromptVariableValues.value {
    "text" => Text,
});

object!(PerformanceConfiguration {
    "latency" => latency + latency_name: OpenChoice<pb::PerformanceConfigLatency>,
});

words!(PerformanceConfigLatency {
    "standard" => Standard,
    "optimized" => Optimized,
});

object!(ServiceTier {
    "type" => r#type + type_name: OpenChoice<pb::ServiceTierType>,
});

words!(ServiceTierType {
    "default" => Default,
    "flex" => Flex,
    "priority" => Priority,
    "reserved" => Reserved,
});

object!(OutputConfig {
    "textFormat" => text_format: Optional,
    "effort" => effort + effort_name: OpenChoice<pb::Effort>,
});

words!(Effort {
    "low" => Low,
    "medium" => Medium,
    "high" => High,
    "xhigh" => Xhigh,
    "max" => Max,
});

object!(OutputFormat {
    "type" => r#type: Defaulted<pb::OutputFormatType>,
    "structure" => structure: Optional,
});

words!(OutputFormatType { "json_schema" => JsonSchema });

union!(output_format_structure::Structure in OutputFormatStructure.structure {
    "jsonSchema" => JsonSchema,
});

object!(JsonSchemaDefinition {
    "schema" => schema: Required,
    "name" => name: Optional,
    "description" => description: Optional,
});

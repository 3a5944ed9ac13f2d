//! Contains the tables for stop reasons, usage, metrics and traces.

use crate::{
    pb,
    translate::table::{
        codec::{List, OpenChoice, Optional},
        object, words,
    },
};

words!(StopReason {
    "end_turn" => EndTurn,
    "tool_use" => ToolUse,
    "max_tokens" => MaxTokens,
    "stop_sequence" => StopSequence,
    "guardrail_intervened" => GuardrailIntervened,
    "content_filtered" => ContentFiltered,
    "malformed_model_output" => MalformedModelOutput,
    "malformed_tool_use" => MalformedToolUse,
    "model_context_window_exceeded" => ModelContextWindowExceeded,
});

object!(ConverseStreamMetadata {
    "usage" => usage: Optional,
    "metrics" => metrics: Optional,
    "trace" => trace: Optional,
    "performanceConfig" => performance_config: Optional,
    "serviceTier" => service_tier: Optional,
});

object!(TokenUsage {
    "inputTokens" => input_tokens: Optional,
    "outputTokens" => output_tokens: Optional,
    "totalTokens" => total_tokens: Optional,
    "cacheReadInputTokens" => cache_read_input_tokens: Optional,
    "cacheWriteInputTokens" => cache_write_input_tokens: Optional,
    "cacheDetails" => cache_details: List,
});

object!(CacheDetail {
    "ttl" => ttl + ttl_name: OpenChoice<pb::CacheTtl>,
    "inputTokens" => input_tokens: Optional,
});

object!(ConverseStreamMetrics {
    "latencyMs" => latency_ms: Optional,
});

object!(ConverseStreamTrace {
    "guardrail" => guardrail: Optional,
    "promptRouter" => prompt_router: Optional,
});

object!(PromptRouterTrace {
    "invokedModelId" => invoked_model_id: Optional,
});

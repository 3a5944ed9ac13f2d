//! Lists the names of span attributes.
//!
//! Sources: the semantic conventions 1.44 (`rpc`, `error`, `server`, `cloud`, `aws`, `enduser`),
//! and the conventions for generative AI. The latter are in a separate repository
//! (open-telemetry/semantic-conventions-genai: `gen_ai.client.inference` and AWS Bedrock, status
//! Development, as of November 2026). The crate `opentelemetry-semantic-conventions` has deprecated
//! its constants for generative AI, so they are not used here.

// Attributes of a call. Its span is that of an RPC server.
pub(super) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
pub(super) const RPC_METHOD: &str = "rpc.method";
pub(super) const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
pub(super) const ENDUSER_ID: &str = "enduser.id";

// Attributes of an attempt. Its span is that of a generative AI client.
pub(super) const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";
pub(super) const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";
pub(super) const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const GEN_AI_REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(super) const GEN_AI_REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(super) const GEN_AI_REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
pub(super) const GEN_AI_REQUEST_TOP_P: &str = "gen_ai.request.top_p";
pub(super) const GEN_AI_REQUEST_STOP_SEQUENCES: &str = "gen_ai.request.stop_sequences";
pub(super) const GEN_AI_RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(super) const GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(super) const GEN_AI_USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const GEN_AI_USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: &str =
    "gen_ai.usage.cache_read.input_tokens";
pub(super) const GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS: &str =
    "gen_ai.usage.cache_write.input_tokens";
pub(super) const AWS_BEDROCK_GUARDRAIL_ID: &str = "aws.bedrock.guardrail.id";
pub(super) const AWS_REQUEST_ID: &str = "aws.request_id";
pub(super) const CLOUD_REGION: &str = "cloud.region";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";

// Attributes of calls and attempts.
pub(super) const ERROR_TYPE: &str = "error.type";

// Attributes that only this gateway defines, outside of the conventions.
pub(super) const TARGET: &str = "bedrock_grpc.target";
pub(super) const REQUEST_ID: &str = "bedrock_grpc.request_id";
pub(super) const REASON: &str = "bedrock_grpc.reason";
pub(super) const ACCOUNT: &str = "bedrock_grpc.account";
pub(super) const ATTEMPTS: &str = "bedrock_grpc.attempts";

/// The value of [`GEN_AI_OPERATION_NAME`] for Converse.
pub(super) const CHAT: &str = "chat";
pub(super) const COUNT_TOKENS: &str = "count_tokens";
pub(super) const APPLY_GUARDRAIL: &str = "apply_guardrail";
pub(super) const INVOKE_MODEL: &str = "invoke_model";
/// The value of [`GEN_AI_PROVIDER_NAME`].
pub(super) const AWS_BEDROCK: &str = "aws.bedrock";
/// The finish reason of an incomplete answer.
pub(super) const FINISH_ERROR: &str = "error";

//! Recognizes words in the last user message that request rare behaviour of real models.
//!
//! - `emulate:redacted_reasoning` (or Anthropic's test string): if reasoning is on, the answer
//!   contains encrypted reasoning.
//! - `emulate:guardrail_block`: if the request has a guardrail, the guardrail blocks the answer.
//! - An e-mail address, phone number or US social security number: if the request has a guardrail,
//!   the guardrail masks the value.
//! - `emulate:image`: the answer contains an image.
//! - `emulate:content_filtered`, `emulate:malformed_model_output`, `emulate:malformed_tool_use`,
//!   `emulate:model_context_window_exceeded`: the answer ends early with this stop reason.

const PREFIX: &str = "emulate:";
const ANTHROPIC_REDACTED: &str = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING";
const STOP_REASONS: [&str; 4] = [
    "content_filtered",
    "malformed_model_output",
    "malformed_tool_use",
    "model_context_window_exceeded",
];

/// Returns whether a prompt contains a trigger.
pub(super) fn asks(prompt: &str, word: &str) -> bool {
    prompt
        .match_indices(PREFIX)
        .filter_map(|(start, _)| prompt.get(start + PREFIX.len()..))
        .any(|rest| {
            rest.strip_prefix(word).is_some_and(|after| {
                !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            })
        })
}

pub(super) fn redacted_reasoning(prompt: &str) -> bool {
    asks(prompt, "redacted_reasoning") || prompt.contains(ANTHROPIC_REDACTED)
}

/// The word that triggers a guardrail block, as the trace shows it.
pub(super) const GUARDRAIL_BLOCK: &str = "guardrail_block";

/// Returns the stop reason that a prompt requests.
pub(super) fn stop_reason(prompt: &str) -> Option<&'static str> {
    STOP_REASONS.into_iter().find(|reason| asks(prompt, reason))
}

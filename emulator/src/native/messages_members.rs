//! Creates the members that answers and chunks of the Messages format share.

use serde_json::{Value, json};

use super::native_answer::Used;

/// Returns the ID of an answer.
pub(super) fn id(used: Used) -> String {
    format!("msg_bdrk_{:08x}{:08x}", used.input, used.output)
}

/// Returns the usage member with this number of output tokens.
pub(super) fn usage(used: Used, output: u64) -> Value {
    json!({
        "input_tokens": used.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
    })
}

/// Converts Converse's stop reason to Anthropic's.
pub(super) fn stop_reason(stopped: &str) -> &str {
    match stopped {
        "guardrail_intervened" => "end_turn",
        other => other,
    }
}

/// Adds the members that Bedrock adds to an answer with a guardrail.
pub(super) fn guarded(body: &mut Value, stopped: &str, trace: Option<&Value>) {
    let intervened = stopped == "guardrail_intervened";
    let action = if intervened { "INTERVENED" } else { "NONE" };
    body["amazon-bedrock-guardrailAction"] = action.into();
    if let Some(trace) = trace {
        body["amazon-bedrock-trace"] = trace.clone();
    }
}

//! What the operator adds to a request: defaults where the caller said nothing, and what is on every request whatever the caller says.

use tonic::metadata::MetadataMap;

use crate::{
    aws::Kind,
    config::{
        Guardrail, RequestMetadata,
        attribution::{MAX_PAIRS, is_value},
    },
    error::{Failure, Violation},
    pb::{
        ConverseInput, GuardrailStreamConfiguration, GuardrailStreamProcessingMode, GuardrailTrace,
    },
    routing::Target,
};

/// The operator's defaults, where the caller said nothing.
pub(super) fn apply(target: &Target, input: &mut ConverseInput) {
    let defaults = &target.defaults;
    // Prompts of Prompt management bring their own.
    if Kind::of(target.model_id()) != Kind::Prompt {
        let any = defaults.max_tokens.is_some()
            || defaults.temperature.is_some()
            || defaults.top_p.is_some()
            || !defaults.stop_sequences.is_empty();
        if any {
            let config = input.inference_config.get_or_insert_default();
            config.max_tokens = config.max_tokens.or(defaults.max_tokens);
            // One without the other: a caller who sets one of them means to leave the other alone.
            if config.temperature.is_none() && config.top_p.is_none() {
                config.temperature = defaults.temperature;
                config.top_p = defaults.top_p;
            }
            if config.stop_sequences.is_empty() {
                config.stop_sequences.clone_from(&defaults.stop_sequences);
            }
        }
    }
    if input.guardrail_config.is_none() {
        input.guardrail_config = defaults.guardrail.as_ref().map(guardrail);
    }
}

fn guardrail(guardrail: &Guardrail) -> GuardrailStreamConfiguration {
    let trace = match guardrail.trace {
        Some("enabled") => GuardrailTrace::Enabled,
        Some("disabled") => GuardrailTrace::Disabled,
        Some("enabled_full") => GuardrailTrace::EnabledFull,
        _ => GuardrailTrace::Unspecified,
    };
    let mode = match guardrail.stream_processing_mode {
        Some("sync") => GuardrailStreamProcessingMode::Sync,
        Some("async") => GuardrailStreamProcessingMode::Async,
        _ => GuardrailStreamProcessingMode::Unspecified,
    };
    GuardrailStreamConfiguration {
        guardrail_identifier: Some(guardrail.identifier.clone()),
        guardrail_version: Some(guardrail.version.clone()),
        trace: trace.into(),
        stream_processing_mode: mode.into(),
    }
}

/// Puts the operator's request metadata over the caller's: a caller must not be able to send its bill to somebody else.
///
/// # Errors
/// Together they are more than Bedrock takes.
pub(super) fn attribute(
    target: &Target,
    operator: &RequestMetadata,
    call: &MetadataMap,
    input: &mut ConverseInput,
) -> Result<(), Failure> {
    let pairs = &mut input.request_metadata;
    let by_caller = pairs.len();
    // Whoever forges the key without the header that a proxy sets must not get away with it either.
    for key in operator.from_headers.keys() {
        pairs.remove(key);
    }
    for (key, header) in &operator.from_headers {
        let value = call.get(header).and_then(|value| value.to_str().ok());
        if let Some(value) = value.filter(|value| is_value(value)) {
            pairs.insert(key.clone(), value.to_owned());
        }
    }
    for (key, value) in operator.set.iter().chain(&target.request_metadata) {
        pairs.insert(key.clone(), value.clone());
    }
    if pairs.len() <= MAX_PAIRS {
        return Ok(());
    }
    Err(super::inference::invalid(vec![Violation {
        field: "input.request_metadata".to_owned(),
        description: format!(
            "holds {by_caller} pairs, and this gateway adds its own: {} in all, where Bedrock takes {MAX_PAIRS}",
            pairs.len()
        ),
    }]))
}

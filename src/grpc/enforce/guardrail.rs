//! Enforces the operator's guardrail, so that a caller cannot replace, change or bypass it.

use crate::{
    config::Guardrail,
    pb::{
        ConverseInput, GuardrailStreamConfiguration, GuardrailStreamProcessingMode, GuardrailTrace,
        content_block, system_content_block,
    },
    translate::open_enum,
    validate::Violations,
};

const REPLACED: &str = "this gateway enforces a guardrail on this target; remove guardrail_config";
/// If a request has marked blocks, a guardrail checks only those blocks.
pub(super) const SELECTIVE: &str = "is not allowed: this gateway enforces a guardrail, which would check the marked blocks only; send the content unmarked";

pub(super) fn check(guardrail: &Guardrail, input: &ConverseInput, out: &mut Violations) {
    let ours = ours(guardrail, input);
    if let Some(theirs) = &input.guardrail_config
        && !agrees(theirs, &ours)
    {
        out.add_at("guardrail_config", REPLACED);
    }
    out.items("messages", &input.messages, |message, out| {
        out.items("content", &message.content, |block, out| {
            if let Some(content_block::Content::GuardContent(_)) = block.content {
                out.add_at("guard_content", SELECTIVE);
            }
        });
    });
    out.items("system", &input.system, |block, out| {
        if let Some(system_content_block::Content::GuardContent(_)) = block.content {
            out.add_at("guard_content", SELECTIVE);
        }
    });
}

pub(super) fn write(guardrail: &Guardrail, input: &mut ConverseInput) {
    input.guardrail_config = Some(ours(guardrail, input));
}

/// Returns the operator's guardrail. The caller can choose only the trace, and only if the operator
/// does not set it.
fn ours(guardrail: &Guardrail, input: &ConverseInput) -> GuardrailStreamConfiguration {
    let mut ours = configured(guardrail);
    if let Some(theirs) = &input.guardrail_config
        && ours.trace == i32::from(GuardrailTrace::Unspecified)
    {
        ours.trace = theirs.trace;
        ours.trace_name.clone_from(&theirs.trace_name);
    }
    ours
}

/// Returns whether each field is absent or equal to the operator's value.
fn agrees(theirs: &GuardrailStreamConfiguration, ours: &GuardrailStreamConfiguration) -> bool {
    // All fields are listed, so that the compiler reports a new one.
    let GuardrailStreamConfiguration {
        guardrail_identifier,
        guardrail_version,
        trace,
        stream_processing_mode,
        trace_name,
        stream_processing_mode_name,
    } = theirs;
    let text = |theirs: &Option<String>, ours: &Option<String>| {
        theirs.as_deref().unwrap_or_default().is_empty() || theirs == ours
    };
    let word = |theirs: Option<&str>, ours: Option<&str>| theirs.is_none() || theirs == ours;
    text(guardrail_identifier, &ours.guardrail_identifier)
        && text(guardrail_version, &ours.guardrail_version)
        && word(
            open_enum::word::<GuardrailTrace>(*trace, trace_name),
            open_enum::word::<GuardrailTrace>(ours.trace, &ours.trace_name),
        )
        && word(
            open_enum::word::<GuardrailStreamProcessingMode>(
                *stream_processing_mode,
                stream_processing_mode_name,
            ),
            open_enum::word::<GuardrailStreamProcessingMode>(
                ours.stream_processing_mode,
                &ours.stream_processing_mode_name,
            ),
        )
}

/// Returns the operator's guardrail as a field of a request.
pub(in crate::grpc) fn configured(guardrail: &Guardrail) -> GuardrailStreamConfiguration {
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
        ..GuardrailStreamConfiguration::default()
    }
}

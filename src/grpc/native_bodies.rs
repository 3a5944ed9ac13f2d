//! Converts the settings of an `InvokeModel` request. They become fields of a Converse request, so
//! that the same rules can be applied, and then the headers that Bedrock expects.

use std::collections::BTreeMap;

use crate::{
    aws::NativeFormat,
    bedrock::{ModelGuardrail, ModelOptions},
    error::{Failure, Reason},
    pb::{
        ConverseInput, GuardrailTrace, InvokeModelRequest, PerformanceConfigLatency,
        ServiceTierType, StreamInvokeModelRequest,
    },
    routing::{RouteCandidate, Target},
    translate::open_enum,
};

/// Returns the failure for a target without the key `invoke_model`.
pub(super) fn off(target: &Target) -> Failure {
    let hint = if target.is_alias {
        format!(
            "use InferenceService, or ask the operator to set targets.{}.invoke_model",
            target.name
        )
    } else {
        "use an alias for which the operator has set invoke_model".to_owned()
    };
    Failure::new(
        Reason::TargetNotAllowed,
        format!(
            "target `{}`: this gateway does not allow InvokeModel for it; {hint}",
            target.name
        ),
    )
}

/// Converts a streaming request to an `InvokeModel` request, which has no heartbeats.
pub(super) fn unary(request: StreamInvokeModelRequest) -> InvokeModelRequest {
    // All fields are listed, so that the compiler reports a new one.
    let StreamInvokeModelRequest {
        target,
        body,
        accept,
        guardrail_config,
        performance_config,
        service_tier,
        request_metadata,
        heartbeat_interval: _,
        project_identifier,
    } = request;
    InvokeModelRequest {
        target,
        body,
        accept,
        guardrail_config,
        performance_config,
        service_tier,
        request_metadata,
        project_identifier,
    }
}

/// Returns the settings of a request as a Converse request.
pub(super) fn settings(request: &InvokeModelRequest) -> ConverseInput {
    ConverseInput {
        guardrail_config: request.guardrail_config.clone(),
        performance_config: request.performance_config.clone(),
        service_tier: request.service_tier.clone(),
        request_metadata: request.request_metadata.clone(),
        project_identifier: request.project_identifier.clone(),
        ..ConverseInput::default()
    }
}

/// Returns the headers for the settings of a request.
pub(super) fn options(accept: Option<String>, settings: &ConverseInput) -> ModelOptions {
    let guardrail = settings.guardrail_config.as_ref().and_then(|config| {
        let identifier = config.guardrail_identifier.clone()?;
        let version = config.guardrail_version.clone()?;
        // The header has the names in upper case.
        let trace = open_enum::word::<GuardrailTrace>(config.trace, &config.trace_name);
        let trace = trace.map(str::to_ascii_uppercase);
        (!identifier.is_empty()).then_some(ModelGuardrail {
            identifier,
            version,
            trace,
        })
    });
    let latency = settings.performance_config.as_ref().and_then(|config| {
        open_enum::word::<PerformanceConfigLatency>(config.latency, &config.latency_name)
    });
    let service_tier = settings.service_tier.as_ref().map(|tier| {
        open_enum::word::<ServiceTierType>(tier.r#type, &tier.type_name).unwrap_or("default")
    });
    // The pairs are sorted by key, so that equal requests have equal headers.
    let metadata: BTreeMap<_, _> = settings.request_metadata.iter().collect();
    let request_metadata = (!metadata.is_empty()).then(|| serde_json::json!(metadata).to_string());
    ModelOptions {
        accept,
        guardrail,
        latency: latency.map(str::to_owned),
        service_tier: service_tier.map(str::to_owned),
        request_metadata,
    }
}

/// Returns whether all models generate text in formats that the gateway supports.
pub(super) fn all_write_text(candidates: &[RouteCandidate]) -> bool {
    let mut formats = candidates.iter().map(RouteCandidate::native_format);
    formats.all(|format| format.is_some_and(NativeFormat::writes_text))
}

/// Returns the format of the routes' models, if it is the same for all of them.
pub(super) fn common_format(candidates: &[RouteCandidate]) -> Option<NativeFormat> {
    let mut formats = candidates.iter().map(RouteCandidate::native_format);
    let first = formats.next()??;
    formats.all(|other| other == Some(first)).then_some(first)
}

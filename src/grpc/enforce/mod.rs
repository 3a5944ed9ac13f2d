//! Enforces the operator's settings on a request. They are applied last. A caller cannot override
//! them with a field, a raw member or a native field of the model.
//!
//! | file | job |
//! |---|---|
//! | `apply` | applies all rules, in their order |
//! | `applied` | selects the guardrail of `ApplyGuardrail` |
//! | `attribution` | the operator's request metadata |
//! | `guardrail` | the guardrail |
//! | `tokens` | the maximum number of output tokens |
//! | `tier` | the service tiers |
//! | `project` | the project of Bedrock |
//! | `s3` | the locations in Amazon S3 that Bedrock reads with the gateway's role |
//! | `raw_json` | the same rules, for raw members and the model's native fields |
//! | `native` | the same rules, for bodies in the model's own format |
//! | `native_units` | counts images and queries in such bodies |
//!
//! Each rule first checks what the caller sent, so that no setting of the caller is silently
//! ignored. Then the operator's value replaces the field.

mod applied;
mod apply;
mod attribution;
mod guardrail;
mod native;
mod native_units;
mod project;
mod raw_json;
mod s3;
mod tier;
mod tokens;

pub(super) use applied::applied as applied_guardrail;
pub(super) use attribution::Attribution;
pub(super) use guardrail::configured as configured_guardrail;
pub(super) use native::NativeModels;
pub(super) use project::NamedProject;
pub(super) use tokens::is_name as is_tokens;

use crate::{aws::ModelIdKind, config::RequestPolicy};

/// Enforces a maximum number of output tokens in a body of this format, and no other setting.
/// Returns `None` if the body is refused.
#[cfg(any(test, fuzzing))]
pub(crate) fn enforced_body(
    format: crate::aws::NativeFormat,
    ceiling: u64,
    body: &[u8],
) -> Option<String> {
    let policy = RequestPolicy {
        max_tokens: i32::try_from(ceiling).ok(),
        ..RequestPolicy::default()
    };
    let enforced = Enforced {
        policy: &policy,
        attribution: Attribution::default(),
        kind: ModelIdKind::OnDemand,
    };
    let models = NativeModels {
        format: Some(format),
        model_id: "a.model",
        target: "t",
        one_result: false,
    };
    let stop = crate::bounds::Stop::never();
    let applied = enforced.apply_to_body(&models, body, &stop).ok()?;
    Some(applied.json.into_owned())
}

/// All settings that are enforced on one request.
pub(super) struct Enforced<'a> {
    /// The policies of all levels that apply, merged by [`RequestPolicy::and`].
    pub(super) policy: &'a RequestPolicy,
    /// The operator's request metadata.
    pub(super) attribution: Attribution,
    /// The kind of the model ID that is called.
    pub(super) kind: ModelIdKind,
}

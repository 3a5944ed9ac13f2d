//! What the operator enforces on a request. It is applied last, after everything in the request,
//! and no caller can undo it: neither with a field, nor with a raw member, nor with a native field
//! of the model.
//!
//! | file | job |
//! |---|---|
//! | `apply` | all rules, in their order |
//! | `attribution` | the operator's request metadata |
//! | `guardrail` | the guardrail |
//! | `tokens` | the maximum of output tokens |
//! | `tier` | the service tiers |
//! | `s3` | the locations in Amazon S3, which Bedrock reads with the gateway's role |
//! | `written` | the same rules for raw members and the model's native fields |
//!
//! Each rule first checks what the caller sent, so that no setting is ignored silently. Then the
//! operator's value replaces the field.

mod apply;
mod attribution;
mod guardrail;
mod s3;
mod tier;
mod tokens;
mod written;

pub(super) use attribution::Attribution;
pub(super) use guardrail::configured as configured_guardrail;
pub(super) use tokens::is_name as is_tokens;

use crate::{aws::ModelIdKind, config::RequestPolicy};

/// Everything that is enforced on one request.
pub(super) struct Enforced<'a> {
    /// The policies of all levels that apply, merged by [`RequestPolicy::and`].
    pub(super) policy: &'a RequestPolicy,
    /// The operator's request metadata.
    pub(super) attribution: Attribution,
    /// What is called.
    pub(super) kind: ModelIdKind,
}

impl Enforced<'_> {
    /// The maximum of output tokens. Prompts of Prompt management have their own number, and
    /// Bedrock rejects any other.
    fn ceiling(&self) -> Option<i32> {
        self.policy
            .max_tokens
            .filter(|_| self.kind != ModelIdKind::Prompt)
    }
}

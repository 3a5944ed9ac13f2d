//! What the operator enforces on a request. It is applied last, after everything that the caller
//! says, and no caller can undo it: neither by a field, nor by a raw member, nor by a field of the
//! model's own.
//!
//! | file | job |
//! |---|---|
//! | `attribution` | the operator's request metadata |
//! | `guardrail` | the guardrail |
//! | `tokens` | the ceiling of output tokens |
//! | `tier` | the service tiers |
//! | `s3` | the objects in Amazon S3 that Bedrock reads with the gateway's role |
//! | `written` | the same rules for what callers write as JSON: raw members and the model's own fields |
//!
//! Each rule first checks what the caller said, so that nobody believes in a setting that has no
//! effect; then the operator's value is written over the field.

mod attribution;
mod guardrail;
mod s3;
mod tier;
mod tokens;
mod written;

pub(super) use attribution::Attribution;
pub(super) use tokens::is_name as is_tokens;

use crate::{
    aws::Kind,
    config::{RequestPolicy, s3::S3Locations},
    error::Violation,
    pb::ConverseInput,
    validate::Violations,
};

/// Everything that is enforced on one request.
pub(super) struct Enforced<'a> {
    /// The policies of all levels that apply, merged by [`RequestPolicy::and`].
    pub(super) policy: &'a RequestPolicy,
    /// The operator's request metadata.
    pub(super) attribution: Attribution,
    /// What is called.
    pub(super) kind: Kind,
}

impl Enforced<'_> {
    /// Applies all of it to a request whose defaults are filled in.
    ///
    /// # Errors
    /// Everything that the caller said and that the operator does not allow.
    pub(super) fn apply(&self, input: &mut ConverseInput) -> Result<(), Vec<Violation>> {
        let mut out = Violations::new();
        out.field("input", |out| self.check(input, out));
        out.finish()?;
        if let Some(guardrail) = self.policy.enforced_guardrail() {
            guardrail::write(guardrail, input);
        }
        if let Some(ceiling) = self.ceiling() {
            tokens::write(ceiling, input);
        }
        if let Some(tiers) = &self.policy.service_tiers {
            tier::write(tiers, input);
        }
        self.attribution.write(input)
    }

    fn check(&self, input: &ConverseInput, out: &mut Violations) {
        if let Some(guardrail) = self.policy.enforced_guardrail() {
            guardrail::check(guardrail, input, out);
        }
        if let Some(ceiling) = self.ceiling() {
            tokens::check(ceiling, input, out);
        }
        if let Some(tiers) = &self.policy.service_tiers {
            tier::check(tiers, input, out);
        }
        let none = S3Locations::default();
        let locations = self.policy.s3_locations.as_ref().unwrap_or(&none);
        s3::check(locations, input, out);
        written::check(self, locations, input, out);
    }

    /// The ceiling of output tokens. Prompts of Prompt management bring their own number, and
    /// Bedrock refuses any other.
    fn ceiling(&self) -> Option<i32> {
        self.policy.max_tokens.filter(|_| self.kind != Kind::Prompt)
    }
}

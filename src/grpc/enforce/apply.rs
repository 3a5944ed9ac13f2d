//! Applies all rules, in their order.

use super::{Enforced, guardrail, raw_json, s3, tier, tokens};
use crate::{
    aws::ModelIdKind, config::s3::S3Locations, error::Violation, pb::ConverseInput,
    validate::Violations,
};

impl Enforced<'_> {
    /// Applies all rules to a request in which the defaults have been filled in.
    ///
    /// # Errors
    /// Returns all parts of the request that the operator does not allow.
    pub(in crate::grpc) fn apply(&self, input: &mut ConverseInput) -> Result<(), Vec<Violation>> {
        let mut out = Violations::new();
        out.field("input", |out| self.check(input, out));
        out.finish()?;
        if let Some(guardrail) = self.policy.enforced_guardrail() {
            guardrail::write(guardrail, input);
        }
        // Prompts of Prompt management define this number, and Bedrock rejects any other.
        if let Some(ceiling) = self.policy.max_tokens
            && self.kind != ModelIdKind::Prompt
        {
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
        if let Some(ceiling) = self.policy.max_tokens {
            tokens::check(ceiling, input, out);
        }
        if let Some(tiers) = &self.policy.service_tiers {
            tier::check(tiers, input, out);
        }
        let none = S3Locations::default();
        let locations = self.policy.s3_locations.as_ref().unwrap_or(&none);
        s3::check(locations, input, out);
        raw_json::check(self, locations, input, out);
    }
}

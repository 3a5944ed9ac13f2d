//! The service tiers that requests may ask for.

use crate::{
    config::ServiceTier,
    pb::{self, ConverseInput, ServiceTierType},
    validate::Violations,
};

const fn number(tier: ServiceTier) -> ServiceTierType {
    match tier {
        ServiceTier::Default => ServiceTierType::Default,
        ServiceTier::Flex => ServiceTierType::Flex,
        ServiceTier::Priority => ServiceTierType::Priority,
        ServiceTier::Reserved => ServiceTierType::Reserved,
    }
}

pub(super) fn refusal(tiers: &[ServiceTier]) -> String {
    let words: Vec<_> = tiers.iter().map(|tier| tier.as_str()).collect();
    format!(
        "this service tier is not allowed by this gateway: use {}",
        words.join(" or ")
    )
}

pub(super) fn check(tiers: &[ServiceTier], input: &ConverseInput, out: &mut Violations) {
    // Written out, so that a new field cannot be forgotten here.
    let Some(pb::ServiceTier { r#type }) = input.service_tier else {
        return;
    };
    if !tiers.iter().any(|tier| r#type == i32::from(number(*tier))) {
        out.field("service_tier", |out| out.add_at("type", refusal(tiers)));
    }
}

/// A request that names no tier gets Bedrock's default tier; if that one is not allowed, the
/// preferred one instead.
pub(super) fn write(tiers: &[ServiceTier], input: &mut ConverseInput) {
    if input.service_tier.is_some() || tiers.contains(&ServiceTier::Default) {
        return;
    }
    input.service_tier = tiers.first().map(|tier| pb::ServiceTier {
        r#type: number(*tier).into(),
    });
}

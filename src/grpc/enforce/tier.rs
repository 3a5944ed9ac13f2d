//! Restricts the service tiers that requests can select.

use crate::{
    config::ServiceTier,
    pb::{self, ConverseInput, ServiceTierType},
    translate::open_enum,
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

/// The violation if the caller's list and the target's list have no tier in common.
const NONE: &str = "no service tier is allowed for this caller on this target; use another target";

pub(super) fn refusal(tiers: &[ServiceTier]) -> String {
    if tiers.is_empty() {
        return NONE.to_owned();
    }
    let words: Vec<_> = tiers.iter().map(|tier| tier.as_str()).collect();
    format!(
        "this service tier is not allowed by this gateway: use {}",
        words.join(" or ")
    )
}

pub(super) fn check(tiers: &[ServiceTier], input: &ConverseInput, out: &mut Violations) {
    // If the request named no tier, Bedrock would use its default tier, which is not allowed
    // either.
    if tiers.is_empty() {
        out.add_at("service_tier", NONE);
        return;
    }
    // All fields are listed, so that the compiler reports a new one.
    let Some(pb::ServiceTier { r#type, type_name }) = &input.service_tier else {
        return;
    };
    // A tier that this version does not know is in no list.
    let tier = open_enum::value::<ServiceTierType>(*r#type, type_name);
    if !tiers.iter().any(|allowed| tier == Some(number(*allowed))) {
        let field = if type_name.is_empty() {
            "type"
        } else {
            "type_name"
        };
        out.field("service_tier", |out| out.add_at(field, refusal(tiers)));
    }
}

/// Sets the preferred tier in a request that names none, if the default tier is not allowed.
/// Otherwise Bedrock would use its default tier.
pub(super) fn write(tiers: &[ServiceTier], input: &mut ConverseInput) {
    if input.service_tier.is_some() || tiers.contains(&ServiceTier::Default) {
        return;
    }
    input.service_tier = tiers.first().map(|tier| pb::ServiceTier {
        r#type: number(*tier).into(),
        ..pb::ServiceTier::default()
    });
}

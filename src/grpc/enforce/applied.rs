//! Selects the guardrail of `ApplyGuardrail`: the operator's guardrail, or the caller's if the
//! operator allows it.

use crate::{
    config::RequestPolicy,
    error::Violation,
    pb::{ApplyGuardrailRequest, GuardrailStreamConfiguration},
    validate::Violations,
};

const REPLACED: &str = "this gateway enforces another guardrail here; remove guardrail_identifier and guardrail_version";
const MISSING: &str = "is required: the gateway has no guardrail for this target and caller";

/// Returns the guardrail to apply, with its identifier and version.
///
/// # Errors
/// Fails if the caller names another guardrail than the enforced one, or if no guardrail is set.
pub(in crate::grpc) fn applied(
    policy: &RequestPolicy,
    request: &ApplyGuardrailRequest,
) -> Result<GuardrailStreamConfiguration, Vec<Violation>> {
    let identifier = request.guardrail_identifier.as_deref().unwrap_or_default();
    let version = request.guardrail_version.as_deref().unwrap_or_default();
    let is_named = !identifier.is_empty();
    let mut out = Violations::new();
    let (identifier, version) = match &policy.guardrail {
        Some(ours) if ours.enforced && is_named => {
            if (identifier, version) != (&*ours.identifier, &*ours.version) {
                out.add_at("guardrail_identifier", REPLACED);
            }
            (identifier, version)
        }
        Some(ours) if !is_named => (&*ours.identifier, &*ours.version),
        None if !is_named => {
            out.add_at("guardrail_identifier", MISSING);
            ("", "")
        }
        Some(_) | None => (identifier, version),
    };
    out.finish()?;
    Ok(GuardrailStreamConfiguration {
        guardrail_identifier: Some(identifier.to_owned()),
        guardrail_version: Some(version.to_owned()),
        ..GuardrailStreamConfiguration::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Guardrail;

    fn policy(enforced: Option<bool>) -> RequestPolicy {
        RequestPolicy {
            guardrail: enforced.map(|enforced| Guardrail {
                identifier: "ours".to_owned(),
                version: "1".to_owned(),
                trace: None,
                stream_processing_mode: None,
                enforced,
            }),
            ..RequestPolicy::default()
        }
    }

    fn choose(enforced: Option<bool>, named: &str) -> Result<String, String> {
        let (identifier, version) = named.split_once(':').unwrap_or_default();
        let request = ApplyGuardrailRequest {
            guardrail_identifier: Some(identifier.to_owned()),
            guardrail_version: Some(version.to_owned()),
            ..ApplyGuardrailRequest::default()
        };
        let chosen = applied(&policy(enforced), &request);
        chosen
            .map(|chosen| {
                let [identifier, version] = [chosen.guardrail_identifier, chosen.guardrail_version];
                format!("{}:{}", identifier.unwrap(), version.unwrap())
            })
            .map_err(|violations| violations[0].description.clone())
    }

    #[test]
    fn an_enforced_guardrail_can_be_named_but_not_replaced() {
        for (enforced, named, expected) in [
            (Some(true), "", Ok("ours:1")),
            (Some(true), "ours:1", Ok("ours:1")),
            (Some(true), "ours:2", Err(REPLACED)),
            (Some(true), "theirs:1", Err(REPLACED)),
            (Some(false), "", Ok("ours:1")),
            (Some(false), "theirs:2", Ok("theirs:2")),
            (None, "theirs:2", Ok("theirs:2")),
            (None, "", Err(MISSING)),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(choose(enforced, named), expected, "{enforced:?} {named}");
        }
    }
}

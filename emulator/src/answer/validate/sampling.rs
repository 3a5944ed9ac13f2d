//! Checks combinations of inference parameters. Bedrock reports a violation as an error of the
//! model.
//!
//! Source: Anthropic's migration guides and documentation of extended thinking, Amazon's
//! documentation of Nova 2, and the errors that users of Bedrock report.

use serde_json::Value;

use super::super::json::{at, member, text_at};

/// The first Claude version that does not accept `temperature` and `top_p` together.
const ONE_OF_BOTH: (u32, u32) = (4, 1);
/// The first Claude version that accepts neither of them.
const NEITHER: (u32, u32) = (4, 7);

pub(super) fn check(model_id: &str, request: &Value) -> Result<(), String> {
    let error = if model_id.contains("anthropic.claude") {
        claude(model_id, request)
    } else if model_id.contains("amazon.nova") {
        nova(request)
    } else {
        None
    };
    match error {
        Some(error) => Err(format!("The model returned the following errors: {error}")),
        None => Ok(()),
    }
}

/// Returns a parameter, from Converse's field or else from the model's native field.
fn parameter(request: &Value, converse: &str, own: &str) -> Option<f64> {
    let number = |path: &[&str]| at(request, path).and_then(Value::as_f64);
    number(&["inferenceConfig", converse])
        .or_else(|| number(&["additionalModelRequestFields", own]))
}

fn claude(model_id: &str, request: &Value) -> Option<String> {
    let temperature = parameter(request, "temperature", "temperature");
    let top_p = parameter(request, "topP", "top_p");
    let top_k = parameter(request, "topK", "top_k");
    // An unknown Claude model is treated as a new one.
    let version = claude_version(model_id).unwrap_or((u32::MAX, 0));
    if version >= NEITHER {
        let given = [
            ("temperature", temperature),
            ("top_p", top_p),
            ("top_k", top_k),
        ];
        // The model's default value is accepted.
        let refused = given
            .into_iter()
            .find(|(name, value)| value.is_some_and(|value| *name == "top_k" || value != 1.0));
        if let Some((name, _)) = refused {
            return Some(format!("`{name}` is deprecated for this model."));
        }
    } else if version >= ONE_OF_BOTH && temperature.is_some() && top_p.is_some() {
        return Some(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
                .to_owned(),
        );
    }
    let thinking = at(request, &["additionalModelRequestFields", "thinking"])?;
    if text_at(thinking, &["type"]) != Some("enabled") {
        return None;
    }
    match (temperature, top_p, top_k) {
        (Some(temperature), _, _) if temperature != 1.0 => {
            Some("`temperature` may only be set to 1 when thinking is enabled.".to_owned())
        }
        (_, Some(top_p), _) if top_p < 0.95 => Some(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
                .to_owned(),
        ),
        (_, _, Some(_)) => Some("`top_k` must be unset when thinking is enabled.".to_owned()),
        _ => None,
    }
}

/// Returns the error for Nova's highest effort, which does not allow sampling parameters or a
/// maximum number of tokens.
fn nova(request: &Value) -> Option<String> {
    let reasoning = at(
        request,
        &["additionalModelRequestFields", "reasoningConfig"],
    )?;
    if text_at(reasoning, &["type"]) != Some("enabled")
        || text_at(reasoning, &["maxReasoningEffort"]) != Some("high")
    {
        return None;
    }
    let config = member(request, "inferenceConfig")?;
    let given = ["maxTokens", "temperature", "topP"]
        .into_iter()
        .find(|name| member(config, name).is_some())?;
    Some(format!(
        "{given} must be unset when maxReasoningEffort is high"
    ))
}

/// Returns the version of a Claude model from its ID: 4.5 for `claude-sonnet-4-5-20250929-v1:0`,
/// 3.7 for `claude-3-7-sonnet-20250219-v1:0`.
pub(super) fn claude_version(model_id: &str) -> Option<(u32, u32)> {
    let (_, name) = model_id.split_once("anthropic.claude-")?;
    if name.starts_with("instant") || name.starts_with('v') {
        return Some((2, 0));
    }
    let mut numbers = name
        .split(['-', ':', '.'])
        .skip_while(|part| part.parse::<u32>().is_err())
        .map_while(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 2));
    let major = numbers.next()?;
    Some((major, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::claude_version;

    #[test]
    fn versions() {
        for (id, version) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", Some((3, 0))),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", Some((3, 7))),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("anthropic.claude-haiku-4-5-20251001-v1:0", Some((4, 5))),
            ("global.anthropic.claude-opus-4-8", Some((4, 8))),
            ("us.anthropic.claude-sonnet-5", Some((5, 0))),
            ("anthropic.claude-v2:1", Some((2, 0))),
            ("anthropic.claude-next", None),
            ("amazon.nova-lite-v1:0", None),
        ] {
            assert_eq!(claude_version(id), version, "{id}");
        }
    }
}

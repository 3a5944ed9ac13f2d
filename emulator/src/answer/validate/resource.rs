//! Checks the rules between the model ID or the guardrail and the other parameters.

use serde_json::Value;

use super::super::json::{at, list, member, text_at};

pub(super) fn check(model_id: &str, request: &Value) -> Result<(), String> {
    if is_prompt(model_id) {
        prompt(request)?;
    }
    guardrail(request)?;
    response_fields(request)?;
    text_format(request)
}

/// Returns whether the model ID names a prompt of Prompt management.
pub(in super::super) fn is_prompt(model_id: &str) -> bool {
    resource(model_id).is_some_and(|resource| resource.starts_with("prompt/"))
}

/// Returns the part of an ARN after the account ID.
pub(in super::super) fn resource(model_id: &str) -> Option<&str> {
    model_id
        .starts_with("arn:")
        .then(|| model_id.splitn(6, ':').nth(5))?
}

fn prompt(request: &Value) -> Result<(), String> {
    let forbidden = [
        "additionalModelRequestFields",
        "inferenceConfig",
        "system",
        "toolConfig",
    ];
    match forbidden
        .into_iter()
        .find(|name| member(request, name).is_some())
    {
        Some(name) => Err(format!(
            "The {name} field can't be used when the modelId is the ARN of a prompt. Set it in the prompt, and try again."
        )),
        None => Ok(()),
    }
}

fn guardrail(request: &Value) -> Result<(), String> {
    let given =
        |name| text_at(request, &["guardrailConfig", name]).is_some_and(|text| !text.is_empty());
    match (given("guardrailIdentifier"), given("guardrailVersion")) {
        (true, false) => Err(pair("guardrailVersion", "guardrailIdentifier")),
        (false, true) => Err(pair("guardrailIdentifier", "guardrailVersion")),
        _ => Ok(()),
    }
}

fn pair(missing: &str, given: &str) -> String {
    format!("The {missing} field must be defined in guardrailConfig when {given} is defined.")
}

fn response_fields(request: &Value) -> Result<(), String> {
    let pointer = |path: &&Value| path.as_str().is_some_and(|path| path.starts_with('/'));
    match list(request, "additionalModelResponseFieldPaths")
        .iter()
        .position(|path| !pointer(&path))
    {
        Some(index) => Err(format!(
            "The value at additionalModelResponseFieldPaths.{index} is not a JSON Pointer. Begin it with '/', and try again."
        )),
        None => Ok(()),
    }
}

fn text_format(request: &Value) -> Result<(), String> {
    let path = [
        "outputConfig",
        "textFormat",
        "structure",
        "jsonSchema",
        "schema",
    ];
    let Some(schema) = at(request, &path).and_then(Value::as_str) else {
        return Ok(());
    };
    match serde_json::from_str::<Value>(schema) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Err(format!(
            "The value at {} is invalid. Provide a JSON schema as a string, and try again.",
            path.join(".")
        )),
    }
}

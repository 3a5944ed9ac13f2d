//! Checks the conversation: the order of roles, and the content that each role allows.

use serde_json::Value;

use super::{
    super::json::{list, member, only, text_at},
    resource::is_prompt,
};

pub(super) fn check(model_id: &str, request: &Value) -> Result<(), String> {
    let messages = list(request, "messages");
    if messages.is_empty() && !is_prompt(model_id) {
        return Err("The messages field is required, and must have one message at least. Add a message, and try again.".to_owned());
    }
    if list(request, "system")
        .iter()
        .any(|block| blank(block.get("text")))
    {
        let index = list(request, "system")
            .iter()
            .position(|block| blank(block.get("text")))
            .unwrap_or_default();
        return Err(format!(
            "The text field in the SystemContentBlock object at system.{index} is blank. Add text to the text field, and try again."
        ));
    }
    order(model_id, messages)?;
    for (index, message) in messages.iter().enumerate() {
        content(message, index)?;
    }
    Ok(())
}

/// Returns whether a text is present but has only white space.
fn blank(text: Option<&Value>) -> bool {
    text.and_then(Value::as_str)
        .is_some_and(|text| text.trim().is_empty())
}

/// Checks the order of the roles. `system` messages are allowed anywhere after the first message.
/// They change the tools, and do not count as a turn.
///
/// Amazon's own models accept several consecutive messages of one role (seen in recorded traffic).
/// For other models, the service rejects them.
fn order(model_id: &str, messages: &[Value]) -> Result<(), String> {
    let roles = || {
        messages
            .iter()
            .filter_map(|message| text_at(message, &["role"]))
            .filter(|role| *role != "system")
    };
    if text_at(messages.first().unwrap_or(&Value::Null), &["role"])
        .is_some_and(|role| role != "user")
    {
        return Err("A conversation must start with a user message. Try again with a conversation that starts with a user message.".to_owned());
    }
    if !model_id.contains("amazon.")
        && roles()
            .zip(roles().skip(1))
            .any(|(role, next)| role == next)
    {
        return Err("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between \
                    user and assistant roles and try again."
            .to_owned());
    }
    Ok(())
}

fn content(message: &Value, index: usize) -> Result<(), String> {
    let role = text_at(message, &["role"]).unwrap_or_default();
    let blocks = list(message, "content");
    if blocks.is_empty() {
        return Err(format!(
            "The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to the content field \
             and try again."
        ));
    }
    for (position, block) in blocks.iter().enumerate() {
        let place = format!("messages.{index}.content.{position}");
        if let Some((kind, content)) = only(block) {
            allowed(role, kind, &place)?;
            readable(kind, content, &place)?;
        }
    }
    let has = |kind| blocks.iter().any(|block| member(block, kind).is_some());
    if has("document") && !has("text") {
        return Err(format!(
            "The document blocks at messages.{index}.content need a text block beside them. Add a text block that says what to do \
             with the documents, and try again."
        ));
    }
    Ok(())
}

fn allowed(role: &str, kind: &str, place: &str) -> Result<(), String> {
    let roles: &[&str] = match kind {
        "image" | "document" | "video" | "audio" | "guardContent" | "searchResult" => &["user"],
        "toolUse" | "reasoningContent" | "citationsContent" => &["assistant"],
        "toolResult" | "cachePoint" | "text" => &["user", "assistant"],
        _ => &["system"],
    };
    match (roles.contains(&role), roles) {
        (true, _) => Ok(()),
        (false, [only]) => Err(format!(
            "The {kind} block at {place} is in a message of the role {role}. It can only be used in messages of the role {only}."
        )),
        (false, _) => Err(format!(
            "The {kind} block at {place} is in a message of the role {role}, which can only hold toolAddition and toolRemoval blocks."
        )),
    }
}

fn readable(kind: &str, content: &Value, place: &str) -> Result<(), String> {
    match kind {
        "text" if blank(Some(content)) => Err(format!(
            "The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try again."
        )),
        "guardContent" if blank(content.get("text").and_then(|text| text.get("text"))) => {
            Err(format!(
                "The guard content field in the ContentBlock object at {place} is blank. Add text to the text field, and try again."
            ))
        }
        "toolUse" if !content.get("input").is_some_and(Value::is_object) => Err(format!(
            "The format of the value at {place}.toolUse.input is invalid. Provide a json object for the field and try again."
        )),
        _ => Ok(()),
    }
}

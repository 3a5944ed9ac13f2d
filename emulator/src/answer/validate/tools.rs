//! Checks tools: their names, the choice between them, and that each tool use has a result.

use std::collections::HashSet;

use serde_json::Value;

use super::super::json::{at, list, member, text_at};

pub(super) fn check(model_id: &str, request: &Value) -> Result<(), String> {
    let tools = member(request, "toolConfig").map_or(&[][..], |config| list(config, "tools"));
    definitions(tools)?;
    choice(request, tools)?;
    conversation(request)?;
    thinking(model_id, request)
}

fn name(tool: &Value) -> Option<&str> {
    text_at(tool, &["toolSpec", "name"]).or_else(|| text_at(tool, &["systemTool", "name"]))
}

fn definitions(tools: &[Value]) -> Result<(), String> {
    let mut names = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        if let Some(name) = name(tool)
            && !names.insert(name)
        {
            return Err(format!(
                "The tool {name} is already defined at toolConfig.tools.{index}."
            ));
        }
        let Some(schema) = at(tool, &["toolSpec", "inputSchema", "json"]) else {
            continue;
        };
        let place = format!("toolConfig.tools.{index}.toolSpec.inputSchema.json");
        if !schema.is_object() {
            return Err(format!(
                "The format of the value at {place} is invalid. Provide a json object for the field and try again."
            ));
        }
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(format!(
                "The value at {place}.type must be one of the following: object."
            ));
        }
    }
    Ok(())
}

fn choice(request: &Value, tools: &[Value]) -> Result<(), String> {
    if !tools.is_empty() && !tools.iter().any(|tool| name(tool).is_some()) {
        return Err("The tools field in the ToolConfiguration object at toolConfig has cache points only. Add a tool, and try again.".to_owned());
    }
    match text_at(request, &["toolConfig", "toolChoice", "tool", "name"]) {
        Some(chosen) if !tools.iter().any(|tool| name(tool) == Some(chosen)) => Err(format!(
            "The tool {chosen} at toolConfig.toolChoice.tool.name isn't defined in toolConfig.tools. Define the tool or choose \
             another one, and try again."
        )),
        _ => Ok(()),
    }
}

/// Returns the IDs of a message's tool uses or results.
fn ids<'a>(message: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a str> {
    list(message, "content")
        .iter()
        .filter_map(move |block| member(block, kind))
        // Bedrock's own tools have their results in the assistant's message, so these tool uses are
        // not counted.
        .filter(|block| text_at(block, &["type"]) != Some("server_tool_use"))
        .filter_map(|block| text_at(block, &["toolUseId"]))
}

fn conversation(request: &Value) -> Result<(), String> {
    let messages: Vec<(usize, &Value)> = list(request, "messages")
        .iter()
        .enumerate()
        .filter(|(_, message)| text_at(message, &["role"]) != Some("system"))
        .collect();
    let uses_tools = messages.iter().any(|(_, message)| {
        ids(message, "toolUse")
            .chain(ids(message, "toolResult"))
            .next()
            .is_some()
    });
    if uses_tools && at(request, &["toolConfig"]).is_none() {
        return Err("The toolConfig field must be defined when using toolUse and toolResult content blocks.".to_owned());
    }
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in &messages {
        if text_at(message, &["role"]) == Some("user") {
            answered(*index, message, &open)?;
            open.clear();
        } else {
            let calls: Vec<&str> = ids(message, "toolUse").collect();
            duplicates(&calls, "toolUse", *index)?;
            open.extend(calls);
        }
    }
    match messages.last() {
        Some((index, _)) if !open.is_empty() => Err(expected(index + 1, &open)),
        _ => Ok(()),
    }
}

fn answered(index: usize, message: &Value, open: &[&str]) -> Result<(), String> {
    let results: Vec<&str> = ids(message, "toolResult").collect();
    duplicates(&results, "toolResult", index)?;
    if results.len() > open.len() {
        return Err(format!(
            "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn."
        ));
    }
    let missing: Vec<&str> = open
        .iter()
        .copied()
        .filter(|id| !results.contains(id))
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(expected(index, &missing)),
    }
}

fn expected(index: usize, ids: &[&str]) -> String {
    format!(
        "Expected toolResult blocks at messages.{index}.content for the following Ids: {}",
        ids.join(", ")
    )
}

fn duplicates(ids: &[&str], kind: &str, index: usize) -> Result<(), String> {
    let mut seen = HashSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(format!(
            "The {kind} blocks at messages.{index}.content contain duplicate Ids: {id}"
        )),
        None => Ok(()),
    }
}

/// Finds the assistant's message whose tool results are in the last message. Returns its index and
/// the kind of its first block, unless that block is reasoning.
fn begins_without_reasoning(request: &Value) -> Option<(usize, String)> {
    let messages = list(request, "messages");
    ids(messages.last()?, "toolResult").next()?;
    let (index, message) = messages
        .iter()
        .enumerate()
        .rfind(|(_, message)| text_at(message, &["role"]) == Some("assistant"))?;
    let (kind, _) = list(message, "content")
        .first()?
        .as_object()?
        .iter()
        .next()?;
    let kind = match kind.as_str() {
        "reasoningContent" => return None,
        "toolUse" => "tool_use",
        other => other,
    };
    Some((index, kind.to_owned()))
}

/// Checks Claude's rules for extended thinking. Bedrock reports a violation as an error of the
/// model.
fn thinking(model_id: &str, request: &Value) -> Result<(), String> {
    let thinking =
        at(request, &["additionalModelRequestFields", "thinking"]).unwrap_or(&Value::Null);
    if !model_id.contains("anthropic.") || text_at(thinking, &["type"]) != Some("enabled") {
        return Ok(());
    }
    let error = |message: &str| {
        Err(format!(
            "The model returned the following errors: {message}"
        ))
    };
    let budget = member(thinking, "budget_tokens").and_then(Value::as_u64);
    let most = at(request, &["inferenceConfig", "maxTokens"]).and_then(Value::as_u64);
    match (budget, most) {
        (None, _) => return error("thinking.enabled.budget_tokens: Field required"),
        (Some(..1024), _) => {
            return error(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            );
        }
        (Some(budget), Some(most)) if most <= budget => {
            return error("`max_tokens` must be greater than `thinking.budget_tokens`.");
        }
        _ => {}
    }
    if let Some(found) = begins_without_reasoning(request) {
        let (index, kind) = found;
        return error(&format!(
            "messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. When `thinking` is enabled, a final \
             `assistant` message must start with a thinking block (preceding the lastmost set of `tool_use` and `tool_result` blocks)."
        ));
    }
    let forced = ["any", "tool"]
        .iter()
        .any(|kind| at(request, &["toolConfig", "toolChoice", kind]).is_some());
    match forced {
        true => error("Thinking may not be enabled when tool_choice forces tool use."),
        false => Ok(()),
    }
}

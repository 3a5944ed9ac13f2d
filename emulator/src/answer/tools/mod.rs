//! Decides whether an answer calls tools, and with which input.

mod facts;

use serde_json::Value;

use self::facts::Facts;
use super::{
    draft::Content,
    json::{at, list, member, text_at},
    request::Request,
    schema::generate,
    seed::Seed,
    text::{excerpt, words},
};

/// The minimum match between a tool and the prompt, if the request does not force a call. It is
/// reached by one word of the tool's name, or by two words of its description.
const RELATED: usize = 2;
/// The maximum number of tool uses in an answer.
const MOST_CALLS: usize = 8;

/// A tool of the request, and how well it matches the prompt.
struct Candidate<'a> {
    name: &'a str,
    schema: &'a Value,
    score: usize,
}

/// Returns a short text and the tool uses. `None` if the answer does not call a tool.
pub(super) fn blocks(request: &Request<'_>, seed: &mut Seed) -> Option<Vec<Content>> {
    if !request.tool_results().is_empty() || request.last_content().is_empty() {
        return None;
    }
    let last = request
        .messages()
        .iter()
        .rev()
        .find(|message| text_at(message, &["role"]) != Some("system"))?;
    if text_at(last, &["role"]) != Some("user") {
        return None;
    }
    let candidates = candidates(request);
    let chosen = chosen(request, candidates)?;
    let calls = calls(request, &chosen);
    let mut blocks = Vec::new();
    // If the request forces a tool call, the model writes no text before it.
    if at(request.body, &["toolConfig", "toolChoice"])
        .is_none_or(|choice| member(choice, "auto").is_some())
    {
        let names: Vec<&str> = chosen.iter().map(|tool| tool.name).collect();
        blocks.push(Content::text(format!(
            "I'll check that with {} for you: \"{}\".",
            names.join(" and "),
            excerpt(&request.prompt, 10)
        )));
    }
    blocks.extend(calls.into_iter().map(|(name, input)| Content::ToolUse {
        id: format!("tooluse_{}", seed.base62(22)),
        name: name.to_owned(),
        input: input.to_string(),
    }));
    Some(blocks)
}

/// Returns the tools that the caller runs, with the changes in `system` messages applied.
fn candidates<'a>(request: &Request<'a>) -> Vec<Candidate<'a>> {
    let asked = words(&request.prompt);
    let tools = member(request.body, "toolConfig").map_or(&[][..], |config| list(config, "tools"));
    tools
        .iter()
        .filter_map(|tool| member(tool, "toolSpec"))
        .filter_map(|tool| {
            let name = text_at(tool, &["name"])?;
            let schema = at(tool, &["inputSchema", "json"])?;
            let description = text_at(tool, &["description"]).unwrap_or_default();
            let score = if request.prompt.contains(name) {
                10
            } else {
                score(name, description, &asked)
            };
            (!removed(request, name)).then_some(Candidate {
                name,
                schema,
                score,
            })
        })
        .collect()
}

fn score(name: &str, description: &str, asked: &[String]) -> usize {
    let mut apart = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            apart.push(' ');
        }
        apart.push(c);
    }
    let shared = |text: &str| {
        let mut words = words(text);
        words.sort_unstable();
        words.dedup();
        words.iter().filter(|word| asked.contains(word)).count()
    };
    2 * shared(&apart) + shared(description)
}

/// Returns whether the last change of a tool in the conversation is a removal.
fn removed(request: &Request<'_>, name: &str) -> bool {
    let changes = request
        .messages()
        .iter()
        .flat_map(|message| list(message, "content"));
    let of_tool = |block: &Value, kind| text_at(block, &[kind, "tool", "name"]) == Some(name);
    changes.fold(false, |removed, block| {
        (removed || of_tool(block, "toolRemoval")) && !of_tool(block, "toolAddition")
    })
}

fn chosen<'a>(
    request: &Request<'_>,
    mut candidates: Vec<Candidate<'a>>,
) -> Option<Vec<Candidate<'a>>> {
    if let Some(name) = text_at(request.body, &["toolConfig", "toolChoice", "tool", "name"]) {
        candidates.retain(|tool| tool.name == name);
        return (!candidates.is_empty()).then_some(candidates);
    }
    let forced = at(request.body, &["toolConfig", "toolChoice", "any"]).is_some();
    let best = candidates.iter().map(|tool| tool.score).max()?;
    if !forced && (best < RELATED || refuses(&request.prompt)) {
        return None;
    }
    if best < RELATED {
        candidates.truncate(1);
        return Some(candidates);
    }
    let several = several(&request.prompt);
    candidates.retain(|tool| {
        if several {
            tool.score >= RELATED
        } else {
            tool.score == best
        }
    });
    candidates.truncate(if several { MOST_CALLS } else { 1 });
    Some(candidates)
}

fn refuses(prompt: &str) -> bool {
    let lower = prompt.to_lowercase();
    [
        "do not call",
        "don't call",
        "do not use tools",
        "don't use tools",
        "do not use any tool",
        "without tools",
        "without using tools",
    ]
    .iter()
    .any(|phrase| lower.contains(phrase))
}

/// Returns whether the prompt asks about several things.
fn several(prompt: &str) -> bool {
    let lower = prompt.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    words.any(|word| matches!(word, "and" | "both" | "each" | "parallel" | "also" | "then"))
}

/// Returns the tool uses: one for each tool. If a tool takes one place, there is one for each place
/// in the prompt.
fn calls<'a>(request: &Request<'_>, chosen: &[Candidate<'a>]) -> Vec<(&'a str, Value)> {
    let facts = Facts::of(&request.prompt);
    let mut calls = Vec::new();
    for tool in chosen {
        let mut each: Vec<Value> = Vec::new();
        if several(&request.prompt) {
            for place in &facts.places {
                let input = generate(tool.schema, &mut facts.at_place(place));
                if input
                    .to_string()
                    .contains(&Value::from(place.as_str()).to_string())
                    && !each.contains(&input)
                {
                    each.push(input);
                }
            }
        }
        let whole = generate(tool.schema, &mut facts.clone());
        let takes_all = facts
            .places
            .iter()
            .filter(|place| whole.to_string().contains(place.as_str()))
            .count()
            > 1;
        if each.len() < 2 || takes_all {
            each = vec![whole];
        }
        calls.extend(each.into_iter().map(|input| (tool.name, input)));
    }
    calls.truncate(MOST_CALLS);
    calls
}

/// Returns a text about the tool results in the last message. `None` if there are none.
pub(super) fn report(request: &Request<'_>) -> Option<String> {
    let results = request.tool_results();
    let sentences: Vec<String> = results
        .iter()
        .map(|result| sentence(request, result))
        .collect();
    let ending = match request.prompt.trim() {
        "" => "Is there anything else you would like to know?".to_owned(),
        prompt => format!("That answers \"{}\".", excerpt(prompt, 12)),
    };
    (!sentences.is_empty()).then(|| format!("{} {ending}", sentences.join(" ")))
}

fn sentence(request: &Request<'_>, result: &Value) -> String {
    let id = text_at(result, &["toolUseId"]).unwrap_or_default();
    let name = request.tool_called(id).unwrap_or("the tool");
    let parts: Vec<String> = list(result, "content")
        .iter()
        .map(said)
        .filter(|part| !part.is_empty())
        .collect();
    let said = parts.join("; ");
    let said = said.trim_end_matches('.');
    match (text_at(result, &["status"]), said.is_empty()) {
        (Some("error"), true) => format!("The call of {name} failed without saying why."),
        (Some("error"), false) => format!("The call of {name} failed: {said}."),
        (_, true) => format!("{name} returned nothing."),
        (_, false) => format!("{name} returned: {said}."),
    }
}

/// Returns a part of a tool result as text.
fn said(part: &Value) -> String {
    const LONGEST: usize = 80;
    if let Some(json) = member(part, "json") {
        return match json.as_object() {
            Some(members) if members.len() <= 12 => {
                let each: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{name} is {}", plain(value)))
                    .collect();
                excerpt(&each.join(", "), LONGEST)
            }
            _ => excerpt(&plain(json), LONGEST),
        };
    }
    if let Some(text) = text_at(part, &["text"]) {
        return excerpt(text, LONGEST);
    }
    let kind = ["image", "document", "video"]
        .into_iter()
        .find(|kind| member(part, kind).is_some());
    match kind {
        Some(kind) => format!(
            "a file ({kind}, {})",
            text_at(part, &[kind, "format"]).unwrap_or("unknown")
        ),
        None => text_at(part, &["searchResult", "title"])
            .map(|title| format!("the page \"{title}\""))
            .unwrap_or_default(),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

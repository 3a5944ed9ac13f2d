//! Simulates a guardrail that blocks a trigger word and masks personal data in the answer.

use serde_json::{Value, json};

use super::{
    draft::Content,
    json::{at, member, text_at},
    request::Request,
    text::tokens::tokens,
    triggers,
};

/// The guardrail's message that replaces blocked content.
pub(super) const BLOCKED: &str = "Sorry, the model cannot answer this question.";
/// The number of characters in one unit of a policy.
const UNIT: usize = 1000;
/// The maximum number of entities that are found in one text.
const MOST: usize = 200;

/// The result of a guardrail for a call.
pub(super) struct Verdict {
    /// Whether the guardrail has changed the model's answer.
    pub(super) intervened: bool,
    /// `metadata.trace.guardrail`, if the request asks for it.
    pub(super) trace: Option<Value>,
}

/// Personal data in a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entity {
    text: String,
    kind: &'static str,
}

/// Applies the guardrail of the request to the answer. `None` if there is no guardrail.
pub(super) fn apply(request: &Request<'_>, answer: &mut Vec<Content>) -> Option<Verdict> {
    let config = at(request.body, &["guardrailConfig"])?;
    let identifier = text_at(config, &["guardrailIdentifier"]).filter(|id| !id.is_empty())?;
    let id = identifier.rsplit('/').next().unwrap_or(identifier);
    let traced = matches!(
        text_at(config, &["trace"]),
        Some("enabled" | "enabled_full")
    );
    let blocked = triggers::asks(&request.prompt, triggers::GUARDRAIL_BLOCK);
    let output = texts(answer);
    let found = if blocked {
        Vec::new()
    } else {
        entities(&output)
    };
    // With `async`, tokens are forwarded before the guardrail checks them, so nothing can be
    // masked.
    let masks = !found.is_empty() && text_at(config, &["streamProcessingMode"]) != Some("async");
    if blocked {
        *answer = vec![Content::text(BLOCKED)];
    } else if masks {
        answer.iter_mut().for_each(|content| mask(content, &found));
    }
    let trace = traced.then(|| {
        if blocked {
            blocked_trace(id, &request.prompt)
        } else {
            trace(id, request, &output, if masks { &found } else { &[] })
        }
    });
    Some(Verdict {
        intervened: blocked || masks,
        trace,
    })
}

/// Returns a sentence that repeats the personal data of the prompt, so that the guardrail has
/// something to mask.
pub(super) fn mention(request: &Request<'_>) -> Option<String> {
    member(request.body, "guardrailConfig")?;
    let found: Vec<String> = entities(&request.prompt)
        .into_iter()
        .map(|entity| entity.text)
        .collect();
    (!found.is_empty()).then(|| format!(" You mentioned {}.", found.join(" and ")))
}

fn texts(answer: &[Content]) -> String {
    let text = |content: &Content| match content {
        Content::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    answer.iter().filter_map(text).collect()
}

fn mask(content: &mut Content, found: &[Entity]) {
    if let Content::Text { text, .. } = content {
        *text = masked(text, found);
    }
}

/// Returns a text in which each entity is replaced by the name of its type.
pub(super) fn masked(text: &str, found: &[Entity]) -> String {
    found.iter().fold(text.to_owned(), |text, entity| {
        text.replace(&entity.text, &format!("{{{}}}", entity.kind))
    })
}

/// Returns the e-mail addresses, phone numbers and US social security numbers in a text.
pub(super) fn entities(text: &str) -> Vec<Entity> {
    let mut found: Vec<Entity> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || "\"'“”()<>,;".contains(c)) {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '+');
        let Some(kind) = entity(word) else { continue };
        let entity = Entity {
            text: word.to_owned(),
            kind,
        };
        if found.len() < MOST && !found.contains(&entity) {
            found.push(entity);
        }
    }
    found
}

fn entity(word: &str) -> Option<&'static str> {
    let mail = word.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && host.contains('.')
            && host
                .chars()
                .all(|c| c.is_alphanumeric() || ".-".contains(c))
    });
    if mail {
        return Some("EMAIL");
    }
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let groups: Vec<usize> = word.split('-').map(str::len).collect();
    if !word
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.".contains(c))
        || digits == 0
    {
        return None;
    }
    match groups.as_slice() {
        [3, 2, 4] => Some("US_SOCIAL_SECURITY_NUMBER"),
        [3, 3, 4] | [1, 3, 3, 4] | [2, 3, 3, 4] => Some("PHONE"),
        _ if word.starts_with('+') && digits >= 8 => Some("PHONE"),
        _ => None,
    }
}

fn trace(id: &str, request: &Request<'_>, output: &str, masked: &[Entity]) -> Value {
    let mut assessment = metrics(output, true);
    if !masked.is_empty() {
        add(&mut assessment, "sensitiveInformationPolicy", pii(masked));
    }
    json!({
        "modelOutput": [output],
        "inputAssessment": {id: metrics(&request.prompt, false)},
        "outputAssessments": {id: [assessment]},
        "actionReason": if masked.is_empty() { "No action." } else { "Guardrail masked." },
    })
}

fn blocked_trace(id: &str, prompt: &str) -> Value {
    let mut assessment = metrics(prompt, false);
    add(&mut assessment, "wordPolicy", block_of());
    json!({
        "inputAssessment": {id: assessment},
        "actionReason": "Guardrail blocked.",
    })
}

/// Returns the finding for a blocked trigger word.
pub(super) fn block_of() -> Value {
    let word = format!("emulate:{}", triggers::GUARDRAIL_BLOCK);
    json!({"customWords": [{"action": "BLOCKED", "match": word}]})
}

/// Returns the finding for masked personal data.
pub(super) fn pii(found: &[Entity]) -> Value {
    let entity = |entity: &Entity| json!({"action": "ANONYMIZED", "match": entity.text, "type": entity.kind});
    json!({"piiEntities": found.iter().map(entity).collect::<Vec<_>>()})
}

fn add(assessment: &mut Value, policy: &str, found: Value) {
    if let Some(members) = assessment.as_object_mut() {
        members.insert(policy.to_owned(), found);
    }
}

/// Returns the guardrail's metrics. A unit is 1,000 characters, and the latency grows with the
/// text.
pub(super) fn metrics(text: &str, output: bool) -> Value {
    let characters = text.chars().count();
    let units = characters.div_ceil(UNIT).max(1);
    json!({"invocationMetrics": {
        "guardrailProcessingLatency": 210 + tokens(text).count() / 4,
        "usage": {
            "contentPolicyUnits": units,
            "contextualGroundingPolicyUnits": 0,
            "sensitiveInformationPolicyFreeUnits": usize::from(output),
            "sensitiveInformationPolicyUnits": units,
            "topicPolicyUnits": units,
            "wordPolicyUnits": units,
        },
        "guardrailCoverage": {"textCharacters": {"guarded": characters, "total": characters}},
    }})
}

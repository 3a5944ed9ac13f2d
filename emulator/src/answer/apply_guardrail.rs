//! Answers ApplyGuardrail: applies the same guardrail as for Converse, to content without a model.

use serde_json::{Value, json};

use super::{
    guardrail::{BLOCKED, block_of, entities, masked, metrics, pii},
    json::{list, text_at},
    triggers,
};

/// The filters that a response with the output scope `FULL` lists even if they found nothing.
const FILTERS: [&str; 6] = [
    "HATE",
    "INSULTS",
    "MISCONDUCT",
    "PROMPT_ATTACK",
    "SEXUAL",
    "VIOLENCE",
];

/// The texts and images of a request.
struct Content<'a> {
    /// The texts to check, in order.
    guarded: Vec<&'a str>,
    /// The number of characters of all texts.
    characters: usize,
    images: usize,
    /// Whether the content has both a source and a question for contextual grounding.
    is_grounded: bool,
}

impl<'a> Content<'a> {
    fn of(request: &'a Value) -> Self {
        let mut content = Self {
            guarded: Vec::new(),
            characters: 0,
            images: 0,
            is_grounded: false,
        };
        let (mut sources, mut questions) = (false, false);
        for block in list(request, "content") {
            let Some(text) = text_at(block, &["text", "text"]) else {
                content.images += 1;
                continue;
            };
            let qualifiers = list(&block["text"], "qualifiers");
            let has = |name: &str| qualifiers.iter().any(|qualifier| qualifier == name);
            sources |= has("grounding_source");
            questions |= has("query");
            content.characters += text.chars().count();
            // A source or a question is checked only if it is also marked as content.
            if qualifiers.is_empty() || has("guard_content") {
                content.guarded.push(text);
            }
        }
        content.is_grounded = sources && questions;
        content
    }

    /// Returns an assessment that contains only its metrics.
    fn metrics(&self, is_output: bool) -> Value {
        let mut assessment = metrics(&self.guarded.concat(), is_output);
        let invocation = &mut assessment["invocationMetrics"];
        let usage = &mut invocation["usage"];
        usage["contextualGroundingPolicyUnits"] = u64::from(self.is_grounded).into();
        usage["contentPolicyImageUnits"] = self.images.into();
        let coverage = &mut invocation["guardrailCoverage"];
        coverage["textCharacters"]["total"] = self.characters.into();
        if self.images > 0 {
            coverage["images"] = json!({"guarded": self.images, "total": self.images});
        }
        assessment
    }
}

/// Returns the response to a request that is valid under the service model.
pub(super) fn respond(request: &Value) -> Value {
    let content = Content::of(request);
    let is_full = text_at(request, &["outputScope"]) == Some("FULL");
    // The newline between blocks prevents that a word continues in the next block.
    let text = content.guarded.join("\n");
    let is_blocked = triggers::asks(&text, triggers::GUARDRAIL_BLOCK);
    let found = if is_blocked {
        Vec::new()
    } else {
        entities(&text)
    };
    let (reason, outputs) = if is_blocked {
        ("Guardrail blocked.", vec![json!({ "text": BLOCKED })])
    } else if found.is_empty() {
        ("No action.", Vec::new())
    } else {
        let texts = content.guarded.iter();
        let texts = texts.map(|text| json!({"text": masked(text, &found)}));
        ("Guardrail masked.", texts.collect())
    };
    let is_output = text_at(request, &["source"]) == Some("OUTPUT");
    let mut assessment = content.metrics(is_output);
    if is_blocked {
        assessment["wordPolicy"] = block_of();
    }
    if !found.is_empty() {
        assessment["sensitiveInformationPolicy"] = pii(&found);
    }
    if is_full {
        let filters: Vec<Value> = FILTERS.iter().map(|kind| unmatched(kind)).collect();
        assessment["contentPolicy"] = json!({ "filters": filters });
    }
    let metrics = &assessment["invocationMetrics"];
    let action = if is_blocked || !found.is_empty() {
        "GUARDRAIL_INTERVENED"
    } else {
        "NONE"
    };
    json!({
        "usage": metrics["usage"].clone(),
        "action": action,
        "actionReason": reason,
        "outputs": outputs,
        "guardrailCoverage": metrics["guardrailCoverage"].clone(),
        "assessments": [assessment],
    })
}

/// Returns a content filter that found nothing.
fn unmatched(kind: &str) -> Value {
    json!({
        "type": kind,
        "confidence": "NONE",
        "filterStrength": "HIGH",
        "action": "NONE",
        "detected": false,
    })
}

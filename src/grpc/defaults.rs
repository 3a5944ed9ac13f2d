//! Fills in the operator's defaults for parameters that a request does not set.
//!
//! Defaults never turn a request into one that the model rejects. A default is omitted if the
//! caller sets the parameter elsewhere (in raw members or in the model's native fields), or if the
//! model is known to reject the parameter.

use crate::{
    aws::{ModelIdKind, Sampling},
    config::{Defaults, Guardrail, RequestPolicy},
    grpc::enforce,
    pb::{ConverseInput, InferenceConfiguration},
    translate::visit_json::{self, Leaf},
};

/// Parameters that the caller has set in raw members or in the model's native fields.
#[derive(Debug, Default)]
struct Written {
    max_tokens: bool,
    sampling: bool,
    stop_sequences: bool,
    /// Whether thinking is configured. Thinking works only with the model's default sampling.
    thinking: bool,
    /// The token budget for thinking. `max_tokens` must be higher.
    budget: Option<f64>,
    guardrail: bool,
    guardrail_trace: bool,
    guardrail_mode: bool,
}

/// Fills in the defaults. `sampling` are the parameters that all models of the target accept.
pub(super) fn apply(
    defaults: &Defaults,
    policy: &RequestPolicy,
    kind: ModelIdKind,
    sampling: Sampling,
    input: &mut ConverseInput,
) {
    let written = Written::by_caller(input);
    // Prompts of Prompt management define these parameters themselves.
    if kind != ModelIdKind::Prompt {
        let config = input.inference_config.take();
        let had_config = config.is_some();
        let mut config = config.unwrap_or_default();
        inference(defaults, policy, sampling, &written, &mut config);
        let any = had_config || config != InferenceConfiguration::default();
        input.inference_config = any.then_some(config);
    }
    if let Some(default) = &policy.guardrail
        && !default.enforced
    {
        fill_guardrail(default, &written, input);
    }
}

fn inference(
    defaults: &Defaults,
    policy: &RequestPolicy,
    sampling: Sampling,
    written: &Written,
    config: &mut InferenceConfiguration,
) {
    if config.max_tokens.is_none() && !written.max_tokens {
        let ceiling = policy.max_tokens.unwrap_or(i32::MAX);
        let default = defaults.max_tokens.map(|default| default.min(ceiling));
        let exceeds = |default: &i32| written.budget.is_none_or(|it| f64::from(*default) > it);
        config.max_tokens = default.filter(exceeds);
    }
    // A caller that sets only one of the two parameters wants the other one to be unset, so no
    // default is added.
    let said = config.temperature.is_some() || config.top_p.is_some() || written.sampling;
    if !said && !written.thinking {
        let both = (defaults.temperature, defaults.top_p);
        (config.temperature, config.top_p) = match (sampling, both) {
            (Sampling::Both, both) => both,
            (Sampling::EitherOne, (Some(temperature), _)) => (Some(temperature), None),
            (Sampling::EitherOne, (None, top_p)) => (None, top_p),
            (Sampling::Neither, _) => (None, None),
        };
    }
    if config.stop_sequences.is_empty() && !written.stop_sequences {
        config.stop_sequences.clone_from(&defaults.stop_sequences);
    }
}

/// Fills in each guardrail field that the caller does not set. If the caller names a guardrail, its
/// version is not changed.
fn fill_guardrail(default: &Guardrail, written: &Written, input: &mut ConverseInput) {
    if written.guardrail {
        return;
    }
    let default = enforce::configured_guardrail(default);
    let config = input.guardrail_config.get_or_insert_default();
    let is_named = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if !is_named(&config.guardrail_identifier) && !is_named(&config.guardrail_version) {
        config.guardrail_identifier = default.guardrail_identifier;
        config.guardrail_version = default.guardrail_version;
    }
    if config.trace == 0 && !written.guardrail_trace {
        config.trace = default.trace;
    }
    if config.stream_processing_mode == 0 && !written.guardrail_mode {
        config.stream_processing_mode = default.stream_processing_mode;
    }
}

/// Returns whether the JSON of a complete guardrail configuration names a guardrail.
fn names_guardrail(json: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow, rename = "guardrailIdentifier")]
        identifier: &'a serde_json::value::RawValue,
    }
    serde_json::from_str::<Named<'_>>(json).is_ok_and(|named| is_name(named.identifier.get()))
}

/// Returns whether the JSON is a string with at least one character.
fn is_name(json: &str) -> bool {
    serde_json::from_str::<String>(json).is_ok_and(|name| !name.is_empty())
}

impl Written {
    fn by_caller(input: &ConverseInput) -> Self {
        let mut written = Self::default();
        if let Some(fields) = &input.additional_model_request_fields {
            visit_json::visit_fields(fields, &mut |name, leaf| written.field(name, leaf));
        }
        for member in &input.raw_members {
            let steps = visit_json::steps(&member.pointer);
            let step = |index: usize| steps.get(index).map(String::as_str);
            match (step(0), step(1)) {
                (Some("inferenceconfig"), None) => {
                    written.max_tokens = true;
                    written.sampling = true;
                    written.stop_sequences = true;
                }
                (Some("inferenceconfig"), Some(name)) => written.field(name, Leaf::Nested),
                // A null or an empty object must not disable the guardrail. So the default is kept,
                // and the request fails because the raw member conflicts with it.
                (Some("guardrailconfig"), None) => {
                    written.guardrail |= names_guardrail(&member.json);
                }
                (Some("guardrailconfig"), Some("guardrailidentifier")) => {
                    written.guardrail |= is_name(&member.json);
                }
                (Some("guardrailconfig"), Some("trace")) => written.guardrail_trace = true,
                (Some("guardrailconfig"), Some("streamprocessingmode")) => {
                    written.guardrail_mode = true;
                }
                (Some("additionalmodelrequestfields"), _) => {
                    for step in steps.iter().skip(1) {
                        written.field(step, Leaf::Nested);
                    }
                    let last = steps.last().map_or("", String::as_str);
                    visit_json::visit(&member.json, last, &mut |name, leaf| {
                        written.field(name, leaf);
                    });
                }
                _ => {}
            }
        }
        written
    }

    /// Records a value that belongs to the member with this name.
    fn field(&mut self, name: &str, leaf: Leaf<'_>) {
        match name {
            _ if leaf == Leaf::Null => {}
            "thinking" | "reasoning" | "reasoningconfig" => self.thinking = true,
            "budgettokens" => {
                self.thinking = true;
                if let Leaf::Number(budget) = leaf {
                    self.budget = Some(budget);
                }
            }
            // At its highest effort, Nova rejects requests that set the maximum number of tokens.
            "maxreasoningeffort" if leaf == Leaf::Text("high") => self.max_tokens = true,
            "temperature" | "topp" => self.sampling = true,
            "stopsequences" | "stop" => self.stop_sequences = true,
            _ if enforce::is_tokens(name) => self.max_tokens = true,
            _ => {}
        }
    }
}

//! `defaults` and `guardrail`: values for fields that requests leave out.

use crate::config::{section::Section, units};

/// The values for fields that requests leave out. They do not apply to prompts of Prompt
/// management, which contain values themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// `max_tokens`. Bedrock reserves quota for this number, or for the model's maximum if no
    /// number is set.
    pub max_tokens: Option<i32>,
    /// `temperature`, from 0 to 1.
    pub temperature: Option<f64>,
    /// `top_p`, from 0 to 1.
    pub top_p: Option<f64>,
    /// `stop_sequences`.
    pub stop_sequences: Vec<String>,
}

impl Defaults {
    /// Returns these values, completed by those of `outer`. Temperature and `top_p` are always
    /// taken from the same level, because they affect each other.
    #[must_use]
    pub fn over(&self, outer: &Self) -> Self {
        let sampling = if self.temperature.is_some() || self.top_p.is_some() {
            self
        } else {
            outer
        };
        let stop_sequences = if self.stop_sequences.is_empty() {
            &outer.stop_sequences
        } else {
            &self.stop_sequences
        };
        Self {
            max_tokens: self.max_tokens.or(outer.max_tokens),
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            stop_sequences: stop_sequences.clone(),
        }
    }
}

/// A guardrail that Bedrock applies to requests and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guardrail {
    /// The guardrail's ID or ARN. `guardrail.identifier`.
    pub identifier: String,
    /// The guardrail's version, or `DRAFT`. `guardrail.version`.
    pub version: String,
    /// `guardrail.trace`: `enabled`, `disabled` or `enabled_full`.
    pub trace: Option<&'static str>,
    /// `guardrail.stream_processing_mode`: `sync` or `async`.
    pub stream_processing_mode: Option<&'static str>,
    /// Whether the guardrail replaces the guardrails that requests name. If not, it applies only to
    /// requests that name none. `guardrail.enforced`, default: false.
    pub enforced: bool,
}

/// Reads the defaults. Returns the guardrail separately, because it is part of the target's policy.
pub(in crate::config) fn read(mut section: Section<'_>) -> (Defaults, Option<Guardrail>) {
    let defaults = Defaults {
        max_tokens: section.value("max_tokens", |text| units::number(text, 1, i32::MAX)),
        temperature: section.value("temperature", units::fraction),
        top_p: section.value("top_p", units::fraction),
        stop_sequences: section
            .list("stop_sequences", units::text)
            .unwrap_or_default(),
    };
    let guardrail = section.optional_section("guardrail").and_then(guardrail);
    section.finish();
    (defaults, guardrail)
}

/// Reads a guardrail.
pub(in crate::config) fn guardrail(mut section: Section<'_>) -> Option<Guardrail> {
    let identifier = section.value("identifier", units::text);
    let version = section.value("version", version);
    let trace = section.value("trace", |text| {
        word(text, &["enabled", "disabled", "enabled_full"])
    });
    let mode = section.value("stream_processing_mode", |text| {
        word(text, &["sync", "async"])
    });
    let enforced = section.value("enforced", units::boolean);
    for key in ["identifier", "version"] {
        if !section.has_had(key) {
            section.report(
                key,
                "required: a guardrail needs an identifier and a version",
            );
        }
    }
    section.finish();
    Some(Guardrail {
        identifier: identifier?,
        version: version?,
        trace,
        stream_processing_mode: mode,
        enforced: enforced.unwrap_or_default(),
    })
}

fn version(text: &str) -> Result<String, String> {
    let digits = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits || text == "DRAFT" {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is neither a version of 1 to 8 digits nor DRAFT"
    ))
}

fn word(text: &str, words: &[&'static str]) -> Result<&'static str, String> {
    let pairs: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
    units::one_of(text, &pairs)
}

//! `targets` and `allowed_model_ids`: what callers may name, and where it leads.

use std::collections::BTreeMap;

use super::{
    section::{Reading, Section},
    units,
    yaml::Key,
};

/// What callers may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Aliases, by name. `targets`.
    pub aliases: BTreeMap<String, Alias>,
    /// Patterns of model IDs and ARNs that callers may name themselves; `*` stands for any characters.
    /// `allowed_model_ids`, default: none.
    pub allowed_model_ids: Vec<String>,
}

/// A name of the operator's, and where it leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// What it is for. `targets.<name>.description`.
    pub description: String,
    /// A model ID, an inference profile's ID, or an ARN. `targets.<name>.model_id`. Required.
    pub model_id: String,
    /// The Region to call. `targets.<name>.region`, default: the ARN's own, or else the gateway's.
    pub region: Option<String>,
    /// `max_tokens` for requests that set none: quotas are reserved by it. `targets.<name>.default_max_tokens`, default: none.
    pub default_max_tokens: Option<i32>,
}

pub(super) fn read(root: &mut Section<'_>, reading: &Reading<'_>) -> Targets {
    let mut aliases = BTreeMap::new();
    for (key, section) in root.named_sections("targets") {
        check_alias_name(&key, reading);
        if let Some(alias) = read_alias(section) {
            aliases.insert(key.name, alias);
        }
    }
    let allowed_model_ids = root
        .list("allowed_model_ids", units::text)
        .unwrap_or_default();
    Targets {
        aliases,
        allowed_model_ids,
    }
}

/// Aliases hold neither `.` nor `:`, so that no string is both an alias and a model ID.
fn check_alias_name(key: &Key, reading: &Reading<'_>) {
    let well_formed = !key.name.is_empty()
        && key.name.len() <= 64
        && key
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !well_formed {
        reading.report(
            format!("targets.{}", key.name),
            key.place,
            "an alias has 1 to 64 letters, digits, `-` and `_`; with `.` or `:` it could be taken for a model ID",
        );
    }
}

fn read_alias(mut section: Section<'_>) -> Option<Alias> {
    let description = section
        .value("description", units::text)
        .unwrap_or_default();
    let model_id = section.value("model_id", units::text);
    let region = section.value("region", region);
    let default_max_tokens = section.value("default_max_tokens", |text| {
        units::number(text, 1, i32::MAX)
    });
    if model_id.is_none() {
        section.report(
            "model_id",
            "required: a model ID, an inference profile's ID such as us.anthropic.claude-sonnet-5, or an ARN",
        );
    }
    section.finish();
    Some(Alias {
        description,
        model_id: model_id?,
        region,
        default_max_tokens,
    })
}

/// `us-east-1` and the like.
pub(super) fn region(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let is_region = parts.len() >= 3
        && parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        && parts
            .last()
            .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if is_region {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not an AWS Region; write one such as us-east-1"
    ))
}

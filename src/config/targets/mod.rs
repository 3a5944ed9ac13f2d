//! `targets` and `allowed_model_ids`: what callers may name, and where it leads.

mod defaults;
mod links;
mod routes;

use std::{collections::BTreeMap, time::Duration};

use super::{
    attribution,
    request_policy::{self, RequestPolicy},
    section::{Reading, Section},
    units,
    yaml::Key,
};
use crate::aws::{Fence, Geography, Place, pattern};

pub(in crate::config) use defaults::guardrail;
pub use defaults::{Defaults, Guardrail};
pub use routes::RouteOptions;
pub(super) use routes::region;

/// What callers may name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Aliases, by name. `targets`.
    pub aliases: BTreeMap<String, Alias>,
    /// Patterns of model IDs and ARNs that callers may name themselves, as
    /// [`pattern::matches`](crate::aws::pattern::matches) reads them. `allowed_model_ids`, default: none.
    pub allowed_model_ids: Vec<String>,
    /// Where requests of all targets may be served. `only`, default: everywhere.
    pub only: Fence,
    /// What is enforced on the requests of all targets.
    pub policy: RequestPolicy,
}

/// A name of the operator's, and where it leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alias {
    /// What it is for. `targets.<name>.description`.
    pub description: String,
    /// The ways to serve it, at least one. `targets.<name>.routes`, or `model_id` with `region` or `regions` for a single one.
    pub routes: Vec<RouteOptions>,
    /// The alias whose routes are tried when none of these answers. `targets.<name>.fallback`, default: none.
    pub fallback: Option<String>,
    /// Where requests may be served, within the gateway's own `only`. `targets.<name>.only`, default: everywhere.
    pub only: Fence,
    /// What is asked of the model if the caller says nothing. `targets.<name>.defaults`.
    pub defaults: Defaults,
    /// What is enforced on requests, beside what is for all targets. `guardrail` may also be in `defaults`.
    pub policy: RequestPolicy,
    /// How long things may take here. `targets.<name>.limits`, default: `limits`.
    pub limits: TargetLimits,
    /// What every request carries for cost reports, whatever the caller says. `targets.<name>.request_metadata`.
    pub request_metadata: BTreeMap<String, String>,
}

/// Limits of one target. What is absent is as in [`Limits`](super::Limits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetLimits {
    /// The longest deadline that a caller may set. `targets.<name>.limits.max_deadline`.
    pub max_deadline: Option<Duration>,
    /// Until Bedrock's first event, for each attempt. `targets.<name>.limits.first_event`.
    pub first_event: Option<Duration>,
    /// Between two events of Bedrock's. `targets.<name>.limits.idle`.
    pub idle: Option<Duration>,
    /// The most attempts of a call. `targets.<name>.limits.max_attempts`.
    pub max_attempts: Option<u32>,
}

impl Alias {
    /// An alias for one model ID, inference profile or ARN, and nothing else.
    pub fn to(model_id: impl Into<String>) -> Self {
        Self {
            routes: vec![RouteOptions::to(model_id)],
            ..Self::default()
        }
    }
}

/// Reads the targets. The ceiling is `limits.max_tokens`, which is in a section of its own.
pub(super) fn read(
    root: &mut Section<'_>,
    max_tokens: Option<i32>,
    reading: &Reading<'_>,
) -> Targets {
    let policy = RequestPolicy {
        max_tokens,
        ..request_policy::read(root)
    };
    let only = root.list("only", place).map(Fence::around);
    let mut places = BTreeMap::new();
    let mut aliases = BTreeMap::new();
    for (key, section) in root.named_sections("targets") {
        check_alias_name(&key, reading);
        places.insert(key.name.clone(), key.place);
        aliases.insert(key.name, read_alias(section));
    }
    let allowed_model_ids = root.list("allowed_model_ids", pattern).unwrap_or_default();
    let targets = Targets {
        aliases,
        allowed_model_ids,
        only: only.unwrap_or_default(),
        policy,
    };
    links::check(&targets, &places, reading);
    targets
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

fn read_alias(mut section: Section<'_>) -> Alias {
    let (defaults, default_guardrail) = defaults::read(section.section("defaults"));
    let mut policy = request_policy::read(&mut section);
    if policy.guardrail.is_some() && default_guardrail.is_some() {
        section.report(
            "guardrail",
            "either `guardrail` or `defaults.guardrail`, but not both",
        );
    }
    policy.guardrail = policy.guardrail.or(default_guardrail);
    let mut limits = section.section("limits");
    policy.max_tokens = request_policy::max_tokens(&mut limits);
    let alias = Alias {
        description: section
            .value("description", units::text)
            .unwrap_or_default(),
        routes: routes::read(&mut section),
        fallback: section.value("fallback", units::text),
        only: section
            .list("only", place)
            .map(Fence::around)
            .unwrap_or_default(),
        defaults,
        policy,
        limits: read_limits(limits),
        request_metadata: attribution::read_metadata(&mut section, "request_metadata"),
    };
    section.finish();
    alias
}

fn read_limits(mut section: Section<'_>) -> TargetLimits {
    let limits = TargetLimits {
        max_deadline: section.value("max_deadline", units::positive_duration),
        first_event: section.value("first_event", units::positive_duration),
        idle: section.value("idle", units::positive_duration),
        max_attempts: section.value("max_attempts", |text| units::number(text, 1, 10)),
    };
    section.finish();
    limits
}

/// A pattern of model IDs or of ARNs.
pub(in crate::config) fn pattern(text: &str) -> Result<String, String> {
    let text = units::text(text)?;
    pattern::check(&text).map(|()| text)
}

/// `eu`, `global` and the like, or a Region.
fn place(text: &str) -> Result<Place, String> {
    if let Some(geography) = Geography::named(text) {
        return Ok(Place::Geography(geography));
    }
    region(text).map(Place::Region).map_err(|_| {
        let names: Vec<_> = Geography::names().collect();
        format!(
            "`{text}` is neither a geography ({}) nor an AWS Region such as eu-west-1",
            names.join(", ")
        )
    })
}

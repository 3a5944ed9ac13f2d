//! Rules for request metadata, projects, prompt variables, response field paths and raw members.

use std::collections::HashMap;

use super::common::{Word, longer_than};
use super::json;
use super::path::{Shown, Violations};
use crate::{
    aws::project,
    config::attribution::{MAX_CHARS, MAX_PAIRS, is_allowed},
    pb,
};

/// The maximum number of paths, and their maximum length. Source: Bedrock's service model.
const MAX_PATHS: usize = 10;
const MAX_PATH_CHARS: usize = 256;

const METADATA_TEXT: Word = Word {
    max: MAX_CHARS,
    set: "`[a-zA-Z0-9\\s:_@$#=/+,-.]`",
    allowed: is_allowed,
};

pub(super) fn request_metadata(pairs: &HashMap<String, String>, out: &mut Violations) {
    const FIELD: &str = "request_metadata";
    let Word { max, set, .. } = METADATA_TEXT;
    if pairs.len() > MAX_PAIRS {
        out.add_at(
            FIELD,
            format_args!("has {} pairs: at most {MAX_PAIRS} are allowed", pairs.len()),
        );
    }
    for (key, _) in sorted(pairs, |key, _| key.is_empty() || !METADATA_TEXT.fits(key)) {
        out.add_at_key(
            FIELD,
            key,
            format_args!("invalid key: use 1 to {max} characters of {set}"),
        );
    }
    for (key, value) in sorted(pairs, |_, value| !METADATA_TEXT.fits(value)) {
        out.add_at_key(
            FIELD,
            key,
            format_args!(
                "invalid value {}: use 0 to {max} characters of {set}",
                Shown(value)
            ),
        );
    }
}

pub(super) fn project_identifier(identifier: Option<&str>, out: &mut Violations) {
    if let Some(identifier) = identifier
        && !project::is_identifier(identifier)
    {
        let most = project::MAX_CHARS;
        out.add_at(
            "project_identifier",
            format_args!(
                "{} is not a project: use its ID (1 to {most} characters of `[a-zA-Z0-9_-]`), its ARN, or `default`; leave the field out for the project that the gateway has set",
                Shown(identifier)
            ),
        );
    }
}

pub(super) fn prompt_variables(
    variables: &HashMap<String, pb::PromptVariableValues>,
    out: &mut Violations,
) {
    for (name, _) in sorted(variables, |_, variable| variable.value.is_none()) {
        out.missing_at_key("prompt_variables", name, "has no value: set `text`");
    }
}

pub(super) fn response_field_paths(paths: &[String], out: &mut Violations) {
    const FIELD: &str = "additional_model_response_field_paths";
    if paths.len() > MAX_PATHS {
        out.add_at(
            FIELD,
            format_args!("has {} paths: at most {MAX_PATHS} are allowed", paths.len()),
        );
    }
    out.items(FIELD, paths, |path, out| {
        if path.is_empty() || longer_than(path, MAX_PATH_CHARS) {
            out.add(format_args!("must have 1 to {MAX_PATH_CHARS} characters"));
        } else if let Err(problem) = json::pointer(path) {
            out.add(format_args!("{}: {problem}", Shown(path)));
        }
    });
}

pub(super) fn raw_members(members: &[pb::RawMember], out: &mut Violations) {
    out.items("raw_members", members, |member, out| {
        if let Err(problem) = json::pointer(&member.pointer) {
            out.add_at(
                "pointer",
                format_args!("{}: {problem}", Shown(&member.pointer)),
            );
        }
        json::text("json", &member.json, out);
    });
}

/// Returns the invalid entries sorted by their keys, so that the violations of a request are always
/// in the same order.
fn sorted<V>(
    map: &HashMap<String, V>,
    wrong: impl Fn(&str, &V) -> bool,
) -> impl Iterator<Item = (&String, &V)> {
    let mut entries: Vec<_> = map
        .iter()
        .filter(|(key, value)| wrong(key, value))
        .collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries.into_iter()
}

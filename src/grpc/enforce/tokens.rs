//! Enforces the maximum number of output tokens.

use crate::{pb::ConverseInput, validate::Violations};

/// The names of the maximum number of output tokens in models' native fields, in lower case and
/// without separators. The budget for thinking is a part of that number.
const NAMES: [&str; 10] = [
    "maxtokens",
    "maxtokenstosample",
    "maxnewtokens",
    "maxtokencount",
    "maxgenlen",
    "maxgenerationlength",
    "maxcompletiontokens",
    "maxoutputtokens",
    "maxlength",
    "budgettokens",
];

/// Returns whether a member is a number of output tokens. `name` is in lower case and without
/// separators.
pub(in crate::grpc) fn is_name(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Returns whether a number is within the maximum. Returns false for NaN.
pub(super) fn is_within(number: f64, ceiling: i32) -> bool {
    number <= f64::from(ceiling)
}

pub(super) fn refusal(ceiling: i32) -> String {
    format!("asks for more output tokens than this gateway allows: use at most {ceiling}")
}

pub(super) fn check(ceiling: i32, input: &ConverseInput, out: &mut Violations) {
    let asked = input
        .inference_config
        .as_ref()
        .and_then(|config| config.max_tokens);
    if asked.is_some_and(|asked| asked > ceiling) {
        out.field("inference_config", |out| {
            out.add_at("max_tokens", refusal(ceiling));
        });
    }
}

/// Sets the maximum in a request that has no number of tokens. Without it, the model's maximum
/// would apply.
pub(super) fn write(ceiling: i32, input: &mut ConverseInput) {
    let config = input.inference_config.get_or_insert_default();
    let asked = config.max_tokens.unwrap_or(ceiling);
    config.max_tokens = Some(asked.min(ceiling));
}

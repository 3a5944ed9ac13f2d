//! Enforces the maximum number of output tokens.

use crate::{pb::ConverseInput, validate::Violations};

/// Names of native fields for the maximum number of output tokens that do not contain `token`. All
/// names in this file are in lower case and without separators.
const NAMES: [&str; 11] = [
    "numpredict",
    "npredict",
    "maxgenlen",
    "maxgenlength",
    "maxgenerationlength",
    "maxlength",
    "maxlen",
    "maxnewlength",
    "maxoutputlength",
    "maxcompletionlength",
    "maxdecodelength",
];
/// Words in the names of native fields that limit or extend the number of output tokens. The budget
/// for thinking is included, because thinking is a part of the output.
const OF_OUTPUT: [&str; 10] = [
    "max", "budget", "limit", "count", "predict", "generat", "complet", "output", "new", "num",
];
/// Words in the names of native fields that count tokens other than output tokens.
const NOT_OF_OUTPUT: [&str; 4] = ["input", "prompt", "context", "tokenid"];

/// Names of native fields for the number of answers to one request.
const ANSWERS: [&str; 10] = [
    "n",
    "bestof",
    "numgenerations",
    "numresults",
    "numreturnsequences",
    "numcompletions",
    "numcandidates",
    "candidatecount",
    "numsamples",
    "numoutputs",
];

/// Returns whether the name of a member means a number of output tokens: `max_tokens`,
/// `maxTokenCount`, `budget_tokens`, `num_predict`. `name` is in lower case and without separators.
pub(in crate::grpc) fn is_name(name: &str) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let of_output = || name.contains("token") && has(&OF_OUTPUT) && !has(&NOT_OF_OUTPUT);
    NAMES.contains(&name) || of_output()
}

/// Returns whether the name of a member means a number of answers. `name` is in lower case and
/// without separators.
pub(super) fn is_answers(name: &str) -> bool {
    ANSWERS.contains(&name)
}

pub(super) const ONE_ANSWER: &str = "asks for several answers, but this gateway limits the number of output tokens: ask for one answer";

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

/// Sets the maximum in a request that sets no number of tokens. Otherwise the model's maximum would
/// apply.
pub(super) fn write(ceiling: i32, input: &mut ConverseInput) {
    let config = input.inference_config.get_or_insert_default();
    let asked = config.max_tokens.unwrap_or(ceiling);
    config.max_tokens = Some(asked.min(ceiling));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_numbers_of_output_tokens() {
        for name in [
            "maxtokens",
            "maxtokenstosample",
            "maxnewtokens",
            "maxtokencount",
            "maxgenlen",
            "maxcompletiontokens",
            "maxoutputtokens",
            "maxthinkingtokens",
            "budgettokens",
            "thinkingtokenbudget",
            "tokenlimit",
            "numpredict",
            "npredict",
            "numoutputtokens",
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "temperature",
            "topk",
            "stoptokenids",
            "eostokenid",
            "maxinputtokens",
            "truncateprompttokens",
            "skipspecialtokens",
            "tokenizer",
            "maxcontexttokens",
            "n",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}

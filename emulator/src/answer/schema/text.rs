//! Generates strings that match their schema.

use serde_json::{Map, Value};

use super::{format::of_format, keyword::count, pattern::Pattern};

/// The maximum length of a generated text, in characters. It applies even if a schema requires a
/// longer text.
const LONGEST: usize = 10_000;

/// Returns a string for a property that the prompt does not mention. Each `index` returns another
/// string.
pub(super) fn generate(schema: &Map<String, Value>, name: &str, index: usize) -> String {
    let keyword = |name: &str| schema.get(name).and_then(Value::as_str);
    let min = count(schema, "minLength").unwrap_or(0).min(LONGEST);
    let max = count(schema, "maxLength").unwrap_or(usize::MAX);
    if let Some(text) = keyword("pattern")
        .and_then(Pattern::parse)
        .and_then(|pattern| pattern.sample(min + index))
    {
        return text;
    }
    if let Some(text) = keyword("format").and_then(|format| of_format(format, index)) {
        return text;
    }
    let word = name.replace(['_', '-'], " ");
    let word = if word.trim().is_empty() {
        "value"
    } else {
        word.trim()
    };
    let text = match index {
        0 => format!("example {word}"),
        _ => format!("{} example {word}", index + 1),
    };
    fill(&text, min, max)
}

/// Returns the text, lengthened or shortened to the limits.
fn fill(text: &str, min: usize, max: usize) -> String {
    text.chars()
        .chain(" and more".chars().cycle())
        .take(text.chars().count().max(min).min(max))
        .collect()
}

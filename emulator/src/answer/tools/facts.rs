//! Finds values in a prompt that a tool's input can use: places, numbers, dates, quotations.

use serde_json::{Map, Number, Value};

use super::super::{
    schema::{Hints, kind},
    text::topics,
};

/// The values in a prompt, by kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    prompt: String,
    lower: String,
    pub(super) places: Vec<String>,
    numbers: Vec<Value>,
    quoted: Vec<String>,
    /// E-mail addresses, web addresses and dates, which can be recognized by their format.
    formed: Vec<String>,
    /// The subject of the prompt.
    topic: Option<String>,
    /// Values that were already used.
    used: Vec<Value>,
}

/// The maximum number of characters of a prompt that are searched for values.
const LONGEST: usize = 20_000;

impl Facts {
    pub(super) fn of(prompt: &str) -> Self {
        let prompt = prompt
            .char_indices()
            .nth(LONGEST)
            .and_then(|(end, _)| prompt.get(..end))
            .unwrap_or(prompt);
        let bare = |word: &str| {
            word.trim_matches(|c: char| ",;:!?\"'()<>".contains(c))
                .trim_end_matches('.')
                .to_owned()
        };
        let words: Vec<String> = prompt.split_whitespace().map(bare).collect();
        Self {
            prompt: prompt.to_owned(),
            topic: topics(prompt).into_iter().next(),
            lower: prompt.to_lowercase(),
            places: places(&without_quotations(prompt)),
            numbers: words.iter().filter_map(|word| number(word)).collect(),
            quoted: quoted(prompt),
            formed: words
                .into_iter()
                .filter(|word| word.contains('@') || word.contains("://") || is_date(word))
                .collect(),
            used: Vec::new(),
        }
    }

    /// Returns the same facts, but with only this place.
    pub(super) fn at_place(&self, place: &str) -> Self {
        Self {
            places: vec![place.to_owned()],
            used: Vec::new(),
            ..self.clone()
        }
    }

    fn strings(&self, name: &str, schema: &Map<String, Value>) -> Vec<String> {
        let description = schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let says = |hints: &[&str]| {
            let name = name.to_lowercase();
            hints.iter().any(|hint| name.contains(hint))
        };
        let explains = |hints: &[&str]| {
            let description = description.to_lowercase();
            hints.iter().any(|hint| description.contains(hint))
        };
        let formed =
            |test: fn(&str) -> bool| self.formed.iter().filter(move |word| test(word)).cloned();
        let mut found = Vec::new();
        if says(&["email", "mail"]) || schema.get("format").and_then(Value::as_str) == Some("email")
        {
            found.extend(formed(|word| word.contains('@')));
        }
        if says(&["url", "uri", "link", "website"]) || schema.contains_key("format") {
            found.extend(formed(|word| word.contains("://")));
        }
        if says(&["date", "day"]) || schema.contains_key("format") {
            found.extend(formed(is_date));
        }
        if says(&PLACES) || explains(&PLACES) {
            found.extend(self.places.iter().cloned());
        }
        if says(&[
            "query", "question", "prompt", "message", "text", "input", "search", "request",
        ]) {
            found.extend(self.quoted.iter().cloned());
            found.push(self.prompt.trim().to_owned());
        }
        if says(&[
            "name", "title", "person", "author", "sign", "station", "symbol", "company", "subject",
            "topic",
        ]) || explains(&["name"])
        {
            found.extend(self.quoted.iter().cloned());
            found.extend(self.places.iter().cloned());
        }
        if found.is_empty() && !schema.contains_key("format") {
            found.extend(self.quoted.iter().cloned());
        }
        found
    }
}

const PLACES: [&str; 10] = [
    "city",
    "cities",
    "location",
    "place",
    "destination",
    "origin",
    "country",
    "state",
    "region",
    "address",
];

impl Hints for Facts {
    fn candidates(&mut self, name: &str, schema: &Map<String, Value>) -> Vec<Value> {
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
            let mentioned = |value: &&Value| match value {
                Value::String(text) => text.len() > 1 && self.lower.contains(&text.to_lowercase()),
                value => self.numbers.contains(value),
            };
            return allowed.iter().filter(mentioned).cloned().collect();
        }
        let fresh = |values: Vec<Value>| {
            values
                .into_iter()
                .filter(|value| !self.used.contains(value))
                .collect()
        };
        match kind(schema) {
            "string" => self
                .strings(name, schema)
                .into_iter()
                .map(Value::String)
                .collect(),
            "integer" | "number" => fresh(self.numbers.clone()),
            "array" => {
                let item = schema.get("items").and_then(Value::as_object);
                let strings = item
                    .filter(|item| kind(item) == "string")
                    .map(|item| self.strings(name, item));
                let all: Vec<Value> = match (strings, item.map(kind)) {
                    (Some(strings), _) => strings
                        .into_iter()
                        .filter(|text| text != self.prompt.trim())
                        .map(Value::String)
                        .collect(),
                    (None, Some("integer" | "number")) => self.numbers.clone(),
                    _ => Vec::new(),
                };
                let mut distinct: Vec<Value> = Vec::new();
                for value in all {
                    if !distinct.contains(&value) {
                        distinct.push(value);
                    }
                }
                if distinct.is_empty() {
                    Vec::new()
                } else {
                    vec![Value::Array(distinct)]
                }
            }
            _ => Vec::new(),
        }
    }

    fn topic(&self) -> Option<Value> {
        self.topic.clone().map(Value::String)
    }

    fn used(&mut self, value: &Value) {
        self.used.push(value.clone());
    }
}

/// Returns the names after words such as `in` and `for`. For example, in `the weather in San
/// Francisco, CA and Paris?`, it finds `San Francisco, CA`.
fn places(prompt: &str) -> Vec<String> {
    const BEFORE: [&str; 14] = [
        "in", "for", "at", "of", "near", "to", "from", "and", "on", "or", "visit", "about",
        "between", "versus",
    ];
    let words: Vec<&str> = prompt.split_whitespace().collect();
    let mut found: Vec<String> = Vec::new();
    let mut index = 0;
    let mut follows = false;
    while let Some(word) = words.get(index) {
        index += 1;
        let begins = follows && is_name(word);
        follows = BEFORE.contains(&word.to_lowercase().as_str())
            || (begins && word.ends_with(','))
            || word.ends_with(':');
        if !begins {
            continue;
        }
        let mut name = vec![*word];
        while let Some(next) = words.get(index).filter(|next| is_name(next)) {
            let before = name.last().copied().unwrap_or_default();
            let bare = next.trim_end_matches(|c: char| !c.is_alphanumeric());
            // After a comma, only the abbreviation of a state continues the name: `Austin, TX` is
            // one name, but `Austin, Dallas` is not.
            let state = bare.len() == 2 && bare.chars().all(|c| c.is_ascii_uppercase());
            if before.ends_with(['.', '?', '!', ';', ':']) || (before.ends_with(',') && !state) {
                break;
            }
            name.push(next);
            index += 1;
        }
        follows = name.last().is_some_and(|last| last.ends_with(','));
        let name = name.join(" ");
        let name = name
            .trim_matches(|c: char| !c.is_alphanumeric())
            .trim_end_matches("'s")
            .to_owned();
        if !name.is_empty() && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn is_name(word: &str) -> bool {
    let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    bare.starts_with(char::is_uppercase) && bare != "I"
}

/// Parses a number in a prompt, such as `20`, `3.5`, `$1,200` or `40%`.
fn number(word: &str) -> Option<Value> {
    let plain = word
        .trim_start_matches(['$', '€', '#'])
        .trim_end_matches(['%', '°'])
        .replace(',', "");
    if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    if let Ok(whole) = plain.parse::<i64>() {
        return Some(whole.into());
    }
    let decimal = plain
        .parse::<f64>()
        .ok()
        .filter(|decimal| decimal.fract() != 0.0)?;
    Number::from_f64(decimal).map(Value::Number)
}

fn quoted(prompt: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (open, close) in [('"', '"'), ('“', '”'), ('`', '`')] {
        let mut rest = prompt;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inside, after)) = after.split_once(close) else {
                break;
            };
            if !inside.trim().is_empty() {
                found.push(inside.to_owned());
            }
            rest = after;
        }
    }
    found
}

fn without_quotations(prompt: &str) -> String {
    quoted(prompt)
        .iter()
        .fold(prompt.to_owned(), |rest, quotation| {
            rest.replace(quotation.as_str(), "")
        })
}

fn is_date(word: &str) -> bool {
    word.len() == 10
        && word.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_places() {
        for (prompt, expected) in [
            (
                "What is the weather in San Francisco, CA?",
                &["San Francisco, CA"][..],
            ),
            (
                "the weather in Seattle and San Francisco today?",
                &["Seattle", "San Francisco"],
            ),
            (
                "Compare rain in Rome, Paris and Oslo.",
                &["Rome", "Paris", "Oslo"],
            ),
            (
                "What's the weather in San Francisco and what time is it there?",
                &["San Francisco"],
            ),
            (
                "an array containing: Tokyo, Osaka, and Nagoya",
                &["Tokyo", "Osaka", "Nagoya"],
            ),
            ("nothing here", &[]),
        ] {
            assert_eq!(places(prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn finds_values() {
        let facts =
            Facts::of("Send \"Hi there\" to jo@example.com on 2026-03-01 for $1,200.50, 20 + 22.");
        assert_eq!(facts.quoted, ["Hi there"]);
        assert_eq!(facts.formed, ["jo@example.com", "2026-03-01"]);
        assert_eq!(
            facts.numbers,
            [Value::from(1200.5), Value::from(20), Value::from(22)]
        );
    }
}

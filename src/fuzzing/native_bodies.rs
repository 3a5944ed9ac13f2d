//! Enforces settings in bodies in the models' own formats.

use serde_json::Value;

use super::input::Input;
use crate::{
    aws::{MaxTokens, NativeFormat},
    grpc::enforced_body,
};

/// The maximum number of output tokens that is enforced.
const CEILING: u64 = 50;
/// The formats that are tried.
const FORMATS: [NativeFormat; 8] = [
    NativeFormat::TitanEmbedding,
    NativeFormat::Anthropic,
    NativeFormat::TitanText,
    NativeFormat::Nova,
    NativeFormat::OpenAi,
    NativeFormat::Llama,
    NativeFormat::AmazonImage,
    NativeFormat::Rerank,
];

/// The first byte selects the format. The rest is the body.
pub fn native_bodies(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let index = usize::from(input.byte()) % FORMATS.len();
    let format = FORMATS.get(index).copied().expect("a format");
    let body = input.rest();
    let Some(sent) = enforced_body(format, CEILING, body) else {
        return;
    };
    // serde_json refuses deep nesting, unpaired surrogates and numbers that are too large.
    let Ok(before) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let after: Value = serde_json::from_str(&sent).expect("the result is JSON");

    // No object in Amazon S3 is named: no location is allowed.
    let mut texts = Vec::new();
    collect(&after, &mut texts);
    assert!(
        texts.iter().all(|text| !text.starts_with("s3://")),
        "{texts:?}"
    );

    let Some(MaxTokens { path, alternative }) = format.max_tokens() else {
        assert_eq!(sent.as_bytes(), body, "nothing is enforced in this format");
        return;
    };
    let at = |value: &Value| {
        let found = path
            .iter()
            .try_fold(value, |at, name| at.get(*name))
            .or_else(|| value.get(alternative?));
        found.cloned()
    };
    let maximum = at(&after).and_then(|value| value.as_u64());
    let maximum = maximum.expect("the maximum is an integer");
    assert!((1..=CEILING).contains(&maximum), "{maximum}");
    if at(&before).is_some() {
        assert_eq!(sent.as_bytes(), body, "a maximum that is allowed stays");
    } else {
        assert_eq!(maximum, CEILING, "a missing maximum is added");
        // The added text is in one piece: without it, the body is the same.
        let added = sent.len() - body.len();
        let start = body.iter().zip(sent.as_bytes()).take_while(|(a, b)| a == b);
        let start = start.count();
        assert_eq!(sent.as_bytes().get(start + added..), body.get(start..));
    }
}

/// Collects the strings of a value.
fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.values().for_each(|item| collect(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

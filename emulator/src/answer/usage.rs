//! Calculates the token usage of a call: estimates the input, and how much of it is cached.
//!
//! The emulator has no tokenizer. It counts four characters as one token, which is a common
//! estimate for English, and uses round figures for media.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    json::{list, member, only, text_at},
    request::Request,
    seed::Seed,
    style::Style,
};

const CHARACTERS_PER_TOKEN: usize = 4;
/// The tokens of an image of about one megapixel.
const IMAGE_TOKENS: u64 = 1600;
/// The tokens of media in Amazon S3. The emulator does not read their bytes.
const REMOTE_TOKENS: u64 = 1000;
/// The number of base64 characters per token, for documents, videos and audio, which are
/// compressed.
const MEDIA_CHARACTERS_PER_TOKEN: usize = 100;
/// The tokens that a message has in addition to its content. They represent its role.
const MESSAGE_TOKENS: u64 = 3;

/// Returns `metadata.usage`.
pub(super) fn usage(request: &Request<'_>, output: u64, style: &Style) -> Value {
    let parts = parts(request.body);
    let all: u64 = parts.iter().map(Part::tokens).sum();
    let cached = cached(request.model_id, &parts, style);
    let input = all - cached.read - cached.written;
    let mut usage = Map::new();
    usage.insert("inputTokens".to_owned(), json!(input));
    usage.insert("outputTokens".to_owned(), json!(output));
    usage.insert("totalTokens".to_owned(), json!(all + output));
    if parts.iter().any(|part| matches!(part, Part::CachePoint(_))) {
        usage.insert("cacheReadInputTokens".to_owned(), json!(cached.read));
        usage.insert("cacheWriteInputTokens".to_owned(), json!(cached.written));
        if !cached.details.is_empty() {
            usage.insert("cacheDetails".to_owned(), Value::Array(cached.details));
        }
    }
    Value::Object(usage)
}

/// Returns the number of input tokens of a request, as `CountTokens` returns it.
pub(super) fn input_tokens(body: &Value) -> u64 {
    parts(body).iter().map(Part::tokens).sum()
}

/// A part of the input. Parts are in the order in which models read them: tools, system prompt,
/// messages.
enum Part {
    Content {
        tokens: u64,
        json: String,
    },
    /// A cache point, with its time to live as text.
    CachePoint(String),
}

impl Part {
    const fn tokens(&self) -> u64 {
        match self {
            Self::Content { tokens, .. } => *tokens,
            Self::CachePoint(_) => 0,
        }
    }
}

fn parts(body: &Value) -> Vec<Part> {
    let tools = member(body, "toolConfig").map_or(&[][..], |config| list(config, "tools"));
    let mut parts: Vec<Part> = tools.iter().chain(list(body, "system")).map(part).collect();
    for variable in member(body, "promptVariables")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::values)
    {
        parts.push(part(variable));
    }
    for message in list(body, "messages") {
        parts.push(Part::Content {
            tokens: MESSAGE_TOKENS,
            json: text_at(message, &["role"]).unwrap_or_default().to_owned(),
        });
        parts.extend(list(message, "content").iter().map(part));
    }
    if let Some(format) =
        member(body, "outputConfig").and_then(|config| member(config, "textFormat"))
    {
        parts.push(part(format));
    }
    parts
}

fn part(block: &Value) -> Part {
    match member(block, "cachePoint") {
        Some(point) => Part::CachePoint(text_at(point, &["ttl"]).unwrap_or("5m").to_owned()),
        None => Part::Content {
            tokens: block_tokens(block),
            json: block.to_string(),
        },
    }
}

fn block_tokens(block: &Value) -> u64 {
    match only(block) {
        Some(("image", _)) => IMAGE_TOKENS,
        Some(("document" | "video" | "audio", content)) => media_tokens(content),
        Some(("toolResult", result)) => list(result, "content").iter().map(block_tokens).sum(),
        _ => text_tokens(block),
    }
}

fn media_tokens(content: &Value) -> u64 {
    let Some(source) = member(content, "source") else {
        return 0;
    };
    let name =
        text_at(content, &["name"]).map_or(0, |name| tokens(name.len(), CHARACTERS_PER_TOKEN));
    let plain = matches!(
        text_at(content, &["format"]),
        Some("txt" | "md" | "csv" | "html")
    );
    name + match only(source) {
        Some(("bytes", bytes)) => {
            let length = bytes.as_str().map_or(0, str::len);
            let per_token = if plain {
                CHARACTERS_PER_TOKEN
            } else {
                MEDIA_CHARACTERS_PER_TOKEN
            };
            tokens(length, per_token)
        }
        Some(("s3Location", _)) => REMOTE_TOKENS,
        _ => text_tokens(source),
    }
}

/// Returns the number of tokens of all strings, numbers and member names in a value.
fn text_tokens(value: &Value) -> u64 {
    fn characters(value: &Value) -> usize {
        match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.iter().map(characters).sum(),
            Value::Object(members) => match members.iter().next() {
                // Models do not read the name of a union's member.
                Some((_, only)) if members.len() == 1 => characters(only),
                _ => members
                    .iter()
                    .map(|(name, value)| name.len() + characters(value))
                    .sum(),
            },
            scalar => scalar.to_string().len(),
        }
    }
    tokens(characters(value), CHARACTERS_PER_TOKEN)
}

fn tokens(characters: usize, per_token: usize) -> u64 {
    u64::try_from(characters.div_ceil(per_token)).unwrap_or(u64::MAX)
}

/// Returns the lifetime of a prefix in the cache, from its last use.
fn lifetime(ttl: &str) -> Duration {
    let minutes = if ttl == "1h" { 60 } else { 5 };
    Duration::from_secs(60 * minutes)
}

#[derive(Default)]
struct Cached {
    read: u64,
    written: u64,
    details: Vec<Value>,
}

/// Finds the longest cached prefix, which is read from the cache. The tokens after it, up to the
/// last cache point, are written to the cache.
fn cached(model_id: &str, parts: &[Part], style: &Style) -> Cached {
    let mut cached = Cached::default();
    let mut prefix = String::new();
    let mut tokens = 0;
    let mut writes: Vec<(String, u64)> = Vec::new();
    for part in parts {
        match part {
            Part::Content { json, .. } => {
                prefix.push_str(json);
                prefix.push('\n');
                tokens += part.tokens();
            }
            Part::CachePoint(_) if tokens < style.cache_minimum => {}
            Part::CachePoint(ttl) => {
                let key = Seed::of([model_id, &prefix]).key();
                let lifetime = lifetime(ttl);
                let cache = style.cache.as_ref();
                if cache.is_some_and(|cache| cache.seen(key, lifetime)) {
                    cached.read = tokens;
                    writes.clear();
                } else {
                    let done: u64 =
                        cached.read + writes.iter().map(|(_, tokens)| tokens).sum::<u64>();
                    writes.push((ttl.clone(), tokens - done));
                }
            }
        }
    }
    writes.retain(|(_, tokens)| *tokens > 0);
    cached.written = writes.iter().map(|(_, tokens)| tokens).sum();
    for ttl in ["1h", "5m"] {
        let tokens: u64 = writes
            .iter()
            .filter(|(of, _)| of == ttl)
            .map(|(_, tokens)| tokens)
            .sum();
        if tokens > 0 {
            cached
                .details
                .push(json!({"ttl": ttl, "inputTokens": tokens}));
        }
    }
    cached
}

//! An answer's metadata.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bedrock_emulator::answer::{Style, answer, answer_with, count_tokens};
use serde_json::json;

use super::{
    MODEL, ask,
    reader::{Answer, check_script},
    user, with,
};

#[test]
fn prompts_of_prompt_management() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1";
    let script = answer(
        arn,
        &json!({"promptVariables": {"genre": {"text": "jazz"}}}),
    )
    .expect("an answer");
    check_script(&script);
    let text = Answer::of(&script).text();
    assert!(
        text.contains("ABCDEFGHIJ") && text.contains("genre = \"jazz\""),
        "{text}"
    );
    let router = "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1";
    let routed = Answer::of(&answer(router, &user("Explain rain")).expect("an answer"));
    assert!(routed.metadata["trace"]["promptRouter"]["invokedModelId"].is_string());
}

#[test]
fn metadata_echoes_what_was_asked_for() {
    let answer = ask(&with(
        user("Explain rain"),
        json!({"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}}),
    ));
    assert_eq!(
        answer.metadata["performanceConfig"],
        json!({"latency": "optimized"})
    );
    assert_eq!(answer.metadata["serviceTier"], json!({"type": "flex"}));
    assert!(answer.metadata["metrics"]["latencyMs"].as_u64() > Some(0));
}

#[test]
fn cache_points_write_then_read() {
    let body = with(
        user("Explain rain"),
        json!({"system": [{"text": "rain ".repeat(1500)}, {"cachePoint": {"type": "default", "ttl": "1h"}}]}),
    );
    let first = ask(&body);
    assert!(first.usage("cacheWriteInputTokens") >= 1500);
    assert_eq!(first.usage("cacheReadInputTokens"), 0);
    assert_eq!(first.metadata["usage"]["cacheDetails"][0]["ttl"], "1h");

    let known = Mutex::new(Vec::new());
    let style = Style {
        cache: Some(Arc::new(move |prefix: u64, lifetime: Duration| {
            assert_eq!(lifetime, Duration::from_secs(3600));
            let mut known = known.lock().expect("no panic");
            let seen = known.contains(&prefix);
            known.push(prefix);
            seen
        })),
        ..Style::default()
    };
    let ask = || Answer::of(&answer_with(MODEL, &body, &style).expect("an answer"));
    let (write, read) = (ask(), ask());
    assert_eq!(
        write.usage("cacheWriteInputTokens"),
        read.usage("cacheReadInputTokens")
    );
    assert_eq!(read.usage("cacheWriteInputTokens"), 0);
    assert_eq!(write.usage("totalTokens"), read.usage("totalTokens"));
    assert_eq!(
        count_tokens(MODEL, &body).expect("a count"),
        read.usage("totalTokens") - read.usage("outputTokens")
    );

    let short = Answer::of(
        &answer(
            MODEL,
            &with(
                user("x"),
                json!({"system": [{"text": "short"}, {"cachePoint": {"type": "default"}}]}),
            ),
        )
        .expect("an answer"),
    );
    assert_eq!(
        short.usage("cacheWriteInputTokens"),
        0,
        "too short to be cached"
    );
}

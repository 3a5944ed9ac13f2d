//! `check`.

use std::process::Command;

/// Runs the command on a config of this text: exit code, standard output, standard error.
fn check(text: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .arg("check")
        .arg(&config)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn defaults_that_a_model_refuses_are_warned_of() {
    for (model_id, defaults, warnings) in [
        (
            "amazon.nova-lite-v1:0",
            "temperature: 0.7, top_p: 0.9",
            &[][..],
        ),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "temperature: 0.7, top_p: 0.9",
            &["targets.a.defaults.top_p", "sends only temperature"],
        ),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "top_p: 0.9",
            &[],
        ),
        (
            "us.anthropic.claude-sonnet-5",
            "temperature: 0.7",
            &["targets.a.defaults.temperature", "does not send it"],
        ),
        (
            "us.anthropic.claude-opus-4-8",
            "top_p: 0.9",
            &["targets.a.defaults.top_p", "does not send it"],
        ),
    ] {
        let text = format!("targets: {{a: {{model_id: '{model_id}', defaults: {{{defaults}}}}}}}");
        let (code, ok, warned) = check(&text);
        assert_eq!(code, Some(0), "{warned}");
        assert!(ok.contains("ok"), "{ok}");
        assert_eq!(
            warned.is_empty(),
            warnings.is_empty(),
            "{model_id}: {warned}"
        );
        for words in warnings {
            assert!(warned.contains(words), "{model_id}: {warned}");
        }
    }
}

#[test]
fn what_can_not_be_enforced_is_refused() {
    for (text, words) in [
        (
            "{limits: {max_tokens: 100}, targets: {a: {model_id: x.y, defaults: {max_tokens: 200}}}}",
            "targets.a.defaults.max_tokens: 200 is above limits.max_tokens, 100",
        ),
        (
            "{service_tiers: [flex], targets: {a: {model_id: x.y, service_tiers: [priority]}}}",
            "targets.a.service_tiers",
        ),
        ("service_tiers: []", "service_tiers: "),
        (
            "service_tiers: [turbo]",
            "`turbo` is not one of: default, flex, priority, reserved",
        ),
        ("s3_locations: ['https://bucket/']", "s3://bucket"),
        ("s3_locations: ['s3://bucket/*']", "without wildcards"),
        ("allowed_model_ids: ['arn:aws:bedrock:*']", "all six parts"),
        (
            "allowed_model_ids: ['*:inference-profile/*']",
            "matches no model ID",
        ),
        (
            "targets: {a: {model_id: x.y, guardrail: {identifier: a, version: 1}, defaults: {guardrail: {identifier: a, version: 1}}}}",
            "either `guardrail` or `defaults.guardrail`",
        ),
        (
            "guardrail: {enforced: true}",
            "guardrail.identifier: required",
        ),
        (
            "targets: {a: {model_id: eu.x.y, region: us-east-1, only: [eu]}}",
            "eu.x.y is called in us-east-1, outside of only: [eu]",
        ),
    ] {
        let (code, _, message) = check(text);
        assert_eq!(code, Some(64), "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
}

//! Problems of targets, their routes and their request metadata.

use super::{expect_problems, parse};

/// Each problem of a target, with the start of its message.
#[test]
fn wrong_targets_are_reported_with_what_is_right() {
    expect_problems(&[
        (
            "targets: {a: {model_id: x.y, routes: []}}",
            &[
                "targets.a.routes: set either `routes`, or `model_id`",
                "targets.a.routes: at least one route",
            ],
        ),
        (
            "targets: {a: {model_id: x.y, region: us-east-1, regions: [us-west-2]}}",
            &["targets.a.regions: set either `region` or `regions`"],
        ),
        (
            "targets: {a: {routes: [{region: us-east-1}, {model_id: x.y, weight: 0}]}}",
            &[
                "targets.a.routes[0].model_id: required",
                "targets.a.routes[1].weight: `0`",
            ],
        ),
        (
            "targets: {a: {model_id: 'arn:aws:bedrock:eu-west-1:1:provisioned-model/p', region: us-east-1}}",
            &["targets.a.region: the ARN can be called only in its own Region eu-west-1"],
        ),
        (
            "targets: {nova: {model_id: x.y}, a: {model_id: x.y, fallback: novo}}",
            &["targets.a.fallback: unknown target `novo`; did you mean `nova`?"],
        ),
        (
            "targets: {a: {model_id: x.y, fallback: b}, b: {model_id: x.y, fallback: a}}",
            &[
                "targets.a.fallback: the fallbacks form a cycle: a -> b -> a",
                "targets.b.fallback: the fallbacks form a cycle: b -> a -> b",
            ],
        ),
        (
            "targets: {a: {model_id: us.x.y, only: [eu]}}",
            &["targets.a.only: us.x.y may be served in all of `us`, outside of only: [eu]"],
        ),
        (
            "targets: {a: {model_id: global.x.y}}\nonly: [eu]",
            &["targets.a.routes: global.x.y may be served in all of `global`"],
        ),
        (
            "targets: {a: {model_id: x.y, regions: [us-east-1, eu-west-1], only: [eu]}}",
            &["targets.a.only: x.y is served in us-east-1"],
        ),
        (
            "targets: {a: {model_id: x.y, only: [europe]}}",
            &["targets.a.only[0]: `europe` is neither a geography"],
        ),
        (
            "targets: {a: {routes: [{model_id: x.y}, {model_id: 'arn:aws:bedrock:us-east-1:1:prompt/PROMPT12345'}]}}",
            &["targets.a.routes: a prompt of Prompt management accepts other requests"],
        ),
        (
            "targets: {a: {model_id: x.y, defaults: {guardrail: {version: v1}, temperature: 2}}}",
            &[
                "targets.a.defaults.temperature: `2` is not a number from 0 to 1",
                "targets.a.defaults.guardrail.version: `v1` is neither a version",
                "targets.a.defaults.guardrail.identifier: required",
            ],
        ),
        (
            "targets: {a: {model_id: x.y, request_metadata: {team: 'a;b'}}}",
            &["targets.a.request_metadata.team: `a;b` must have at most 256 characters"],
        ),
        (
            "request_metadata: {from_headers: {team: X-Team}}",
            &["request_metadata.from_headers.team: `X-Team` is not a valid name of gRPC metadata"],
        ),
    ]);
}

#[test]
fn targets_whose_native_bodies_are_all_refused_are_warned_of() {
    let imported = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl";
    let own = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123";
    let both = "routes: [{model_id: anthropic.claude-sonnet-5, region: us-east-1}, {model_id: 'meta.llama3-8b-instruct-v1:0', region: us-east-1}]";
    let one = |id: &str| format!("model_id: '{id}'");
    for (target, limits, words) in [
        (
            one(imported),
            "{max_tokens: 50}",
            Some("does not know the format of arn:"),
        ),
        (one(imported), "{}", None),
        (one(own), "{max_tokens: 50}", None),
        (
            one("us.anthropic.claude-sonnet-5"),
            "{max_tokens: 50}",
            None,
        ),
        (
            one("amazon.titan-embed-text-v2:0"),
            "{max_tokens: 50}",
            None,
        ),
        (
            one("some.model-v1:0"),
            "{max_tokens: 50}",
            Some("does not know the format of some.model"),
        ),
        (
            both.to_owned(),
            "{max_tokens: 50}",
            Some("different formats"),
        ),
    ] {
        for is_on in [true, false] {
            let text =
                format!("targets: {{t: {{{target}, invoke_model: {is_on}, limits: {limits}}}}}");
            let warnings = parse(&text).unwrap().warnings();
            let warned = warnings
                .iter()
                .find(|warning| warning.key == "targets.t.invoke_model")
                .map(|warning| warning.message.clone());
            match words.filter(|_| is_on) {
                Some(words) => assert!(warned.unwrap().contains(words), "{text}"),
                None => assert_eq!(warned, None, "{text}"),
            }
        }
    }
}

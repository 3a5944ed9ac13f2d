//! The target, the heartbeat interval, and prompts of Prompt management.

use super::request::{Accepted, Case, PROMPT, duration, input};

pub(crate) const CASES: &[Case] = &[
    ("target", &["required", "alias"], |r| r.target.clear()),
    ("target", &["too long", "2048"], |r| {
        r.target = "a".repeat(2049)
    }),
    ("target", &["white space"], |r| r.target = "a b".into()),
    ("target", &["control", r"fast\n"], |r| {
        r.target = "fast\n".into()
    }),
    ("target", &["control", r"\0"], |r| {
        r.target = "fast\0".into()
    }),
    ("target", &["ASCII"], |r| r.target = "schnell-ü".into()),
    ("target", &["`..`"], |r| r.target = "amazon..nova".into()),
    ("target", &["`..`"], |r| r.target = "../../model/x".into()),
    ("target", &["alias"], |r| r.target = "fast?x=1".into()),
    ("target", &["alias"], |r| r.target = "fast#x".into()),
    ("target", &["alias"], |r| r.target = "fast%2Fx".into()),
    ("target", &["alias"], |r| r.target = "/fast".into()),
    ("target", &["alias"], |r| r.target = "a//b".into()),
    ("target", &["model ID"], |r| {
        r.target = "amazon.nova/x:0".into()
    }),
    ("target", &["model ID"], |r| {
        r.target = "amazon.nova?x".into()
    }),
    ("target", &["model ID"], |r| r.target = ".nova".into()),
    ("target", &["not an ARN", "parts"], |r| {
        r.target = "arn:aws:bedrock".into()
    }),
    ("target", &["not an ARN"], |r| arn(r, "arn", "ARN")),
    ("target", &["partition"], |r| arn(r, "aws", "awsx")),
    ("target", &["partition"], |r| arn(r, "aws", "aws-CN")),
    ("target", &["another service"], |r| arn(r, "bedrock", "s3")),
    ("target", &["Region"], |r| arn(r, "us-east-1", "")),
    ("target", &["Region"], |r| {
        arn(r, "us-east-1", "evil.example")
    }),
    ("target", &["Region"], |r| {
        arn(r, "us-east-1", "a-region-much-too-long")
    }),
    ("target", &["account"], |r| arn(r, "123456789012", "1234")),
    ("target", &["account"], |r| arn(r, "123456789012", "")),
    ("target", &["prompt", "10"], |r| arn(r, "ABCDEFGHIJ", "ABC")),
    ("target", &["prompt", "version"], |r| arn(r, ":2", ":DRAFT")),
    ("target", &["prompt", "version"], |r| {
        arn(r, ":2", ":123456")
    }),
    ("target", &["type/id"], |r| arn(r, "prompt/", "prompt")),
    ("target", &["type/id"], |r| arn(r, "prompt/", "/")),
    ("target", &["type/id"], |r| arn(r, "ABC", "A?C")),
    ("target", &["after a `/`"], |r| arn(r, "ABC", "A//C")),
    ("target", &["after a `/`"], |r| arn(r, "ABCDEFGHIJ:2", "")),
    ("target", &["leave its account empty"], |r| {
        r.target = "arn:aws:bedrock:us-east-1:123456789012:foundation-model/a.b".into();
    }),
    ("target", &["12 letters"], |r| {
        r.target = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc".into();
    }),
    ("target", &["SageMaker", "endpoint"], |r| {
        r.target = "arn:aws:sagemaker:us-east-1:123456789012:model/abc".into();
    }),
    ("target", &["account"], |r| {
        r.target = "arn:aws:sagemaker:us-east-1::endpoint/abc".into();
    }),
    ("heartbeat_interval", &["at least 1 s"], |r| {
        r.heartbeat_interval = duration(0, 999_999_999)
    }),
    ("heartbeat_interval", &["at least 1 s"], |r| {
        r.heartbeat_interval = duration(-5, 0)
    }),
    ("heartbeat_interval", &["Duration"], |r| {
        r.heartbeat_interval = duration(5, -1)
    }),
    ("heartbeat_interval", &["Duration"], |r| {
        r.heartbeat_interval = duration(5, 1_000_000_000)
    }),
    ("heartbeat_interval", &["Duration"], |r| {
        r.heartbeat_interval = duration(i64::MAX, 0)
    }),
    ("heartbeat_interval", &["Duration"], |r| {
        r.heartbeat_interval = duration(i64::MIN, i32::MIN)
    }),
    ("coalesce", &["at most 1 s"], |r| {
        r.coalesce = duration(1, 1)
    }),
    ("coalesce", &["at most 1 s"], |r| {
        r.coalesce = duration(0, -1)
    }),
    ("coalesce", &["Duration"], |r| r.coalesce = duration(1, -1)),
    ("coalesce", &["Duration"], |r| {
        r.coalesce = duration(i64::MIN, i32::MIN)
    }),
    ("input", &["required"], |r| r.input = None),
    ("input.messages", &["at least one message"], |r| {
        input(r).messages.clear()
    }),
    ("input.messages", &["at least one message"], |r| {
        r.target = "fast".into();
        input(r).messages.clear();
        input(r).prompt_variables.clear();
    }),
    ("input.system", &["not allowed", "prompt"], |r| {
        for_prompt(r);
        input(r).system = super::request::full().input.unwrap_or_default().system;
    }),
    ("input.inference_config", &["not allowed", "prompt"], |r| {
        for_prompt(r);
        input(r).inference_config = Some(Default::default());
    }),
    ("input.tool_config", &["not allowed", "prompt"], |r| {
        for_prompt(r);
        input(r).tool_config = super::request::full().input.unwrap_or_default().tool_config;
    }),
    (
        "input.additional_model_request_fields_json",
        &["not allowed", "prompt"],
        |r| {
            for_prompt(r);
            let full = super::request::full().input.unwrap_or_default();
            input(r).additional_model_request_fields = full.additional_model_request_fields;
        },
    ),
];

pub(crate) const ACCEPTED: &[Accepted] = &[
    ("an alias", |r| r.target = "fast-2_x/y@z+".into()),
    ("a model ID that looks like an alias", |r| {
        r.target = "does-not-exist".into()
    }),
    ("a model ID with two colons", |r| {
        r.target = "anthropic.claude-v2:1:18k".into()
    }),
    ("a global profile", |r| {
        r.target = "global.anthropic.claude-opus-4-8".into()
    }),
    ("the longest target", |r| r.target = "a".repeat(2048)),
    ("a foundation model's ARN", |r| {
        r.target = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0".into();
    }),
    ("a system profile's ARN", |r| {
        r.target = "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0".into();
    }),
    ("an application profile's ARN elsewhere", |r| {
        r.target =
            "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/a1b2"
                .into();
    }),
    ("a provisioned model's ARN", |r| {
        r.target =
            "arn:aws-cn:bedrock:cn-north-1:123456789012:provisioned-model/abcdef123456".into();
    }),
    ("a custom model deployment's ARN", |r| {
        r.target =
            "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdef123456".into();
    }),
    ("a custom model's ARN", |r| {
        r.target = "arn:aws:bedrock:us-east-1:123456789012:custom-model/a.b/abcdef123456".into();
    }),
    ("a prompt router's ARN", |r| {
        r.target =
            "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1"
                .into();
    }),
    ("a kind of resource that is new", |r| {
        r.target = "arn:aws:bedrock:us-east-1:123456789012:new-thing/abc".into();
    }),
    ("a SageMaker endpoint's ARN", |r| {
        r.target = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-endpoint".into();
    }),
    ("a prompt with messages", |r| for_prompt(r)),
    ("a prompt without messages or version", |r| {
        for_prompt(r);
        r.target = PROMPT.replace(":2", "");
        input(r).messages.clear();
    }),
    ("an alias of a prompt, which the variables tell", |r| {
        for_prompt(r);
        r.target = "summary".into();
        input(r).messages.clear();
    }),
    ("no heartbeat interval", |r| r.heartbeat_interval = None),
    ("no heartbeats", |r| r.heartbeat_interval = duration(0, 0)),
    ("the shortest heartbeat interval", |r| {
        r.heartbeat_interval = duration(1, 0)
    }),
    ("the longest heartbeat interval", |r| {
        r.heartbeat_interval = duration(315_576_000_000, 999_999_999)
    }),
];

/// The same request, for a prompt of Prompt management.
fn for_prompt(request: &mut bedrock_grpc::pb::StreamInvokeRequest) {
    request.target = PROMPT.into();
    let input = input(request);
    input.system.clear();
    input.inference_config = None;
    input.tool_config = None;
    input.additional_model_request_fields = None;
}

/// The same request for a prompt's ARN of which a part is replaced.
fn arn(request: &mut bedrock_grpc::pb::StreamInvokeRequest, part: &str, by: &str) {
    for_prompt(request);
    request.target = PROMPT.replace(part, by);
}

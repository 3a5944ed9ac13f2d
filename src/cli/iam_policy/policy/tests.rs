use serde_json::{Value, json};

use super::*;

/// Returns the policy of a configuration in us-east-1 of account 111122223333, and the notes about
/// it.
fn policy(text: &str) -> (Value, Vec<String>) {
    let config = Config::parse(text, &|_| None).unwrap();
    let names = Names {
        account: "111122223333".to_owned(),
        region: Some("us-east-1".to_owned()),
    };
    let policy = Policy::of(&config, "", &names).unwrap();
    (policy.document(), policy.notes().to_vec())
}

/// Returns the statement with this name.
fn statement<'a>(policy: &'a Value, sid: &str) -> &'a Value {
    let statements = policy["Statement"].as_array().unwrap();
    statements
        .iter()
        .find(|one| one["Sid"] == sid)
        .unwrap_or(&Value::Null)
}

#[test]
fn a_model_on_demand_is_all_that_it_needs() {
    let (policy, notes) = policy(
        "discovery: {enabled: false}\ntargets: {a: {model_id: amazon.nova-lite-v1:0, regions: [us-east-1, eu-west-1]}}",
    );
    let models = [
        "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
    ];
    let expected = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Targets",
        "Effect": "Allow",
        "Action": ["bedrock:InvokeModelWithResponseStream"],
        "Resource": models,
    }, {
        "Sid": "CountTokens",
        "Effect": "Allow",
        "Action": ["bedrock:CountTokens"],
        "Resource": models,
    }]});
    assert_eq!(policy, expected);
    assert!(notes.is_empty());
}

#[test]
fn a_geographic_profile_needs_its_models_and_those_through_it_only() {
    let (policy, notes) = policy("targets: {a: {model_id: us.anthropic.claude-x}}");
    let profile = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-x";
    assert_eq!(statement(&policy, "Targets")["Resource"], json!([profile]));
    let models = statement(&policy, "ModelsBehindProfiles");
    assert_eq!(
        models["Resource"],
        json!([
            "arn:aws:bedrock:us-east-*::foundation-model/anthropic.claude-x",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x",
            "arn:aws:bedrock:us-west-*::foundation-model/anthropic.claude-x",
        ])
    );
    assert_eq!(
        models["Condition"],
        json!({"ArnLike": {"bedrock:InferenceProfileArn": [profile]}})
    );
    assert!(statement(&policy, "ModelsAnywhere").is_null());
    assert!(notes.is_empty());
}

#[test]
fn a_global_profile_needs_its_model_here_and_nowhere_in_particular() {
    let (policy, _) = policy("targets: {a: {model_id: global.anthropic.claude-x}}");
    let profile =
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/global.anthropic.claude-x";
    assert_eq!(
        statement(&policy, "ModelsBehindProfiles")["Resource"],
        json!(["arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x"])
    );
    let anywhere = statement(&policy, "ModelsAnywhere");
    assert_eq!(
        anywhere["Resource"],
        json!(["arn:aws:bedrock:::foundation-model/anthropic.claude-x"])
    );
    assert_eq!(
        anywhere["Condition"],
        json!({
            "StringEquals": {"aws:RequestedRegion": "unspecified"},
            "ArnLike": {"bedrock:InferenceProfileArn": [profile]},
        })
    );
}

#[test]
fn an_application_profile_opens_models_through_itself() {
    let arn = "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/abc";
    let (policy, notes) = policy(&format!("targets: {{a: {{model_id: '{arn}'}}}}"));
    assert_eq!(statement(&policy, "Targets")["Resource"], json!([arn]));
    let models = statement(&policy, "ModelsBehindProfiles");
    assert_eq!(
        models["Resource"],
        json!(["arn:aws:bedrock:*::foundation-model/*"])
    );
    assert_eq!(
        models["Condition"],
        json!({"ArnLike": {"bedrock:InferenceProfileArn": [arn]}})
    );
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("targets.a: arn:aws:bedrock:eu-west-1:"),
        "{notes:?}"
    );
}

#[test]
fn a_profile_s_arn_is_a_profile() {
    let arn = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.amazon.nova-lite-v1:0";
    let (policy, _) = policy(&format!("targets: {{a: {{model_id: '{arn}'}}}}"));
    assert_eq!(statement(&policy, "Targets")["Resource"], json!([arn]));
    assert_eq!(
        statement(&policy, "ModelsBehindProfiles")["Resource"],
        json!([
            "arn:aws:bedrock:eu-*::foundation-model/amazon.nova-lite-v1:0",
            "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0",
        ])
    );
}

#[test]
fn provisioned_throughput_is_called_by_its_own_arn() {
    let arn = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abc";
    let (policy, _) = policy(&format!("targets: {{a: {{model_id: '{arn}'}}}}"));
    assert_eq!(statement(&policy, "Targets")["Resource"], json!([arn]));
    assert!(statement(&policy, "ModelsBehindProfiles").is_null());
}

#[test]
fn prompts_say_that_there_is_more() {
    let arn = "arn:aws:bedrock:us-east-1:111122223333:prompt/PROMPT12345:1";
    let (_, notes) = policy(&format!("targets: {{a: {{model_id: '{arn}'}}}}"));
    assert!(notes[0].contains("bedrock:RenderPrompt"), "{notes:?}");
}

#[test]
fn patterns_are_patterns_of_iam_s() {
    let (policy, _) = policy("allowed_model_ids: [eu.amazon.nova-*, us.*, amazon.titan-*]");
    assert_eq!(
        statement(&policy, "Targets")["Resource"],
        json!([
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/eu.amazon.nova-*",
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.*",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-*",
        ])
    );
    let behind = statement(&policy, "ModelsBehindProfiles")["Resource"].to_string();
    assert!(
        behind.contains("arn:aws:bedrock:eu-*::foundation-model/amazon.nova-*"),
        "{behind}"
    );
    assert!(
        behind.contains("arn:aws:bedrock:us-west-*::foundation-model/*"),
        "{behind}"
    );
}

#[test]
fn a_pattern_of_everything_allows_everything() {
    let (policy, notes) = policy("allowed_model_ids: ['*']");
    assert!(
        notes[0].contains("which ARNs callers may name"),
        "{notes:?}"
    );
    assert_eq!(
        statement(&policy, "Targets")["Resource"],
        json!([
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/*",
            "arn:aws:bedrock:us-east-1::foundation-model/*",
        ])
    );
    assert_eq!(
        statement(&policy, "ModelsAnywhere")["Resource"],
        json!(["arn:aws:bedrock:::foundation-model/*"])
    );
}

#[test]
fn guardrails_are_applied_where_their_targets_are_called() {
    let (policy, _) = policy(
        "targets: {a: {model_id: amazon.nova-lite-v1:0, region: eu-west-1, defaults: {guardrail: {identifier: gr-1, version: '1'}}}}",
    );
    let guardrails = statement(&policy, "Guardrails");
    assert_eq!(guardrails["Action"], json!(["bedrock:ApplyGuardrail"]));
    assert_eq!(
        guardrails["Resource"],
        json!(["arn:aws:bedrock:eu-west-1:111122223333:guardrail/gr-1"])
    );
}

#[test]
fn discovery_is_allowed_if_it_is_on() {
    let on = policy("discovery: {enabled: true}").0;
    assert_eq!(
        statement(&on, "Discovery")["Action"],
        json!([
            "bedrock:ListInferenceProfiles",
            "bedrock:GetInferenceProfile",
            "bedrock:ListFoundationModels"
        ])
    );
    let off = policy("discovery: {enabled: false}").0;
    assert_eq!(off["Statement"], json!([]));
}

#[test]
fn other_partitions_have_their_own_names() {
    let (policy, _) =
        policy("targets: {a: {model_id: us-gov.anthropic.claude-x, region: us-gov-west-1}}");
    assert_eq!(
        statement(&policy, "Targets")["Resource"],
        json!([
            "arn:aws-us-gov:bedrock:us-gov-west-1:111122223333:inference-profile/us-gov.anthropic.claude-x"
        ])
    );
}

#[test]
fn a_missing_region_is_an_error() {
    let config =
        Config::parse("targets: {a: {model_id: amazon.nova-lite-v1:0}}", &|_| None).unwrap();
    let names = Names {
        account: "*".to_owned(),
        region: None,
    };
    let message = Policy::of(&config, "", &names).unwrap_err();
    assert!(
        message.starts_with("targets.a: the source Region of amazon.nova-lite-v1:0"),
        "{message}"
    );
}

#[test]
fn enforced_guardrails_and_objects_are_allowed() {
    let (policy, _) = policy(
        "
guardrail: {identifier: gr1, version: 1, enforced: true}
s3_locations: [s3://media, s3://shared/a]
allowed_model_ids: [amazon.nova-*]
targets: {t: {model_id: 'amazon.nova-lite-v1:0', s3_locations: ['s3://shared/a/b/']}}
",
    );
    assert_eq!(
        statement(&policy, "Guardrails")["Resource"],
        json!(["arn:aws:bedrock:us-east-1:111122223333:guardrail/gr1"])
    );
    let objects = statement(&policy, "Objects");
    assert_eq!(objects["Action"], json!(["s3:GetObject"]));
    assert_eq!(
        objects["Resource"],
        json!([
            "arn:aws:s3:::media/*",
            "arn:aws:s3:::shared/a",
            "arn:aws:s3:::shared/a/*",
            "arn:aws:s3:::shared/a/b/*",
        ])
    );
}

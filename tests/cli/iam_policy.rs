//! `iam-policy`.

use std::{path::Path, process::Command};

use serde_json::Value;

/// Runs the command on a config of this text: exit code, standard output, standard error.
fn iam_policy(config: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .arg("iam-policy")
        .arg("--config")
        .arg(config)
        .args(args)
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
fn the_example_s_policy_names_all_that_it_calls() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config.yaml");
    let account = ["--account", "999900001111"];
    let own_role = ["--own-role", "arn:aws:iam::999900001111:role/gateway"];
    let (code, policies, notes) = iam_policy(&example, &[account, own_role].concat());
    assert_eq!(code, Some(0), "{notes}");
    let policies: Value = serde_json::from_str(&policies).unwrap();
    for policy in [
        &policies["gateway"]["policy"],
        &policies["accounts"]["research"]["policy"],
        &policies["accounts"]["research"]["trust_policy"],
    ] {
        assert_eq!(policy["Version"], "2012-10-17");
    }
    let text = policies.to_string();
    for needed in [
        "arn:aws:bedrock:us-west-2:111122223333:inference-profile/us.anthropic.claude-sonnet-5",
        "arn:aws:bedrock:us-east-1:999900001111:inference-profile/global.anthropic.claude-sonnet-5",
        "arn:aws:bedrock:::foundation-model/anthropic.claude-sonnet-5",
        "arn:aws:bedrock:us-east-1:999900001111:inference-profile/eu.amazon.nova-*",
        "bedrock:ListInferenceProfiles",
        "sts:AssumeRole",
        "a1b2c3d4",
    ] {
        assert!(text.contains(needed), "{needed} is not in {text}");
    }
    // An application profile does not reveal its model. The note about it is not part of the
    // document.
    assert!(notes.contains("application-inference-profile/"), "{notes}");
}

#[test]
fn with_accounts_the_gateways_own_identity_must_be_given() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config.yaml");
    let (code, policy, error) = iam_policy(&example, &[]);
    assert_eq!((code, policy.as_str()), (Some(64), ""));
    assert!(error.contains("--own-role"), "{error}");
}

#[test]
fn the_values_of_the_chart_are_read_as_the_config_that_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    let text = "image: {repository: x}\nconfig: {bedrock: {region: eu-west-1}, \
        targets: {a: {model_id: amazon.nova-lite-v1:0}}}\n";
    std::fs::write(&values, text).unwrap();
    let (code, policy, notes) = iam_policy(&values, &[]);
    assert_eq!(code, Some(0), "{notes}");
    assert!(policy.contains("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"));
}

#[test]
fn without_a_region_there_is_no_policy() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "targets: {a: {model_id: amazon.nova-lite-v1:0}}").unwrap();
    let (code, policy, message) = iam_policy(&config, &[]);
    assert_eq!((code, policy.as_str()), (Some(64), ""));
    assert!(message.contains("bedrock.region"), "{message}");
    let (code, policy, _) = iam_policy(&config, &["--region", "eu-west-1"]);
    assert_eq!(code, Some(0));
    assert!(policy.contains("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"));
}

#[test]
fn problems_of_a_config_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "target: {}").unwrap();
    let (code, policy, message) = iam_policy(&config, &[]);
    assert_eq!((code, policy.as_str()), (Some(64), ""));
    assert!(message.contains("target"), "{message}");
}

//! AWS accounts, their roles and their sessions.

use std::time::Duration;

use super::{parse, problems};

const ROLE: &str = "role_arn: 'arn:aws:iam::111122223333:role/x'";

#[test]
fn accounts_have_roles_and_routes_name_them() {
    let config = parse(&format!(
        "accounts: {{one: {{{ROLE}, session_tags: {{team: a}}, session_duration: 1h}}, two: {{role_arn: 'arn:aws:iam::444455556666:role/x'}}}}
targets: {{a: {{model_id: x.y, accounts: [one, two]}}}}
callers: {{search: {{session_tags: {{team: search}}}}}}
access: {{keys_file: /keys.yaml}}"
    ))
    .unwrap();
    let one = &config.accounts["one"];
    assert_eq!(one.session_name, "bedrock-grpc");
    assert_eq!(one.session_duration, Some(Duration::from_secs(3_600)));
    assert_eq!(
        config.targets.aliases["a"].routes[0].accounts,
        ["one", "two"]
    );
    assert_eq!(config.targets.account_names["444455556666"], "two");
    let session = &config.access.callers["search"].session;
    assert_eq!(session.session_tags["team"], "search");
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[test]
fn wrong_accounts_are_reported_with_what_is_right() {
    for (text, expected) in [
        ("accounts: {one: {}}", "accounts.one.role_arn: required"),
        (
            "accounts: {one: {role_arn: research}}",
            "accounts.one.role_arn: `research` is not the ARN of a role",
        ),
        (
            "accounts: {a.b: {ROLE}}",
            "accounts.a.b: an account's name must have",
        ),
        (
            "accounts: {one: {ROLE, session_duration: 13h}}",
            "accounts.one.session_duration: must be 15m to 12h, got 13h",
        ),
        (
            "accounts: {one: {ROLE, session_tags: {caller: a}}}",
            "accounts.one.session_tags.caller: `caller` is reserved",
        ),
        (
            "accounts: {one: {ROLE, session_tags: {'aws:x': a}}}",
            "accounts.one.session_tags.aws:x: `aws:x` is reserved",
        ),
        (
            "accounts: {one: {ROLE}}\ntargets: {a: {model_id: x.y, account: ona}}",
            "targets.a.routes: unknown account `ona`; did you mean `one`?",
        ),
        (
            "accounts: {one: {ROLE}}\ntargets: {a: {model_id: x.y, account: one, accounts: [one]}}",
            "targets.a.accounts: either `account` or `accounts`",
        ),
        (
            "accounts: {one: {ROLE}}\ntargets: {a: {model_id: 'arn:aws:bedrock:us-east-1:444455556666:provisioned-model/p', account: one}}",
            "targets.a.routes: arn:aws:bedrock:us-east-1:444455556666:provisioned-model/p belongs to AWS account 444455556666",
        ),
        (
            "callers: {search: {role_arn: x}}",
            "callers.search.role_arn: `x` is not the ARN of a role",
        ),
    ] {
        let told: Vec<_> = problems(&text.replace("ROLE", ROLE))
            .into_iter()
            .map(|problem| problem.split_once(':').unwrap().1.to_owned())
            .collect();
        assert!(
            told.iter().any(|problem| problem.starts_with(expected)),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn accounts_without_effect_are_warned_of() {
    for (text, key, words) in [
        (
            "accounts: {one: {ROLE, session_duration: 2h}}\ntargets: {a: {model_id: x.y, account: one}}",
            "accounts.one.session_duration",
            "role chaining",
        ),
        ("accounts: {one: {ROLE}}", "accounts.one", "no target names"),
        (
            "callers: {search: {session_tags: {team: a}}}\naccess: {keys_file: /keys.yaml}",
            "callers.search.session_tags",
            "only sessions of roles have tags",
        ),
    ] {
        let warnings = parse(&text.replace("ROLE", ROLE)).unwrap().warnings();
        let [warning] = &warnings[..] else {
            panic!("{text}: {warnings:?}");
        };
        assert_eq!(warning.key, key);
        assert!(warning.message.contains(words), "{warning:?}");
    }
}

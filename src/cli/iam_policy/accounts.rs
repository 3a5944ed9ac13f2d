//! The policies of a configuration with several AWS accounts: one for the gateway's own identity,
//! and for each account a policy and a trust policy of its role.

use serde_json::{Map, Value, json};

use super::{
    policy::{Policy, tags_sessions},
    resources::Names,
};
use crate::{
    aws::role,
    config::{AccountOptions, Config},
};

/// Returns all policies, and notes about what they do not cover.
///
/// # Errors
/// Fails if the gateway's own identity or a source Region is unknown.
pub(super) fn policies(
    config: &Config,
    names: &Names,
    own_role: Option<&str>,
) -> Result<(Value, Vec<String>), String> {
    let own_role = own_role.ok_or(
        "the configuration has `accounts`: pass --own-role, the ARN of the role or user whose credentials the gateway has",
    )?;
    let own = Policy::of(config, "", names)?;
    let mut notes = own.notes().to_vec();
    let mut accounts = Map::new();
    for (name, account) in &config.accounts {
        let names = Names {
            account: role::account_of(&account.role_arn)
                .unwrap_or("*")
                .to_owned(),
            region: names.region.clone(),
        };
        let policy = Policy::of(config, name, &names)?;
        notes.extend_from_slice(policy.notes());
        let tags = tags_sessions(config, name);
        accounts.insert(
            name.clone(),
            json!({
                "role_arn": account.role_arn,
                "policy": policy.document(),
                "trust_policy": trust_policy(account, own_role, tags),
            }),
        );
    }
    notes.extend(roles_of_callers(config));
    let document = json!({
        "gateway": {"role_arn": own_role, "policy": own.document()},
        "accounts": accounts,
    });
    Ok((document, notes))
}

/// Returns the trust policy with which the gateway's own identity can assume a role.
fn trust_policy(account: &AccountOptions, own_role: &str, tags: bool) -> Value {
    let principal = json!({"AWS": own_role});
    let mut assume = json!({
        "Sid": "Gateway",
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
    });
    if let Some(external_id) = &account.external_id {
        assume["Condition"] = json!({"StringEquals": {"sts:ExternalId": external_id}});
    }
    let mut statements = vec![assume];
    if tags {
        statements.push(json!({
            "Sid": "SessionTags",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "sts:TagSession",
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Returns notes about the policies that the roles of callers need.
fn roles_of_callers(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    for (caller, options) in &config.access.callers {
        let Some(arn) = &options.session.role_arn else {
            continue;
        };
        let mut accounts = config.accounts.iter();
        let account = accounts
            .find(|(_, account)| role::account_of(&account.role_arn) == role::account_of(arn));
        let like = match account {
            Some((name, _)) => format!("the policy and the trust policy of the account `{name}`"),
            None => "the policy of the gateway's own identity without sts:AssumeRole, and a trust policy for that identity with sts:TagSession".to_owned(),
        };
        notes.push(format!("callers.{caller}.role_arn: {arn} needs {like}"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "arn:aws:iam::999900001111:role/gateway";

    fn policies_of(text: &str) -> (Value, Vec<String>) {
        let config = Config::parse(text, &|_| None).unwrap();
        let names = Names {
            account: "999900001111".to_owned(),
            region: Some("us-east-1".to_owned()),
        };
        policies(&config, &names, Some(OWN)).unwrap()
    }

    fn actions(policy: &Value) -> Vec<&str> {
        let statements = policy["Statement"].as_array().unwrap();
        let lists = statements.iter().flat_map(|one| match &one["Action"] {
            Value::String(action) => vec![action.as_str()],
            many => many
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect(),
        });
        lists.collect()
    }

    #[test]
    fn each_account_has_the_resources_of_its_routes_and_a_trust_policy() {
        let (policies, notes) = policies_of(
            "discovery: {enabled: false}
accounts:
  one: {role_arn: 'arn:aws:iam::111122223333:role/x', external_id: e1}
  two: {role_arn: 'arn:aws:iam::444455556666:role/x', session_per_caller: true}
targets:
  a: {model_id: us.anthropic.claude-x, accounts: [one, two]}
  b: {model_id: amazon.nova-lite-v1:0}
  c: {model_id: 'arn:aws:bedrock:us-east-1:444455556666:provisioned-model/abc'}",
        );
        let called = |policy: &Value| policy["Statement"][0]["Resource"].clone();
        let one = &policies["accounts"]["one"];
        assert_eq!(
            called(&one["policy"]),
            json!([
                "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-x"
            ])
        );
        let trust = &one["trust_policy"];
        assert_eq!(actions(trust), ["sts:AssumeRole"]);
        assert_eq!(
            trust["Statement"][0],
            json!({
                "Sid": "Gateway",
                "Effect": "Allow",
                "Principal": {"AWS": OWN},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": "e1"}},
            })
        );
        let two = &policies["accounts"]["two"];
        assert_eq!(
            called(&two["policy"]),
            json!([
                "arn:aws:bedrock:us-east-1:444455556666:inference-profile/us.anthropic.claude-x",
                "arn:aws:bedrock:us-east-1:444455556666:provisioned-model/abc"
            ])
        );
        assert_eq!(
            actions(&two["trust_policy"]),
            ["sts:AssumeRole", "sts:TagSession"]
        );
        let own = &policies["gateway"]["policy"];
        assert_eq!(
            called(own),
            json!(["arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"])
        );
        let statements = own["Statement"].as_array().unwrap();
        let roles = statements.iter().find(|one| one["Sid"] == "Roles").unwrap();
        assert_eq!(
            roles["Resource"],
            json!([
                "arn:aws:iam::111122223333:role/x",
                "arn:aws:iam::444455556666:role/x"
            ])
        );
        assert_eq!(roles["Action"], json!(["sts:AssumeRole", "sts:TagSession"]));
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn roles_of_callers_are_assumed_too_and_noted() {
        let (policies, notes) = policies_of(
            "accounts: {one: {role_arn: 'arn:aws:iam::111122223333:role/x'}}
targets: {a: {model_id: amazon.nova-lite-v1:0, account: one}}
callers: {ads: {role_arn: 'arn:aws:iam::111122223333:role/ads'}}",
        );
        let text = policies["gateway"]["policy"].to_string();
        assert!(
            text.contains("role/ads") && text.contains("sts:TagSession"),
            "{text}"
        );
        assert!(
            notes.iter().any(|note| note.contains("account `one`")),
            "{notes:?}"
        );
    }

    #[test]
    fn the_gateways_own_identity_must_be_known() {
        let config = Config::parse(
            "accounts: {one: {role_arn: 'arn:aws:iam::111122223333:role/x'}}",
            &|_| None,
        );
        let names = Names {
            account: "*".to_owned(),
            region: None,
        };
        let error = policies(&config.unwrap(), &names, None).unwrap_err();
        assert!(error.contains("--own-role"), "{error}");
    }
}

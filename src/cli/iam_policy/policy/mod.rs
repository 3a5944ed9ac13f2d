//! Builds the policy for one AWS account of a configuration.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::resources::{Names, Needs, partition_of};
use crate::{
    aws::model_id,
    config::{AccountOptions, Config, RequestPolicy, RouteOptions},
};

/// The IAM action that ConverseStream requires.
const STREAM: &str = "bedrock:InvokeModelWithResponseStream";

/// The resources and actions that a configuration needs.
#[derive(Debug, Default)]
pub(super) struct Policy {
    called: BTreeSet<String>,
    profiles: BTreeSet<String>,
    behind: BTreeSet<String>,
    global_profiles: BTreeSet<String>,
    anywhere: BTreeSet<String>,
    guardrails: BTreeSet<String>,
    objects: BTreeSet<String>,
    discovery: bool,
    /// The ARNs of the roles that the gateway assumes.
    roles: BTreeSet<String>,
    tags_sessions: bool,
    notes: Vec<String>,
}

impl Policy {
    /// Collects the resources and actions that a configuration needs in one AWS account, given by
    /// its name in `accounts`. The empty name means the account of the gateway's own identity,
    /// which also needs to assume the roles.
    ///
    /// # Errors
    /// Fails if the source Region of a target is unknown.
    pub(super) fn of(config: &Config, account: &str, names: &Names) -> Result<Self, String> {
        let mut policy = Self {
            discovery: config.discovery.enabled,
            ..Self::default()
        };
        if account.is_empty() {
            policy.add_roles(config);
        }
        for (alias, target) in &config.targets.aliases {
            let place = format!("targets.{alias}");
            let is_here = |route: &&RouteOptions| is_called(config, route, account);
            for route in target.routes.iter().filter(is_here) {
                for region in regions(&route.model_id, &route.regions, names, &place)? {
                    policy.add(
                        &place,
                        &route.model_id,
                        names.needs(&route.model_id, &region),
                    );
                    let enforced = config.targets.policy.and(&target.policy);
                    policy.add_enforced(&enforced, config, names, &region);
                }
            }
        }
        let may_be_here = |pattern: &&String| may_own(config, pattern, account);
        for pattern in config.targets.allowed_model_ids.iter().filter(may_be_here) {
            let place = "allowed_model_ids";
            for region in regions(pattern, &[], names, place)? {
                policy.add(place, pattern, names.needs(pattern, &region));
                policy.add_enforced(&config.targets.policy, config, names, &region);
            }
        }
        Ok(policy)
    }

    /// Adds the roles that the gateway assumes.
    fn add_roles(&mut self, config: &Config) {
        let roles = config.accounts.values().map(|account| &account.role_arn);
        let callers = config.access.callers.values();
        let of_callers = callers.filter_map(|caller| caller.session.role_arn.as_ref());
        self.roles.extend(roles.chain(of_callers).cloned());
        let mut names = config.accounts.keys();
        self.tags_sessions =
            has_sessions_of_callers(config) || names.any(|name| tags_sessions(config, name));
    }

    /// Adds what the settings of a target need: its guardrail, and objects in Amazon S3.
    fn add_enforced(
        &mut self,
        enforced: &RequestPolicy,
        config: &Config,
        names: &Names,
        region: &str,
    ) {
        let groups = config.access.groups.values().map(|group| &group.permission);
        let callers = config.access.callers.values();
        let callers = callers.map(|caller| &caller.permission);
        for level in groups.chain(callers) {
            self.add_one(&enforced.and(&level.policy), names, region);
        }
        self.add_one(enforced, names, region);
    }

    fn add_one(&mut self, enforced: &RequestPolicy, names: &Names, region: &str) {
        if let Some(guardrail) = &enforced.guardrail {
            let guardrail = names.guardrail(&guardrail.identifier, region);
            self.guardrails.insert(guardrail);
        }
        if let Some(locations) = &enforced.s3_locations {
            let patterns = locations.arn_patterns(partition_of(region));
            self.objects.extend(patterns);
        }
    }

    fn add(&mut self, place: &str, model_id: &str, needs: Needs) {
        if !needs.behind.is_empty() {
            let profiles = needs.called.iter().filter(|arn| arn.contains("profile/"));
            self.profiles.extend(profiles.clone().cloned());
            if !needs.anywhere.is_empty() {
                self.global_profiles.extend(profiles.cloned());
            }
        }
        self.called.extend(needs.called);
        self.behind.extend(needs.behind);
        self.anywhere.extend(needs.anywhere);
        if let Some(unknown) = needs.unknown {
            let note = format!("{place}: {model_id} does not name {unknown}");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// Returns notes about what the policy does not cover.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the policy document.
    pub(super) fn document(&self) -> Value {
        let mut statements = Vec::new();
        let mut allow = |sid: &str, actions: &[&str], resources: &BTreeSet<String>, condition| {
            if resources.is_empty() {
                return;
            }
            let mut statement =
                json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources});
            if let (Some(condition), Some(members)) = (condition, statement.as_object_mut()) {
                members.insert("Condition".to_owned(), condition);
            }
            statements.push(statement);
        };
        allow("Targets", &[STREAM], &self.called, None);
        // CountTokens is called for models, including the models of profiles, and only in source
        // Regions. Patterns such as us-east-*, which match destination Regions, are therefore left
        // out.
        let is_model = |arn: &&String| {
            let region = model_id::region_of_model(arn);
            arn.contains("foundation-model/") && (region == "*" || !region.contains('*'))
        };
        let models = self.called.iter().chain(&self.behind).filter(is_model);
        let models = models.cloned().collect();
        allow("CountTokens", &["bedrock:CountTokens"], &models, None);
        // Converse may call these models only through the profiles.
        let through = json!({"ArnLike": {"bedrock:InferenceProfileArn": self.profiles}});
        allow(
            "ModelsBehindProfiles",
            &[STREAM],
            &self.behind,
            Some(through),
        );
        // In requests of global profiles, the requested Region is `unspecified`.
        let anywhere = json!({
            "StringEquals": {"aws:RequestedRegion": "unspecified"},
            "ArnLike": {"bedrock:InferenceProfileArn": self.global_profiles},
        });
        allow("ModelsAnywhere", &[STREAM], &self.anywhere, Some(anywhere));
        allow(
            "Guardrails",
            &["bedrock:ApplyGuardrail"],
            &self.guardrails,
            None,
        );
        allow("Objects", &["s3:GetObject"], &self.objects, None);
        let assume: &[&str] = if self.tags_sessions {
            &["sts:AssumeRole", "sts:TagSession"]
        } else {
            &["sts:AssumeRole"]
        };
        allow("Roles", assume, &self.roles, None);
        if self.discovery {
            let discovery = [
                "bedrock:ListInferenceProfiles",
                "bedrock:GetInferenceProfile",
                "bedrock:ListFoundationModels",
            ];
            let everything = BTreeSet::from(["*".to_owned()]);
            allow("Discovery", &discovery, &everything, None);
        }
        json!({"Version": "2012-10-17", "Statement": statements})
    }
}

/// Returns whether the gateway calls a route in this account.
fn is_called(config: &Config, route: &RouteOptions, account: &str) -> bool {
    if !route.accounts.is_empty() {
        return route.accounts.iter().any(|name| name == account);
    }
    let id = model_id::account_of_arn(&route.model_id);
    let owner = id.and_then(|id| config.targets.account_names.get(id));
    owner.map_or("", String::as_str) == account
}

/// Returns whether a pattern of model IDs and ARNs can match a resource that is called in this
/// account.
fn may_own(config: &Config, pattern: &str, account: &str) -> bool {
    if !pattern.starts_with("arn:") {
        // A pattern without an ARN names no account, so it belongs to the account of the gateway's
        // own identity.
        return account.is_empty();
    }
    let names = &config.targets.account_names;
    match model_id::account_of_arn(pattern) {
        Some(id) if id.contains('*') => {
            account.is_empty() || names.values().any(|name| name == account)
        }
        Some(id) => names.get(id).map_or("", String::as_str) == account,
        None => account.is_empty(),
    }
}

/// Returns whether any caller has separate sessions with AWS.
fn has_sessions_of_callers(config: &Config) -> bool {
    let mut callers = config.access.callers.values();
    callers.any(|caller| !caller.session.is_default())
}

/// Returns whether the sessions in an account have tags.
pub(super) fn tags_sessions(config: &Config, account: &str) -> bool {
    let tags =
        |account: &AccountOptions| account.session_per_caller || !account.session_tags.is_empty();
    has_sessions_of_callers(config) || config.accounts.get(account).is_some_and(tags)
}

/// Returns the source Regions of a route: that of the ARN, or the configured ones, or else that of
/// the gateway.
fn regions(
    model_id: &str,
    written: &[String],
    names: &Names,
    place: &str,
) -> Result<Vec<String>, String> {
    if model_id.starts_with("arn:") {
        return Ok(vec![model_id::region_of_model(model_id).to_owned()]);
    }
    if !written.is_empty() {
        return Ok(written.to_vec());
    }
    let region = names.region.clone().ok_or_else(|| {
        format!("{place}: the source Region of {model_id} is unknown: set bedrock.region or pass --region")
    })?;
    Ok(vec![region])
}

#[cfg(test)]
mod tests;

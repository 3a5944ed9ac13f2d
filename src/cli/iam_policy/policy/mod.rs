//! Builds the policy of a whole configuration.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::resources::{Names, Needs, partition_of};
use crate::{
    aws::model_id,
    config::{Config, RequestPolicy},
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
    notes: Vec<String>,
}

impl Policy {
    /// Collects the resources and actions that a configuration needs.
    ///
    /// # Errors
    /// Fails if a target's source Region is not known.
    pub(super) fn of(config: &Config, names: &Names) -> Result<Self, String> {
        let mut policy = Self {
            discovery: config.discovery.enabled,
            ..Self::default()
        };
        for (alias, target) in &config.targets.aliases {
            let place = format!("targets.{alias}");
            for route in &target.routes {
                for region in regions(&route.model_id, &route.regions, names, &place)? {
                    policy.add(
                        &place,
                        &route.model_id,
                        names.needs(&route.model_id, &region),
                    );
                    let enforced = config.targets.policy.and(&target.policy);
                    policy.add_enforced(&enforced, names, &region);
                }
            }
        }
        for pattern in &config.targets.allowed_model_ids {
            let place = "allowed_model_ids";
            for region in regions(pattern, &[], names, place)? {
                policy.add(place, pattern, names.needs(pattern, &region));
                policy.add_enforced(&config.targets.policy, names, &region);
            }
        }
        Ok(policy)
    }

    /// Adds the resources that a call needs in addition to the model: its guardrail, and objects in
    /// Amazon S3.
    fn add_enforced(&mut self, enforced: &RequestPolicy, names: &Names, region: &str) {
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

    /// Returns notes on what the policy does not cover.
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
        // These models can be called only through the profiles.
        let through = json!({"ArnLike": {"bedrock:InferenceProfileArn": self.profiles}});
        allow(
            "ModelsBehindProfiles",
            &[STREAM],
            &self.behind,
            Some(through),
        );
        // Requests of global profiles are authorized without a Region.
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
        if self.discovery {
            let discovery = [
                "bedrock:ListInferenceProfiles",
                "bedrock:GetInferenceProfile",
            ];
            let everything = BTreeSet::from(["*".to_owned()]);
            allow("Discovery", &discovery, &everything, None);
        }
        json!({"Version": "2012-10-17", "Statement": statements})
    }
}

/// Returns the source Regions of a route: that of the ARN, the configured ones, or the gateway's.
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

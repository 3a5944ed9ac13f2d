//! Aliases, and the model IDs that callers may use directly.

use std::{collections::BTreeMap, time::Duration};

use super::{Defaults, RouteOptions};
use crate::{
    aws::{Fence, ModelIdKind, NativeFormat, model_id},
    config::{
        Quota, RequestPolicy,
        project::{Project, ProjectRoute},
    },
};

/// The targets that callers can use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// The aliases, by name. `targets`.
    pub aliases: BTreeMap<String, Alias>,
    /// Patterns of the model IDs and ARNs that callers may use directly, as defined by
    /// [`pattern::matches`](crate::aws::pattern::matches). `allowed_model_ids`, default: none.
    pub allowed_model_ids: Vec<String>,
    /// Maps AWS account IDs to names in `accounts`: the gateway calls an ARN in the account that
    /// owns it.
    pub account_names: BTreeMap<String, String>,
    /// The AWS account IDs of the names in `accounts`.
    pub account_ids: BTreeMap<String, String>,
    /// The fence for requests of all targets. `only`, default: none.
    pub only: Fence,
    /// The settings that are enforced on requests of all targets.
    pub policy: RequestPolicy,
    /// The projects of callers and groups. Discovery asks for their profiles, too.
    pub projects_of_callers: Vec<Project>,
}

/// An alias: a name that callers use for one or more routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alias {
    /// A description for callers. `targets.<name>.description`.
    pub description: String,
    /// The routes, at least one. `targets.<name>.routes`, or `model_id` with `region` or `regions`
    /// for a single one.
    pub routes: Vec<RouteOptions>,
    /// The alias whose routes are tried if none of these routes answers. `targets.<name>.fallback`,
    /// default: none.
    pub fallback: Option<String>,
    /// The fence for requests of this target, in addition to the one for all targets.
    /// `targets.<name>.only`, default: none.
    pub only: Fence,
    /// Whether callers can send bodies in the model's own format to the routes of this alias. For
    /// the routes of its fallback, the fallback's setting applies. `targets.<name>.invoke_model`,
    /// default: false.
    pub invoke_model: bool,
    /// The format of the bodies of models whose format the gateway does not know, such as imported
    /// models. `targets.<name>.body_format`, default: unknown.
    pub body_format: Option<NativeFormat>,
    /// The values for fields that requests leave out. `targets.<name>.defaults`.
    pub defaults: Defaults,
    /// The settings that are enforced on requests of this target, in addition to those for all
    /// targets. The key `guardrail` can also be in `defaults`.
    pub policy: RequestPolicy,
    /// The limits of this target. `targets.<name>.limits`, default: those in `limits`.
    pub limits: TargetLimits,
    /// Pairs that the gateway adds to every request, for cost reports.
    /// `targets.<name>.request_metadata`.
    pub request_metadata: BTreeMap<String, String>,
}

/// The limits of one target. If one is absent, that of [`Limits`](super::super::Limits) applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetLimits {
    /// The maximum deadline. `targets.<name>.limits.max_deadline`.
    pub max_deadline: Option<Duration>,
    /// The time limit for Bedrock's first event, per attempt. `targets.<name>.limits.first_event`.
    pub first_event: Option<Duration>,
    /// The time limit between two events from Bedrock. `targets.<name>.limits.idle`.
    pub idle: Option<Duration>,
    /// How long the gateway waits after a message for further deltas to join into one message,
    /// unless the caller sets `coalesce`. `targets.<name>.limits.coalesce`.
    pub coalesce: Option<Duration>,
    /// The maximum number of attempts of a call. If the target has more routes, their number
    /// applies. `targets.<name>.limits.max_attempts`.
    pub max_attempts: Option<u32>,
    /// The limits of all callers of the target together. Default: unlimited.
    pub quota: Quota,
}

impl TargetLimits {
    /// The maximum of `coalesce`. People who read along would notice a longer time as a pause.
    pub const MAX_COALESCE: Duration = Duration::from_secs(1);
}

impl Targets {
    /// Returns what is wrong with a project for the calls of an alias, including those of its
    /// fallbacks. Routes without a configured Region are not checked if the project depends on the
    /// Region.
    pub(in crate::config) fn wrong_project(&self, project: &Project, name: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let mut seen = Vec::new();
        let mut next = Some(name);
        while let Some((name, alias)) = next
            .filter(|name| !seen.contains(name))
            .and_then(|name| Some((name, self.aliases.get(name)?)))
        {
            seen.push(name);
            let routes = alias.routes.iter().flat_map(|route| self.places(route));
            let wrong = routes.filter_map(|(model_id, place)| {
                if place.region.is_empty() && project.is_by_place() {
                    return None;
                }
                let wrong = project.of_route(&place).err()?;
                Some(format!("target `{name}`, {model_id}: {wrong}"))
            });
            messages.extend(wrong);
            next = alias.fallback.as_deref();
        }
        messages.dedup();
        messages
    }

    /// Returns the Regions and accounts of a route. The Region is empty if it is not configured.
    fn places<'a>(
        &'a self,
        route: &'a RouteOptions,
    ) -> impl Iterator<Item = (&'a str, ProjectRoute<'a>)> {
        let model_id = route.model_id.as_str();
        let own_region = model_id::region_of_arn(model_id);
        let regions: Vec<_> = match own_region {
            Some(region) => vec![region],
            None if route.regions.is_empty() => vec![""],
            None => route.regions.iter().map(String::as_str).collect(),
        };
        let owner = model_id::account_of_arn(model_id);
        let name_of_owner = owner.and_then(|id| self.account_names.get(id));
        let accounts: Vec<_> = match &route.accounts[..] {
            [] => vec![name_of_owner.map_or("", String::as_str)],
            names => names.iter().map(String::as_str).collect(),
        };
        regions.into_iter().flat_map(move |region| {
            let accounts = accounts.clone().into_iter();
            accounts.map(move |account| {
                let place = ProjectRoute {
                    kind: ModelIdKind::of(model_id),
                    account,
                    account_id: self.account_ids.get(account).map(String::as_str).or(owner),
                    region,
                };
                (model_id, place)
            })
        })
    }
}

impl Alias {
    /// Creates an alias with one route to a model ID, an inference profile or an ARN.
    pub fn to(model_id: impl Into<String>) -> Self {
        Self {
            routes: vec![RouteOptions::to(model_id)],
            ..Self::default()
        }
    }
}

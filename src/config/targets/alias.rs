//! Aliases, and the model IDs that callers may use directly.

use std::{collections::BTreeMap, time::Duration};

use super::{Defaults, RouteOptions};
use crate::{
    aws::Fence,
    config::{Quota, RequestPolicy},
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
    /// The fence for requests of all targets. `only`, default: none.
    pub only: Fence,
    /// The settings that are enforced on requests of all targets.
    pub policy: RequestPolicy,
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

impl Alias {
    /// Creates an alias with one route to a model ID, an inference profile or an ARN.
    pub fn to(model_id: impl Into<String>) -> Self {
        Self {
            routes: vec![RouteOptions::to(model_id)],
            ..Self::default()
        }
    }
}

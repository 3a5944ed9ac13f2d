//! Defines a target: what a name in a request resolves to, with the operator's settings for it.

use std::{collections::BTreeMap, sync::Arc};

use super::route::Route;
use crate::{
    aws::{Fence, NativeFormat, Side},
    config::{Defaults, RequestPolicy, TargetLimits},
    error::{Failure, Reason},
};

/// The result of resolving a target's name.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The name: an alias, a model ID or an ARN.
    pub name: String,
    /// Whether the name is an alias.
    pub is_alias: bool,
    /// The description for callers.
    pub description: String,
    /// The target's routes in their order, followed by those of the fallback.
    pub candidates: Vec<RouteCandidate>,
    /// The alias whose routes are tried after the target's own.
    pub fallback: Option<String>,
    /// The values for fields that requests do not set.
    pub defaults: Defaults,
    /// The settings that are enforced on requests, including the settings for all targets.
    pub policy: RequestPolicy,
    /// The limits of this target.
    pub limits: TargetLimits,
    /// The pairs that the gateway adds to requests, for cost reports.
    pub request_metadata: BTreeMap<String, String>,
}

/// A route of a target.
#[derive(Clone, Debug)]
pub struct RouteCandidate {
    /// The route.
    pub route: Arc<Route>,
    /// The ID of the AWS account that is called. `None` if it is not known.
    pub account_id: Option<Arc<str>>,
    /// The order. Routes with a lower order are tried first. Routes with equal order share the
    /// calls.
    pub order: u32,
    /// The route's share of the calls, among routes with equal order.
    pub weight: u32,
    /// Whether the route can be called with bodies in the model's own format.
    pub invoke_model: bool,
    /// The format of the model's bodies, as the operator has declared it for models whose format
    /// the gateway does not know.
    pub body_format: Option<NativeFormat>,
    /// The fences. The route must be inside all of them.
    pub fences: Vec<Fence>,
}

impl RouteCandidate {
    /// Returns the format of the model's bodies: that of the foundation model if it is known, or
    /// else the one that the operator has declared.
    pub fn native_format(&self) -> Option<NativeFormat> {
        self.route.native_format().or(self.body_format)
    }

    /// Returns whether the route is inside all of its fences, outside of one, or unknown.
    pub fn side(&self) -> Side {
        let sides = self.fences.iter().map(|fence| self.route.side_of(fence));
        sides.fold(Side::Inside, |worst, side| match (worst, side) {
            (Side::Outside, _) | (_, Side::Outside) => Side::Outside,
            (Side::Unknown, _) | (_, Side::Unknown) => Side::Unknown,
            (Side::Inside, Side::Inside) => Side::Inside,
        })
    }
}

impl Target {
    /// Returns the model ID of the first route.
    pub fn model_id(&self) -> &str {
        self.candidates
            .first()
            .map_or(self.name.as_str(), |candidate| &candidate.route.model_id)
    }

    /// Returns the routes inside the fences.
    ///
    /// # Errors
    /// Fails if no route is inside the fences.
    pub fn inside(&self) -> Result<Vec<RouteCandidate>, Failure> {
        let inside: Vec<_> = self
            .candidates
            .iter()
            .filter(|candidate| candidate.side() == Side::Inside)
            .cloned()
            .collect();
        if !inside.is_empty() {
            return Ok(inside);
        }
        let unknown = self
            .candidates
            .iter()
            .find(|candidate| candidate.side() == Side::Unknown);
        let why = match unknown {
            Some(candidate) => format!(
                "the destination Regions of {} are not known yet; the gateway needs bedrock:GetInferenceProfile to look them up",
                candidate.route.model_id
            ),
            None => {
                "its source Region or one of its destination Regions is outside; use another target"
                    .to_owned()
            }
        };
        let mut fences = self.candidates.iter().flat_map(|known| &known.fences);
        let fence = fences.next().map_or_else(String::new, Fence::to_string);
        Err(Failure::new(
            Reason::TargetOutsideFence,
            format!(
                "target `{}`: the region fence [{fence}] blocks it: {why}",
                self.name
            ),
        ))
    }
}

//! A target: what a request may name, with everything that the operator decided about it.

use std::{collections::BTreeMap, sync::Arc};

use super::route::Route;
use crate::{
    aws::{Fence, Side},
    config::{Defaults, RequestPolicy, TargetLimits},
    error::{Failure, Reason},
};

/// What a request may name.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Its name: an alias, a model ID or an ARN.
    pub name: String,
    /// Whether that is an alias.
    pub is_alias: bool,
    /// What it is for.
    pub description: String,
    /// The ways to serve it, the preferred ones first; at the end those of its fallback.
    pub candidates: Vec<Candidate>,
    /// The alias whose routes come last.
    pub fallback: Option<String>,
    /// What is asked of the model if the caller says nothing.
    pub defaults: Defaults,
    /// What is enforced on requests, with what is for all targets.
    pub policy: RequestPolicy,
    /// Limits of its own.
    pub limits: TargetLimits,
    /// What requests carry for cost reports, whatever the caller says.
    pub request_metadata: BTreeMap<String, String>,
}

/// A route of a target.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The route.
    pub route: Arc<Route>,
    /// Lower ones are preferred; equal ones share the calls.
    pub order: u32,
    /// Its share of the calls among equals.
    pub weight: u32,
    /// Where its requests may be served: inside of all of these.
    pub fences: Vec<Fence>,
}

impl Candidate {
    /// On which side of its fences it lies.
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
    /// The model ID that stands for the target: that of its first route.
    pub fn model_id(&self) -> &str {
        self.candidates
            .first()
            .map_or(self.name.as_str(), |candidate| &candidate.route.model_id)
    }

    /// The routes that a call may take.
    ///
    /// # Errors
    /// There are none within the operator's fence.
    pub fn inside(&self) -> Result<Vec<Candidate>, Failure> {
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

//! Stores the inference profiles that Bedrock's control plane has listed, by AWS account and source
//! Region. They are kept even if a later lookup fails.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{AccountRegion, route::Route};
use crate::{
    aws::{ModelIdKind, model_id},
    bedrock::InferenceProfile,
};

type ByPlace = HashMap<AccountRegion, HashMap<String, Arc<InferenceProfile>>>;

/// The known profiles, which all routes of a process share.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    by_place: RwLock<ByPlace>,
    /// The profiles that projects have listed, which others may not be able to use.
    of_projects: RwLock<ByPlace>,
}

impl Profiles {
    /// Adds or updates the profiles of a source Region in an account.
    pub(super) fn learn(&self, place: &AccountRegion, profiles: Vec<InferenceProfile>) {
        add(&self.by_place, place, profiles);
    }

    /// Adds or updates the profiles that a project has listed.
    pub(super) fn learn_of_project(&self, place: &AccountRegion, profiles: Vec<InferenceProfile>) {
        add(&self.of_projects, place, profiles);
    }

    /// Returns the profiles of a source Region in an account.
    pub(super) fn of(&self, place: &AccountRegion) -> Vec<Arc<InferenceProfile>> {
        let by_place = self.by_place.read().unwrap_or_else(PoisonError::into_inner);
        by_place
            .get(place)
            .map(|known| known.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Sets the profile of a route. If its model ID is not a profile, suggests a profile that
    /// serves the model.
    pub(super) fn teach(&self, route: &Route) {
        let place = route.account_region();
        let id = model_id::profile_id(&route.model_id);
        let of_projects = self.of_projects.read();
        let of_projects = of_projects.unwrap_or_else(PoisonError::into_inner);
        let by_place = self.by_place.read().unwrap_or_else(PoisonError::into_inner);
        let find = |profiles: &ByPlace| profiles.get(&place)?.get(id).cloned();
        if let Some(profile) = find(&by_place).or_else(|| find(&of_projects)) {
            route.learn(profile);
        }
        let Some(known) = by_place.get(&place) else {
            return;
        };
        if route.kind == ModelIdKind::OnDemand {
            let model = model_id::profile_id(&route.model_id);
            let mut holding: Vec<_> = known
                .values()
                .filter(|profile| profile.is_system_defined && profile.model == model)
                .collect();
            // Profiles of a geography are preferred to those that may be served in any Region.
            holding.sort_by_key(|profile| (profile.anywhere, profile.id.clone()));
            route.suggest(holding.first().map(|profile| profile.id.clone()));
        }
    }
}

fn add(known: &RwLock<ByPlace>, place: &AccountRegion, profiles: Vec<InferenceProfile>) {
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    let known = known.entry(place.clone()).or_default();
    let profiles = profiles.into_iter();
    known.extend(profiles.map(|profile| (profile.id.clone(), Arc::new(profile))));
}

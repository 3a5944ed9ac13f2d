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

/// The known profiles, which all routes of a process share.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    by_place: RwLock<HashMap<AccountRegion, HashMap<String, Arc<InferenceProfile>>>>,
}

impl Profiles {
    /// Adds or updates the profiles of a source Region in an account.
    pub(super) fn learn(&self, place: &AccountRegion, profiles: Vec<InferenceProfile>) {
        let mut by_place = self
            .by_place
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let known = by_place.entry(place.clone()).or_default();
        known.extend(
            profiles
                .into_iter()
                .map(|profile| (profile.id.clone(), Arc::new(profile))),
        );
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
        let by_place = self.by_place.read().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = by_place.get(&route.account_region()) else {
            return;
        };
        if let Some(profile) = known.get(model_id::profile_id(&route.model_id)) {
            route.learn(Arc::clone(profile));
        }
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

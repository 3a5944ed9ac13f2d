//! What Bedrock's control plane says of inference profiles, by source Region. What is known stays known when Bedrock can't be asked again.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::route::Route;
use crate::{
    aws::{Kind, model_id},
    bedrock::Profile,
};

/// The profiles that are known. Shared by the routes of a process.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    by_region: RwLock<HashMap<String, HashMap<String, Arc<Profile>>>>,
}

impl Profiles {
    /// Profiles of a source Region, new or known.
    pub(super) fn learn(&self, source_region: &str, profiles: Vec<Profile>) {
        let mut by_region = self
            .by_region
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let known = by_region.entry(source_region.to_owned()).or_default();
        known.extend(
            profiles
                .into_iter()
                .map(|profile| (profile.id.clone(), Arc::new(profile))),
        );
    }

    /// The profiles of a source Region.
    pub(super) fn of(&self, source_region: &str) -> Vec<Arc<Profile>> {
        let by_region = self
            .by_region
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        by_region
            .get(source_region)
            .map(|known| known.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Tells a route what is known of it.
    pub(super) fn teach(&self, route: &Route) {
        let by_region = self
            .by_region
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(known) = by_region.get(&route.source_region) else {
            return;
        };
        if let Some(profile) = known.get(model_id::profile_id(&route.model_id)) {
            route.learn(Arc::clone(profile));
        }
        if route.kind == Kind::OnDemand {
            let model = model_id::profile_id(&route.model_id);
            let mut holding: Vec<_> = known
                .values()
                .filter(|profile| profile.is_system_defined && profile.model == model)
                .collect();
            // The nearest first: what stays in a geography before what is served anywhere.
            holding.sort_by_key(|profile| (profile.anywhere, profile.id.clone()));
            route.suggest(holding.first().map(|profile| profile.id.clone()));
        }
    }
}

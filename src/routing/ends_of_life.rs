//! Stores when models reach their end of life, by source Region. Bedrock then refuses their calls.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::SystemTime,
};

use super::route::Route;
use crate::bedrock::FoundationModel;

/// The known ends of life, which all routes of a process share.
#[derive(Debug, Default)]
pub(super) struct EndsOfLife {
    by_region: RwLock<HashMap<String, HashMap<String, SystemTime>>>,
}

impl EndsOfLife {
    /// Replaces what is known about a source Region.
    pub(super) fn learn(&self, source_region: &str, models: Vec<FoundationModel>) {
        let ends = models
            .into_iter()
            .filter_map(|model| Some((model.id, model.end_of_life?)));
        let mut by_region = self
            .by_region
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        by_region.insert(source_region.to_owned(), ends.collect());
    }

    /// Returns when the model of a route reaches its end of life. `None` if AWS has not announced
    /// it, or if the model behind the route is unknown.
    pub(super) fn of(&self, route: &Route) -> Option<SystemTime> {
        let model = route.foundation_model()?;
        let by_region = self
            .by_region
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        by_region.get(&route.source_region)?.get(&model).copied()
    }
}

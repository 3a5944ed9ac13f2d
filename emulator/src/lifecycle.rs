//! Holds the ends of life of models, which tests set.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::error::WireError;

/// The ends of life of models, by model ID.
#[derive(Debug, Default)]
pub(super) struct LifeCycle(Mutex<BTreeMap<String, SystemTime>>);

impl LifeCycle {
    pub(super) fn new(ends: &[(String, SystemTime)]) -> Self {
        Self(Mutex::new(ends.iter().cloned().collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SystemTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or removes the end of life of a model.
    pub(super) fn set(&self, model_id: &str, end: Option<SystemTime>) {
        match end {
            Some(end) => self.lock().insert(model_id.to_owned(), end),
            None => self.lock().remove(model_id),
        };
    }

    /// Removes all ends of life.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns all ends of life.
    pub(super) fn list(&self) -> BTreeMap<String, SystemTime> {
        self.lock().clone()
    }

    /// Returns the end of life of a model.
    pub(super) fn end_of(&self, model_id: &str) -> Option<SystemTime> {
        self.lock().get(model_id).copied()
    }

    /// Refuses a call to a model that has reached its end of life.
    pub(super) fn check(&self, model_id: &str, now: SystemTime) -> Result<(), WireError> {
        match self.end_of(model_id) {
            Some(end) if end <= now => {
                let message = "This model version has reached the end of its life. Please refer to the AWS documentation for more details.";
                Err(WireError::bedrock(
                    404,
                    "ResourceNotFoundException",
                    message,
                ))
            }
            _ => Ok(()),
        }
    }
}

//! Holds the resources of the emulated account that change at run time: application profiles and
//! tags.

mod tags;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

pub(super) use self::tags::{NotTagged, Tags};
use super::catalogue::{self, Profile};

/// The account's resources in all Regions.
#[derive(Debug, Default)]
pub(super) struct Account(Mutex<BTreeMap<String, Owned>>);

/// The account's resources in one Region.
#[derive(Debug)]
struct Owned {
    profiles: Vec<Profile>,
    /// The tags of each resource, by ARN.
    tags: BTreeMap<String, Tags>,
    /// The profiles by the `clientRequestToken` of the request that created them, each with that
    /// request without the token.
    made: BTreeMap<String, (Value, Profile)>,
}

/// The error for a token that was used before with another request.
#[derive(Debug)]
pub(super) struct TokenUsed;

impl Owned {
    fn of(region: &str) -> Self {
        Self {
            profiles: catalogue::first_applications(region),
            tags: BTreeMap::new(),
            made: BTreeMap::new(),
        }
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Owned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a function on the resources of a Region.
    fn within<T>(&self, region: &str, work: impl FnOnce(&mut Owned) -> T) -> T {
        let mut regions = self.lock();
        let owned = regions
            .entry(region.to_owned())
            .or_insert_with(|| Owned::of(region));
        work(owned)
    }

    /// Returns all profiles of a source Region. AWS's own profiles are first.
    pub(super) fn list(&self, region: &str) -> Vec<Profile> {
        let mut all = catalogue::system_profiles(region);
        self.within(region, |owned| all.extend_from_slice(&owned.profiles));
        all
    }

    /// Returns the profile with this ID in a source Region.
    pub(super) fn find(&self, id: &str, region: &str) -> Option<Profile> {
        let all = self.list(region);
        all.into_iter().find(|profile| profile.id == id)
    }

    /// Adds an application profile with its tags, and returns it. If the same request with the same
    /// token has already created a profile, returns that profile.
    pub(super) fn create(
        &self,
        region: &str,
        token: Option<&str>,
        request: &Value,
        tags: Tags,
        make: impl FnOnce(&str) -> Profile,
    ) -> Result<Profile, TokenUsed> {
        self.within(region, |owned| {
            match token.and_then(|token| owned.made.get(token)) {
                Some((made, profile)) if made == request => return Ok(profile.clone()),
                Some(_) => return Err(TokenUsed),
                None => {}
            }
            let profile = make(&new_id(&owned.profiles));
            owned.profiles.push(profile.clone());
            owned.tags.insert(profile.arn.clone(), tags);
            if let Some(token) = token {
                let made = (request.clone(), profile.clone());
                owned.made.insert(token.to_owned(), made);
            }
            Ok(profile)
        })
    }

    /// Removes an application profile. Returns whether it existed.
    pub(super) fn delete(&self, id: &str, region: &str) -> bool {
        self.within(region, |owned| {
            let found = owned.profiles.iter().position(|profile| profile.id == id);
            let Some(profile) = found.map(|index| owned.profiles.remove(index)) else {
                return false;
            };
            owned.tags.remove(&profile.arn);
            owned.made.retain(|_, (_, made)| made.arn != profile.arn);
            true
        })
    }
}

/// Returns twelve letters and digits that are not the ID of any existing profile.
fn new_id(profiles: &[Profile]) -> String {
    loop {
        let id: String = std::iter::repeat_with(|| fastrand::digit(36))
            .take(12)
            .collect();
        if profiles.iter().all(|profile| profile.id != id) {
            return id;
        }
    }
}

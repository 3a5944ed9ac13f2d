//! Stores the tags of the account's resources: application profiles and Provisioned Throughput.

use std::collections::BTreeMap;

use super::{Account, Owned};
use crate::catalogue::{Arn, Provisioned};

/// The tags of one resource, by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// The maximum number of tags of a resource.
const MOST: usize = 50;

/// Why a resource's tags cannot be read or changed.
#[derive(Debug)]
pub(crate) enum NotTagged {
    /// The Region has no such resource, or the resource cannot have tags.
    NoResource,
    /// The resource would have more than this many tags.
    TooMany(usize),
}

impl Account {
    /// Returns the tags of a resource.
    pub(crate) fn tags(&self, arn: &str, region: &str) -> Result<Tags, NotTagged> {
        self.within(region, |owned| {
            tags_of(owned, arn, region).map(|tags| tags.clone())
        })
    }

    /// Adds tags. They replace existing tags with the same keys.
    pub(crate) fn tag(&self, arn: &str, region: &str, more: Tags) -> Result<(), NotTagged> {
        self.within(region, |owned| {
            let tags = tags_of(owned, arn, region)?;
            let new = more.keys().filter(|key| !tags.contains_key(*key)).count();
            if tags.len() + new > MOST {
                return Err(NotTagged::TooMany(MOST));
            }
            tags.extend(more);
            Ok(())
        })
    }

    /// Removes the tags with these keys.
    pub(crate) fn untag(&self, arn: &str, region: &str, keys: &[&str]) -> Result<(), NotTagged> {
        self.within(region, |owned| {
            tags_of(owned, arn, region)?.retain(|key, _| !keys.contains(&key.as_str()));
            Ok(())
        })
    }
}

fn tags_of<'a>(owned: &'a mut Owned, arn: &str, region: &str) -> Result<&'a mut Tags, NotTagged> {
    let own_profile = owned.profiles.iter().any(|profile| profile.arn == arn);
    let units = || {
        let id = Arn::parse(arn)?.id;
        Provisioned::find(id, region).filter(|units| units.arn(region) == arn)
    };
    if own_profile || units().is_some() {
        Ok(owned.tags.entry(arn.to_owned()).or_default())
    } else {
        Err(NotTagged::NoResource)
    }
}

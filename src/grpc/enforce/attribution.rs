//! Enforces the operator's request metadata, so that a caller cannot charge its calls to another
//! caller.

use std::collections::{BTreeMap, HashSet};

use tonic::metadata::MetadataMap;

use crate::{
    config::{
        RequestMetadata,
        attribution::{MAX_PAIRS, is_value},
    },
    error::Violation,
    pb::ConverseInput,
};

/// The operator's request metadata for one call.
#[derive(Debug, Default)]
pub(in crate::grpc) struct Attribution {
    pairs: BTreeMap<String, String>,
    /// The keys that callers cannot set, even if the operator has no value for them in this call.
    reserved: Vec<String>,
}

impl Attribution {
    /// Collects the pairs of the caller's settings, of the target, of the gateway and of the call's
    /// metadata. If several have the same key, the first one applies.
    pub(in crate::grpc) fn of(
        caller: Option<&BTreeMap<String, String>>,
        target: &BTreeMap<String, String>,
        gateway: &RequestMetadata,
        call: &MetadataMap,
    ) -> Self {
        let from_headers = gateway.from_headers.iter().filter_map(|(key, header)| {
            let mut values = call.get_all(header).iter();
            // If there are several values, at most one is from the proxy, and the gateway cannot
            // determine which one.
            let (Some(value), None) = (values.next(), values.next()) else {
                return None;
            };
            // An empty value would not describe the call, so it is ignored.
            let value = value.to_str().ok()?;
            if value.trim().is_empty() || !is_value(value) {
                return None;
            }
            Some((key.clone(), value.to_owned()))
        });
        let set = gateway
            .set
            .iter()
            .chain(target)
            .chain(caller.into_iter().flatten());
        Self {
            pairs: from_headers
                .chain(set.map(|(key, value)| (key.clone(), value.clone())))
                .collect(),
            reserved: gateway.from_headers.keys().cloned().collect(),
        }
    }

    /// Returns whether there is nothing to enforce.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.reserved.is_empty()
    }

    /// Adds the pairs to the request. They replace the caller's pairs with the same keys. Keys are
    /// treated as equal if they differ only in case or in surrounding spaces. Otherwise Bedrock
    /// would record both pairs, and a reader of its logs could mistake the caller's pair for the
    /// operator's.
    ///
    /// # Errors
    /// Fails if there are more pairs than Bedrock accepts.
    pub(super) fn write(&self, input: &mut ConverseInput) -> Result<(), Vec<Violation>> {
        let pairs = &mut input.request_metadata;
        let by_caller = pairs.len();
        let set: HashSet<String> = self
            .reserved
            .iter()
            .chain(self.pairs.keys())
            .map(|key| normalized(key))
            .collect();
        pairs.retain(|key, _| !set.contains(&normalized(key)));
        for (key, value) in &self.pairs {
            pairs.insert(key.clone(), value.clone());
        }
        if pairs.len() <= MAX_PAIRS {
            return Ok(());
        }
        Err(vec![Violation {
            field: "input.request_metadata".to_owned(),
            description: format!(
                "has {by_caller} pairs, and with those of this gateway there are {}, but Bedrock accepts {MAX_PAIRS}; send fewer",
                pairs.len()
            ),
        }])
    }
}

/// Returns the normalized form of a key, which is equal for all spellings of the key. Keys contain
/// only ASCII characters.
fn normalized(key: &str) -> String {
    key.trim().to_ascii_lowercase()
}

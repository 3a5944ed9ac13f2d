//! The operator's request metadata: a caller must not be able to charge its calls to another one.

use std::collections::BTreeMap;

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
    /// Keys that callers cannot set, even if the operator has no value for them in this call.
    reserved: Vec<String>,
}

impl Attribution {
    /// Returns the pairs of a target, the gateway and the call's metadata.
    pub(in crate::grpc) fn of(
        target: &BTreeMap<String, String>,
        gateway: &RequestMetadata,
        call: &MetadataMap,
    ) -> Self {
        let from_headers = gateway.from_headers.iter().filter_map(|(key, header)| {
            let mut values = call.get_all(header).iter();
            // At most one of several values is from the proxy, and it is not known which one.
            let (Some(value), None) = (values.next(), values.next()) else {
                return None;
            };
            let value = value.to_str().ok().filter(|value| is_value(value))?;
            Some((key.clone(), value.to_owned()))
        });
        let set = gateway.set.iter().chain(target);
        Self {
            pairs: from_headers
                .chain(set.map(|(key, value)| (key.clone(), value.clone())))
                .collect(),
            reserved: gateway.from_headers.keys().cloned().collect(),
        }
    }

    /// Returns whether there is anything to enforce.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.reserved.is_empty()
    }

    /// Writes the pairs over the caller's.
    ///
    /// # Errors
    /// Fails if there are more pairs than Bedrock accepts.
    pub(super) fn write(&self, input: &mut ConverseInput) -> Result<(), Vec<Violation>> {
        let pairs = &mut input.request_metadata;
        let by_caller = pairs.len();
        for key in &self.reserved {
            pairs.remove(key);
        }
        for (key, value) in &self.pairs {
            pairs.insert(key.clone(), value.clone());
        }
        if pairs.len() <= MAX_PAIRS {
            return Ok(());
        }
        Err(vec![Violation {
            field: "input.request_metadata".to_owned(),
            description: format!(
                "has {by_caller} pairs, and this gateway adds its own: {} in all, but Bedrock accepts {MAX_PAIRS}; send fewer",
                pairs.len()
            ),
        }])
    }
}

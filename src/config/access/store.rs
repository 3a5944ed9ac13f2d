//! `limits.store`: where the counts for limits are stored.

use crate::config::section::Section;

/// Where the counts for limits are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LimitsStore {
    /// In the process. Limits per day or month are refused. This is the default.
    #[default]
    Unset,
    /// In the process. The operator accepts that the counts begin at zero when the process starts.
    /// `memory`.
    Memory,
}

/// Reads the key in the section `limits`.
pub(in crate::config) fn read(limits: &mut Section<'_>) -> LimitsStore {
    limits
        .value("store", |text| match text {
            "memory" => Ok(LimitsStore::Memory),
            _ => Err(
                "must be `memory`: the counts are in this process and start anew with it"
                    .to_owned(),
            ),
        })
        .unwrap_or_default()
}

//! `limits.store`: where the counts of limits are.

use crate::config::section::Section;

/// Where the counts of limits are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LimitsStore {
    /// In the process. Limits of a day or a month are refused then. The default.
    #[default]
    Unset,
    /// In the process, and the operator accepts that they start anew with it. `memory`.
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

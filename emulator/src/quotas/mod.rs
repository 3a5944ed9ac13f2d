//! Quotas: how much of a model calls may take, and the [`ledger::Ledger`] that keeps count.
//!
//! As at AWS: requests and tokens of a minute are counted for each model and source Region, apart for calls on demand, by geographic
//! and by global inference profiles. When a call begins, it reserves its input (cache reads and writes included) and `maxTokens`, or the
//! model's maximum if the request sets none; when it ends, that becomes input + cache writes + output x burn-down. Beside
//! the quotas, a destination Region has room for so many calls of a model at once.

mod ledger;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::ledger::{Admission, Lease, Ledger, Refused, Scope};

/// Quotas of an account. By default there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quotas {
    /// What holds where no override does.
    pub default: Quota,
    /// Each replaces the default as a whole. One for a model and a Region wins over one for a model, and that over one for a
    /// Region; of two alike the last wins.
    pub overrides: Vec<QuotaOverride>,
    /// How long a minute takes, in milliseconds. `None`: a minute. A shorter one makes trials quick.
    pub minute_ms: Option<u64>,
}

impl Quotas {
    /// The same quota for each model in each Region.
    pub fn everywhere(quota: Quota) -> Self {
        Self {
            default: quota,
            overrides: Vec::new(),
            minute_ms: None,
        }
    }

    /// Sets the quota of a model, or of all, in a Region, or in all.
    #[must_use]
    pub fn with(mut self, model: Option<&str>, region: Option<&str>, quota: Quota) -> Self {
        self.overrides.push(QuotaOverride {
            model: model.map(str::to_owned),
            region: region.map(str::to_owned),
            quota,
        });
        self
    }

    fn minute(&self) -> Duration {
        self.minute_ms
            .map_or(Duration::from_secs(60), Duration::from_millis)
    }

    /// What holds for a model in a Region.
    pub fn of(&self, model: &str, region: &str) -> &Quota {
        let fits =
            |own: &Option<String>, asked: &str| own.as_deref().is_none_or(|own| own == asked);
        let fitting = self
            .overrides
            .iter()
            .filter(|one| fits(&one.model, model) && fits(&one.region, region));
        let nearest = fitting.max_by_key(|one| (one.model.is_some(), one.region.is_some()));
        nearest.map_or(&self.default, |one| &one.quota)
    }
}

/// A quota for some models or Regions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QuotaOverride {
    /// The foundation model's ID, also for calls by profiles. `None`: all models.
    pub model: Option<String>,
    /// The source Region of rates, the destination Region of capacity. `None`: all Regions.
    pub region: Option<String>,
    /// What holds there.
    pub quota: Quota,
}

/// What calls of a model in a Region may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quota {
    /// Calls on demand: by the model's ID or ARN, or an application profile that copies a model.
    pub on_demand: Rate,
    /// Calls by profiles of a geography, and by their copies.
    pub cross_region: Rate,
    /// Calls by `global.` profiles, and by their copies.
    pub global: Rate,
    /// How many calls of the model this Region serves at once, as a destination. `None`: any number.
    pub capacity: Option<u32>,
}

impl Quota {
    /// This rate for each kind of call.
    pub const fn rate(rate: Rate) -> Self {
        Self {
            on_demand: rate,
            cross_region: rate,
            global: rate,
            capacity: None,
        }
    }

    /// So many calls at once in each destination Region, at any rate.
    pub const fn capacity(calls: u32) -> Self {
        Self {
            capacity: Some(calls),
            ..Self::rate(Rate::unlimited())
        }
    }
}

/// How much may be taken within any minute. `None`: as much as you like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rate {
    /// RPM.
    pub requests_per_minute: Option<u64>,
    /// TPM.
    pub tokens_per_minute: Option<u64>,
}

impl Rate {
    /// No limit.
    pub const fn unlimited() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
        }
    }

    const fn is_limited(self) -> bool {
        self.requests_per_minute.is_some() || self.tokens_per_minute.is_some()
    }
}

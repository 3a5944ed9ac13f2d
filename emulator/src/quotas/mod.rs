//! Defines quotas, which limit the use of a model and throttle calls. The [`ledger::Ledger`] counts
//! the usage.
//!
//! As in AWS, requests and tokens per minute are counted for each model and source Region. Calls on
//! demand, through geographic and through global inference profiles have separate counters. When a
//! call begins, it reserves its input (including cache reads and writes) and `maxTokens`, or the
//! model's maximum if the request sets none. When it ends, the reservation is replaced by input +
//! cache writes + output x burn-down. In addition to quotas, a destination Region has a capacity,
//! which is a maximum number of concurrent calls to a model.

mod ledger;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catalogue::ACCOUNT;

pub(super) use self::ledger::{Admission, Lease, Ledger, Refused, Scope, Tokens};

/// Quotas of an account. By default, there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quotas {
    /// The quota of models and Regions without an override.
    pub default: Quota,
    /// The overrides. Each replaces the whole default. If several match, the most specific one
    /// applies: an account is more specific than a model, and a model is more specific than a
    /// Region. Of equally specific ones, the last one applies.
    pub overrides: Vec<QuotaOverride>,
    /// The length of a minute, in milliseconds. If `None`, it is 60,000. A shorter minute makes
    /// tests fast.
    pub minute_ms: Option<u64>,
}

impl Quotas {
    /// Returns the same quota for each model in each Region.
    pub fn everywhere(quota: Quota) -> Self {
        Self {
            default: quota,
            overrides: Vec::new(),
            minute_ms: None,
        }
    }

    /// Sets the quota of one model or of all models, in one Region or in all Regions.
    #[must_use]
    pub fn with(mut self, model: Option<&str>, region: Option<&str>, quota: Quota) -> Self {
        self.overrides.push(QuotaOverride {
            model: model.map(str::to_owned),
            region: region.map(str::to_owned),
            account: None,
            quota,
        });
        self
    }

    /// Sets the quota of all models of an account, in one Region or in all Regions.
    #[must_use]
    pub fn with_account(mut self, account: &str, region: Option<&str>, quota: Quota) -> Self {
        self.overrides.push(QuotaOverride {
            model: None,
            region: region.map(str::to_owned),
            account: Some(account.to_owned()),
            quota,
        });
        self
    }

    fn minute(&self) -> Duration {
        self.minute_ms
            .map_or(Duration::from_secs(60), Duration::from_millis)
    }

    /// Returns the quota of a model in a Region for the emulator's own account.
    pub fn of(&self, model: &str, region: &str) -> &Quota {
        self.of_account(ACCOUNT, model, region)
    }

    /// Returns the quota of a model in a Region for an account.
    pub fn of_account(&self, account: &str, model: &str, region: &str) -> &Quota {
        let fits =
            |own: &Option<String>, asked: &str| own.as_deref().is_none_or(|own| own == asked);
        let fitting = self.overrides.iter().filter(|one| {
            fits(&one.account, account) && fits(&one.model, model) && fits(&one.region, region)
        });
        let nearest = fitting.max_by_key(|one| {
            (
                one.account.is_some(),
                one.model.is_some(),
                one.region.is_some(),
            )
        });
        nearest.map_or(&self.default, |one| &one.quota)
    }
}

/// A quota for some models or Regions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QuotaOverride {
    /// The ID of the foundation model. The override also applies to calls through profiles of the
    /// model. If `None`, it applies to all models.
    pub model: Option<String>,
    /// The source Region for rates, and the destination Region for capacity. If `None`, all
    /// Regions.
    pub region: Option<String>,
    /// The AWS account that is called. If `None`, all accounts, each with a separate quota.
    pub account: Option<String>,
    /// The quota.
    pub quota: Quota,
}

/// The limits on calls to a model in a Region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quota {
    /// The rate of calls on demand. These use the model's ID or ARN, or an application profile that
    /// is a copy of a model.
    pub on_demand: Rate,
    /// The rate of calls through profiles of a geography, and through copies of these profiles.
    pub cross_region: Rate,
    /// The rate of calls through `global.` profiles, and through copies of these profiles.
    pub global: Rate,
    /// The maximum number of concurrent calls to the model that this Region serves as a
    /// destination. If `None`, there is no limit.
    pub capacity: Option<u32>,
}

impl Quota {
    /// Returns a quota with the same rate for each kind of call.
    pub const fn rate(rate: Rate) -> Self {
        Self {
            on_demand: rate,
            cross_region: rate,
            global: rate,
            capacity: None,
        }
    }

    /// Returns a quota with this many concurrent calls in each destination Region, and without
    /// limits on rates.
    pub const fn capacity(calls: u32) -> Self {
        Self {
            capacity: Some(calls),
            ..Self::rate(Rate::unlimited())
        }
    }
}

/// The maximum usage within any minute. A field that is `None` sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rate {
    /// Requests per minute (RPM).
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute (TPM).
    pub tokens_per_minute: Option<u64>,
}

impl Rate {
    /// Returns a rate without limits.
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

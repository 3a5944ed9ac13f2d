//! `limits` of callers, groups and targets.

use super::{LimitsStore, Price};
use crate::config::{section::Section, units};

/// The highest limit on requests or tokens per minute that can be configured. Up to this value,
/// counts are exact in every store.
const MOST_PER_MINUTE: u64 = 1_000_000_000;
/// The highest limit on tokens per day or month that can be configured.
const MOST_TOKENS: u64 = 1_000_000_000_000;
/// The highest cost limit that can be configured, in US dollars.
const MOST_USD: u64 = 1_000_000;
/// The number of cost units in a US dollar. The gateway counts cost in units of 1e-9 US dollars.
pub const NANO_PER_USD: u64 = 1_000_000_000;

/// The limits of a caller, a group or a target. `None` means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// The maximum number of open calls. `limits.open_streams`.
    pub open_streams: Option<u64>,
    /// The maximum number of calls per minute. `limits.requests_per_minute`.
    pub requests_per_minute: Option<u64>,
    /// The maximum number of input and output tokens per minute. `limits.tokens_per_minute`.
    pub tokens_per_minute: Option<u64>,
    /// The maximum number of input tokens per minute, including those read from and written to
    /// prompt caches. `limits.input_tokens_per_minute`.
    pub input_tokens_per_minute: Option<u64>,
    /// The maximum number of output tokens per minute. `limits.output_tokens_per_minute`.
    pub output_tokens_per_minute: Option<u64>,
    /// The maximum number of input and output tokens per day (UTC). `limits.tokens_per_day`.
    pub tokens_per_day: Option<u64>,
    /// The maximum number of input and output tokens per month (UTC). `limits.tokens_per_month`.
    pub tokens_per_month: Option<u64>,
    /// The maximum cost per day (UTC), in 1e-9 US dollars. `limits.usd_per_day`.
    pub nano_usd_per_day: Option<u64>,
    /// The maximum cost per month (UTC), in 1e-9 US dollars. `limits.usd_per_month`.
    pub nano_usd_per_month: Option<u64>,
}

impl Quota {
    /// Returns whether there is any limit.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// Returns the keys of all limits, with the values of those that are set.
    pub fn limits(&self) -> [(&'static str, Option<u64>); 9] {
        let Self {
            open_streams,
            requests_per_minute,
            tokens_per_minute,
            input_tokens_per_minute,
            output_tokens_per_minute,
            tokens_per_day,
            tokens_per_month,
            nano_usd_per_day,
            nano_usd_per_month,
        } = *self;
        [
            ("open_streams", open_streams),
            ("requests_per_minute", requests_per_minute),
            ("tokens_per_minute", tokens_per_minute),
            ("input_tokens_per_minute", input_tokens_per_minute),
            ("output_tokens_per_minute", output_tokens_per_minute),
            ("tokens_per_day", tokens_per_day),
            ("tokens_per_month", tokens_per_month),
            ("usd_per_day", nano_usd_per_day),
            ("usd_per_month", nano_usd_per_month),
        ]
    }

    /// Returns whether tokens or cost are limited. Then every call needs a maximum number of output
    /// tokens.
    pub fn counts_tokens(&self) -> bool {
        let Self {
            open_streams: _,
            requests_per_minute: _,
            ..
        } = self;
        *self
            != Self {
                open_streams: self.open_streams,
                requests_per_minute: self.requests_per_minute,
                ..Self::default()
            }
    }

    /// Returns whether cost is limited. Then models need prices.
    pub fn counts_money(&self) -> bool {
        self.nano_usd_per_day.is_some() || self.nano_usd_per_month.is_some()
    }

    /// Returns whether there are limits per day or month. They need a store: the process would lose
    /// their counts when it ends.
    pub fn is_of_days(&self) -> bool {
        self.counts_money() || self.tokens_per_day.is_some() || self.tokens_per_month.is_some()
    }
}

/// The settings on which some limits depend.
#[derive(Clone, Debug)]
pub(in crate::config) struct Rules {
    pub(in crate::config) store: LimitsStore,
    pub(in crate::config) has_prices: bool,
}

impl Rules {
    /// Determines these settings from the store and the prices.
    pub(in crate::config) fn of(store: &LimitsStore, prices: &[Price]) -> Self {
        Self {
            store: store.clone(),
            has_prices: !prices.is_empty(),
        }
    }
}

/// Reads the limits in a section `limits`, which can also contain other keys.
pub(in crate::config) fn read(limits: &mut Section<'_>, rules: &Rules) -> Quota {
    let mut number = |key, most| limits.value(key, |text| units::number(text, 1, most));
    let per_minute = MOST_PER_MINUTE;
    let quota = Quota {
        open_streams: number("open_streams", 1_000_000),
        requests_per_minute: number("requests_per_minute", per_minute),
        tokens_per_minute: number("tokens_per_minute", per_minute),
        input_tokens_per_minute: number("input_tokens_per_minute", per_minute),
        output_tokens_per_minute: number("output_tokens_per_minute", per_minute),
        tokens_per_day: number("tokens_per_day", MOST_TOKENS),
        tokens_per_month: number("tokens_per_month", MOST_TOKENS),
        nano_usd_per_day: limits.value("usd_per_day", usd),
        nano_usd_per_month: limits.value("usd_per_month", usd),
    };
    for (key, limit) in [
        ("tokens_per_day", quota.tokens_per_day),
        ("tokens_per_month", quota.tokens_per_month),
        ("usd_per_day", quota.nano_usd_per_day),
        ("usd_per_month", quota.nano_usd_per_month),
    ] {
        if limit.is_some() && rules.store == LimitsStore::Unset {
            limits.report(
                key,
                "needs limits.store: `rediss://HOST`, or `memory` for one replica that loses its counts when it ends",
            );
        }
        if limit.is_some() && key.starts_with("usd") && !rules.has_prices {
            limits.report(
                key,
                "needs `prices`, because without them the cost of calls is unknown",
            );
        }
    }
    quota
}

/// Parses an amount of US dollars such as `12.50`, and returns it in 1e-9 dollars. The result is
/// exact, because no floating-point arithmetic is used.
fn usd(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "`{text}` is not an amount of US dollars above 0 and up to {MOST_USD}, such as 12.50"
        )
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |text: &str| (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let nano: u64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    Some(whole * NANO_PER_USD + nano)
        .filter(|amount| (1..=MOST_USD * NANO_PER_USD).contains(amount))
        .ok_or_else(wrong)
}

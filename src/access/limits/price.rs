//! Computes the cost of a call, in integers of 1e-9 US dollars.

use std::sync::Arc;

use crate::config::{Price, Rates};

/// The tokens of a call, as Bedrock counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedTokens {
    /// Input tokens, except for those that were read from or written to prompt caches.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens that were read from a prompt cache.
    pub cache_read: u64,
    /// Tokens that were written to a prompt cache for five minutes.
    pub cache_write_5m: u64,
    /// Tokens that were written to a prompt cache for an hour.
    pub cache_write_1h: u64,
}

/// The options of a call that affect its prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// The service tier as Bedrock names it: `default`, `flex`, `priority` or `reserved`, or
    /// [`Self::UNKNOWN_TIER`]. Empty means `default`.
    pub service_tier: &'static str,
    /// Whether the call asks for optimized latency.
    pub optimized_latency: bool,
}

impl Billing {
    /// The name for tiers that this version does not know. They have the highest known price.
    pub const UNKNOWN_TIER: &'static str = "unknown";
}

/// The prices of models.
#[derive(Clone, Debug, Default)]
pub struct PriceList(Vec<Arc<Price>>);

impl PriceList {
    /// Creates a list of prices. If several entries match a model, the first one applies.
    pub fn new(prices: Vec<Price>) -> Self {
        Self(prices.into_iter().map(Arc::new).collect())
    }

    /// Returns whether there are no prices.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the prices of a model. `matches` compares a pattern of the list with the model's ID
    /// or ARN, or with the foundation model behind it.
    pub fn of(&self, model_id: &str, matches: impl Fn(&str, &str) -> bool) -> Option<Arc<Price>> {
        let is_priced = |price: &&Arc<Price>| {
            price
                .models
                .iter()
                .any(|pattern| matches(pattern, model_id))
        };
        self.0.iter().find(is_priced).cloned()
    }
}

impl UsedTokens {
    /// Returns the number of all input tokens, including those of prompt caches.
    pub fn all_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }

    /// Returns the cost of a call with these tokens.
    pub fn cost(&self, price: &Price, billing: Billing) -> u64 {
        let rates = rates(price, billing);
        [
            (self.input, rates.input),
            (self.output, rates.output),
            (self.cache_read, rates.cache_read),
            (self.cache_write_5m, rates.cache_write_5m),
            (self.cache_write_1h, rates.cache_write_1h),
        ]
        .into_iter()
        .fold(price.call, |sum, (tokens, rate)| {
            sum.saturating_add(tokens.saturating_mul(rate))
        })
    }
}

/// Returns the maximum cost of a call with these tokens. The price of the default tier is
/// considered too, because Bedrock may serve a request in that tier even if the request asks for
/// another one.
pub fn most(price: &Price, billing: Billing, input: u64, output: u64) -> u64 {
    let default = Billing::default();
    [rates(price, billing), rates(price, default)]
        .into_iter()
        .map(|rates| {
            let dearest = rates
                .input
                .max(rates.cache_read)
                .max(rates.cache_write_5m)
                .max(rates.cache_write_1h);
            let input = input.saturating_mul(dearest);
            let output = output.saturating_mul(rates.output);
            input.saturating_add(output).saturating_add(price.call)
        })
        .max()
        .unwrap_or_default()
}

fn rates(price: &Price, billing: Billing) -> &Rates {
    if billing.service_tier == Billing::UNKNOWN_TIER {
        let tiers = price.service_tiers.values();
        let all = tiers.chain(&price.optimized_latency).chain([&price.rates]);
        return all.max_by_key(|rates| rates.output).unwrap_or(&price.rates);
    }
    price
        .service_tiers
        .get(billing.service_tier)
        .or_else(|| {
            price
                .optimized_latency
                .as_ref()
                .filter(|_| billing.optimized_latency)
        })
        .unwrap_or(&price.rates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UnitPrices;

    fn price() -> Price {
        let flat = |rate| Rates {
            input: rate,
            output: 5 * rate,
            cache_read: rate / 10,
            cache_write_5m: rate * 5 / 4,
            cache_write_1h: 2 * rate,
        };
        Price {
            models: vec!["m".to_owned()],
            rates: flat(1_000),
            call: 0,
            units: UnitPrices::default(),
            service_tiers: [("flex", flat(500)), ("priority", flat(1_750))].into(),
            optimized_latency: Some(flat(1_200)),
        }
    }

    #[test]
    fn a_tier_that_is_not_known_has_the_highest_price() {
        let used = UsedTokens {
            input: 100,
            ..UsedTokens::default()
        };
        let in_tier = |service_tier| {
            let billing = Billing {
                service_tier,
                ..Billing::default()
            };
            used.cost(&price(), billing)
        };
        assert_eq!(in_tier(Billing::UNKNOWN_TIER), 175_000);
        assert_eq!(in_tier("priority"), 175_000);
        assert_eq!(in_tier("default"), 100_000);
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let used = UsedTokens {
            input: 100,
            output: 10,
            cache_read: 1_000,
            cache_write_5m: 8,
            cache_write_1h: 3,
        };
        assert_eq!(used.all_input(), 1_111);
        let cost = |service_tier, optimized_latency| {
            let billing = Billing {
                service_tier,
                optimized_latency,
            };
            used.cost(&price(), billing)
        };
        assert_eq!(cost("", false), 100_000 + 50_000 + 100_000 + 10_000 + 6_000);
        assert_eq!(cost("default", false), cost("", false));
        assert_eq!(cost("flex", false), cost("", false) / 2);
        assert_eq!(cost("", true), cost("", false) * 12 / 10);
    }

    #[test]
    fn nothing_costs_more_than_was_reserved_for_it() {
        for service_tier in ["", "flex", "priority", "reserved"] {
            let billing = Billing {
                service_tier,
                optimized_latency: false,
            };
            let reserved = most(&price(), billing, 1_000, 100);
            for (input, cache_write_1h) in [(1_000, 0), (0, 1_000), (400, 600)] {
                let used = UsedTokens {
                    input,
                    cache_write_1h,
                    output: 100,
                    ..UsedTokens::default()
                };
                for served in [billing, Billing::default()] {
                    assert!(used.cost(&price(), served) <= reserved, "{service_tier}");
                }
            }
        }
    }

    #[test]
    fn a_call_can_have_a_price_in_addition_to_its_tokens() {
        let price = Price {
            call: 40_000_000,
            ..price()
        };
        let billing = Billing::default();
        let used = UsedTokens {
            input: 10,
            ..UsedTokens::default()
        };
        assert_eq!(used.cost(&price, billing), 40_010_000);
        assert_eq!(UsedTokens::default().cost(&price, billing), 40_000_000);
        assert!(most(&price, billing, 10, 0) >= used.cost(&price, billing));
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let used = UsedTokens {
            input: u64::MAX,
            output: u64::MAX,
            ..UsedTokens::default()
        };
        assert_eq!(used.cost(&price(), Billing::default()), u64::MAX);
    }
}

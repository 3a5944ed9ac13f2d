//! Defines the metrics by caller. Callers that are not configured share one label, so the number of
//! series is limited.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The label for a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallerLabel {
    /// The caller's name in the configuration, or `unlisted`.
    pub caller: String,
}

/// The labels of an ended call, by caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallerCall {
    /// The caller's name in the configuration, or `unlisted`.
    pub caller: String,
    /// The gRPC code, such as `OK`.
    pub code: &'static str,
}

/// The labels of token counts, by caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallerTokens {
    /// The caller's name in the configuration, or `unlisted`.
    pub caller: String,
    /// `input`, `output`, `cache_read` or `cache_write`.
    pub kind: &'static str,
}

/// The labels of a daily or monthly limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Budget {
    /// `caller`, `group` or `target`.
    pub scope: &'static str,
    /// The name of the caller, group or target in the configuration.
    pub name: String,
    /// The limit, such as `usd_per_month`.
    pub limit: &'static str,
}

/// The metrics by caller.
#[derive(Clone, Debug)]
pub struct Callers {
    /// Calls that have ended.
    pub calls: Family<CallerCall, Counter>,
    /// Tokens, as Bedrock counted them.
    pub tokens: Family<CallerTokens, Counter>,
    /// Cost in 1e-9 US dollars, by the configured prices.
    pub cost: Family<CallerLabel, Counter>,
    /// The used share of daily and monthly limits, from 0 to 1.
    pub budgets: Family<Budget, Gauge<f64, AtomicU64>>,
}

impl Callers {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let callers = Self {
            calls: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            budgets: Family::default(),
        };
        registry.register(
            "caller_calls",
            "Calls that have ended, by caller",
            callers.calls.clone(),
        );
        registry.register(
            "caller_tokens",
            "Tokens by caller, as Bedrock counted them",
            callers.tokens.clone(),
        );
        registry.register(
            "caller_cost_nano_usd",
            "Cost by caller and the configured prices, in 1e-9 US dollars",
            callers.cost.clone(),
        );
        registry.register(
            "budget_used_ratio",
            "Used share of the daily and monthly limits",
            callers.budgets.clone(),
        );
        callers
    }
}

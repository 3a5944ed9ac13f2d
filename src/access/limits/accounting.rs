//! What the gateway needs to count the usage of calls: the store, the prices, and the limits of
//! targets.

use std::{collections::HashMap, sync::Arc};

use super::{
    charge::Limiter,
    kind::{Amounts, LimitKind},
    price::PriceList,
    refusal::Refusal,
    scope::{Names, Scope, ScopeKind},
    store::{Scopes, Store},
};
use crate::{
    access::{Identity, limits::Charge},
    config::{Access, Estimates, GuardrailPrices, Quota},
    telemetry::Metrics,
};

/// What the gateway needs to count the usage of calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UsageAccounting(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limiter: Limiter,
    prices: PriceList,
    guardrail_prices: Option<GuardrailPrices>,
    estimates: Estimates,
    targets: HashMap<String, Arc<Scope>>,
}

impl UsageAccounting {
    /// Creates the accounting of a configuration. `targets` contains the quota of each target, with
    /// its name.
    pub fn new<'a>(
        access: &Access,
        targets: impl Iterator<Item = (&'a str, &'a Quota)>,
        names: &Names,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let scope = |(name, quota): (&str, &Quota)| {
            let scope = names.scope(ScopeKind::Target, name, quota)?;
            Some((name.to_owned(), scope))
        };
        Self(Arc::new(Inner {
            limiter: Limiter::new(store, metrics),
            prices: PriceList::new(access.prices.clone()),
            guardrail_prices: access.guardrail_prices,
            estimates: access.estimates,
            targets: targets.filter_map(scope).collect(),
        }))
    }

    /// Returns the scopes whose limits apply to a call of `caller` to `target`.
    pub fn scopes(&self, caller: Option<&Identity>, target: &str) -> Scopes {
        Scopes {
            caller: caller.and_then(|caller| caller.caller().scopes.clone()),
            target: self.0.targets.get(target).cloned(),
        }
    }

    /// Returns the prices of models.
    pub fn prices(&self) -> &PriceList {
        &self.0.prices
    }

    /// Returns the prices of guardrails, if they are configured.
    pub fn guardrail_prices(&self) -> Option<&GuardrailPrices> {
        self.0.guardrail_prices.as_ref()
    }

    /// Returns the number of tokens to reserve for content whose tokens cannot be counted.
    pub fn estimates(&self) -> &Estimates {
        &self.0.estimates
    }

    /// Returns the limiter, which makes and settles reservations.
    pub fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// Reserves the amounts of a call, if any of its scopes has a limit.
    ///
    /// # Errors
    /// Fails if the call exceeds a limit.
    pub async fn reserve(
        &self,
        scopes: Scopes,
        amounts: Amounts,
    ) -> Result<Option<Charge>, Refusal> {
        if scopes.is_empty() {
            return Ok(None);
        }
        self.0.limiter.reserve(scopes, amounts).await.map(Some)
    }
}

impl Scopes {
    /// Returns whether any limit counts tokens or cost. Then a call needs a maximum number of
    /// output tokens.
    pub fn counts_tokens(&self) -> bool {
        self.any(|kind| !matches!(kind, LimitKind::OpenStreams | LimitKind::RequestsPerMinute))
    }

    /// Returns whether any limit counts cost. Then the models of a call need prices.
    pub fn counts_money(&self) -> bool {
        self.any(LimitKind::is_money)
    }
}

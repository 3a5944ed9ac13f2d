//! Everything that calls are counted by: the store, the prices, and the limits of targets.

use std::{collections::HashMap, sync::Arc};

use super::{
    charge::Limiter,
    kind::{Amounts, Kind},
    price::PriceList,
    refusal::Refusal,
    scope::{Names, Scope, ScopeKind},
    store::{Scopes, Store},
};
use crate::{
    access::{Identity, limits::Charge},
    config::{Access, Estimates, Quota},
    telemetry::Metrics,
};

/// Everything that calls are counted by. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limiter: Limiter,
    prices: PriceList,
    estimates: Estimates,
    targets: HashMap<String, Arc<Scope>>,
}

impl Accounts {
    /// What the config says, with the quotas of targets by their names.
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
            estimates: access.estimates,
            targets: targets.filter_map(scope).collect(),
        }))
    }

    /// The limits that a call of this caller to this target has to keep.
    pub fn scopes(&self, caller: Option<&Identity>, target: &str) -> Scopes {
        Scopes {
            caller: caller.and_then(|caller| caller.caller().scopes.clone()),
            target: self.0.targets.get(target).cloned(),
        }
    }

    /// What models cost.
    pub fn prices(&self) -> &PriceList {
        &self.0.prices
    }

    /// How many tokens a call reserves where that is not known.
    pub fn estimates(&self) -> &Estimates {
        &self.0.estimates
    }

    /// Reserves and settles.
    pub fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// Reserves for a call, if anything of it is limited.
    ///
    /// # Errors
    /// A limit refuses it.
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
    /// Whether tokens or money are limited, so that a call needs a maximum of output tokens.
    pub fn counts_tokens(&self) -> bool {
        self.any(|kind| !matches!(kind, Kind::OpenStreams | Kind::RequestsPerMinute))
    }

    /// Whether money is limited, so that a call's models need prices.
    pub fn counts_money(&self) -> bool {
        self.any(Kind::is_money)
    }
}

//! The reservation of one call, which is settled exactly once.

use std::sync::Arc;

use super::{
    kind::Amounts,
    refusal::Refusal,
    store::{
        Granted, Reservation, Scopes, Standing, Standings, Step, Store, StoreState,
        StoreUnavailable,
    },
};
use crate::telemetry::Metrics;

/// Makes and settles reservations. Cheap to clone; all clones share the counts.
#[derive(Clone, Debug)]
pub struct Limiter {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

/// The reservation of a call. If it is dropped without a settlement, all reserved amounts count as
/// used.
#[derive(Debug)]
pub struct Charge {
    limiter: Limiter,
    reservation: Option<Reservation>,
    /// The state of the limits after the reservation.
    pub standings: Standings,
}

impl Limiter {
    /// Creates a limiter that counts in this store.
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    /// Reserves the amounts of a call.
    ///
    /// # Errors
    /// Fails if the call exceeds a limit.
    pub async fn reserve(&self, scopes: Scopes, amounts: Amounts) -> Result<Charge, Refusal> {
        let reservation = Reservation {
            id: fastrand::u128(..),
            scopes,
            amounts,
            at: 0,
            held: StoreState::default(),
        };
        let Granted {
            reservation,
            standings,
        } = match self.store.reserve(reservation) {
            Step::Done(granted) => granted?,
            Step::Later(granted) => granted.await?,
        };
        Ok(Charge {
            limiter: self.clone(),
            reservation: Some(reservation),
            standings,
        })
    }

    /// Returns the state of each limit of these scopes, in their order.
    ///
    /// # Errors
    /// Fails if the store does not respond.
    pub async fn standings(&self, scopes: Scopes) -> Result<Vec<Standing>, StoreUnavailable> {
        self.store.standings(scopes).wait().await
    }
}

impl Charge {
    /// Returns the reserved amounts.
    pub fn reserved(&self) -> Amounts {
        self.reservation
            .as_ref()
            .map(|reservation| reservation.amounts)
            .unwrap_or_default()
    }

    /// Replaces the reserved amounts by the used ones. Returns the state of the limits, if it is
    /// known at once.
    pub fn settle(mut self, used: Amounts) -> Option<Standings> {
        let reservation = self.reservation.take()?;
        let metrics = &self.limiter.metrics;
        let reserved = &reservation.amounts;
        // If no limit counts tokens, none are reserved.
        if reservation.scopes.counts_tokens() {
            let input = used.input.saturating_sub(reserved.input);
            let output = used.output.saturating_sub(reserved.output);
            metrics.tokens_beyond_reservation.inc_by(input + output);
        }
        if reservation.scopes.counts_money() {
            let money = used.nano_usd.saturating_sub(reserved.nano_usd);
            metrics.nano_usd_beyond_reservation.inc_by(money);
        }
        self.limiter.store.settle(reservation, used)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            let used = reservation.amounts;
            let _standings = self.limiter.store.settle(reservation, used);
        }
    }
}

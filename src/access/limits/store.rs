//! The trait of stores, which hold the counts of limits.

use std::{fmt, pin::Pin, sync::Arc};

use tokio::time::Instant;

use super::{
    kind::{Amounts, LimitKind},
    level::Level,
    refusal::Refusal,
    scope::Scope,
};

/// The scopes of a call: those of its caller, which are created in advance, and its target.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    /// The caller and its groups.
    pub caller: Option<Arc<[Arc<Scope>]>>,
    /// The target.
    pub target: Option<Arc<Scope>>,
}

impl Scopes {
    /// Returns all scopes.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Scope>> {
        let caller = self.caller.iter().flat_map(|scopes| scopes.iter());
        caller.chain(&self.target)
    }

    /// Returns whether there are no scopes, so that nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns whether any scope has a limit of a kind that `of` selects.
    pub fn any(&self, of: impl Fn(LimitKind) -> bool) -> bool {
        self.iter()
            .any(|scope| scope.limits.iter().any(|limit| of(limit.kind)))
    }
}

/// The amounts that a call reserves, with their scopes and time.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// An ID that is unique among all replicas, by which a store recognizes a repeated step.
    pub id: u128,
    /// The scopes of the call.
    pub scopes: Scopes,
    /// The reserved amounts.
    pub amounts: Amounts,
    /// The time of the reservation by the store's clock, in milliseconds since 1970. Set by
    /// [`Store::reserve`].
    pub at: u64,
    /// The state of the reservation in a remote store.
    pub held: StoreState,
}

/// What is known about a reservation in a remote store. Set by [`Store::reserve`].
#[derive(Clone, Debug, Default)]
pub struct StoreState {
    /// Whether the remote store has the reservation.
    pub(super) in_store: InStore,
    /// When the reservation was made in this process, if the remote store did not respond.
    pub(super) locally_at: Option<u64>,
    /// When the call began, by the clock of this process.
    pub(super) began: Option<Instant>,
    /// The counts of all limits after the reservation.
    pub(super) levels: Box<[Level]>,
}

/// Whether a remote store has a reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum InStore {
    /// The store was not called, or refused the reservation.
    #[default]
    No,
    /// The store has granted the reservation.
    Yes,
    /// The store has not responded, and may still execute the step.
    Unknown,
}

/// A reservation that was granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The reservation, with its time.
    pub reservation: Reservation,
    /// The state of the limits after the reservation.
    pub standings: Standings,
}

/// The state of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit itself.
    pub limit: u64,
    /// The remaining amount.
    pub left: u64,
    /// The number of milliseconds until the limit is fully available again, if no call reserves
    /// anything in the meantime.
    pub whole_in: u64,
}

/// The states of the tightest limits of a call, which are those with the smallest remaining
/// fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// The tightest limit on requests.
    pub requests: Option<Standing>,
    /// The tightest limit on tokens.
    pub tokens: Option<Standing>,
    /// The tightest limit on cost, in 1e-9 US dollars.
    pub money: Option<Standing>,
}

impl Standings {
    /// Adds the state of a limit, if it is tighter than the previous one.
    pub fn add(&mut self, kind: LimitKind, standing: Standing) {
        let place = match kind {
            LimitKind::OpenStreams => return,
            LimitKind::RequestsPerMinute => &mut self.requests,
            LimitKind::MoneyPerDay | LimitKind::MoneyPerMonth => &mut self.money,
            _ => &mut self.tokens,
        };
        // Compares the remaining fractions. Products need no division.
        let product = |left: u64, limit: u64| u128::from(left) * u128::from(limit.max(1));
        let is_tighter = place.is_none_or(|known| {
            product(standing.left, known.limit) < product(known.left, standing.limit)
        });
        if is_tighter {
            *place = Some(standing);
        }
    }
}

/// The error of a store that does not respond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreUnavailable;

/// The result of a step, which is available at once or later. The store limits the waiting time.
pub enum Step<T> {
    /// The result is already available.
    Done(T),
    /// The result will be available later.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Step<T> {
    /// Waits for the result.
    pub async fn wait(self) -> T {
        match self {
            Self::Done(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

/// A store, which holds the counts. All steps are atomic over all scopes of a call.
pub trait Store: Send + Sync + fmt::Debug {
    /// Reserves amounts from all scopes of a call, or from none.
    fn reserve(&self, reservation: Reservation) -> Step<Result<Granted, Refusal>>;

    /// Replaces the reserved amounts by the used ones. This never waits, because a remote store
    /// does it in the background. Returns the state of the limits if it is known at once.
    fn settle(&self, reservation: Reservation, used: Amounts) -> Option<Standings>;

    /// Returns the state of each limit of these scopes, in their order. Fails if the store does not
    /// respond.
    fn standings(&self, scopes: Scopes) -> Step<Result<Vec<Standing>, StoreUnavailable>>;
}

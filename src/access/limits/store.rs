//! The trait of what holds the counts.

use std::{fmt, pin::Pin, sync::Arc};

use super::{
    kind::{Amounts, Kind},
    refusal::Refusal,
    scope::Scope,
};

/// The scopes that a call belongs to: those of its caller, which are known beforehand, and its
/// target.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    /// The caller and its groups.
    pub caller: Option<Arc<[Arc<Scope>]>>,
    /// The target.
    pub target: Option<Arc<Scope>>,
}

impl Scopes {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Scope>> {
        let caller = self.caller.iter().flat_map(|scopes| scopes.iter());
        caller.chain(&self.target)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Whether any of them limits something of this kind.
    pub fn any(&self, of: impl Fn(Kind) -> bool) -> bool {
        self.iter()
            .any(|scope| scope.limits.iter().any(|limit| of(limit.kind)))
    }
}

/// What a call has reserved, from which scopes, and when.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// Unlike all others of all replicas, so that a step that is repeated has no further effect.
    pub id: u128,
    /// From whom.
    pub scopes: Scopes,
    /// How much.
    pub amounts: Amounts,
    /// When, by the store's clock, in milliseconds since 1970. Set by [`Store::reserve`].
    pub at: u64,
}

/// A reservation that was granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What was reserved, and when.
    pub reservation: Reservation,
    /// How the limits stand with it.
    pub standings: Standings,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub left: u64,
    /// In how many milliseconds it is whole again, if nothing else is taken.
    pub whole_in: u64,
}

/// How the tightest limits of a call stand: those of which the smallest share is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Of requests.
    pub requests: Option<Standing>,
    /// Of tokens.
    pub tokens: Option<Standing>,
    /// Of money, in 1e-9 US dollars.
    pub money: Option<Standing>,
}

impl Standings {
    /// Takes a limit's standing into account.
    pub fn add(&mut self, kind: Kind, standing: Standing) {
        let place = match kind {
            Kind::OpenStreams => return,
            Kind::RequestsPerMinute => &mut self.requests,
            Kind::MoneyPerDay | Kind::MoneyPerMonth => &mut self.money,
            _ => &mut self.tokens,
        };
        let share = |standing: &Standing| u128::from(standing.left) << 32;
        let is_tighter = place.is_none_or(|known| {
            share(&standing) / u128::from(standing.limit.max(1))
                < share(&known) / u128::from(known.limit.max(1))
        });
        if is_tighter {
            *place = Some(standing);
        }
    }
}

/// The answer of a store: at once, or after a while, which is bounded by the store.
pub enum Step<T> {
    /// At once.
    Done(T),
    /// After a while.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Step<T> {
    /// Waits for it.
    pub async fn wait(self) -> T {
        match self {
            Self::Done(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

/// Holds the counts. All steps are atomic over all scopes of a call.
pub trait Store: Send + Sync + fmt::Debug {
    /// Reserves from all scopes, or from none.
    fn reserve(&self, reservation: Reservation) -> Step<Result<Granted, Refusal>>;

    /// Replaces what was reserved by what was used. Never waits: a store that is far away does it
    /// in the background. Returns how the limits stand then, if that is known at once.
    fn settle(&self, reservation: Reservation, used: Amounts) -> Option<Standings>;

    /// How each limit of these scopes stands, in their order.
    fn standings(&self, scopes: Scopes) -> Step<Vec<Standing>>;
}

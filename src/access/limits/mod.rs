//! Limits of callers, groups and targets. A call reserves amounts before the gateway calls Bedrock.
//! When the call ends, the usage that Bedrock reports replaces the reserved amounts.
//!
//! A call reserves the maximum that it can use, from all of its scopes at once or from none. So no
//! limit is exceeded, even if many calls are open. Counts are kept by name and separately from the
//! configuration, which can change while calls run.
//!
//! | file | job |
//! |---|---|
//! | `kind` | the kinds of limits, and the period for which each counts |
//! | `scope` | the caller, group or target to which a limit applies |
//! | `level` | the arithmetic of one count |
//! | `period` | when the day or the month of a limit ends |
//! | `store` | the trait of stores, which hold the counts |
//! | `decision` | decides whether a call fits, and computes the state of its limits |
//! | `process` | a store that counts in this process |
//! | `remote` | a store that counts in Redis or Valkey, for all replicas |
//! | `refusal` | the failure of a call that exceeds a limit |
//! | `accounting` | what is needed to count usage: store, prices, limits of targets |
//! | `charge` | the reservation of one call, settled exactly once |
//! | `price` | computes what the tokens of a call cost |
//! | `unit_costs` | computes what images, queries and the units of guardrails cost |

mod accounting;
mod charge;
mod decision;
mod kind;
mod level;
mod period;
mod price;
mod process;
mod refusal;
mod remote;
mod scope;
mod store;
#[cfg(test)]
mod tests;
mod unit_costs;

pub use accounting::UsageAccounting;
pub use charge::{Charge, Limiter};
pub use kind::{Amounts, Limit, LimitKind, Window};
pub use price::{Billing, PriceList, UsedTokens, most as most_expensive};
pub use process::InProcess;
pub use refusal::Refusal;
pub use remote::Remote;
pub use scope::{Names, Scope, ScopeKind};
pub use store::{
    Granted, Reservation, Scopes, Standing, Standings, Step, Store, StoreState, StoreUnavailable,
};
pub use unit_costs::{GuardrailUnits, ModelUnits, UsedUnits};

//! How much callers, groups and targets may use: reserve before Bedrock is called, settle by its
//! usage.
//!
//! A call reserves the most that it can use from all scopes that it belongs to, at once or not at
//! all. When it is over, what it has used replaces what it had reserved. So no limit is exceeded,
//! however many calls are open. The counts are kept by name, apart from the config, which can
//! change while calls run.
//!
//! | file | job |
//! |---|---|
//! | `kind` | the kinds of limits, and how each counts |
//! | `scope` | who or what a limit is for |
//! | `level` | the arithmetic of one count |
//! | `store` | the trait of what holds the counts |
//! | `process` | counts in this process |
//! | `refusal` | a call that a limit refuses |
//! | `accounts` | everything that calls are counted by |
//! | `charge` | the reservation of one call, settled exactly once |
//! | `price` | what a call costs |

mod accounts;
mod charge;
mod kind;
mod level;
mod price;
mod process;
mod refusal;
mod scope;
mod store;
#[cfg(test)]
mod tests;

pub use accounts::Accounts;
pub use charge::{Charge, Limiter};
pub use kind::{Amounts, Kind, Limit, Window};
pub use price::{Billing, PriceList, Used, most as most_expensive};
pub use process::InProcess;
pub use refusal::Refusal;
pub use scope::{Names, Scope, ScopeKind};
pub use store::{Granted, Reservation, Scopes, Standing, Standings, Step, Store};

//! The refusal of a call that exceeds a limit.

use std::{sync::Arc, time::Duration};

use super::{
    kind::{Limit, LimitKind, Window},
    scope::Scope,
};
use crate::{
    config::NANO_PER_USD,
    error::{Failure, Reason, Violation},
};

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The call would reserve more than what remains of a limit.
    Exceeded {
        /// The caller, group or target to which the limit applies.
        scope: Arc<Scope>,
        /// The limit.
        limit: Limit,
        /// The amount that the call would reserve.
        wanted: u64,
        /// What remains of the limit.
        left: u64,
        /// The number of milliseconds after which the call may fit. `None` if it does not fit
        /// before the next month, or never fits.
        wait: Option<u64>,
    },
    /// The store does not respond, and `limits.on_store_failure` is `deny`.
    StoreUnavailable,
}

impl Refusal {
    pub(super) fn new(
        scope: &Arc<Scope>,
        limit: Limit,
        wanted: u64,
        left: u64,
        wait: Option<u64>,
    ) -> Self {
        Self::Exceeded {
            scope: Arc::clone(scope),
            limit,
            wanted,
            left,
            wait,
        }
    }

    /// Of two refusals, returns the one that applies longer.
    #[must_use]
    pub fn or_longer(self, other: Self) -> Self {
        let holds = |refusal: &Self| match refusal {
            Self::Exceeded { wait, .. } => wait.unwrap_or(u64::MAX),
            Self::StoreUnavailable => u64::MAX,
        };
        if holds(&other) > holds(&self) {
            other
        } else {
            self
        }
    }

    /// Returns the failure that the caller receives.
    pub fn failure(&self) -> Failure {
        let Self::Exceeded {
            scope,
            limit,
            wanted,
            left,
            wait,
        } = self
        else {
            let mut failure = Failure::new(
                Reason::LimitStoreUnavailable,
                "the gateway cannot check the caller's limits at the moment; retry later",
            );
            failure.retry_after = Some(Duration::from_secs(1));
            return failure;
        };
        let kind = limit.kind;
        let reason = match kind.window() {
            Window::Open => Reason::CallerStreamLimit,
            Window::Minute => Reason::CallerRateLimit,
            Window::Day | Window::Month => Reason::CallerBudgetExhausted,
        };
        let name = kind.as_str();
        let (most, wanted_text, left) = (
            amount(kind, limit.most),
            amount(kind, *wanted),
            amount(kind, *left),
        );
        let what_to_do = match wait {
            None if *wanted > limit.most => {
                "the call alone exceeds the limit; send less, or set a lower max_tokens"
            }
            None => "the limit is renewed with the next month, UTC",
            Some(_) if kind.window() == Window::Day => {
                "the limit is renewed with the next day, UTC"
            }
            Some(_) => "try again later",
        };
        let description =
            format!("{name} is {most}, {left} is left, and the call reserves {wanted_text}");
        let mut failure = Failure::new(
            reason,
            format!("{}: {description}; {what_to_do}", said(scope)),
        );
        failure.violations.push(Violation {
            field: scope.to_string(),
            description,
        });
        failure.retry_after = wait.map(Duration::from_millis);
        failure
    }
}

/// Returns the scope as messages show it.
fn said(scope: &Scope) -> String {
    format!(
        "the limit of {} `{}` is reached",
        scope.kind.as_str(),
        scope.name
    )
}

/// Returns an amount with its unit, if there is one.
fn amount(kind: LimitKind, number: u64) -> String {
    if kind.is_money() {
        let (whole, nano) = (number / NANO_PER_USD, number % NANO_PER_USD);
        let fraction = format!("{nano:09}");
        let fraction = fraction.trim_end_matches('0');
        return format!("USD {whole}.{fraction:0<2}");
    }
    number.to_string()
}

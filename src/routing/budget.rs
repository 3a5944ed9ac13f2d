//! What all calls together may spend on further attempts, so that retries don't make an outage worse.

use std::sync::{Arc, Mutex, PoisonError};

/// What each call adds: with nothing left, there are at most 1.1 attempts for each call.
const DEPOSIT: f64 = 0.1;
/// What the budget begins with and can hold: short trouble is ridden out.
const MOST: f64 = 100.0;

/// The budget of a process. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct RetryBudget(Arc<Mutex<f64>>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(MOST)))
    }
}

impl RetryBudget {
    /// A call has begun.
    pub fn deposit(&self) {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *balance = (*balance + DEPOSIT).min(MOST);
    }

    /// Whether one more attempt can be paid for; if so, it is.
    pub fn withdraw(&self) -> bool {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *balance < 1.0 {
            return false;
        }
        *balance -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_empty_it_pays_for_a_tenth_of_the_calls() {
        let budget = RetryBudget::default();
        while budget.withdraw() {}
        let calls = 1_000;
        let retries = (0..calls)
            .filter(|_| {
                budget.deposit();
                budget.withdraw()
            })
            .count();
        assert!((95..=100).contains(&retries), "{retries}");
    }
}

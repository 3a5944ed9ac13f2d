//! Limits the additional attempts that all calls of the process together can make. So retries
//! cannot make an outage worse.

use std::sync::{Arc, Mutex, PoisonError};

/// The number of attempts that each call adds to the budget. When the initial budget is used up,
/// calls make at most 1.1 attempts on average.
const DEPOSIT: f64 = 0.1;
/// The initial and maximum number of attempts in the budget. It is sufficient for short
/// disturbances.
const MOST: f64 = 100.0;

/// The retry budget of a process. Cheap to clone. All clones share it.
#[derive(Clone, Debug)]
pub struct RetryBudget(Arc<Mutex<f64>>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(MOST)))
    }
}

impl RetryBudget {
    /// Records that a call has begun.
    pub fn deposit(&self) {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *balance = (*balance + DEPOSIT).min(MOST);
    }

    /// Takes one attempt from the budget. Returns whether one was left.
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

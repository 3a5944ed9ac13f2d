//! Randomizes times, so that replicas and routes do not all retry at once.

use std::time::Duration;

/// Returns the duration multiplied by a random factor from 1/2 to 1, so that waiting calls do not
/// all continue at once. `random` is from 0 to 1.
pub(super) fn jittered(longest: Duration, random: f64) -> Duration {
    longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

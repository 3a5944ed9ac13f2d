//! Random times, so that replicas and routes do not all try again at the same moment.

use std::time::Duration;

/// A duration times a factor from 1/2 to 1, by a random number from 0 to 1: calls that wait must not come back all at once.
pub(super) fn jittered(longest: Duration, random: f64) -> Duration {
    longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

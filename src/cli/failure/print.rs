//! Prints a failure as text or as JSON.

use super::{Failure, json, lines};
use crate::cli::output::Output;

impl Failure {
    /// Prints the failure as text on standard error.
    pub fn print(&self, output: &mut Output) {
        let (headline, rest) = lines::of(self);
        output.error(&headline);
        for line in rest {
            output.note(&format!("  {line}"));
        }
    }

    /// Returns the failure as one line of JSON:
    /// `{"error":{"code":…,"reason":…,"message":…,"retryDelayMs":…,"details":[…]}}`.
    pub fn to_json(&self) -> String {
        json::of(self).to_string()
    }
}

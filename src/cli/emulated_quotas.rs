//! The options for the emulated account's quotas, which `dev` and `emulate` share.

use bedrock_emulator::{Quota, Quotas, Rate};

/// Quotas of the emulated account
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "Quotas of the emulated account")]
pub struct EmulatedQuotas {
    /// Requests per minute for each model and source Region, counted separately for on-demand and
    /// profile calls [default: unlimited]
    #[arg(long, value_name = "NUMBER")]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, counted in the same way. While a call runs, it reserves its input and
    /// maxTokens [default: unlimited]
    #[arg(long, value_name = "NUMBER")]
    pub tokens_per_minute: Option<u64>,
}

impl EmulatedQuotas {
    /// Converts the options into the emulator's quotas.
    pub fn quotas(self) -> Quotas {
        Quotas::everywhere(Quota::rate(Rate {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        }))
    }
}

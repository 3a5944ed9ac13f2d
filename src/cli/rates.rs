//! Options for the emulated account's quotas, shared by `dev` and `emulate`.

use bedrock_emulator::{Quota, Quotas, Rate};

/// Quotas of the emulated account
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "Quotas of the emulated account")]
pub struct Rates {
    /// Calls that each model takes within a minute from each source Region, on demand and by
    /// profiles apart; without it, any number
    #[arg(long, value_name = "NUMBER")]
    pub requests_per_minute: Option<u64>,
    /// Tokens that each model takes in the same way; a call reserves its input and maxTokens while
    /// it runs
    #[arg(long, value_name = "NUMBER")]
    pub tokens_per_minute: Option<u64>,
}

impl Rates {
    /// What they mean to the emulator.
    pub fn quotas(self) -> Quotas {
        Quotas::everywhere(Quota::rate(Rate {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        }))
    }
}

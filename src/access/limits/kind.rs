//! The kinds of limits, and what each of them counts.

use crate::config::Quota;

/// The amounts that a call has reserved or used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// The number of calls: 1, or 0 if nothing is counted.
    pub requests: u64,
    /// Input tokens, including those read from and written to prompt caches.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Cost, in 1e-9 US dollars.
    pub nano_usd: u64,
}

/// The kinds of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// The number of open calls.
    OpenStreams,
    /// Calls per minute.
    RequestsPerMinute,
    /// Input and output tokens per minute.
    TokensPerMinute,
    /// Input tokens per minute.
    InputTokensPerMinute,
    /// Output tokens per minute.
    OutputTokensPerMinute,
    /// Input and output tokens per day.
    TokensPerDay,
    /// Input and output tokens per month.
    TokensPerMonth,
    /// Cost per day.
    MoneyPerDay,
    /// Cost per month.
    MoneyPerMonth,
}

/// The period to which a limit applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The present: the limit counts open calls.
    Open,
    /// A token bucket, which holds the amount of a minute and refills evenly.
    Minute,
    /// A day, UTC.
    Day,
    /// A month, UTC.
    Month,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub kind: LimitKind,
    /// The maximum amount.
    pub most: u64,
}

impl LimitKind {
    /// All kinds. A kind's index is the number by which stores identify it.
    pub const ALL: [Self; 9] = [
        Self::OpenStreams,
        Self::RequestsPerMinute,
        Self::TokensPerMinute,
        Self::InputTokensPerMinute,
        Self::OutputTokensPerMinute,
        Self::TokensPerDay,
        Self::TokensPerMonth,
        Self::MoneyPerDay,
        Self::MoneyPerMonth,
    ];

    /// Returns the name of the limit, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenStreams => "open_streams",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::InputTokensPerMinute => "input_tokens_per_minute",
            Self::OutputTokensPerMinute => "output_tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::TokensPerMonth => "tokens_per_month",
            Self::MoneyPerDay => "usd_per_day",
            Self::MoneyPerMonth => "usd_per_month",
        }
    }

    /// Returns the period for which the limit counts.
    pub const fn window(self) -> Window {
        match self {
            Self::OpenStreams => Window::Open,
            Self::RequestsPerMinute
            | Self::TokensPerMinute
            | Self::InputTokensPerMinute
            | Self::OutputTokensPerMinute => Window::Minute,
            Self::TokensPerDay | Self::MoneyPerDay => Window::Day,
            Self::TokensPerMonth | Self::MoneyPerMonth => Window::Month,
        }
    }

    /// Returns the part of the amounts that this kind of limit counts.
    pub const fn of(self, amounts: &Amounts) -> u64 {
        match self {
            Self::OpenStreams => 1,
            Self::RequestsPerMinute => amounts.requests,
            Self::TokensPerMinute | Self::TokensPerDay | Self::TokensPerMonth => {
                amounts.input.saturating_add(amounts.output)
            }
            Self::InputTokensPerMinute => amounts.input,
            Self::OutputTokensPerMinute => amounts.output,
            Self::MoneyPerDay | Self::MoneyPerMonth => amounts.nano_usd,
        }
    }

    /// Returns whether the limit counts cost.
    pub const fn is_money(self) -> bool {
        matches!(self, Self::MoneyPerDay | Self::MoneyPerMonth)
    }

    /// Returns the limit of this kind in a quota, if there is one.
    fn in_quota(self, quota: &Quota) -> Option<u64> {
        match self {
            Self::OpenStreams => quota.open_streams,
            Self::RequestsPerMinute => quota.requests_per_minute,
            Self::TokensPerMinute => quota.tokens_per_minute,
            Self::InputTokensPerMinute => quota.input_tokens_per_minute,
            Self::OutputTokensPerMinute => quota.output_tokens_per_minute,
            Self::TokensPerDay => quota.tokens_per_day,
            Self::TokensPerMonth => quota.tokens_per_month,
            Self::MoneyPerDay => quota.nano_usd_per_day,
            Self::MoneyPerMonth => quota.nano_usd_per_month,
        }
    }
}

impl Limit {
    /// Returns the limits of a quota.
    pub fn of(quota: &Quota) -> Box<[Self]> {
        let limit = |kind: LimitKind| {
            let most = kind.in_quota(quota)?;
            Some(Self { kind, most })
        };
        LimitKind::ALL.into_iter().filter_map(limit).collect()
    }
}

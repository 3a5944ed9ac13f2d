//! Defines the timing of answers: their speed and length, and the size of writes.

use std::{num::NonZeroUsize, str::FromStr, time::Duration};

/// The speed of streams. By default, there are no waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The time from the request to `messageStart`. Headers are sent immediately.
    pub time_to_first_token: Duration,
    /// The time between two content deltas.
    pub inter_token_delay: Duration,
    /// The length of answers in tokens. A lower `maxTokens` in the request takes precedence.
    pub tokens: Option<NonZeroUsize>,
}

impl Pace {
    /// Returns the speed of a model that generates its first token after this time, and then this
    /// many tokens per second. A rate of 0 or less means no delay.
    pub fn tokens_per_second(time_to_first_token: Duration, rate: f64) -> Self {
        let delay = Duration::try_from_secs_f64(rate.recip()).unwrap_or_default();
        Self {
            time_to_first_token,
            inter_token_delay: delay,
            tokens: None,
        }
    }
}

/// How the bytes of a stream are split into writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Each frame is one write.
    #[default]
    Frames,
    /// Each write has this many bytes, regardless of frames.
    Every(NonZeroUsize),
    /// The writes have 1 to 55 bytes, in an order that splits frames at all kinds of positions.
    Awkward,
}

impl FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "frames" => Ok(Self::Frames),
            "awkward" => Ok(Self::Awkward),
            number => number.parse().map(Self::Every).map_err(|_| {
                format!("{text:?}: expected `frames`, `awkward` or a number of bytes, at least 1")
            }),
        }
    }
}

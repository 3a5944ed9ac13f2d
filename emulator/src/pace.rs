//! The timing of answers: speed, length, and size of writes.

use std::{num::NonZeroUsize, str::FromStr, time::Duration};

/// The speed of streams. The default does not wait at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// From the request to `messageStart`. Headers are sent immediately.
    pub time_to_first_token: Duration,
    /// Between one content delta and the next.
    pub inter_token_delay: Duration,
    /// The length of answers in tokens, if the request does not set it: a lower `maxTokens` takes
    /// precedence.
    pub tokens: Option<NonZeroUsize>,
}

impl Pace {
    /// The speed of a model that needs this long for its first token and then generates this many
    /// tokens a second. A rate of 0 or less means no delay.
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
    /// This many bytes are one write, wherever frames begin.
    Every(NonZeroUsize),
    /// Writes of 1 to 55 bytes, in an order that splits frames in each of their parts.
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

//! How answers come over time: how fast, how long, and in which writes.

use std::{num::NonZeroUsize, str::FromStr, time::Duration};

/// How fast answers stream. The default does not wait at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// From the request to `messageStart`. Headers are sent at once.
    pub time_to_first_token: Duration,
    /// Between one content delta and the next.
    pub inter_token_delay: Duration,
    /// The length of answers in tokens, when the request itself does not say: a lower `maxTokens` wins.
    pub tokens: Option<NonZeroUsize>,
}

impl Pace {
    /// As fast as a model that takes this long to begin and then gives this many tokens in a second. A rate that is not
    /// above zero means no delay.
    pub fn tokens_per_second(time_to_first_token: Duration, rate: f64) -> Self {
        let delay = Duration::try_from_secs_f64(rate.recip()).unwrap_or_default();
        Self {
            time_to_first_token,
            inter_token_delay: delay,
            tokens: None,
        }
    }
}

/// How the bytes of a stream are cut into writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// A frame is a write.
    #[default]
    Frames,
    /// So many bytes are a write, wherever frames begin.
    Every(NonZeroUsize),
    /// Writes of 1 to 55 bytes, in an order that puts cuts in every part of a frame.
    Awkward,
}

impl FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "frames" => Ok(Self::Frames),
            "awkward" => Ok(Self::Awkward),
            number => number.parse().map(Self::Every).map_err(|_| {
                format!("{text:?}: give `frames`, `awkward` or a number of bytes from 1")
            }),
        }
    }
}

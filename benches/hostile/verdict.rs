//! The lateness with and without an attack, and its limits.

use std::{collections::HashMap, fmt, time::Duration};

use crate::streams::{Streams, TOKENS_PER_SECOND, Token};

/// The maximum increase of the 99th percentile over that of the calm period.
const P99: Duration = Duration::from_millis(20);
/// The maximum increase of the latest token over that of the calm period.
const WORST: Duration = Duration::from_millis(100);
/// The memory that the process may use in addition to its budget, in bytes.
pub(crate) const MEMORY_BESIDES: usize = 64 << 20;

/// The tokens of a calm period and of an attack.
pub(crate) struct Pair {
    calm: Lateness,
    attacked: Lateness,
}

struct Lateness {
    p99: Duration,
    worst: Duration,
    tokens: usize,
    tokens_per_second: f64,
}

impl Pair {
    pub(crate) fn of(
        streams: &Streams,
        from: Duration,
        attacked_from: Duration,
        to: Duration,
    ) -> Self {
        let calm = streams.tokens(from, attacked_from);
        let attacked = streams.tokens(attacked_from, to);
        // The schedule of each stream: token N is due at its beginning plus N times the gap. No
        // token arrives before it is due.
        let mut begins: HashMap<usize, Duration> = HashMap::new();
        for token in calm.iter().chain(&attacked) {
            let begin = token.at.saturating_sub(due(token));
            begins
                .entry(token.stream)
                .and_modify(|known| *known = begin.min(*known))
                .or_insert(begin);
        }
        let late = |tokens: &[Token], time: Duration| {
            let mut late: Vec<_> = tokens
                .iter()
                .filter_map(|token| {
                    let begin = begins.get(&token.stream)?;
                    Some(token.at.saturating_sub(*begin + due(token)))
                })
                .collect();
            late.sort_unstable();
            Lateness {
                p99: late.get(late.len() * 99 / 100).copied().unwrap_or_default(),
                worst: late.last().copied().unwrap_or_default(),
                tokens: late.len(),
                tokens_per_second: late.len() as f64 / time.as_secs_f64(),
            }
        };
        Self {
            calm: late(&calm, attacked_from.saturating_sub(from)),
            attacked: late(&attacked, to.saturating_sub(attacked_from)),
        }
    }

    /// Returns what exceeds its limit.
    pub(crate) fn wrong(&self, judges: bool) -> impl Iterator<Item = String> {
        let Self { calm, attacked } = self;
        // On a busy machine, the two periods are not equally long.
        let few = attacked.tokens_per_second * 2.0 < calm.tokens_per_second;
        [
            few.then(|| format!("only {} tokens arrived", attacked.tokens)),
            (judges && attacked.p99 > calm.p99 + P99)
                .then(|| format!("p99 {:?} after {:?}", attacked.p99, calm.p99)),
            (judges && attacked.worst > calm.worst + WORST)
                .then(|| format!("worst {:?} after {:?}", attacked.worst, calm.worst)),
        ]
        .into_iter()
        .flatten()
    }
}

fn due(token: &Token) -> Duration {
    Duration::from_secs_f64(f64::from(token.number) / TOKENS_PER_SECOND)
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1_000.0);
        write!(
            f,
            "{} | {} | {} | {}",
            ms(self.calm.p99),
            ms(self.attacked.p99),
            ms(self.calm.worst),
            ms(self.attacked.worst)
        )
    }
}

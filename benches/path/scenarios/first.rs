//! The time to the first token: what the gateway adds to it, and what queueing adds.

use std::time::Duration;

use super::{Method, Row, Shape, Side, Stage, measure, median};
use crate::Error;

/// Calls whose time to the first token is measured.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    what: &'static str,
    streams: usize,
    tokens: usize,
    tokens_per_second: f64,
    goals: &'static [(f64, Goal)],
}

/// The goal of a quantile.
#[derive(Clone, Copy)]
enum Goal {
    /// At most this many milliseconds more than a client that calls Bedrock directly over enough
    /// connections.
    Added(f64),
    /// At most this many times as long as such a client.
    TimesDirect(f64),
    /// At most this many times as long as through the byte proxy. The slowest calls of a crowd
    /// mainly wait for a core, and a proxy makes them wait, too.
    TimesProxy(f64),
}

pub(super) const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "first-alone",
        what: "one call at a time",
        streams: 1,
        tokens: 5,
        tokens_per_second: f64::INFINITY,
        goals: &[(0.5, Goal::Added(0.3))],
    },
    Scenario {
        name: "first-crowd",
        // Each stream lasts one second, so a call that waits for the end of another one is visible.
        what: "500 calls at a time, each of 20 tokens in 1 s",
        streams: 500,
        tokens: 20,
        tokens_per_second: 20.0,
        goals: &[(0.5, Goal::TimesDirect(3.0)), (0.99, Goal::TimesProxy(2.0))],
    },
];

impl Scenario {
    pub(super) async fn run(&self, short: bool) -> Result<Vec<Row>, Error> {
        let is_crowd = self.streams > 1;
        let (window, repeats) = match (short, is_crowd) {
            (true, false) => (Duration::from_millis(300), 1),
            (true, true) => (Duration::from_millis(1_500), 1),
            (false, false) => (Duration::from_secs(1), 5),
            (false, true) => (Duration::from_secs(4), 3),
        };
        let shape = Shape {
            method: Method::Stream,
            streams: self.streams,
            // This is the duration of a stream, so that calls begin at even intervals.
            ramp: Duration::from_secs(u64::from(is_crowd)),
            window,
        };
        let stage = Stage::set(self.tokens, self.tokens_per_second)?;
        let sides = [
            Side::GatewayHttp1,
            Side::DirectHttp1,
            Side::GatewayHttp2,
            Side::DirectHttp2,
            Side::Proxy,
        ];
        // For each side, the quantiles of each repetition.
        let mut seen: [Vec<Vec<f64>>; 5] = Default::default();
        for _ in 0..repeats {
            for (side, seen) in sides.into_iter().zip(&mut seen) {
                let first = measure(&stage, side, shape).await?.first;
                seen.push(self.quantiles(first)?);
            }
        }
        let [http1, direct1, http2, direct2, proxy] = seen;
        Ok([
            (Side::GatewayHttp1, http1, direct1),
            (Side::GatewayHttp2, http2, direct2),
        ]
        .into_iter()
        .flat_map(|(side, gateway, direct)| self.rows(side, &gateway, &direct, &proxy))
        .collect())
    }

    /// In milliseconds.
    fn quantiles(&self, mut first: Vec<Duration>) -> Result<Vec<f64>, Error> {
        first.sort_unstable();
        let last = first.len().checked_sub(1);
        let last = last.ok_or_else(|| format!("{}: no call was answered", self.name))?;
        let at = |(quantile, _): &(f64, Goal)| first[(last as f64 * quantile).round() as usize];
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(self.goals.iter().map(at).map(milliseconds).collect())
    }

    fn rows(
        &self,
        side: Side,
        gateway: &[Vec<f64>],
        direct: &[Vec<f64>],
        proxy: &[Vec<f64>],
    ) -> Vec<Row> {
        let rows = self.goals.iter().enumerate().map(|(at, (quantile, goal))| {
            let figures = |seen: &[Vec<f64>]| seen.iter().map(|one| one[at]).collect::<Vec<_>>();
            let (name, baseline) = match goal {
                Goal::Added(_) | Goal::TimesDirect(_) => ("direct", direct),
                Goal::TimesProxy(_) => ("byte proxy", proxy),
            };
            let pairs = || figures(gateway).into_iter().zip(figures(baseline));
            let added = median(pairs().map(|(a, b)| a - b).collect());
            let ratio = median(pairs().map(|(a, b)| a / b).collect());
            let (relation, goal, met) = match goal {
                Goal::Added(most) => (
                    format!("+{added:.2} ms"),
                    format!("≤ +{most:.1} ms"),
                    added <= *most,
                ),
                Goal::TimesDirect(most) | Goal::TimesProxy(most) => (
                    format!("{ratio:.2} x"),
                    format!("≤ {most:.1} x"),
                    ratio <= *most,
                ),
            };
            Row {
                name: self.name,
                what: format!(
                    "time to the first token, p{:.0}, {}",
                    quantile * 100.0,
                    self.what
                ),
                upstream: side.upstream(),
                gateway: format!("{:.2} ms", median(figures(gateway))),
                reference: format!("{name} {:.2}", median(figures(baseline))),
                relation,
                goal,
                met: Some(met),
            }
        });
        rows.collect()
    }
}

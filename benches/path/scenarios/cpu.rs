//! CPU per token and per call.

use std::time::Duration;

use super::{Method, Row, Seen, Shape, Side, Stage, measure, median};
use crate::Error;

/// Streams under one kind of load.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    what: &'static str,
    method: Method,
    streams: usize,
    /// The number of tokens of one answer. 0: enough tokens for the whole measurement.
    tokens: usize,
    /// Tokens per second of one stream. Infinite: as fast as the emulator can send.
    tokens_per_second: f64,
    per: Per,
    goals: [Goal; 2],
}

/// The unit by which CPU time is divided.
#[derive(Clone, Copy)]
enum Per {
    Token,
    Call,
}

/// The goals, over HTTP/1.1 and over TLS with HTTP/2.
#[derive(Clone, Copy)]
enum Goal {
    None,
    /// At most this many times the baseline.
    Ratio(f64),
    /// At most this many microseconds.
    Microseconds(f64),
}

/// At a realistic pace, gateways differ from the baseline by their wake-ups.
const PACED: [Goal; 2] = [Goal::Ratio(1.25), Goal::Ratio(1.25)];
/// With more tokens, HTTP/2 can be cheaper than the baseline, because one read delivers tokens of
/// several streams.
const FAST: [Goal; 2] = [Goal::Ratio(1.1), Goal::Ratio(0.9)];

/// Below this share of the intended pace, the machine was overloaded, and the figure is
/// meaningless.
const ENOUGH_PACE: f64 = 0.9;

pub(super) const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "paced-10",
        what: "streams of 10 tokens/s",
        method: Method::Stream,
        streams: 1_000,
        tokens: 0,
        tokens_per_second: 10.0,
        per: Per::Token,
        goals: PACED,
    },
    Scenario {
        name: "paced-40",
        what: "streams of 40 tokens/s",
        method: Method::Stream,
        streams: 1_000,
        tokens: 0,
        tokens_per_second: 40.0,
        per: Per::Token,
        goals: FAST,
    },
    Scenario {
        name: "flood",
        what: "streams of 2,000 tokens, unpaced",
        method: Method::Stream,
        streams: 64,
        tokens: 2_000,
        tokens_per_second: f64::INFINITY,
        per: Per::Token,
        goals: [Goal::None; 2],
    },
    Scenario {
        name: "mixed",
        what: "streams of 20 tokens at 10 tokens/s, sequential",
        method: Method::Stream,
        streams: 1_000,
        tokens: 20,
        tokens_per_second: 10.0,
        per: Per::Token,
        goals: [Goal::None; 2],
    },
    Scenario {
        name: "fifty",
        what: "streams of 50 tokens, unpaced, sequential",
        method: Method::Stream,
        streams: 64,
        tokens: 50,
        tokens_per_second: f64::INFINITY,
        per: Per::Call,
        goals: [Goal::Microseconds(250.0); 2],
    },
    Scenario {
        name: "unary",
        what: "unary calls of 1 token, sequential",
        method: Method::Unary,
        streams: 64,
        tokens: 1,
        tokens_per_second: f64::INFINITY,
        per: Per::Call,
        goals: [Goal::Microseconds(150.0); 2],
    },
];

impl Scenario {
    pub(super) async fn run(&self, short: bool) -> Result<Vec<Row>, Error> {
        let is_paced = self.tokens_per_second.is_finite();
        let (window, repeats) = match (short, is_paced) {
            (true, _) => (Duration::from_millis(500), 1),
            (false, true) => (Duration::from_secs(4), 3),
            (false, false) => (Duration::from_millis(1_500), 3),
        };
        let shape = Shape {
            method: self.method,
            streams: if short {
                self.streams.min(100)
            } else {
                self.streams
            },
            ramp: match (short, is_paced) {
                (_, false) => Duration::ZERO,
                (true, true) => Duration::from_millis(200),
                // The starts of the streams are spread, so that they do not send at the same time.
                (false, true) => Duration::from_secs(2),
            },
            window,
        };
        let tokens = match self.tokens {
            // Starting the streams takes CPU time of the emulator, too.
            0 => {
                (shape.ramp + window + Duration::from_secs(5)).as_secs_f64()
                    * self.tokens_per_second
            }
            tokens => tokens as f64,
        };
        let stage = Stage::set(tokens as usize, self.tokens_per_second)?;
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        let mut slowest = f64::INFINITY;
        for _ in 0..repeats {
            for (side, figures) in [Side::GatewayHttp1, Side::GatewayHttp2, Side::Proxy]
                .into_iter()
                .zip(&mut figures)
            {
                // The byte proxy supports streams only; `Invoke` uses ConverseStream, too.
                let seen = measure(&stage, side, shape).await?;
                figures.push(self.figure(side, &seen)?);
                slowest = slowest.min(self.pace_kept(shape, &seen));
            }
        }
        let [http1, http2, floor] = figures;
        let row = |side: Side, figures: &[f64], goal| self.row(shape, side, figures, &floor, goal);
        let mut rows = vec![
            row(Side::GatewayHttp1, &http1, self.goals[0]),
            row(Side::GatewayHttp2, &http2, self.goals[1]),
        ];
        if slowest < ENOUGH_PACE {
            for row in &mut rows {
                row.what += &format!(" (only {:.0} % of the pace was kept)", slowest * 100.0);
            }
        }
        Ok(rows)
    }

    /// Returns the share of the intended pace that was reached. Less than all of it means that this
    /// machine was overloaded.
    fn pace_kept(&self, shape: Shape, seen: &Seen) -> f64 {
        let wanted = self.tokens_per_second * shape.streams as f64 * shape.window.as_secs_f64();
        if wanted.is_finite() {
            seen.tokens as f64 / wanted
        } else {
            1.0
        }
    }

    /// Microseconds of CPU.
    fn figure(&self, side: Side, seen: &Seen) -> Result<f64, Error> {
        let count = match self.per {
            Per::Token => seen.tokens,
            Per::Call => seen.calls,
        };
        if count == 0 {
            return Err(format!(
                "{}: nothing arrived through {side:?} in the measured time",
                self.name
            )
            .into());
        }
        Ok(seen.cpu.as_secs_f64() * 1e6 / count as f64)
    }

    fn row(&self, shape: Shape, side: Side, figures: &[f64], floor: &[f64], goal: Goal) -> Row {
        let ratio = median(figures.iter().zip(floor).map(|(a, b)| a / b).collect());
        let (figure, floor) = (median(figures.to_vec()), median(floor.to_vec()));
        let unit = match self.per {
            Per::Token => "µs/token",
            Per::Call => "µs/call",
        };
        let (goal, met) = match goal {
            Goal::None => (String::new(), None),
            Goal::Ratio(most) => (format!("≤ {most} x"), Some(ratio <= most)),
            Goal::Microseconds(most) => (format!("≤ {most:.0} {unit}"), Some(figure <= most)),
        };
        Row {
            name: self.name,
            what: format!("CPU, {} {}", shape.streams, self.what),
            upstream: side.upstream(),
            gateway: format!("{figure:.1} {unit}"),
            reference: format!("byte proxy {floor:.1}"),
            relation: format!("{ratio:.2} x"),
            goal,
            met,
        }
    }
}

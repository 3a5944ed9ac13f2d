//! Many open streams: CPU per token, memory and delays as their number grows, and the cost of
//! another call beside them.

use std::{fs, time::Duration};

use super::{ANSWER_LIMIT, Load, Method, Row, SETTLE, Side, Stage, median};
use crate::Error;

pub(super) const NAME: &str = "scale";
const SIDES: [Side; 3] = [Side::GatewayHttp1, Side::GatewayHttp2, Side::Proxy];
const GATEWAYS: [Side; 2] = [Side::GatewayHttp1, Side::GatewayHttp2];

/// The tokens of a stream: more than are sent during a measurement.
const TOKENS: usize = 120;
/// How fast streams are started.
const STARTS_PER_SECOND: f64 = 2_000.0;
/// The first tokens of a stream, of which the earliest is the reference for its delays.
const REFERENCE: u32 = 5;

/// Concurrent calls beside the open streams.
const CALLS: usize = 64;
const CALLS_WINDOW: Duration = Duration::from_millis(1_500);
/// Streams beside calls send so few tokens that these do not count.
const IDLE_TOKENS_PER_SECOND: f64 = 0.02;

pub(super) async fn run(short: bool) -> Result<Vec<Row>, Error> {
    let (curve, beside): (&[usize], &[usize]) = if short {
        (&[10, 100], &[10, 100])
    } else {
        (&[10, 100, 1_000, 10_000, 20_000], &[10, 1_000, 10_000])
    };
    let mut rows = Vec::new();
    let period = Duration::from_secs(1) / if short { 10 } else { 1 };
    for streams in curve {
        rows.extend(paced(*streams, period).await?);
    }
    let stage = Stage::set(4, IDLE_TOKENS_PER_SECOND)?;
    for side in GATEWAYS {
        let mut fewest = None;
        for streams in beside {
            let figure = call_beside(&stage, side, *streams, if short { 1 } else { 3 }).await?;
            let fewest = *fewest.get_or_insert(figure);
            rows.push(Row {
                name: NAME,
                what: format!("CPU, {CALLS} empty unary calls beside {streams} open streams"),
                upstream: side.upstream(),
                gateway: format!("{figure:.1} µs/call"),
                reference: format!("beside {} streams {fewest:.1}", beside[0]),
                relation: format!("{:.2} x", figure / fewest),
                goal: String::new(),
                met: None,
            });
        }
    }
    Ok(rows)
}

/// What one side needs for a number of streams.
struct Figures {
    /// Microseconds of CPU.
    per_token: f64,
    /// KB.
    per_stream: f64,
    /// The 99th percentile of the delays, in milliseconds.
    delay: f64,
}

/// Returns a point of the curve.
async fn paced(streams: usize, period: Duration) -> Result<Vec<Row>, Error> {
    // The byte proxy has two sockets per stream.
    let sockets = 2 * streams + 1_000;
    let available = open_files()?;
    if available < sockets {
        return Err(format!(
            "{NAME}: {streams} streams need {sockets} file descriptors, but this process may open \
             {available}: run `ulimit -n {sockets}` before, as root"
        )
        .into());
    }
    let stage = Stage::set(TOKENS, period.as_secs_f64().recip())?;
    let mut figures = Vec::new();
    for side in SIDES {
        figures.push(figures_of(&stage, side, streams, period).await?);
    }
    let floor = &figures[2];
    Ok(GATEWAYS
        .into_iter()
        .zip(&figures)
        .map(|(side, seen)| Row {
            name: NAME,
            what: format!(
                "CPU, memory and p99 of the delay, {streams} streams at {} tokens/s",
                period.as_secs_f64().recip()
            ),
            upstream: side.upstream(),
            gateway: seen.to_string(),
            reference: format!("byte proxy {floor}"),
            relation: format!("{:.2} x", seen.per_token / floor.per_token),
            goal: String::new(),
            met: None,
        })
        .collect())
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            per_token,
            per_stream,
            delay,
        } = self;
        write!(
            f,
            "{per_token:.1} µs/token, {per_stream:.1} KB/stream, {delay:.2} ms"
        )
    }
}

async fn figures_of(
    stage: &Stage,
    side: Side,
    streams: usize,
    period: Duration,
) -> Result<Figures, Error> {
    let child = stage.child(side);
    let way = stage.way(side, Method::Stream).await?;
    // Memory that the first call allocates does not belong to the streams.
    let warm_up = Load::start(&way, 1, Duration::ZERO);
    warm_up.all_answered(ANSWER_LIMIT).await?;
    warm_up.stop().await;
    let resident_before = child.resident()?;

    let ramp = Duration::from_secs_f64(streams as f64 / STARTS_PER_SECOND).max(period);
    let load = Load::start_paced(&way, streams, ramp, Some(period));
    load.all_answered(ramp + ANSWER_LIMIT).await?;
    tokio::time::sleep(period * REFERENCE).await;
    // A few streams need a longer time for a sensible figure.
    let window = period * if streams < 1_000 { 30 } else { 10 };
    load.watch.take_delays();
    let (tokens, cpu) = (load.watch.count().tokens, child.cpu()?);
    tokio::time::sleep(window).await;
    let (tokens, cpu) = (load.watch.count().tokens - tokens, child.cpu()? - cpu);
    let delays = load.watch.take_delays();
    let resident = child.resident()?;
    load.watch.check()?;
    load.stop().await;
    drop(way);
    tokio::time::sleep(SETTLE).await;
    if tokens == 0 {
        return Err(format!("{NAME}: no token arrived through {side:?}").into());
    }
    Ok(Figures {
        per_token: cpu.as_secs_f64() * 1e6 / tokens as f64,
        per_stream: resident.saturating_sub(resident_before) as f64 / 1024.0 / streams as f64,
        delay: percentile_99(delays).as_secs_f64() * 1e3,
    })
}

fn percentile_99(mut delays: Vec<Duration>) -> Duration {
    delays.sort_unstable();
    let at = delays.len().saturating_sub(1) * 99 / 100;
    delays.get(at).copied().unwrap_or_default()
}

/// Returns the microseconds of CPU of a unary call while this many streams are open.
async fn call_beside(
    stage: &Stage,
    side: Side,
    streams: usize,
    rounds: usize,
) -> Result<f64, Error> {
    let child = stage.child(side);
    let ramp = Duration::from_secs_f64(streams as f64 / STARTS_PER_SECOND);
    let way = stage.way(side, Method::Stream).await?;
    let open = Load::start(&way, streams, ramp);
    open.all_answered(ramp + ANSWER_LIMIT).await?;
    let calls = stage.way(side, Method::Silent).await?;
    let mut figures = Vec::new();
    for _ in 0..rounds {
        let load = Load::start(&calls, CALLS, Duration::ZERO);
        load.all_answered(ANSWER_LIMIT).await?;
        tokio::time::sleep(SETTLE).await;
        let (count, cpu) = (load.watch.count().calls, child.cpu()?);
        tokio::time::sleep(CALLS_WINDOW).await;
        let (count, cpu) = (load.watch.count().calls - count, child.cpu()? - cpu);
        load.watch.check()?;
        load.stop().await;
        figures.push(cpu.as_secs_f64() * 1e6 / count.max(1) as f64);
    }
    open.watch.check()?;
    open.stop().await;
    Ok(median(figures))
}

/// Returns how many file descriptors this process may open. Its child processes inherit the limit.
fn open_files() -> Result<usize, Error> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    match soft.ok_or("this kernel has no limit for open files")? {
        "unlimited" => Ok(usize::MAX),
        number => Ok(number.parse()?),
    }
}

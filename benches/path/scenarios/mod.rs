//! The measurements. The sides that are compared take turns, so that other load on the machine
//! affects both.

mod cpu;
mod first;
mod memory;
mod refusals;
mod scale;

use std::time::Duration;

use crate::{
    Error,
    load::{Count, Load, Method},
    report::Row,
    stage::{Side, Stage},
};

/// How long a call may take before the bench gives up.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// The time between the last stream's start and the measurement.
const SETTLE: Duration = Duration::from_millis(300);

/// Runs the scenarios with these names, or all; the full form of `scale` only by its name.
pub(crate) async fn run(short: bool, only: &[String]) -> Result<Vec<Row>, Error> {
    let names: Vec<&str> = cpu::SCENARIOS
        .iter()
        .map(|scenario| scenario.name)
        .chain([memory::NAME, refusals::NAME, scale::NAME])
        .chain(first::SCENARIOS.iter().map(|scenario| scenario.name))
        .collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!(
            "{unknown}: unknown scenario; the scenarios are {}",
            names.join(", ")
        )
        .into());
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);

    let mut rows = Vec::new();
    for scenario in &cpu::SCENARIOS {
        if wanted(scenario.name) {
            rows.extend(scenario.run(short).await?);
        }
    }
    if wanted(memory::NAME) {
        rows.extend(memory::run(short).await?);
    }
    if wanted(refusals::NAME) {
        rows.extend(refusals::run(short).await?);
    }
    for scenario in &first::SCENARIOS {
        if wanted(scenario.name) {
            rows.extend(scenario.run(short).await?);
        }
    }
    // The full form needs more file descriptors than most machines allow by default.
    if wanted(scale::NAME) && (short || !only.is_empty()) {
        rows.extend(scale::run(short).await?);
    }
    Ok(rows)
}

/// The calls of a measurement.
#[derive(Clone, Copy, Debug)]
struct Shape {
    method: Method,
    /// How many calls at a time.
    streams: usize,
    /// The time over which they begin.
    ramp: Duration,
    /// The time that is measured.
    window: Duration,
}

/// The observations of a side in one window.
struct Seen {
    cpu: Duration,
    tokens: u64,
    calls: u64,
    /// Times to the first message.
    first: Vec<Duration>,
}

/// Puts a side under load and measures one window.
async fn measure(stage: &Stage, side: Side, shape: Shape) -> Result<Seen, Error> {
    let way = stage.way(side, shape.method).await?;
    let load = Load::start(&way, shape.streams, shape.ramp);
    load.all_answered(shape.ramp + ANSWER_LIMIT).await?;
    tokio::time::sleep(SETTLE).await;
    load.watch.take_first();
    let (before, cpu_before): (Count, Duration) = (load.watch.count(), stage.child(side).cpu()?);
    tokio::time::sleep(shape.window).await;
    let (after, cpu_after) = (load.watch.count(), stage.child(side).cpu()?);
    let first = load.watch.take_first();
    load.watch.check()?;
    load.stop().await;
    drop(way);
    // Cancelled calls must not affect the next measurement.
    tokio::time::sleep(SETTLE).await;
    Ok(Seen {
        cpu: cpu_after.saturating_sub(cpu_before),
        tokens: after.tokens - before.tokens,
        calls: after.calls - before.calls,
        first,
    })
}

/// Returns the median.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

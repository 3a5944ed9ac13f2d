//! Makes a Region fail and recover. No call may fail that another Region could have answered.

use std::time::Duration;

use bedrock_emulator::{Condition, Fault};

use crate::{
    Error, load, say,
    stage::{MODEL, REGIONS, Stage},
};

const PER_SECOND: f64 = 30.0;
/// When the outage begins and ends, and when the load ends.
const BEGINS: Duration = Duration::from_secs(3);
const ENDS: Duration = Duration::from_secs(7);
const ALL: Duration = Duration::from_secs(18);

/// Runs all outages and returns which calls were lost.
pub(crate) async fn run() -> Result<Vec<String>, Error> {
    let fault = |name: &str| name.parse::<Fault>().map(Condition::Fault);
    say(
        "| the Region, for 4 s | calls | lost calls | first event p99 during the outage | answered there before, during, after |",
    )?;
    say("|---|---|---|---|---|")?;
    let mut wrong = Vec::new();
    for (name, condition) in [
        ("killed", Condition::Down { cut: false }),
        ("throttled", fault("throttling")?),
        ("without capacity", fault("service-unavailable")?),
        ("slow by 1 s", Condition::Latency(Duration::from_secs(1))),
    ] {
        wrong.extend(scenario(name, condition).await?);
    }
    Ok(wrong)
}

async fn scenario(name: &str, condition: Condition) -> Result<Vec<String>, Error> {
    let stage = Stage::start(MODEL, &REGIONS).await?;
    let (mut begun, mut ended) = (false, false);
    let outcomes = load::offer(&stage, PER_SECOND, ALL, |now| {
        if now >= BEGINS && !std::mem::replace(&mut begun, now >= BEGINS) {
            stage.emulator.set_region(REGIONS[0], condition);
        }
        if now >= ENDS && !std::mem::replace(&mut ended, now >= ENDS) {
            stage.emulator.clear_region(REGIONS[0]);
        }
    })
    .await;
    let there = |from, to| {
        let part = outcomes.between(from, to);
        part.by_region()
            .get(REGIONS[0])
            .copied()
            .unwrap_or_default()
    };
    let lost = outcomes.0.len() - outcomes.answered();
    let after = there(ENDS, ALL);
    say(&format!(
        "| {name} | {} | {lost} | {:.1} ms | {}, {}, {after} |",
        outcomes.0.len(),
        outcomes
            .between(BEGINS, ENDS)
            .first_event(0.99)
            .as_secs_f64()
            * 1_000.0,
        there(Duration::ZERO, BEGINS),
        there(BEGINS, ENDS),
    ))?;
    let mut wrong = Vec::new();
    if lost > 0 {
        wrong.push(format!(
            "{name}: {lost} calls were lost: {:?}",
            outcomes.failures()
        ));
    }
    if after == 0 {
        wrong.push(format!(
            "{name}: the Region was not used after its recovery"
        ));
    }
    Ok(wrong)
}

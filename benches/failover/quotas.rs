//! Offers three times as many calls as one Region's quota allows: to one Region on demand, to a
//! cross-region profile, and with failover over three source Regions. The combined quota is what
//! three Regions allow on demand.

use std::time::Duration;

use bedrock_emulator::{Quota, Quotas, Rate};

use crate::{
    Error, Times,
    load::{self, Outcomes},
    say,
    stage::{MODEL, PROFILE, REGIONS, Stage},
};

/// The quota of one Region for calls on demand, in calls per second.
pub(crate) const REGION: f64 = 10.0;
/// The offered load, which is three times the quota.
const OFFERED: f64 = 30.0;
/// Goals.
pub(crate) const GOODPUT: f64 = 0.95;
pub(crate) const ATTEMPTS: f64 = 1.1;
const FIRST_EVENT: f64 = 2.0;

/// The result of a scenario.
struct Result {
    /// The answered calls, as a share of what the combined quota allows.
    goodput: f64,
    /// Calls to Bedrock for each answered call.
    attempts: f64,
    first_event: Duration,
}

/// Runs all scenarios and returns which goals were missed.
pub(crate) async fn run(times: Times) -> std::result::Result<Vec<String>, Error> {
    let unloaded = unloaded(times).await?;
    let p99 = unloaded.first_event(0.99);
    say(&format!(
        "unloaded: first event p50 {} p99 {}",
        ms(unloaded.first_event(0.5)),
        ms(p99)
    ))?;
    say(
        "| load: 3 x one Region's quota | throughput, share of the combined quota | attempts per answer | first event p99 |",
    )?;
    say("|---|---|---|---|")?;
    let mut without = Vec::new();
    if !times.short {
        without.push(scenario("one Region on demand", MODEL, &REGIONS[..1], times).await?);
        without.push(scenario("a cross-region profile", PROFILE, &REGIONS[..1], times).await?);
    }
    let ours = scenario("failover over three source Regions", MODEL, &REGIONS, times).await?;

    let mut wrong = Vec::new();
    if ours.goodput < GOODPUT {
        wrong.push(format!("goodput {:.3} is below {GOODPUT}", ours.goodput));
    }
    if ours.attempts > ATTEMPTS {
        wrong.push(format!(
            "{:.3} attempts per answer are above {ATTEMPTS}",
            ours.attempts
        ));
    }
    if without.iter().any(|other| ours.goodput < other.goodput) {
        wrong.push("failover is worse than no failover".to_owned());
    }
    // The times are not checked, because the other load on this machine is unknown.
    let slower = ours.first_event.as_secs_f64() / p99.as_secs_f64();
    say(&format!(
        "first event p99 of failover: {slower:.2} x unloaded (goal {FIRST_EVENT} x)"
    ))?;
    Ok(wrong)
}

async fn unloaded(times: Times) -> std::result::Result<Outcomes, Error> {
    let stage = Stage::start(MODEL, &REGIONS).await?;
    Ok(load::offer(&stage, OFFERED / 3.0, times.counted / 4, |_| {}).await)
}

async fn scenario(
    name: &str,
    model_id: &str,
    regions: &[&str],
    times: Times,
) -> std::result::Result<Result, Error> {
    let stage = Stage::start(model_id, regions).await?;
    stage.emulator.set_quotas(quotas(times));
    let all = times.warm_up + times.counted;
    let outcomes = load::offer(&stage, OFFERED, all, |_| {}).await;
    let attempts = outcomes_at_bedrock(&stage, outcomes.0.len());
    let counted = outcomes.between(times.warm_up, all);
    let sum = REGION * REGIONS.len() as f64 * times.counted.as_secs_f64();
    let result = Result {
        goodput: counted.answered() as f64 / sum,
        attempts: attempts as f64 / outcomes.answered().max(1) as f64,
        first_event: counted.first_event(0.99),
    };
    say(&format!(
        "| {name} | {:.1} % | {:.3} | {} |",
        result.goodput * 100.0,
        result.attempts,
        ms(result.first_event)
    ))?;
    Ok(result)
}

/// Returns the quotas of each account in each Region.
pub(crate) fn quotas(times: Times) -> Quotas {
    let per_minute = |per_second: f64| {
        let calls = per_second * times.minute.as_secs_f64();
        Rate {
            requests_per_minute: Some(calls.round() as u64),
            tokens_per_minute: None,
        }
    };
    Quotas {
        minute_ms: u64::try_from(times.minute.as_millis()).ok(),
        ..Quotas::everywhere(Quota {
            on_demand: per_minute(REGION),
            // AWS usually gives profiles twice the quota of a Region.
            cross_region: per_minute(2.0 * REGION),
            ..Quota::default()
        })
    }
}

/// Returns the number of ConverseStream calls that the emulator has received.
pub(crate) fn outcomes_at_bedrock(stage: &Stage, at_least: usize) -> usize {
    let calls = stage.emulator.calls();
    let last = calls.last().map_or(0, |call| call.id);
    let others = calls
        .iter()
        .filter(|call| call.operation != "ConverseStream")
        .count();
    // The log keeps only the last calls, but their IDs count all of them.
    usize::try_from(last)
        .unwrap_or(at_least)
        .saturating_sub(others)
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

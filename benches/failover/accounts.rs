//! Uses two accounts in two Regions each: their four quotas, and one of them while the role in the
//! other is revoked.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    Error, Times, load,
    quotas::{ATTEMPTS, GOODPUT, REGION, outcomes_at_bedrock, quotas},
    say,
    stage::{MODEL, REGIONS, Scene, Stage},
};

/// The accounts of the configuration, with their roles.
pub(crate) const ACCOUNTS: [(&str, &str); 2] = [
    ("one", "arn:aws:iam::111122223333:role/bedrock"),
    ("two", "arn:aws:iam::444455556666:role/bedrock"),
];
/// The offered load of the outage, in calls per second.
const PER_SECOND: f64 = 30.0;
/// When the role is revoked and restored, and when the load ends.
const REVOKED: Duration = Duration::from_secs(3);
const RESTORED: Duration = Duration::from_secs(7);
const ALL: Duration = Duration::from_secs(25);
/// The maximum time until an identity that has failed for 4 s is used again. The pause between
/// probes is one second at first, and doubles: the next probe is at most 4 s away. One second is
/// added for the pace of the load.
const PROBED_WITHIN: Duration = Duration::from_secs(5);

/// Tokens and calls of an account.
type Bill = BTreeMap<String, Usage>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    calls: u64,
    input: u64,
    output: u64,
}

/// Runs all scenarios and returns which goals were missed.
pub(crate) async fn run(times: Times) -> Result<Vec<String>, Error> {
    let mut wrong = shared(times).await?;
    wrong.extend(revoked().await?);
    Ok(wrong)
}

fn scene() -> Scene<'static> {
    Scene {
        model_id: MODEL,
        regions: &REGIONS[..2],
        accounts: &ACCOUNTS,
        session: None,
    }
}

async fn shared(times: Times) -> Result<Vec<String>, Error> {
    let stage = Stage::of(scene()).await?;
    stage.emulator.set_quotas(quotas(times));
    let all = times.warm_up + times.counted;
    let places = (ACCOUNTS.len() * 2) as f64;
    let outcomes = load::offer(&stage, places * REGION, all, |_| {}).await;
    let calls = outcomes_at_bedrock(&stage, outcomes.0.len());
    let answered = outcomes.between(times.warm_up, all).answered();
    let goodput = answered as f64 / (places * REGION * times.counted.as_secs_f64());
    let attempts = calls as f64 / outcomes.answered().max(1) as f64;
    let billed = billed(&stage.control("quotas").await?);
    let recorded = recorded(&stage.records().await?);

    say(
        "| load: the sum of four quotas | throughput, share of the sum | attempts per answer | calls and tokens billed | and recorded |",
    )?;
    say("|---|---|---|---|---|")?;
    say(&format!(
        "| two accounts in two Regions | {:.1} % | {attempts:.3} | {} | {} |",
        goodput * 100.0,
        shown(&billed),
        shown(&recorded),
    ))?;
    let mut wrong = Vec::new();
    if goodput < GOODPUT {
        wrong.push(format!("two accounts: {goodput:.3} is below {GOODPUT}"));
    }
    if attempts > ATTEMPTS {
        wrong.push(format!(
            "two accounts: {attempts:.3} attempts per answer are above {ATTEMPTS}"
        ));
    }
    if billed != recorded || billed.len() != ACCOUNTS.len() {
        wrong.push(format!("billed {billed:?}, recorded {recorded:?}"));
    }
    Ok(wrong)
}

/// Returns what the emulator has billed each account.
fn billed(quotas: &Value) -> Bill {
    let mut bill = Bill::new();
    for ended in quotas["used"]["ended"].as_array().into_iter().flatten() {
        let id = ended["account"].as_str().unwrap_or_default();
        let known = ACCOUNTS.iter().find(|(_, role)| role.contains(id));
        let name = known.map_or(id, |(name, _)| *name);
        let usage = bill.entry(name.to_owned()).or_default();
        usage.calls += ended["calls"].as_u64().unwrap_or_default();
        usage.input += ended["inputTokens"].as_u64().unwrap_or_default();
        usage.output += ended["outputTokens"].as_u64().unwrap_or_default();
    }
    bill
}

/// Returns what the usage records say about each account. A call that no account answered has no
/// tokens.
fn recorded(records: &[Value]) -> Bill {
    let mut bill = Bill::new();
    for record in records
        .iter()
        .filter(|record| record["usage"] == "reported")
    {
        let name = record["account"].as_str().unwrap_or_default();
        let usage = bill.entry(name.to_owned()).or_default();
        usage.calls += 1;
        usage.input += record["input_tokens"].as_u64().unwrap_or_default();
        usage.output += record["output_tokens"].as_u64().unwrap_or_default();
    }
    bill
}

fn shown(bill: &Bill) -> String {
    let accounts = bill.iter().map(|(name, usage)| {
        let tokens = usage.input + usage.output;
        format!("{name}: {}, {tokens}", usage.calls)
    });
    accounts.collect::<Vec<_>>().join("; ")
}

async fn revoked() -> Result<Vec<String>, Error> {
    let stage = Stage::of(scene()).await?;
    let (name, role) = ACCOUNTS[0];
    let (mut begun, mut ended) = (false, false);
    let outcomes = load::offer(&stage, PER_SECOND, ALL, |now| {
        if now >= REVOKED && !std::mem::replace(&mut begun, now >= REVOKED) {
            stage.emulator.revoke_role(role);
        }
        if now >= RESTORED && !std::mem::replace(&mut ended, now >= RESTORED) {
            stage.emulator.restore_role(role);
        }
    })
    .await;
    let lost = outcomes.0.len() - outcomes.answered();
    let there = |from, to| {
        let part = outcomes.between(from, to);
        part.0
            .iter()
            .filter(|outcome| outcome.account == name)
            .count()
    };
    let back = outcomes
        .0
        .iter()
        .filter(|outcome| outcome.account == name && outcome.began >= RESTORED)
        .map(|outcome| outcome.began - RESTORED)
        .min();
    let after = there(RESTORED, ALL);
    say(
        "| the role of one account, for 4 s | calls | lost calls | used again after | answered there before, during, after |",
    )?;
    say("|---|---|---|---|---|")?;
    say(&format!(
        "| revoked | {} | {lost} | {:.1} s | {}, {}, {after} |",
        outcomes.0.len(),
        back.unwrap_or_default().as_secs_f64(),
        there(Duration::ZERO, REVOKED),
        there(REVOKED, RESTORED),
    ))?;
    let mut wrong = Vec::new();
    if lost > 0 {
        wrong.push(format!(
            "revoked role: {lost} calls were lost: {:?}",
            outcomes.failures()
        ));
    }
    if back.is_none_or(|back| back > PROBED_WITHIN) {
        wrong.push(format!(
            "revoked role: the account was used again after {back:?}, not within {PROBED_WITHIN:?}"
        ));
    }
    Ok(wrong)
}

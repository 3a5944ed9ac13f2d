//! Lets the sessions of roles expire under load. No call may fail, and each role is assumed once
//! for each period.

use std::time::Duration;

use crate::{
    Error,
    accounts::ACCOUNTS,
    load, say,
    stage::{MODEL, REGIONS, Scene, Stage},
};

const LIFETIME: Duration = Duration::from_secs(60);
/// Sessions are renewed when a fifth of their lifetime is left.
const PERIOD: Duration = Duration::from_secs(48);
const ALL: Duration = Duration::from_secs(600);
const PER_SECOND: f64 = 20.0;

/// Runs ten minutes of load and returns which goals were missed.
pub(crate) async fn run() -> Result<Vec<String>, Error> {
    let stage = Stage::of(Scene {
        model_id: MODEL,
        regions: &REGIONS[..2],
        accounts: &ACCOUNTS,
        session: Some(LIFETIME),
    })
    .await?;
    let outcomes = load::offer(&stage, PER_SECOND, ALL, |_| {}).await;
    let failed = outcomes.0.len() - outcomes.answered();
    let calls = stage.emulator.calls();
    let refused = calls.iter().filter(|call| call.error_code.is_some());
    let refused = refused.count();
    // One session at the beginning, and one after each period.
    let periods = (ALL.as_secs() / PERIOD.as_secs()) as usize + 1;
    let mut wrong = Vec::new();
    say(
        "| sessions of 60 s, for 10 min | calls | failed | refused by Bedrock | sessions of each role |",
    )?;
    say("|---|---|---|---|---|")?;
    let mut assumed = Vec::new();
    for (name, role) in ACCOUNTS {
        let of_role = calls
            .iter()
            .filter(|call| call.operation == "AssumeRole" && call.model_id == role);
        let count = of_role.count();
        assumed.push(count.to_string());
        if !(periods - 1..=periods).contains(&count) {
            wrong.push(format!(
                "{name}: {count} sessions in {periods} periods of {PERIOD:?}"
            ));
        }
    }
    say(&format!(
        "| two accounts in two Regions | {} | {failed} | {refused} | {} |",
        outcomes.0.len(),
        assumed.join(", ")
    ))?;
    if failed > 0 || refused > 0 {
        wrong.push(format!(
            "{failed} calls failed, Bedrock refused {refused}: {:?}",
            outcomes.failures()
        ));
    }
    Ok(wrong)
}

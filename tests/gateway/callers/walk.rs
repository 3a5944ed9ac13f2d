//! The five-minute walk of docs/callers.md works as written.

use std::path::Path;

use bedrock_emulator::{Emulator, Options};
use tokio::process::Command;

use crate::harness::{Process, Serve, file, soon};

/// Returns the code block of the page that begins with this fence.
fn block(head: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/callers.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, rest) = text.split_once(&format!("```{head}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
async fn two_teams_see_their_limit_and_their_budget() {
    let (mut keys, mut entries) = (Vec::new(), String::new());
    for line in block("sh walk-keys").lines() {
        let arguments = line.strip_prefix("bedrock-grpc ").unwrap().split(' ');
        let made = Process::start(arguments, []).end().await;
        let (key, entry) = made.stdout.split_once('\n').unwrap();
        keys.push(key.to_owned());
        entries.push_str(entry);
    }
    let keys_file = file(&entries);
    let path = keys_file.path().to_str().unwrap();
    let config = block("yaml walk").replace("keys.yaml", path);
    let emulator = Emulator::start(Options::default()).unwrap();
    let serve = Serve::with_keys(&emulator, &config, &[]).await;

    let binary = Path::new(env!("CARGO_BIN_EXE_bedrock-grpc"));
    let bin = binary.parent().unwrap().to_str().unwrap();
    // The marks separate the outputs of the steps; some steps fail on purpose.
    let script: String = block("sh walk")
        .lines()
        .map(|line| format!("{line}\necho \"exit $?\"\n"))
        .collect();
    let run = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("KEY_A", &keys[0])
        .env("KEY_B", &keys[1])
        .env(
            "BEDROCK_GRPC_ADDRESS",
            format!("http://{}", serve.address()),
        )
        .stdin(std::process::Stdio::null())
        .output();
    let output = soon(run).await.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let steps: Vec<_> = stdout.split_inclusive("exit ").collect();
    let exits: Vec<_> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("exit "))
        .collect();
    // Three definitions, then the steps.
    let is_ok: Vec<_> = exits.iter().skip(3).map(|exit| *exit == "0").collect();
    let expected = [false, true, true, true, false, false, true, true];
    assert_eq!(is_ok, expected, "{stdout}\n{stderr}");
    for reason in [
        "CALLER_UNAUTHENTICATED",
        "CALLER_RATE_LIMIT",
        "CALLER_BUDGET_EXHAUSTED",
    ] {
        assert_eq!(stderr.matches(reason).count(), 1, "{reason}: {stderr}");
    }
    let limits = |step: usize| steps[3 + step].to_owned();
    let row = |text: String, kind: &str| {
        let line = text.lines().find(|line| line.starts_with(kind));
        let cells = line.unwrap_or_else(|| panic!("{text}")).split_whitespace();
        cells.map(str::to_owned).collect::<Vec<_>>()
    };
    let requests = row(limits(2), "requests_per_minute");
    assert_eq!(
        requests[1..5],
        ["caller", "team-a", "2", "1"],
        "{requests:?}"
    );
    let money = row(limits(7), "usd_per_day");
    assert_eq!(money[1..4], ["caller", "team-b", "0.0005"], "{money:?}");
}

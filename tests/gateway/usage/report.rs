//! docs/usage.md shows a report of a month. It works on the records that a gateway writes.

use std::{path::Path, process::Command, time::Duration};

use bedrock_grpc::config::{Price, Rates, RecordFile};
use tempfile::TempDir;

use crate::harness::{Gateway, access_of, ask, key_of, keyed, paced};

/// The code block of the page that begins with this language.
fn block(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/usage.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
#[cfg_attr(not(jq), ignore = "needs jq")]
async fn the_report_by_jq_adds_up_calls_tokens_and_cost_of_each_caller() {
    let folder = TempDir::new().unwrap();
    let (a, b) = (key_of(), key_of());
    let mut gateway = Gateway::with(|config, options| {
        config.access = access_of(&[("team-a", &a), ("team-b", &b)]);
        config.access.prices = vec![Price {
            models: vec!["*".to_owned()],
            rates: Rates {
                input: 1_000,
                output: 5_000,
                ..Rates::default()
            },
            ..Price::default()
        }];
        config.usage_records.file = Some(RecordFile::Path(folder.path().join("usage.jsonl")));
        options.pace = paced(Duration::ZERO, 5);
    })
    .await;
    for key in [&a, &a, &b] {
        gateway.stream(keyed(ask("nova"), key)).await.is_whole();
    }
    gateway.stop.drain.cancel();
    gateway.finished().await;
    let text = std::fs::read_to_string(folder.path().join("usage.jsonl")).unwrap();
    let month = text
        .split_once("\"time\":\"")
        .and_then(|(_, time)| time.get(..7))
        .unwrap();
    let command = block("sh").replace("2026-11", month);
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "");
    let rows: Vec<Vec<&str>> = report
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let [team_a, team_b] = &rows[..] else {
        panic!("{report}");
    };
    assert_eq!((team_a[0], team_a[1]), ("team-a", "2"));
    assert_eq!((team_b[0], team_b[1]), ("team-b", "1"));
    let number = |text: &str| text.parse::<f64>().unwrap();
    for row in [team_a, team_b] {
        let expected = (number(row[2]) * 1_000.0 + number(row[3]) * 5_000.0) / 1e9;
        assert!((number(row[4]) - expected).abs() < 1e-12, "{report}");
        assert!(number(row[4]) > 0.0);
        assert_eq!(row[5], "0");
    }
    assert_eq!(number(team_a[2]), 2.0 * number(team_b[2]));
}

//! `guardrail`.

use std::io::Write;

use super::{
    gateway::Gateway,
    process::{Ended, Process},
};

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Runs the command with a file.
async fn run(gateway: &Gateway, option: &str, text: &str, more: &[&str]) -> Ended {
    let file = file(text);
    let mut arguments = vec!["guardrail", option, file.path().to_str().unwrap()];
    arguments.extend_from_slice(more);
    Process::start(gateway.address, &arguments).end().await
}

#[tokio::test]
async fn a_text_is_checked_and_the_outcome_printed() {
    let gateway = Gateway::start().await;
    let target = ["--target", "claude"];
    let ended = run(&gateway, "--text", "hello", &target).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "NONE\n"));
    let options = [
        "--target",
        "claude",
        "--source",
        "output",
        "--full",
        "--guardrail",
        "gr1",
        "--guardrail-version",
        "7",
    ];
    let ended = run(&gateway, "--text", "a secret", &options).await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout, "GUARDRAIL_INTERVENED\na {SECRET}\n");
    let note = "guardrail gr1 version 7: claude GUARDRAIL_CONTENT_SOURCE_OUTPUT GUARDRAIL_OUTPUT_SCOPE_FULL";
    assert!(ended.stderr.contains(note), "{}", ended.stderr);
}

#[tokio::test]
async fn a_request_in_bedrocks_json_gets_an_answer_in_bedrocks_json() {
    let gateway = Gateway::start().await;
    let request = r#"{"guardrailIdentifier":"gr1","guardrailVersion":"DRAFT","source":"INPUT","content":[{"text":{"text":"secret"}}]}"#;
    let options = ["--target", "claude", "--json"];
    let ended = run(&gateway, "--request", request, &options).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let printed: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = serde_json::json!({
        "action": "GUARDRAIL_INTERVENED",
        "actionReason": "claude GUARDRAIL_CONTENT_SOURCE_INPUT GUARDRAIL_OUTPUT_SCOPE_UNSPECIFIED",
        "outputs": [{"text": "{SECRET}"}],
    });
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_printed() {
    let gateway = Gateway::start().await;
    let ended = run(&gateway, "--text", "a", &["--target", "refused"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(77), ""));
    assert!(ended.stderr.contains("you may not check this"));
    for (request, problem) in [
        ("{}", "content: is missing"),
        (
            r#"{"source":"INPUT","content":[],"modelId":"m"}"#,
            "modelId: is not a member",
        ),
        (
            r#"{"source":"INPUT","content":[],"guardrailVersion":1}"#,
            "guardrailVersion: expected a string",
        ),
        (
            r#"{"source":"SIDEWAYS","content":[]}"#,
            "source: is not a member of ApplyGuardrail's request, or has a value",
        ),
    ] {
        let ended = run(&gateway, "--request", request, &["--target", "claude"]).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(64), ""),
            "{request}"
        );
        assert!(
            ended.stderr.contains(problem),
            "{request}: {}",
            ended.stderr
        );
    }
    let ended = run(
        &gateway,
        "--text",
        "a",
        &["--target", "c", "--guardrail", "gr1"],
    )
    .await;
    assert_eq!(ended.code, Some(2), "a version is needed, too");
}

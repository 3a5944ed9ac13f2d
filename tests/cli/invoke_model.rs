//! `invoke-model`.

use super::{gateway::Gateway, process::Process};

/// Runs the command with a file that has this body.
async fn run(gateway: &Gateway, body: &str, more: &[&str]) -> super::process::Ended {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    let mut arguments = vec!["invoke-model", "--body", file.path().to_str().unwrap()];
    arguments.extend_from_slice(more);
    Process::start(gateway.address, &arguments).end().await
}

#[tokio::test]
async fn the_body_is_sent_and_the_answer_printed_as_it_is() {
    let gateway = Gateway::start().await;
    let body = "{ \"inputText\" : \"x\" }\n";
    let ended = run(&gateway, body, &["--target", "embed", "--accept", "text/x"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), body));
    let note = "a.model in us-east-1: text/x, 3 input tokens, 0 output tokens";
    assert!(ended.stderr.contains(note), "{}", ended.stderr);
}

#[tokio::test]
async fn chunks_are_printed_as_lines_and_a_stream_without_its_end_fails() {
    let gateway = Gateway::start().await;
    let stream = |target| ["--target", target, "--accept", "text/x", "--stream"];
    let ended = run(&gateway, "{\"a\": 1}", &stream("embed")).await;
    let lines = "{\"a\":\n1}\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), lines));
    let note = "a.model in us-east-1: text/x, 3 input tokens, 0 output tokens";
    assert!(ended.stderr.contains(note), "{}", ended.stderr);
    let ended = run(&gateway, "{}", &stream("cut")).await;
    assert_eq!(ended.stdout, "{}\n");
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn refusals_and_missing_files_have_exit_codes() {
    let gateway = Gateway::start().await;
    let ended = run(&gateway, "{}", &["--target", "refused"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(77), ""));
    assert!(
        ended.stderr.contains("not for this target"),
        "{}",
        ended.stderr
    );
    let arguments = [
        "invoke-model",
        "--target",
        "embed",
        "--body",
        "/no/such/file",
    ];
    let ended = Process::start(gateway.address, &arguments).end().await;
    assert_eq!(ended.code, Some(64), "{}", ended.stderr);
    assert!(ended.stderr.contains("/no/such/file"), "{}", ended.stderr);
}

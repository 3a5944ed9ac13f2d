//! `invoke`.

use std::io::Write;

use bedrock_grpc::pb::{ContentBlock, InvokeResponse, Message, Role, StopReason, content_block};
use serde_json::Value;
use tonic::Status;

use super::{
    answers::{end, start, text, usage},
    gateway::Gateway,
    process::Process,
};

const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#;

fn text_block(text: &str) -> ContentBlock {
    ContentBlock {
        content: Some(content_block::Content::Text(text.to_owned())),
    }
}

#[tokio::test]
async fn a_converse_request_gets_a_converse_answer() {
    let mut gateway = Gateway::start().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(BODY.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let invoke = Process::start(
        gateway.address,
        &["invoke", "--target", "claude", "--converse", path],
    );
    let call = gateway.invoke_call().await;
    assert_eq!(call.request.target, "claude");
    let input = call.request.input.unwrap();
    assert_eq!(input.messages[0].role(), Role::User);
    assert_eq!(input.messages[0].content, [text_block("Hello")]);
    let response = InvokeResponse {
        message: Some(Message {
            role: Role::Assistant.into(),
            content: vec![text_block("Hi!")],
        }),
        stop_reason: StopReason::EndTurn.into(),
        stop_reason_name: "end_turn".to_owned(),
        metadata: Some(usage()),
        ..InvokeResponse::default()
    };
    assert!(call.answer.send(Ok(response)).is_ok());
    let ended = invoke.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["output"]["message"]["role"], "assistant");
    assert_eq!(answer["output"]["message"]["content"][0]["text"], "Hi!");
    assert_eq!(answer["stopReason"], "end_turn");
}

#[tokio::test]
async fn the_target_may_be_in_the_file() {
    let mut gateway = Gateway::start().await;
    let envelope = format!(r#"{{"modelId":"us.m","operation":"ConverseStream","body":{BODY}}}"#);
    let flat = BODY.replacen('{', r#"{"modelId":"us.m","#, 1);
    for (input, args, target) in [
        (&envelope, &["invoke", "--converse", "-"][..], "us.m"),
        (&flat, &["invoke", "--converse", "-"], "us.m"),
        (
            &flat,
            &["invoke", "--converse", "-", "--target", "claude"],
            "claude",
        ),
    ] {
        let invoke = Process::with_input(gateway.address, args, input).await;
        let call = gateway.invoke_call().await;
        assert_eq!(call.request.target, target);
        let input = call.request.input.unwrap();
        assert_eq!(input.messages[0].content, [text_block("Hello")]);
        assert!(input.raw_members.is_empty());
        assert!(call.answer.send(Err(Status::aborted("seen"))).is_ok());
        let ended = invoke.end().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        assert_eq!(ended.stderr, "error: ABORTED: seen\n");
    }
}

#[tokio::test]
async fn events_are_lines() {
    let mut gateway = Gateway::start().await;
    let args = ["invoke", "--target", "t", "--converse", "-", "--events"];
    let mut invoke = Process::with_input(gateway.address, &args, BODY).await;
    let (request, writer, _) = gateway.stream_call().await.accept();
    assert_eq!(
        request.input.unwrap().messages[0].content,
        [text_block("Hello")]
    );
    writer.send([start(), text("a")]);
    // Each event is printed when it arrives.
    invoke.wrote("contentBlockDelta").await;
    writer.send(end());
    drop(writer);
    let ended = invoke.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let events: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 4);
    assert_eq!(events[0]["messageStart"]["role"], "assistant");
    assert_eq!(events[1]["contentBlockDelta"]["delta"]["text"], "a");
    assert_eq!(events[2]["messageStop"]["stopReason"], "end_turn");
    assert!(events[3]["metadata"].is_object());
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_cancels_the_call() {
    let mut gateway = Gateway::start().await;
    let args = ["invoke", "--target", "t", "--converse", "-"];
    let invoke = Process::with_input(gateway.address, &args, BODY).await;
    let mut call = gateway.invoke_call().await;
    invoke.interrupt().await;
    call.answer.closed().await;
    assert_eq!(invoke.end().await.code, Some(130));
}

#[tokio::test]
async fn a_wrong_file_is_said_before_any_call() {
    let gateway = Gateway::start().await;
    let stdin = ["invoke", "--target", "t", "--converse", "-"];
    let missing = [
        "invoke",
        "--target",
        "t",
        "--converse",
        "/does/not/exist.json",
    ];
    for (args, input, code, message) in [
        (
            &stdin[..],
            "{\"messages\":",
            64,
            "standard input: is not a request in JSON",
        ),
        (
            &stdin,
            "[]",
            64,
            "JSON, such as {\"messages\": […]}: invalid type",
        ),
        (&stdin, r#"{"messages":7}"#, 64, "messages"),
        (&missing, "", 64, "/does/not/exist.json: "),
        (&["invoke", "--converse", "-"], BODY, 2, "no target"),
        (&["invoke", "--target", "t"], "", 2, "--converse"),
    ] {
        let ended = Process::with_input(gateway.address, args, input)
            .await
            .end()
            .await;
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(message), "{args:?}: {ended:?}");
        assert_eq!(ended.stdout, "");
    }
}

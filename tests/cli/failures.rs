//! Failed calls: the message, and the exit code.

use std::time::Duration;

use bedrock_grpc::pb::{Attempt, UpstreamError, UpstreamPhase};
use prost::Message;
use prost_types::Any;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    answers::{start, text},
    gateway::Gateway,
    process::Process,
};

const CHAT: [&str; 4] = ["chat", "--target", "t", "q"];

/// A status with every detail that the gateway sends.
fn detailed() -> Status {
    let mut details = ErrorDetails::new();
    details
        .set_error_info(
            "UPSTREAM_UNAVAILABLE",
            "bedrock-grpc",
            [("target".to_owned(), "claude".to_owned())],
        )
        .set_retry_info(Some(Duration::from_millis(1500)))
        .add_bad_request_violation("input.messages[0].content", "give at least one block")
        .add_quota_failure_violation("tokens", "1000 a minute")
        .set_resource_info("target", "claude", "", "is not known")
        .set_request_info("req-1", "")
        .add_help_link("Profiles", "https://example.com/profiles");
    let status = Status::with_error_details(Code::Unavailable, "no capacity", details);
    let upstream = UpstreamError {
        exception: "ServiceUnavailableException".to_owned(),
        http_status: 503,
        bedrock_request_id: "b-1".to_owned(),
        phase: UpstreamPhase::BeforeFirstEvent.into(),
        retryable: true,
        message: "Too many.".to_owned(),
        original_status_code: 0,
        resource_name: "arn:aws:bedrock:us-east-1::foundation-model/m".to_owned(),
        attempts: vec![Attempt {
            model_id: "us.m".to_owned(),
            source_region: "us-east-1".to_owned(),
            failure_reason: "UPSTREAM_UNAVAILABLE".to_owned(),
            bedrock_request_id: "b-1".to_owned(),
            duration: Some(prost_types::Duration {
                seconds: 0,
                nanos: 212_000_000,
            }),
            account: String::new(),
        }],
    };
    with_detail(
        &status,
        "bedrock.inference.v1.UpstreamError",
        upstream.encode_to_vec(),
    )
}

fn with_detail(status: &Status, name: &str, value: Vec<u8>) -> Status {
    let mut all = tonic_types::Status::decode(status.details()).unwrap();
    all.details.push(Any {
        type_url: format!("type.googleapis.com/{name}"),
        value,
    });
    Status::with_details(status.code(), status.message(), all.encode_to_vec().into())
}

#[tokio::test]
async fn people_see_every_detail() {
    let mut gateway = Gateway::start().await;
    let chat = Process::start(gateway.address, &CHAT);
    let status = with_detail(&detailed(), "example.New", vec![1]);
    let mut chat = chat;
    chat.close_stdin();
    gateway.stream_call().await.refuse(status);
    let ended = chat.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(75), ""));
    let mut lines = ended.stderr.lines();
    assert_eq!(
        lines.next(),
        Some("error: UNAVAILABLE (UPSTREAM_UNAVAILABLE): no capacity")
    );
    let mut rest: Vec<_> = lines.collect();
    rest.sort_unstable();
    let mut expected = [
        "  target: claude",
        "  try again in 1.5 s",
        "  input.messages[0].content: give at least one block",
        "  quota tokens: 1000 a minute",
        "  target claude: is not known",
        "  request ID: req-1",
        "  help: Profiles https://example.com/profiles",
        "  Bedrock: ServiceUnavailableException, HTTP 503, resource arn:aws:bedrock:us-east-1::foundation-model/m, before the first event, request ID b-1",
        "  Bedrock said: Too many.",
        "  attempt: us.m in us-east-1: UPSTREAM_UNAVAILABLE after 212 ms",
        "  detail of an unknown type: type.googleapis.com/example.New",
    ];
    expected.sort_unstable();
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn programs_see_every_detail() {
    let mut gateway = Gateway::start().await;
    let args = ["invoke", "--target", "t", "--converse", "-", "--events"];
    let body = r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#;
    let invoke = Process::with_input(gateway.address, &args, body).await;
    let (_, writer, _) = gateway.stream_call().await.accept();
    writer.send([start(), text("a")]);
    writer.fail(detailed());
    let ended = invoke.end().await;
    assert_eq!(ended.code, Some(75));
    let last: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let error = &last["error"];
    assert_eq!(error["code"], "UNAVAILABLE");
    assert_eq!(error["reason"], "UPSTREAM_UNAVAILABLE");
    assert_eq!(error["message"], "no capacity");
    assert_eq!(error["retryDelayMs"], 1500);
    let details = error["details"].as_array().unwrap();
    let detail = |name: &str| {
        let r#type = format!("type.googleapis.com/{name}");
        let detail = details.iter().find(|detail| detail["@type"] == r#type);
        detail
            .unwrap_or_else(|| panic!("{name} in {error}"))
            .clone()
    };
    assert_eq!(details.len(), 8);
    assert_eq!(
        detail("google.rpc.ErrorInfo")["metadata"],
        json!({"target": "claude"})
    );
    assert_eq!(detail("google.rpc.RetryInfo")["retryDelay"], "1.500s");
    assert_eq!(
        detail("google.rpc.BadRequest")["fieldViolations"],
        json!([{"field": "input.messages[0].content", "description": "give at least one block"}])
    );
    assert_eq!(
        detail("google.rpc.QuotaFailure")["violations"][0]["subject"],
        "tokens"
    );
    assert_eq!(detail("google.rpc.ResourceInfo")["resourceName"], "claude");
    assert_eq!(detail("google.rpc.RequestInfo")["requestId"], "req-1");
    assert_eq!(
        detail("google.rpc.Help")["links"][0]["url"],
        "https://example.com/profiles"
    );
    let upstream = detail("bedrock.inference.v1.UpstreamError");
    assert_eq!(upstream["httpStatus"], 503);
    assert_eq!(
        upstream["resourceName"],
        "arn:aws:bedrock:us-east-1::foundation-model/m"
    );
    assert_eq!(upstream["phase"], "UPSTREAM_PHASE_BEFORE_FIRST_EVENT");
    assert_eq!(upstream["attempts"][0]["duration"], "0.212s");
}

#[tokio::test]
async fn exit_codes_tell_failures_apart() {
    let mut gateway = Gateway::start().await;
    let vetoed = |mut status: Status| {
        status
            .metadata_mut()
            .insert("grpc-retry-pushback-ms", "-1".parse().unwrap());
        status
    };
    let throttled = {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        Status::with_error_details(Code::ResourceExhausted, "", details)
    };
    for (status, code) in [
        (Status::invalid_argument(""), 1),
        (Status::not_found(""), 1),
        (Status::internal(""), 1),
        (Status::resource_exhausted("daily"), 1),
        (throttled, 75),
        (Status::unavailable(""), 75),
        (vetoed(Status::unavailable("")), 1),
        (Status::unauthenticated(""), 77),
        (Status::permission_denied(""), 77),
    ] {
        let mut chat = Process::start(gateway.address, &CHAT);
        chat.close_stdin();
        gateway.stream_call().await.refuse(status.clone());
        let ended = chat.end().await;
        assert_eq!(ended.code, Some(code), "{status:?}: {ended:?}");
    }
}

#[tokio::test]
async fn an_ok_stream_without_its_end_is_truncated() {
    let mut gateway = Gateway::start().await;
    let chat = Process::with_input(gateway.address, &CHAT, "").await;
    let (_, writer, _) = gateway.stream_call().await.accept();
    writer.send([start(), text("half")]);
    drop(writer);
    let ended = chat.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "half\n"));
    assert!(
        ended.stderr.contains("the answer is truncated"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn the_deadline_covers_the_whole_answer_and_is_sent() {
    let mut gateway = Gateway::start().await;
    let args = [
        "chat",
        "--target",
        "t",
        "q",
        "--deadline",
        "3s",
        "--header",
        "X-Request-Id: a:b",
    ];
    let chat = Process::with_input(gateway.address, &args, "").await;
    let call = gateway.stream_call().await;
    assert_eq!(call.metadata.get("grpc-timeout").unwrap(), "3000000u");
    assert_eq!(call.metadata.get("x-request-id").unwrap(), "a:b");
    let (_, writer, gone) = call.accept();
    writer.send([start(), text("half")]);
    gone.await.unwrap();
    let ended = chat.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "half\n"));
    assert!(
        ended.stderr.starts_with("error: DEADLINE_EXCEEDED: "),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn an_unreachable_gateway_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ended = Process::with_input(address, &CHAT, "").await.end().await;
    assert_eq!(ended.code, Some(69));
    let said = format!("error: UNAVAILABLE: the gateway at http://{address} cannot be reached: ");
    assert!(ended.stderr.starts_with(&said), "{}", ended.stderr);
    let hint = "start the gateway, or set --address to where it listens";
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
}

#[tokio::test]
async fn input_files_that_cannot_be_used_are_named_with_what_to_do() {
    let gateway = Gateway::start().await;
    let wrong = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(wrong.path(), "x").unwrap();
    let wrong = wrong.path().to_str().unwrap();
    let invoke = ["invoke", "--target", "a", "--converse"];
    let body = ["invoke-model", "--target", "a", "--body"];
    let missing = "cannot be read: No such file or directory (os error 2); check the path";
    for (args, expected) in [
        ([&invoke[..], &["/missing"]].concat(), missing),
        ([&body[..], &["/missing"]].concat(), missing),
        (vec!["targets", "--key-file", "/missing"], missing),
        (vec!["health", "--token-file", "/missing"], missing),
        ([&invoke[..], &[wrong]].concat(), "is not a request in JSON"),
    ] {
        let ended = Process::start(gateway.address, &args).end().await;
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{args:?}: {ended:?}");
    }
}

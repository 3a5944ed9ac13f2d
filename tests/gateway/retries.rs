//! Before the first event, a call may take several attempts; after it, only one.

use bedrock_emulator::Fault;
use bedrock_grpc::pb::stream_invoke_response::Event;
use prost::Message;
use tonic::Code;

use crate::harness::{Frame, Gateway, MODEL, RawCall, STREAM_INVOKE, ask, faulty, message};

async fn gateway(max_attempts: u32) -> Gateway {
    Gateway::with(|config, _| config.limits.max_attempts = max_attempts).await
}

/// Faults for throttling, missing capacity, failures and breaks: as a response, and as the first
/// frame of a 200.
#[tokio::test]
async fn transient_errors_are_retried_and_every_attempt_is_reported() {
    for fault in [
        "throttling",
        "service-unavailable",
        "model-not-ready",
        "internal",
        "stream-throttling-after-0",
        "stream-service-unavailable-after-0",
    ] {
        let gateway = gateway(3).await;
        let answer = gateway.stream(faulty(fault)).await;
        assert!(answer.trailers_only, "{fault}");
        let calls = gateway.ended(3).await;
        assert_eq!(calls.len(), 3, "{fault}");
        assert!(
            calls.iter().all(|call| call.body == calls[0].body),
            "{fault}"
        );
        let upstream = answer.details().upstream().unwrap();
        let told: Vec<_> = upstream
            .attempts
            .iter()
            .map(|attempt| attempt.bedrock_request_id.clone())
            .collect();
        let seen: Vec<_> = calls.iter().map(|call| call.request_id.clone()).collect();
        assert_eq!(told, seen, "{fault}");
    }
}

#[tokio::test]
async fn after_transient_errors_the_answer_lists_the_failed_attempts() {
    let gateway = Gateway::with(|config, options| {
        config.limits.max_attempts = 10;
        options.fault = Some("throttling".parse::<Fault>().unwrap());
    })
    .await;
    let (answer, ()) = tokio::join!(gateway.stream(ask(MODEL)), async {
        gateway.ended(1).await;
        gateway.emulator.set_fault(None);
    });
    answer.is_whole();
    let Some(Event::MessageStart(start)) = answer.events().next() else {
        panic!("{:?}", answer.shape());
    };
    let (last, failed) = start.attempts.split_last().unwrap();
    assert_eq!(last.failure_reason, "");
    assert_eq!(last.bedrock_request_id, start.bedrock_request_id);
    assert!(!failed.is_empty());
    assert!(
        failed
            .iter()
            .all(|attempt| attempt.failure_reason == "UPSTREAM_THROTTLED")
    );
}

#[tokio::test]
async fn nothing_is_tried_again_once_a_token_was_sent_or_when_it_can_not_help() {
    for (fault, code) in [
        ("stream-throttling-after-1", Code::ResourceExhausted),
        ("stream-internal-after-1", Code::Internal),
        ("end-without-message-stop-after-1", Code::Unavailable),
        ("validation", Code::InvalidArgument),
        ("access-denied", Code::PermissionDenied),
        ("resource-not-found", Code::NotFound),
        ("quota", Code::ResourceExhausted),
    ] {
        let gateway = gateway(3).await;
        let answer = gateway.stream(faulty(fault)).await;
        assert_eq!(answer.code(), code, "{fault}");
        assert_eq!(gateway.ended(1).await.len(), 1, "{fault}");
    }
}

/// The deadline covers all attempts: a backoff that would end after it does not begin. The test
/// sends the deadline by hand, because tonic's client enforces it itself.
#[tokio::test]
async fn attempts_end_with_the_deadline() {
    let gateway = gateway(10).await;
    let request = http::Request::post(format!("http://{}{STREAM_INVOKE}", gateway.address))
        .header("grpc-timeout", "300m");
    let body = message(0, &faulty("throttling").encode_to_vec());
    let frames = RawCall::send(&gateway, request, &body).await.frames().await;
    let Some(Frame::Headers { headers, end: true }) = frames.last() else {
        panic!("{frames:?}");
    };
    let code = headers
        .get("grpc-status")
        .map(|code| Code::from_bytes(code.as_bytes()));
    assert!(
        matches!(code, Some(Code::ResourceExhausted | Code::DeadlineExceeded)),
        "{frames:?}"
    );
    assert!(gateway.ended(1).await.len() < 10);
}

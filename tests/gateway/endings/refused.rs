//! Before the stream: Bedrock's HTTP errors, and failures to connect.

use std::net::TcpListener;

use tonic::Code;

use super::{Told, told};
use crate::harness::{Gateway, MODEL, ask, faulty, invoke};

/// Every HTTP error, with its row in the table of errors.
const REFUSALS: [Told; 17] = [
    told(
        "validation",
        Code::InvalidArgument,
        "UPSTREAM_VALIDATION",
        "ValidationException",
    )
    .http(400),
    told(
        "input-too-long",
        Code::InvalidArgument,
        "CONTEXT_TOO_LONG",
        "ValidationException",
    )
    .http(400),
    told(
        "profile-required",
        Code::FailedPrecondition,
        "INFERENCE_PROFILE_REQUIRED",
        "ValidationException",
    )
    .http(400),
    told(
        "access-denied",
        Code::PermissionDenied,
        "UPSTREAM_ACCESS_DENIED",
        "AccessDeniedException",
    )
    .http(403),
    told(
        "expired-token",
        Code::Internal,
        "UPSTREAM_CREDENTIALS",
        "ExpiredTokenException",
    )
    .http(403),
    told(
        "resource-not-found",
        Code::NotFound,
        "UPSTREAM_RESOURCE",
        "ResourceNotFoundException",
    )
    .http(404),
    told(
        "model-timeout",
        Code::DeadlineExceeded,
        "MODEL_TIMEOUT",
        "ModelTimeoutException",
    )
    .http(408),
    told(
        "model-error",
        Code::Unavailable,
        "MODEL_ERROR",
        "ModelErrorException",
    )
    .http(424)
    .original(500)
    .after(1000),
    told(
        "model-error-429",
        Code::Unavailable,
        "MODEL_ERROR",
        "ModelErrorException",
    )
    .http(424)
    .original(429)
    .after(1000),
    told(
        "throttling",
        Code::ResourceExhausted,
        "UPSTREAM_THROTTLED",
        "ThrottlingException",
    )
    .http(429)
    .after(1000),
    told(
        "throttling-retry-after",
        Code::ResourceExhausted,
        "UPSTREAM_THROTTLED",
        "ThrottlingException",
    )
    .http(429)
    .after(2000),
    told(
        "throttling-x-amz-retry-after",
        Code::ResourceExhausted,
        "UPSTREAM_THROTTLED",
        "ThrottlingException",
    )
    .http(429)
    .after(1500),
    told(
        "quota",
        Code::ResourceExhausted,
        "UPSTREAM_QUOTA",
        "ThrottlingException",
    )
    .http(429),
    told(
        "model-not-ready",
        Code::Unavailable,
        "MODEL_NOT_READY",
        "ModelNotReadyException",
    )
    .http(429)
    .after(1000),
    told(
        "internal",
        Code::Internal,
        "UPSTREAM_INTERNAL",
        "InternalServerException",
    )
    .http(500),
    told(
        "service-unavailable",
        Code::Unavailable,
        "UPSTREAM_UNAVAILABLE",
        "ServiceUnavailableException",
    )
    .http(503)
    .after(1000),
    told(
        "unknown-error",
        Code::FailedPrecondition,
        "UPSTREAM_UNKNOWN",
        "FutureException",
    )
    .http(400),
];

#[tokio::test]
async fn a_refusal_is_a_trailers_only_response() {
    let gateway = Gateway::start().await;
    for refusal in &REFUSALS {
        let answer = gateway.stream(faulty(refusal.fault)).await;
        assert!(answer.trailers_only, "{}", refusal.fault);
        refusal
            .reports_one_call(&gateway, &answer, "before-first-event")
            .await;
    }
}

#[tokio::test]
async fn invoke_is_refused_with_the_same_message() {
    let gateway = Gateway::start().await;
    let mut client = gateway.inference();
    for refusal in &REFUSALS {
        let streamed = gateway.stream(faulty(refusal.fault)).await;
        let whole = client.invoke(invoke(faulty(refusal.fault))).await;
        let whole = whole.unwrap_err();
        let streamed = streamed.end.unwrap_err();
        assert_eq!(whole.code(), streamed.code(), "{}", refusal.fault);
        assert_eq!(whole.message(), streamed.message(), "{}", refusal.fault);
    }
}

/// The faults are read from the emulator's list, so that every new fault is tested.
#[test]
fn every_refusal_of_the_emulator_is_in_the_table() {
    let spoiled = super::spoiled::faults();
    let whole = super::whole::FAULTS;
    for (name, about) in bedrock_emulator::Fault::all() {
        let here = REFUSALS.iter().any(|refusal| refusal.fault == name);
        let there = spoiled.contains(&name) || whole.contains(&name);
        assert!(here || there, "no test of the fault {name} ({about})");
    }
}

#[tokio::test]
async fn bedrocks_message_is_forwarded_except_about_credentials() {
    let gateway = Gateway::start().await;
    let refused = gateway.stream(faulty("access-denied")).await.details();
    assert_eq!(
        refused.upstream().unwrap().message,
        "You don't have access to the model with the specified model ID."
    );
    let expired = gateway.stream(faulty("expired-token")).await;
    let message = expired.end.as_ref().unwrap_err().message().to_owned();
    assert!(
        message.contains("the gateway's AWS credentials have expired"),
        "{message}"
    );
    assert_eq!(expired.details().upstream().unwrap().message, "");
}

#[tokio::test]
async fn the_throttled_quota_and_the_missing_resource_are_named() {
    let gateway = Gateway::start().await;
    let throttled = gateway.stream(faulty("throttling")).await.details();
    let model_id = format!("{MODEL}.fault-throttling");
    let quota = throttled.quota().unwrap();
    assert_eq!(
        quota.violations[0].subject,
        format!("{model_id} in us-east-1")
    );
    let missing = gateway.stream(faulty("resource-not-found")).await.details();
    let resource = missing.resource().unwrap();
    assert_eq!(
        resource.resource_name,
        format!("{MODEL}.fault-resource-not-found")
    );
    assert!(resource.description.contains("end of its life"));
}

#[tokio::test]
async fn no_way_to_bedrock_is_unavailable_and_can_be_retried() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let gateway = Gateway::with(|config, _| {
        config.bedrock.endpoint_url = Some(format!("http://{address}"));
    })
    .await;
    let answer = gateway.stream(ask(MODEL)).await;
    assert!(answer.trailers_only);
    told("no listener", Code::Unavailable, "UPSTREAM_CONNECT", "")
        .after(1000)
        .reports(&answer, "connect");
}

#[tokio::test]
async fn wrong_credentials_are_the_gateways_fault_and_stay_secret() {
    let gateway = Gateway::with(|_, options| {
        options.credentials.access_keys[0].secret = "another-secret-access-key".to_owned();
    })
    .await;
    let answer = gateway.stream(ask(MODEL)).await;
    let refused = told(
        "wrong key",
        Code::Internal,
        "UPSTREAM_CREDENTIALS",
        "InvalidSignatureException",
    );
    refused.http(403).reports(&answer, "before-first-event");
    let shown = format!("{:?}", answer.end);
    assert!(!shown.contains("secret-access-key"), "{shown}");
    assert!(!shown.contains("EMULATOR"), "{shown}");
}

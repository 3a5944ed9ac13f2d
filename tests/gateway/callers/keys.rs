//! API keys: which calls they authenticate.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use bedrock_grpc::{
    access::key::Secret,
    config::{CallerOptions, FailuresPerMinute},
    pb::{GetTargetRequest, ListTargetsRequest, StreamInvokeRequest},
};
use http::Request;
use tonic::{Code, IntoRequest};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::harness::{
    Answer, Frame, Gateway, RawCall, STREAM_INVOKE, access_of, ask, bearer, file, invoke, key_of,
    key_options, keyed, sha256_of, soon,
};

/// A gateway with the caller team-a, who has this key.
async fn gateway(key: &Secret) -> Gateway {
    Gateway::with(|config, _| config.access = access_of(&[("team-a", key)])).await
}

#[track_caller]
fn is_refused(answer: &Answer) {
    assert_eq!(answer.code(), Code::Unauthenticated, "{answer:?}");
    assert_eq!(answer.details().reason(), "CALLER_UNAUTHENTICATED");
    assert!(answer.details().request().is_some());
    assert!(answer.trailers_only);
}

#[tokio::test]
async fn a_key_opens_the_gateway_by_either_header() {
    let key = key_of();
    let gateway = gateway(&key).await;
    gateway.stream(keyed(ask("nova"), &key)).await.is_whole();
    let mut request = ask("nova").into_request();
    let value = key.reveal().parse().unwrap();
    request.metadata_mut().insert("x-api-key", value);
    gateway.stream(request).await.is_whole();
    let mut client = gateway.inference();
    let answer = soon(client.invoke(keyed(invoke(ask("nova")), &key))).await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn no_other_credential_does() {
    let key = key_of();
    let expired = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        let mut expired = key_options(&expired);
        expired.not_after = Some(SystemTime::now() - Duration::from_secs(1));
        let caller = config.access.callers.get_mut("team-a").unwrap();
        caller.keys.push(expired);
    })
    .await;
    is_refused(&gateway.stream(ask("nova")).await);
    let cut = &key.reveal()[..key.reveal().len() - 1];
    let other = key_of();
    for credential in [
        other.reveal(),
        expired.reveal(),
        cut,
        "bgrpc_",
        "",
        "eyJhbGciOiJub25lIn0.e30.",
        &"x".repeat(40_000),
    ] {
        is_refused(&gateway.stream(bearer(ask("nova"), credential)).await);
    }
    // A weaker credential is ignored if the stronger one is wrong.
    let mut both = keyed(ask("nova"), &key);
    let value = other.reveal().parse().unwrap();
    both.metadata_mut().insert("x-api-key", value);
    is_refused(&gateway.stream(both).await);

    let mut targets = gateway.targets();
    for end in [
        soon(targets.list_targets(ListTargetsRequest::default()))
            .await
            .err(),
        soon(targets.get_target(GetTargetRequest {
            target: "nova".to_owned(),
        }))
        .await
        .err(),
    ] {
        assert_eq!(end.map(|status| status.code()), Some(Code::Unauthenticated));
    }
    assert_eq!(gateway.emulator.calls(), []);
    let expired = gateway
        .metric(r#"bedrock_grpc_authentication_failures_total{reason="expired"}"#)
        .await;
    assert_eq!(expired, 1.0);
}

#[tokio::test]
async fn the_answer_does_not_wait_for_the_message() {
    let gateway = gateway(&key_of()).await;
    let call = Request::post(format!("http://{}{STREAM_INVOKE}", gateway.address));
    let mut call = RawCall::begin(&gateway, call).await;
    let Some(Frame::Headers { headers, end }) = call.next().await else {
        panic!("no headers");
    };
    assert!(end);
    assert_eq!(headers["grpc-status"], "16");
}

#[tokio::test]
async fn health_is_open_and_reflection_if_the_operator_wants_it() {
    let key = key_of();
    for open in [false, true] {
        let gateway = Gateway::with(|config, _| {
            config.access = access_of(&[("team-a", &key)]);
            config.access.open_reflection = open;
        })
        .await;
        let mut health = HealthClient::new(gateway.channel());
        let check = health.check(HealthCheckRequest::default());
        assert!(soon(check).await.is_ok());
        let mut reflection = ServerReflectionClient::new(gateway.channel());
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let questions = || tokio_stream::iter([question.clone()]);
        let call = reflection.server_reflection_info(questions());
        let code = soon(call).await.err().map(|status| status.code());
        assert_eq!(code, (!open).then_some(Code::Unauthenticated));
        let mut request = tonic::Request::new(questions());
        let value = format!("Bearer {}", key.reveal()).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        assert!(
            soon(reflection.server_reflection_info(request))
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn an_operator_can_let_callers_change_over() {
    let key = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.access.required = false;
    })
    .await;
    gateway.stream(ask("nova")).await.is_whole();
    gateway.stream(keyed(ask("nova"), &key)).await.is_whole();
    // A token of another kind may have been meant for a proxy.
    gateway.stream(bearer(ask("nova"), "abc")).await.is_whole();
    // An unknown key is a mistake that its owner should notice.
    is_refused(&gateway.stream(keyed(ask("nova"), &key_of())).await);
}

#[tokio::test]
async fn failed_attempts_are_limited_and_valid_credentials_are_not() {
    let key = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.access.failures_per_minute = FailuresPerMinute(3);
    })
    .await;
    for _ in 0..3 {
        is_refused(&gateway.stream(keyed(ask("nova"), &key_of())).await);
    }
    for _ in 0..3 {
        let answer = gateway.stream(keyed(ask("nova"), &key_of())).await;
        assert_eq!(answer.code(), Code::ResourceExhausted);
        assert_eq!(answer.details().reason(), "TOO_MANY_FAILED_ATTEMPTS");
        assert!(answer.details().retry().is_some());
        gateway.stream(keyed(ask("nova"), &key)).await.is_whole();
    }
}

#[tokio::test]
async fn keys_in_a_file_are_reloaded_while_calls_run() {
    let (old, new) = (key_of(), key_of());
    let entry = |key: &Secret| format!("  - sha256: {}\n", sha256_of(key));
    let keys = file(&format!("team-a:\n{}", entry(&old)));
    let gateway = Gateway::with(|config, _| {
        config.access.required = true;
        // The test calls until the keys have changed.
        config.access.failures_per_minute = FailuresPerMinute(1_000_000);
        config.access.keys_file = Some(keys.path().to_owned());
        let caller = CallerOptions::default();
        config.access.callers.insert("team-a".to_owned(), caller);
    })
    .await;
    gateway.stream(keyed(ask("nova"), &old)).await.is_whole();
    is_refused(&gateway.stream(keyed(ask("nova"), &new)).await);

    // Both keys are valid during a rotation; then the old one is revoked.
    fs::write(
        keys.path(),
        format!("team-a:\n{}{}", entry(&old), entry(&new)),
    )
    .unwrap();
    until(&gateway, || keyed(ask("nova"), &new), Code::Ok).await;
    gateway.stream(keyed(ask("nova"), &old)).await.is_whole();
    fs::write(keys.path(), format!("team-a:\n{}", entry(&new))).unwrap();
    until(&gateway, || keyed(ask("nova"), &old), Code::Unauthenticated).await;
    gateway.stream(keyed(ask("nova"), &new)).await.is_whole();

    // A file that cannot be used changes nothing.
    fs::write(keys.path(), "team-z: 7\n").unwrap();
    look_again().await;
    gateway.stream(keyed(ask("nova"), &new)).await.is_whole();
}

/// Advances the gateway's paused clock to the next time it reads its files.
async fn look_again() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
}

/// Repeats the call until it ends with this outcome.
async fn until(
    gateway: &Gateway,
    request: impl Fn() -> tonic::Request<StreamInvokeRequest>,
    code: Code,
) {
    soon(async {
        look_again().await;
        while gateway.stream(request()).await.code() != code {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

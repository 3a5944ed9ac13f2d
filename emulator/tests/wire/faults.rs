//! Every fault, from the view of the SDK.

use aws_sdk_bedrockruntime::{error::SdkError, operation::converse::ConverseError};
use bedrock_emulator::{End, Fault, Options};

use crate::support::{MODEL, bearer_request, client, http1, json, start, stream, user};

/// Each fault, with the reports of the SDK and of the log. Faults without an end are not included.
const SEEN: &[(&str, &str, End)] = &[
    ("validation", "400 ValidationException", End::Faulted),
    ("input-too-long", "400 ValidationException", End::Faulted),
    ("profile-required", "400 ValidationException", End::Faulted),
    ("access-denied", "403 AccessDeniedException", End::Faulted),
    ("expired-token", "403 ExpiredTokenException", End::Faulted),
    (
        "resource-not-found",
        "404 ResourceNotFoundException",
        End::Faulted,
    ),
    ("model-timeout", "408 ModelTimeoutException", End::Faulted),
    ("model-error", "424 ModelErrorException", End::Faulted),
    ("model-error-429", "424 ModelErrorException", End::Faulted),
    ("throttling", "429 ThrottlingException", End::Faulted),
    (
        "throttling-retry-after",
        "429 ThrottlingException",
        End::Faulted,
    ),
    (
        "throttling-x-amz-retry-after",
        "429 ThrottlingException",
        End::Faulted,
    ),
    ("quota", "429 ThrottlingException", End::Faulted),
    (
        "model-not-ready",
        "429 ModelNotReadyException",
        End::Faulted,
    ),
    ("internal", "500 InternalServerException", End::Faulted),
    (
        "service-unavailable",
        "503 ServiceUnavailableException",
        End::Faulted,
    ),
    ("unknown-error", "400 FutureException", End::Faulted),
    ("stream-throttling", "throttlingException", End::Faulted),
    ("stream-internal", "internalServerException", End::Faulted),
    (
        "stream-model-stream-error",
        "modelStreamErrorException",
        End::Faulted,
    ),
    ("stream-validation", "validationException", End::Faulted),
    (
        "stream-service-unavailable",
        "serviceUnavailableException",
        End::Faulted,
    ),
    ("stream-unknown", "unhandled", End::Faulted),
    (
        "stream-error",
        "response error InternalFailure",
        End::Faulted,
    ),
    ("end-without-message-stop", "end", End::Faulted),
    ("end-without-metadata", "end", End::Faulted),
    (
        "bad-crc",
        "response error MessageChecksumMismatch",
        End::Faulted,
    ),
    (
        "cut-in-frame",
        "response error UnexpectedEndOfStream",
        End::Faulted,
    ),
    ("reset", "dispatch failure", End::Faulted),
    ("unknown-event", "end", End::Completed),
    ("unknown-delta", "end", End::Completed),
    ("unknown-member", "end", End::Completed),
    ("early-metadata", "end", End::Completed),
    ("no-content", "end", End::Completed),
    ("empty-text", "end", End::Completed),
    ("giant-tool-delta", "end", End::Completed),
];

/// Faults without an end: the client must close the connection.
const ENDLESS: [&str; 3] = ["stall", "stall-before-headers", "slow"];

/// Events that the SDK cannot read. It closes the stream, before or after the emulator has sent the
/// rest of the answer.
const UNREADABLE: [&str; 1] = ["invalid-index"];

#[tokio::test]
async fn the_sdk_refuses_what_it_cannot_read() {
    let emulator = start(Options::default());
    let client = client(&emulator);
    for fault in UNREADABLE {
        let outcome = stream(&client, &format!("{MODEL}.fault-{fault}"), "Say hi").await;
        assert_eq!(outcome.end, "response error other", "{fault}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_sdk_sees_each_fault_for_what_it_is() {
    let emulator = start(Options::default());
    let client = client(&emulator);
    for (fault, told, end) in SEEN {
        emulator.clear_calls();
        let outcome = stream(&client, &format!("{MODEL}.fault-{fault}"), "Say hi").await;
        assert_eq!(outcome.end, *told, "{fault}: {outcome:?}");
        let calls = emulator.wait_for(|calls| calls[0].end.is_some()).await;
        assert_eq!(calls[0].end, Some(*end), "{fault}");
    }
}

#[test]
fn the_table_above_has_every_fault() {
    let seen = SEEN.iter().map(|(name, ..)| *name);
    let mut tested: Vec<_> = seen.chain(ENDLESS).chain(UNREADABLE).collect();
    let mut all: Vec<_> = Fault::all().map(|(name, _)| name).collect();
    tested.sort_unstable();
    all.sort_unstable();
    assert_eq!(tested, all);
}

#[tokio::test]
async fn a_fault_can_come_first_or_after_some_deltas() {
    let tokens = bedrock_emulator::Pace {
        tokens: std::num::NonZeroUsize::new(8),
        ..Default::default()
    };
    let emulator = start(Options {
        pace: tokens,
        ..Options::default()
    });
    let client = client(&emulator);
    for fault in [
        "stream-throttling",
        "stream-error",
        "bad-crc",
        "cut-in-frame",
        "reset",
        "end-without-message-stop",
    ] {
        for after in [0, 1, 5] {
            let outcome = stream(
                &client,
                &format!("{MODEL}.fault-{fault}-after-{after}"),
                "Say hi",
            )
            .await;
            let expected = if after == 0 { 0 } else { after + 1 };
            assert_eq!(
                outcome.events.len(),
                expected,
                "{fault} after {after}: {outcome:?}"
            );
        }
    }
    let extra = stream(&client, &format!("{MODEL}.fault-unknown-event"), "Say hi").await;
    assert_eq!(
        extra
            .events
            .iter()
            .filter(|name| **name == "unknown")
            .count(),
        1,
        "{extra:?}"
    );
    let silent = stream(
        &client,
        &format!("{MODEL}.fault-end-without-metadata"),
        "Say hi",
    )
    .await;
    assert_eq!(silent.events.last(), Some(&"messageStop"));
    let cut = stream(
        &client,
        &format!("{MODEL}.fault-end-without-message-stop"),
        "Say hi",
    )
    .await;
    assert_eq!(cut.events.last(), Some(&"contentBlockStop"));
    assert_eq!(cut.events.len(), 10, "the start, all deltas, the stop");
}

#[tokio::test]
async fn the_id_wins_over_the_header_and_the_header_over_the_options() {
    let fault = |name: &str| Some(name.parse::<Fault>().expect("a fault"));
    let emulator = start(Options {
        fault: fault("internal"),
        ..Options::default()
    });
    let ask = async |model: &str, header: Option<&'static str>| {
        let mut request = bearer_request("", model, "converse-stream");
        if let Some(name) = header {
            request
                .headers_mut()
                .insert("x-emulator-fault", http::HeaderValue::from_static(name));
        }
        http1(&emulator, request).await
    };
    assert_eq!(ask(MODEL, None).await.status(), 500);
    assert_eq!(ask(MODEL, Some("access-denied")).await.status(), 403);
    assert_eq!(
        ask(
            "amazon.nova-lite-v1:0.fault-model-timeout",
            Some("access-denied")
        )
        .await
        .status(),
        408
    );
    let unknown = ask(MODEL, Some("no-such-fault")).await;
    assert_eq!(unknown.status(), 400);
    let text = json(unknown).await["message"].to_string();
    assert!(
        text.contains("no-such-fault") && text.contains("throttling"),
        "{text}"
    );
    emulator.set_fault(None);
    assert_eq!(ask(MODEL, None).await.status(), 200);
}

#[tokio::test]
async fn error_answers_carry_their_members_and_headers() {
    let emulator = start(Options::default());
    let ask = async |fault: &str| {
        let model = format!("{MODEL}.fault-{fault}");
        http1(&emulator, bearer_request("", &model, "converse")).await
    };
    let seconds = ask("throttling-retry-after").await;
    assert_eq!(seconds.headers()["retry-after"], "2");
    let millis = ask("throttling-x-amz-retry-after").await;
    assert_eq!(millis.headers()["x-amz-retry-after"], "1500");
    let type_header = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/";
    assert_eq!(millis.headers()["x-amzn-errortype"], type_header);
    assert!(millis.headers().contains_key("x-amzn-requestid"));
    let model_error = json(ask("model-error-429").await).await;
    assert_eq!(model_error["originalStatusCode"], 429);
    assert!(model_error["resourceName"].is_string());
    let profile = json(ask("profile-required").await).await;
    assert!(
        profile["message"]
            .as_str()
            .is_some_and(|text| text.contains("model ID amazon.nova-lite-v1:0 with"))
    );
}

#[tokio::test]
async fn converse_meets_stream_faults_as_errors() {
    let emulator = start(Options::default());
    let client = client(&emulator);
    let ask = async |fault: &str| {
        let model = format!("{MODEL}.fault-{fault}");
        client
            .converse()
            .model_id(model)
            .messages(user("Say hi"))
            .send()
            .await
            .expect_err("a fault")
    };
    assert!(
        ask("stream-throttling")
            .await
            .into_service_error()
            .is_throttling_exception()
    );
    assert!(matches!(
        ask("stream-error").await.into_service_error(),
        ConverseError::InternalServerException(_)
    ));
    assert!(matches!(
        ask("reset").await,
        SdkError::ResponseError(_) | SdkError::DispatchFailure(_)
    ));
}

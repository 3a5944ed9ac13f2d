use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_smithy_runtime_api::http::{Headers, StatusCode};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use super::*;

fn response(status: u16, error_type: Option<&str>, body: &str) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("x-amzn-requestid", "req-1");
    if let Some(error_type) = error_type {
        response
            .headers_mut()
            .insert("x-amzn-errortype", error_type.to_owned());
    }
    response
}

/// The rows of the table: error name, HTTP status, message, expected reason.
const TABLE: &[(&str, u16, &str, Reason)] = &[
    (
        "SerializationException",
        400,
        "number out of range at line 1 column 97",
        Reason::UpstreamValidation,
    ),
    (
        "ValidationException",
        400,
        "The provided model identifier is invalid.",
        Reason::UpstreamValidation,
    ),
    (
        "ValidationException",
        400,
        "Input is too long for requested model.",
        Reason::ContextTooLong,
    ),
    (
        "ValidationException",
        400,
        "prompt is too long: 200537 tokens > 200000 maximum",
        Reason::ContextTooLong,
    ),
    (
        "ValidationException",
        400,
        "This model's maximum context length is 8192 tokens.",
        Reason::ContextTooLong,
    ),
    (
        "ValidationException",
        400,
        "Too many tokens: reduce the length of the input",
        Reason::ContextTooLong,
    ),
    (
        "ValidationException",
        400,
        "Invocation of model ID x with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.",
        Reason::InferenceProfileRequired,
    ),
    (
        "ValidationException",
        400,
        "Invocation of model ID x with on-demand throughput isn't supported.",
        Reason::InferenceProfileRequired,
    ),
    (
        "AccessDeniedException",
        403,
        "User: x is not authorized to perform: bedrock:InvokeModel",
        Reason::UpstreamAccessDenied,
    ),
    (
        "AccessDeniedException",
        403,
        "Authentication failed: Please make sure your API Key is valid.",
        Reason::UpstreamCredentials,
    ),
    (
        "ResourceNotFoundException",
        404,
        "This model version has reached the end of its life.",
        Reason::UpstreamResource,
    ),
    (
        "ThrottlingException",
        429,
        "Too many tokens, please wait before trying again.",
        Reason::UpstreamThrottled,
    ),
    (
        "ThrottlingException",
        429,
        "Too many tokens per day, please wait before trying again.",
        Reason::UpstreamQuota,
    ),
    (
        "ThrottlingException",
        429,
        "You have reached your daily limit",
        Reason::UpstreamQuota,
    ),
    (
        "TooManyRequestsException",
        429,
        "slow down",
        Reason::UpstreamThrottled,
    ),
    (
        "ServiceQuotaExceededException",
        400,
        "Your request exceeds the quota",
        Reason::UpstreamQuota,
    ),
    (
        "ModelNotReadyException",
        429,
        "loading",
        Reason::ModelNotReady,
    ),
    (
        "ServiceUnavailableException",
        503,
        "no capacity",
        Reason::UpstreamUnavailable,
    ),
    (
        "InternalServerException",
        500,
        "sorry",
        Reason::UpstreamInternal,
    ),
    ("InternalFailure", 500, "sorry", Reason::UpstreamInternal),
    ("ModelErrorException", 424, "model", Reason::ModelError),
    ("ModelTimeoutException", 408, "slow", Reason::ModelTimeout),
    (
        "ModelStreamErrorException",
        424,
        "stream",
        Reason::ModelStreamError,
    ),
    (
        "ExpiredTokenException",
        403,
        "expired",
        Reason::UpstreamCredentials,
    ),
    (
        "UnrecognizedClientException",
        403,
        "invalid",
        Reason::UpstreamCredentials,
    ),
    (
        "InvalidSignatureException",
        403,
        "no match",
        Reason::UpstreamCredentials,
    ),
    (
        "SignatureDoesNotMatch",
        403,
        "no match",
        Reason::UpstreamCredentials,
    ),
    (
        "MissingAuthenticationTokenException",
        403,
        "missing",
        Reason::UpstreamCredentials,
    ),
    (
        "MissingAuthenticationToken",
        403,
        "missing",
        Reason::UpstreamCredentials,
    ),
    (
        "IncompleteSignatureException",
        400,
        "incomplete",
        Reason::UpstreamCredentials,
    ),
    (
        "IncompleteSignature",
        400,
        "incomplete",
        Reason::UpstreamCredentials,
    ),
    ("TeapotException", 418, "tea", Reason::UpstreamUnknown),
];

#[test]
fn every_error_of_the_served_operations_has_a_reason() {
    let list = include_str!("../../../tests/sdk_coverage/aws_model.json");
    let model: serde_json::Value = serde_json::from_str(list).expect("JSON");
    let operations = model["operations"].as_object().expect("operations");
    let errors: std::collections::BTreeSet<_> = operations
        .values()
        .flat_map(|operation| operation["errors"].as_array().expect("errors"))
        .filter_map(serde_json::Value::as_str)
        .collect();
    assert!(errors.len() >= 11, "{errors:?}");
    for error in errors {
        let reason = reason::of(&reason::normal_name(error), "", None);
        assert_ne!(reason, Reason::UpstreamUnknown, "{error}");
    }
}

#[test]
fn every_row_over_http_in_each_spelling() {
    for &(name, status, message, reason) in TABLE {
        let json = serde_json::json!({ "message": message });
        let upper = serde_json::json!({ "Message": message });
        let typed = serde_json::json!({ "__type": format!("com.amazon.coral.service#{name}"), "message": message });
        let code = serde_json::json!({ "code": name, "message": message });
        let suffixed = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        for (header, body) in [
            (Some(name), &json),
            (Some(&*suffixed), &upper),
            (None, &typed),
            (None, &code),
        ] {
            let failure = call::of_response(&response(status, header, &body.to_string()));
            assert_eq!(failure.reason, reason, "{name}: {message}");
            assert_eq!(failure.phase, Phase::BeforeFirstEvent);
            let upstream = failure.upstream.expect("Bedrock's part");
            assert_eq!(
                (&*upstream.exception, upstream.http_status),
                (name, Some(status))
            );
            assert_eq!(upstream.request_id, "req-1");
            let told = match reason {
                Reason::UpstreamCredentials => "",
                _ => message,
            };
            assert_eq!(upstream.message, told);
        }
    }
}

#[test]
fn every_row_in_a_stream() {
    for &(name, _, message, reason) in TABLE {
        let mut camel = name.to_owned();
        camel[..1].make_ascii_lowercase();
        let exception = Frame {
            message_type: Bytes::from_static(b"exception"),
            name: camel.into(),
            payload: serde_json::json!({ "message": message }).to_string().into(),
            ..Frame::default()
        };
        let error = Frame {
            message_type: Bytes::from_static(b"error"),
            name: name.into(),
            error_message: message.into(),
            payload: Bytes::new(),
        };
        for frame in [exception, error] {
            let failure = of_message(&frame, "req-2");
            assert_eq!(failure.reason, reason, "{name}: {message}");
            let upstream = failure.upstream.expect("Bedrock's part");
            assert_eq!((&*upstream.exception, upstream.http_status), (name, None));
            assert_eq!(upstream.request_id, "req-2");
        }
    }
}

#[test]
fn the_models_own_status_and_message_are_kept() {
    let json = r#"{"message":"failed","originalStatusCode":429,"originalMessage":"busy","resourceName":"x"}"#;
    let failure = call::of_response(&response(424, Some("ModelErrorException"), json));
    let upstream = failure.upstream.expect("Bedrock's part");
    assert_eq!(upstream.original_status, Some(429));
    assert_eq!(upstream.resource_name, "x");
    assert_eq!(upstream.message, "failed (busy)");
}

#[test]
fn odd_json_loses_nothing_else() {
    let json = r#"{"Message":"upper","message":"lower","code":7,"originalStatusCode":99999999}"#;
    let upstream = call::of_response(&response(400, Some("ValidationException"), json)).upstream;
    let upstream = upstream.expect("Bedrock's part");
    assert_eq!(
        (&*upstream.message, upstream.original_status),
        ("lower", None)
    );
}

#[test]
fn an_answer_without_a_name_or_json_keeps_its_status() {
    let failure = call::of_response(&response(502, None, "<html>bad gateway</html>"));
    assert_eq!(failure.reason, Reason::UpstreamUnavailable);
    assert_eq!(
        failure.message,
        "Bedrock's endpoint answered HTTP 502 without a reason"
    );
    assert_eq!(failure.upstream.expect("the status").http_status, Some(502));
}

#[test]
fn what_was_signed_is_never_repeated() {
    let canary = "x-amz-security-token:CANARY Credential=AKIDCANARY";
    for name in [
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignatureException",
    ] {
        let body = serde_json::json!({ "message": canary }).to_string();
        let failure = call::of_response(&response(403, Some(name), &body));
        assert!(!format!("{failure:?} {failure}").contains("CANARY"));
    }
}

#[test]
fn only_the_operator_sees_hosts() {
    let text = "upstream connect error: egress.corp.internal:8443 (10.0.3.7) is down";
    let body = serde_json::json!({ "message": text }).to_string();
    for (status, name) in [
        (400, Some("ValidationException")),
        (403, Some("AccessDeniedException")),
        (404, Some("ResourceNotFoundException")),
        (429, None),
        (503, None),
    ] {
        let failure = call::of_response(&response(status, name, &body));
        let upstream = failure.upstream.as_deref().expect("Bedrock's part");
        let told = format!("{} {}", failure.message, upstream.message);
        for hidden in ["egress", "8443", "10.0.3.7"] {
            assert!(!told.contains(hidden), "{told}");
        }
        assert_eq!(failure.detail, text);
    }
    let body = r#"{"message":"no model at bedrock-proxy for anthropic.claude-v2:1"}"#;
    let failure = call::of_response(&response(404, Some("ResourceNotFoundException"), body));
    let failure = without_endpoint(failure, "bedrock-proxy");
    assert_eq!(
        failure.message,
        "Bedrock: ResourceNotFoundException: no model at (host) for anthropic.claude-v2:1"
    );
    assert!(failure.detail.contains("bedrock-proxy"));
}

#[test]
fn a_frame_of_an_unknown_type_is_corrupt() {
    let frame = Frame {
        message_type: Bytes::from_static(b"riddle"),
        ..Frame::default()
    };
    assert_eq!(of_message(&frame, "").reason, Reason::UpstreamCorrupt);
}

#[test]
fn hints_of_when_to_come_back() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    for (name, value, wait) in [
        ("x-amz-retry-after", "250", Some(Duration::from_millis(250))),
        ("retry-after", "7", Some(Duration::from_secs(7))),
        (
            "retry-after",
            "Sun, 06 Nov 1994 08:49:47 GMT",
            Some(Duration::from_secs(10)),
        ),
        (
            "retry-after",
            "Sun, 06 Nov 1994 08:49:27 GMT",
            Some(Duration::ZERO),
        ),
        ("retry-after", "soon", None),
        ("retry-after", "-1", None),
        ("retry-after", "18446744073709551615", None),
    ] {
        let mut headers = Headers::new();
        headers.insert(name, value);
        assert_eq!(
            retry_delay::retry_after(&headers, now),
            wait,
            "{name}: {value}"
        );
    }
    let mut both = Headers::new();
    both.insert("retry-after", "7");
    both.insert("x-amz-retry-after", "250");
    assert_eq!(
        retry_delay::retry_after(&both, now),
        Some(Duration::from_millis(250))
    );
}

/// Checks that each recorded error of Bedrock has a reason. `BEDROCK_GRPC_RECORDED` names the
/// folder.
#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn recorded_errors_have_a_reason() {
    let folder = std::env::var_os("BEDROCK_GRPC_RECORDED").expect("the variable is set");
    let folder = PathBuf::from(folder);
    let mut errors = 0;
    for case in std::fs::read_dir(folder.join("error")).expect("the folder has errors") {
        let case = case.expect("a folder can be listed").path();
        let read = |name| std::fs::read_to_string(case.join(name)).expect("a case is whole");
        let meta: serde_json::Value = serde_json::from_str(&read("meta.json")).expect("JSON");
        let status = meta["status"]
            .as_u64()
            .and_then(|status| status.try_into().ok())
            .expect("a status");
        let failure = call::of_response(&response(
            status,
            meta["error_type"].as_str(),
            &read("response.body"),
        ));
        assert_ne!(
            failure.reason,
            Reason::UpstreamUnknown,
            "{}: {failure}",
            case.display()
        );
        println!("{status} {failure}");
        errors += 1;
    }
    assert!(errors > 0);
}

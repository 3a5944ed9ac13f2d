//! Authentication: SigV4 and bearer tokens, with the errors of the real endpoint.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_bedrockruntime::{
    Client,
    config::{Builder, Credentials, Token},
    error::ProvideErrorMetadata,
};
use bedrock_emulator::{
    AccessKey, DEV_ACCESS_KEY_ID, DEV_BEARER_TOKEN, DEV_SECRET_ACCESS_KEY, Emulator, Options,
};

use crate::support::{MODEL, bearer_request, config, control, http1, json, start, user};

/// Code and message of the refusal, or nothing if the call succeeded.
async fn refusal(config: Builder) -> Option<(String, String)> {
    let client = Client::from_conf(config.build());
    let sent = client
        .converse()
        .model_id("us.deepseek.r1-v1:0")
        .messages(user("Say hi"))
        .send()
        .await;
    let error = sent.err()?;
    assert_eq!(
        error.raw_response().map(|raw| raw.status().as_u16()),
        Some(403),
        "{error:?}"
    );
    Some((
        error.meta().code()?.to_owned(),
        error.meta().message()?.to_owned(),
    ))
}

fn with(emulator: &Emulator, id: &str, secret: &str, token: Option<&str>) -> Builder {
    let token = token.map(str::to_owned);
    config(emulator, "us-west-2")
        .credentials_provider(Credentials::new(id, secret, token, None, "test"))
}

#[tokio::test]
async fn good_and_bad_keys() {
    let mut options = Options::default();
    options.credentials.access_keys.push(AccessKey {
        id: "TEMPORARY".to_owned(),
        secret: "temporary-secret".to_owned(),
        session_token: Some("session".to_owned()),
    });
    let emulator = start(options);
    let code = async |config| refusal(config).await.map(|(code, _)| code);
    assert_eq!(
        code(with(
            &emulator,
            DEV_ACCESS_KEY_ID,
            DEV_SECRET_ACCESS_KEY,
            None
        ))
        .await,
        None
    );
    assert_eq!(
        code(with(
            &emulator,
            "TEMPORARY",
            "temporary-secret",
            Some("session")
        ))
        .await,
        None
    );

    let (wrong, text) = refusal(with(&emulator, DEV_ACCESS_KEY_ID, "another", None))
        .await
        .expect("a refusal");
    assert_eq!(wrong, "InvalidSignatureException");
    assert!(text.starts_with("The request signature we calculated does not match"));
    let (unknown, text) = refusal(with(&emulator, "UNKNOWN", DEV_SECRET_ACCESS_KEY, None))
        .await
        .expect("a refusal");
    assert_eq!(
        (unknown.as_str(), text.as_str()),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid."
        )
    );
    let other_token = with(&emulator, "TEMPORARY", "temporary-secret", Some("old"));
    assert_eq!(
        code(other_token).await.as_deref(),
        Some("UnrecognizedClientException")
    );
}

#[tokio::test]
async fn dates_within_five_minutes() {
    for (skew, told) in [
        (-301, Some("Signature not yet current")),
        (-299, None),
        (299, None),
        (301, Some("Signature expired")),
    ] {
        let now = move || {
            let shift = Duration::from_secs(u64::from(i32::unsigned_abs(skew)));
            if skew < 0 {
                SystemTime::now() - shift
            } else {
                SystemTime::now() + shift
            }
        };
        // About a second passes between signing and checking, which could exceed the limit of 300 s
        // for a skew of 299 s. Both of these cases get 30 s of room.
        let room = Duration::from_secs(if skew.abs() == 299 { 30 } else { 0 });
        let clock = Arc::new(move || if skew < 0 { now() + room } else { now() - room });
        let emulator = start(Options {
            clock,
            ..Options::default()
        });
        let refused = refusal(config(&emulator, "us-east-1")).await;
        let code = refused.as_ref().map(|(code, _)| code.as_str());
        assert_eq!(code, told.map(|_| "InvalidSignatureException"), "{skew}");
        assert!(
            refused.is_none_or(|(_, text)| told.is_some_and(|told| text.starts_with(told))),
            "{skew}"
        );
    }
}

#[tokio::test]
async fn bearer_tokens() {
    let emulator = start(Options {
        region: "eu-north-1".to_owned(),
        ..Options::default()
    });
    let token = |text: &str| {
        let config = aws_sdk_bedrockruntime::Config::builder();
        config
            .behavior_version(aws_sdk_bedrockruntime::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_bedrockruntime::config::Region::new("us-east-1"))
            .endpoint_url(emulator.endpoint_url())
            .bearer_token(Token::new(text, None))
    };
    let client = Client::from_conf(token(DEV_BEARER_TOKEN).build());
    client
        .converse()
        .model_id(MODEL)
        .messages(user("Say hi"))
        .send()
        .await
        .expect("accepted");
    assert_eq!(
        emulator.calls()[0].region,
        "eu-north-1",
        "a token names no Region"
    );
    let (code, _) = refusal(token("another")).await.expect("a refusal");
    assert_eq!(code, "AccessDeniedException");
}

#[tokio::test]
async fn nothing_or_nonsense_in_the_header() {
    let emulator = start(Options::default());
    let cases = [
        (None, "MissingAuthenticationTokenException"),
        (Some("Basic abc"), "IncompleteSignatureException"),
        (
            Some("AWS4-HMAC-SHA256 Credential=EMULATOR/20260101/us-east-1"),
            "IncompleteSignatureException",
        ),
        (
            Some(
                "AWS4-HMAC-SHA256 Credential=EMULATOR/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00",
            ),
            "IncompleteSignatureException",
        ),
    ];
    for (header, code) in cases {
        let mut request = bearer_request("", MODEL, "converse");
        request.headers_mut().remove("authorization");
        if let Some(value) = header {
            request
                .headers_mut()
                .insert("authorization", http::HeaderValue::from_static(value));
        }
        let answer = http1(&emulator, request).await;
        assert_eq!(answer.status(), 403);
        let told = answer.headers()["x-amzn-errortype"]
            .to_str()
            .expect("text")
            .split(':')
            .next()
            .map(str::to_owned);
        assert_eq!(told.as_deref(), Some(code));
        assert!(json(answer).await["message"].is_string());
    }
}

#[tokio::test]
async fn control_plane_calls_with_queries_and_arns_are_signed_too() {
    let emulator = start(Options::default());
    let client = control(&emulator, "us-east-1");
    client
        .list_inference_profiles()
        .max_results(3)
        .send()
        .await
        .expect("signed with a query");
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0";
    client
        .get_inference_profile()
        .inference_profile_identifier(arn)
        .send()
        .await
        .expect("signed with an encoded path");
}

#[tokio::test]
async fn unchecked_credentials_let_anybody_in() {
    let mut options = Options::default();
    options.credentials.checked = false;
    let emulator = start(options);
    assert_eq!(
        refusal(with(&emulator, "UNKNOWN", "nothing", None)).await,
        None
    );
    assert_eq!(emulator.calls()[0].region, "us-west-2");
}

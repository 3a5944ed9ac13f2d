//! AWS STS, and the calls that sessions of roles may make.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_bedrockruntime::{Client, config::Credentials, error::ProvideErrorMetadata};
use bedrock_emulator::{DEV_BEARER_TOKEN, Emulator, Options, Quota, Quotas, Rate, Role};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::json;

use crate::support::{MODEL, config, http1, own, start, user};

const ROLE: &str = "arn:aws:iam::111122223333:role/team/bedrock";

/// Calls STS, and returns the status and the XML.
async fn sts(emulator: &Emulator, form: &str) -> (u16, String) {
    let request = Request::post("/")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {DEV_BEARER_TOKEN}"))
        .body(Full::new(Bytes::from(form.to_owned())))
        .expect("a request");
    let response = http1(emulator, request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    let text = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    (status, text)
}

async fn assume(emulator: &Emulator, more: &str) -> (u16, String) {
    let form = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName=search{more}",
        ROLE.replace('/', "%2F")
    );
    sts(emulator, &form).await
}

/// The text of an element.
fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).expect("the element");
    rest.split_once('<').expect("its end").0
}

/// A client that signs with the keys of a session.
fn client(emulator: &Emulator, granted: &str) -> Client {
    let keys = Credentials::new(
        text(granted, "AccessKeyId"),
        text(granted, "SecretAccessKey"),
        Some(text(granted, "SessionToken").to_owned()),
        None,
        "test",
    );
    let config = config(emulator, "us-east-1").credentials_provider(keys);
    Client::from_conf(config.build())
}

/// The code of a call's error, or nothing if it succeeded.
async fn refusal(client: &Client) -> Option<String> {
    let call = client.converse().model_id(MODEL).messages(user("Say hi"));
    let error = call.send().await.err()?;
    Some(error.meta().code().expect("a code").to_owned())
}

#[tokio::test]
async fn a_session_calls_the_account_of_its_role_and_shows_its_tags() {
    let emulator = start(Options::default());
    let tags = "&Tags.member.1.Key=team&Tags.member.1.Value=a+b";
    let (status, granted) = assume(&emulator, tags).await;
    assert_eq!(status, 200, "{granted}");
    let arn = "arn:aws:sts::111122223333:assumed-role/bedrock/search";
    assert_eq!(text(&granted, "Arn"), arn);
    assert_eq!(refusal(&client(&emulator, &granted)).await, None);
    let calls = emulator.calls();
    let call = calls.last().expect("a call");
    assert_eq!(call.account, "111122223333");
    assert_eq!(call.assumed_role.as_deref(), Some(arn));
    assert_eq!(call.session_tags, [("team".to_owned(), "a b".to_owned())]);
    assert_eq!(calls[0].operation, "AssumeRole");
    assert_eq!(calls[0].model_id, ROLE);
}

#[tokio::test]
async fn what_sts_refuses() {
    let emulator = start(Options {
        roles: vec![Role {
            arn: ROLE.to_owned(),
            external_id: Some("secret".to_owned()),
        }],
        ..Options::default()
    });
    for (more, status, code) in [
        ("", 403, "AccessDenied"),
        ("&ExternalId=wrong", 403, "AccessDenied"),
        (
            "&ExternalId=secret&DurationSeconds=899",
            400,
            "ValidationError",
        ),
        (
            "&ExternalId=secret&Tags.member.1.Key=a%2A&Tags.member.1.Value=b",
            400,
            "ValidationError",
        ),
    ] {
        let (got, xml) = assume(&emulator, more).await;
        assert_eq!((got, text(&xml, "Code")), (status, code), "{more}");
    }
    let (status, xml) = sts(
        &emulator,
        "Action=AssumeRole&RoleArn=arn:aws:iam::1:role/x&RoleSessionName=a:b",
    )
    .await;
    assert_eq!((status, text(&xml, "Code")), (400, "ValidationError"));
    let (status, xml) = sts(&emulator, "Action=Unknown").await;
    assert_eq!((status, text(&xml, "Code")), (400, "InvalidAction"));
    assert_eq!(assume(&emulator, "&ExternalId=secret").await.0, 200);
}

#[tokio::test]
async fn sessions_expire() {
    let ahead = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&ahead);
    let emulator = start(Options {
        clock: Arc::new(move || {
            SystemTime::now() + Duration::from_secs(clock.load(Ordering::Relaxed))
        }),
        session_lifetime: Some(Duration::from_secs(60)),
        ..Options::default()
    });
    let (_, granted) = assume(&emulator, "").await;
    let client = client(&emulator, &granted);
    assert_eq!(refusal(&client).await, None);
    ahead.store(61, Ordering::Relaxed);
    let code = refusal(&client).await;
    assert_eq!(code.as_deref(), Some("ExpiredTokenException"));
}

#[tokio::test]
async fn a_revoked_role_is_denied_until_it_is_restored_and_assumed_again() {
    let emulator = start(Options::default());
    let (_, granted) = assume(&emulator, "").await;
    let before = client(&emulator, &granted);
    let path = format!("roles/{ROLE}");
    let (status, _) = own(&emulator, "PUT", &path, r#"{"revoked": true}"#).await;
    assert_eq!(status, 200);
    let code = refusal(&before).await;
    assert_eq!(code.as_deref(), Some("AccessDeniedException"));
    assert_eq!(assume(&emulator, "").await.0, 403);
    own(&emulator, "PUT", &path, r#"{"revoked": false}"#).await;
    assert!(refusal(&before).await.is_some());
    let (_, granted) = assume(&emulator, "").await;
    let after = client(&emulator, &granted);
    assert_eq!(refusal(&after).await, None);
    own(&emulator, "DELETE", "roles", "").await;
    let code = refusal(&after).await;
    assert_eq!(code.as_deref(), Some("UnrecognizedClientException"));
    assert_eq!(own(&emulator, "GET", "roles", "").await.0, 405);
}

#[tokio::test]
async fn each_account_has_its_own_quotas() {
    let one = Quota::rate(Rate {
        requests_per_minute: Some(1),
        tokens_per_minute: None,
    });
    let emulator = start(Options {
        quotas: Quotas::everywhere(one).with_account("111122223333", None, Quota::default()),
        ..Options::default()
    });
    let (_, granted) = assume(&emulator, "").await;
    let role = client(&emulator, &granted);
    let main = Client::from_conf(config(&emulator, "us-east-1").build());
    for _ in 0..3 {
        assert_eq!(refusal(&role).await, None);
    }
    assert_eq!(refusal(&main).await, None);
    let code = refusal(&main).await;
    assert_eq!(code.as_deref(), Some("ThrottlingException"));
    let (_, quotas) = own(&emulator, "GET", "quotas", "").await;
    assert_eq!(
        quotas["used"]["minutes"][0]["account"],
        json!("123456789012")
    );
}

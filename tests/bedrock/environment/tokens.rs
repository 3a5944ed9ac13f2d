//! Files of tokens, which are rotated while the gateway runs: a Bedrock API key, a web identity
//! token, and the token for a container's credentials.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_smithy_types::date_time::{DateTime, Format};
use tokio::time::timeout;

use super::{Caller, home, whole};
use crate::{
    server::SOON,
    upstream::{answer, serve, serve_whole},
};

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const LATER: Duration = Duration::from_secs(3600);
/// The SDK loads credentials again 10 seconds before they expire, so these are loaded for each
/// call.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A folder for the caller, and the path of a token file in it.
fn with_token(token: &str) -> (tempfile::TempDir, PathBuf) {
    let home = home("", "");
    let path = home.path().join("token");
    std::fs::write(&path, token).expect("a file");
    (home, path)
}

/// Starts a caller that assumes a role at this server, with the web identity token `one`. Returns
/// the caller and the path of its token file.
fn with_web_identity(server: SocketAddr) -> (Caller, PathBuf) {
    let (home, path) = with_token("one");
    let endpoint = format!("http://{server}");
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        (TOKEN_FILE, path.to_str().expect("a path")),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/x"),
    ];
    (Caller::start(home, &variables), path)
}

fn expiry(after: Duration) -> String {
    let time = DateTime::from(SystemTime::now() + after);
    time.fmt(Format::DateTime).expect("a time")
}

/// STS's answer, with this access key ID.
fn granted(id: &str, lifetime: Duration) -> Vec<u8> {
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>{}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>",
        expiry(lifetime)
    );
    answer("200 OK", "content-type: text/xml\r\n", body)
}

/// STS's refusal of a token.
fn refused() -> Vec<u8> {
    let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                <Type>Sender</Type><Code>ExpiredTokenException</Code>\
                <Message>Token expired</Message></Error></ErrorResponse>";
    answer("400 Bad Request", "content-type: text/xml\r\n", body)
}

/// The tokens that STS has received.
#[derive(Clone, Default)]
struct Tokens(Arc<Mutex<Vec<String>>>);

impl Tokens {
    fn push(&self, body: &[u8]) -> String {
        let body = String::from_utf8_lossy(body).into_owned();
        let token = body.split("WebIdentityToken=").nth(1).expect("a token");
        let token = token.split('&').next().unwrap_or_default().to_owned();
        self.0.lock().expect("no panic").push(token.clone());
        token
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// Bedrock rejects the session, so the role is assumed again, with the new token of the file.
#[tokio::test]
async fn a_rejected_session_is_replaced_with_the_new_web_identity_token() {
    let (tokens, is_rejected) = (Tokens::default(), Arc::new(AtomicBool::new(false)));
    let (seen, rejected) = (tokens.clone(), Arc::clone(&is_rejected));
    let (server, heads) = serve_whole(move |head, body| {
        if head.starts_with("POST / ") {
            let token = seen.push(body);
            return granted(&format!("ASIA{}", token.to_uppercase()), LATER);
        }
        if rejected.load(Ordering::Relaxed) && head.contains("ASIAONE") {
            let headers = "x-amzn-errortype: ExpiredTokenException\r\n";
            return answer("403 Forbidden", headers, "{}");
        }
        whole()
    })
    .await;
    let (mut caller, path) = with_web_identity(server);
    for _ in 0..2 {
        assert_eq!(caller.call().await, "answered");
    }
    std::fs::write(&path, "two").expect("a file");
    assert_eq!(caller.call().await, "answered");
    assert_eq!(tokens.all(), ["one"], "the session is still accepted");
    is_rejected.store(true, Ordering::Relaxed);
    assert_eq!(caller.call().await, "answered");
    assert_eq!(tokens.all(), ["one", "two"]);
    let last = heads.all().pop().expect("calls");
    assert!(last.contains("Credential=ASIATWO/"), "{last}");
}

/// The session expires, so the role is assumed again, with the new token of the file.
#[tokio::test]
async fn an_expired_session_is_replaced_with_the_new_web_identity_token() {
    let tokens = Tokens::default();
    let seen = tokens.clone();
    let (server, _) = serve_whole(move |head, body| {
        if head.starts_with("POST / ") {
            seen.push(body);
            return granted("ASIA", AT_ONCE);
        }
        whole()
    })
    .await;
    let (mut caller, path) = with_web_identity(server);
    assert_eq!(caller.call().await, "answered");
    std::fs::write(&path, "two").expect("a file");
    assert_eq!(caller.call().await, "answered");
    let tokens = tokens.all();
    assert_eq!(tokens.first().map(String::as_str), Some("one"));
    assert_eq!(tokens.last().map(String::as_str), Some("two"));
}

/// STS refuses the old token of the file. A new one is sent at once, although the gateway pauses
/// after a failure.
#[tokio::test]
async fn a_new_web_identity_token_ends_the_pause_after_a_refused_one() {
    let tokens = Tokens::default();
    let seen = tokens.clone();
    let (server, _) = serve_whole(move |head, body| {
        if !head.starts_with("POST / ") {
            return whole();
        }
        match seen.push(body).as_str() {
            "one" => refused(),
            _ => granted("ASIA", LATER),
        }
    })
    .await;
    let (mut caller, path) = with_web_identity(server);
    // With each failure, the pause becomes longer.
    while tokens.all().len() < 3 {
        let outcome = timeout(SOON, caller.call()).await.expect("an outcome");
        assert!(outcome.starts_with("CREDENTIALS_UNAVAILABLE"), "{outcome}");
    }
    let refusals = tokens.all().len();
    std::fs::write(&path, "two").expect("a file");
    assert_eq!(caller.call().await, "answered");
    let tokens = tokens.all();
    assert_eq!(tokens.len(), refusals + 1, "{tokens:?}");
    assert_eq!(tokens.last().map(String::as_str), Some("two"));
}

/// EKS Pod Identity rotates the token, which is read for each request of credentials.
#[tokio::test]
async fn the_token_for_container_credentials_is_read_for_each_request() {
    let (server, heads) = serve(|head| {
        if head.starts_with("GET /credentials") {
            let credentials = format!(
                r#"{{"AccessKeyId":"ASIAPOD","SecretAccessKey":"s","Token":"t","Expiration":"{}"}}"#,
                expiry(AT_ONCE)
            );
            return answer("200 OK", "content-type: application/json\r\n", credentials);
        }
        whole()
    })
    .await;
    let (home, path) = with_token("token-one");
    let (endpoint, credentials) = (
        format!("http://{server}"),
        format!("http://{server}/credentials"),
    );
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &credentials),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            path.to_str().expect("a path"),
        ),
    ];
    let mut caller = Caller::start(home, &variables);
    let sent = |number: &str| {
        let heads = heads.all().into_iter();
        let mut heads = heads.filter(|head| head.starts_with("GET /credentials"));
        let last = heads.next_back().expect("a request of credentials");
        let last = last.to_ascii_lowercase();
        assert!(
            last.contains(&format!("authorization: token-{number}\r\n")),
            "{last}"
        );
    };
    assert_eq!(caller.call().await, "answered");
    sent("one");
    std::fs::write(&path, "token-two").expect("a file");
    assert_eq!(caller.call().await, "answered");
    sent("two");
}

/// Bedrock rejects the old key, so the file is read again. A rejection without a new key is an
/// error.
#[tokio::test]
async fn a_rejected_api_key_is_replaced_by_that_of_the_file() {
    let is_rotated = Arc::new(AtomicBool::new(false));
    let rotated = Arc::clone(&is_rotated);
    let (server, heads) = serve(move |head| {
        if rotated.load(Ordering::Relaxed) && head.contains("Bearer key-one\r\n") {
            let headers = "x-amzn-errortype: AccessDeniedException\r\n";
            let body =
                r#"{"message":"Authentication failed: Please make sure your API Key is valid."}"#;
            return answer("403 Forbidden", headers, body);
        }
        whole()
    })
    .await;
    let (home, path) = with_token("key-one\n");
    let endpoint = format!("http://{server}");
    let variables = [
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint.as_str()),
        (
            "AWS_BEARER_TOKEN_BEDROCK_FILE",
            path.to_str().expect("a path"),
        ),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let mut caller = Caller::start(home, &variables);
    for _ in 0..2 {
        assert_eq!(caller.call().await, "answered");
    }
    is_rotated.store(true, Ordering::Relaxed);
    let outcome = caller.call().await;
    assert!(outcome.starts_with("UPSTREAM_CREDENTIALS"), "{outcome}");
    assert_eq!(heads.all().len(), 3, "there is no other key");
    std::fs::write(&path, "key-two").expect("a file");
    assert_eq!(caller.call().await, "answered");
    assert_eq!(caller.call().await, "answered");
    let heads = heads.all();
    assert_eq!(heads.len(), 6);
    assert!(heads[3].contains("Bearer key-one\r\n"), "{}", heads[3]);
    for head in &heads[4..] {
        assert!(head.contains("Bearer key-two\r\n"), "{head}");
    }
}

//! Sources of credentials, and roles that are assumed with them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options};
use tokio::time::timeout;

use super::{ACCOUNTS, Caller, Variables, home, keys, whole, write_keys};
use crate::{
    server::SOON,
    upstream::{answer, proxy, serve},
};

/// Container credentials are requested directly. All other requests use the proxy.
#[tokio::test]
async fn the_machines_own_services_are_asked_directly() {
    let (server, heads) = serve(|head| {
        let credentials = r#"{"AccessKeyId":"ASIAPOD","SecretAccessKey":"s","Token":"t","Expiration":"2199-01-01T00:00:00Z"}"#;
        if head.starts_with("GET /credentials") {
            answer("200 OK", "content-type: application/json\r\n", credentials)
        } else {
            whole()
        }
    })
    .await;
    let (address, proxied) = proxy(Some(server)).await;
    let url = format!("http://{address}");
    let credentials = format!("http://{server}/credentials");
    let variables = [
        ("ALL_PROXY", url.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &credentials),
        ("AWS_ENDPOINT_URL", "http://bedrock.test"),
    ];
    assert_eq!(
        Caller::start(home("", ""), &variables).call().await,
        "answered"
    );
    assert_eq!(proxied.all().len(), 1);
    let heads = heads.all();
    assert!(heads[0].starts_with("GET /credentials"), "{heads:?}");
    assert!(heads[1].contains("Credential=ASIAPOD/"), "{heads:?}");
}

/// If AWS rejects the old keys, the next call uses the new keys of the file.
#[tokio::test]
async fn rotated_keys_are_read_again_when_aws_rejects_the_old_ones() {
    const SAID: &str = r#"{"message":"The security token included in the request is expired"}"#;
    for (name, body) in [
        ("ExpiredTokenException", "{}"),
        ("ExpiredToken", "{}"),
        ("UnrecognizedClientException", "{}"),
        ("InvalidClientTokenId", "{}"),
        ("InvalidSignatureException", "{}"),
        ("SignatureDoesNotMatch", "{}"),
        ("AccessDeniedException", SAID),
        ("", SAID),
    ] {
        let is_rotated = Arc::new(AtomicBool::new(false));
        let rotated = Arc::clone(&is_rotated);
        let (server, heads) = serve(move |head| {
            if rotated.load(Ordering::Relaxed) && head.contains("AKIDOLD") {
                let headers = format!("x-amzn-errortype: {name}\r\n");
                return answer("403 Forbidden", &headers, body);
            }
            whole()
        })
        .await;
        let endpoint = format!("http://{server}");
        let variables = [("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint.as_str())];
        let mut caller = Caller::start(home("", &keys("AKIDOLD")), &variables);
        assert_eq!(caller.call().await, "answered", "{name}");
        is_rotated.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            let outcome = caller.call().await;
            assert!(
                outcome.starts_with("UPSTREAM_CREDENTIALS"),
                "{name}: {outcome}"
            );
        }
        // The first rejection leads to one more call, because the keys may have changed.
        assert_eq!(heads.all().len(), 5, "{name}");
        write_keys(caller.home.path(), "AKIDNEW");
        assert_eq!(caller.call().await, "answered", "{name}");
        let heads = heads.all();
        assert!(
            heads[5].contains("AKIDOLD") && heads[6].contains("AKIDNEW"),
            "{name}"
        );
        assert_eq!(heads.len(), 7, "{name}");
    }
}

/// The failure is temporary, and not every call contacts the source meanwhile.
#[tokio::test]
async fn credentials_that_cannot_be_obtained_are_unavailable() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let (server, heads) = serve(move |head| {
        if !head.starts_with("GET /credentials") {
            whole()
        } else if down.load(Ordering::Relaxed) {
            answer("500 Internal Server Error", "", "")
        } else {
            let credentials = r#"{"AccessKeyId":"ASIAPOD","SecretAccessKey":"s","Token":"t","Expiration":"2199-01-01T00:00:00Z"}"#;
            answer("200 OK", "content-type: application/json\r\n", credentials)
        }
    })
    .await;
    let (credentials, endpoint) = (
        format!("http://{server}/credentials"),
        format!("http://{server}"),
    );
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials.as_str()),
        ("AWS_ENDPOINT_URL", &endpoint),
    ];
    let mut caller = Caller::start(home("", ""), &variables);
    let outcome = caller.call().await;
    assert!(
        outcome.starts_with("CREDENTIALS_UNAVAILABLE: "),
        "{outcome}"
    );
    assert!(outcome.contains("retry_after Some("), "{outcome}");
    let asked = heads.all().len();
    let outcome = caller.call().await;
    assert!(
        outcome.starts_with("CREDENTIALS_UNAVAILABLE: "),
        "{outcome}"
    );
    assert_eq!(
        heads.all().len(),
        asked,
        "the source was contacted again at once"
    );
    is_down.store(false, Ordering::Relaxed);
    // After the pause, calls contact the source again.
    let answered = async { while caller.call().await != "answered" {} };
    timeout(SOON, answered).await.expect("it recovers");
}

#[tokio::test]
async fn permanent_problems_of_credentials_say_what_to_do() {
    let process =
        "[default]\ncredential_process = sh -c 'echo CANARY-OUT; echo CANARY-ERR >&2; exit 3'\n";
    let sso = "[default]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session s]\nsso_start_url = https://d.example.com/start\nsso_region = us-east-1\n";
    let legacy_sso = "[default]\nsso_account_id = 123456789012\nsso_role_name = r\nsso_start_url = https://d.example.com/start\nsso_region = us-east-1\n";
    let login = "[default]\nlogin_session = arn:aws:iam::123456789012:user/u\n";
    let signed_out = "UPSTREAM_CREDENTIALS: the gateway is not signed in to AWS";
    let cases: [(&str, Variables<'_>, &str, &str); 7] = [
        (
            "",
            &[],
            "UPSTREAM_CREDENTIALS: the gateway has no AWS credentials",
            "AWS_PROFILE",
        ),
        (
            "[profile other]\nregion = x\n",
            &[("AWS_PROFILE", "nope")],
            "UPSTREAM_CREDENTIALS: the gateway's AWS credentials are not configured correctly",
            "`nope` was not defined",
        ),
        (
            "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default2\n",
            &[],
            "UPSTREAM_CREDENTIALS: the gateway's AWS credentials are not configured correctly",
            "default2",
        ),
        (
            process,
            &[],
            "CREDENTIALS_UNAVAILABLE: ",
            "credential_process failed",
        ),
        (sso, &[], signed_out, "aws sso login"),
        (legacy_sso, &[], signed_out, "aws sso login"),
        (login, &[], signed_out, "aws login"),
    ];
    for (config, variables, starts, says) in cases {
        let outcome = Caller::start(home(config, ""), variables).call().await;
        assert!(outcome.starts_with(starts), "{config}: {outcome}");
        let (told, detail) = outcome.split_once("detail: ").expect("a detail");
        assert!(detail.contains(says), "{config}: {outcome}");
        assert!(!told.contains("nope") && !told.contains("role/"), "{told}");
        assert!(!outcome.contains("CANARY"), "{outcome}");
    }
}

/// Roles are assumed with the keys of the environment, not with a Bedrock API key, which belongs to
/// another identity.
#[tokio::test]
async fn a_session_signs_the_calls_of_its_account_whatever_else_the_environment_has() {
    let emulator = Emulator::start(Options::default()).expect("loopback");
    let url = emulator.endpoint_url();
    let mut caller = Caller::start(
        home("", ""),
        &[
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_ACCESS_KEY_ID", DEV_ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", DEV_SECRET_ACCESS_KEY),
            ("AWS_BEARER_TOKEN_BEDROCK", "not-a-real-key"),
            (
                ACCOUNTS,
                "accounts: {one: {role_arn: 'arn:aws:iam::111122223333:role/x'}}",
            ),
        ],
    );
    // The request is empty, so an error of its content shows that the signature was accepted.
    let outcome = caller.call().await;
    assert!(outcome.starts_with("UPSTREAM_VALIDATION"), "{outcome}");
    let calls = emulator.calls();
    let [assume, converse] = &calls[..] else {
        panic!("{calls:?}");
    };
    assert_eq!(assume.operation, "AssumeRole");
    assert_eq!(assume.account, "123456789012");
    assert_eq!(converse.operation, "ConverseStream");
    assert_eq!(converse.account, "111122223333");
}

/// Without its own credentials, the gateway cannot assume a role, and its error names the reason.
#[tokio::test]
async fn without_own_credentials_no_role_is_assumed() {
    let emulator = Emulator::start(Options::default()).expect("loopback");
    let url = emulator.endpoint_url();
    let mut caller = Caller::start(
        home("", ""),
        &[
            ("AWS_ENDPOINT_URL", &url),
            (
                ACCOUNTS,
                "accounts: {one: {role_arn: 'arn:aws:iam::111122223333:role/x'}}",
            ),
        ],
    );
    let outcome = caller.call().await;
    assert!(outcome.starts_with("UPSTREAM_CREDENTIALS"), "{outcome}");
    assert!(outcome.contains("no AWS credentials"), "{outcome}");
    assert!(emulator.calls().is_empty());
}

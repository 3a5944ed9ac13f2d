//! The environment of an AWS SDK: proxies, certificates, profiles and sources of credentials.
//! Variables belong to a process, so each test lets a child process make the calls.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    chain::child_running,
    server::{Reply, SOON, Server, Setup, Trust, event},
    upstream::{Heads, answer, proxy, serve},
};

type Variables<'a> = &'a [(&'a str, &'a str)];

/// The variable with a configuration whose first account is called.
const ACCOUNTS: &str = "TEST_ACCOUNTS";
const STREAM: &str = "content-type: application/vnd.amazon.eventstream\r\n";
const RUNTIME: &str = "bedrock-runtime.us-east-1.amazonaws.com";

/// A child that makes a call for each line that it is sent.
struct Caller {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    home: tempfile::TempDir,
}

impl Caller {
    fn start(home: tempfile::TempDir, variables: &[(&str, &str)]) -> Self {
        let mut command = caller(&home, variables);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the test can start itself");
        Self {
            stdin: child.stdin.take().expect("a pipe"),
            stdout: BufReader::new(child.stdout.take().expect("a pipe")).lines(),
            _child: child,
            home,
        }
    }

    /// The result of one more call.
    async fn call(&mut self) -> String {
        self.stdin.write_all(b"\n").await.expect("the child runs");
        loop {
            let line = timeout(SOON, self.stdout.next_line()).await;
            let line = line.expect("an outcome in time").expect("a pipe");
            let line = line.expect("the child runs");
            if let Some((_, outcome)) = line.split_once("outcome: ") {
                return outcome.to_owned();
            }
        }
    }
}

fn caller(home: &tempfile::TempDir, variables: &[(&str, &str)]) -> Command {
    let mut command = child_running("environment::calls_by_the_environment");
    command
        .env("HOME", home.path())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_MAX_ATTEMPTS", "1")
        .envs(variables.iter().copied());
    command
}

#[tokio::test]
#[ignore = "run by other tests, in a process with its own variables"]
async fn calls_by_the_environment() {
    use bedrock_grpc::{
        bedrock::{Bedrock, Sdk},
        config::Config,
    };
    let options = Config::without_file().expect("variables").bedrock;
    let sdk = match Sdk::load(&options).await {
        Ok(sdk) => sdk,
        Err(error) => return println!("outcome: {error}"),
    };
    let accounts = std::env::var(ACCOUNTS).unwrap_or_default();
    let accounts = Config::parse(&accounts, &|_| None).expect("accounts");
    let sdk = sdk.configured(&options, &accounts.accounts);
    let mut bedrock = Bedrock::new(&sdk);
    if let Some(name) = accounts.accounts.keys().next() {
        bedrock = bedrock.in_account(&name.as_str().into(), None);
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(_)) = lines.next_line().await {
        let body = bytes::Bytes::from_static(b"{}");
        match bedrock
            .open("us-east-1", "amazon.nova-lite-v1:0", body)
            .await
        {
            Ok(_) => println!("outcome: answered"),
            Err(failure) => println!(
                "outcome: {failure}; retry_after {:?}; detail: {}",
                failure.retry_after, failure.detail
            ),
        }
    }
}

fn home(config: &str, credentials: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    let aws = home.path().join(".aws");
    std::fs::create_dir(&aws).expect("a folder");
    std::fs::write(aws.join("config"), config).expect("a file");
    std::fs::write(aws.join("credentials"), credentials).expect("a file");
    home
}

fn keys(id: &str) -> String {
    format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = secret\n")
}

fn write_keys(home: &Path, id: &str) {
    std::fs::write(home.join(".aws/credentials"), keys(id)).expect("a file");
}

fn whole() -> Vec<u8> {
    answer(
        "200 OK",
        STREAM,
        event("messageStart", r#"{"role":"assistant"}"#),
    )
}

/// The hosts that a proxy was asked for.
fn hosts(heads: &Heads) -> Vec<String> {
    let host = |head: &String| head.split(' ').nth(1).map(str::to_owned);
    heads.all().iter().filter_map(host).collect()
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_trusts_the_bundle() {
    let trust = Trust::of(&[RUNTIME]);
    let server = Server::trusted(
        Setup {
            tls: true,
            reply: Some(Reply::stream(event("messageStart", "{}"))),
            ..Setup::default()
        },
        trust,
    )
    .await;
    let bundle = server.options().extra_ca_file.expect("a file");
    let bundle = bundle.to_str().expect("a path").to_owned();
    let (address, heads) = proxy(Some(server.address)).await;
    let url = format!("http://user:p%40ss@{address}");
    for (variable, home) in [
        ("HTTPS_PROXY", home("", &keys("AKID"))),
        ("https_proxy", home("", &keys("AKID"))),
        ("ALL_PROXY", home("", &keys("AKID"))),
    ] {
        let variables = [(variable, url.as_str()), ("AWS_CA_BUNDLE", &bundle)];
        assert_eq!(
            Caller::start(home, &variables).call().await,
            "answered",
            "{variable}"
        );
    }
    // The same by the profile.
    let profile = format!("[default]\nca_bundle = {bundle}\n");
    let mut caller = Caller::start(home(&profile, &keys("AKID")), &[("HTTPS_PROXY", &url)]);
    assert_eq!(caller.call().await, "answered");
    // Without it the certificate is not trusted.
    let mut caller = Caller::start(home("", &keys("AKID")), &[("HTTPS_PROXY", &url)]);
    let outcome = caller.call().await;
    assert!(outcome.starts_with("UPSTREAM_CONNECT"), "{outcome}");
    let told = outcome.split("; ").next().expect("a part");
    assert!(
        !told.contains("amazonaws") && !told.contains("127.0.0.1"),
        "{told}"
    );
    assert!(
        !outcome.contains("p@ss") && !outcome.contains("p%40ss"),
        "{outcome}"
    );
    let heads = heads.all();
    assert_eq!(heads.len(), 5);
    for head in heads {
        assert!(
            head.starts_with(&format!("CONNECT {RUNTIME}:443 ")),
            "{head}"
        );
        // "user:p@ss"
        let authorization = "proxy-authorization: basic dxnlcjpwqhnz";
        assert!(head.to_ascii_lowercase().contains(authorization), "{head}");
    }
}

#[tokio::test]
async fn http_goes_through_the_proxy_with_the_whole_url_and_the_signed_host() {
    let (server, _) = serve(|_| whole()).await;
    let (address, heads) = proxy(Some(server)).await;
    let url = format!("http://user:secret@{address}");
    let variables = [
        ("HTTP_PROXY", url.as_str()),
        (
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
            "http://bedrock.test:8080",
        ),
    ];
    let mut caller = Caller::start(home("", &keys("AKID")), &variables);
    assert_eq!(caller.call().await, "answered");
    let head = heads.all().remove(0).to_ascii_lowercase();
    assert!(
        head.starts_with("post http://bedrock.test:8080/model/"),
        "{head}"
    );
    assert!(head.contains("\r\nhost: bedrock.test:8080\r\n"), "{head}");
    assert!(
        head.contains("signedheaders=content-length;content-type;host;") || head.contains("host;"),
        "{head}"
    );
    assert!(head.contains("proxy-authorization: basic "), "{head}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_an_outage_of_the_route() {
    let (address, _) = proxy(None).await;
    let url = format!("http://{address}");
    let mut caller = Caller::start(home("", &keys("AKID")), &[("HTTPS_PROXY", &url)]);
    let outcome = caller.call().await;
    assert!(outcome.starts_with("UPSTREAM_CONNECT: "), "{outcome}");
    assert!(
        outcome.contains(&format!("through the proxy {address}")),
        "{outcome}"
    );
}

/// FIPS and dual-stack, by variable and by profile; the same proxy for STS and IAM Identity Center.
#[tokio::test]
async fn every_endpoint_is_found_and_reached_as_the_environment_says() {
    let sso = "[default]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n\
               [sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://d.awsapps.com/start\n";
    let fips = "[default]\nuse_fips_endpoint = true\n";
    let dual = "[default]\nuse_dualstack_endpoint = true\n";
    let assumed = "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = k\n\
                   [profile k]\naws_access_key_id = AKID\naws_secret_access_key = s\n";
    let key = keys("AKID");
    let token = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(token.path(), "token").expect("a file");
    let token = token.path().to_str().expect("a path");
    let irsa = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r"),
    ];
    let fips_irsa = [irsa[0], irsa[1], ("AWS_USE_FIPS_ENDPOINT", "true")];
    let cases: [(&str, &str, Variables<'_>, &str); 9] = [
        ("", &key, &[], RUNTIME),
        (
            "",
            &key,
            &[("AWS_USE_FIPS_ENDPOINT", "true")],
            "bedrock-runtime-fips.us-east-1.amazonaws.com",
        ),
        (
            fips,
            &key,
            &[],
            "bedrock-runtime-fips.us-east-1.amazonaws.com",
        ),
        (
            "",
            &key,
            &[("AWS_USE_DUALSTACK_ENDPOINT", "true")],
            "bedrock-runtime.us-east-1.api.aws",
        ),
        (dual, &key, &[], "bedrock-runtime.us-east-1.api.aws"),
        ("", "", &irsa, "sts.us-east-1.amazonaws.com"),
        ("", "", &fips_irsa, "sts-fips.us-east-1.amazonaws.com"),
        (assumed, "", &[], "sts.us-east-1.amazonaws.com"),
        (sso, "", &[], "portal.sso.eu-west-1.amazonaws.com"),
    ];
    for (config, credentials, variables, host) in cases {
        let (address, heads) = proxy(None).await;
        let url = format!("http://{address}");
        let home = home(config, credentials);
        // Of a session that `aws sso login` has begun; the name is the SHA-1 of the session's.
        let cache = home.path().join(".aws/sso/cache");
        std::fs::create_dir_all(&cache).expect("a folder");
        let session = r#"{"accessToken":"t","expiresAt":"2199-01-01T00:00:00Z","region":"eu-west-1","startUrl":"https://d.awsapps.com/start"}"#;
        let name = "a0f1490a20d0211c997b44bc357e1972deab8ae3.json";
        std::fs::write(cache.join(name), session).expect("a file");
        let all = [&[("HTTPS_PROXY", url.as_str())], variables].concat();
        let outcome = Caller::start(home, &all).call().await;
        assert_ne!(outcome, "answered");
        assert_eq!(
            hosts(&heads).first(),
            Some(&format!("{host}:443")),
            "{config}{variables:?}: {outcome}"
        );
        let reason = outcome.split(':').next().expect("a reason");
        let of_bedrock = host.starts_with("bedrock");
        assert_eq!(
            reason,
            if of_bedrock {
                "UPSTREAM_CONNECT"
            } else {
                "CREDENTIALS_UNAVAILABLE"
            }
        );
    }
}

/// Sessions of `aws login` are built in: the session is missing here, not a feature of the build.
#[tokio::test]
async fn login_sessions_are_supported() {
    let config = "[default]\nlogin_session = arn:aws:iam::123456789012:user/me\n";
    let outcome = Caller::start(home(config, ""), &[]).call().await;
    assert!(
        outcome.starts_with("CREDENTIALS_UNAVAILABLE")
            || outcome.starts_with("UPSTREAM_CREDENTIALS"),
        "{outcome}"
    );
    assert!(!outcome.contains("feature"), "{outcome}");
    assert!(outcome.contains("login"), "{outcome}");
}

#[tokio::test]
async fn services_sections_name_endpoints() {
    let (server, heads) = serve(|_| whole()).await;
    let config = format!(
        "[default]\nservices = local\n[services local]\nbedrock_runtime =\n  endpoint_url = http://{server}\n"
    );
    assert_eq!(
        Caller::start(home(&config, &keys("AKID")), &[])
            .call()
            .await,
        "answered"
    );
    assert_eq!(heads.all().len(), 1);
}

/// Container credentials are asked for without the proxy that all else goes through.
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

/// New keys in the file count with the next call after AWS rejects the old ones.
#[tokio::test]
async fn rotated_keys_are_read_again_when_aws_rejects_the_old_ones() {
    for name in [
        "ExpiredTokenException",
        "ExpiredToken",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    ] {
        let is_rotated = Arc::new(AtomicBool::new(false));
        let rotated = Arc::clone(&is_rotated);
        let (server, heads) = serve(move |head| {
            if rotated.load(Ordering::Relaxed) && head.contains("AKIDOLD") {
                let headers = format!("x-amzn-errortype: {name}\r\n");
                return answer("403 Forbidden", &headers, "{}");
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
    // Calls are let through to the source again when the pause is over.
    let answered = async { while caller.call().await != "answered" {} };
    timeout(SOON, answered).await.expect("it recovers");
}

#[tokio::test]
async fn permanent_problems_of_credentials_say_what_to_do() {
    let process =
        "[default]\ncredential_process = sh -c 'echo CANARY-OUT; echo CANARY-ERR >&2; exit 3'\n";
    let cases: [(&str, Variables<'_>, &str, &str); 4] = [
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

#[tokio::test]
async fn an_unreadable_bundle_is_an_error_at_the_start() {
    let child = caller(&home("", ""), &[("AWS_CA_BUNDLE", "/nonexistent.pem")]);
    let mut child = child;
    let output = timeout(SOON, child.stdin(Stdio::null()).output()).await;
    let output = output.expect("it ends").expect("the test can start itself");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("outcome: AWS_CA_BUNDLE") && text.contains("/nonexistent.pem"),
        "{text}"
    );
}

/// Roles are assumed with the keys of the environment. A Bedrock API key is of another identity.
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

/// Without its own credentials, the gateway cannot assume a role, and says why.
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

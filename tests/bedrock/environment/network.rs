//! Proxies, certificates and endpoints.

use std::process::Stdio;

use tokio::time::timeout;

use super::{Caller, RUNTIME, Variables, caller, home, keys, whole};
use crate::{
    server::{Reply, SOON, Server, Setup, Trust, event},
    upstream::{Heads, proxy, serve},
};

/// Returns the hosts that were requested from a proxy.
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
    // The profile has the same effect.
    let profile = format!("[default]\nca_bundle = {bundle}\n");
    let mut caller = Caller::start(home(&profile, &keys("AKID")), &[("HTTPS_PROXY", &url)]);
    assert_eq!(caller.call().await, "answered");
    // Without the bundle, the certificate is not trusted.
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

/// FIPS and dual-stack, set by variables and by the profile. STS and IAM Identity Center use the
/// same proxy.
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
        // The token of a session that `aws sso login` has begun. The file's name is the SHA-1 of
        // the session's name.
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

/// Support for sessions of `aws login` is built in: the error is about the missing session, not
/// about a missing feature.
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

#[tokio::test]
async fn an_empty_bundle_counts_as_not_set() {
    let (server, heads) = serve(|_| whole()).await;
    let endpoint = format!("http://{server}");
    let variables = [
        ("AWS_CA_BUNDLE", ""),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint.as_str()),
    ];
    let mut caller = Caller::start(home("", &keys("AKID")), &variables);
    assert_eq!(caller.call().await, "answered");
    assert_eq!(heads.all().len(), 1);
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

//! The page that `dev` serves, next to the services on the same port.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::harness::{Gateway, MODEL, Web, ask};

async fn with_page() -> Gateway {
    Gateway::with(|config, _| config.server.playground = true).await
}

async fn send(gateway: &Gateway, method: Method, path: &str, headers: &[(&str, &str)]) -> Web {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", gateway.address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Web::send(
        gateway.address,
        request.body(Full::<Bytes>::default()).unwrap(),
    )
    .await
}

/// The paths of the files that a page uses.
fn named(page: &str) -> Vec<String> {
    let values = page.split('"').skip(1).step_by(2);
    values
        .filter(|value| value.starts_with("assets/"))
        .map(|value| format!("/{value}"))
        .collect()
}

#[tokio::test]
async fn the_page_and_its_files_are_served_with_a_strict_policy() {
    let gateway = with_page().await;
    let page = send(&gateway, Method::GET, "/", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "script-src 'self';",
        "connect-src 'self';",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(directive), "{directive} is not in {policy}");
    }
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!text.contains("//"), "the page names another host: {text}");
    let files = named(&text);
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        let file = send(&gateway, Method::GET, &path, &[]).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        let content_type = match path.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "none that is known",
        };
        assert_eq!(file.header("content-type"), content_type, "{path}");
        assert_eq!(file.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(
            file.header("content-length"),
            file.body.len().to_string(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_browser_that_has_the_page_is_not_sent_it_again() {
    let gateway = with_page().await;
    let first = send(&gateway, Method::GET, "/assets/playground.js", &[]).await;
    let etag = first.header("etag").to_owned();
    assert_eq!(first.header("cache-control"), "no-cache");
    let weak = format!("\"other\", W/{etag}");
    for known in [&etag, &weak] {
        let again = send(
            &gateway,
            Method::GET,
            "/assets/playground.js",
            &[("if-none-match", known)],
        )
        .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(again.header("etag"), etag);
        assert_eq!(again.body, Bytes::new());
    }
    let stale = send(
        &gateway,
        Method::GET,
        "/assets/playground.js",
        &[("if-none-match", "\"00000000\"")],
    )
    .await;
    assert_eq!(stale.status, StatusCode::OK);
    assert_eq!(stale.body, first.body);

    let head = send(&gateway, Method::HEAD, "/assets/playground.js", &[]).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.header("etag"), etag);
    assert_eq!(head.header("content-length"), first.body.len().to_string());
    assert_eq!(head.body, Bytes::new());
}

#[tokio::test]
async fn beside_the_page_calls_are_answered_as_ever() {
    let gateway = with_page().await;
    gateway.stream(ask(MODEL)).await.is_whole();
}

#[tokio::test]
async fn without_a_config_there_is_no_page() {
    let gateway = Gateway::start().await;
    for path in ["/", "/assets/playground.js"] {
        let answer = send(&gateway, Method::GET, path, &[]).await;
        assert!(
            answer.status != StatusCode::OK || answer.body.is_empty(),
            "{path}: {answer:?}"
        );
        assert_eq!(answer.header("etag"), "", "{path}");
    }
}

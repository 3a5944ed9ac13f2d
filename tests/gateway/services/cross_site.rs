//! Requests that a web page can make a browser send without permission. None of them may reach
//! Bedrock.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use prost::Message;

use crate::harness::{Gateway, MODEL, STREAM_INVOKE, Web, ask, message, soon};

const PAGE: &str = "https://chat.example.com";
const GRPC_WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");

async fn gateway() -> Gateway {
    Gateway::with(|config, _| config.server.cors.allowed_origins = vec![PAGE.to_owned()]).await
}

fn body() -> Bytes {
    message(0, &ask(MODEL).encode_to_vec()).into()
}

/// Posts a valid call with these headers over HTTP/1.1.
async fn post(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Web {
    let mut request = Request::post(path).header("host", gateway.address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Web::send(gateway.address, request.body(Full::from(body())).unwrap()).await
}

/// The same over HTTP/2.
async fn post_h2(
    gateway: &Gateway,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap) {
    soon(async {
        let (sender, connection) = h2::client::handshake(gateway.connect().await)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let mut request = Request::post(format!("http://{}{path}", gateway.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, mut stream) = sender
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        // The answer may already have arrived and closed the stream.
        let _sent = stream.send_data(body(), true);
        let (head, _) = response.await.unwrap().into_parts();
        connection.abort();
        (head.status, head.headers)
    })
    .await
}

#[tokio::test]
async fn only_grpc_content_types_reach_a_service() {
    let gateway = gateway().await;
    let paths = [
        STREAM_INVOKE,
        "/grpc.health.v1.Health/Check",
        "/",
        "/nothing",
    ];
    let content_types: [&[(&str, &str)]; 10] = [
        &[],
        &[("content-type", "")],
        &[("content-type", "text/plain")],
        &[("content-type", "text/plain;application/grpc")],
        &[("content-type", "application/json")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "multipart/form-data; boundary=x")],
        &[("content-type", "application/grpcx")],
        &[
            ("content-type", "text/plain"),
            ("content-type", "application/grpc"),
        ],
        &[("content-type", "application/grpc, text/plain")],
    ];
    for path in paths {
        for headers in content_types {
            let answer = post(&gateway, path, headers).await;
            assert_eq!(
                answer.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path} {headers:?}"
            );
            let (status, _) = post_h2(&gateway, path, headers).await;
            assert_eq!(
                status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path} {headers:?}"
            );
        }
    }
    assert_eq!(gateway.emulator.calls(), []);
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "Application/GRPC; charset=utf-8",
    ] {
        let headers = [("content-type", content_type), ("te", "trailers")];
        let (status, headers) = post_h2(&gateway, STREAM_INVOKE, &headers).await;
        assert_eq!(status, StatusCode::OK, "{content_type}");
        assert!(!headers.contains_key("grpc-status"), "{content_type}");
    }
}

#[tokio::test]
async fn formats_other_than_protobuf_are_unimplemented() {
    let gateway = gateway().await;
    for content_type in [
        "application/grpc+json",
        "application/grpc+thrift",
        "application/grpc-web+json",
        "application/grpc-web-text+json",
        "Application/GRPC+JSON; charset=utf-8",
        "application/grpc+protobuf",
    ] {
        let headers = [("content-type", content_type), ("te", "trailers")];
        let (status, answer) = post_h2(&gateway, STREAM_INVOKE, &headers).await;
        assert_eq!(status, StatusCode::OK, "{content_type}");
        assert_eq!(answer["grpc-status"], "12", "{content_type}");
        let answer = post(&gateway, STREAM_INVOKE, &headers).await;
        assert_eq!(answer.header("grpc-status"), "12", "{content_type}");
    }
    assert_eq!(gateway.emulator.calls(), []);
    for content_type in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
    ] {
        let answer = post(&gateway, STREAM_INVOKE, &[("content-type", content_type)]).await;
        assert_ne!(answer.header("grpc-status"), "12", "{content_type}");
        assert_eq!(answer.status, StatusCode::OK, "{content_type}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_do_not_reach_a_service() {
    let gateway = gateway().await;
    let own = format!("http://{}", gateway.address);
    let refused: [&[(&str, &str)]; 12] = [
        &[("origin", "https://evil.example.com")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "https://chat.example.com.evil.example")],
        &[("origin", "http://chat.example.com")],
        &[("origin", "https://chat.example.com:8443")],
        &[("origin", PAGE), ("origin", "https://evil.example.com")],
        &[("origin", "https://evil.example.com"), ("origin", PAGE)],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ],
        // The playground is off, so no page has the gateway's own origin.
        &[("origin", &own), ("sec-fetch-site", "same-origin")],
    ];
    for headers in refused {
        let headers = [headers, &[GRPC_WEB]].concat();
        let answer = post(&gateway, STREAM_INVOKE, &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(answer.header("grpc-status"), "7", "{headers:?}");
        let told = answer.header("access-control-allow-origin");
        assert!(!told.contains("evil"), "{told}");
        let (status, answer) = post_h2(&gateway, STREAM_INVOKE, &headers).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(answer["grpc-status"], "7", "{headers:?}");
    }
    assert_eq!(gateway.emulator.calls(), []);

    let accepted: [&[(&str, &str)]; 5] = [
        &[],
        &[("origin", PAGE)],
        &[("origin", PAGE), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin")],
    ];
    for headers in accepted {
        let headers = [headers, &[GRPC_WEB]].concat();
        let answer = post(&gateway, STREAM_INVOKE, &headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?}");
    }
    assert_eq!(gateway.ended(accepted.len()).await.len(), accepted.len());
}

#[tokio::test]
async fn the_playground_may_call_the_gateway_that_serves_it() {
    let gateway = Gateway::with(|config, _| config.server.playground = true).await;
    let own = format!("http://{}", gateway.address);
    let tls_in_front = format!("https://{}", gateway.address);
    for origin in [&own, &tls_in_front] {
        let headers = [("origin", origin.as_str()), GRPC_WEB];
        let answer = post(&gateway, STREAM_INVOKE, &headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{origin}");
    }
    for origin in ["null", "http://127.0.0.1:1", "https://evil.example.com"] {
        let answer = post(&gateway, STREAM_INVOKE, &[("origin", origin), GRPC_WEB]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
        // Requests that are not gRPC are refused here, too.
        let plain = [("origin", own.as_str()), ("content-type", "text/plain")];
        let answer = post(&gateway, "/", &plain).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    gateway.ended(2).await;
    assert_eq!(gateway.emulator.calls().len(), 2);
}

#[tokio::test]
async fn a_star_allows_every_page() {
    let gateway =
        Gateway::with(|config, _| config.server.cors.allowed_origins = vec!["*".to_owned()]).await;
    for origin in ["null", "https://evil.example.com"] {
        let answer = post(&gateway, STREAM_INVOKE, &[("origin", origin), GRPC_WEB]).await;
        assert_eq!(answer.status, StatusCode::OK, "{origin}");
    }
}

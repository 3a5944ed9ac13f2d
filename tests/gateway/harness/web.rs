//! Plain HTTP/1.1, as browsers and Prometheus use it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::soon;

/// An HTTP/1.1 response.
#[derive(Debug)]
pub(crate) struct Web {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Web {
    /// Sends a request on a separate connection, and reads the whole response.
    pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Self {
        soon(async {
            let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            let connection = tokio::spawn(connection);
            let response = sender.send_request(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            connection.abort();
            Self {
                status: parts.status,
                headers: parts.headers,
                body,
            }
        })
        .await
    }

    /// A header's text. Empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Status and text of a page.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let request = Request::get(path)
        .header("host", address.to_string())
        .body(Full::default())
        .unwrap();
    let answer = Web::send(address, request).await;
    (
        answer.status,
        String::from_utf8(answer.body.to_vec()).unwrap(),
    )
}

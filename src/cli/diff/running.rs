//! Reads the configuration of a running gateway from its admin port.

use std::time::Duration;

use http::{Request, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long the gateway may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The maximum size of the response.
const MAX_SIZE: usize = 16 << 20;
/// The port if the URL contains none.
const PORT: u16 = 9090;

/// The configuration of a running gateway.
#[derive(Debug, Deserialize)]
pub(super) struct Running {
    pub(super) sha256: String,
    /// The keys of the settings that protect the gateway.
    pub(super) protection: Vec<String>,
    /// The configuration with masked secrets. `null` if the gateway has no configuration file.
    pub(super) config: Value,
    /// The configuration with its defaults, and with the keys of callers.
    #[serde(default)]
    effective: Value,
}

impl Running {
    /// Returns whether a caller has a key in the keys file.
    pub(super) fn has_keys_in_file(&self) -> bool {
        let callers = self.effective.get("callers").and_then(Value::as_object);
        let callers = callers.into_iter().flat_map(|callers| callers.values());
        let keys = callers.filter_map(|caller| caller.get("keys")?.as_array());
        keys.flatten().any(|key| key.get("of_keys_file").is_some())
    }
}

/// The address of an admin port.
#[derive(Clone, Debug)]
pub(super) struct AdminPort {
    host: String,
    port: u16,
}

/// Parses the address of an admin port, such as `http://127.0.0.1:9090`.
pub(super) fn parse(url: &str) -> Result<AdminPort, String> {
    let wrong = || "write the URL of the admin port, such as http://127.0.0.1:9090".to_owned();
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let is_plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/" | "/config");
    let host = uri.host().filter(|_| is_plain).ok_or_else(wrong)?;
    Ok(AdminPort {
        host: host.to_owned(),
        port: uri.port_u16().unwrap_or(PORT),
    })
}

/// Fetches the configuration from an admin port.
pub(super) async fn fetch(AdminPort { host, port }: &AdminPort) -> Result<Running, String> {
    let answer = tokio::time::timeout(DEADLINE, ask(host, *port)).await;
    let answer = answer.unwrap_or_else(|_| Err("no answer within 10 s".to_owned()));
    answer.map_err(|error| format!("http://{host}:{port}: {error}"))
}

async fn ask(host: &str, port: u16) -> Result<Running, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await.map_err(|error| {
        format!("{error}; pass the URL of a running gateway's admin port with --admin")
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| text(&error))?;
    let request = Request::get("/config")
        .header(HOST, format!("{host}:{port}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| text(&error))?;
    // Errors of the connection are ignored here, because the request then fails as well.
    let _connection = tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| text(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_SIZE).collect().await;
    let body = body.map_err(|error| text(&error))?.to_bytes();
    if status != StatusCode::OK {
        let body = String::from_utf8_lossy(&body);
        return Err(format!("HTTP status {status}: {}", body.trim()));
    }
    serde_json::from_slice(&body)
        .map_err(|error| format!("not the answer of an admin port: {error}"))
}

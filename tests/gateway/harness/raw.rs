//! A gRPC call frame by frame, to observe what a client library hides.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;

use super::{Gateway, soon};

/// The path of StreamInvoke.
pub(crate) const STREAM_INVOKE: &str = "/bedrock.inference.v1.InferenceService/StreamInvoke";

/// What arrives on a stream.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Response headers; `end` if the stream ends with them.
    Headers {
        headers: BTreeMap<String, String>,
        end: bool,
    },
    Data(Bytes),
    Trailers(BTreeMap<String, String>),
    /// RST_STREAM or GOAWAY.
    Reset(h2::Error),
}

/// A call on a separate HTTP/2 connection.
pub(crate) struct RawCall {
    response: Option<h2::client::ResponseFuture>,
    body: Option<RecvStream>,
    /// Kept, because dropping it would reset the stream.
    request: SendStream<Bytes>,
    ping: h2::PingPong,
}

impl RawCall {
    /// Starts a stream with this request.
    pub(crate) async fn to(gateway: &Gateway, request: &impl Message) -> Self {
        let call = Request::post(format!("http://{}{STREAM_INVOKE}", gateway.address));
        Self::send(
            gateway,
            call,
            &[message(0, &request.encode_to_vec())].concat(),
        )
        .await
    }

    /// Sends these bytes as the body of a request, with the headers that gRPC needs.
    pub(crate) async fn send(gateway: &Gateway, call: http::request::Builder, body: &[u8]) -> Self {
        let mut raw = Self::begin(gateway, call).await;
        raw.more(body, true);
        raw
    }

    /// Sends the headers only.
    pub(crate) async fn begin(gateway: &Gateway, call: http::request::Builder) -> Self {
        Self::begin_at(gateway.address, call).await
    }

    /// Sends the headers only, to the gateway at this address.
    pub(crate) async fn begin_at(address: SocketAddr, call: http::request::Builder) -> Self {
        soon(async {
            let socket = TcpStream::connect(address).await.unwrap();
            let mut builder = h2::client::Builder::new();
            builder
                .initial_window_size(16 << 20)
                .initial_connection_window_size(64 << 20);
            let (sender, mut connection) = builder.handshake(socket).await.unwrap();
            let ping = connection.ping_pong().unwrap();
            tokio::spawn(connection);
            let mut sender = sender.ready().await.unwrap();
            let call = call
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())
                .unwrap();
            let (response, request) = sender.send_request(call, false).unwrap();
            Self {
                response: Some(response),
                body: None,
                request,
                ping,
            }
        })
        .await
    }

    /// Sends more of the body, and with `end` its end.
    pub(crate) fn more(&mut self, body: &[u8], end: bool) {
        let body = Bytes::copy_from_slice(body);
        self.request.send_data(body, end).unwrap();
    }

    /// Waits until the gateway has read everything that was sent before.
    pub(crate) async fn seen(&mut self) {
        soon(self.ping.ping(h2::Ping::opaque())).await.unwrap();
    }

    /// Resets the stream.
    pub(crate) fn cancel(&mut self) {
        self.request.send_reset(h2::Reason::CANCEL);
    }

    /// Returns what arrives next; `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        soon(async {
            if let Some(response) = self.response.take() {
                let response = match response.await {
                    Ok(response) => response,
                    Err(error) => return Some(Frame::Reset(error)),
                };
                let (parts, body) = response.into_parts();
                let end = body.is_end_stream();
                self.body = (!end).then_some(body);
                let mut headers = texts(&parts.headers);
                headers.insert(":status".to_owned(), parts.status.as_str().to_owned());
                return Some(Frame::Headers { headers, end });
            }
            let body = self.body.as_mut()?;
            match body.data().await {
                Some(Ok(data)) => {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    return Some(Frame::Data(data));
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Some(Frame::Reset(error));
                }
                None => {}
            }
            let trailers = body.trailers().await.unwrap();
            self.body = None;
            trailers.map(|trailers| Frame::Trailers(texts(&trailers)))
        })
        .await
    }

    /// Returns everything up to the end.
    pub(crate) async fn frames(mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// The status, whether it arrived in headers or trailers.
    pub(crate) async fn status(self) -> tonic::Status {
        match self.frames().await.last() {
            Some(Frame::Headers { headers, .. } | Frame::Trailers(headers)) => status(headers),
            Some(Frame::Data(data)) => panic!("no status behind {} bytes", data.len()),
            Some(Frame::Reset(error)) => panic!("reset: {error}"),
            None => panic!("no answer"),
        }
    }
}

/// A gRPC message with its five-byte prefix.
pub(crate) fn message(flags: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = BytesMut::new();
    message.put_u8(flags);
    message.put_u32(bytes.len().try_into().unwrap());
    message.put_slice(bytes);
    message.to_vec()
}

/// The status in these headers.
pub(crate) fn status(headers: &BTreeMap<String, String>) -> tonic::Status {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        map.insert(
            http::HeaderName::try_from(name).unwrap(),
            value.parse().unwrap(),
        );
    }
    tonic::Status::from_header_map(&map).unwrap()
}

fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

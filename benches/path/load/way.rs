//! The ways to send calls.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bedrock_grpc::pb::{InvokeRequest, StreamInvokeRequest};
use bytes::Bytes;
use http::Request;
use prost::Message as _;

use super::{http1, http2, messages::Framing, watch::Call};
use crate::{
    Error,
    question::{self, MODEL},
};

/// The method of the gateway to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `StreamInvoke`.
    Stream,
    /// `Invoke`, whose answer is one message without deltas.
    Unary,
    /// `Invoke` of a prompt to which the model generates nothing, so that the emulator's pace does
    /// not delay the answer.
    Silent,
}

/// The destination and the protocol of calls.
#[derive(Clone)]
pub(crate) struct Way(Protocol);

/// With HTTP/1.1, each slot has a connection. With HTTP/2, all slots share some connections.
#[derive(Clone)]
enum Protocol {
    Http1 { address: SocketAddr, request: Bytes },
    Http2 { connections: Vec<http2::Connection> },
}

impl Way {
    /// gRPC to the gateway.
    pub(crate) async fn grpc(
        address: SocketAddr,
        method: Method,
        connections: usize,
    ) -> Result<Self, Error> {
        let prompt = match method {
            Method::Stream | Method::Unary => question::LONG,
            Method::Silent => question::SILENT,
        };
        let input = Some(question::input(prompt));
        let target = MODEL.to_owned();
        let (path, message) = match method {
            Method::Stream => {
                let request = StreamInvokeRequest {
                    target,
                    input,
                    ..StreamInvokeRequest::default()
                };
                ("StreamInvoke", request.encode_to_vec())
            }
            Method::Unary | Method::Silent => {
                ("Invoke", InvokeRequest { target, input }.encode_to_vec())
            }
        };
        let length = u32::try_from(message.len())?.to_be_bytes();
        let body = Bytes::from([&[0], &length[..], &message].concat());
        let request = Request::post(format!(
            "http://{address}/bedrock.inference.v1.InferenceService/{path}"
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
        Self::http2(connections, address, None, request, body, Framing::Grpc).await
    }

    /// ConverseStream over HTTP/1.1.
    pub(crate) fn bedrock_http1(address: SocketAddr) -> Self {
        let body = question::body(question::LONG);
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            question::path(),
            body.len()
        );
        Self(Protocol::Http1 {
            address,
            request: Bytes::from(head + &body),
        })
    }

    /// ConverseStream over TLS with HTTP/2.
    pub(crate) async fn bedrock_http2(
        address: SocketAddr,
        ca_pem: &str,
        connections: usize,
    ) -> Result<Self, Error> {
        let request = Request::post(format!("https://{address}{}", question::path()))
            .header("content-type", "application/json")
            .body(())?;
        let body = Bytes::from(question::body(question::LONG));
        let framing = Framing::EventStream;
        Self::http2(connections, address, Some(ca_pem), request, body, framing).await
    }

    async fn http2(
        count: usize,
        address: SocketAddr,
        ca_pem: Option<&str>,
        request: Request<()>,
        body: Bytes,
        framing: Framing,
    ) -> Result<Self, Error> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let (request, body) = (request.clone(), body.clone());
            connections
                .push(http2::Connection::open(address, ca_pem, request, body, framing).await?);
        }
        Ok(Self(Protocol::Http2 { connections }))
    }

    /// Returns how long a full gateway takes to refuse a call.
    pub(crate) async fn refusal(&self) -> Result<Duration, Error> {
        let Protocol::Http2 { connections } = &self.0 else {
            return Err("only gRPC has refusals".into());
        };
        let begun = Instant::now();
        connections[0].refused().await?;
        Ok(begun.elapsed())
    }

    /// What one slot uses for all its calls.
    pub(super) async fn lane(&self, slot: usize) -> Result<Lane, Error> {
        Ok(match &self.0 {
            Protocol::Http1 { address, request } => {
                Lane::Http1(http1::Connection::open(*address, request.clone()).await?)
            }
            Protocol::Http2 { connections } => {
                Lane::Http2(connections[slot % connections.len()].clone())
            }
        })
    }
}

/// The part of a way that belongs to one slot.
pub(super) enum Lane {
    Http1(http1::Connection),
    Http2(http2::Connection),
}

impl Lane {
    /// Makes a call and reads the answer to its end.
    pub(super) async fn call(&mut self, call: &mut Call<'_>) -> Result<(), Error> {
        match self {
            Self::Http1(connection) => connection.call(call).await,
            Self::Http2(connection) => connection.call(call).await,
        }
    }
}

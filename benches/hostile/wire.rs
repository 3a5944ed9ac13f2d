//! The attacker's connections: HTTP/2 with a library, and frame by frame.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::Request;
use prost::Message;
use tokio::net::{TcpSocket, TcpStream};

use crate::Error;

pub(crate) const STREAM_INVOKE: &str = "/bedrock.inference.v1.InferenceService/StreamInvoke";
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";

// RFC 9113, section 6.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Opens a TCP connection from an address that the well-behaved clients do not use.
pub(crate) async fn tcp(to: SocketAddr) -> Result<TcpStream, Error> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns an HTTP/2 connection.
pub(crate) async fn http2(to: SocketAddr) -> Result<SendRequest<Bytes>, Error> {
    let (send, connection) = h2::client::handshake(tcp(to).await?).await?;
    // The calls report the end of the connection.
    tokio::spawn(async move { drop(connection.await) });
    Ok(send)
}

/// Sends the head of a call.
pub(crate) async fn head(
    connection: &SendRequest<Bytes>,
    path: &str,
) -> Result<(ResponseFuture, SendStream<Bytes>), Error> {
    let request = Request::post(format!("http://gateway{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let mut ready = connection.clone().ready().await?;
    Ok(ready.send_request(request, false)?)
}

/// Sends a whole call and waits for the end of its answer.
pub(crate) async fn call(
    connection: &SendRequest<Bytes>,
    path: &str,
    message: Bytes,
) -> Result<(), Error> {
    let (response, mut body) = head(connection, path).await?;
    body.send_data(message, true)?;
    let mut answer = response.await?.into_body();
    while let Some(data) = answer.data().await {
        let length = data?.len();
        answer.flow_control().release_capacity(length)?;
    }
    Ok(())
}

/// Returns a message with gRPC's five bytes before it.
pub(crate) fn message(bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(bytes.len() + 5);
    out.put_u8(0);
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
    out.freeze()
}

/// Encodes a message, with gRPC's five bytes before it.
pub(crate) fn encoded(request: &impl Message) -> Bytes {
    message(&request.encode_to_vec())
}

/// Returns a frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    let length = (payload.len() as u32).to_be_bytes();
    bytes.put_slice(&length[1..]);
    bytes.put_u8(kind);
    bytes.put_u8(flags);
    bytes.put_u32(stream);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// Returns the headers of a call, as literals without indexing (RFC 7541, section 6.2.2).
pub(crate) fn call_headers() -> BytesMut {
    let mut block = BytesMut::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", STREAM_INVOKE),
        (":authority", "gateway"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        put_header(&mut block, name, value);
    }
    block
}

/// Appends a header whose name and value each have less than 127 bytes.
pub(crate) fn put_header(block: &mut BytesMut, name: &str, value: &str) {
    block.put_u8(0);
    for text in [name, value] {
        block.put_u8(text.len() as u8);
        block.put_slice(text.as_bytes());
    }
}

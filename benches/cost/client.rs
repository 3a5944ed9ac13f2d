//! A gRPC client on one HTTP/2 connection. It makes one call at a time.

use std::{future::poll_fn, net::SocketAddr, sync::Arc};

use bedrock_grpc::pb::{
    ContentBlock, ConverseInput, InvokeRequest, Message as Turn, Role, StreamInvokeRequest,
    content_block::Content,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{Error, callers::Setup};

const MODEL: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const PROMPT: &str = "Why is the sky blue?";
/// The flow-control window. It is larger than any answer, so that the client never slows down the
/// gateway.
const WINDOW: u32 = 16 << 20;
/// The tag of `StreamInvokeResponse.content_block_delta`, which is first in its message.
const DELTA: u8 = 3 << 3 | 2;
/// The number of bytes before a message: a flag and the length.
const HEAD: usize = 5;

/// A connected client.
pub(crate) struct Client {
    send: SendRequest<Bytes>,
    authority: SocketAddr,
    authorization: Option<String>,
}

impl Client {
    /// Opens the connection.
    pub(crate) async fn connect(address: SocketAddr, setup: &Setup) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let send = match &setup.tls {
            None => handshake(stream).await?,
            Some(tls) => {
                let connector = TlsConnector::from(Arc::clone(tls));
                handshake(connector.connect(address.ip().into(), stream).await?).await?
            }
        };
        Ok(Self {
            send,
            authority: address,
            authorization: setup.authorization.clone(),
        })
    }

    /// Makes one `Invoke` call.
    pub(crate) async fn invoke(&mut self) -> Result<(), Error> {
        let request = InvokeRequest {
            target: MODEL.to_owned(),
            input: Some(input()),
        };
        self.call("Invoke", &request, || {}).await
    }

    /// Makes one `StreamInvoke` call, and calls `on_token` for each content delta.
    pub(crate) async fn stream_invoke(&mut self, on_token: impl Fn()) -> Result<(), Error> {
        let request = StreamInvokeRequest {
            target: MODEL.to_owned(),
            input: Some(input()),
            ..StreamInvokeRequest::default()
        };
        self.call("StreamInvoke", &request, on_token).await
    }

    async fn call(
        &mut self,
        method: &str,
        message: &impl Message,
        on_token: impl Fn(),
    ) -> Result<(), Error> {
        let uri = format!(
            "http://{}/bedrock.inference.v1.InferenceService/{method}",
            self.authority
        );
        let mut request = Request::post(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(())?;
        let mut send = self.send.clone().ready().await?;
        let (response, mut body) = send.send_request(request, false)?;
        body.send_data(framed(message)?, true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut received = BytesMut::new();
        while let Some(chunk) = poll_fn(|cx| body.poll_data(cx)).await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            received.extend_from_slice(&chunk);
            while let Some(message) = next_message(&mut received) {
                if message.get(HEAD) == Some(&DELTA) {
                    on_token();
                }
            }
        }
        let trailers = poll_fn(|cx| body.poll_trailers(cx)).await?;
        let end = trailers.unwrap_or(head.headers);
        match end.get("grpc-status") {
            Some(status) if status == "0" => Ok(()),
            status => Err(format!("{method} ended with status {status:?}: {end:?}").into()),
        }
    }
}

/// Starts HTTP/2 on a connection.
async fn handshake<I>(io: I) -> Result<SendRequest<Bytes>, Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(io)
        .await?;
    tokio::spawn(async move {
        // The connection ends with the client. Calls that fail because of it report their own
        // error.
        let _ended = connection.await;
    });
    Ok(send)
}

fn input() -> ConverseInput {
    ConverseInput {
        messages: vec![Turn {
            role: Role::User.into(),
            content: vec![ContentBlock {
                content: Some(Content::Text(PROMPT.to_owned())),
            }],
        }],
        ..ConverseInput::default()
    }
}

fn framed(message: &impl Message) -> Result<Bytes, Error> {
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32(u32::try_from(message.encoded_len())?);
    message.encode(&mut out)?;
    Ok(out.freeze())
}

/// Removes one whole message with its head from the front of the buffer, if there is one.
fn next_message(received: &mut BytesMut) -> Option<BytesMut> {
    let head: [u8; HEAD] = received.get(..HEAD)?.try_into().ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let end = HEAD + usize::try_from(length).ok()?;
    (received.len() >= end).then(|| received.split_to(end))
}

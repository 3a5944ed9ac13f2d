//! A gRPC client that is as slow, silent or misbehaving as a test needs.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bedrock_grpc::pb::StreamInvokeResponse;
use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::{net::TcpStream, sync::Notify, task::JoinHandle};
use tonic::Code;

use crate::harness::{Details, soon};

pub(crate) const STREAM_INVOKE: &str = "/bedrock.inference.v1.InferenceService/StreamInvoke";
pub(crate) const INVOKE: &str = "/bedrock.inference.v1.InferenceService/Invoke";
pub(crate) const APPLY_GUARDRAIL: &str = "/bedrock.inference.v1.GuardrailService/ApplyGuardrail";
pub(crate) const COUNT_TOKENS: &str = "/bedrock.inference.v1.InferenceService/CountTokens";
pub(crate) const INVOKE_MODEL: &str = "/bedrock.inference.v1.ModelService/InvokeModel";
pub(crate) const STREAM_INVOKE_MODEL: &str = "/bedrock.inference.v1.ModelService/StreamInvokeModel";
/// gRPC's flag and length before each message.
const PREFIX: usize = 5;

/// One HTTP/2 connection.
pub(crate) struct Client {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    freeze: Arc<Notify>,
}

/// A call on the connection.
pub(crate) struct Open {
    response: Option<ResponseFuture>,
    headers: HeaderMap,
    body: Option<RecvStream>,
    request: SendStream<Bytes>,
    read: BytesMut,
    pub(crate) messages: Vec<StreamInvokeResponse>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) status: tonic::Status,
    /// The status arrived without a body before it.
    pub(crate) trailers_only: bool,
}

impl Status {
    #[track_caller]
    pub(crate) fn is(&self, code: Code, reason: &str) {
        assert_eq!(self.status.code(), code, "{:?}", self.status);
        assert_eq!(self.details().reason(), reason);
    }

    #[track_caller]
    pub(crate) fn details(&self) -> Details {
        Details::of(&self.status)
    }
}

impl Client {
    /// Connects with large windows.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::with(address, |builder| {
            builder
                .initial_window_size(16 << 20)
                .initial_connection_window_size(64 << 20);
        })
        .await
    }

    pub(crate) async fn with(address: SocketAddr, change: impl FnOnce(&mut Builder)) -> Self {
        let mut builder = Builder::new();
        change(&mut builder);
        Self::begin(soon(TcpStream::connect(address)).await.unwrap(), builder).await
    }

    /// Uses a TCP connection that is already open.
    pub(crate) async fn over(tcp: TcpStream) -> Self {
        Self::begin(tcp, Builder::new()).await
    }

    async fn begin(tcp: TcpStream, builder: Builder) -> Self {
        tcp.set_nodelay(true).unwrap();
        let (send, mut connection) = soon(builder.handshake(tcp)).await.unwrap();
        let freeze = Arc::new(Notify::new());
        let frozen = Arc::clone(&freeze);
        let connection = tokio::spawn(async move {
            tokio::select! {
                ended = &mut connection => ended,
                // The socket stays open, but is not read.
                () = frozen.notified() => std::future::pending().await,
            }
        });
        Self {
            send,
            connection,
            freeze,
        }
    }

    /// From now on, the client neither reads nor answers anything, and does not close its socket.
    pub(crate) fn freeze(&self) {
        self.freeze.notify_one();
    }

    /// Closes the socket abruptly.
    pub(crate) async fn disconnect(self) {
        self.connection.abort();
        let _aborted = self.connection.await;
    }

    /// Waits for the end of the connection, and returns how it ended.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        drop(self.send);
        soon(self.connection).await.unwrap()
    }

    /// Sends headers, and no message yet.
    pub(crate) async fn headers(&mut self, path: &str, more: &[(&str, &str)]) -> Open {
        self.try_headers(path, more).await.unwrap()
    }

    /// The same, if the connection accepts another call.
    pub(crate) async fn try_headers(
        &mut self,
        path: &str,
        more: &[(&str, &str)],
    ) -> Result<Open, h2::Error> {
        let mut request = Request::post(format!("http://gateway{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let mut send = soon(self.send.clone().ready()).await?;
        let (response, request) = send.send_request(request.body(()).unwrap(), false)?;
        Ok(Open {
            response: Some(response),
            headers: HeaderMap::new(),
            body: None,
            request,
            read: BytesMut::new(),
            messages: Vec::new(),
        })
    }

    /// Sends a whole request.
    pub(crate) async fn call(
        &mut self,
        path: &str,
        more: &[(&str, &str)],
        request: &impl Message,
    ) -> Open {
        let mut open = self.headers(path, more).await;
        open.send(message(request), true);
        open
    }
}

impl Open {
    /// Sends a piece of the request's body.
    pub(crate) fn send(&mut self, bytes: Bytes, end: bool) {
        self.request.send_data(bytes, end).unwrap();
    }

    /// Resets the stream: a cancel.
    pub(crate) fn cancel(&mut self) {
        self.request.send_reset(h2::Reason::CANCEL);
    }

    /// Waits for the response's headers.
    pub(crate) async fn begun(&mut self) -> Result<(), h2::Error> {
        if let Some(response) = self.response.take() {
            let (parts, body) = soon(response).await?.into_parts();
            self.headers = parts.headers;
            self.body = Some(body);
        }
        Ok(())
    }

    /// Waits for the next bytes, and opens the window for as many. `false`: there are no more.
    pub(crate) async fn read(&mut self) -> Result<bool, h2::Error> {
        self.begun().await?;
        let Some(body) = &mut self.body else {
            return Ok(false);
        };
        let Some(data) = soon(body.data()).await.transpose()? else {
            return Ok(false);
        };
        body.flow_control().release_capacity(data.len())?;
        self.read.put_slice(&data);
        while let Some(message) = split(&mut self.read) {
            self.messages
                .push(StreamInvokeResponse::decode(message).unwrap());
        }
        Ok(true)
    }

    /// Reads until this many messages have arrived.
    pub(crate) async fn read_messages(&mut self, count: usize) {
        while self.messages.len() < count {
            if !self.read().await.unwrap() {
                panic!("it ended: {:?}", self.end().await);
            }
        }
    }

    /// Reads to the end. Fails if the stream or its connection broke.
    pub(crate) async fn end(&mut self) -> Result<Status, h2::Error> {
        while self.read().await? {}
        let trailers = match &mut self.body {
            Some(body) => soon(body.trailers()).await?,
            None => None,
        };
        let told = trailers.as_ref().unwrap_or(&self.headers);
        Ok(Status {
            status: tonic::Status::from_header_map(told).unwrap(),
            trailers_only: trailers.is_none(),
        })
    }

    /// Returns the end of a call, which must be a status.
    pub(crate) async fn status(&mut self) -> Status {
        let status = self.end().await.unwrap();
        assert!(self.read.is_empty(), "a message was cut");
        status
    }

    /// The code of a call whose messages are not those of StreamInvoke.
    pub(crate) async fn code(mut self) -> Code {
        self.begun().await.unwrap();
        let mut body = self.body.take().unwrap();
        while let Some(data) = soon(body.data()).await.transpose().unwrap() {
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        let trailers = soon(body.trailers()).await.unwrap();
        let told = trailers.as_ref().unwrap_or(&self.headers);
        tonic::Status::from_header_map(told).unwrap().code()
    }

    /// Returns the status of a call, which must end by this time.
    pub(crate) async fn status_within(&mut self, limit: Duration) -> Status {
        tokio::time::timeout(limit, self.status()).await.unwrap()
    }
}

/// A message with gRPC's prefix.
pub(crate) fn message(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut bytes).unwrap();
    bytes.freeze()
}

fn split(read: &mut BytesMut) -> Option<Bytes> {
    let length: [u8; 4] = read.get(1..PREFIX)?.try_into().unwrap();
    let length = u32::from_be_bytes(length) as usize;
    if read.len() < PREFIX + length {
        return None;
    }
    let message = read.split_to(PREFIX + length).freeze();
    Some(message.slice(PREFIX..))
}

//! A small Bedrock for these tests: real sockets, real event-stream bytes, and a record of what it
//! received.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bedrock_grpc::{
    bedrock::{Bedrock, Sdk},
    config::bedrock::BedrockOptions,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// Long enough for a slow machine, short enough to detect a hang.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// The settings of the server.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) tls: bool,
    pub(super) max_streams: u32,
    /// The answer that is sent when the request has arrived. `None`: the test answers with
    /// [`Call::open`].
    pub(super) reply: Option<Reply>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            tls: false,
            max_streams: 100,
            reply: None,
        }
    }
}

/// A complete answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn stream(body: impl Into<Bytes>) -> Self {
        let headers = vec![("x-amzn-requestid", "req-1".to_owned())];
        Self {
            status: 200,
            headers,
            body: body.into(),
        }
    }
}

/// A request that has arrived.
pub(super) struct Call {
    pub(super) connection: usize,
    pub(super) head: http::request::Parts,
    pub(super) body: Bytes,
    reply: tokio::sync::oneshot::Sender<Response<StreamBody<Chunks>>>,
}

type Chunks =
    futures_util::stream::BoxStream<'static, Result<hyper::body::Frame<Bytes>, Infallible>>;

/// The server's end of a running stream.
pub(super) struct Open {
    chunks: mpsc::UnboundedSender<Bytes>,
    unsent: Arc<AtomicUsize>,
}

impl Open {
    pub(super) fn send(&self, bytes: impl Into<Bytes>) {
        self.unsent.fetch_add(1, Ordering::Relaxed);
        self.chunks
            .send(bytes.into())
            .expect("the client still reads");
    }

    /// Returns the number of chunks that have not been sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Waits until the client has cancelled the stream.
    pub(super) async fn closed(&self) {
        self.chunks.closed().await;
    }
}

impl Call {
    /// Waits until the client has cancelled the call.
    pub(super) async fn abandoned(mut self) {
        self.reply.closed().await;
    }

    /// Answers with HTTP 200 and a stream that stays open.
    pub(super) fn open(self) -> Open {
        let (chunks, receiver) = mpsc::unbounded_channel();
        let unsent = Arc::new(AtomicUsize::new(0));
        let counter = unsent.clone();
        let stream = UnboundedReceiverStream::new(receiver).map(move |chunk| {
            counter.fetch_sub(1, Ordering::Relaxed);
            Ok(hyper::body::Frame::data(chunk))
        });
        let response = Response::builder()
            .header("x-amzn-requestid", "req-1")
            .body(StreamBody::new(stream.boxed()));
        // The client may have disconnected.
        drop(self.reply.send(response.expect("a plain response")));
        Open { chunks, unsent }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.head
            .headers
            .get(name)
            .map_or("", |value| value.to_str().expect("headers are text"))
    }
}

/// A running server. It stops when it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    /// The number of connections that were opened so far.
    pub(super) opened: Arc<AtomicUsize>,
    /// The number of open connections.
    pub(super) connections: watch::Receiver<usize>,
    trust: Option<Trust>,
    tls: bool,
    go_away: watch::Sender<u64>,
}

impl Server {
    pub(super) async fn start(setup: Setup) -> Self {
        let trust = setup.tls.then(Trust::new);
        Self::with(setup, trust).await
    }

    /// The same, with another certificate.
    pub(super) async fn trusted(setup: Setup, trust: Trust) -> Self {
        Self::with(setup, Some(trust)).await
    }

    async fn with(setup: Setup, trust: Option<Trust>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (seen, calls) = mpsc::unbounded_channel();
        let (count, connections) = watch::channel(0);
        let (go_away, shutdown) = watch::channel(0);
        let opened = Arc::new(AtomicUsize::new(0));
        let acceptor = trust.as_ref().map(Trust::acceptor);
        let tls = setup.tls;
        let counter = opened.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                let (setup, seen, acceptor) = (setup.clone(), seen.clone(), acceptor.clone());
                let (count, shutdown) = (count.clone(), shutdown.clone());
                count.send_modify(|count| *count += 1);
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(tcp, number, false, setup, seen, shutdown).await,
                        Some(acceptor) => {
                            if let Ok(tls) = acceptor.accept(tcp).await {
                                let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                                serve(tls, number, http2, setup, seen, shutdown).await;
                            }
                        }
                    }
                    count.send_modify(|count| *count -= 1);
                });
            }
        });
        Self {
            address,
            calls,
            opened,
            connections,
            trust,
            tls,
            go_away,
        }
    }

    /// The gateway's configuration for this server.
    pub(super) fn options(&self) -> BedrockOptions {
        let scheme = if self.tls { "https" } else { "http" };
        BedrockOptions {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(format!("{scheme}://localhost:{}", self.address.port())),
            extra_ca_file: self.trust.as_ref().map(Trust::path),
            ..BedrockOptions::default()
        }
    }

    pub(super) fn bedrock(&self) -> Bedrock {
        bedrock(&self.options())
    }

    pub(super) async fn call(&mut self) -> Call {
        timeout(SOON, self.calls.recv())
            .await
            .expect("a call arrives")
            .expect("the server runs")
    }

    /// Sends GOAWAY on every HTTP/2 connection.
    pub(super) fn go_away(&self) {
        self.go_away.send_modify(|times| *times += 1);
    }
}

async fn serve<T>(
    io: T,
    number: usize,
    http2: bool,
    setup: Setup,
    seen: mpsc::UnboundedSender<Call>,
    mut shutdown: watch::Receiver<u64>,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    shutdown.mark_unchanged();
    let max_streams = setup.max_streams;
    let service = service_fn(move |request| answer(request, number, setup.clone(), seen.clone()));
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let connection = builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(max_streams);
        let mut connection = std::pin::pin!(connection.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            _ = &mut connection => return,
            _ = shutdown.changed() => connection.as_mut().graceful_shutdown(),
        }
        drop(connection.await);
    } else {
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = &mut connection => return,
            _ = shutdown.changed() => connection.as_mut().graceful_shutdown(),
        }
        drop(connection.await);
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    setup: Setup,
    seen: mpsc::UnboundedSender<Call>,
) -> Result<Response<StreamBody<Chunks>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (reply, response) = tokio::sync::oneshot::channel();
    // The test may have ended.
    drop(seen.send(Call {
        connection,
        head,
        body,
        reply,
    }));
    let Some(Reply {
        status,
        headers,
        body,
    }) = setup.reply
    else {
        return Ok(response.await.unwrap_or_else(|_| {
            Response::new(StreamBody::new(futures_util::stream::empty().boxed()))
        }));
    };
    let stream = futures_util::stream::iter([Ok(hyper::body::Frame::data(body))]).boxed();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response
        .body(StreamBody::new(stream))
        .expect("a plain response"))
}

/// A certificate for localhost, and the file of the authority that clients must trust.
pub(super) struct Trust {
    certified: rcgen::CertifiedKey<rcgen::KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Trust {
    pub(super) fn new() -> Self {
        Self::of(&["localhost"])
    }

    /// A certificate for these names.
    pub(super) fn of(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), certified.cert.pem()).expect("a file can be written");
        Self { certified, file }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let key =
            rustls_pki_types::PrivatePkcs8KeyDer::from(self.certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("default versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certified.cert.der().clone()], key.into())
            .expect("a fitting key");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// The gateway's Bedrock client, with meaningless credentials.
pub(super) fn bedrock(options: &BedrockOptions) -> Bedrock {
    let sdk = Sdk::with_credentials("AKIDEXAMPLE", "not-a-real-secret", options)
        .expect("readable certificates");
    Bedrock::new(&sdk)
}

/// A frame as AWS's encoder writes it.
pub(super) fn frame(message_type: &str, name: &str, payload: &str) -> Vec<u8> {
    let kind = format!(":{message_type}-type");
    let message = Message::new(Bytes::copy_from_slice(payload.as_bytes()))
        .add_header(Header::new(
            ":message-type",
            HeaderValue::String(message_type.to_owned().into()),
        ))
        .add_header(Header::new(
            kind,
            HeaderValue::String(name.to_owned().into()),
        ));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("AWS's own encoder takes the message");
    bytes
}

pub(super) fn event(name: &str, payload: &str) -> Vec<u8> {
    frame("event", name, payload)
}

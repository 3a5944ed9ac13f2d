//! Serves one client connection, from its first byte to its last.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{floods::Floods, lingering::Lingering, proxy_protocol, rewind::Rewind, unread::Unread};
use crate::{
    access::{ClientCertificate, Peer},
    bounds::{Leaving, Share, ShareOwner},
    config::{Limits, Network, TrustedProxies},
    grpc::{Generations, Stack},
    stream::resettable,
};

/// The preface of an HTTP/2 client (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// The flow-control windows for unread requests of a stream and of a connection, in bytes. Source:
// docs/limits.md.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 2 << 20;
/// The maximum number of streams that a client may reset before the gateway has handled the resets.
/// Beyond it, the connection is closed (rapid reset, CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 256;
const MAX_LOCAL_ERROR_RESETS: usize = 1_024;
const MAX_HEADER_LIST: u32 = 64 << 10;
/// The maximum size of output that is buffered for a stream whose client does not read, in bytes.
/// The message in transit is not included.
const SEND_BUFFER: usize = 64 << 10;
/// The idle time before TCP keepalive, which detects dead peers below HTTP.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Runs each stream of an HTTP/2 connection as a separate task, so that a call can abort its
/// stream.
#[derive(Clone, Copy, Debug)]
struct Streams;

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        tokio::spawn(resettable(stream));
    }
}

/// Serves connections.
pub(super) struct Server {
    stack: Stack,
    generations: Generations,
    floods: Floods,
}

/// The settings of a connection. They are taken from the configuration that is current when the
/// connection is accepted.
struct Settings {
    handshake: Duration,
    age: Duration,
    forwarded_for_from: Arc<[Network]>,
    streams: u32,
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

impl Settings {
    fn of(limits: &Limits, proxies: &TrustedProxies) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.handshake);
        let mut http2 = http2::Builder::new(Streams);
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(limits.max_streams_per_connection)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESETS)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_send_buf_size(SEND_BUFFER)
            // A client that has vanished is detected after the interval and the timeout together.
            .keep_alive_interval(limits.keepalive_interval)
            .keep_alive_timeout(limits.keepalive_timeout);
        Self {
            handshake: limits.handshake,
            age: limits.connection_age,
            forwarded_for_from: proxies.forwarded_for_from.as_slice().into(),
            streams: limits.max_streams_per_connection,
            http1,
            http2,
        }
    }
}

impl Server {
    pub(super) fn new(stack: Stack, generations: Generations, floods: Floods) -> Self {
        Self {
            stack,
            generations,
            floods,
        }
    }

    /// Reports why the connection of this peer ended.
    pub(super) fn ended(&self, peer: SocketAddr, error: &(dyn std::error::Error + 'static)) {
        tracing::debug!(%error, %peer, "a connection ended");
        self.floods.ended(peer, error);
    }

    /// Serves a connection until it ends. After
    /// [`Worker::go_away`](super::worker::Worker::go_away), or if another client gets its slot, the
    /// connection ends when its open calls have ended.
    pub(super) async fn serve(
        &self,
        stream: std::net::TcpStream,
        peer: SocketAddr,
        place: &Share,
        go_away: CancellationToken,
    ) -> Result<(), BoxError> {
        let mut stream = TcpStream::from_std(stream)?;
        // Without this, a small token would wait until the previous token is acknowledged.
        stream.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE);
        socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;

        let mut client = peer;
        // A connection can outlive many generations, so it keeps only the values that it needs.
        let (settings, has_header) = {
            let generation = self.generations.current();
            let proxies = &generation.trusted_proxies;
            let mut senders = proxies.proxy_protocol_from.iter();
            let has_header = senders.any(|one| one.contains(peer.ip()));
            (Settings::of(&generation.limits, proxies), has_header)
        };
        if has_header {
            let header = proxy_protocol::header(&mut stream);
            if let Some(address) = in_time(settings.handshake, header, &go_away).await? {
                client.set_ip(address);
            }
        }
        let connection = Connection {
            client,
            certificate: None,
            place,
            go_away,
            settings,
        };
        let tls = self.generations.current().tls.clone();
        match tls {
            None => {
                let beginning = async { Ok((protocol(stream).await?, None)) };
                self.begin(beginning, connection).await
            }
            Some(tls) => {
                let beginning = async {
                    let stream = TlsAcceptor::from(tls.config).accept(stream).await?;
                    let chain = stream.get_ref().1.peer_certificates();
                    let certificate = chain.and_then(ClientCertificate::of).map(Arc::new);
                    Ok((protocol(stream).await?, certificate))
                };
                self.begin(beginning, connection).await
            }
        }
    }

    async fn begin<I>(
        &self,
        beginning: impl Future<Output = io::Result<Beginning<I>>>,
        mut connection: Connection<'_>,
    ) -> Result<(), BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let ((io, is_http2), certificate) = in_time(
            connection.settings.handshake,
            beginning,
            &connection.go_away,
        )
        .await?;
        connection.certificate = certificate;
        self.run(io, is_http2, connection).await
    }

    async fn run<I>(
        &self,
        io: I,
        is_http2: bool,
        connection: Connection<'_>,
    ) -> Result<(), BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Connection {
            client,
            certificate,
            place,
            go_away,
            settings,
        } = connection;
        let io = TokioIo::new(Lingering::new(io));
        let leaving = Leaving::default();
        let noted = leaving.clone();
        let trusted = settings.forwarded_for_from;
        let peer_outdated = CancellationToken::new();
        let outdated = peer_outdated.clone();
        let unread = Unread::new(settings.streams, leaving.token().clone());
        let watching = unread.clone();
        let stack = self.stack.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (mut request, rest) = watching.watch(request);
            let mut address = client;
            if !trusted.is_empty() {
                let client =
                    proxy_protocol::forwarded_for(request.headers(), client.ip(), &trusted);
                address.set_ip(client);
            }
            let extensions = request.extensions_mut();
            extensions.insert(ShareOwner::from(address));
            extensions.insert(noted.clone());
            extensions.insert(Peer {
                address,
                certificate: certificate.clone(),
                outdated: peer_outdated.clone(),
            });
            let answer = stack.clone().oneshot(request);
            async move {
                let answer = answer.await;
                rest.discard();
                answer
            }
        });
        let gone = async {
            tokio::select! {
                () = go_away.cancelled() => {}
                () = place.taken_back() => {}
                () = of_age(settings.age) => {}
                () = outdated.cancelled() => {}
                () = unread.too_many_resets() => {}
            }
            leaving.token().cancel();
        };
        if is_http2 {
            let mut connection = std::pin::pin!(settings.http2.serve_connection(io, service));
            tokio::select! {
                ended = &mut connection => return Ok(ended?),
                () = gone => connection.as_mut().graceful_shutdown(),
            }
            Ok(connection.await?)
        } else {
            let served = resettable(async {
                let mut connection = std::pin::pin!(settings.http1.serve_connection(io, service));
                tokio::select! {
                    ended = &mut connection => return ended,
                    () = gone => connection.as_mut().graceful_shutdown(),
                }
                connection.await
            });
            match served.await {
                Some(ended) => Ok(ended?),
                None => Ok(()),
            }
        }
    }
}

/// A connection after its first bytes were read, whether it uses HTTP/2, and the client's
/// certificate.
type Beginning<I> = ((I, bool), Option<Arc<ClientCertificate>>);

/// The facts about a connection, except for its socket.
struct Connection<'a> {
    /// The address of the client. Behind a trusted proxy, this is the address that the proxy
    /// reports.
    client: SocketAddr,
    /// The client's certificate, if it presented one.
    certificate: Option<Arc<ClientCertificate>>,
    /// The slot that this connection takes of the maximum number of connections.
    place: &'a Share,
    go_away: CancellationToken,
    settings: Settings,
}

/// Waits for a part of a connection's beginning, within the time limit. The limit is needed because
/// a peer that sends nothing uses a file descriptor, and could delay the exit of the process.
async fn in_time<T>(
    limit: Duration,
    beginning: impl Future<Output = io::Result<T>>,
    go_away: &CancellationToken,
) -> io::Result<T> {
    let begun = tokio::select! {
        begun = tokio::time::timeout(limit, beginning) => begun,
        () = go_away.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    begun.map_err(|_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            "no request within limits.handshake",
        )
    })?
}

/// Waits for the maximum age of a connection, ± 10 %, so that connections that began together do
/// not end together.
async fn of_age(age: Duration) {
    if age.is_zero() {
        return std::future::pending().await;
    }
    tokio::time::sleep(age.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
}

/// Reads the bytes that distinguish HTTP/2 from HTTP/1.1, and puts them back.
async fn protocol<I: AsyncRead + Unpin>(mut io: I) -> io::Result<(Rewind<I>, bool)> {
    let mut begin = [0; PREFACE.len()];
    let mut read = 0;
    while read < begin.len() && begin[..read] == PREFACE[..read] {
        let n = io.read(&mut begin[read..]).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read += n;
    }
    let is_http2 = begin[..read] == PREFACE[..read];
    Ok((Rewind::new(&begin[..read], io), is_http2))
}

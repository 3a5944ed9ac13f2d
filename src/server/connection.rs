//! One client connection, from its first byte to its last.

use std::{io, net::SocketAddr, time::Duration};

use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::ServiceExt;

use super::{lingering::Lingering, prefixed::Prefixed};
use crate::{access::Peer, config::Limits, grpc::Stack, stream::resettable};

/// The preface of an HTTP/2 client (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Maximum unread request bytes of one connection. Source: docs/limits.md.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Maximum reset streams that wait to be handled, before the connection is closed (rapid reset,
/// CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 256;
const MAX_LOCAL_ERROR_RESETS: usize = 1_024;
const MAX_HEADER_LIST: u32 = 64 << 10;
/// Maximum output of a stream that its client does not read, in addition to the message in transit.
const SEND_BUFFER: usize = 64 << 10;
/// TCP keepalive, which detects dead peers below HTTP.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Runs each stream of an HTTP/2 connection as a separate task, which the call in it can abort.
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
    tls: Option<TlsAcceptor>,
    handshake: Duration,
    age: Duration,
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
    /// Whether calls need the identity of their peer.
    knows_callers: bool,
}

impl Server {
    pub(super) fn new(
        stack: Stack,
        tls: Option<TlsAcceptor>,
        limits: &Limits,
        knows_callers: bool,
    ) -> Self {
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
            // A client that vanished is detected after interval + timeout.
            .keep_alive_interval(limits.keepalive_interval)
            .keep_alive_timeout(limits.keepalive_timeout);
        Self {
            stack,
            tls,
            handshake: limits.handshake,
            age: limits.connection_age,
            http1,
            http2,
            knows_callers,
        }
    }

    /// Serves a connection until it ends or, after a GOAWAY, until its open calls have ended.
    pub(super) async fn serve(
        &self,
        stream: std::net::TcpStream,
        address: SocketAddr,
        go_away: CancellationToken,
    ) -> Result<(), BoxError> {
        let stream = TcpStream::from_std(stream)?;
        // Tokens are small and must not wait for each other.
        stream.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE);
        socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;

        match &self.tls {
            None => self.begin(protocol(stream), address, go_away).await,
            Some(tls) => {
                let beginning = async { protocol(tls.accept(stream).await?).await };
                self.begin(beginning, address, go_away).await
            }
        }
    }

    async fn begin<I>(
        &self,
        beginning: impl Future<Output = io::Result<(I, bool)>>,
        address: SocketAddr,
        go_away: CancellationToken,
    ) -> Result<(), BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // A silent peer occupies a file descriptor, and could delay the exit.
        let begun = tokio::select! {
            begun = tokio::time::timeout(self.handshake, beginning) => begun,
            () = go_away.cancelled() => return Ok(()),
        };
        let (io, is_http2) = begun.map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "no request within limits.handshake",
            )
        })??;
        let peer = self.knows_callers.then_some(Peer {
            address,
            certificate: None,
        });
        self.run(io, is_http2, peer, go_away).await
    }

    async fn run<I>(
        &self,
        io: I,
        is_http2: bool,
        peer: Option<Peer>,
        go_away: CancellationToken,
    ) -> Result<(), BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(Lingering::new(io));
        let service = self.stack.clone().map_request(
            move |mut request: http::Request<hyper::body::Incoming>| {
                if let Some(peer) = &peer {
                    request.extensions_mut().insert(peer.clone());
                }
                request.map(Body::new)
            },
        );
        let service = TowerToHyperService::new(service);
        let gone = async {
            tokio::select! {
                () = go_away.cancelled() => {}
                () = of_age(self.age) => {}
            }
        };
        if is_http2 {
            let mut connection = std::pin::pin!(self.http2.serve_connection(io, service));
            tokio::select! {
                ended = &mut connection => return Ok(ended?),
                () = gone => connection.as_mut().graceful_shutdown(),
            }
            Ok(connection.await?)
        } else {
            let served = resettable(async {
                let mut connection = std::pin::pin!(self.http1.serve_connection(io, service));
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

/// Waits for the maximum age of a connection, ± 10 %: connections that began together should not
/// end together.
async fn of_age(age: Duration) {
    if age.is_zero() {
        return std::future::pending().await;
    }
    tokio::time::sleep(age.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
}

/// Reads as many bytes as are needed to distinguish HTTP/2 from HTTP/1.1, and puts them back.
async fn protocol<I: AsyncRead + Unpin>(mut io: I) -> io::Result<(Prefixed<I>, bool)> {
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
    Ok((Prefixed::new(&begin[..read], io), is_http2))
}

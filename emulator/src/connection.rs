//! Serves one accepted connection: handles its socket, its protocol and its graceful shutdown.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{playback::ResetSwitch, service::Service};

/// The time limit for TLS handshakes. A client that exceeds it is disconnected.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// A TCP socket that is closed with a reset if its [`ResetSwitch`] is set.
struct Socket {
    tcp: TcpStream,
    reset: ResetSwitch,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.is_set() {
            // Otherwise the socket is closed in order, and the client still receives the truncated
            // body.
            let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.is_set() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Serves plain HTTP until the client disconnects or the emulator stops. The client's first bytes
/// select the version: the AWS SDK for Java 2 begins streams with HTTP/2's preface, without TLS.
pub(super) async fn serve_plain(tcp: TcpStream, service: Arc<Service>, stop: CancellationToken) {
    let reset = ResetSwitch::default();
    let Ok(socket) = socket(tcp, &reset) else {
        return;
    };
    let builder = auto::Builder::new(TokioExecutor::new());
    serve(socket, builder, reset, service, stop).await;
}

/// Serves TLS. The client selects HTTP/2 or HTTP/1.1 in the handshake.
pub(super) async fn serve_tls(
    tcp: TcpStream,
    tls: TlsAcceptor,
    service: Arc<Service>,
    stop: CancellationToken,
) {
    let reset = ResetSwitch::default();
    let Ok(socket) = socket(tcp, &reset) else {
        return;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(socket));
    let Some(Ok(Ok(stream))) = stop.run_until_cancelled(handshake).await else {
        return;
    };
    let builder = auto::Builder::new(TokioExecutor::new());
    let builder = if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        builder.http2_only()
    } else {
        builder.http1_only()
    };
    serve(stream, builder, reset, service, stop).await;
}

fn socket(tcp: TcpStream, reset: &ResetSwitch) -> io::Result<Socket> {
    tcp.set_nodelay(true)?;
    let reset = reset.clone();
    Ok(Socket { tcp, reset })
}

async fn serve<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: I,
    mut builder: auto::Builder<TokioExecutor>,
    reset: ResetSwitch,
    service: Arc<Service>,
    stop: CancellationToken,
) {
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(service.max_concurrent_streams());
    let handle = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        // In HTTP/2, a fault resets only its stream, and the connection stays open. So the switch
        // of the connection is not used.
        let reset = match request.version() {
            Version::HTTP_2 => ResetSwitch::default(),
            _ => reset.clone(),
        };
        async move { service.handle(request, reset).await }
    });
    let connection = builder.serve_connection(TokioIo::new(io), handle);
    let mut connection = std::pin::pin!(connection);
    if stop
        .run_until_cancelled(connection.as_mut())
        .await
        .is_none()
    {
        connection.as_mut().graceful_shutdown();
        // The result is ignored, because the client decides how the connection ends.
        let _ = connection.await;
    }
}

//! Accepts connections to the admin port, and limits their number and duration.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt;

use super::{config::Ends, peers::Peers};

/// How long a client may take to send the head of a request. A connection that is idle for this
/// time is closed, too.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The maximum age of a connection. Probes and scrapes are short, and clients can open watches
/// again.
const MAX_AGE: Duration = Duration::from_secs(300);
/// The maximum number of open connections. Probes and scrapers need only a few.
const MAX_CONNECTIONS: usize = 256;
/// The maximum number of open requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 16;
/// The maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// How long to wait after an error before accepting the next connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until the future is dropped.
pub(super) async fn serve(listener: TcpListener, routes: Router) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .keep_alive_interval(HEAD_LIMIT)
        .keep_alive_timeout(HEAD_LIMIT);
    let server = Arc::new(server);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let peers = Peers::default();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection to the admin port");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        // The connection is closed at once, so that probes behind it in the kernel's queue do not
        // wait.
        let Some(peer) = peers.connect(address) else {
            continue;
        };
        // Further connections wait in the kernel's queue. A place becomes free after MAX_AGE at the
        // latest, and usually after HEAD_LIMIT.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (server, routes) = (Arc::clone(&server), routes.clone());
        connections.spawn(async move {
            let _open = (place, peer);
            let served =
                tokio::time::timeout(MAX_AGE, connection(&server, stream, address, routes));
            if let Ok(Err(error)) = served.await {
                tracing::debug!(%error, "a connection to the admin port ended");
            }
        });
    }
}

async fn connection(
    server: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    address: SocketAddr,
    routes: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let ends = Ends {
        peer: address,
        local_port: stream.local_addr()?.port(),
    };
    // The time limits of hyper begin with the first byte of a request, and only when the HTTP
    // version is known. This limit covers the time before that.
    let asked = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&asked);
    let service = routes.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ends);
        noted.store(true, Ordering::Relaxed);
        request.map(axum::body::Body::new)
    });
    let mut served = std::pin::pin!(
        server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
    );
    tokio::select! {
        ended = &mut served => return ended,
        () = tokio::time::sleep(HEAD_LIMIT) => {}
    }
    if asked.load(Ordering::Relaxed) {
        served.await
    } else {
        Err(io::Error::new(io::ErrorKind::TimedOut, "no request within the time limit").into())
    }
}

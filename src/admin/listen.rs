//! The connections of the admin port: how many there may be, and how long each may take.

use std::{
    io,
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

use super::peers::Peers;

/// How long a client may take to send the head of a request. A connection that is idle for as long
/// is closed, too.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection may live: probes and scrapes are short, and watches can be opened again.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Open connections. Probes and scrapers need a handful.
const MAX_CONNECTIONS: usize = 256;
/// Open requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 16;
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// How long to wait when no connection can be accepted.
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
                tracing::debug!(%error, "the admin port can't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        // Closed at once, so that probes behind it in the kernel's queue don't wait.
        let Some(peer) = peers.connect(address) else {
            continue;
        };
        // Those that wait are in the kernel's queue; a place is free after MAX_AGE at the latest,
        // mostly after HEAD_LIMIT.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (server, routes) = (Arc::clone(&server), routes.clone());
        connections.spawn(async move {
            let _open = (place, peer);
            let served = tokio::time::timeout(MAX_AGE, connection(&server, stream, routes));
            if let Ok(Err(error)) = served.await {
                tracing::debug!(%error, "a connection to the admin port ended");
            }
        });
    }
}

async fn connection(
    server: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    routes: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    // HTTP's own limits run from a request's first byte, and only once the client has shown which
    // version it speaks.
    let asked = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&asked);
    let service = routes.map_request(move |request: http::Request<hyper::body::Incoming>| {
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

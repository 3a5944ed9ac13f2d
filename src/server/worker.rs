//! Runs a worker: a thread that serves connections on its own runtime.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::connection::Server;
use crate::bounds::Share;

/// The time limit for a worker to drop its connections and calls.
const STOPS: Duration = Duration::from_secs(1);

/// An accepted connection: its socket, the peer's address, its slot, and the guard that counts it.
type Connection = (std::net::TcpStream, SocketAddr, Share, OpenConnection);

/// The numbers of open connections, of this worker and of all workers.
#[derive(Clone)]
struct Open {
    of_worker: Arc<AtomicUsize>,
    all: Gauge,
}

/// Counts a connection as open until it is dropped.
struct OpenConnection(Open);

impl Open {
    fn connection(&self) -> OpenConnection {
        self.of_worker.fetch_add(1, Ordering::Relaxed);
        self.all.inc();
        OpenConnection(self.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.0.all.dec();
    }
}

/// A running worker. Dropping this value stops the worker immediately.
pub(super) struct Worker {
    connections: mpsc::UnboundedSender<Connection>,
    open: Open,
    go_away: CancellationToken,
    ended: TaskTracker,
    stop: CancellationToken,
    runtime: Handle,
    /// Closed when the thread has dropped everything.
    gone: watch::Receiver<()>,
}

impl Worker {
    /// Starts a worker. The worker counts its connections in `open`. `make` runs on the worker's
    /// runtime and creates the services.
    ///
    /// # Errors
    /// Fails if the thread cannot be started, or if `make` fails.
    pub(super) fn start(
        index: usize,
        open_connections: Gauge,
        make: impl FnOnce() -> io::Result<Server> + Send + 'static,
    ) -> io::Result<Self> {
        let (connections, queue) = mpsc::unbounded_channel();
        let (made, started) = std::sync::mpsc::channel();
        let (alive, gone) = watch::channel(());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let worker = Self {
            runtime: runtime.handle().clone(),
            connections,
            open: Open {
                of_worker: Arc::default(),
                all: open_connections,
            },
            go_away: CancellationToken::new(),
            ended: TaskTracker::new(),
            stop: CancellationToken::new(),
            gone,
        };
        let go_away = worker.go_away.clone();
        let (ended, stop) = (worker.ended.clone(), worker.stop.clone());
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let told = runtime.block_on(async move {
                    let server = match make() {
                        Ok(server) => Arc::new(server),
                        Err(error) => return made.send(Err(error)),
                    };
                    let told = made.send(Ok(()));
                    tokio::select! {
                        () = serve(queue, server, go_away, ended) => {}
                        () = stop.cancelled() => {}
                    }
                    told
                });
                drop(runtime);
                drop(alive);
                told
            })?;
        started
            .recv()
            .map_err(|_| io::Error::other("a worker ended before it was ready"))??;
        Ok(worker)
    }

    /// Returns the number of open connections.
    pub(super) fn connections(&self) -> usize {
        self.open.of_worker.load(Ordering::Relaxed)
    }

    /// Returns the runtime on which the worker's connections run.
    pub(super) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Passes a connection to the worker.
    pub(super) fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Share) {
        match stream.into_std() {
            Ok(stream) => {
                let open = self.open.connection();
                if self.connections.send((stream, peer, place, open)).is_err() {
                    tracing::error!("a worker has ended; a connection was closed");
                }
            }
            Err(error) => tracing::warn!(%error, %peer, "a connection was closed"),
        }
    }

    /// Sends GOAWAY on all connections.
    pub(super) fn go_away(&self) {
        self.ended.close();
        self.go_away.cancel();
    }

    /// Stops the worker: drops its connections and calls, and waits until they are dropped, within
    /// a time limit.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        // The receiver fails when the thread has ended. The result is ignored, because there is
        // nothing left to do after the time limit.
        let _gone = tokio::time::timeout(STOPS, self.gone.changed()).await;
    }

    /// Waits until all connections have ended, after [`Self::go_away`].
    pub(super) async fn ended(&self) {
        self.ended.wait().await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(
    mut queue: mpsc::UnboundedReceiver<Connection>,
    server: Arc<Server>,
    go_away: CancellationToken,
    ended: TaskTracker,
) {
    while let Some((stream, peer, place, open)) = queue.recv().await {
        let (server, go_away) = (Arc::clone(&server), go_away.clone());
        ended.spawn(async move {
            let _open = open;
            if let Err(error) = server.serve(stream, peer, &place, go_away).await {
                server.ended(peer, &*error);
            }
        });
    }
}

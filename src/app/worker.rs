//! A thread that serves connections on a runtime of its own.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpStream, runtime::Handle, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::connection::Server;

/// A running worker. Dropped, it stops at once.
pub(super) struct Worker {
    connections: mpsc::UnboundedSender<(std::net::TcpStream, SocketAddr)>,
    open: Arc<AtomicUsize>,
    go_away: CancellationToken,
    ended: TaskTracker,
    stop: CancellationToken,
    runtime: Handle,
}

impl Worker {
    /// Starts a worker. `make` runs in its runtime and makes what it serves.
    ///
    /// # Errors
    /// The thread can't be started, or `make` failed.
    pub(super) fn start(
        index: usize,
        make: impl FnOnce() -> io::Result<Server> + Send + 'static,
    ) -> io::Result<Self> {
        let (connections, queue) = mpsc::unbounded_channel();
        let (made, started) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let worker = Self {
            runtime: runtime.handle().clone(),
            connections,
            open: Arc::default(),
            go_away: CancellationToken::new(),
            ended: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let (open, go_away) = (Arc::clone(&worker.open), worker.go_away.clone());
        let (ended, stop) = (worker.ended.clone(), worker.stop.clone());
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                runtime.block_on(async move {
                    let server = match make() {
                        Ok(server) => Arc::new(server),
                        Err(error) => return made.send(Err(error)),
                    };
                    let told = made.send(Ok(()));
                    tokio::select! {
                        () = serve(queue, server, open, go_away, ended) => {}
                        () = stop.cancelled() => {}
                    }
                    told
                })
            })?;
        started
            .recv()
            .map_err(|_| io::Error::other("a worker ended before it began"))??;
        Ok(worker)
    }

    /// How many connections it serves.
    pub(super) fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The runtime that it serves them on.
    pub(super) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Gives it one more.
    pub(super) fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        match stream.into_std() {
            Ok(stream) => {
                self.open.fetch_add(1, Ordering::Relaxed);
                if self.connections.send((stream, peer)).is_err() {
                    tracing::error!("a worker is gone; a connection was closed");
                }
            }
            Err(error) => tracing::warn!(%error, %peer, "a connection was closed"),
        }
    }

    /// Tells all of its connections that no new calls are taken.
    pub(super) fn go_away(&self) {
        self.ended.close();
        self.go_away.cancel();
    }

    /// Waits until all of its connections have ended, after [`Self::go_away`].
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
    mut queue: mpsc::UnboundedReceiver<(std::net::TcpStream, SocketAddr)>,
    server: Arc<Server>,
    open: Arc<AtomicUsize>,
    go_away: CancellationToken,
    ended: TaskTracker,
) {
    while let Some((stream, peer)) = queue.recv().await {
        let (server, open, go_away) = (Arc::clone(&server), Arc::clone(&open), go_away.clone());
        ended.spawn(async move {
            if let Err(error) = server.serve(stream, go_away).await {
                tracing::debug!(%error, %peer, "a connection ended");
            }
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

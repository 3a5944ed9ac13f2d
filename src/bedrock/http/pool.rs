//! Which connection a call gets, and when another one is opened. One pool per origin.
//!
//! A call takes the least-loaded connection with room. Once all carry their target, another is dialled while calls go on
//! using what there is. Only when nothing has room does a call wait, in order, for whatever has room first: a new
//! connection, an old one, or a peer's word that it allows more.

mod slot;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http::Request;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

pub(super) use slot::Slot;

use super::{
    Error,
    body::Body,
    dial::{Dialer, Origin},
    http1, http2,
};
use crate::config::bedrock::Options;
use state::State;

/// However soon an unused connection is to be closed, sweeping for it is not busy work.
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);

/// How much of everything a pool may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Beyond this load of a HTTP/2 connection another one is opened.
    target: usize,
    /// The most HTTP/2 connections.
    connections: usize,
    /// How long a connection stays unused.
    idle: Duration,
}

impl Limits {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            target: options.streams_per_connection.max(1),
            connections: options.max_connections.max(1),
            idle: options.idle_timeout,
        }
    }

    /// The most streams of a HTTP/2 connection.
    const fn most(&self) -> usize {
        self.target.saturating_mul(2)
    }
}

/// The connections to one origin.
pub(super) struct Pool {
    origin: Origin,
    dialer: Arc<Dialer>,
    limits: Limits,
    state: Mutex<State>,
}

/// The right to send one request.
pub(super) enum Lease {
    Http1(http1::Lease),
    Http2(http2::Lease),
}

impl Lease {
    /// Sends the request and waits for the head of its response.
    pub(super) async fn send(
        self,
        request: Request<bytes::Bytes>,
    ) -> Result<http::Response<Body>, Error> {
        match self {
            Self::Http1(lease) => lease.send(request).await,
            Self::Http2(lease) => lease.send(request).await,
        }
    }
}

/// A connection that has just been opened.
enum Opened {
    Http1(http1::Connection),
    Http2(http2::Connection),
}

impl Pool {
    pub(super) fn new(origin: Origin, dialer: Arc<Dialer>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            origin,
            dialer,
            limits,
            state: Mutex::default(),
        })
    }

    /// Waits for the right to send one request. Fails if a connection was dialled for it in vain.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let (sender, receiver) = oneshot::channel();
        self.lock().waiting.push_back(sender);
        self.settle();
        receiver.await.unwrap_or_else(|_| {
            Err(Error::connect(format!(
                "cannot connect to {}: stopping",
                self.origin
            )))
        })
    }

    /// Gives what has room to those who wait, in order, and opens connections for the rest.
    pub(super) fn settle(self: &Arc<Self>) {
        let mut unwanted = Vec::new();
        let mut state = self.lock();
        while let Some(sender) = state.next_waiting() {
            let Some(lease) = state.take(self) else {
                state.waiting.push_front(sender);
                break;
            };
            // A lease that nobody waits for any more locks the pool when it drops: later.
            unwanted.extend(sender.send(Ok(lease)).err());
        }
        // A stream may outlive its runtime; then there is nobody to dial for.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let dials = state.dials_wanted(&self.limits, self.origin.tls);
        state.dialing += dials;
        drop(state);
        for _ in 0..dials {
            runtime.spawn(self.clone().open());
        }
    }

    /// Takes a connection out of use for new streams. Those that it carries go on.
    pub(super) fn retire(self: &Arc<Self>, id: u64) {
        self.lock().http2.retain(|connection| connection.id != id);
        self.settle();
    }

    async fn open(self: Arc<Self>) {
        let opened = self.dial().await;
        let mut failed = Vec::new();
        let sweep = {
            let mut state = self.lock();
            match opened {
                Ok(opened) => {
                    state.dialing -= 1;
                    state.add(opened)
                }
                Err(error) => {
                    tracing::debug!(origin = %self.origin, %error, "no connection");
                    failed.extend(
                        state
                            .dial_failed(Instant::now())
                            .into_iter()
                            .map(|sender| (sender, error.clone())),
                    );
                    state.dialing -= 1;
                    false
                }
            }
        };
        for (sender, error) in failed {
            // Whoever stopped waiting needs no error.
            drop(sender.send(Err(error)));
        }
        if sweep {
            tokio::spawn(sweep_unused(
                Arc::downgrade(&self),
                (self.limits.idle / 4).max(SHORTEST_SWEEP),
            ));
        }
        self.settle();
        let redial_at = self.lock().redial_at;
        if let Some(at) = redial_at {
            sleep_until(at).await;
            self.settle();
        }
    }

    async fn dial(self: &Arc<Self>) -> Result<Opened, Error> {
        let socket = self.dialer.dial(&self.origin).await?;
        let refused = |error: &dyn std::error::Error| {
            Error::connect(format!("cannot connect to {}: {error}", self.origin))
        };
        if socket.http2 {
            let id = self.lock().next_id();
            let connection =
                http2::Connection::start(socket.io, id, self.limits.most(), Arc::downgrade(self))
                    .await;
            connection
                .map(Opened::Http2)
                .map_err(|error| refused(&error))
        } else {
            let connection = http1::Connection::new(socket.io).await;
            connection
                .map(Opened::Http1)
                .map_err(|error| refused(&error))
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that were unused at four sweeps in a row. Ends with the pool, or when nothing is left to close.
async fn sweep_unused(pool: Weak<Pool>, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.lock();
        let closed = state.sweep();
        let done = state.stop_sweeping_if_empty();
        drop(state);
        drop(closed);
        if done {
            return;
        }
    }
}

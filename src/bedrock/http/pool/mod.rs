//! The connection pool: selects the connection for a call, and opens further ones. There is one
//! pool per origin.
//!
//! A call uses the least loaded connection. When all connections have reached their target load,
//! another one is opened. Meanwhile, calls continue to use the existing ones. A call waits only if
//! no connection has room. Waiting calls are served in their order of arrival.

mod lease;
mod limits;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::{
    connection_use::PoolHandle,
    dial::Dialer,
    error::Error,
    http1::{self, Keeper},
    http2,
    origin::Origin,
};
use lease::ConnectionLease;
pub(super) use limits::Limits;
use state::{Opened, State};

/// The minimum interval between two sweeps for unused connections.
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);

/// The connections to one origin.
pub(super) struct Pool {
    origin: Origin,
    dialer: Arc<Dialer>,
    limits: Limits,
    state: Mutex<State>,
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

    /// Reserves a connection for one request. Fails if opening a connection fails.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<ConnectionLease, Error> {
        if let Some(lease) = self.lease_now() {
            return Ok(lease);
        }
        let (sender, receiver) = oneshot::channel();
        self.lock().waiting.push_back(sender);
        self.clone().settle();
        receiver.await.unwrap_or_else(|_| {
            Err(Error::connect(format!(
                "cannot connect to {}: stopping",
                self.origin
            )))
        })
    }

    /// Reserves a connection if one has room and no other call waits for it.
    fn lease_now(self: &Arc<Self>) -> Option<ConnectionLease> {
        let mut state = self.lock();
        if !state.waiting.is_empty() {
            return None;
        }
        let lease = state.take(self, &self.limits)?;
        self.dial_wanted(state);
        Some(lease)
    }

    /// Opens the connections that are wanted now.
    fn dial_wanted(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let dials = state.dials_wanted(&self.limits, self.origin.tls);
        if dials == 0 {
            return;
        }
        // Without a runtime, this is a stream that has outlived its runtime, so no call is waiting.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        state.dialing += dials;
        drop(state);
        for _ in 0..dials {
            runtime.spawn(self.clone().open());
        }
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
            // The result is ignored, because the receiver may have stopped waiting.
            drop(sender.send(Err(error)));
        }
        if sweep {
            tokio::spawn(sweep_unused(
                Arc::downgrade(&self),
                (self.limits.idle / 4).max(SHORTEST_SWEEP),
            ));
        }
        self.clone().settle();
        let redial_at = self.lock().redial_at;
        if let Some(at) = redial_at {
            sleep_until(at).await;
            self.clone().settle();
        }
    }

    async fn dial(self: &Arc<Self>) -> Result<Opened, Error> {
        let socket = self.dialer.dial(&self.origin).await?;
        let refused = |error: &dyn std::error::Error| {
            Error::connect(format!("cannot connect to {}: {error}", self.origin))
        };
        if socket.http2 {
            let id = self.lock().next_id();
            let owner: Weak<dyn PoolHandle> = Arc::<Self>::downgrade(self);
            let connection =
                http2::Http2Connection::start(socket.io, id, self.limits.most(), owner).await;
            connection
                .map(Opened::Http2)
                .map_err(|error| refused(&error))
        } else {
            let connection = http1::Http1Connection::new(socket).await;
            connection
                .map(Opened::Http1)
                .map_err(|error| refused(&error))
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolHandle for Pool {
    /// Assigns free room to waiting calls, in their order of arrival. Opens connections for the
    /// remaining calls.
    fn settle(self: Arc<Self>) {
        let mut unwanted = Vec::new();
        let mut state = self.lock();
        while let Some(sender) = state.next_waiting() {
            let Some(lease) = state.take(&self, &self.limits) else {
                state.waiting.push_front(sender);
                break;
            };
            // The unwanted leases are dropped later, because dropping a lease locks the pool.
            unwanted.extend(sender.send(Ok(lease)).err());
        }
        self.dial_wanted(state);
    }

    fn retire(self: Arc<Self>, id: u64) {
        self.lock().http2.retain(|connection| connection.id != id);
        self.settle();
    }
}

impl Keeper for Pool {
    fn keep(&self, connection: http1::Http1Connection) {
        self.lock().keep(connection);
    }
}

/// Closes connections that were unused in four consecutive sweeps. Returns when the pool is
/// dropped, or when no connection is left.
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

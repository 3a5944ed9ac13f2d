//! Decides on the connections and the waiting calls of a pool. Performs no I/O.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{lease::ConnectionLease, limits::Limits};
use crate::bedrock::http::{
    connection_use::{ConnectionUse, PoolHandle},
    error::Error,
    http1::{self, Keeper},
    http2,
};

/// The maximum number of HTTP/2 connections that are opened concurrently. It is small, because each
/// connection has room for many streams.
const HTTP2_DIALS: usize = 4;
/// The maximum number of HTTP/1.1 connections that are opened concurrently. It is larger, because
/// each connection has room for only one request.
const HTTP1_DIALS: usize = 64;
/// The pause after a failed attempt to connect, while other connections are open.
const REDIAL_AFTER: Duration = Duration::from_secs(1);
/// The number of consecutive sweeps after which an unused connection is closed.
const SWEEPS: u8 = 4;

/// A connection that was just opened.
pub(super) enum Opened {
    Http1(http1::Http1Connection),
    Http2(http2::Http2Connection),
}

type Waiting = oneshot::Sender<Result<ConnectionLease, Error>>;

/// The connections of a pool and the calls that wait for one.
#[derive(Default)]
pub(super) struct State {
    pub(super) http2: Vec<http2::Http2Connection>,
    /// The idle HTTP/1.1 connections. The most recently used one is last.
    idle: Vec<Idle>,
    /// The number of HTTP/1.1 connections in use.
    busy: Arc<AtomicUsize>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) dialing: usize,
    /// The protocol of the last connection. `None` before the first one.
    speaks: Option<Protocol>,
    /// The time of the next attempt to connect after a failure, while other connections are open.
    pub(super) redial_at: Option<Instant>,
    sweeping: bool,
    last_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

struct Idle {
    connection: http1::Http1Connection,
    unused: u8,
}

/// Connections to close. Dropping this value closes them, after the lock is released.
pub(super) struct Closed {
    _http1: Vec<Idle>,
    _http2: Vec<http2::Http2Connection>,
}

impl State {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Returns the first call in the queue that is still waiting.
    pub(super) fn next_waiting(&mut self) -> Option<Waiting> {
        while let Some(sender) = self.waiting.pop_front() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// Reserves room on the least loaded connection.
    pub(super) fn take<P: PoolHandle + Keeper + 'static>(
        &mut self,
        pool: &Arc<P>,
        limits: &Limits,
    ) -> Option<ConnectionLease> {
        self.take_http2(pool, limits)
            .map(ConnectionLease::Http2)
            .or_else(|| self.take_http1(pool).map(ConnectionLease::Http1))
    }

    fn take_http2<P: PoolHandle + 'static>(
        &mut self,
        pool: &Arc<P>,
        limits: &Limits,
    ) -> Option<http2::Http2Lease> {
        loop {
            let most = limits.most();
            let with_load = self
                .http2
                .iter()
                .enumerate()
                .map(|(at, connection)| (load(&connection.load), at));
            // Of equally loaded connections, the oldest is used. So connections that were opened
            // during a peak become unused after the peak.
            let (_, at) = with_load
                .filter(|&(load, at)| load < self.http2[at].allowed().min(most))
                .min()?;
            let connection = &mut self.http2[at];
            if connection.is_open() {
                connection.unused = 0;
                return Some(connection.lease(ConnectionUse::new(pool.clone(), &connection.load)));
            }
            self.http2.remove(at);
        }
    }

    fn take_http1<P: PoolHandle + Keeper + 'static>(
        &mut self,
        pool: &Arc<P>,
    ) -> Option<http1::Http1Lease> {
        while let Some(Idle { mut connection, .. }) = self.idle.pop() {
            if connection.is_ready() {
                return Some(http1::Http1Lease {
                    connection,
                    keeper: pool.clone(),
                    slot: ConnectionUse::new(pool.clone(), &self.busy),
                });
            }
        }
        None
    }

    /// Returns how many connections to open now.
    pub(super) fn dials_wanted(&self, limits: &Limits, tls: bool) -> usize {
        let (wanted, at_once, most, open) = if self.speaks == Some(Protocol::Http1) || !tls {
            let open = load(&self.busy) + self.idle.len();
            (
                self.waiting.len(),
                HTTP1_DIALS,
                limits.connections.saturating_mul(limits.target),
                open,
            )
        } else {
            (
                self.http2_wanted(limits),
                HTTP2_DIALS,
                limits.connections,
                self.http2.len(),
            )
        };
        if self.redial_at.is_some_and(|at| Instant::now() < at) {
            return 0;
        }
        let room = most.saturating_sub(open + self.dialing);
        wanted.min(at_once).saturating_sub(self.dialing).min(room)
    }

    fn http2_wanted(&self, limits: &Limits) -> usize {
        // At least one more connection is wanted if all have reached their target load, and
        // enough connections for the waiting calls.
        let all_at_target = self
            .http2
            .iter()
            .all(|connection| load(&connection.load) >= target(connection, limits));
        let ahead = usize::from(all_at_target && !self.http2.is_empty());
        self.waiting.len().div_ceil(limits.target).max(ahead)
    }

    /// Adds a new connection. Returns whether sweeping must start.
    pub(super) fn add(&mut self, opened: Opened) -> bool {
        self.redial_at = None;
        match opened {
            Opened::Http1(connection) => {
                self.speaks = Some(Protocol::Http1);
                self.keep(connection);
            }
            Opened::Http2(connection) => {
                self.speaks = Some(Protocol::Http2);
                self.http2.push(connection);
            }
        }
        !std::mem::replace(&mut self.sweeping, true)
    }

    pub(super) fn keep(&mut self, connection: http1::Http1Connection) {
        self.idle.push(Idle {
            connection,
            unused: 0,
        });
    }

    /// Handles a failed attempt to connect. Returns the calls that fail with it: its share of the
    /// queue, or none while other connections are open.
    pub(super) fn dial_failed(&mut self, now: Instant) -> Vec<Waiting> {
        if !self.http2.is_empty() {
            self.redial_at = Some(now + REDIAL_AFTER);
            return Vec::new();
        }
        let share = self.waiting.len().div_ceil(self.dialing.max(1));
        self.waiting.drain(..share).collect()
    }

    /// Removes unused connections.
    pub(super) fn sweep(&mut self) -> Closed {
        for idle in &mut self.idle {
            idle.unused += 1;
        }
        for connection in &mut self.http2 {
            connection.unused = if load(&connection.load) == 0 {
                connection.unused + 1
            } else {
                0
            };
        }
        Closed {
            _http1: self
                .idle
                .extract_if(.., |idle| {
                    idle.unused >= SWEEPS || !idle.connection.is_ready()
                })
                .collect(),
            _http2: self
                .http2
                .extract_if(.., |connection| connection.unused >= SWEEPS)
                .collect(),
        }
    }

    pub(super) fn stop_sweeping_if_empty(&mut self) -> bool {
        let empty = self.idle.is_empty() && self.http2.is_empty() && load(&self.busy) == 0;
        self.sweeping = !empty;
        empty
    }
}

fn load(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

/// Returns the target load of a connection: half of the streams that the peer allows, and at most
/// the operator's setting.
fn target(connection: &http2::Http2Connection, limits: &Limits) -> usize {
    (connection.allowed() / 2).clamp(1, limits.target)
}

//! One HTTP/2 connection, shared by many streams and driven by its own task. h2 is used directly,
//! because only h2 tells how many streams the peer currently allows.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, Reason, RecvStream,
    client::{self, SendRequest},
};
use http::{HeaderMap, Request, Response, Uri, Version, header, uri::Authority};
use tokio::time::{sleep, timeout};

use super::{
    authority::authority,
    error::Error,
    origin::Io,
    slot::{Owner, Slot},
};

/// How many unread bytes a stream may buffer.
const STREAM_WINDOW: u32 = 128 * 1024;
/// Maximum window of a connection.
const MAX_WINDOW: u32 = i32::MAX as u32;
/// How many streams are opened before the peer's settings arrive. RFC 9113 recommends that peers
/// allow at least 100.
const UNTIL_SETTINGS: usize = 10;
/// Maximum bytes of a response's headers. AWS's have less than 1 KiB.
const MAX_HEADERS: u32 = 64 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, from the view of the pool.
pub(super) struct Connection {
    pub(super) id: u64,
    send: SendRequest<Bytes>,
    /// The number of open streams.
    pub(super) load: Arc<AtomicUsize>,
    /// Whether the peer's settings have arrived.
    settled: Arc<AtomicBool>,
    /// How often in a row the pool's sweep found no stream.
    pub(super) unused: u8,
}

impl Connection {
    /// Performs the handshake and starts the connection's task. `most` is the maximum number of
    /// streams that it will carry.
    pub(super) async fn start(
        io: Box<dyn Io>,
        id: u64,
        most: usize,
        owner: Weak<dyn Owner>,
    ) -> Result<Self, h2::Error> {
        // The connection's window has room for all streams' windows, so unread streams cannot block
        // the others.
        let window = u32::try_from(most)
            .unwrap_or(u32::MAX)
            .saturating_mul(STREAM_WINDOW)
            .min(MAX_WINDOW);
        let (send, mut connection) = client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(window)
            .initial_max_send_streams(UNTIL_SETTINGS)
            .enable_push(false)
            .max_header_list_size(MAX_HEADERS)
            // Unread frames are tokens of slow readers, not an attack: the windows limit them, so
            // the connection must not be closed.
            .data_frame_budget(2 * window as usize)
            .handshake(io)
            .await?;
        let settled = Arc::new(AtomicBool::new(false));
        let ping = connection.ping_pong();
        let drive = {
            let (settled, owner) = (settled.clone(), owner);
            async move {
                tokio::select! {
                    biased;
                    end = connection => tracing::debug!(connection = id, ?end, "HTTP/2 connection closed"),
                    () = keep_alive(ping, &settled, &owner) => tracing::debug!(connection = id, "HTTP/2 connection is dead"),
                }
                if let Some(owner) = owner.upgrade() {
                    owner.retire(id);
                }
            }
        };
        tokio::spawn(drive);
        Ok(Self {
            id,
            send,
            load: Arc::default(),
            settled,
            unused: 0,
        })
    }

    /// How many streams the peer allows, as far as it is known.
    pub(super) fn allowed(&self) -> usize {
        let allowed = self.send.current_max_send_streams();
        if self.settled.load(Ordering::Relaxed) {
            allowed
        } else {
            allowed.min(UNTIL_SETTINGS)
        }
    }

    /// Whether it accepts new streams: false after GOAWAY or an error.
    pub(super) fn is_open(&mut self) -> bool {
        match self
            .send
            .poll_ready(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(outcome) => outcome.is_ok(),
            Poll::Pending => true,
        }
    }

    pub(super) fn lease(&self, slot: Slot) -> Lease {
        Lease {
            id: self.id,
            send: self.send.clone(),
            slot,
        }
    }
}

/// Sends pings until one is not answered. The first answer also shows that the peer's settings,
/// which precede it, have arrived.
async fn keep_alive(ping: Option<PingPong>, settled: &AtomicBool, owner: &Weak<dyn Owner>) {
    let Some(mut ping) = ping else { return };
    while let Ok(Ok(_)) = timeout(PING_TIMEOUT, ping.ping(Ping::opaque())).await {
        if !settled.swap(true, Ordering::Relaxed)
            && let Some(owner) = owner.upgrade()
        {
            owner.settle();
        }
        sleep(PING_INTERVAL).await;
    }
}

/// The right to open a stream.
pub(super) struct Lease {
    id: u64,
    send: SendRequest<Bytes>,
    slot: Slot,
}

impl Lease {
    /// Sends the request and waits for the head of its response.
    pub(super) async fn send(self, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let Self { id, mut send, slot } = self;
        let (mut head, body) = request.into_parts();
        head.uri = with_authority(head.uri)?;
        head.version = Version::HTTP_2;
        drop_connection_headers(&mut head.headers);
        let failed = |error: h2::Error| {
            let unseen = is_unseen(&error);
            if unseen || !error.is_reset() {
                slot.retire(id);
            }
            if unseen {
                Error::unprocessed(error)
            } else {
                Error::broken(error)
            }
        };
        let unsent = |error: h2::Error| {
            slot.retire(id);
            Error::unprocessed(error)
        };
        let (response, mut stream) = send
            .send_request(Request::from_parts(head, ()), body.is_empty())
            .map_err(unsent)?;
        if !body.is_empty() {
            // h2 keeps what the windows do not allow yet; the bytes are shared, not copied.
            stream.send_data(body, true).map_err(failed)?;
        }
        let response = response.await.map_err(failed)?;
        Ok(response.map(|receive| Body {
            receive,
            _slot: slot,
        }))
    }
}

/// Whether the peer stated that it did not process the request. It refused the stream (RFC 9113,
/// 8.7), or closed the connection with a GOAWAY that names an earlier stream as the last one (6.8;
/// then h2 fails only later streams).
fn is_unseen(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away()
            || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}

fn with_authority(uri: Uri) -> Result<Uri, Error> {
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(Authority::try_from(authority(&uri)).map_err(Error::request)?);
    Uri::from_parts(parts).map_err(Error::request)
}

/// Headers of HTTP/1.1 connections, which HTTP/2 forbids (RFC 9113, 8.2.2).
fn drop_connection_headers(headers: &mut HeaderMap) {
    for name in [
        header::HOST,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// The rest of a response.
pub(super) struct Body {
    receive: RecvStream,
    _slot: Slot,
}

impl Body {
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, aws_smithy_types::body::Error>>> {
        let Some(data) = ready!(self.receive.poll_data(cx)) else {
            return Poll::Ready(None);
        };
        let data = data.and_then(|data| {
            // These bytes were read: the peer may send as many again.
            self.receive.flow_control().release_capacity(data.len())?;
            Ok(data)
        });
        Poll::Ready(Some(data.map_err(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    struct Nobody;

    impl Owner for Nobody {
        fn settle(self: Arc<Self>) {}
        fn retire(self: Arc<Self>, _: u64) {}
    }

    fn nobody() -> Weak<dyn Owner> {
        Weak::<Nobody>::new()
    }

    /// A peer that accepts everything and sends nothing: the network is down, and TCP has not
    /// noticed.
    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_given_up() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut connection = Connection::start(Box::new(ours), 1, 128, nobody())
            .await
            .expect("the preface needs no answer");
        assert!(connection.is_open());
        let started = tokio::time::Instant::now();
        let mut sent = Vec::new();
        theirs
            .read_to_end(&mut sent)
            .await
            .expect("the connection closes");
        assert_eq!(started.elapsed().as_secs(), PING_TIMEOUT.as_secs());
        assert!(!connection.is_open());
    }

    #[tokio::test]
    async fn few_streams_until_the_peer_said_how_many() {
        let (ours, _theirs) = tokio::io::duplex(1 << 16);
        let connection = Connection::start(Box::new(ours), 1, 128, nobody())
            .await
            .expect("the preface needs no answer");
        assert_eq!(connection.allowed(), UNTIL_SETTINGS);
    }
}

//! One HTTP/2 connection, which many streams share. A task of the connection drives it. This module
//! uses h2 directly, because only h2 reports how many streams the peer allows.

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
    connection_use::{ConnectionUse, PoolHandle},
    error::Error,
    origin::Io,
};

/// The maximum number of bytes that are buffered for a stream that the client does not read.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The maximum flow-control window of a connection, in bytes.
const MAX_WINDOW: u32 = i32::MAX as u32;
/// The maximum number of streams before the peer's settings arrive. RFC 9113 advises peers to allow
/// at least 100.
const UNTIL_SETTINGS: usize = 10;
/// The maximum size of a response's headers, in bytes. The headers of AWS have less than 1 KiB.
const MAX_HEADERS: u32 = 64 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, as the pool uses it.
pub(super) struct Http2Connection {
    pub(super) id: u64,
    send: SendRequest<Bytes>,
    /// The number of open streams.
    pub(super) load: Arc<AtomicUsize>,
    /// Whether the peer's settings have arrived.
    settled: Arc<AtomicBool>,
    /// The number of consecutive sweeps of the pool in which the connection had no stream.
    pub(super) unused: u8,
}

impl Http2Connection {
    /// Performs the handshake and starts the connection's task. `most` is the maximum number of
    /// streams.
    pub(super) async fn start(
        io: Box<dyn Io>,
        id: u64,
        most: usize,
        owner: Weak<dyn PoolHandle>,
    ) -> Result<Self, h2::Error> {
        // The connection's window is large enough for the windows of all streams. So streams that
        // are not read cannot block the others.
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
            // If clients read slowly, many frames of tokens stay unread. They are not an attack, so
            // the budget allows them. The flow-control windows limit their number.
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

    /// Returns how many streams the peer allows. Before its settings arrive, this is the initial
    /// limit.
    pub(super) fn allowed(&self) -> usize {
        let allowed = self.send.current_max_send_streams();
        if self.settled.load(Ordering::Relaxed) {
            allowed
        } else {
            allowed.min(UNTIL_SETTINGS)
        }
    }

    /// Returns whether the connection accepts new streams. After GOAWAY or an error, it does not.
    pub(super) fn is_open(&mut self) -> bool {
        match self
            .send
            .poll_ready(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(outcome) => outcome.is_ok(),
            Poll::Pending => true,
        }
    }

    pub(super) fn lease(&self, slot: ConnectionUse) -> Http2Lease {
        Http2Lease {
            id: self.id,
            send: self.send.clone(),
            slot,
        }
    }
}

/// Sends pings, and returns when one is not answered. The first answer shows that the peer's
/// settings have arrived.
async fn keep_alive(ping: Option<PingPong>, settled: &AtomicBool, owner: &Weak<dyn PoolHandle>) {
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

/// A reservation of one stream on a connection.
pub(super) struct Http2Lease {
    id: u64,
    send: SendRequest<Bytes>,
    slot: ConnectionUse,
}

impl Http2Lease {
    /// Sends the request and waits for the response headers.
    pub(super) async fn send(self, request: Request<Bytes>) -> Result<Response<Http2Body>, Error> {
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
            // h2 buffers the bytes for which the windows have no room yet. The bytes are shared,
            // not copied.
            stream.send_data(body, true).map_err(failed)?;
        }
        let response = response.await.map_err(failed)?;
        Ok(response.map(|receive| Http2Body {
            receive,
            _slot: slot,
        }))
    }
}

/// Returns whether the peer has declared that it did not process the request. It does so by
/// refusing the stream (RFC 9113, 8.7), or with a GOAWAY that names an earlier stream as the last
/// one (6.8). After a GOAWAY, h2 fails only streams that the peer has not processed.
fn is_unseen(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away()
            || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}

/// Removes the scheme's default port and user information from a URL.
fn with_authority(uri: Uri) -> Result<Uri, Error> {
    let is_default = matches!(
        (uri.port_u16(), uri.scheme_str()),
        (Some(443), Some("https")) | (Some(80), Some("http"))
    );
    let known = uri.authority().map_or("", Authority::as_str);
    if !is_default && !known.contains('@') {
        return Ok(uri);
    }
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(Authority::try_from(authority(&uri)).map_err(Error::request)?);
    Uri::from_parts(parts).map_err(Error::request)
}

/// Removes the connection headers of HTTP/1.1, because HTTP/2 forbids them (RFC 9113, 8.2.2).
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

/// The body of an HTTP/2 response.
pub(in crate::bedrock) struct Http2Body {
    receive: RecvStream,
    _slot: ConnectionUse,
}

impl Http2Body {
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, aws_smithy_types::body::Error>>> {
        let Some(data) = ready!(self.receive.poll_data(cx)) else {
            return Poll::Ready(None);
        };
        let data = data.and_then(|data| {
            // The flow-control window grows again by the bytes that were read.
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

    struct NoOwner;

    impl PoolHandle for NoOwner {
        fn settle(self: Arc<Self>) {}
        fn retire(self: Arc<Self>, _: u64) {}
    }

    fn no_owner() -> Weak<dyn PoolHandle> {
        Weak::<NoOwner>::new()
    }

    /// Checks that a connection to a silent peer is given up. A peer is silent if, for example, the
    /// network is down and TCP has not noticed it.
    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_given_up() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut connection = Http2Connection::start(Box::new(ours), 1, 128, no_owner())
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
        let connection = Http2Connection::start(Box::new(ours), 1, 128, no_owner())
            .await
            .expect("the preface needs no answer");
        assert_eq!(connection.allowed(), UNTIL_SETTINGS);
    }
}

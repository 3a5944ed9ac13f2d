//! Connects the gateway to a simulated Bedrock in the same thread, for tests with a paused clock.
//! The gateway reads bytes in the same pieces in which the peer writes them.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// Accepts a connection. Receives the peer's end, and returns whether the connection uses HTTP/2.
type Accept = Box<dyn FnMut(PeerEnd) -> bool>;

thread_local! {
    static ACCEPT: RefCell<Option<Accept>> = const { RefCell::new(None) };
}

/// The peer's end of a connection.
pub(crate) struct PeerEnd {
    /// The bytes that the gateway writes. The channel ends when the gateway closes the connection.
    pub(crate) received: UnboundedReceiver<Bytes>,
    /// The bytes that the gateway reads. Each item is returned by one read. Dropping the sender
    /// closes the connection.
    pub(crate) sender: UnboundedSender<io::Result<Bytes>>,
}

/// Sets the function that accepts all later connections of this thread.
pub(crate) fn listen(accept: impl FnMut(PeerEnd) -> bool + 'static) {
    ACCEPT.set(Some(Box::new(accept)));
}

/// Opens a connection to the simulated peer of this thread, if there is one. The second value is
/// true if the connection uses HTTP/2.
pub(super) fn dial() -> Option<(Connection, bool)> {
    ACCEPT.with_borrow_mut(|accept| {
        let accept = accept.as_mut()?;
        let (sender, incoming) = unbounded_channel();
        let (outgoing, received) = unbounded_channel();
        let http2 = accept(PeerEnd { received, sender });
        let connection = Connection {
            incoming,
            unread: Bytes::new(),
            outgoing,
        };
        Some((connection, http2))
    })
}

/// The gateway's end of a connection.
pub(super) struct Connection {
    incoming: UnboundedReceiver<io::Result<Bytes>>,
    unread: Bytes,
    outgoing: UnboundedSender<Bytes>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            match ready!(self.incoming.poll_recv(cx)) {
                Some(bytes) => self.unread = bytes?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = self.outgoing.send(Bytes::copy_from_slice(bytes));
        Poll::Ready(match sent {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! Closes a connection only when its peer has stopped sending.
//!
//! If a socket is closed while its peer still sends, the peer receives a reset. A client that is
//! about to write (a window update, a ping answer) then fails before it has read the statuses that
//! were sent to it. So the gateway first closes its own side of the connection. It then discards
//! what it receives until the peer has also closed its side, or a time limit has passed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a peer may take to read everything, even on a busy machine. After this time, the
/// gateway closes the connection.
const LINGER: Duration = Duration::from_secs(1);
/// The number of bytes that are discarded at a time.
const PIECE: usize = 4 << 10;

/// A connection that the gateway closes when the peer has closed its side, or after [`LINGER`].
pub(super) struct Lingering<I> {
    io: I,
    /// When the connection will be closed. Set when the gateway has closed its side.
    until: Option<Pin<Box<Sleep>>>,
}

impl<I> Lingering<I> {
    pub(super) fn new(io: I) -> Self {
        Self { io, until: None }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Lingering<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, until } = self.get_mut();
        let until = match until {
            Some(until) => until,
            None => {
                ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
                until.insert(Box::pin(sleep(LINGER)))
            }
        };
        loop {
            if until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut *io).poll_read(cx, &mut piece)) {
                Ok(()) if !piece.filled().is_empty() => {}
                // A peer that has disconnected needs no more time, so the connection is closed now.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_closes_when_its_peer_does() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = Lingering::new(ours);
        let begun = Instant::now();
        let peer = async {
            let mut said = String::new();
            theirs.read_to_string(&mut said).await.unwrap();
            // Bytes that the peer writes after the gateway has closed its side do not cause a
            // reset.
            theirs.write_all(&[0; 1_000]).await.unwrap();
            drop(theirs);
            said
        };
        ours.write_all(b"status").await.unwrap();
        let (closed, said) = tokio::join!(ours.shutdown(), peer);
        closed.unwrap();
        assert_eq!(said, "status");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_wait_without_limit() {
        let (ours, _theirs) = duplex(64);
        let begun = Instant::now();
        Lingering::new(ours).shutdown().await.unwrap();
        assert_eq!(begun.elapsed(), LINGER);
    }
}

//! What docs/clients.md says about Rust clients: h2 considers many small unread frames an attack,
//! unless the connection's window is large.

use std::time::Duration;

use crate::harness::{Gateway, MODEL, Stream, ask, paced, soon};

const STREAMS: usize = 64;
const TOKENS: usize = 200;
/// Tokens that are ready at the same moment share a frame; these are separate.
const APART: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_client_with_a_large_window_may_leave_many_tokens_unread() {
    let gateway = Gateway::with(|_, options| options.pace = paced(APART, TOKENS)).await;
    let mut client = gateway.inference();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(soon(Stream::open(&mut client, ask(MODEL))).await);
    }
    gateway.ended(STREAMS).await;
    for stream in streams {
        stream.end().await.is_whole();
    }
}

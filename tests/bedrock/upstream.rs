//! Raw HTTP/1.1 servers for these tests: one that answers with a function's result, and a forward
//! proxy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// The heads of all requests that arrived.
#[derive(Clone, Default)]
pub(super) struct Heads(Arc<Mutex<Vec<String>>>);

impl Heads {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    fn push(&self, head: &str) {
        self.0.lock().expect("no panic").push(head.to_owned());
    }
}

/// Reads one request, whose body has the length in `content-length`. Returns its head and its body.
/// `None` at the end of the connection.
async fn request(tcp: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    tcp.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// An answer with this body.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Answers each request with a function of its head, on connections that stay open.
pub(super) async fn serve(
    respond: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, Heads) {
    serve_whole(move |head, _| respond(head)).await
}

/// Answers each request with a function of its head and its body, on connections that stay open.
pub(super) async fn serve_whole(
    respond: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (heads, respond) = (Heads::default(), Arc::new(respond));
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let (seen, respond) = (seen.clone(), Arc::clone(&respond));
            tokio::spawn(async move {
                while let Some((head, body)) = request(&mut tcp).await {
                    seen.push(&head);
                    if tcp.write_all(&respond(&head, &body)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, heads)
}

/// A forward proxy that connects every request to `to`, whatever its host. Without `to`, it refuses
/// all requests.
pub(super) async fn proxy(to: Option<SocketAddr>) -> (SocketAddr, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let heads = Heads::default();
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(forward(tcp, to, seen.clone()));
        }
    });
    (address, heads)
}

async fn forward(mut client: TcpStream, to: Option<SocketAddr>, seen: Heads) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    seen.push(&text);
    let Some(to) = to else {
        let refused = answer("403 Forbidden", "connection: close\r\n", "");
        // The client may have disconnected.
        drop(client.write_all(&refused).await);
        return;
    };
    let mut server = TcpStream::connect(to).await.expect("the server runs");
    if text.starts_with("CONNECT ") {
        let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
        client.write_all(established).await.expect("an open socket");
    } else {
        server.write_all(&head).await.expect("an open socket");
    }
    // Either side may close first.
    drop(copy_bidirectional(&mut client, &mut server).await);
}

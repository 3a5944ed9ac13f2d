//! HTTP/2 connections that many calls share: gRPC to the gateway, or the event stream directly from
//! the emulator.

use std::{future::poll_fn, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request, Response};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{
    messages::{Framing, Messages},
    watch::Call,
};
use crate::Error;

/// Settings of clients that are configured for streams. The budget for unread small frames depends
/// on the connection's window.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// The sender of one connection.
#[derive(Clone)]
pub(super) struct Connection {
    send: SendRequest<Bytes>,
    request: Arc<Request<()>>,
    body: Bytes,
    framing: Framing,
}

impl Connection {
    /// Opens a connection, over TLS if there is a CA certificate.
    pub(super) async fn open(
        address: SocketAddr,
        ca_pem: Option<&str>,
        request: Request<()>,
        body: Bytes,
        framing: Framing,
    ) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let send = match ca_pem {
            None => shake_hands(stream).await?,
            Some(ca_pem) => {
                let name = ServerName::from(address.ip());
                let stream = trusting(ca_pem)?.connect(name, stream).await?;
                shake_hands(stream).await?
            }
        };
        Ok(Self {
            send,
            request: Arc::new(request),
            body,
            framing,
        })
    }

    /// Sends headers only, and waits for the headers of the response, which must be a refusal.
    pub(super) async fn refused(&self) -> Result<(), Error> {
        let mut send = self.send.clone().ready().await?;
        let (answer, _unsent) = send.send_request((*self.request).clone(), false)?;
        let answer = answer.await?;
        match answer.headers().get("grpc-status") {
            Some(status) if status == "14" => Ok(()),
            other => Err(format!("a full gateway answers with status {other:?}").into()),
        }
    }

    /// Makes a call and reads the answer to its end.
    pub(super) async fn call(&mut self, call: &mut Call<'_>) -> Result<(), Error> {
        let mut send = self.send.clone().ready().await?;
        let (answer, mut body) = send.send_request((*self.request).clone(), false)?;
        body.send_data(self.body.clone(), true)?;
        let (head, mut answer) = answer.await?.into_parts();
        let mut messages = Messages::new(self.framing);
        while let Some(chunk) = poll_fn(|cx| answer.poll_data(cx)).await {
            let chunk = chunk?;
            answer.flow_control().release_capacity(chunk.len())?;
            messages.push(&chunk, call);
        }
        let trailers = poll_fn(|cx| answer.poll_trailers(cx)).await?;
        match self.framing {
            Framing::EventStream if head.status.is_success() => Ok(()),
            Framing::EventStream => Err(format!("the answer is {}", head.status).into()),
            Framing::Grpc => {
                // A call that failed immediately has its status in the headers.
                let end =
                    trailers.unwrap_or_else(|| Response::from_parts(head, ()).headers().clone());
                grpc_ok(&end)
            }
        }
    }
}

fn grpc_ok(end: &HeaderMap) -> Result<(), Error> {
    let text = |name| String::from_utf8_lossy(end.get(name).map_or(b"", |value| value.as_bytes()));
    match &*text("grpc-status") {
        "0" => Ok(()),
        status => Err(format!("gRPC status {status:?}: {}", text("grpc-message")).into()),
    }
}

async fn shake_hands<I>(io: I) -> Result<SendRequest<Bytes>, Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (send, connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(io)
        .await?;
    tokio::spawn(async move {
        // Ends when its last call has ended. Calls that fail with it report the error.
        let _ended = connection.await;
    });
    Ok(send)
}

fn trusting(ca_pem: &str) -> Result<tokio_rustls::TlsConnector, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config).into())
}

//! A Bedrock for the bench. It answers ConverseStream with a given number of tokens. It sends them
//! all at once, or each one after the client has received the previous one.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bedrock_emulator::frame;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{body::Frame, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

use crate::{Error, scenario::Protocol};

type Body = BoxBody<Bytes, Infallible>;

/// The answer to the next calls.
#[derive(Clone)]
struct Answer {
    tokens: usize,
    /// The permits for tokens: each token takes one. `None`: all tokens are sent at once.
    permits: Option<Arc<Semaphore>>,
}

/// A running Bedrock, as a task of the current runtime.
pub(crate) struct Bedrock {
    address: SocketAddr,
    protocol: Protocol,
    answer: Arc<Mutex<Answer>>,
    /// The certificate that the gateway must trust, in a file.
    ca_file: tempfile::NamedTempFile,
}

impl Bedrock {
    /// Listens on a free port.
    pub(crate) async fn start(protocol: Protocol) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let answer = Arc::new(Mutex::new(Answer {
            tokens: 1,
            permits: None,
        }));
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let ca_file = tempfile::NamedTempFile::new()?;
        std::fs::write(ca_file.path(), certified.cert.pem())?;
        let tls = match protocol {
            Protocol::Http1 => None,
            Protocol::Http2 => Some(acceptor(&certified)?),
        };
        tokio::spawn(accept(listener, tls, Arc::clone(&answer)));
        Ok(Self {
            address,
            protocol,
            answer,
            ca_file,
        })
    }

    /// Returns the URL that the gateway calls.
    pub(crate) fn url(&self) -> String {
        let scheme = match self.protocol {
            Protocol::Http1 => "http",
            Protocol::Http2 => "https",
        };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate that the gateway must trust.
    pub(crate) fn ca_file(&self) -> &Path {
        self.ca_file.path()
    }

    /// Answers the next calls with this many tokens in one write.
    pub(crate) fn answer_at_once(&self, tokens: usize) {
        self.set(Answer {
            tokens,
            permits: None,
        });
    }

    /// Answers the next call with this many tokens. Each one takes a permit of the returned
    /// semaphore, except the first one.
    pub(crate) fn answer_one_by_one(&self, tokens: usize) -> Arc<Semaphore> {
        let permits = Arc::new(Semaphore::new(1));
        self.set(Answer {
            tokens,
            permits: Some(Arc::clone(&permits)),
        });
        permits
    }

    fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

fn acceptor(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Result<TlsAcceptor, Error> {
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config).into())
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, answer: Arc<Mutex<Answer>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, answer) = (tls.clone(), Arc::clone(&answer));
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            match tls {
                None => serve(stream, answer).await,
                Some(tls) => serve(tls.accept(stream).await?, answer).await,
            }
        });
    }
}

async fn serve<I>(io: I, answer: Arc<Mutex<Answer>>) -> io::Result<()>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let answer = answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        async move {
            // Like Bedrock, reads the whole request before it answers.
            request
                .into_body()
                .collect()
                .await
                .map_err(io::Error::other)?;
            let response = Response::builder()
                .header("content-type", "application/vnd.amazon.eventstream")
                .header("x-amzn-requestid", "11111111-2222-3333-4444-555555555555")
                .body(body(answer))
                .map_err(io::Error::other)?;
            Ok::<_, io::Error>(response)
        }
    });
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(io), service)
        .await
        .map_err(io::Error::other)
}

fn body(answer: Answer) -> Body {
    let Answer { tokens, permits } = answer;
    match permits {
        None => {
            let mut all = BytesMut::new();
            for part in 0..=tokens {
                all.extend_from_slice(&part_of_answer(part, tokens));
            }
            let all = stream::iter([Ok(Frame::data(all.freeze()))]);
            BodyExt::boxed(StreamBody::new(all))
        }
        Some(permits) => {
            let parts = stream::unfold((0, permits), move |(part, permits)| async move {
                if part > tokens {
                    return None;
                }
                if part < tokens {
                    permits.acquire().await.ok()?.forget();
                }
                let frame = Frame::data(part_of_answer(part, tokens));
                Some((Ok::<_, Infallible>(frame), (part + 1, permits)))
            });
            BodyExt::boxed(StreamBody::new(parts))
        }
    }
}

/// Returns one part of an answer: a token, or the end as the last part. The first part includes the
/// events before the first token.
fn part_of_answer(part: usize, tokens: usize) -> Bytes {
    let mut out = BytesMut::new();
    if part == 0 {
        event(&mut out, "messageStart", r#""role":"assistant""#);
    }
    if part < tokens {
        event(
            &mut out,
            "contentBlockDelta",
            r#""contentBlockIndex":0,"delta":{"text":" scatters"}"#,
        );
        return out.freeze();
    }
    event(&mut out, "contentBlockStop", r#""contentBlockIndex":0"#);
    event(&mut out, "messageStop", r#""stopReason":"end_turn""#);
    event(
        &mut out,
        "metadata",
        r#""metrics":{"latencyMs":250},"usage":{"inputTokens":12,"outputTokens":50,"totalTokens":62}"#,
    );
    out.freeze()
}

/// Appends an event. Its padding always has the same length, so that counts repeat.
fn event(out: &mut BytesMut, event_type: &str, members: &str) {
    let headers = [
        (":event-type", event_type),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    let payload = format!(r#"{{{members},"p":"abcdefghijklmnopqrstuvwx"}}"#);
    frame::encode(out, &headers, payload.as_bytes());
}

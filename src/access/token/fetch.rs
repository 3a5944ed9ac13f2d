//! Makes one HTTP GET request with a limit on the size of the answer. The code that calls it limits
//! the time.
//!
//! Fetches are rare (every few minutes), so nothing is reused: each one reads the CA certificates
//! and opens a connection. Redirects are errors, because the operator configures the final location
//! of the keys.

use std::{fmt, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// The accepted content types. Kubernetes serves keys only to clients that accept the first one.
const ACCEPTED: &str = "application/jwk-set+json, application/json, */*;q=0.1";
/// The maximum size of an answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Fetches documents over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// A PEM file with CA certificates to trust instead of those of the machine.
    ca_file: Option<PathBuf>,
}

impl Client {
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file }
    }

    /// Returns the body of the answer.
    ///
    /// # Errors
    /// Returns what went wrong, together with the URL. The message does not contain the token.
    pub(super) async fn get(&self, url: &str, token: Option<&str>) -> Result<Bytes, String> {
        let wrong = |why: &dyn fmt::Display| format!("{url}: {why}");
        let uri: Uri = url.parse().map_err(|_| wrong(&"not a URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong(&"no host"))?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let has_tls = uri.scheme_str() == Some("https");
        let port = authority
            .port_u16()
            .unwrap_or(if has_tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(path)
            .header(HOST, authority.as_str())
            .header(ACCEPT, ACCEPTED)
            .header(
                USER_AGENT,
                concat!("bedrock-grpc/", env!("CARGO_PKG_VERSION")),
            )
            .body(Empty::<Bytes>::new())
            .map_err(|error| wrong(&error))?;
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| wrong(&"the token to send is not a single line of text"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let tcp = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(|error| wrong(&format_args!("cannot connect: {error}")))?;
        let answer = if has_tls {
            let name = ServerName::try_from(host).map_err(|_| wrong(&"not a TLS server name"))?;
            let config = self.tls().await.map_err(|error| wrong(&error))?;
            let tls = TlsConnector::from(config)
                .connect(name, tcp)
                .await
                .map_err(|error| wrong(&format_args!("TLS: {error}")))?;
            exchange(tls, request).await
        } else {
            exchange(tcp, request).await
        };
        answer.map_err(|error| wrong(&error))
    }

    /// Returns the TLS configuration. It is created on a separate thread, because reading the
    /// certificates takes milliseconds.
    async fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        let ca_file = self.ca_file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut roots = RootCertStore::empty();
            match &ca_file {
                None => {
                    let native = rustls_native_certs::load_native_certs();
                    roots.add_parsable_certificates(native.certs);
                }
                Some(path) => {
                    let certificates = CertificateDer::pem_file_iter(path)
                        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                        .map_err(|error| {
                            format!(
                                "cannot use ca_file {}; write a PEM file with at least one certificate (cause: {error})",
                                path.display()
                            )
                        })?;
                    roots.add_parsable_certificates(certificates);
                }
            }
            if roots.is_empty() {
                return Err(
                    "no certificate authorities to trust: install ca-certificates, or set ca_file"
                        .to_owned(),
                );
            }
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok(Arc::new(config))
        });
        read.await.map_err(|error| error.to_string())?
    }
}

async fn exchange<I>(io: I, request: Request<Empty<Bytes>>) -> Result<Bytes, String>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| format!("the answer cannot be read: {error}"))
    };
    let driven = async {
        // If the connection fails, the request fails too and reports the error.
        let _ended = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = driven => never,
    }
}

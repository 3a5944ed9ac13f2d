//! From an origin to a socket: DNS, TCP, TLS.

use std::{fmt, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::Uri;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::error::Error;
use crate::config::bedrock::Options;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) tls: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

impl Origin {
    pub(super) fn of(uri: &Uri) -> Result<Self, Error> {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => {
                return Err(Error::request(
                    "the endpoint's URL must start with https:// or http://",
                ));
            }
        };
        let host = uri
            .host()
            .ok_or_else(|| Error::request("the endpoint's URL names no host"))?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self {
            tls,
            host,
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why the certificates to trust cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The extra file cannot be read, or holds no certificate.
    #[error("cannot read certificates from {}: {why}; name a PEM file with at least one certificate", .path.display())]
    ExtraCa {
        /// The file, as it was named.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("cannot set TLS up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Whom to trust and what to offer. Shared by all workers, and with it the sessions that can be resumed.
#[derive(Clone)]
pub(in crate::bedrock) struct Tls {
    config: Arc<ClientConfig>,
    /// Why a TLS connection will not be trusted, if that is already clear.
    no_roots: Option<String>,
}

impl Tls {
    /// Reads the machine's root certificates and the extra ones. That a machine has none is an error only once TLS is
    /// needed: an endpoint without TLS needs no certificates.
    pub(in crate::bedrock) fn load(options: &Options) -> Result<Self, TlsError> {
        let native = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(native.certs);
        if let Some(path) = &options.extra_ca_file {
            add_extra(&mut roots, path).map_err(|why| TlsError::ExtraCa {
                path: path.clone(),
                why,
            })?;
        }
        let no_roots = roots.is_empty().then(|| {
            let causes: Vec<String> = native.errors.iter().map(ToString::to_string).collect();
            format!(
                "this machine has no root certificates (install ca-certificates) {}",
                causes.join("; ")
            )
        });
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = if options.http1_only {
            vec![HTTP1.to_vec()]
        } else {
            vec![HTTP2.to_vec(), HTTP1.to_vec()]
        };
        Ok(Self {
            config: Arc::new(config),
            no_roots,
        })
    }
}

fn add_extra(roots: &mut RootCertStore, path: &std::path::Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A socket, ready for HTTP.
pub(super) struct Socket {
    pub(super) io: Box<dyn Io>,
    /// Whether both sides agreed on HTTP/2.
    pub(super) http2: bool,
}

/// What HTTP needs of a socket. Boxed: with TLS or without, the code above is the same.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// Opens sockets.
pub(super) struct Dialer {
    tls: Tls,
    timeout: Duration,
    keepalive: TcpKeepalive,
}

impl Dialer {
    pub(super) fn new(tls: Tls, options: &Options) -> Self {
        Self {
            tls,
            timeout: options.connect_timeout,
            keepalive: TcpKeepalive::new()
                .with_time(options.tcp_keepalive)
                .with_interval(options.tcp_keepalive / 4),
        }
    }

    /// Opens a socket to the origin, within the time limit for all of DNS, TCP and TLS.
    pub(super) async fn dial(&self, origin: &Origin) -> Result<Socket, Error> {
        if let (true, Some(why)) = (origin.tls, &self.tls.no_roots) {
            return Err(Error::connect(format!("cannot connect to {origin}: {why}")));
        }
        let deadline = Instant::now() + self.timeout;
        let tcp = self.tcp(origin, deadline).await?;
        if !origin.tls {
            return Ok(Socket {
                io: Box::new(tcp),
                http2: false,
            });
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| {
            Error::connect(format!(
                "cannot connect to {origin}: it is no name that TLS can check"
            ))
        })?;
        let connector = TlsConnector::from(self.tls.config.clone());
        let tls = self
            .step(origin, "TLS", deadline, connector.connect(name, tcp))
            .await?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok(Socket {
            io: Box::new(tls),
            http2,
        })
    }

    async fn tcp(&self, origin: &Origin, deadline: Instant) -> Result<TcpStream, Error> {
        let lookup = tokio::net::lookup_host((origin.host.as_str(), origin.port));
        let addresses: Vec<SocketAddr> =
            self.step(origin, "DNS", deadline, lookup).await?.collect();
        let mut failure =
            Error::connect(format!("cannot connect to {origin}: DNS knows no address"));
        for (tried, address) in addresses.iter().enumerate() {
            // An address that swallows packets must leave time for the ones behind it.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
            match self
                .step(
                    origin,
                    "TCP",
                    Instant::now() + share,
                    TcpStream::connect(address),
                )
                .await
            {
                Ok(tcp) => {
                    self.tune(&tcp).map_err(|error| {
                        Error::connect(format!("cannot connect to {origin}: {error}"))
                    })?;
                    return Ok(tcp);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn tune(&self, tcp: &TcpStream) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        SockRef::from(tcp).set_tcp_keepalive(&self.keepalive)
    }

    async fn step<T>(
        &self,
        origin: &Origin,
        what: &str,
        deadline: Instant,
        step: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Error> {
        match timeout_at(deadline, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Error::connect(format!(
                "cannot connect to {origin}: {what}: {error}"
            ))),
            Err(_) => Err(Error::connect(format!(
                "cannot connect to {origin}: {what}: no answer within {:?}",
                self.timeout
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn sockets_send_at_once_and_notice_dead_peers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let tcp = TcpStream::connect(listener.local_addr().expect("an address"))
            .await
            .expect("a connection");
        let options = Options::default();
        let dialer = Dialer::new(
            Tls::load(&options).expect("no extra certificates"),
            &options,
        );
        dialer.tune(&tcp).expect("options of TCP");
        let socket = SockRef::from(&tcp);
        assert!(socket.tcp_nodelay().expect("an option") && socket.keepalive().expect("an option"));
        assert_eq!(
            socket.tcp_keepalive_time().expect("an option"),
            options.tcp_keepalive
        );
    }

    #[test]
    fn extra_certificates_that_cannot_be_read_are_named() {
        let mut empty = tempfile::NamedTempFile::new().expect("a temporary file");
        empty
            .write_all(b"no PEM at all")
            .expect("a file can be written");
        for path in [
            empty.path().to_owned(),
            PathBuf::from("/nonexistent/ca.pem"),
        ] {
            let options = Options {
                extra_ca_file: Some(path.clone()),
                ..Options::default()
            };
            let error = Tls::load(&options)
                .err()
                .expect("no certificates")
                .to_string();
            assert!(
                error.contains(&*path.to_string_lossy()) && error.contains("PEM"),
                "{error}"
            );
        }
    }

    #[test]
    fn origins() {
        for (url, tls, text) in [
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/x",
                true,
                "bedrock-runtime.us-east-1.amazonaws.com:443",
            ),
            ("http://localhost", false, "localhost:80"),
            ("http://[::1]:8080/", false, "::1:8080"),
        ] {
            let origin = Origin::of(&Uri::from_static(url)).expect("an origin");
            assert_eq!((origin.tls, origin.to_string().as_str()), (tls, text));
        }
        assert!(Origin::of(&Uri::from_static("localhost:80")).is_err());
        assert!(Origin::of(&Uri::from_static("ftp://localhost")).is_err());
    }
}
